"""What clients hear of changes to what they listen to, in both eras of the protocol, whoever made them."""

import json
import logging
import subprocess
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp.client.session import IncomingMessage
from mcp.server.subscriptions import ResourceUpdated
from mcp_types import INVALID_PARAMS, ResourceUpdatedNotification
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.store import access
from owlmetry_mcp.backends.store.backend import StoreBackend, acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import StoreError
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.server.watch import MAX_WATCHED, Intervals
from tests.documents import ERAS, read, server_of
from tests.test_live import answering
from tests.test_stdio import COMMAND, message, served
from tests.world import SECRETS, SYMBOLS, LiveWorld, World

SHOP, TIMEOUT, CLAIMED = SYMBOLS["shop"], SYMBOLS["i_timeout"], SYMBOLS["i_claimed"]
OVERVIEW_URI = f"owlmetry://projects/{SHOP}/overview"
TIMEOUT_URI = f"owlmetry://projects/{SHOP}/issues/{TIMEOUT}"
CLAIMED_URI = f"owlmetry://projects/{SHOP}/issues/{CLAIMED}"

SOON = Intervals(ask_seconds=0.01, reread_seconds=0.01)
NEVER = Intervals(ask_seconds=3_600, reread_seconds=3_600)
"""Long after the test, so that what is heard is heard for another reason."""
PATIENCE_SECONDS = 20

Hear = Callable[[], Awaitable[str]]


@asynccontextmanager
async def listening(server: Any, mode: str, *uris: str) -> AsyncIterator[tuple[Client, Hear]]:
    """A client that listens to these URIs, and what gives the next one that it is told has changed."""
    tell, told = anyio.create_memory_object_stream[str](100)

    async def on_message(message: IncomingMessage) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            await tell.send(message.params.uri)

    with tell, told:
        if mode == "legacy":
            async with Client(server, mode=mode, message_handler=on_message) as client:
                for uri in uris:
                    await subscribe(client, uri)
                yield client, lambda: _next(told)
        else:
            async with (
                Client(server, mode=mode) as client,
                client.listen(resource_subscriptions=uris) as stream,
            ):

                async def hear() -> str:
                    with anyio.fail_after(PATIENCE_SECONDS):
                        event = await anext(stream)
                    assert isinstance(event, ResourceUpdated)
                    return event.uri

                yield client, hear


async def _next(told: MemoryObjectReceiveStream[str]) -> str:
    with anyio.fail_after(PATIENCE_SECONDS):
        return await told.receive()


async def subscribe(client: Client, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.subscribe_resource(uri)


async def unsubscribe(client: Client, uri: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.unsubscribe_resource(uri)


# Who is told of what


@pytest.mark.parametrize("mode", ERAS)
async def test_the_capability_is_declared(world: World, mode: str) -> None:
    async with Client(server_of(world), mode=mode) as client:
        capabilities = client.server_capabilities
    assert capabilities.resources
    assert capabilities.resources.subscribe
    assert capabilities.prompts
    assert capabilities.completions


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_hears_when_another_connection_changes_what_it_listens_to(
    either_world: World, mode: str
) -> None:
    async with listening(server_of(either_world, intervals=SOON), mode, TIMEOUT_URI) as (client, hear):
        with Store(either_world.store.path, either_world.clock) as other:
            await acting_as(other, SECRETS["agent2"]).add_comment(SHOP, TIMEOUT, "On it.")
        assert await hear() == TIMEOUT_URI
        assert "> On it." in await read(client, TIMEOUT_URI)


@pytest.mark.parametrize("mode", ERAS)
async def test_it_hears_of_nothing_else(either_world: World, mode: str) -> None:
    async with listening(server_of(either_world, intervals=SOON), mode, TIMEOUT_URI, CLAIMED_URI) as (_, hear):
        other = either_world.acting_as("agent2")
        await other.add_comment(SHOP, SYMBOLS["i_busy"], "Elsewhere.")
        await other.add_comment(SHOP, CLAIMED, "Here.")
        assert await hear() == CLAIMED_URI  # had the other been told of, it would have come first


@pytest.mark.parametrize("mode", ERAS)
async def test_an_overview_changes_with_its_issues(either_world: World, mode: str) -> None:
    async with listening(server_of(either_world, intervals=SOON), mode, OVERVIEW_URI) as (client, hear):
        await either_world.acting_as("agent2").update_status(SHOP, TIMEOUT, "in_progress")
        assert await hear() == OVERVIEW_URI
        assert "- production: 5 new, 2 in_progress" in await read(client, OVERVIEW_URI)


async def test_the_clock_alone_changes_nothing(either_world: World) -> None:
    async with listening(server_of(either_world, intervals=SOON), "auto", OVERVIEW_URI, TIMEOUT_URI) as (client, hear):
        before = await read(client, OVERVIEW_URI)
        either_world.clock.advance(hours=2)
        assert await read(client, OVERVIEW_URI) != before  # it says when it was read
        await either_world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "Now.")
        assert await hear() == TIMEOUT_URI


@pytest.mark.parametrize("mode", ERAS)
async def test_our_own_writes_are_heard_of_at_once(either_world: World, mode: str) -> None:
    async with listening(server_of(either_world, intervals=NEVER), mode, TIMEOUT_URI) as (client, hear):
        for body in ("One.", "Two."):
            result = await client.call_tool("comment", {"issue_id": TIMEOUT, "project_id": SHOP, "body": body})
            assert not result.is_error
            assert await hear() == TIMEOUT_URI


@pytest.mark.parametrize("mode", ERAS)
async def test_the_uri_is_told_as_the_client_named_it(either_world: World, mode: str) -> None:
    named = f"owlmetry://projects/%53hop/issues/{TIMEOUT[:8].upper()}"
    async with listening(server_of(either_world, intervals=SOON), mode, named) as (_, hear):
        await either_world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "On it.")
        assert await hear() == named


