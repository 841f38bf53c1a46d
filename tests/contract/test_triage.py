"""What a triage asks: apps, ids by their first characters, an issue examined, a project at a glance, coincidences."""

import json
import random
from collections.abc import Awaitable, Callable
from itertools import product
from typing import Any

import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from owlmetry_mcp.issues.evidence import (
    Breakdown,
    Claim,
    Coincidence,
    Coverage,
    OccurrenceSummary,
    Overview,
    Suggestion,
    Tally,
)
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import App, Issue
from tests.contract.asking import issue_of
from tests.triage_rows import Seen, add_issue, add_occurrences, at, id_of, unheard
from tests.world import FIXTURE, SECRETS, SYMBOLS, LiveWorld, World

SHOP, BLOG = SYMBOLS["shop"], SYMBOLS["blog"]
ALL = IssueFilter(data_mode="all")
TIMEOUT = SYMBOLS["i_timeout"]

OPERATIONS: dict[str, Callable[[Backend], Awaitable[Any]]] = {
    "list_apps": lambda to: to.list_apps(unheard),
    "issues": lambda to: to.issues(SHOP, ALL, 10_000, unheard),
    "issues of all": lambda to: to.issues(None, ALL, 10_000, unheard),
    "find_issues": lambda to: to.find_issues(TIMEOUT[:8], unheard),
    "find_issues in a project": lambda to: to.find_issues(TIMEOUT[:8], unheard, project_id=SHOP),
    "examine": lambda to: to.examine(SHOP, TIMEOUT, latest=5, progress=unheard),
    "overview": lambda to: to.overview(SHOP, unheard),
    "overview of all": lambda to: to.overview(None, unheard),
    "coincidences": lambda to: to.coincidences(SHOP, None, unheard),
    "coincidences of one": lambda to: to.coincidences(SHOP, TIMEOUT, unheard),
}
OF_ALL = ("list_apps", "issues of all", "find_issues", "overview of all")
"""Of whatever teams the caller is in."""


def emptied(world: World) -> None:
    """Take out what has gone wrong, so that a test puts in its own."""
    tables = ("attachments", "comments", "occurrences", "fingerprints", "issues")

    def work(tx: Any) -> None:
        for table in tables:
            tx.run(f"DELETE FROM {table}")  # noqa: S608 - names from above

    world.store.write(work)


def named(count: int, *values: tuple[str | None, int]) -> Breakdown:
    """A breakdown that names them all; the number is theirs together."""
    assert sum(tally for _, tally in values) == count
    return Breakdown(top=[Tally(value=value, occurrences=tally) for value, tally in values])


async def listed(backend: Backend, project: str = SHOP) -> dict[str, Issue]:
    return {issue.id: issue for issue in (await backend.list_issues(project, ALL, limit=200)).issues}


def directly(world: World, who: str = "agent") -> Backend:
    """The store of this world itself, at every target."""
    return acting_as(world.store, SECRETS[who])


# Who may ask


@pytest.mark.parametrize(
    ("who", "operation"), [*product(["reader", "olga", "client", "foreign", "expired"], OPERATIONS)]
)
async def test_each_caller_may_ask_what_its_key_or_team_lets_it(world: World, who: str, operation: str) -> None:
    attempt = OPERATIONS[operation](world.acting_as(who))
    if who == "expired":
        with pytest.raises(UnauthenticatedError, match="API key expired"):
            await attempt
    elif who == "client":
        with pytest.raises(PermissionDeniedError, match="Missing permission: issues:read"):
            await attempt
    elif who == "foreign" and operation not in OF_ALL:
        with pytest.raises(NotFoundError, match="Project not found"):
            await attempt
    else:
        await attempt


@pytest.mark.parametrize("operation", OF_ALL)
async def test_another_teams_data_is_never_shown(world: World, operation: str) -> None:
    own = {SYMBOLS["foreign_project"], SYMBOLS["i_foreign"]}
    answer = await OPERATIONS[operation](world.acting_as("foreign"))
    said = json.dumps(answer, default=lambda it: it.model_dump())
    assert {it for it in SYMBOLS.values() if it in said} <= own


