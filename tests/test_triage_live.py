"""What a triage asks of a server: how much of it is read, what is remembered, and what is told on the way."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from owlmetry_mcp.backends.base import Backend, one_call
from owlmetry_mcp.backends.live import LiveBackend, Timeouts, lists, memory, triage
from owlmetry_mcp.backends.together import AT_ONCE
from owlmetry_mcp.issues.errors import (
    InvalidInputError,
    NotFoundError,
    OwlmetryError,
    UnauthenticatedError,
    UnavailableError,
)
from owlmetry_mcp.issues.evidence import Coincidence, Coverage, FoundIssues
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.models import App, Event, Issue, IssueDetail, Occurrence
from tests.test_live import answering
from tests.triage_rows import at, id_of, unheard
from tests.world import SYMBOLS

SHOP, API = SYMBOLS["shop"], SYMBOLS["api"]
IN_SHOP = f"/v1/projects/{SHOP}/issues"

Row = dict[str, Any]


def issue(number: int, **fields: Any) -> Row:
    """An issue seen so many minutes ago."""
    row: Row = dict.fromkeys(Issue.model_fields)
    return row | {
        "id": id_of(number),
        "app_id": API,
        "project_id": SHOP,
        "status": "new",
        "title": f"Issue {number}",
        "is_dev": False,
        "occurrence_count": 1,
        "unique_user_count": 1,
        "first_seen_at": at(days=-30),
        "last_seen_at": at(-60 * (number % 5_000)),
        "created_at": at(days=-30),
        "updated_at": at(-60 * (number % 5_000)),
        "fingerprints": [],
        "app_name": "Shop API",
        "project_name": "Shop",
        **fields,
    }


def occurrence(issue_id: str, session: int, seconds: float = 0) -> Row:
    row: Row = dict.fromkeys(Occurrence.model_fields)
    place = {"issue_id": issue_id, "session_id": id_of(session), "event_id": id_of(0xE0000000 + session)}
    return (
        row
        | place
        | {"id": f"{issue_id[:8]}-{session:04x}-4000-8000-000000000000"}
        | {
            "timestamp": at(seconds),
            "created_at": at(seconds),
        }
    )


class IssueServer:
    """A server with these issues, and with occurrences of some."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = [*rows]
        self.occurrences: dict[str, list[Row]] = {}
        """By issue; latest first."""
        self.gone: set[str] = set()
        """Ids that lists show, and that are not there when they are asked for."""
        self.comments: dict[str, str] = {}
        """When an issue was commented on."""
        self.asked: list[str] = []
        """Paths, in the order asked for."""
        self.queries: list[dict[str, str]] = []
        """Of lists."""
        self.at_once = self.most_at_once = 0

    async def answer(self, request: Request) -> Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await anyio.lowlevel.checkpoint()
        try:
            return JSONResponse(*self._answer(request.url.path, dict(request.query_params), request.method))
        finally:
            self.at_once -= 1

    def _answer(self, path: str, query: dict[str, str], method: str) -> tuple[Any, int]:
        self.asked.append(path)
        if path.endswith("/issues"):
            self.queries.append(query)
            return self._list(query), 200
        if path.startswith("/v1/events"):
            return self._events(path), 200
        _, _, within = path.partition("/issues/")
        issue_id, _, part = within.partition("/")
        row = next((row for row in self.rows if row["id"] == issue_id and issue_id not in self.gone), None)
        if row is None:
            return {"error": "Issue not found"}, 404
        if part == "comments":
            return {"comments": self._comments(issue_id)}, 200
        if method == "PATCH":
            row["status"] = "in_progress"
        if method == "GET":
            row = row | self._detail(issue_id, query)
        return {name: value for name, value in row.items() if method == "GET" or name != "app_name"}, 200

    def _list(self, query: dict[str, str]) -> Row:
        modes = {"production": [False], "development": [True], "all": [False, True]}[query["data_mode"]]
        rows = [row for row in self.rows if row["is_dev"] in modes and query.get("status") in (None, row["status"])]
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
        more = begin + limit < len(rows)
        return {
            "issues": rows[begin : begin + limit],
            "cursor": str(begin + limit) if more else None,
            "has_more": more,
        }

    def _detail(self, issue_id: str, query: dict[str, str]) -> Row:
        rows = self.occurrences.get(issue_id, [])
        begin = 0
        if cursor := query.get("occurrence_cursor"):
            begin = [row["id"] for row in rows].index(cursor) + 1
        end = begin + int(query["occurrence_limit"])
        more = end < len(rows)
        return {
            "occurrences": rows[begin:end],
            "occurrence_cursor": rows[end - 1]["id"] if more else None,
            "occurrence_has_more": more,
            "comments": self._comments(issue_id),
            "attachments": [],
        }

    def _comments(self, issue_id: str) -> list[Row]:
        instant = self.comments.get(issue_id)
        comment = {"id": id_of(1), "issue_id": issue_id, "author_type": "user", "author_id": id_of(2), "body": "On it."}
        return [comment | {"author_name": "Mia", "created_at": instant, "updated_at": instant}] if instant else []

    def _events(self, path: str) -> Row:
        row: Row = dict.fromkeys(Event.model_fields)
        whole = row | {
            "id": path.rpartition("/")[2] if path != "/v1/events" else id_of(0xEE000001),
            "app_id": API,
            "session_id": id_of(1),
            "level": "error",
            "message": "Boom",
            "is_dev": False,
            "timestamp": at(),
            "received_at": at(),
        }
        if path == "/v1/events":
            return {"events": [whole, whole | {"id": id_of(0xEE000002)}], "cursor": None, "has_more": False}
        return whole | {"project_id": SHOP, "attachments": []}


