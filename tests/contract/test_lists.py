"""Lists of issues: their order, their filters, and what a walk through their pages meets while they change."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import product
from typing import Any

import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.listing import KEPT_MOVES
from owlmetry_mcp.backends.store.transactions import json_text
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import Issue, IssuePage
from tests.world import FIXTURE, SYMBOLS, World

ALL = IssueFilter(data_mode="all")
OF_SHOP = [row for row in FIXTURE["issues"] if row["project_id"] == SYMBOLS["shop"]]
SHOP, BLOG = SYMBOLS["shop"], SYMBOLS["blog"]


def in_order(issues: Sequence[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in sorted(issues, key=lambda row: (row["last_seen_at"], row["id"]), reverse=True)]


def ids(issues: Sequence[Issue]) -> list[str]:
    return [issue.id for issue in issues]


async def pages(
    backend: Backend, limit: int, wanted: IssueFilter = ALL, project: str | None = SHOP
) -> AsyncIterator[IssuePage]:
    cursor = None
    while True:
        if project:
            page = await backend.list_issues(project, wanted, cursor=cursor, limit=limit)
        else:
            page = await backend.list_team_issues(wanted, cursor=cursor, limit=limit)
        assert page.has_more == (page.cursor is not None)
        yield page
        if not (cursor := page.cursor):
            return


async def walk(backend: Backend, limit: int, wanted: IssueFilter = ALL, project: str | None = SHOP) -> list[Issue]:
    return [issue async for page in pages(backend, limit, wanted, project) for issue in page.issues]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 200])
@pytest.mark.parametrize("project", [SHOP, BLOG, None])
async def test_pages_of_any_size_hold_every_issue_once_in_order(world: World, project: str | None, limit: int) -> None:
    projects = [project] if project else [SHOP, BLOG]
    expected = in_order([row for row in FIXTURE["issues"] if row["project_id"] in projects])
    assert ids(await walk(world.acting_as("agent"), limit, project=project)) == expected


@pytest.mark.parametrize(
    ("status", "is_dev", "app"), [*product([None, *STATUSES], [None, True, False], [None, "ios", "api"])]
)
async def test_filters_let_through_what_matches_all_of_them(
    world: World, status: str | None, is_dev: bool | None, app: str | None
) -> None:
    app_id = SYMBOLS[app] if app else None
    wanted = IssueFilter(status=status, app_id=app_id, is_dev=is_dev, data_mode="all")
    expected = in_order(
        [
            row
            for row in FIXTURE["issues"]
            if row["project_id"] == SHOP
            and status in (None, row["status"])
            and is_dev in (None, row["is_dev"])
            and app_id in (None, row["app_id"])
        ]
    )
    assert ids(await walk(world.acting_as("agent"), 2, wanted)) == expected


@pytest.mark.parametrize("project", [SHOP, None])
async def test_issues_of_every_page_bear_their_apps_name_and_in_lists_of_a_team_their_projects(
    world: World, project: str | None
) -> None:
    apps, projects = ({row["id"]: row["name"] for row in FIXTURE[section]} for section in ("apps", "projects"))
    walked = await walk(world.acting_as("agent"), 3, project=project)
    rows = {row["id"]: row for row in FIXTURE["issues"]}
    assert len(walked) > 9
    for issue in walked:
        row = rows[issue.id]
        named = apps[row["app_id"]], projects[row["project_id"]] if project is None else None
        assert (issue.app_name, issue.project_name) == named


async def test_limits_above_200_are_taken_as_200(world: World) -> None:
    add_issues(world, 230)
    backend = world.acting_as("agent")
    assert len((await backend.list_issues(SHOP, ALL, limit=1000)).issues) == 200


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "ten"])
async def test_a_limit_that_is_no_count_is_refused(world: World, limit: Any) -> None:
    with pytest.raises(InvalidInputError, match="limit must be a whole number from 1 to 200"):
        await world.acting_as("agent").list_issues(SHOP, ALL, limit=limit)


@pytest.mark.parametrize("cursor", ["", "x", "2026-10-20T16:00:00.000Z", "null", "' OR 1=1 --", 7])
async def test_a_cursor_from_elsewhere_is_refused(world: World, cursor: Any) -> None:
    backend = world.acting_as("agent")
    with pytest.raises(InvalidInputError, match=r"cursor must be (the cursor of the page before|text)"):
        await backend.list_issues(SHOP, ALL, cursor=cursor)
    with pytest.raises(InvalidInputError, match="occurrence_cursor must be"):
        await backend.get_issue(SHOP, SYMBOLS["i_busy"], occurrence_cursor=cursor)


def add_issues(world: World, count: int, last_seen_at: str = "2026-10-02T00:00:00.000Z") -> list[str]:
    """Issues that were all seen at the same instant."""
    template = next(row for row in FIXTURE["issues"] if row["id"] == SYMBOLS["i_tie_0"])
    rows = [template | {"id": str(uuid.UUID(int=index << 64)), "last_seen_at": last_seen_at} for index in range(count)]
    world.store.write(lambda tx: import_document(tx, read_document(json_text({"issues": rows}))))
    return [row["id"] for row in rows]


async def test_issues_of_one_millisecond_come_once_each(world: World) -> None:
    added = add_issues(world, 500)
    walked = ids(await walk(world.acting_as("agent"), 7))
    assert len(walked) == len(set(walked))
    assert set(added) <= set(walked)


def seen_again(world: World, issue_id: str) -> None:
    world.clock.advance(seconds=1)
    world.store.write(lambda tx: tx.run("UPDATE issues SET last_seen_at = ? WHERE id = ?", (tx.now, issue_id)))


async def change_status(world: World, issue_id: str) -> None:
    await world.acting_as("agent").update_status(SHOP, issue_id, "silenced")


async def add_comment(world: World, issue_id: str) -> None:
    await world.acting_as("agent").add_comment(SHOP, issue_id, "Looking at it.")


async def see_again(world: World, issue_id: str) -> None:
    seen_again(world, issue_id)


async def see_twice_again(world: World, issue_id: str) -> None:
    seen_again(world, issue_id)
    seen_again(world, issue_id)


CHANGES = [change_status, add_comment, see_again, see_twice_again]


@pytest.mark.parametrize("change", CHANGES)
async def test_a_walk_meets_every_issue_once_whatever_changes_between_its_pages(
    world: World, change: Callable[[World, str], Any]
) -> None:
    backend = world.acting_as("agent")
    before = in_order([row for row in FIXTURE["issues"] if row["project_id"] == SHOP and row["status"] == "new"])
    everything = ids(await walk(backend, 200))
    met: list[str] = []
    changing = iter([*reversed(before), *before])
    async for page in pages(backend, 2):
        met += ids(page.issues)
        for issue_id in (next(changing), next(changing)):
            if change is not change_status or issue_id in before[-2:]:
                await change(world, issue_id)
                before = [other for other in before if other != issue_id] if change is change_status else before
    assert met == everything


@pytest.mark.parametrize(
    "wanted",
    [
        IssueFilter(status="new", data_mode="all"),
        IssueFilter(is_dev=False, data_mode="all"),
        IssueFilter(app_id=SYMBOLS["ios"], data_mode="all"),
    ],
)
async def test_a_walk_meets_what_its_filter_lets_through_though_all_else_moves_too(
    world: World, wanted: IssueFilter
) -> None:
    backend = world.acting_as("agent")
    world.put("i_dev", last_seen_at="2026-10-06T00:00:00.000Z")
    expected = ids(await walk(backend, 200, wanted))
    met: list[str] = []
    async for page in pages(backend, 1, wanted):
        if not met:
            for moving in FIXTURE["issues"]:
                seen_again(world, moving["id"])
        met += ids(page.issues)
    assert met == expected


async def test_a_walk_meets_an_issue_once_that_moves_up_without_passing_it(world: World) -> None:
    """As when older events are added: from the end of the list to a page that is still to come."""
    backend = world.acting_as("agent")
    everything = ids(await walk(backend, 200))
    met: list[str] = []
    async for page in pages(backend, 3):
        met += ids(page.issues)
        if len(met) == 3:
            world.put("i_fixed", last_seen_at="2026-10-16T00:00:00.000Z")
            world.put("i_fixed", last_seen_at="2026-10-17T00:00:00.000Z")
            world.put("i_tie_2", last_seen_at="2026-10-08T12:00:00.000Z")
    assert met == everything


async def test_a_walk_meets_the_target_of_a_merge_where_it_stood(world: World) -> None:
    """Merged with a newer one, an issue jumps up the list, past the page that the walk is at."""
    backend = world.acting_as("agent")
    newest, oldest = SYMBOLS["i_timeout"], SYMBOLS["i_fixed"]
    expected = ids(await walk(backend, 200))
    met: list[str] = []
    async for page in pages(backend, 3):
        met += ids(page.issues)
        if len(met) == 3:
            merged = await backend.merge(SHOP, oldest, newest)
            assert merged.last_seen_at == "2026-10-20T14:30:00.000Z"
    assert met == expected
    assert ids(await walk(backend, 200)).index(oldest) < expected.index(oldest)


async def test_merges_between_pages_do_not_end_a_walk(world: World) -> None:
    """The first merge's target has moved, and is then merged away itself, with what is remembered of its move."""
    backend = world.acting_as("agent")
    cursor = (await backend.list_issues(SHOP, ALL, limit=2)).cursor
    await backend.merge(SHOP, SYMBOLS["i_tie_1"], SYMBOLS["i_fixed"])
    await backend.merge(SHOP, SYMBOLS["i_tie_0"], SYMBOLS["i_tie_1"])
    rest = ids((await backend.list_issues(SHOP, ALL, limit=200, cursor=cursor)).issues)
    assert rest == [id_ for id_ in in_order(OF_SHOP)[2:] if id_ not in (SYMBOLS["i_tie_1"], SYMBOLS["i_fixed"])]