@pytest.mark.parametrize(
    "operation",
    [
        lambda to: to.examine(SHOP, SYMBOLS["i_blog"], latest=5, progress=unheard),
        lambda to: to.examine(SHOP, SYMBOLS["ghost"], latest=5, progress=unheard),
        lambda to: to.coincidences(SHOP, SYMBOLS["i_blog"], unheard),
        lambda to: to.coincidences(BLOG, TIMEOUT, unheard),
    ],
)
async def test_an_issue_is_looked_for_in_its_project(
    world: World, operation: Callable[[Backend], Awaitable[Any]]
) -> None:
    with pytest.raises(NotFoundError, match="Issue not found"):
        await operation(world.acting_as("agent"))


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        (lambda to: to.overview("shop", unheard), 'project_id must be a UUID such as .*, not "shop"'),
        (lambda to: to.examine("shop", TIMEOUT, latest=5, progress=unheard), "project_id must be a UUID"),
        (lambda to: to.examine(SHOP, "x", latest=5, progress=unheard), "issue_id must be a UUID"),
        (
            lambda to: to.examine(SHOP, TIMEOUT, latest=0, progress=unheard),
            "latest must be a whole number from 1 to 200",
        ),
        (lambda to: to.coincidences("shop", None, unheard), "project_id must be a UUID"),
        (lambda to: to.issues("shop", ALL, 1, unheard), "project_id must be a UUID"),
        (lambda to: to.issues(SHOP, ALL, 0, unheard), "most must be a whole number from 1 to 10000, not 0"),
        (lambda to: to.issues(SHOP, ALL, 1, unheard, since="then"), 'since must be an instant .*, not "then"'),
        (lambda to: to.issues(None, IssueFilter(status="bogus"), 1, unheard), "status must be one of"),
        (lambda to: to.find_issues(TIMEOUT, unheard, project_id="shop"), "project_id must be a UUID"),
        (lambda to: to.coincidences(SHOP, "x", unheard), "issue_id must be a UUID"),
    ],
)
async def test_a_parameter_that_cannot_be_is_told(
    world: World, operation: Callable[[Backend], Awaitable[Any]], said: str
) -> None:
    with pytest.raises(InvalidInputError, match=said):
        await operation(world.acting_as("observer"))


@pytest.mark.parametrize(
    "prefix",
    ["", "c64325f", "c64325fg", "c64325f3_6c07", "c64325f36c07", " c64325f3", f"{TIMEOUT}0", "c64325f3-6c07-", 5, None],
)
async def test_the_beginning_of_an_id_has_8_to_36_characters_of_one(world: World, prefix: Any) -> None:
    backend = world.acting_as("observer")
    if prefix == "c64325f3-6c07-":
        assert [issue.id for issue in (await backend.find_issues(prefix, unheard)).issues] == [TIMEOUT]
        return
    for attempt in (backend.find_issues(prefix, unheard), backend.find_events(prefix)):
        with pytest.raises(InvalidInputError) as refusal:
            await attempt
        assert refusal.value.message == (
            f"prefix must be a UUID, or at least its first 8 characters, not {json.dumps(prefix)}"
        )


# Apps


async def test_apps_of_all_teams_of_the_caller_are_listed_by_name(world: World) -> None:
    def app(row: dict[str, Any]) -> App:
        bundle_id = None if isinstance(world, LiveWorld) else row["bundle_id"]  # a list of issues does not say
        return App(id=row["id"], project_id=row["project_id"], name=row["name"], bundle_id=bundle_id)

    everything = sorted((app(row) for row in FIXTURE["apps"]), key=lambda row: row.name)
    assert [row.name for row in everything] == ["Blog Web", "Foreign API", "Shop API", "Shop iOS"]
    assert await world.acting_as("mia").list_apps(unheard) == everything
    own = [row for row in everything if row.name != "Foreign API"]
    assert await world.acting_as("agent").list_apps(unheard) == own