class Told:
    """What was said of the progress."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    async def __call__(self, sentence: str) -> None:
        self.sentences.append(sentence)


def as_found(row: Row) -> Issue:
    return Issue.model_validate(row)


# Apps


async def test_apps_are_those_of_the_issues_that_are_listed() -> None:
    server = IssueServer(
        [
            issue(1),
            issue(2, app_id=id_of(9), app_name=None),
            issue(3, app_id=id_of(8), app_name="Blog Web", is_dev=True),
        ]
    )
    async with answering(server.answer) as backend:
        apps = await backend.list_apps(unheard)
    assert apps == [
        App(id=id_of(9), project_id=SHOP, name=id_of(9)),
        App(id=id_of(8), project_id=SHOP, name="Blog Web"),
        App(id=API, project_id=SHOP, name="Shop API"),
    ]
    assert (server.asked, server.queries) == (["/v1/issues"], [{"data_mode": "all", "limit": "200"}])


async def test_a_list_is_walked_ten_pages_far_and_each_is_told() -> None:
    server, told = IssueServer([issue(number) for number in range(2_500)]), Told()
    async with answering(server.answer) as backend:
        await backend.list_apps(told)
    assert [query.get("cursor") for query in server.queries] == [None, *(str(200 * page) for page in range(1, 10))]
    assert told.sentences == [f"{200 * page} issues read" for page in range(1, 11)]


async def test_a_server_whose_lists_never_end_is_asked_a_few_times() -> None:
    asked = 0

    async def endless(_: Request) -> Response:
        nonlocal asked
        asked += 1
        return JSONResponse({"issues": [issue(1)], "cursor": "again", "has_more": True})

    async with answering(endless) as backend:
        found = await backend.find_issues("ffffffff", unheard)
    assert (found.issues, found.coverage) == ([], Coverage(seen=1, complete=False))
    assert asked == lists.MAX_PAGES


# Ids by their first characters


async def test_an_issue_that_was_shown_is_found_without_a_request() -> None:
    rows = [issue(number) for number in (0xA0000000, 0xB0000000, 0xC0000000, 0xD0000000)]
    server = IssueServer(rows)
    listed, detailed, examined, moved = (row["id"] for row in rows)
    async with answering(server.answer) as backend:
        await backend.list_team_issues(IssueFilter())
        shown = [*server.asked]
        assert await backend.find_issues(listed[:8].upper(), unheard) == _found([rows[0]], complete=False)
        assert await backend.find_issues(listed, unheard) == _found([rows[0]], complete=True)
        assert server.asked == shown
    async with answering(server.answer) as backend:
        await backend.get_issue(SHOP, detailed)
        await backend.examine(SHOP, examined, latest=1, progress=unheard)
        await backend.update_status(SHOP, moved, "in_progress")
        shown = [*server.asked]
        for row in rows[1:3]:
            assert await backend.find_issues(row["id"][:8], unheard) == _found([row], complete=False)
        (found,) = (await backend.find_issues(moved[:8], unheard)).issues
        assert found == as_found(rows[3] | {"app_name": None})
        assert server.asked == shown


def _found(rows: Sequence[Row], *, complete: bool) -> FoundIssues:
    return FoundIssues(issues=[as_found(row) for row in rows], coverage=Coverage(seen=len(rows), complete=complete))


async def test_names_that_an_answer_lacks_stay_known() -> None:
    server = IssueServer([issue(0xA0000000)])
    async with answering(server.answer) as backend:
        await backend.list_team_issues(IssueFilter())
        await backend.update_status(SHOP, id_of(0xA0000000), "in_progress")
        (found,) = (await backend.find_issues("a0000000", unheard)).issues
    assert (found.status, found.app_name, found.project_name) == ("in_progress", "Shop API", "Shop")


async def test_a_beginning_that_several_issues_have_is_looked_for_on_the_server() -> None:
    alike = [issue(1, id=f"abcdef01-000{number}-4000-8000-000000000000") for number in range(3)]
    server = IssueServer([*alike[:2], issue(5), alike[2]])
    async with answering(server.answer) as backend:
        await backend.list_team_issues(IssueFilter(), limit=2)
        found = await backend.find_issues("abcdef01", unheard)
    assert (found.issues, found.coverage) == ([as_found(row) for row in alike], Coverage(seen=4, complete=True))
    assert server.queries[1:] == [{"data_mode": "all", "limit": "200"}]


async def test_a_whole_id_is_looked_for_no_further_than_it_takes() -> None:
    server = IssueServer([issue(number) for number in range(1_000)])
    async with answering(server.answer) as backend:
        found = await backend.find_issues(id_of(250), unheard)
        assert (found.issues, found.coverage) == ([as_found(issue(250))], Coverage(seen=400, complete=True))
        assert len(server.asked) == 2


async def test_to_be_sure_an_issue_that_was_shown_is_looked_for_nevertheless() -> None:
    """Its list is walked once for several that are named in one call, and again in the next."""
    alike = [issue(1, id=f"abcdef01-000{number}-4000-8000-000000000000") for number in range(2)]
    server = IssueServer([*alike, issue(5), issue(6)])
    async with answering(server.answer) as backend:
        for row in (alike[0], issue(5)):
            await backend.get_issue(SHOP, row["id"])
        server.asked.clear()
        assert [it.id for it in (await backend.find_issues("abcdef01", unheard)).issues] == [alike[0]["id"]]
        assert server.asked == []
        found = await backend.find_issues("abcdef01", unheard, surely=True)
        assert ([it.id for it in found.issues], found.coverage.complete) == ([row["id"] for row in alike], True)
        assert server.asked == ["/v1/issues"]
        with one_call(operations=1):
            for number in (5, 6):
                found = await backend.find_issues(id_of(number)[:8], unheard, surely=True)
                assert found.coverage.complete
            assert server.asked == ["/v1/issues"] * 2
            assert (await backend.find_issues(id_of(5)[:8], unheard, project_id=SHOP, surely=True)).coverage.complete
            assert server.asked == ["/v1/issues", "/v1/issues", IN_SHOP]
        await backend.find_issues(id_of(5)[:8], unheard, surely=True)
        assert len(server.asked) == 4


async def test_a_walk_that_met_its_bound_makes_nothing_sure() -> None:
    server = IssueServer(MANY)
    async with answering(server.answer) as backend:
        for _ in range(2):
            found = await backend.find_issues(id_of(5)[:8], unheard, surely=True)
            assert found == FoundIssues(issues=[as_found(issue(5))], coverage=Coverage(seen=2_000, complete=False))
        assert len(server.asked) == 20
        assert (await backend.find_issues(id_of(5), unheard, surely=True)).coverage.complete
        assert len(server.asked) == 20


async def test_an_issue_of_a_known_project_is_looked_for_there() -> None:
    server = IssueServer([issue(5)])
    async with answering(server.answer) as backend:
        found = await backend.find_issues(id_of(5)[:8], unheard, project_id=SHOP.upper())
        assert (found.issues, server.asked) == ([as_found(issue(5))], [IN_SHOP])
        elsewhere = await backend.find_issues(id_of(5)[:8], unheard, project_id=SYMBOLS["blog"])
    assert server.asked[1:] == [IN_SHOP.replace(SHOP, SYMBOLS["blog"])]  # what was shown is another project's
    assert elsewhere.coverage.complete


# Very many issues


async def test_issues_are_read_as_far_as_they_are_wanted() -> None:
    server, told = IssueServer([issue(number) for number in range(1_000)]), Told()
    async with answering(server.answer) as backend:
        some = await backend.issues(SHOP, IssueFilter(), 300, told)
        assert [it.id for it in some.issues] == [id_of(number) for number in range(300)]
        assert some.coverage == Coverage(seen=300, complete=False)
        assert (server.asked, told.sentences) == ([IN_SHOP] * 2, ["200 issues read", "400 issues read"])
        everything = await backend.issues(SHOP, IssueFilter(), 1_000, told)
        assert everything.coverage == Coverage(seen=1_000, complete=True)
        recent = await backend.issues(None, IssueFilter(status="new"), 1_000, told, since=at(-60 * 250))
    assert recent.coverage == Coverage(seen=251, complete=True)
    assert server.queries[7:] == [
        {"status": "new", "data_mode": "production", "limit": "200"},
        {"status": "new", "data_mode": "production", "limit": "200", "cursor": "200"},
    ]


async def test_what_lies_behind_the_bound_is_found_if_it_was_shown() -> None:
    rows = [issue(number) for number in range(2_500)]
    far = [issue(1, id=f"abcdef01-000{number}-4000-8000-000000000000") for number in range(2)]
    server = IssueServer([*rows, *far])
    async with answering(server.answer) as backend:
        assert (await backend.find_issues("abcdef01", unheard)).issues == []
        for row in far:
            await backend.get_issue(SHOP, row["id"])
        found = await backend.find_issues("abcdef01", unheard)
    assert [it.id for it in found.issues] == [row["id"] for row in far]
    assert found.coverage == Coverage(seen=2_000, complete=False)


async def test_what_was_shown_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ISSUES", 2)
    server = IssueServer([issue(number) for number in range(3)])
    async with answering(server.answer) as backend:
        for number in (0, 1, 0, 2):
            await backend.get_issue(SHOP, id_of(number))
        server.asked.clear()
        for number in (0, 2):
            assert len((await backend.find_issues(id_of(number), unheard)).issues) == 1
        assert server.asked == []
        await backend.find_issues(id_of(1), unheard)
        assert server.asked == ["/v1/issues"]


async def test_an_issue_that_another_has_merged_away_is_forgotten() -> None:
    server = IssueServer([issue(number) for number in range(3)])
    gone, merged, examined = (id_of(number) for number in range(3))
    async with answering(server.answer) as backend:
        await backend.list_team_issues(IssueFilter())
        server.gone = {gone, merged, examined}
        server.rows.clear()
        for attempt in (
            backend.get_issue(SHOP, gone),
            backend.update_status(SHOP, merged, "in_progress"),
            backend.examine(SHOP, examined, latest=1, progress=unheard),
        ):
            with pytest.raises(NotFoundError, match="Issue not found"):
                await attempt
        for issue_id in (gone, merged, examined):
            assert (await backend.find_issues(issue_id, unheard)).issues == []


async def test_events_are_found_that_occurrences_lists_and_trails_have_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    server = IssueServer([issue(1)])
    server.occurrences[id_of(1)] = [occurrence(id_of(1), session) for session in (1, 2)]
    async with answering(server.answer) as backend:
        assert await backend.find_events("e0000001") == []
        await backend.get_issue(SHOP, id_of(1))
        assert await backend.find_events("E0000001") == [id_of(0xE0000001)]
        assert await backend.find_events(id_of(0xE0000002)) == [id_of(0xE0000002)]
        await backend.get_event(id_of(0xEE000003))
        assert await backend.find_events("ee000003") == [id_of(0xEE000003)]
        await backend.list_events(EventFilter(id_of(1)))
        assert await backend.find_events("ee000001") == [id_of(0xEE000001)]
        monkeypatch.setattr(memory, "MAX_EVENTS", 2)
        await backend.get_breadcrumbs(id_of(0xEE000002))
        assert await backend.find_events("e0000001") == []
        assert await backend.find_events("ee000001") == [id_of(0xEE000001)]
        asked = len(server.asked)
        with pytest.raises(InvalidInputError, match="prefix must be a UUID"):
            await backend.find_events("e0")
        assert len(server.asked) == asked


# An issue examined


async def test_a_summary_is_made_of_two_thousand_occurrences_at_the_most() -> None:
    server, told = IssueServer([issue(1, occurrence_count=2_500)]), Told()
    server.occurrences[id_of(1)] = [occurrence(id_of(1), number, -number) for number in range(2_500)]
    async with answering(server.answer) as backend:
        examined = await backend.examine(SHOP, id_of(1), latest=5, progress=told)
        assert len(server.asked) == 10
        assert told.sentences == [f"{200 * page} occurrences read" for page in range(1, 11)]
        assert (examined.summary.occurrences, examined.summary.first_at) == (2_000, at(-1_999))
        detail = examined.issue
        assert (detail.occurrence_count, detail.occurrences_seen) == (2_500, 2_000)
        assert [row.timestamp for row in detail.occurrences] == [at(-number) for number in range(5)]
        assert (detail.occurrence_cursor, detail.occurrence_has_more) == (detail.occurrences[-1].id, True)
        behind = await backend.get_issue(SHOP, id_of(1), occurrence_cursor=detail.occurrence_cursor, occurrence_limit=2)
    assert [row.timestamp for row in behind.occurrences] == [at(-5), at(-6)]


async def test_repeated_occurrences_are_summed_up_once() -> None:
    rows = [occurrence(id_of(1), number, -number) for number in range(3)]

    async def repeating(request: Request) -> Response:
        page = [rows[0], rows[1]] if "occurrence_cursor" not in request.query_params else [rows[1], rows[2]]
        more = page[0] is rows[0]
        fields = {"occurrence_cursor": rows[1]["id"] if more else None, "occurrence_has_more": more}
        return JSONResponse(issue(1) | {"occurrences": page, "comments": [], "attachments": []} | fields)

    async with answering(repeating) as backend:
        examined = await backend.examine(SHOP, id_of(1), latest=200, progress=unheard)
    assert (examined.summary.occurrences, examined.issue.occurrences_seen) == (3, 3)
    assert (examined.issue.occurrence_cursor, examined.issue.occurrence_has_more) == (None, False)


# A project at a glance


async def test_an_overview_is_read_status_by_status() -> None:
    server, told = IssueServer([issue(1), issue(2, status="resolved", is_dev=True)]), Told()
    async with answering(server.answer) as backend:
        await backend.overview(SHOP, told)
        assert {*server.asked} == {IN_SHOP}
        statuses = [query["status"] for query in server.queries]
        assert sorted(statuses) == sorted(["regressed", "new", "in_progress", "silenced", "snoozed", "resolved"])
        assert {(query["data_mode"], query["limit"]) for query in server.queries} == {("all", "200")}
        assert max(told.sentences) == "2 issues read"
        server.asked.clear()
        server.queries.clear()
        overview = await backend.overview(None, unheard)
        assert {*server.asked} == {"/v1/issues"}
        assert {query["data_mode"] for query in server.queries} == {"production"}
        assert (overview.production, overview.development) == ({"new": 1}, {})


async def test_where_a_status_has_more_than_is_read_the_counts_are_of_what_was() -> None:
    server = IssueServer([*(issue(number) for number in range(2_001)), issue(3_000, status="regressed")])
    async with answering(server.answer) as backend:
        overview = await backend.overview(SHOP, unheard)
    assert overview.production == {"new": 2_000, "regressed": 1}
    assert overview.coverage == Coverage(seen=2_001, complete=False)
    assert len(server.asked) == 10 + 5


async def test_comments_are_read_until_enough_claims_are_known_to_be_the_oldest() -> None:
    """Seven of forty: the first two were commented on lately, so that the next five are older than what is to come."""
    rows = [issue(number, status="in_progress", updated_at=at(days=-60 + number)) for number in range(40)]
    server = IssueServer(rows)
    server.comments = {id_of(0): at(), id_of(1): at(-1)}
    async with answering(server.answer) as backend:
        overview = await backend.overview(SHOP, unheard)
    assert [claim.issue.id for claim in overview.claimed] == [id_of(number) for number in range(2, 7)]
    assert [path for path in server.asked if path.endswith("comments")] == [
        f"{IN_SHOP}/{id_of(number)}/comments" for number in range(7)
    ]
    assert overview.coverage.complete


async def test_comments_of_twenty_claims_are_read_at_the_most() -> None:
    rows = [issue(number, status="in_progress", updated_at=at(days=-60 + number)) for number in range(40)]
    server = IssueServer(rows)
    server.comments = {row["id"]: at() for row in rows}
    server.gone = {id_of(3)}
    async with answering(server.answer) as backend:
        overview = await backend.overview(SHOP, unheard)
    assert [claim.issue.id for claim in overview.claimed] == [id_of(number) for number in (0, 1, 2, 4, 5)]
    assert {(claim.by, claim.since == claim.issue.updated_at) for claim in overview.claimed} == {(None, True)}
    assert {(claim.last_comment_by, claim.last_comment_at) for claim in overview.claimed} == {("Mia", at())}
    assert len([path for path in server.asked if path.endswith("comments")]) == triage.MAX_CLAIMS
    assert overview.coverage == Coverage(seen=40, complete=False)


async def test_an_overview_that_is_interrupted_is_told_as_any_read() -> None:
    server = IssueServer([issue(number) for number in range(500)])

    async def failing(request: Request) -> Response:
        if "cursor" in request.query_params:
            return JSONResponse({"error": "broken"}, 500)
        return await server.answer(request)

    async with answering(failing) as backend:
        with pytest.raises(UnavailableError, match="cannot be used now: it answered 500: broken"):
            await backend.overview(SHOP, unheard)


# Coincidences


def together(rows: Sequence[Row], sessions: int) -> dict[str, list[Row]]:
    """Occurrences of them all in each of the sessions."""
    return {row["id"]: [occurrence(row["id"], session, session) for session in range(sessions)] for row in rows}


async def test_the_thirty_issues_seen_last_that_are_not_resolved_are_held_against_each_other() -> None:
    rows = [issue(number, status="resolved" if number % 2 else "new") for number in range(500)]
    server, told = IssueServer(rows), Told()
    server.occurrences = together(rows, 2)
    server.gone = {id_of(4)}
    async with answering(server.answer) as backend:
        found = await backend.coincidences(SHOP, None, told)
    compared = [id_of(number) for number in range(0, 60, 2)]
    there = [issue_id for issue_id in compared if issue_id != id_of(4)]
    assert found.pairs == [
        Coincidence(issue_ids=(one, other), sessions=2) for one in there for other in there if one < other
    ]
    assert found.coverage == Coverage(seen=30, complete=False)
    assert sorted(server.asked) == sorted([IN_SHOP, *(f"{IN_SHOP}/{issue_id}" for issue_id in compared)])
    assert told.sentences[0] == "200 issues read"
    assert told.sentences[-1].endswith("issues read")


async def test_an_issue_is_held_against_the_twenty_of_its_mode_that_were_seen_last() -> None:
    rows = [issue(number, is_dev=number % 2 == 1, status="resolved") for number in range(100)]
    server = IssueServer(rows)
    server.occurrences = together(rows, 1)
    async with answering(server.answer) as backend:
        found = await backend.coincidences(SHOP, id_of(98).upper(), unheard)
    others = [id_of(number) for number in range(0, 40, 2)]
    assert found.pairs == [Coincidence(issue_ids=(other, id_of(98)), sessions=1) for other in others]
    assert found.coverage == Coverage(seen=21, complete=False)
    assert server.queries == [{"data_mode": "production", "limit": "200"}]
    assert len(server.asked) == 22


async def test_four_requests_are_made_at_once() -> None:
    """Each waits for three others, and never are there more."""
    server = IssueServer([issue(number) for number in range(12)])
    waiting, inside, most, together = 0, 0, 0, anyio.Event()

    async def holding(request: Request) -> Response:
        nonlocal waiting, inside, most, together
        if request.url.path != IN_SHOP:
            waiting, inside = waiting + 1, inside + 1
            most = max(most, inside)
            mine = together
            if waiting == AT_ONCE:
                waiting, together = 0, anyio.Event()
                mine.set()
            await mine.wait()
            inside -= 1
        return await server.answer(request)

    async with answering(holding, Timeouts(read=5, call=10)) as backend:
        found = await backend.coincidences(SHOP, None, unheard)
    assert (found.coverage, most) == (Coverage(seen=12, complete=True), AT_ONCE)


@pytest.mark.parametrize(("occurrences", "complete"), [(200, True), (201, False)])
async def test_coincidences_are_of_the_latest_200_occurrences(occurrences: int, complete: bool) -> None:
    rows = [issue(1), issue(2)]
    server = IssueServer(rows)
    server.occurrences = together(rows, occurrences)
    async with answering(server.answer) as backend:
        for one in (None, id_of(1)):
            found = await backend.coincidences(SHOP, one, unheard)
            assert found.pairs == [Coincidence(issue_ids=(id_of(1), id_of(2)), sessions=200)]
            assert found.coverage == Coverage(seen=2, complete=complete)


async def test_an_issue_that_is_not_there_has_no_coincidences() -> None:
    async with answering(IssueServer([issue(1)]).answer) as backend:
        with pytest.raises(NotFoundError, match="Issue not found"):
            await backend.coincidences(SHOP, id_of(2), unheard)


# Time


WALKS: dict[str, Callable[[Backend], Awaitable[Any]]] = {
    "list_apps": lambda to: to.list_apps(unheard),
    "issues": lambda to: to.issues(SHOP, IssueFilter(), 10_000, unheard),
    "find_issues": lambda to: to.find_issues("ffffffff", unheard),
    "examine": lambda to: to.examine(SHOP, id_of(1), latest=5, progress=unheard),
    "overview": lambda to: to.overview(SHOP, unheard),
    "coincidences": lambda to: to.coincidences(SHOP, None, unheard),
    "coincidences of one": lambda to: to.coincidences(SHOP, id_of(1), unheard),
}


@pytest.mark.parametrize("operation", WALKS)
async def test_a_server_that_never_answers_is_told_within_the_time_given(operation: str) -> None:
    async def never(_: Request) -> Response:
        await anyio.sleep_forever()
        raise AssertionError

    began = anyio.current_time()
    async with answering(never, Timeouts(connect=1, read=0.3, call=0.6)) as backend:
        with pytest.raises(UnavailableError, match="cannot be used now"):
            await WALKS[operation](backend)
        assert anyio.current_time() - began < 2


class SlowServer(IssueServer):
    """It takes so many of an injected clock's seconds for each answer."""

    def __init__(self, rows: Sequence[Row], seconds: float) -> None:
        super().__init__(rows)
        self.now = 0.0
        self._seconds = seconds

    def clock(self) -> float:
        return self.now

    async def answer(self, request: Request) -> Response:
        self.now += self._seconds
        return await super().answer(request)


