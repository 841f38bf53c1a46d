"""Events over HTTP: what a server is asked for, and the trail to an event, from servers that page, repeat and lose."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from owlmetry_mcp.backends.live import Timeouts
from owlmetry_mcp.backends.live.events import MAX_PAGES, WINDOWS
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, PermissionDeniedError, UnavailableError
from owlmetry_mcp.issues.events import BREADCRUMBS_AFTER
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.issues.models import Event, EventDetail
from tests.test_live import answering
from tests.world import SYMBOLS

SESSION, OTHER_SESSION = "f8ac29d3-ea8f-538f-a4d5-3a607bd16e4f", "0b530b59-26e7-4bc6-a9da-167f4066bd78"
NOON = datetime(2026, 10, 21, 12, tzinfo=UTC)
DAY = 24 * 60 * 60

Row = dict[str, Any]


def named(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def event(number: int, seconds: float, **fields: Any) -> Row:
    """An event so long after noon."""
    at = times.to_text(NOON + timedelta(seconds=seconds))
    row: Row = dict.fromkeys(Event.model_fields)
    return row | {
        "id": named(number),
        "app_id": SYMBOLS["ios"],
        "session_id": SESSION,
        "level": "info",
        "message": f"event {number}",
        "is_dev": False,
        "timestamp": at,
        "received_at": at,
        **fields,
    }


def numbers(found: Sequence[Event]) -> list[int]:
    return [int(row.id[:8]) for row in found]


class EventServer:
    """A server with these events. Those of other sessions and of either mode are listed too."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = sorted(rows, key=lambda row: row["timestamp"])
        self.hidden: set[str] = set()
        """Ids that no list shows."""
        self.repeated = 0
        """So many rows of a page stand on the next one again."""
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: Request) -> Response:
        _, _, event_id = request.url.path.partition("/v1/events/")
        if event_id:
            (row,) = (row for row in self.rows if row["id"] == event_id)
            return JSONResponse(row | {"project_id": SYMBOLS["shop"], "attachments": []})
        query = dict(request.query_params)
        self.asked.append(query)
        rows = [row for row in self.rows if row["timestamp"] >= query["since"] and row["id"] not in self.hidden]
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
        end = begin + limit
        more = end < len(rows)
        cursor = str(end - self.repeated) if more else None
        return JSONResponse({"events": rows[begin:end], "cursor": cursor, "has_more": more})

    @property
    def windows(self) -> list[timedelta]:
        """How long before noon each list began."""
        return [NOON - datetime.fromisoformat(query["since"]) for query in self.asked]


async def test_an_event_is_answered_whole() -> None:
    row = event(1, 0, custom_attributes={"_error_stack": "at pay", "amount": "42"}, level="error", country_code="NO")
    async with answering(EventServer([row]).answer) as backend:
        found = await backend.get_event(named(1).upper())
    assert found == EventDetail.model_validate(row | {"project_id": SYMBOLS["shop"], "attachments": []})


async def test_a_list_is_asked_for_as_the_server_takes_it_and_nothing_wrong_is_sent() -> None:
    asked: list[dict[str, str]] = []

    async def listing(request: Request) -> Response:
        asked.append(dict(request.query_params))
        return JSONResponse({"events": [event(1, 0)], "cursor": "next", "has_more": True})

    async with answering(listing) as backend:
        page = await backend.list_events(EventFilter(SESSION.upper()))
        wanted = EventFilter(SESSION, "2026-10-21T12:00:00+02:00", "error,warn", "all", "asc")
        await backend.list_events(wanted, cursor=page.cursor, limit=1000)
        for wrong in (
            backend.list_events(EventFilter()),
            backend.list_events(EventFilter("nope")),
            backend.list_events(EventFilter(SESSION, since="yesterday")),
            backend.list_events(EventFilter(SESSION, level="fatal")),
            backend.list_events(EventFilter(SESSION, data_mode="dev")),
            backend.list_events(EventFilter(SESSION, order="up")),
            backend.list_events(EventFilter(SESSION), limit=0),
            backend.get_event("../whoami"),
            backend.get_breadcrumbs("nope"),
            backend.get_breadcrumbs(named(1), limit=0),
        ):
            with pytest.raises(InvalidInputError):
                await wrong
    assert (numbers(page.events), page.cursor, page.has_more) == ([1], "next", True)
    assert asked == [
        {
            "session_id": SESSION,
            "since": "1970-01-01T00:00:00.000Z",
            "data_mode": "production",
            "order": "desc",
            "limit": "50",
        },
        {
            "session_id": SESSION,
            "since": "2026-10-21T10:00:00.000Z",
            "level": "error,warn",
            "data_mode": "all",
            "order": "asc",
            "cursor": "next",
            "limit": "200",
        },
    ]