# Very many issues


@pytest.mark.parametrize("wanted", [IssueFilter(), IssueFilter(status="new", app_id=SYMBOLS["ios"]), ALL])
async def test_issues_are_those_that_the_list_shows(world: World, wanted: IssueFilter) -> None:
    backend = world.acting_as("agent")
    for project, page in (
        (SHOP, await backend.list_issues(SHOP, wanted, limit=200)),
        (None, await backend.list_team_issues(wanted, limit=200)),
    ):
        found = await backend.issues(project, wanted, 1_000_000, unheard)
        assert found.issues == page.issues
        assert found.coverage == Coverage(seen=len(page.issues), complete=True)


async def test_issues_are_the_most_recently_seen_and_whether_there_are_more_is_told(world: World) -> None:
    backend = world.acting_as("agent")
    everything = [*(await listed(backend)).values()]
    for most in (1, len(everything) - 1, len(everything)):
        found = await backend.issues(SHOP.upper(), ALL, most, unheard)
        assert found.issues == everything[:most]
        assert found.coverage == Coverage(seen=most, complete=most == len(everything))


async def test_issues_since_an_instant_are_those_that_were_last_seen_then_or_later(world: World) -> None:
    emptied(world)
    for number in range(6):
        add_issue(world.store, number, last_seen_at=at(-number))
    backend = world.acting_as("agent")
    for most, ids, complete in ((10, (0, 1, 2, 3), True), (4, (0, 1, 2, 3), True), (3, (0, 1, 2), False)):
        found = await backend.issues(SHOP, ALL, most, unheard, since="2026-10-21T11:59:57Z")
        assert [it.id for it in found.issues] == [id_of(number) for number in ids]
        assert found.coverage == Coverage(seen=len(ids), complete=complete)


async def test_more_issues_than_a_page_holds_come_once_each(world: World) -> None:
    for number in range(450):
        add_issue(world.store, 0xABCD0000 + number, last_seen_at=at(-number % 7))
    backend = world.acting_as("agent")
    found = await backend.issues(SHOP, ALL, 10_000, unheard)
    assert len({it.id for it in found.issues}) == len(found.issues) > 450
    assert found.coverage == Coverage(seen=len(found.issues), complete=True)
    order = [(it.last_seen_at, it.id) for it in found.issues]
    assert order == sorted(order, reverse=True)
    assert found == await directly(world).issues(SHOP, ALL, 10_000, unheard)


# Ids by their first characters


async def test_an_issue_is_looked_for_in_one_project_alone_if_it_is_named(world: World) -> None:
    backend = world.acting_as("agent")
    for surely in (False, True):
        found = await backend.find_issues(TIMEOUT[:8], unheard, project_id=SHOP.upper(), surely=surely)
        assert ([it.id for it in found.issues], found.coverage.complete) == (
            [TIMEOUT],
            surely or found.coverage.complete,
        )
        elsewhere = await backend.find_issues(TIMEOUT[:8], unheard, project_id=BLOG, surely=surely)
        assert (elsewhere.issues, elsewhere.coverage.complete) == ([], True)


async def test_an_issue_found_surely_is_known_from_one_that_came_unseen(world: World) -> None:
    backend = world.acting_as("agent")
    await backend.get_issue(SHOP, TIMEOUT)
    like = f"{TIMEOUT[:8]}-0000-4000-8000-000000000000"
    add_issue(world.store, 1, id=like, is_dev=1)
    found = await backend.find_issues(TIMEOUT[:8], unheard, surely=True)
    assert ([it.id for it in found.issues], found.coverage.complete) == ([like, TIMEOUT], True)