FOUR_SECONDS = Timeouts(call=4)
MANY = [issue(number) for number in range(2_500)]


async def test_an_overview_is_made_of_what_was_read_when_time_was_up() -> None:
    server = SlowServer([*MANY, issue(3_000, status="regressed"), issue(3_001, status="in_progress")], 0.3)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        found = await backend.overview(SHOP, unheard)
    assert found.coverage.complete is False
    assert (found.production["regressed"], found.production["in_progress"]) == (1, 1)
    assert 200 <= found.production["new"] < 2_000
    assert [it.issue.id for it in found.claimed] == [id_of(3_001)]  # time was left for its comments
    assert server.now < 4


async def test_claims_whose_comments_were_not_read_in_time_are_left_out() -> None:
    server = SlowServer([issue(number, status="in_progress") for number in range(5)], 0.4)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        found = await backend.overview(SHOP, unheard)
    assert (found.production, found.coverage) == ({"in_progress": 5}, Coverage(seen=5, complete=False))
    assert 0 < len(found.claimed) < 5


async def test_an_examination_is_made_of_what_was_read_when_time_was_up() -> None:
    server = SlowServer([issue(1, occurrence_count=2_500)], 0.4)
    server.occurrences[id_of(1)] = [occurrence(id_of(1), number, -number) for number in range(2_500)]
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        examined = await backend.examine(SHOP, id_of(1), latest=5, progress=unheard)
    assert (examined.summary.occurrences, examined.issue.occurrences_seen) == (1_400, 1_400)
    assert (len(examined.issue.occurrences), examined.issue.occurrence_has_more) == (5, True)


