"""`owlmetry-mcp serve --http` as processes: one, several workers of one, and several on one store."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp_types import CallToolResult, TextContent

from tests.over_http import Posted, door, served
from tests.test_confirming import CALLS, NOES, UNABLE, UNCONFIRMED, YES, Person, state
from tests.test_subscriptions import listening
from tests.world import SECRETS, SYMBOLS, HttpFace, World

SHOP, TIMEOUT = SYMBOLS["shop"], SYMBOLS["i_timeout"]
TIMEOUT_URI = f"owlmetry://projects/{SHOP}/issues/{TIMEOUT}"
ISSUE = {"issue_id": TIMEOUT, "project_id": SHOP}


def text(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


async def test_it_serves_whoever_has_a_key_and_ends_at_once_when_told_though_twice_and_though_someone_listens(
    world: World, tmp_path: Path
) -> None:
    with served(tmp_path, "--store", str(world.store.path)) as server:
        async with (
            Client(door(server.url, SECRETS["agent"])) as client,
            client.listen(resource_subscriptions=[TIMEOUT_URI]) as stream,
            Client(door(server.url, SECRETS["agent2"]), mode="legacy") as other,
        ):
            said = await other.call_tool("comment", {**ISSUE, "body": "On it."})
            assert said.structured_content
            assert said.structured_content["author_name"] == "Fixer Agent"
            with anyio.fail_after(20):
                assert (await anext(stream)).uri == TIMEOUT_URI  # type: ignore[union-attr]  # of the one kind listened to
                server.process.terminate()
                assert [event async for event in stream] == []
                server.process.send_signal(signal.SIGINT)
                assert await anyio.to_thread.run_sync(server.process.wait) == 0
        assert server.said() == ""


async def test_workers_lose_no_write_and_do_none_twice_and_one_that_dies_is_replaced(
    world: World, tmp_path: Path
) -> None:
    with served(tmp_path, "--store", str(world.store.path), "--workers", "2") as server:
        until(lambda: len(workers(server.process.pid)) == 2)
        dead = workers(server.process.pid)[0]
        with ThreadPoolExecutor(8) as agents:
            done = list(agents.map(hammer, range(8), [server.url] * 8))
        os.kill(dead, signal.SIGKILL)
        comments = await world.acting_as("agent").list_comments(SHOP, TIMEOUT)
        bodies = [comment.body for comment in comments if comment.body.startswith("Number")]
        assert sorted(bodies) == sorted(f"Number {agent} {number}" for agent in range(8) for number in range(10))
        assert [claimed for claimed, _ in done].count(True) == 1
        assert {name for _, name in done} == {"Triage Agent", "Fixer Agent"}
        until(lambda: "is replaced" in server.said() and len(workers(server.process.pid)) == 2)
        with server.posted(SECRETS["agent"]) as agent:
            assert agent.call("whoami").status_code == 200
        survivors = workers(server.process.pid)
        assert dead not in survivors
        assert server.stop() == 0
    assert not any(map(lives, survivors))


def hammer(number: int, url: str) -> tuple[bool, str]:
    """Claims an issue, comments ten times; each over a connection of its own, which any worker may take."""
    key = SECRETS["agent" if number % 2 else "agent2"]

    def ask(tool: str, **arguments: Any) -> dict[str, Any]:
        with Posted(url, key) as agent:
            result: dict[str, Any] = agent.call(tool, **(ISSUE | arguments)).json()["result"]
        return result

    claimed = not ask("update_status", status="in_progress").get("isError")
    names = {ask("comment", body=f"Number {number} {count}")["structuredContent"]["author_name"] for count in range(10)}
    (name,) = names
    return claimed, name


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline


def workers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_two_processes_on_one_store_are_one_server(world: World, tmp_path: Path) -> None:
    """What changes through one is heard of at the other, and what one asks a person may be answered to the other."""
    (tmp_path / "b").mkdir()
    store = ("--store", str(world.store.path))
    with served(tmp_path, *store) as one, served(tmp_path / "b", *store) as two:
        async with (
            listening(door(one.url, SECRETS["agent"]), "auto", TIMEOUT_URI) as (_, hear),
            Client(door(two.url, SECRETS["agent2"])) as other,
        ):
            await other.call_tool("comment", {**ISSUE, "body": "On it."})
            assert await hear() == TIMEOUT_URI
        for (tool, arguments), answer in ((CALLS[1], NOES["decline"]), (CALLS[0], YES)):
            asked = answered(one.posted(SECRETS["agent"]), tool, arguments)
            (question,) = asked["inputRequests"]
            given = {"inputResponses": {question: answer.model_dump(by_alias=True, exclude_none=True)}}
            again = given | {"requestState": asked["requestState"]}
            with two.posted(SECRETS["agent2"]) as stranger:
                refused = asking(stranger, tool, arguments, **again)
            assert refused["error"]["message"] == "Invalid or expired requestState"
            result = answered(two.posted(SECRETS["agent"]), tool, arguments, **again)
            assert bool(result.get("isError")) == (answer is not YES)
        assert not (await state(world))[0]


def asking(agent: Posted, tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A call by a client that can ask a person."""
    body: dict[str, Any] = agent.send("tools/call", elicits=True, name=tool, arguments=arguments, **more).json()
    return body