@pytest.mark.parametrize("mode", ERAS)
async def test_an_issue_that_is_merged_away_is_told_of_once(either_world: World, mode: str) -> None:
    cut = f"owlmetry://projects/shop/issues/{TIMEOUT[:8]}"
    async with listening(server_of(either_world, intervals=SOON), mode, cut, CLAIMED_URI) as (client, hear):
        other = either_world.acting_as("agent2")
        await other.merge(SHOP, SYMBOLS["i_timeout_dup"], TIMEOUT)
        assert await hear() == cut
        with pytest.raises(MCPError):
            await read(client, cut)
        for body in ("One.", "Two."):
            await other.add_comment(SHOP, CLAIMED, body)
            assert await hear() == CLAIMED_URI


async def test_what_comes_to_be_is_told_of(world: World) -> None:
    missing = "owlmetry://projects/Newcomer/overview"
    async with listening(server_of(world, intervals=SOON), "auto", missing) as (client, hear):
        world.store.write(lambda tx: tx.run("UPDATE projects SET name = 'Newcomer' WHERE id = ?", (SHOP,)))
        assert await hear() == missing
        assert f"project {SHOP}" in await read(client, missing)


@pytest.mark.parametrize("mode", ERAS)
async def test_what_cannot_change_or_is_not_known_is_taken_and_never_told_of(world: World, mode: str) -> None:
    strange = ("owlmetry://guide", "owlmetry://nonsense", "file:///etc/passwd", "")
    async with listening(server_of(world, intervals=SOON), mode, *strange, TIMEOUT_URI) as (_, hear):
        await world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "x")
        assert await hear() == TIMEOUT_URI


@pytest.mark.parametrize("mode", ERAS)
async def test_no_more_can_be_listened_to_than_can_be_read_again(world: World, mode: str) -> None:
    many = [f"owlmetry://projects/{number}/overview" for number in range(MAX_WATCHED + 1)]
    with pytest.raises(BaseExceptionGroup) as caught:
        async with listening(server_of(world), mode, *many):
            pass
    error: BaseException = caught.value
    while isinstance(error, BaseExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, MCPError)
    assert (error.error.code, error.error.message) == (
        INVALID_PARAMS,
        "At most 200 resources can be listened to at a time.",
    )


# Beginning and ending


async def test_each_stream_hears_what_it_listens_to_for_as_long_as_it_is_open(world: World) -> None:
    other = world.acting_as("agent2")
    async with listening(server_of(world, intervals=SOON), "auto", TIMEOUT_URI, CLAIMED_URI) as (client, hear):
        async with client.listen(resource_subscriptions=[TIMEOUT_URI]) as second:
            await other.add_comment(SHOP, TIMEOUT, "One.")
            assert await hear() == TIMEOUT_URI
            with anyio.fail_after(PATIENCE_SECONDS):
                assert await anext(second) == ResourceUpdated(uri=TIMEOUT_URI)
        await other.add_comment(SHOP, TIMEOUT, "Two.")
        assert await hear() == TIMEOUT_URI


async def test_who_unsubscribes_hears_no_more(world: World) -> None:
    other = world.acting_as("agent2")
    async with listening(server_of(world, intervals=SOON), "legacy", TIMEOUT_URI, CLAIMED_URI) as (client, hear):
        await subscribe(client, TIMEOUT_URI)  # twice is once
        await other.add_comment(SHOP, TIMEOUT, "One.")
        assert await hear() == TIMEOUT_URI
        await unsubscribe(client, TIMEOUT_URI)
        await other.add_comment(SHOP, TIMEOUT, "Two.")
        await other.add_comment(SHOP, CLAIMED, "Three.")
        assert await hear() == CLAIMED_URI