@pytest.mark.parametrize("length", [8, 9, 13, 14, 24, 35, 36])
async def test_an_issue_is_found_by_the_beginning_of_its_id_in_any_case(world: World, length: int) -> None:
    backend = world.acting_as("agent")
    found = await backend.find_issues(SYMBOLS["i_blog_dev"][:length].upper(), unheard)
    expected = (await listed(directly(world), BLOG))[SYMBOLS["i_blog_dev"]]
    assert found.issues == [expected.model_copy(update={"project_name": "Blog"})]
    assert found.coverage.complete


async def test_ids_that_begin_alike_are_shown_in_their_order_ten_at_most(world: World) -> None:
    for number in range(12):
        add_issue(
            world.store, 0xABCD0000 + number % 2, title=f"{number}", id=f"abcdef01-{number:04x}-4000-8000-000000000000"
        )
    backend = world.acting_as("agent")
    found = await backend.find_issues("abcdef01", unheard)
    assert [issue.title for issue in found.issues] == [str(number) for number in range(10)]
    assert [issue.title for issue in (await backend.find_issues("ABCDEF01-000b", unheard)).issues] == ["11"]


async def test_an_id_of_no_issue_of_the_caller_is_not_found(world: World) -> None:
    backend = world.acting_as("agent")
    for prefix in (SYMBOLS["i_foreign"], SYMBOLS["i_foreign"][:8], "ffffffff", SYMBOLS["ghost"]):
        found = await backend.find_issues(prefix, unheard)
        assert (found.issues, found.coverage.complete) == ([], True)
    found = await world.acting_as("foreign").find_issues(SYMBOLS["i_foreign"][:8], unheard)
    assert [issue.title for issue in found.issues] == [
        row["title"] for row in FIXTURE["issues"] if row["id"] == SYMBOLS["i_foreign"]
    ]


async def test_an_issue_merged_away_is_found_no_more(world: World) -> None:
    backend = world.acting_as("agent")
    gone = SYMBOLS["i_timeout_dup"]
    assert [issue.id for issue in (await backend.find_issues(gone[:8], unheard)).issues] == [gone]
    await backend.merge(SHOP, TIMEOUT, gone)
    assert (await backend.find_issues(gone[:8], unheard)).issues == []
    assert (await backend.find_issues(gone, unheard)).issues == []


async def test_a_found_issue_is_as_its_last_move_left_it(world: World) -> None:
    backend = world.acting_as("agent")
    await backend.find_issues(TIMEOUT, unheard)
    await backend.update_status(SHOP, TIMEOUT, "in_progress")
    (found,) = (await backend.find_issues(TIMEOUT[:8], unheard)).issues
    assert found == (await issue_of(directly(world), "i_timeout")).model_copy(update={"project_name": "Shop"})
    assert found.status == "in_progress"


async def test_an_event_is_found_by_the_beginning_of_its_id(world: World) -> None:
    """Of those that answers have shown, at least."""
    session = id_of(1)
    event = {"message": "Boom", "level": "error", "session_id": session, "is_dev": False, "timestamp": at(-60)}
    tracker = acting_as(world.store, SECRETS["importer"])
    await tracker.import_events([event, event | {"level": "info", "message": "before", "timestamp": at(-61)}])
    stored = world.store.read(lambda tx: [row for (row,) in tx.all("SELECT uuid_text(id) FROM events ORDER BY id")])
    backend = world.acting_as("observer")
    for prefix in stored:
        await backend.get_event(prefix)
        assert await backend.find_events(prefix.upper()) == [prefix]
        assert prefix in await backend.find_events(prefix[:8])
    assert await backend.find_events(stored[0][:13]) == sorted(stored)
    assert await backend.find_events("ffffffff") == []


async def test_another_teams_events_are_not_found(world: World) -> None:
    event = {"message": "Boom", "level": "error", "session_id": id_of(1), "timestamp": at(-60)}
    await acting_as(world.store, SECRETS["importer"]).import_events([event])
    (event_id,) = world.store.read(lambda tx: tx.one("SELECT uuid_text(id) FROM events"))
    permitted = "UPDATE api_keys SET permissions = '[\"events:read\"]' WHERE name = 'Foreign Agent'"
    world.store.write(lambda tx: tx.run(permitted))
    backend = world.acting_as("foreign")
    with pytest.raises(NotFoundError, match="Event not found"):
        await backend.get_event(event_id)
    assert await backend.find_events(event_id) == []


