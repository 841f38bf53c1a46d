"""The live backend against servers that are not ours: the traps of the real one, and answers of any shape."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.http.listener import listen
from owlmetry_mcp.issues.errors import (
    EndpointError,
    ForbiddenMoveError,
    InvalidInputError,
    OwlmetryError,
    UnavailableError,
)
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import STATUSES
from tests.faults.table import READS, TRIAGE, WRITES
from tests.triage_rows import id_of
from tests.world import FIXTURE, SYMBOLS, no_wait

SHOP, BUSY = SYMBOLS["shop"], SYMBOLS["i_busy"]
Handler = Callable[[Request], Awaitable[Response]]


@contextmanager
def listening(handler: Handler, certificate: Path | None = None) -> Iterator[str]:
    """The endpoint of a server that answers every request so; by TLS with a file of a certificate and its key."""
    methods = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", handler, methods=methods)])
    with listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=1,
            ssl_certfile=certificate,
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http{'s' if certificate else ''}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@asynccontextmanager
async def answering(
    handler: Handler, timeouts: Timeouts | None = None, clock: Callable[[], float] = time.monotonic
) -> AsyncIterator[LiveBackend]:
    """A live backend of a server that answers every request so."""
    with listening(handler) as endpoint:
        live = LiveBackend(Wire(endpoint, "owl_agent_x", timeouts, sleep=no_wait, clock=clock))
        try:
            yield live
        finally:
            await live.aclose()


OCCURRENCES = sorted(
    (row for row in FIXTURE["occurrences"] if row["issue_id"] == BUSY), key=lambda row: row["timestamp"], reverse=True
)
ISSUE = next(row for row in FIXTURE["issues"] if row["id"] == BUSY) | {"fingerprints": [], "app_name": "Shop API"}


async def lossy(request: Request) -> Response:
    """Pages as the real server gives them, but of 20 at the most: its cursors lose rows, or repeat them."""
    query = request.query_params
    begin = 0
    if cursor := query.get("occurrence_cursor"):
        index = [row["id"] for row in OCCURRENCES].index(cursor)
        begin = index - 1 if index < 40 else index + 6
    rows = OCCURRENCES[begin : begin + 20]
    more = begin + 20 < len(OCCURRENCES)
    page = {"occurrences": rows, "occurrence_cursor": rows[-1]["id"] if more else None, "occurrence_has_more": more}
    return JSONResponse(ISSUE | page | {"comments": [], "attachments": []})


async def test_occurrences_of_a_server_that_loses_and_repeats_them_come_once_and_are_counted() -> None:
    met: list[str] = []
    cursor = None
    async with answering(lossy) as backend:
        while True:
            page = await backend.get_issue(SHOP, BUSY, occurrence_cursor=cursor, occurrence_limit=15)
            met += [row.id for row in page.occurrences]
            if not (cursor := page.occurrence_cursor):
                break
    assert not page.occurrence_has_more
    assert len(met) == len(set(met)) == page.occurrences_seen
    assert page.occurrences_seen < page.occurrence_count == 120
    order = [row["id"] for row in OCCURRENCES]
    instants = {row["id"]: row["timestamp"] for row in OCCURRENCES}
    assert [instants[id_] for id_ in met] == sorted((instants[id_] for id_ in met), reverse=True)
    assert set(met) < set(order)


@pytest.mark.parametrize(
    ("instants", "asked", "seen"),
    [
        ([3, 2, 1], ["3"], None),
        ([3, 2], ["3"], 2),
        ([3, 2, 2, 1], ["3", "200"], 4),
        ([3], ["3"], 1),
    ],
    ids=["more behind it", "all there are", "one of the same instant behind it", "fewer than asked for"],
)
async def test_a_first_page_is_asked_for_alone_where_the_next_can_tell_what_it_showed(
    instants: list[int], asked: list[str], seen: int | None
) -> None:
    rows = [
        OCCURRENCES[0]
        | {"id": f"0000000{place}-0000-4000-8000-000000000000", "timestamp": f"2026-10-2{day}T00:00:00.000Z"}
        for place, day in enumerate(instants)
    ]
    limits: list[str] = []

    async def detail(request: Request) -> Response:
        limit = request.query_params["occurrence_limit"]
        limits.append(limit)
        page = rows[: int(limit)]
        more = len(page) < len(rows)
        cursor = {"occurrence_cursor": page[-1]["id"] if more else None, "occurrence_has_more": more}
        return JSONResponse(ISSUE | cursor | {"occurrences": page, "comments": [], "attachments": []})

    async with answering(detail) as backend:
        page = await backend.get_issue(SHOP, BUSY, occurrence_limit=2)
    shown = sorted(rows, key=lambda row: (row["timestamp"], row["id"]), reverse=True)[:2]
    assert [row.id for row in page.occurrences] == [row["id"] for row in shown]
    assert page.occurrence_has_more == (len(rows) > 2)
    assert (limits, page.occurrences_seen) == (asked, seen)


async def test_occurrences_are_asked_for_further_where_a_server_shows_fewer_than_asked_in_an_order_of_its_own() -> None:
    instants = [3, 5, 4, 1, 2]
    rows = [
        OCCURRENCES[0] | {"id": id_of(place), "timestamp": f"2026-10-2{day}T00:00:00.000Z"}
        for place, day in enumerate(instants)
    ]

    async def detail(request: Request) -> Response:
        cursor = request.query_params.get("occurrence_cursor")
        begin = 1 + [row["id"] for row in rows].index(cursor) if cursor else 0
        page = rows[begin : begin + 3]
        more = begin + 3 < len(rows)
        paging = {"occurrence_cursor": page[-1]["id"] if more else None, "occurrence_has_more": more}
        return JSONResponse(ISSUE | paging | {"occurrences": page, "comments": [], "attachments": []})

    async with answering(detail) as backend:
        for limit, shown in ((2, "54"), (3, "543"), (4, "5432")):
            page = await backend.get_issue(SHOP, BUSY, occurrence_limit=limit)
            assert "".join(row.timestamp[9] for row in page.occurrences) == shown
            assert page.occurrence_has_more


async def test_the_team_level_list_is_asked_by_data_mode_and_nothing_wrong_is_sent() -> None:
    asked: list[str] = []

    async def listing(request: Request) -> Response:
        asked.append(str(request.url).partition("?")[2])
        return JSONResponse({"issues": [], "cursor": None, "has_more": False})

    async with answering(listing) as backend:
        await backend.list_team_issues(IssueFilter(is_dev=True))
        await backend.list_team_issues(IssueFilter(is_dev=False, data_mode="all"))
        await backend.list_team_issues(IssueFilter(), limit=1000)
        for wrong in (
            backend.list_team_issues(IssueFilter(status="bogus")),
            backend.list_issues("nope", IssueFilter()),
            backend.update_status(SHOP, BUSY, "closed"),
            backend.get_issue(SHOP, "../../etc"),
        ):
            with pytest.raises(InvalidInputError):
                await wrong
    assert asked == [
        "data_mode=development&limit=50",
        "data_mode=production&limit=50",
        "data_mode=production&limit=200",
    ]


@pytest.mark.parametrize("before", STATUSES)
async def test_a_forbidden_move_names_the_allowed_ones(before: str) -> None:
    async def refuse(_: Request) -> Response:
        return JSONResponse({"error": f"Cannot transition from '{before}' to 'new'"}, 400)

    async with answering(refuse) as backend:
        with pytest.raises(ForbiddenMoveError, match=rf"From {before}: \w+, \w+"):
            await backend.update_status(SHOP, BUSY, "new")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {"projects": [{"id": SHOP, "team_id": SHOP, "name": "Shop", "slug": "shop"}]},
            r"lacks projects\[0\]\.created_at",
        ),
        ({"project": []}, "lacks projects"),
        ([], "lacks projects"),
        ({"projects": [5]}, r"has projects\[0\]"),
        ({"projects": {}}, "has projects"),
    ],
)
async def test_an_answer_that_lacks_something_is_told(body: Any, said: str) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse(body)

    async with answering(answer) as backend:
        with pytest.raises(UnavailableError, match=said):
            await backend.list_projects()


async def test_fields_that_are_not_known_are_let_through() -> None:
    async def answer(_: Request) -> Response:
        row = {"id": SHOP, "team_id": SHOP, "name": "Shop", "slug": "shop", "created_at": "2026-10-21T00:00:00.000Z"}
        return JSONResponse({"projects": [row | {"color": "#0ea5e9"}], "total": 1})

    async with answering(answer) as backend:
        assert [project.name for project in await backend.list_projects()] == ["Shop"]


@pytest.mark.parametrize(("status", "kind"), [(404, EndpointError), (400, EndpointError), (418, EndpointError)])
async def test_a_refusal_in_another_form_is_no_owlmetry(status: int, kind: type[OwlmetryError]) -> None:
    async def answer(_: Request) -> Response:
        return JSONResponse({"message": "nope"}, status)

    async with answering(answer) as backend:
        with pytest.raises(kind, match=rf"\({status}\)"):
            await backend.whoami()


async def test_a_page_of_a_proxy_is_named_as_one() -> None:
    async def answer(_: Request) -> Response:
        return Response("<html><head><title>Welcome to nginx!</title></head></html>", 200, media_type="text/html")

    async with answering(answer) as backend:
        with pytest.raises(UnavailableError, match='an HTML page titled "Welcome to nginx!", as a proxy does'):
            await backend.whoami()


@pytest.mark.parametrize(("location", "named"), [("http://[::1", "what is no address"), ("/", "another address")])
async def test_a_redirect_to_anywhere_is_told(location: str, named: str) -> None:
    async def answer(_: Request) -> Response:
        return Response(status_code=302, headers={"location": location})

    async with answering(answer) as live:
        with pytest.raises(EndpointError, match=f"The server redirects to {named}, and redirects are not followed"):
            await live.list_projects()


async def test_the_whole_call_stays_within_the_time_given() -> None:
    async def never(_: Request) -> Response:
        await anyio.sleep_forever()
        raise AssertionError

    began = anyio.current_time()
    async with answering(never, Timeouts(connect=1, read=0.3, call=0.7)) as backend:
        with pytest.raises(OwlmetryError):
            await backend.add_comment(SHOP, BUSY, "x")
        assert anyio.current_time() - began < 5


async def test_cancelling_the_call_cancels_the_request() -> None:
    arrived = []

    async def never(request: Request) -> Response:
        arrived.append(request.method)
        if request.method == "POST":
            await anyio.sleep_forever()
        return JSONResponse({"comments": []})

    async with answering(never, Timeouts(read=60, call=60)) as backend:
        with anyio.move_on_after(0.5) as scope:
            await backend.add_comment(SHOP, BUSY, "x")
        assert scope.cancelled_caught
        assert arrived == ["GET", "POST"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [*ISSUE, "issues", "projects", "comments", "occurrences", "error", "type"]
SHAPED = st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON))
ANSWERS = (JSON | SHAPED).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)


async def test_any_answer_at_all_gives_a_result_or_one_of_our_errors() -> None:
    body, status = b"", 200

    async def answer(_: Request) -> Response:
        return Response(body, status, media_type="application/json")

    async with answering(answer) as backend:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(ANSWERS, st.sampled_from([200, 201, 204, 400, 401, 403, 404, 409, 422]))
        def generate(content: bytes, code: int) -> None:
            examples.append((content, code))

        examples: list[tuple[bytes, int]] = []
        generate()
        for number, (content, code) in enumerate(examples):
            body, status = (b"" if code == 204 else content), code
            operations = [*(READS | TRIAGE | WRITES).values()]
            for operation in (operations[number % len(operations)], operations[(number + 7) % len(operations)]):
                with suppress(OwlmetryError):
                    await operation(backend)