async def test_an_issue_is_looked_for_until_time_is_up() -> None:
    server = SlowServer(MANY, 0.4)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        found = await backend.find_issues(id_of(100)[:8], unheard)
        nowhere = await backend.find_issues("ffffffff", unheard)
    assert (found.issues, found.coverage) == ([as_found(issue(100))], Coverage(seen=1_400, complete=False))
    assert (nowhere.issues, nowhere.coverage) == ([], Coverage(seen=1_400, complete=False))


@pytest.mark.parametrize("one", [None, id_of(1)])
async def test_coincidences_are_of_what_was_read_when_time_was_up(one: str | None) -> None:
    rows = [issue(number) for number in range(40)]
    server = SlowServer(rows, 0.4)
    server.occurrences = together(rows, 1)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        found = await backend.coincidences(SHOP, one, unheard)
    assert 2 <= found.coverage.seen < 20
    assert found.coverage.complete is False
    seen = found.coverage.seen
    assert len(found.pairs) == (seen - 1 if one else seen * (seen - 1) // 2)


async def test_a_first_answer_may_take_all_the_time() -> None:
    server = SlowServer(MANY, 3.9)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        found = await backend.find_issues("ffffffff", unheard)
    assert found.coverage == Coverage(seen=200, complete=False)


async def test_a_request_under_way_when_time_is_up_is_given_up() -> None:
    server = IssueServer(MANY)

    async def hanging(request: Request) -> Response:
        if request.query_params.get("cursor") == "400":
            await anyio.sleep_forever()
        return await server.answer(request)

    async with answering(hanging, Timeouts(read=5, call=1)) as backend:
        found = await backend.issues(SHOP, IssueFilter(), 10_000, unheard)
    assert found.coverage == Coverage(seen=400, complete=False)


async def test_apps_cannot_say_what_they_cover_and_are_not_made_of_a_part() -> None:
    server = SlowServer(MANY, 0.6)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        with pytest.raises(UnavailableError, match="no time is left"):
            await backend.list_apps(unheard)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(500, {"error": "broken"}, UnavailableError), (401, {"error": "Invalid API key"}, UnauthenticatedError)],
)
@pytest.mark.parametrize("operation", ["issues", "find_issues", "overview"])
async def test_a_server_that_fails_in_the_midst_is_told(
    operation: str, status: int, body: Row, error: type[OwlmetryError]
) -> None:
    server = IssueServer(MANY)

    async def failing(request: Request) -> Response:
        if "cursor" in request.query_params:
            return JSONResponse(body, status)
        return await server.answer(request)

    async with answering(failing) as backend:
        with pytest.raises(error):
            await WALKS[operation](backend)