# An issue examined


async def test_an_examined_issue_has_its_latest_occurrences_and_a_summary_of_all(world: World) -> None:
    backend = world.acting_as("agent")
    examined = await backend.examine(SHOP, TIMEOUT.upper(), latest=2, progress=unheard)
    page = await backend.get_issue(SHOP, TIMEOUT, occurrence_limit=2)
    assert examined.issue.model_dump(exclude={"occurrences_seen"}) == page.model_dump(exclude={"occurrences_seen"})
    assert len(examined.issue.occurrences) == 2
    assert examined.summary == OccurrenceSummary(
        occurrences=4,
        sessions=4,
        users=2,
        first_at="2026-10-18T10:00:00.000Z",
        last_at="2026-10-20T14:30:00.000Z",
        app_versions=named(4, ("2.1.0", 2), ("2.2.0", 2)),
        environments=named(4, ("ios", 3), ("ipados", 1)),
        countries=named(4, ("US", 2), ("DE", 1), (None, 1)),
        days=named(4, ("2026-10-20", 2), ("2026-10-19", 1), ("2026-10-18", 1)),
    )


async def test_an_issue_without_occurrences_has_an_empty_summary(world: World) -> None:
    examined = await world.acting_as("agent").examine(SHOP, SYMBOLS["i_tie_0"], latest=5, progress=unheard)
    nothing = Breakdown(top=[])
    assert examined.summary == OccurrenceSummary(
        occurrences=0, sessions=0, users=0, first_at=None, last_at=None, app_versions=nothing, environments=nothing,
        countries=nothing, days=nothing,
    )  # fmt: skip
    assert (examined.issue.occurrences, examined.issue.occurrence_has_more) == ([], False)


async def test_what_a_summary_does_not_name_it_counts(world: World) -> None:
    """Of values the ten most frequent are named, of days the latest fourteen."""
    emptied(world)
    issue = add_issue(world.store, 1)
    versions = [f"1.{minor}" for minor in range(12) for _ in range(20 - minor)]
    rows = [
        Seen(issue, number, at(days=-(number % 20)), {"app_version": version, "user_id": f"user {number % 7}"})
        for number, version in enumerate(versions)
    ]
    add_occurrences(world.store, [*rows, Seen(issue, 1_000, at(1)), Seen(issue, 1_001, at(2))])
    summary = (await world.acting_as("agent").examine(SHOP, issue, latest=1, progress=unheard)).summary
    days = [sum(number % 20 == day for number in range(len(versions))) + 2 * (day == 0) for day in range(20)]
    assert summary == OccurrenceSummary(
        occurrences=len(versions) + 2,
        sessions=len(versions) + 2,
        users=7,
        first_at=at(days=-19),
        last_at=at(2),
        app_versions=Breakdown(
            top=[Tally(value=f"1.{minor}", occurrences=20 - minor) for minor in range(10)],
            others=3,
            others_count=10 + 9 + 2,
        ),
        environments=named(len(versions) + 2, (None, len(versions) + 2)),
        countries=named(len(versions) + 2, (None, len(versions) + 2)),
        days=Breakdown(
            top=[Tally(value=at(days=-day)[:10], occurrences=days[day]) for day in range(14)],
            others=6,
            others_count=sum(days[14:]),
        ),
    )


async def test_the_cursor_of_an_examined_issue_goes_on_behind_what_it_shows(world: World) -> None:
    emptied(world)
    issue = add_issue(world.store, 1)
    add_occurrences(world.store, [Seen(issue, number, at(-number)) for number in range(450)])
    backend = world.acting_as("agent")
    examined = (await backend.examine(SHOP, issue, latest=7, progress=unheard)).issue
    met, cursor = examined.occurrences, examined.occurrence_cursor
    while cursor:
        page = await backend.get_issue(SHOP, issue, occurrence_cursor=cursor, occurrence_limit=200)
        met, cursor = met + page.occurrences, page.occurrence_cursor
    assert [row.timestamp for row in met] == [at(-number) for number in range(450)]