async def test_an_issue_merged_away_is_met_no_more(world: World) -> None:
    backend = world.acting_as("agent")
    gone = SYMBOLS["i_tie_1"]
    expected = [issue_id for issue_id in ids(await walk(backend, 200)) if issue_id != gone]
    met: list[str] = []
    async for page in pages(backend, 5):
        met += ids(page.issues)
        if len(met) == 5:
            await backend.merge(SHOP, SYMBOLS["i_tie_0"], gone)
    assert met == expected


async def test_a_cursor_whose_walk_can_no_longer_be_followed_is_refused(world: World) -> None:
    backend = world.acting_as("agent")
    cursor = (await backend.list_issues(SHOP, ALL, limit=2)).cursor
    move = "UPDATE sqlite_sequence SET seq = ? WHERE name = 'issue_moves'"
    seen_again(world, SYMBOLS["i_fixed"])
    world.store.write(lambda tx: tx.run(move, (KEPT_MOVES,)))
    assert (await backend.list_issues(SHOP, ALL, limit=2, cursor=cursor)).has_more
    world.store.write(lambda tx: tx.run(move, (KEPT_MOVES + 1,)))
    with pytest.raises(InvalidInputError, match="begun too long ago"):
        await backend.list_issues(SHOP, ALL, limit=2, cursor=cursor)


