"""Every operation under every fault, over real sockets, with the store behind looked at afterwards."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import (
    EndpointError,
    FateUnknownError,
    ForbiddenMoveError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from tests.faults import proxy as proxies
from tests.faults.proxy import FaultyProxy, faulty_proxy
from tests.faults.table import DOCUMENT, EVENT, FAULTS, READS, SESSION, SHOP, TIMEOUT, TRIAGE, WRITES, document, outcome
from tests.world import SECRETS, SYMBOLS, FakeClock, HttpFace, World

ISSUE = f"/v1/projects/{SHOP}/issues/{TIMEOUT}"
TIMEOUTS = Timeouts(connect=2.0, read=0.4, call=10.0)


class FakeTime:
    """Pauses pass at once, and count."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.on_pause: list[object] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
async def proxy(world: World, http_face: HttpFace) -> AsyncIterator[FaultyProxy]:
    http_face.store = world.store
    world.store.write(let_there_be_an_event)
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as between:
        yield between


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
async def backend(proxy: FaultyProxy, time: FakeTime) -> AsyncIterator[LiveBackend]:
    wire = Wire(
        f"http://127.0.0.1:{proxy.port}",
        SECRETS["agent"],
        TIMEOUTS,
        sleep=time.sleep,
        clock=time.clock,
        jitter=lambda: 1.0,
    )
    live = LiveBackend(wire, FakeClock())
    yield live
    await live.aclose()


def let_there_be_an_event(tx: Transaction) -> None:
    """And let the agent read it."""
    at = "2026-10-20T12:00:00.000Z"
    event = {
        "id": EVENT, "app_id": SYMBOLS["ios"], "is_dev": False, "session_id": SESSION, "level": "info",
        "message": "Tapped pay", "timestamp": at, "received_at": at,
    }  # fmt: skip
    import_document(tx, read_document(json.dumps({"events": [event]})))
    may = json.dumps(["issues:read", "issues:write", "projects:read", "events:read"])
    tx.run("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", (may,))


def is_write(request: bytes) -> bool:
    return not request.startswith(b"GET")


def state(world: World) -> dict[str, object]:
    """How often each of the writes has been done."""

    def work(tx: Transaction) -> dict[str, object]:
        def count(sql: str) -> int:
            return int(tx.one(sql)[0])

        return {
            "update_status": count("SELECT count(*) FROM audit WHERE action = 'issue.status'"),
            "merge": count("SELECT count(*) FROM audit WHERE action = 'issue.merge'"),
            "add_comment": count("SELECT count(*) FROM comments WHERE body = 'Found it.'"),
            "edit_comment": count("SELECT count(*) FROM comments WHERE body = 'Edited.'"),
            "delete_comment": count("SELECT count(*) FROM audit WHERE action = 'comment.delete'"),
        }

    return world.store.read(work)


UNTOUCHED = dict.fromkeys(WRITES, 0)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", WRITES)
async def test_a_write_that_meets_a_fault_is_done_once_or_said_to_be_unknown(
    world: World, proxy: FaultyProxy, backend: LiveBackend, operation: str, fault: str
) -> None:
    proxy.faults, proxy.applies = [FAULTS[fault]], is_write
    expected = outcome(operation, fault)
    if expected.startswith("said to be unknown"):
        with pytest.raises(FateUnknownError, match="It is not known whether the comment was added") as said:
            await WRITES[operation](backend)
        assert "Look before you try again" in said.value.hint
        assert state(world) == UNTOUCHED
        return
    answer = await WRITES[operation](backend)
    assert state(world) == UNTOUCHED | {operation: 1}
    match operation:
        case "update_status":
            assert (answer.status, answer.app_name) == ("in_progress", None)
        case "merge":
            assert (answer.id, answer.occurrence_count) == (TIMEOUT, 5)
        case "add_comment" | "edit_comment":
            (kept,) = [
                row for row in await world.acting_as("agent").list_comments(SHOP, TIMEOUT) if row.id == answer.id
            ]
            assert answer == kept
        case _:
            assert answer is None or answer is True


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("operation", [*READS, *TRIAGE])
async def test_a_read_that_meets_a_fault_is_answered_all_the_same(
    world: World, proxy: FaultyProxy, backend: LiveBackend, operation: str, fault: str
) -> None:
    read = (READS | TRIAGE)[operation]
    expected = await read(backend)
    proxy.faults = [FAULTS[fault]]
    if outcome(operation, fault) != "answered":
        with pytest.raises(UnavailableError, match=r"the server's answer lacks .*id"):
            await read(backend)
    else:
        assert await read(backend) == expected
    assert state(world) == UNTOUCHED