# A project at a glance


async def test_an_overview_of_a_project_shows_both_modes(world: World) -> None:
    backend = world.acting_as("agent")
    issues = await listed(backend)

    def of(*names: str) -> list[Issue]:
        return [issues[SYMBOLS[name]] for name in names]

    claimed, regressed, busy = (issues[SYMBOLS[name]] for name in ("i_claimed", "i_regressed", "i_busy"))
    assert await backend.overview(SHOP.upper(), unheard) == Overview(
        as_of=at(),
        production={"new": 6, "in_progress": 1, "resolved": 1, "silenced": 1, "regressed": 1, "snoozed": 1},
        development={"new": 1},
        regressed=[regressed],
        new=of("i_busy", "i_timeout", "i_timeout_dup", "i_tie_0", "i_tie_1"),
        claimed=[Claim(issue=claimed, by=None, since=claimed.updated_at, last_comment_by=None, last_comment_at=None)],
        growing=[],
        next=[Suggestion(issue=regressed, reason="regressed"), Suggestion(issue=busy, reason="new")],
        coverage=Coverage(seen=12, complete=True),
    )


async def test_an_overview_of_all_projects_shows_production_alone(world: World) -> None:
    overview = await world.acting_as("agent").overview(None, unheard)
    assert (sum(overview.production.values()), overview.development) == (12, {})
    assert [issue.project_name for issue in overview.new] == ["Shop", "Shop", "Shop", "Blog", "Shop"]
    everyone = await world.acting_as("mia").overview(None, unheard)
    assert sum(everyone.production.values()) == 13
    blog = await world.acting_as("agent").overview(BLOG, unheard)
    assert (blog.production, blog.development) == ({"new": 1}, {"in_progress": 1})
    assert [claim.issue.id for claim in blog.claimed] == [SYMBOLS["i_blog_dev"]]


async def test_an_overview_of_nothing_is_empty(world: World) -> None:
    emptied(world)
    for project in (SHOP, None):
        assert await world.acting_as("agent").overview(project, unheard) == Overview(
            as_of=at(), production={}, development={}, regressed=[], new=[], claimed=[], growing=[], next=[],
            coverage=Coverage(seen=0, complete=True),
        )  # fmt: skip


async def test_what_hits_most_users_comes_first_then_what_is_most_frequent_then_the_latest(world: World) -> None:
    emptied(world)
    table = [  # is_dev, users, occurrences, days ago; in the order expected
        (0, 9, 9, 3),
        (0, 8, 10, 3),
        (0, 8, 9, 1),
        (0, 8, 9, 2),
        (1, 50, 50, 1),
        (1, 40, 50, 1),
    ]
    for status in ("new", "regressed"):
        for place, (is_dev, users, occurrences, days) in reversed([*enumerate(table)]):
            columns: dict[str, Any] = {"is_dev": is_dev, "unique_user_count": users, "occurrence_count": occurrences}
            title, number = f"{status} {place}", 100 * (status == "new") + (place * 37) % 100
            add_issue(world.store, number, title=title, status=status, last_seen_at=at(days=-days), **columns)
    overview = await world.acting_as("agent").overview(SHOP, unheard)
    assert [issue.title for issue in overview.new] == [f"new {place}" for place in range(5)]
    assert [issue.title for issue in overview.regressed] == [f"regressed {place}" for place in range(5)]
    assert [(it.reason, it.issue.title) for it in overview.next] == [
        ("regressed", f"regressed {place}") for place in range(3)
    ]