OPERATIONS: dict[str, Any] = {
    "get_event": lambda to: to.get_event(named(1)),
    "list_events": lambda to: to.list_events(EventFilter(SESSION)),
    "get_breadcrumbs": lambda to: to.get_breadcrumbs(named(1)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_key_that_may_not_read_events_is_told_what_it_lacks(operation: str) -> None:
    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": "Missing permission: events:read"}, 403)

    async with answering(refuse) as backend:
        with pytest.raises(PermissionDeniedError, match="events:read") as said:
            await OPERATIONS[operation](backend)
    assert said.value.hint == "Ask for a key that has it; whoami shows what this one has."


async def test_an_event_that_is_gone_is_told_with_where_to_look() -> None:
    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": "Event not found"}, 404)

    async with answering(refuse) as backend:
        for operation in (backend.get_event, backend.get_breadcrumbs):
            with pytest.raises(NotFoundError, match="Event not found") as said:
                await operation(named(1))
            assert "kept for a limited time; get_issue shows the occurrences" in said.value.hint


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "answer", [{}, [], None, {"events": 5}, {"events": [{}], "cursor": None, "has_more": False}, event(2, 0)]
)
async def test_an_answer_that_is_none_or_of_another_event_is_told(operation: str, answer: Any) -> None:
    async def answered(_: Request) -> Response:
        return JSONResponse(answer)

    async with answering(answered) as backend:
        with pytest.raises(UnavailableError, match="answers in a form that is not known"):
            await OPERATIONS[operation](backend)


# The trail to an event


async def trail(server: EventServer, number: int, **arguments: int) -> list[int]:
    async with answering(server.answer) as backend:
        return numbers(await backend.get_breadcrumbs(named(number), **arguments))


async def test_the_latest_events_up_to_it_are_shown_and_five_after() -> None:
    server = EventServer([event(second, second - 300) for second in range(400)])
    assert await trail(server, 300, limit=20) == [*range(281, 306)]
    assert server.windows == [*WINDOWS[:2]]
    assert all((query["data_mode"], query["order"]) == ("all", "asc") for query in server.asked)


async def test_no_longer_window_is_asked_for_than_it_takes() -> None:
    server = EventServer([event(second, second - 300) for second in range(400)])
    assert await trail(server, 300, limit=11) == [*range(290, 306)]
    assert await trail(server, 300, limit=1) == [*range(300, 306)]
    assert server.windows == [WINDOWS[0]] * 2


async def test_of_a_quiet_session_a_day_is_shown() -> None:
    server = EventServer([event(0, -DAY - 1), event(1, -DAY), event(2, -7_200), event(3, -5), event(4, 0)])
    assert await trail(server, 4) == [1, 2, 3, 4]
    assert server.windows == [*WINDOWS]


async def test_a_window_is_walked_page_by_page_as_far_as_it_takes() -> None:
    server = EventServer([event(number, (number - 500) / 60) for number in range(3_000)])
    assert await trail(server, 500, limit=200) == [*range(301, 506)]
    assert [query.get("cursor") for query in server.asked] == [None, "200", "400"]


async def test_where_a_window_holds_too_much_the_narrower_one_is_kept() -> None:
    server = EventServer([event(number, 60 * (number - 1_200)) for number in range(2_000)])
    assert await trail(server, 1_200, limit=200) == [*range(1_140, 1_206)]
    assert server.windows == [*WINDOWS[:3], *[WINDOWS[3]] * MAX_PAGES]


async def test_where_every_window_holds_too_much_the_event_is_shown() -> None:
    server = EventServer([event(number, (number - 2_000) / 1_000) for number in range(2_100)])
    assert await trail(server, 2_000) == [2_000]
    assert server.windows == [WINDOWS[0]] * MAX_PAGES


async def test_repeated_rows_are_shown_once() -> None:
    server = EventServer([event(number, (number - 500) / 60) for number in range(600)])
    server.repeated = 7
    assert await trail(server, 500, limit=200) == [*range(301, 506)]


async def test_other_sessions_and_the_other_mode_are_left_out() -> None:
    rows = [event(number, number - 8) for number in range(16)]
    for row in rows[0:8:2]:
        row["session_id"] = OTHER_SESSION
    for row in rows[9:16:2]:
        row["is_dev"] = True
    assert await trail(EventServer(rows), 8) == [1, 3, 5, 7, 8, 10, 12, 14]
    assert await trail(EventServer(rows), 9) == [9, 11, 13, 15]


async def test_events_of_one_instant_stay_as_the_server_has_them() -> None:
    server = EventServer([event(number, 0) for number in (5, 2, 9, 4, 7)])
    assert await trail(server, 9) == [5, 2, 9, 4, 7]
    assert await trail(server, 9, limit=2) == [2, 9, 4, 7]


async def test_an_event_that_the_list_does_not_show_is_shown() -> None:
    server = EventServer([event(number, min(number - 5, 0) + max(number - 7, 0)) for number in range(15)])
    server.hidden = {named(6)}
    assert await trail(server, 6) == [0, 1, 2, 3, 4, 5, 7, 6, 8, 9, 10, 11, 12]
    server.hidden = {row["id"] for row in server.rows}
    assert await trail(server, 6) == [6]


async def test_of_any_session_the_trail_is_the_same_as_from_all_its_events_at_once() -> None:
    chance = random.Random(1)  # noqa: S311 - for examples, not for secrets
    for _ in range(30):
        spread = chance.choice([1, 60, 3_600, DAY])
        rows = [
            event(number, round(chance.uniform(-spread, spread / 10), 1)) for number in range(chance.randint(1, 900))
        ]
        rows.append(event(999, 0))
        server = EventServer(rows)
        limit = chance.choice([1, 20, 200])
        everything = [int(row["id"][:8]) for row in server.rows]
        end = everything.index(999) + 1
        assert await trail(server, 999, limit=limit) == everything[max(end - limit, 0) : end + BREADCRUMBS_AFTER]


async def test_a_server_whose_pages_never_end_is_asked_a_few_times() -> None:
    asked = 0

    async def endless(request: Request) -> Response:
        nonlocal asked
        asked += 1
        if request.url.path.endswith(named(2)):
            return JSONResponse(event(2, 0))
        return JSONResponse({"events": [event(1, -1), event(2, 0)], "cursor": "again", "has_more": True})

    async with answering(endless) as backend:
        assert numbers(await backend.get_breadcrumbs(named(2))) == [1, 2]
    assert asked == 1 + len(WINDOWS) * MAX_PAGES


async def test_all_its_requests_stay_within_the_time_given() -> None:
    async def slow(request: Request) -> Response:
        if request.url.path.endswith(named(2)):
            return JSONResponse(event(2, 0))
        await anyio.sleep(0.2)
        return JSONResponse({"events": [event(1, -1)], "cursor": "again", "has_more": True})

    began = anyio.current_time()
    async with answering(slow, Timeouts(connect=1, read=0.5, call=0.7)) as backend:
        with pytest.raises(UnavailableError, match="cannot be used now"):
            await backend.get_breadcrumbs(named(2))
        assert anyio.current_time() - began < 1.5


async def crumbs_of(timestamp: str) -> list[int]:
    server = EventServer([event(1, 0, timestamp=timestamp)])
    async with answering(server.answer) as backend:
        return numbers(await backend.get_breadcrumbs(named(1)))


async def test_an_event_at_the_beginning_of_time_has_a_trail() -> None:
    assert await crumbs_of("0001-01-01T00:00:00.000Z") == [1]


@pytest.mark.parametrize("timestamp", ["", "noon", "2026-10-21T12:00:00", "2026-13-01T00:00:00Z"])
async def test_a_timestamp_that_names_no_instant_is_told(timestamp: str) -> None:
    with pytest.raises(UnavailableError, match=r"has timestamp: \""):
        await crumbs_of(timestamp)