@pytest.mark.parametrize("operation", [*READS, *WRITES])
async def test_a_refused_connection_is_tried_again(
    world: World, proxy: FaultyProxy, backend: LiveBackend, time: FakeTime, operation: str
) -> None:
    await proxy.refuse()

    async def sleep(seconds: float) -> None:
        time.pauses.append(seconds)
        if len(time.pauses) == 2:
            await proxy.listen()

    backend._wire._sleep = sleep  # noqa: SLF001 - the pause is when the server comes back
    await (READS | WRITES)[operation](backend)
    assert len(time.pauses) == 2
    assert time.pauses[0] < time.pauses[1]
    assert state(world) == (UNTOUCHED | {operation: 1} if operation in WRITES else UNTOUCHED)


@pytest.mark.parametrize("operation", [*READS, *WRITES])
async def test_a_server_that_stays_away_is_told_after_a_few_attempts(
    world: World, proxy: FaultyProxy, backend: LiveBackend, time: FakeTime, operation: str
) -> None:
    await proxy.refuse()
    with pytest.raises(
        UnavailableError, match=rf"The Owlmetry server at 127.0.0.1:{proxy.port} cannot be used now"
    ) as said:
        await (READS | WRITES)[operation](backend)
    assert "Nothing was changed. Check OWLMETRY_ENDPOINT" in said.value.hint
    assert len(time.pauses) == 3
    assert state(world) == UNTOUCHED


@pytest.mark.parametrize("operation", WRITES)
async def test_a_write_of_which_nothing_can_be_found_out_is_said_to_be_unknown(
    world: World, proxy: FaultyProxy, backend: LiveBackend, operation: str
) -> None:
    """The request went through; from then on the server is away."""
    gone = False

    async def last_words(exchange: proxies.Exchange) -> None:
        nonlocal gone
        gone = True
        await exchange.forward()

    proxy.faults = [last_words, *[proxies.cut_before] * 50]
    proxy.applies = lambda request: gone or is_write(request)
    with pytest.raises(FateUnknownError, match="It is not known whether"):
        await WRITES[operation](backend)
    assert state(world) == UNTOUCHED | {operation: 1}


@pytest.mark.parametrize("operation", WRITES)
async def test_a_write_that_is_always_lost_is_said_to_be_unknown(
    world: World, proxy: FaultyProxy, backend: LiveBackend, operation: str
) -> None:
    """Each of the requests may yet arrive. A comment is sent once, whatever comes of it."""
    proxy.faults, proxy.applies = [proxies.cut_before] * 50, is_write
    with pytest.raises(FateUnknownError, match="It is not known whether"):
        await WRITES[operation](backend)
    assert state(world) == UNTOUCHED
    assert sum(not line.startswith("GET") for line in proxy.requests) == (1 if operation == "add_comment" else 4)


@pytest.mark.parametrize("operation", [*READS, *WRITES])
async def test_a_name_that_is_not_found_is_told(operation: str) -> None:
    time = FakeTime()
    live = LiveBackend(Wire("http://owl.invalid", "owl_agent_x", TIMEOUTS, sleep=time.sleep, clock=time.clock))
    with pytest.raises(UnavailableError, match=r"The Owlmetry server at owl.invalid cannot be used now: .+") as said:
        await (READS | WRITES)[operation](live)
    assert "Nothing was changed" in said.value.hint
    await live.aclose()