async def test_a_server_that_asks_to_wait_longer_than_there_is_time_is_not_waited_for() -> None:
    server = IssueServer(MANY)

    async def throttling(request: Request) -> Response:
        if request.query_params.get("cursor") == "200":
            return JSONResponse({"error": "slow down"}, 429, {"Retry-After": "60"})
        return await server.answer(request)

    async with answering(throttling) as backend:
        found = await backend.issues(SHOP, IssueFilter(), 10_000, unheard)
    assert found.coverage == Coverage(seen=200, complete=False)


async def test_the_operations_of_one_call_share_its_time() -> None:
    """Three of them have a third each, and what the ones before have left."""
    server = SlowServer(MANY, 0.2)
    async with answering(server.answer, FOUR_SECONDS, server.clock) as backend:
        with one_call(operations=3):
            first = await backend.issues(SHOP, IssueFilter(), 10_000, unheard)
            second = await backend.issues(SHOP, IssueFilter(), 200, unheard)
            third = await backend.issues(SHOP, IssueFilter(), 10_000, unheard)
            server.now = 4.1
            with pytest.raises(UnavailableError, match="no time is left"):
                await backend.issues(SHOP, IssueFilter(), 200, unheard)
        assert (await backend.issues(SHOP, IssueFilter(), 200, unheard)).coverage.seen == 200
    assert [it.coverage.seen for it in (first, second, third)] == [1_000, 200, 2_000]