async def test_only_the_last_100_000_moves_are_remembered(world: World) -> None:
    def after_many(tx: Any) -> None:
        tx.run("UPDATE sqlite_sequence SET seq = 100000 WHERE name = 'issue_moves'")

    for _ in range(2):
        seen_again(world, SYMBOLS["i_fixed"])
    world.store.write(after_many)
    seen_again(world, SYMBOLS["i_fixed"])
    assert world.store.read(lambda tx: tx.all("SELECT move FROM issue_moves")) == [(2,), (100_001,)]


async def test_a_list_of_many_apps_is_one_list(world: World) -> None:
    """More branches than SQLite merges in one statement."""
    apps = [
        {"id": str(uuid.UUID(int=index << 80)), "project_id": BLOG, "name": f"App {index}", "platform": "web"}
        for index in range(1, 60)
    ]
    template = next(row for row in FIXTURE["issues"] if row["id"] == SYMBOLS["i_blog"])
    issues = [template | {"id": str(uuid.UUID(int=index << 70)), "app_id": app["id"]} for index, app in enumerate(apps)]
    world.store.write(lambda tx: import_document(tx, read_document(json_text({"apps": apps, "issues": issues}))))
    expected = in_order([row for row in FIXTURE["issues"] if row["project_id"] == BLOG] + issues)
    assert ids(await walk(world.acting_as("agent"), 9, project=BLOG)) == expected


async def test_every_page_is_sought_in_the_index(world: World) -> None:
    statements: list[str] = []
    connection = world.store._reads.connection  # noqa: SLF001 - what SQLite is asked, nothing else can show
    connection.set_trace_callback(statements.append)
    await walk(world.acting_as("agent"), 4, IssueFilter(status="new"))
    connection.set_trace_callback(None)

    def plans_of(part: str) -> list[list[str]]:
        asked = [statement for statement in statements if part in statement]
        return [[row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")] for statement in asked]

    unmoved, moved = plans_of("ORDER BY last_seen_at"), plans_of("FROM issue_moves m")
    assert (len(unmoved), len(moved)) == (2, 1)
    for plan in unmoved:
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan), plan
    for plan in moved:
        assert plan[0] == "SEARCH m USING INTEGER PRIMARY KEY (rowid>?)", plan
        assert plan[1] == "SEARCH i USING INTEGER PRIMARY KEY (rowid=?)", plan