async def test_retry_after_is_kept_to_within_the_time_given(
    proxy: FaultyProxy, backend: LiveBackend, time: FakeTime
) -> None:
    proxy.faults = [proxies.throttled_for_a_while]
    await backend.whoami()
    assert time.pauses == [2.0]

    async def for_an_hour(exchange: proxies.Exchange) -> None:
        await exchange.respond(429, b'{"error": "x"}', "application/json", "Retry-After: 3600\r\n")

    proxy.faults = [for_an_hour]
    with pytest.raises(UnavailableError, match="too many requests"):
        await backend.whoami()
    assert time.pauses == [2.0]


async def test_a_status_that_another_set_first_is_a_refusal_and_no_success(
    world: World, proxy: FaultyProxy, backend: LiveBackend
) -> None:
    await world.acting_as("agent2").update_status(SHOP, TIMEOUT, "in_progress")
    with pytest.raises(ForbiddenMoveError, match="Cannot transition from 'in_progress' to 'in_progress'"):
        await backend.update_status(SHOP, TIMEOUT, "in_progress")
    assert [line for line in proxy.requests if not line.startswith("GET")] == [f"PATCH {ISSUE}"]


async def test_a_status_that_another_had_set_before_is_no_success_though_our_request_was_lost(
    world: World, proxy: FaultyProxy, backend: LiveBackend
) -> None:
    await world.acting_as("agent2").update_status(SHOP, TIMEOUT, "in_progress")
    proxy.faults, proxy.applies = [proxies.cut_before], is_write
    with pytest.raises(FateUnknownError, match="Cannot transition from 'in_progress' to 'in_progress'"):
        await backend.update_status(SHOP, TIMEOUT, "in_progress")


@pytest.mark.parametrize("then", ["silenced", "snoozed"])
async def test_a_move_that_another_has_followed_up_is_not_made_again(
    world: World, proxy: FaultyProxy, backend: LiveBackend, then: str
) -> None:
    async def and_another_moves_on(exchange: proxies.Exchange) -> None:
        await exchange.forward()
        await world.acting_as("agent2").update_status(SHOP, TIMEOUT, then)

    proxy.faults, proxy.applies = [and_another_moves_on], is_write
    with pytest.raises(FateUnknownError):
        await backend.update_status(SHOP, TIMEOUT, "in_progress")
    assert (await world.acting_as("agent").get_issue(SHOP, TIMEOUT)).status == then


async def test_a_merge_of_an_issue_that_is_not_there_is_no_success(backend: LiveBackend, proxy: FaultyProxy) -> None:
    proxy.faults, proxy.applies = [proxies.cut_before], is_write
    with pytest.raises(NotFoundError, match="Source issue not found"):
        await backend.merge(SHOP, TIMEOUT, SYMBOLS["ghost"])


@pytest.mark.parametrize("arrives", [True, False])
async def test_another_agents_comment_is_not_taken_for_ours(
    world: World, proxy: FaultyProxy, backend: LiveBackend, *, arrives: bool
) -> None:
    async def and_another_says_the_same(exchange: proxies.Exchange) -> None:
        await world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "Found it.")
        if arrives:
            await exchange.forward()

    proxy.faults, proxy.applies = [and_another_says_the_same], is_write
    if arrives:
        assert (await backend.add_comment(SHOP, TIMEOUT, "Found it.")).author_name == "Triage Agent"
    else:
        with pytest.raises(FateUnknownError):
            await backend.add_comment(SHOP, TIMEOUT, "Found it.")


async def test_where_the_server_does_not_say_who_we_are_an_earlier_answer_has_to(
    proxy: FaultyProxy, backend: LiveBackend
) -> None:
    """As a real server's whoami: without the key's id and name."""

    async def nameless(exchange: proxies.Exchange) -> None:
        _, _, answer = (await exchange.forward()).partition(b"\r\n\r\n")
        whoami = {name: value for name, value in json.loads(answer).items() if name not in ("id", "name")}
        await exchange.respond(200, json.dumps(whoami).encode(), "application/json")

    proxy.applies = lambda request: is_write(request) or b"/whoami" in request
    proxy.faults = [proxies.cut_after, nameless]
    with pytest.raises(FateUnknownError):
        await backend.add_comment(SHOP, TIMEOUT, "Found it.")
    said = await backend.add_comment(SHOP, TIMEOUT, "And more.")
    proxy.faults = [proxies.cut_after]
    assert (await backend.add_comment(SHOP, TIMEOUT, "And still more.")).author_id == said.author_id