async def test_nothing_is_asked_of_a_server_for_a_parameter_that_cannot_be() -> None:
    server = IssueServer([])

    async def ask(backend: LiveBackend) -> None:
        for wrong in (
            backend.find_issues("short", unheard),
            backend.find_issues("abcdef01", unheard, project_id="../x"),
            backend.issues("../x", IssueFilter(), 1, unheard),
            backend.issues(SHOP, IssueFilter(), 0, unheard),
            backend.issues(SHOP, IssueFilter(), 1, unheard, since="then"),
            backend.examine(SHOP, "../x", latest=5, progress=unheard),
            backend.examine(SHOP, id_of(1), latest=0, progress=unheard),
            backend.overview("../x", unheard),
            backend.coincidences("../x", None, unheard),
            backend.coincidences(SHOP, "../x", unheard),
        ):
            with pytest.raises(InvalidInputError):
                await wrong

    async with answering(server.answer) as backend:
        await ask(backend)
    assert server.asked == []


async def test_an_answer_of_another_issue_is_told() -> None:
    async def another(request: Request) -> Response:
        if request.url.path == IN_SHOP:
            return JSONResponse({"issues": [issue(1), issue(2)], "cursor": None, "has_more": False})
        fields: Row = {"occurrences": [], "occurrence_cursor": None, "occurrence_has_more": False, "comments": []}
        return JSONResponse(IssueDetail.model_validate(issue(3) | fields | {"attachments": []}).model_dump())

    async with answering(another) as backend:
        for one in (None, id_of(1)):
            with pytest.raises(UnavailableError, match="not of what was asked for"):
                await backend.coincidences(SHOP, one, unheard)
