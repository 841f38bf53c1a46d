"""What holds on any server, whatever its data: the one in OWLMETRY_TEST_ENDPOINT, or a store with the recorded world.

It comments on an issue, moves it there and back, and takes its comments out again.
"""

from collections.abc import AsyncIterator

import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.live import LiveBackend, Wire
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import (
    ForbiddenMoveError,
    InvalidInputError,
    NotFoundError,
    UnauthenticatedError,
)
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import Issue
from tests.contract.conftest import real_server
from tests.triage_rows import unheard
from tests.world import SYMBOLS, FakeClock, HttpFace, World, filled

ALL = IssueFilter(data_mode="all")
GHOST = SYMBOLS["ghost"]


@pytest.fixture
async def backend(any_target: str, empty_store: Store, clock: FakeClock, http_face: HttpFace) -> AsyncIterator[Backend]:
    if any_target == "server":
        endpoint, api_key = real_server()
    else:
        filled(empty_store)
        world = World(empty_store, clock)
        if any_target == "store":
            yield world.acting_as("agent")
            return
        http_face.store = empty_store
        endpoint, api_key = http_face.endpoint, world.credential("agent")
    live = LiveBackend(Wire(endpoint, api_key))
    yield live
    await live.aclose()


async def some_issue(backend: Backend) -> Issue:
    """An issue that can be claimed."""
    for project in await backend.list_projects():
        for issue in (await backend.list_issues(project.id, ALL, limit=200)).issues:
            if issue.status in ("new", "snoozed", "silenced"):
                return issue
    raise AssertionError("the server has no issue that can be claimed")


async def test_it_says_who_is_asking(backend: Backend) -> None:
    identity = await backend.whoami()
    assert identity.type in ("api_key", "user")


async def test_pages_hold_each_issue_once_and_as_many_as_one_list(backend: Backend) -> None:
    for project in await backend.list_projects():
        whole = [issue.id for issue in (await backend.list_issues(project.id, ALL, limit=200)).issues]
        paged: list[str] = []
        cursor = None
        while len(paged) < len(whole):
            page = await backend.list_issues(project.id, ALL, cursor=cursor, limit=3)
            paged += [issue.id for issue in page.issues]
            cursor = page.cursor
            if not page.has_more:
                break
        assert paged[: len(whole)] == whole


async def test_filters_show_what_they_name(backend: Backend) -> None:
    for project in await backend.list_projects():
        for status in STATUSES:
            page = await backend.list_issues(project.id, IssueFilter(status=status))
            assert {issue.status for issue in page.issues} <= {status}
        for is_dev in (True, False):
            page = await backend.list_issues(project.id, IssueFilter(is_dev=is_dev))
            assert {issue.is_dev for issue in page.issues} <= {is_dev}
    for is_dev in (True, False):
        across = await backend.list_team_issues(IssueFilter(is_dev=is_dev))
        assert {issue.is_dev for issue in across.issues} <= {is_dev}
        assert all(issue.project_name for issue in across.issues)


async def test_occurrences_are_walked_and_counted(backend: Backend) -> None:
    issue = await some_issue(backend)
    met: list[str] = []
    cursor = None
    while True:
        page = await backend.get_issue(issue.project_id, issue.id, occurrence_cursor=cursor, occurrence_limit=2)
        met += [row.id for row in page.occurrences]
        if not (cursor := page.occurrence_cursor) or len(met) > 50:
            break
    assert len(met) == len(set(met)) <= page.occurrence_count


async def test_an_issue_is_claimed_commented_on_and_given_back(backend: Backend) -> None:
    issue = await some_issue(backend)
    where = (issue.project_id, issue.id)
    claimed = await backend.update_status(*where, "in_progress")
    try:
        assert (claimed.id, claimed.status) == (issue.id, "in_progress")
        with pytest.raises(ForbiddenMoveError, match="Cannot transition from 'in_progress' to 'in_progress'"):
            await backend.update_status(*where, "in_progress")
        added = await backend.add_comment(*where, "  A *test*.\n")
        try:
            assert added.body == "A *test*."
            edited = await backend.edit_comment(*where, added.id, "Edited.")
            assert (edited.body, edited.author_id) == ("Edited.", added.author_id)
            assert edited.id in [comment.id for comment in await backend.list_comments(*where)]
        finally:
            await backend.delete_comment(*where, added.id)
        assert added.id not in [comment.id for comment in await backend.list_comments(*where)]
        with pytest.raises(NotFoundError, match="Comment not found"):
            await backend.delete_comment(*where, added.id)
    finally:
        given_back = await backend.update_status(*where, issue.status)
    assert given_back.status == issue.status


async def test_what_is_wrong_is_refused(backend: Backend) -> None:
    issue = await some_issue(backend)
    where = (issue.project_id, issue.id)
    with pytest.raises(NotFoundError, match="Project not found"):
        await backend.list_issues(GHOST, ALL)
    with pytest.raises(NotFoundError, match="Issue not found"):
        await backend.get_issue(issue.project_id, GHOST)
    with pytest.raises(InvalidInputError, match="status must be one of"):
        await backend.list_issues(issue.project_id, IssueFilter(status="bogus"))
    with pytest.raises(InvalidInputError, match="resolved_at_version is required"):
        await backend.update_status(*where, "resolved")
    with pytest.raises(InvalidInputError, match="body is required"):
        await backend.add_comment(*where, " ")
    with pytest.raises(InvalidInputError, match="Cannot merge an issue into itself"):
        await backend.merge(*where, issue.id)
    with pytest.raises(NotFoundError):
        await backend.merge(*where, GHOST)


async def test_a_key_that_it_does_not_know_is_refused(any_target: str, http_face: HttpFace, world_store: Store) -> None:
    http_face.store = world_store
    endpoint = real_server()[0] if any_target == "server" else http_face.endpoint
    stranger = LiveBackend(Wire(endpoint, "owl_agent_00000000000000000000000000000000"))
    with pytest.raises(UnauthenticatedError):
        await stranger.list_projects()
    await stranger.aclose()


async def test_an_issue_is_found_examined_and_counted(backend: Backend) -> None:
    issue = await some_issue(backend)
    found = await backend.find_issues(issue.id[:8], unheard)
    assert issue.id in [it.id for it in found.issues]
    assert issue.app_id in [app.id for app in await backend.list_apps(unheard)]
    examined = await backend.examine(issue.project_id, issue.id, latest=1, progress=unheard)
    assert examined.issue.id == issue.id
    assert len(examined.issue.occurrences) == min(examined.summary.occurrences, 1)
    assert sum(day.occurrences for day in examined.summary.days.top) + examined.summary.days.others_count == (
        examined.summary.occurrences
    )
    overview = await backend.overview(issue.project_id, unheard)
    of_mode = overview.development if issue.is_dev else overview.production
    assert of_mode[issue.status] >= 1
    assert overview.coverage.seen == sum([*overview.production.values(), *overview.development.values()])
    beside = await backend.coincidences(issue.project_id, issue.id, unheard)
    assert all(issue.id in pair.issue_ids for pair in beside.pairs)