async def test_the_same_words_said_before_are_another_comment(
    world: World, proxy: FaultyProxy, backend: LiveBackend
) -> None:
    await backend.add_comment(SHOP, TIMEOUT, "Found it.")
    await world.acting_as("agent").add_comment(SHOP, TIMEOUT, "Found it.")
    proxy.faults, proxy.applies = [proxies.cut_before], is_write
    with pytest.raises(FateUnknownError):
        await backend.add_comment(SHOP, TIMEOUT, "Found it.")


async def test_the_same_words_said_twice_at_once_are_two_comments_or_said_to_be_unknown(
    world: World, proxy: FaultyProxy, backend: LiveBackend
) -> None:
    proxy.faults, proxy.applies = [proxies.cut_after, proxies.cut_before], is_write
    said = [backend.add_comment(SHOP, TIMEOUT, "Found it.") for _ in range(2)]
    outcomes = await asyncio.gather(*said, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Comment", "FateUnknownError"]
    assert state(world)["add_comment"] == 1


async def test_a_key_that_the_server_repeats_is_in_no_error(proxy: FaultyProxy, backend: LiveBackend) -> None:
    async def repeat(exchange: proxies.Exchange) -> None:
        authorization = re.search(rb"(?i)authorization: ([^\r]*)", exchange.request)
        assert authorization
        await exchange.respond(401, b'{"error": "Who is %s?"}' % authorization[1], "application/json")

    proxy.faults = [repeat]
    with pytest.raises(UnauthenticatedError, match=r"Who is Bearer \[the key\]\?"):
        await backend.whoami()


@pytest.mark.parametrize(
    "header",
    [
        "Date: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Retry-After: 1e999",
        "Retry-After: Mon, 01 Jan 99999999999999999999 00:00:00 +9999999999",
    ],
)
async def test_a_strange_header_is_no_matter(proxy: FaultyProxy, backend: LiveBackend, header: str) -> None:
    async def strange(exchange: proxies.Exchange) -> None:
        await exchange.respond(429, b"{}", "application/json", f"{header}\r\n")

    proxy.faults = [strange]
    await backend.whoami()


async def test_a_proxy_in_the_environment_is_not_shown_the_key(
    proxy: FaultyProxy, backend: LiveBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "nonsense")
    other = LiveBackend(Wire(f"http://127.0.0.1:{proxy.port}", SECRETS["agent"], TIMEOUTS))
    await other.whoami()
    await other.aclose()
    assert backend


async def test_a_redirect_is_not_followed_and_the_key_goes_nowhere_else(
    proxy: FaultyProxy, backend: LiveBackend
) -> None:
    async def elsewhere(exchange: proxies.Exchange) -> None:
        await exchange.respond(302, b"", extra="Location: http://127.0.0.2:1/v1/auth/whoami\r\n")

    proxy.faults = [elsewhere] * 9
    with pytest.raises(EndpointError, match=r"redirects to 127\.0\.0\.2, and redirects are not followed"):
        await backend.whoami()
    assert len(proxy.requests) == 1


async def test_the_key_is_in_no_error_and_no_repr(proxy: FaultyProxy, backend: LiveBackend) -> None:
    await proxy.refuse()
    with pytest.raises(UnavailableError) as said:
        await backend.whoami()
    chain: BaseException | None = said.value
    while chain:
        assert SECRETS["agent"] not in f"{chain} {chain!r}"
        chain = chain.__cause__ or chain.__context__
    assert SECRETS["agent"] not in f"{backend._wire} {vars(backend)}"  # noqa: SLF001


def test_the_documented_table_is_the_one_that_is_proved() -> None:
    assert DOCUMENT.read_text() == document()
