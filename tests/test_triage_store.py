"""What a triage asks of the embedded store: whose a claim is, which indexes are read, and where it stops."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import coincidences
from owlmetry_mcp.issues.errors import PermissionDeniedError
from owlmetry_mcp.issues.evidence import Coincidence, Coverage
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.triage import coincidences as rules
from tests.triage_rows import Seen, add_issue, add_occurrences, at, id_of, unheard
from tests.world import SYMBOLS, World

SHOP, TIMEOUT, DUPLICATE, CLAIMED = (SYMBOLS[name] for name in ("shop", "i_timeout", "i_timeout_dup", "i_claimed"))


async def claims(backend: Backend) -> dict[str, tuple[str | None, str]]:
    """Whose each claim is, and since when."""
    return {it.issue.id: (it.by, it.since) for it in (await backend.overview(SHOP, unheard)).claimed}


async def test_a_claim_is_whose_move_it_was(world: World) -> None:
    agent, mia = world.acting_as("agent"), world.acting_as("mia")
    await agent.update_status(SHOP, TIMEOUT, "in_progress")
    world.clock.advance(hours=1)
    await mia.update_status(SHOP, DUPLICATE, "in_progress")
    claimed = (await world.acting_as("agent").get_issue(SHOP, CLAIMED)).updated_at
    assert await claims(agent) == {
        TIMEOUT: ("Triage Agent", at()),
        DUPLICATE: ("Mia Member", at(3600)),
        CLAIMED: (None, claimed),
    }


async def test_a_claim_that_was_given_up_and_taken_again_is_the_last_ones(world: World) -> None:
    await world.acting_as("agent").update_status(SHOP, TIMEOUT, "in_progress")
    world.clock.advance(hours=1)
    await world.acting_as("agent2").update_status(SHOP, TIMEOUT, "new")
    assert TIMEOUT not in await claims(world.acting_as("agent"))
    world.clock.advance(hours=1)
    await world.acting_as("agent2").update_status(SHOP, TIMEOUT, "in_progress")
    assert (await claims(world.acting_as("agent")))[TIMEOUT] == ("Fixer Agent", at(7200))


async def test_a_claim_that_the_trail_does_not_know_is_nobodys(world: World) -> None:
    """The last move that it knows led elsewhere, so that another has brought the issue to where it is."""
    agent = world.acting_as("agent")
    await agent.update_status(SHOP, TIMEOUT, "in_progress")
    await agent.update_status(SHOP, TIMEOUT, "silenced")
    world.put("i_timeout", status="in_progress", updated_at=at(60))
    assert (await claims(agent))[TIMEOUT] == (None, at(60))


async def test_a_move_of_nobodys_is_no_claim(world: World) -> None:
    await world.acting_as("agent").update_status(SHOP, TIMEOUT, "in_progress")
    row = {"at": at(60), "actor_type": "operator", "action": "issue.status", "subject_id": TIMEOUT}
    world.store.write(lambda tx: tx.insert("audit", row | {"detail": '{"after":"in_progress"}'}))
    assert (await claims(world.acting_as("agent")))[TIMEOUT] == ("Triage Agent", at())


async def test_after_a_merge_the_targets_own_claim_counts(world: World) -> None:
    agent, other = world.acting_as("agent"), world.acting_as("agent2")
    await agent.update_status(SHOP, TIMEOUT, "in_progress")
    world.clock.advance(hours=1)
    await other.update_status(SHOP, DUPLICATE, "in_progress")
    world.clock.advance(hours=1)
    await other.merge(SHOP, TIMEOUT, DUPLICATE)
    assert (await claims(agent))[TIMEOUT] == ("Triage Agent", at())
    assert DUPLICATE not in await claims(agent)


async def test_what_is_found_of_events_needs_their_permission(world: World) -> None:
    with pytest.raises(PermissionDeniedError, match="Missing permission: events:read"):
        await world.acting_as("agent").find_events(TIMEOUT)


READS: dict[str, Callable[[Backend], Awaitable[Any]]] = {
    "issues": lambda to: to.issues(SHOP, IssueFilter(), 10_000, unheard),
    "issues of all": lambda to: to.issues(None, IssueFilter(), 10_000, unheard),
    "find_issues": lambda to: to.find_issues(TIMEOUT[:8], unheard),
    "find_issues in a project": lambda to: to.find_issues(TIMEOUT[:8], unheard, project_id=SHOP),
    "find_events": lambda to: to.find_events(TIMEOUT[:8]),
    "examine": lambda to: to.examine(SHOP, TIMEOUT, latest=5, progress=unheard),
    "overview": lambda to: to.overview(SHOP, unheard),
    "overview of all": lambda to: to.overview(None, unheard),
    "coincidences": lambda to: to.coincidences(SHOP, None, unheard),
    "coincidences of one": lambda to: to.coincidences(SHOP, TIMEOUT, unheard),
}
LARGE = {"issues", "i", "occurrences", "o", "events", "e", "audit", "comments", "c", "sessions", "s"}
"""Tables that grow without end, and what the statements call them."""


@pytest.mark.parametrize("read", READS)
async def test_no_large_table_is_read_but_by_an_index(world: World, read: str) -> None:
    statements: list[str] = []
    connection = world.store._reads.connection  # noqa: SLF001 - what SQLite is asked, nothing else can show
    connection.set_trace_callback(statements.append)
    await READS[read](world.acting_as("observer"))
    connection.set_trace_callback(None)
    asked = [it for it in statements if it.strip().upper().startswith(("SELECT", "WITH"))]
    assert asked
    steps = [row[3].split() for it in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {it}")]
    assert not [step for step in steps if step[0] == "SCAN" and step[1] in LARGE]
    if read.startswith("find"):  # by the range of ids, not by all that a team has
        (search,) = (" ".join(step) for step in steps if step[1] in ("i", "e") and "autoindex" in " ".join(step))
        assert search.endswith("(id>? AND id<?)")


def pair(one: int, other: int, sessions: int) -> Coincidence:
    return Coincidence(issue_ids=(id_of(one), id_of(other)), sessions=sessions)


def put_together(world: World, issues: int, sessions: int) -> None:
    """Issues that are all seen in each of the sessions; the first was seen last."""
    for number in range(issues):
        add_issue(world.store, number, last_seen_at=at(-number))
    rows = [Seen(id_of(number), session, at(session)) for number in range(issues) for session in range(sessions)]
    add_occurrences(world.store, rows)


@pytest.fixture
def alone(world: World) -> World:
    """A world in which nothing has gone wrong in the shop."""
    world.store.write(lambda tx: tx.run("UPDATE issues SET app = (SELECT key FROM apps WHERE name = 'Blog Web')"))
    return world


async def test_of_a_large_project_the_most_recently_seen_issues_are_compared(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_together(alone, issues=4, sessions=3)
    backend = alone.acting_as("agent")
    monkeypatch.setattr(coincidences, "MAX_OCCURRENCES", 11)
    three = await backend.coincidences(SHOP, None, unheard)
    assert three.pairs == [pair(0, 1, 3), pair(0, 2, 3), pair(1, 2, 3)]
    assert three.coverage == Coverage(seen=3, complete=False)
    monkeypatch.setattr(coincidences, "MAX_OCCURRENCES", 12)
    assert (await backend.coincidences(SHOP, None, unheard)).coverage == Coverage(seen=4, complete=True)
    monkeypatch.setattr(coincidences, "MAX_ISSUES", 2)
    two = await backend.coincidences(SHOP, None, unheard)
    assert (two.pairs, two.coverage) == ([pair(0, 1, 3)], Coverage(seen=2, complete=False))


async def test_of_an_issue_that_was_seen_very_often_the_latest_occurrences_count(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_together(alone, issues=2, sessions=5)
    backend = alone.acting_as("agent")
    monkeypatch.setattr(coincidences, "MAX_OF_ONE", 2)
    of_all = await backend.coincidences(SHOP, None, unheard)
    assert (of_all.pairs, of_all.coverage) == ([pair(0, 1, 2)], Coverage(seen=2, complete=False))
    of_one = await backend.coincidences(SHOP, id_of(1), unheard)
    assert (of_one.pairs, of_one.coverage) == ([pair(0, 1, 2)], Coverage(seen=2, complete=False))


async def test_of_one_issue_no_more_is_read_than_takes_a_moment(alone: World, monkeypatch: pytest.MonkeyPatch) -> None:
    put_together(alone, issues=3, sessions=3)
    monkeypatch.setattr(coincidences, "MAX_OCCURRENCES", 5)
    found = await alone.acting_as("agent").coincidences(SHOP, id_of(0), unheard)
    assert not found.coverage.complete
    assert sum(it.sessions for it in found.pairs) == 3


async def test_sessions_of_few_issues_count_before_those_of_very_many(
    alone: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        add_issue(alone.store, number)
    add_occurrences(
        alone.store,
        [*(Seen(id_of(number), 1) for number in range(40)), *(Seen(id_of(number), 2) for number in (7, 30))],
    )
    monkeypatch.setattr(rules, "MAX_MEETINGS", 100)
    found = await alone.acting_as("agent").coincidences(SHOP, None, unheard)
    assert pair(7, 30, 1) in found.pairs
    assert sum(it.sessions for it in found.pairs) == 100
    assert found.coverage == Coverage(seen=40, complete=False)
    monkeypatch.setattr(rules, "MAX_PAIRS", 3)
    assert len((await alone.acting_as("agent").coincidences(SHOP, None, unheard)).pairs) == 3


async def test_the_first_of_a_section_are_the_first_of_all_apps_by_its_own_order(alone: World) -> None:
    for number in range(8):
        app, days = ("api", "ios")[number % 2], number - 20
        add_issue(alone.store, number, app, status="in_progress", updated_at=at(days=days))
        weight = {"unique_user_count": number + 1, "occurrence_count": 100 - number}
        add_issue(alone.store, 10 + number, app, status="regressed", **weight)
        add_issue(alone.store, 20 + number, "api", **weight)
    found = await alone.acting_as("agent").overview(SHOP, unheard)
    assert [it.issue.id for it in found.claimed] == [id_of(number) for number in range(5)]
    assert [it.id for it in found.regressed] == [id_of(10 + number) for number in (7, 6, 5, 4, 3)]
    assert [it.id for it in found.new] == [id_of(20 + number) for number in (7, 6, 5, 4, 3)]


async def test_an_issue_of_no_session_was_looked_at_too(alone: World) -> None:
    found = await alone.acting_as("agent").coincidences(SHOP, add_issue(alone.store, 1), unheard)
    assert (found.pairs, found.coverage) == ([], Coverage(seen=1, complete=True))


async def test_an_issue_of_very_many_occurrences_is_summed_up_whole(alone: World) -> None:
    issue = add_issue(alone.store, 1)
    rows = [Seen(issue, number, at(-number), {"user_id": f"{number % 9}"}) for number in range(5_000)]
    add_occurrences(alone.store, rows)
    summary = (await alone.acting_as("agent").examine(SHOP, issue, latest=1, progress=unheard)).summary
    assert (summary.occurrences, summary.sessions, summary.users) == (5_000, 5_000, 9)
    assert (summary.first_at, summary.last_at) == (at(-4_999), at())


async def test_a_claim_that_is_merely_seen_again_is_as_stale_as_before(world: World) -> None:
    agent = world.acting_as("agent")
    await agent.update_status(SHOP, TIMEOUT, "in_progress")
    world.clock.advance(days=8)
    world.put("i_timeout", updated_at=at(days=8), last_seen_at=at(days=8))
    world.put("i_claimed", updated_at=at(days=8))
    overview = await agent.overview(SHOP, unheard)
    assert [(it.reason, it.issue.id) for it in overview.next if it.reason == "stale_claim"] == [
        ("stale_claim", TIMEOUT)
    ]
    assert [it.issue.id for it in overview.claimed] == [TIMEOUT, CLAIMED]


async def test_what_was_silenced_after_it_was_last_seen_is_not_growing(world: World) -> None:
    agent = world.acting_as("agent")
    world.put("i_busy", last_seen_at=at(-3600))
    await agent.update_status(SHOP, SYMBOLS["i_busy"], "silenced")
    before = await agent.overview(SHOP, unheard)
    assert SYMBOLS["i_busy"] not in [issue.id for issue in before.growing]
    world.put("i_busy", last_seen_at=at(3600))
    after = await agent.overview(SHOP, unheard)
    assert SYMBOLS["i_busy"] in [issue.id for issue in after.growing]
    assert ("growing", SYMBOLS["i_busy"]) in [(it.reason, it.issue.id) for it in after.next]