class Asked(StoreBackend):
    """Counts how often it is asked for its version, and fails to tell it where it is told to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, access.credential(SECRETS["agent"]))
        self.count = 0
        self.fails: Exception | None = None
        self._again = anyio.Event()

    async def version(self) -> str | None:
        self.count += 1
        self._again.set()
        if self.fails:
            raise self.fails
        return await super().version()

    async def asked_again(self) -> None:
        self._again = anyio.Event()
        with anyio.fail_after(PATIENCE_SECONDS):
            await self._again.wait()


async def test_nothing_is_asked_while_nobody_listens(world: World) -> None:
    backend = Asked(world.store)
    async with Client(TriageServer(Desk(lambda _: backend), intervals=SOON)) as client:
        await client.list_resources()
        assert backend.count == 0
        async with client.listen(resource_subscriptions=[TIMEOUT_URI]):
            await backend.asked_again()
        for _ in range(3):  # what was under way ends
            await client.call_tool("whoami", {})
        count = backend.count
        for _ in range(100):  # meanwhile it would have been asked again, many times
            await client.call_tool("whoami", {})
        assert backend.count == count


@pytest.mark.parametrize("error", [StoreError("busy"), RuntimeError("a mistake"), OSError("the disk"), None])
async def test_errors_end_neither_the_server_nor_the_watch_and_are_logged_once(
    world: World, error: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backend = Asked(world.store)
    async with (
        Client(TriageServer(Desk(lambda _: backend), intervals=SOON)) as client,
        client.listen(resource_subscriptions=[TIMEOUT_URI]) as stream,
    ):
        backend.fails = error
        for _ in range(3):
            await backend.asked_again()
        backend.fails = None
        await world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "Still here.")
        with anyio.fail_after(PATIENCE_SECONDS):
            assert await anext(stream) == ResourceUpdated(uri=TIMEOUT_URI)
    told = [record for record in caplog.records if record.name == "owlmetry_mcp.server.watch"]
    assert [record.levelno for record in told if record.levelno > logging.DEBUG] == ([logging.INFO] if error else [])


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_may_begin_to_listen_while_the_backend_is_away(mode: str) -> None:
    """It is told once there is something to read."""
    is_away = True

    async def answer(_: Request) -> Response:
        if is_away:
            return Response(status_code=503)
        return JSONResponse({"error": "Issue not found"}, status_code=404)

    async with (
        answering(answer) as backend,
        listening(TriageServer(Desk(lambda _: backend), intervals=SOON), mode, TIMEOUT_URI) as (_, hear),
    ):
        is_away = False
        assert await hear() == TIMEOUT_URI


async def test_what_could_not_be_read_is_told_of_when_it_can_be(either_world: World) -> None:
    """The key is revoked and comes back, as its permissions might."""
    async with listening(server_of(either_world, intervals=SOON), "auto", TIMEOUT_URI) as (client, hear):
        for at in ("2026-10-21T11:00:00.000Z", None):
            either_world.store.write(partial(revoked, at=at))
            assert await hear() == TIMEOUT_URI
        assert "Connection refused" in await read(client, TIMEOUT_URI)


def revoked(tx: Transaction, at: str | None) -> None:
    tx.run("UPDATE api_keys SET revoked_at = ?", (at,))


# What a backend tells of its version


async def test_the_stores_version_changes_with_every_commit_and_every_hour_and_only_then(world: World) -> None:
    backend = world.acting_as("agent")
    versions = [await backend.version()]

    async def changed() -> bool:
        versions.append(await backend.version())
        return versions[-1] not in versions[:-1]

    assert not await changed()
    await backend.add_comment(SHOP, TIMEOUT, "Our own.")
    assert await changed()
    with Store(world.store.path, world.clock) as other:
        assert not await changed()
        await acting_as(other, SECRETS["agent2"]).add_comment(SHOP, TIMEOUT, "Another's.")
        assert await changed()
        await acting_as(other, SECRETS["agent2"]).list_comments(SHOP, TIMEOUT)
        assert not await changed()
    await backend.get_issue(SHOP, TIMEOUT)
    assert not await changed()
    world.clock.advance(hours=1)
    assert await changed()


async def test_a_servers_version_cannot_be_told(either_world: World) -> None:
    version = await either_world.acting_as("agent").version()
    assert (version is None) == isinstance(either_world, LiveWorld)


# Over standard input and output, with another process


@pytest.mark.parametrize("mode", [*ERAS, "2026-07-28"])
async def test_a_change_by_another_process_reaches_a_client_of_a_process(world: World, mode: str) -> None:
    def server(who: str) -> Any:
        return served(world.store.path, OWLMETRY_API_KEY=SECRETS[who])

    async with (
        listening(server("agent"), mode, TIMEOUT_URI, OVERVIEW_URI) as (client, hear),
        Client(server("agent2"), mode=mode) as other,
    ):
        arguments = {"issue_id": TIMEOUT, "project_id": SHOP}
        await other.call_tool("comment", {**arguments, "body": "On it."})
        assert await hear() == TIMEOUT_URI
        await other.call_tool("update_status", {**arguments, "status": "in_progress"})
        assert {await hear(), await hear()} == {TIMEOUT_URI, OVERVIEW_URI}
        assert "> On it." in await read(client, TIMEOUT_URI)


def test_a_client_that_leaves_while_it_listens_ends_the_process(world: World) -> None:
    listen = message(1, "subscriptions/listen", notifications={"resourceSubscriptions": [TIMEOUT_URI]})
    command = [*COMMAND, "--store", str(world.store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        server.stdin.write(listen)
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["method"] == "notifications/subscriptions/acknowledged"
        server.stdin.close()
        assert server.wait(timeout=30) == 0
        assert server.stderr.read() == b""