async def test_the_claim_that_nobody_has_touched_for_longest_comes_first(world: World) -> None:
    """A comment is a touch, and so six claims are read before five are shown; a deleted one is none."""
    emptied(world)
    for number in range(7):
        add_issue(world.store, number, title=f"claim {number}", status="in_progress", updated_at=at(days=-20 + number))
    backend = world.acting_as("agent")
    world.clock.advance(days=-1)
    fresh = await backend.add_comment(SHOP, id_of(0), "Still at it.")
    world.clock.advance(days=-15.5)
    await backend.add_comment(SHOP, id_of(1), "Looking.")
    again = await backend.add_comment(SHOP, id_of(2), "Looking here, too.")
    await backend.delete_comment(SHOP, id_of(2), again.id)
    world.clock.advance(days=16.5)
    overview = await backend.overview(SHOP, unheard)
    assert [(claim.issue.title, claim.last_comment_by, claim.last_comment_at) for claim in overview.claimed] == [
        ("claim 2", None, None),
        ("claim 3", None, None),
        ("claim 1", "Triage Agent", at(days=-16.5)),
        ("claim 4", None, None),
        ("claim 5", None, None),
    ]
    assert fresh.created_at == at(days=-1)
    assert [(it.reason, it.issue.title) for it in overview.next] == [
        ("stale_claim", f"claim {number}") for number in (2, 3, 1)
    ]


async def test_a_claim_is_stale_after_seven_days(world: World) -> None:
    emptied(world)
    add_issue(world.store, 1, title="a week", status="in_progress", updated_at=at(days=-7))
    add_issue(world.store, 2, title="not yet", status="in_progress", updated_at=at(0.001, days=-7))
    overview = await world.acting_as("agent").overview(SHOP, unheard)
    assert [(it.reason, it.issue.title) for it in overview.next] == [("stale_claim", "a week")]
    assert [claim.issue.title for claim in overview.claimed] == ["a week", "not yet"]


async def test_what_was_put_aside_and_is_seen_nevertheless_is_growing(world: World) -> None:
    """It is suggested where it hits ten users or more."""
    emptied(world)
    rows = [  # title, status, is_dev, users, last seen
        ("few", "silenced", 0, 9, at(days=-1)),
        ("ten", "snoozed", 0, 10, at(days=-2)),
        ("many", "silenced", 0, 90, at(days=-7)),
        ("in development", "silenced", 1, 999, at(days=-1)),
        ("long ago", "silenced", 0, 999, at(-0.001, days=-7)),
        ("resolved", "resolved", 0, 999, at(days=-1)),
    ]
    for number, (title, status, is_dev, users, last_seen_at) in enumerate(rows):
        add_issue(
            world.store,
            number,
            title=title,
            status=status,
            is_dev=is_dev,
            unique_user_count=users,
            last_seen_at=last_seen_at,
        )
    world.store.write(lambda tx: tx.run("UPDATE issues SET snoozed_at = ? WHERE title = 'ten'", (at(days=-3),)))
    add_issue(world.store, 10, title="not since", status="snoozed", snoozed_at=at(), last_seen_at=at(days=-1))
    overview = await world.acting_as("agent").overview(SHOP, unheard)
    assert [issue.title for issue in overview.growing] == ["few", "ten", "many", "in development"]
    suggested = ["ten"] if isinstance(world, LiveWorld) else ["many", "ten"]  # a server does not tell of silencing
    assert [(it.reason, it.issue.title) for it in overview.next] == [("growing", title) for title in suggested]


async def test_development_is_suggested_where_production_needs_nothing(world: World) -> None:
    emptied(world)
    add_issue(world.store, 1, title="at work", status="in_progress")
    add_issue(world.store, 2, title="regressed", status="regressed", is_dev=1)
    add_issue(world.store, 3, title="new", is_dev=1)
    backend = world.acting_as("agent")
    overview = await backend.overview(SHOP, unheard)
    assert [(it.reason, it.issue.title) for it in overview.next] == [("regressed", "regressed"), ("new", "new")]
    add_issue(world.store, 4, title="small but real", unique_user_count=0)
    overview = await backend.overview(SHOP, unheard)
    assert [(it.reason, it.issue.title) for it in overview.next] == [("new", "small but real")]