def answered(agent: Posted, tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    with agent:
        result: dict[str, Any] = asking(agent, tool, arguments, **more)["result"]
    return result


async def test_a_person_is_asked_where_the_era_can_over_http_and_else_it_is_said(world: World, tmp_path: Path) -> None:
    tool, arguments = CALLS[0]
    with served(tmp_path, "--store", str(world.store.path), "--confirm", "always") as server:
        for mode, said in (("legacy", UNABLE), ("2026-07-28", UNCONFIRMED)):
            person = Person(NOES["decline"])
            async with Client(door(server.url, SECRETS["agent"]), mode=mode, elicitation_callback=person) as client:
                result = await client.call_tool(tool, arguments)
            assert (result.is_error, text(result)) == (True, said)
            assert len(person.asked) == (mode != "legacy")


def test_while_the_store_is_gone_it_says_so_and_goes_on_once_it_is_back(recorded_file: Path, tmp_path: Path) -> None:
    store, away = tmp_path / "store.db", tmp_path / "away.db"
    shutil.copyfile(recorded_file, store)
    with served(tmp_path, "--store", str(store)) as server, server.posted(SECRETS["agent"]) as agent:
        assert agent.call("whoami").status_code == 200
        store.rename(away)
        gone = agent.call("whoami")
        assert gone.status_code == 503
        assert gone.json()["error"] == {
            "code": -32603,
            "message": "The issues cannot be used now; nothing was changed. Try again later.",
        }
        away.rename(store)
        assert agent.call("whoami").status_code == 200
        assert "is gone" in server.said()


async def test_over_a_live_server_each_key_is_sent_on_and_progress_is_told_and_workers_do_not_outlive_their_parent(
    world: World, http_face: HttpFace, tmp_path: Path
) -> None:
    http_face.store = world.store
    flags = ("--backend", "live", "--endpoint", http_face.endpoint, "--workers", "2")
    names, told = [], list[str | None]()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        assert (progress > 0, total) == (True, None)
        told.append(message)

    with served(tmp_path, *flags) as server:
        for who in ("agent", "agent2", "agent"):
            with server.posted(SECRETS[who]) as agent:
                names.append(agent.call("whoami").json()["result"]["structuredContent"]["name"])
        with server.posted("owl_agent_wrong") as stranger:
            assert stranger.call("whoami").status_code == 401
        with server.posted() as stranger:
            answer = stranger.raw(json={}, headers={b"Authorization": b"Bearer owl_agent_\xe9"})
            assert answer.status_code == 401
        with server.posted(SECRETS["client"]) as app:
            assert app.call("whoami").status_code == 403
        for mode in ("legacy", "auto"):
            async with Client(door(server.url, SECRETS["agent"]), mode=mode) as client:
                before = len(told)
                await client.call_tool("find_duplicates", {"project_id": SHOP}, progress_callback=on_progress)
                assert len(told) > before
        orphans = workers(server.process.pid)
        server.process.kill()
        until(lambda: not any(map(lives, orphans)))
    assert names == ["Triage Agent", "Fixer Agent", "Triage Agent"]
    assert len(orphans) == 2


def test_it_has_room_for_its_connections_where_few_open_files_are_given_unasked() -> None:
    code = """
import resource
from owlmetry_mcp.cli.listening import _FILES, _make_room
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for files in (hard, _FILES - 1):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, files))
    _make_room()
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _FILES)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "-1"]


def test_nothing_of_it_is_loaded_to_serve_standard_input_and_output(tmp_path: Path) -> None:
    code = "import sys; from owlmetry_mcp.cli.main import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", code, "serve", "--store", str(tmp_path / "store.db")]
    loaded = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout.split()
    ours = ("owlmetry_mcp.http", "owlmetry_mcp.streamable", "owlmetry_mcp.rest", "owlmetry_mcp.cli.listening")
    assert [name for name in loaded if name.startswith(ours)] == []
    assert "owlmetry_mcp.server.server" in loaded


def test_its_memory_does_not_grow_with_requests(world: World, tmp_path: Path) -> None:
    """Of both eras, right and refused."""
    handshake = {"MCP-Protocol-Version": "2025-11-25"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
    with served(tmp_path, "--store", str(world.store.path)) as server, server.posted(SECRETS["agent"]) as agent:

        def ask(times: int) -> None:
            for number in range(times):
                assert agent.call("list_issues").status_code == 200
                assert agent.raw(json=body, headers=handshake).status_code == 200
                assert agent.raw(content=b"{").status_code == 400
                assert agent.call("x" * number).status_code == 200

        ask(15)
        before = resident_kb(server.process.pid)
        ask(60)
        assert resident_kb(server.process.pid) < before + 4_000


def resident_kb(pid: int) -> int:
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[0])