async def test_all_backends_see_the_same(world: World) -> None:
    """But for whose a claim is, which a server does not say."""
    chance = random.Random(7)  # noqa: S311 - for examples
    emptied(world)
    for number in range(450):
        add_issue(
            world.store,
            number,
            chance.choice(["api", "ios", "web"]),
            status=chance.choice(STATUSES),
            is_dev=chance.randrange(2),
            unique_user_count=chance.randrange(6),
            occurrence_count=chance.randrange(3),
            last_seen_at=at(days=-chance.randrange(12)),
            updated_at=at(days=-chance.randrange(4, 12)),
        )
    add_occurrences(
        world.store,
        [
            Seen(id_of(issue), session, at(chance.uniform(0, 12)))
            for session in range(20)
            for issue in chance.sample(range(8), 4)
        ],
    )
    world.store.write(lambda tx: tx.run("UPDATE issues SET status = 'new' WHERE occurrence_count > 3"))
    backend, store = world.acting_as("agent"), directly(world)
    for project in (SHOP, BLOG, None):
        assert await backend.overview(project, unheard) == await store.overview(project, unheard)
    pairs = (await store.coincidences(SHOP, None, unheard)).pairs
    for pair in pairs[:3]:
        for issue_id in pair.issue_ids:
            examined = [await it.examine(SHOP, issue_id, latest=200, progress=unheard) for it in (backend, store)]
            assert examined[0].summary == examined[1].summary
    assert pairs


# Coincidences


def coincidence(one: int, other: int, sessions: int) -> Coincidence:
    return Coincidence(issue_ids=(id_of(one), id_of(other)), sessions=sessions)


async def test_issues_seen_within_five_seconds_in_the_same_sessions_coincide(world: World) -> None:
    emptied(world)
    for number in range(1, 5):
        add_issue(world.store, number, "ios" if number % 2 else "api")
    add_occurrences(
        world.store,
        [
            *(Seen(id_of(number), 1, at(0)) for number in (1, 2)),
            *(Seen(id_of(1), session, at(session)) for session in (2, 3)),
            *(Seen(id_of(2), session, at(session + 5)) for session in (2,)),
            *(Seen(id_of(2), session, at(session - 5.001)) for session in (3,)),
            *(Seen(id_of(3), session, at(session + 4)) for session in (2, 3)),
            Seen(id_of(4), 9, at(0)),
        ],
    )
    backend = world.acting_as("agent")
    found = await backend.coincidences(SHOP, None, unheard)
    assert found.pairs == [coincidence(1, 2, 2), coincidence(1, 3, 2), coincidence(2, 3, 1)]
    assert found.coverage == Coverage(seen=4, complete=True)
    of_one = await backend.coincidences(SHOP, id_of(2).upper(), unheard)
    assert of_one.pairs == [coincidence(1, 2, 2), coincidence(2, 3, 1)]
    assert of_one.coverage.complete
    of_none = await backend.coincidences(SHOP, id_of(4), unheard)
    assert (of_none.pairs, of_none.coverage.complete) == ([], True)


async def test_modes_and_projects_do_not_coincide(world: World) -> None:
    emptied(world)
    for number, (app, is_dev) in enumerate([("ios", 0), ("api", 0), ("ios", 1), ("api", 1), ("web", 0)]):
        add_issue(world.store, number, app, is_dev=is_dev)
    add_occurrences(world.store, [Seen(id_of(number), 1, at(number / 10)) for number in range(5)])
    backend = world.acting_as("agent")
    assert (await backend.coincidences(SHOP, None, unheard)).pairs == [coincidence(0, 1, 1), coincidence(2, 3, 1)]
    for number, pair in enumerate([(0, 1), (0, 1), (2, 3), (2, 3)]):
        assert (await backend.coincidences(SHOP, id_of(number), unheard)).pairs == [coincidence(*pair, 1)]
    assert (await backend.coincidences(BLOG, id_of(4), unheard)).pairs == []
