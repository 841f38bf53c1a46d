"""The server as clients meet it: a process on standard input and output, in both eras of the protocol."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import Implementation

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store.store import Store
from tests.world import FIXTURE, SECRETS, SYMBOLS, World

COMMAND = [sys.executable, "-m", "owlmetry_mcp"]
ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
TIMEOUT = {"issue_id": SYMBOLS["i_timeout"], "project_id": SYMBOLS["shop"]}


def served(store: Path, **environment: str) -> StdioServerParameters:
    command, *arguments = COMMAND
    return StdioServerParameters(command=command, args=[*arguments, "--store", str(store)], env=environment)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_starts_it_with_no_configuration_and_gets_an_issue_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    command, *arguments = COMMAND
    server = StdioServerParameters(command=command, args=arguments)
    async with Client(server, mode=mode, client_info=Implementation(name="claude-code", version="2")) as client:
        assert client.protocol_version == ERAS[mode]
        if mode != "2026-07-28":  # pinned, the client asks nothing of the server before its first call
            assert client.server_info
            assert (client.server_info.name, client.server_info.version) == ("owlmetry-mcp", __version__)
        assert len((await client.list_tools()).tools) == 14
        me = (await client.call_tool("whoami", {})).structured_content
        assert me is not None
        assert (me["name"], me["team"]["name"]) == ("claude-code", "My team")
        projects = (await client.call_tool("list_projects", {})).structured_content
        assert projects is not None
        assert [project["name"] for project in projects["projects"]] == ["My project"]
        assert (await client.call_tool("list_issues", {})).structured_content == {"issues": [], "has_more": False}
    (store,) = databases(tmp_path)
    assert store.stat().st_mode & 0o777 == 0o600
    assert store.parent.stat().st_mode & 0o777 == 0o700


def databases(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and path.read_bytes()[:6] == b"SQLite"]


@pytest.mark.parametrize("mode", ERAS)
async def test_what_it_writes_carries_its_keys_identity_and_is_there_for_all(world: World, mode: str) -> None:
    server = served(world.store.path, OWLMETRY_API_KEY=SECRETS["agent2"])
    async with Client(server, mode=mode) as client:
        said = (await client.call_tool("comment", {**TIMEOUT, "body": "On it."})).structured_content
    assert said is not None
    assert said["author_name"] == "Fixer Agent"
    (*_, last) = await world.acting_as("agent").list_comments(SYMBOLS["shop"], SYMBOLS["i_timeout"])
    assert (last.id, last.author_id) == (said["id"], said["author_id"])


async def test_a_users_token_is_taken_like_a_key(world: World) -> None:
    world.clock.advance(days=36_500)  # the process goes by the real clock, at which the token is to be valid
    server = served(world.store.path, OWLMETRY_API_KEY=world.credential("mia"))
    async with Client(server) as client:
        me = (await client.call_tool("whoami", {})).structured_content
    assert me is not None
    assert me["user"]["name"] == "Mia Member"


async def test_the_agents_name_is_a_setting(world: World) -> None:
    async with Client(served(world.store.path, OWLMETRY_AGENT_NAME="Night shift")) as client:
        said = (await client.call_tool("comment", {**TIMEOUT, "body": "Hm."})).structured_content
    assert said is not None
    assert said["author_name"] == "Night shift"


def message(number: int, method: str, **params: Any) -> bytes:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    request = {"jsonrpc": "2.0", "id": number, "method": method, "params": {**params, "_meta": meta}}
    return json.dumps(request).encode() + b"\n"


def test_nothing_but_the_protocol_reaches_standard_output(world: World) -> None:
    lines = [
        message(1, "tools/call", name="list_issues", arguments={"status": "nonsense"}),
        b"this is no JSON\n",
        b'{"jsonrpc": "2.0", "id": 2}\n',
        b"\xff\xfe\n",
        message(3, "no/such/method"),
        message(4, "tools/call", name="whoami", arguments={}),
        message(5, "tools/call", name="get_issue", arguments=TIMEOUT),
    ]
    environment = {**os.environ, "OWLMETRY_LOG_LEVEL": "debug", "OWLMETRY_API_KEY": SECRETS["agent"]}
    with subprocess.Popen(
        [*COMMAND, "serve", "--store", str(world.store.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
    ) as server:  # fmt: skip
        assert server.stdin
        assert server.stdout
        assert server.stderr
        server.stdin.write(b"".join(lines))
        server.stdin.flush()
        answers: dict[int | None, Any] = {}
        while not answers.keys() >= {1, 3, 4, 5}:
            answer = json.loads(server.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            answers[answer.get("id")] = answer
        server.stdin.close()
        assert server.stdout.read() == b""
        logged = server.stderr.read()
    assert answers[1]["result"]["isError"]
    assert (answers[2]["error"]["code"], answers[None]["error"]["code"]) == (-32600, -32700)
    assert answers[3]["error"]["code"] == -32601
    assert answers[4]["result"]["structuredContent"]["name"] == "Triage Agent"
    assert answers[5]["result"]["structuredContent"]["title"] == "Connection refused"
    assert b"DEBUG" in logged
    assert SECRETS["agent"].encode() not in logged


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_though_its_input_is_open(world: World, number: signal.Signals) -> None:
    command = [*COMMAND, "--store", str(world.store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdin
        assert server.stdout
        assert server.stderr
        server.stdin.write(message(1, "tools/call", name="whoami", arguments={}))
        server.stdin.flush()
        assert json.loads(server.stdout.readline())["id"] == 1
        server.send_signal(number)
        assert server.wait(timeout=30) == 0
        assert server.stderr.read() == b""


def test_a_signal_ends_it_at_once_though_a_write_waits_for_the_store(world: World) -> None:
    command = [*COMMAND, "--store", str(world.store.path)]
    with sqlite3.connect(world.store.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin
            assert server.stdout
            server.stdin.write(message(1, "tools/call", name="comment", arguments={**TIMEOUT, "body": "x"}))
            server.stdin.write(message(2, "tools/list"))
            server.stdin.flush()
            assert json.loads(server.stdout.readline())["id"] == 2
            server.terminate()
            assert server.wait(timeout=10) == 0
        other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"My diary.\n" * 100, "is not a store of owlmetry-mcp"),
        (b"", "is not a store"),
        (b"SQLite format 3\0" + b"\0" * 84, "is not a store"),
    ],
    ids=["text", "empty", "another database"],
)
def test_a_file_that_is_no_store_is_refused_and_left_untouched(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    done = subprocess.run([*COMMAND, "--store", str(path)], input=b"", capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, b"")
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert path.read_bytes() == content
    assert [*tmp_path.iterdir()] == [path]


def test_wrong_settings_are_told_before_anything_starts(tmp_path: Path) -> None:
    environment = {**os.environ, "OWLMETRY_PROJECT_ID": "sh\top", "OWLMETRY_LOG_LEVEL": "loud"}
    store = tmp_path / "store.db"
    done = subprocess.run(
        [*COMMAND, "--store", str(store)], input=b"", capture_output=True, check=False, timeout=60, env=environment
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert "OWLMETRY_PROJECT_ID" in done.stderr.decode()
    assert "OWLMETRY_LOG_LEVEL" in done.stderr.decode()
    assert not store.exists()


WRITERS, WRITES = 8, 50


async def write_much(store: Path, number: int) -> list[str]:
    """Write as one of several servers; each has a store to open, which at first is not there."""
    name = f"writer {number}"
    async with Client(served(store, OWLMETRY_AGENT_NAME=name)) as client:
        written = []
        for count in range(WRITES):
            result = await client.call_tool("comment", {**TIMEOUT, "body": f"{name}: {count}"})
            assert not result.is_error, result.content
            assert result.structured_content is not None
            written.append(result.structured_content["id"])
        return written


async def test_eight_servers_write_at_once_and_nothing_is_lost(world: World) -> None:
    written = await asyncio.gather(*(write_much(world.store.path, number) for number in range(WRITERS)))
    comments = await world.acting_as("agent").list_comments(SYMBOLS["shop"], SYMBOLS["i_timeout"])
    before = [row for row in FIXTURE["comments"] if row["issue_id"] == SYMBOLS["i_timeout"] and not row["deleted_at"]]
    assert len(comments) == len(before) + WRITERS * WRITES
    assert {comment.id for comment in comments} >= {comment_id for ids in written for comment_id in ids}
    for number, ids in enumerate(written):
        mine = [comment for comment in comments if comment.author_name == f"writer {number}"]
        assert [comment.id for comment in mine] == ids
    instants = [comment.created_at for comment in comments]
    assert instants == sorted(instants)


async def test_eight_servers_make_one_store_together(tmp_path: Path) -> None:
    path = tmp_path / "data" / "store.db"

    async def start() -> Any:
        async with Client(served(path, OWLMETRY_AGENT_NAME="together")) as client:
            return (await client.call_tool("whoami", {})).structured_content

    first, *others = await asyncio.gather(*(start() for _ in range(8)))
    assert first["name"] == "together"
    assert others == [first] * 7
    # Of servers that end at the same moment, each may take another for the last, whose part it is to remove the log.
    left = {entry.name for entry in path.parent.iterdir()}
    assert "store.db" in left
    assert left <= {"store.db", "store.db-wal", "store.db-shm"}


async def test_killed_at_any_moment_it_loses_no_acknowledged_write(world: World) -> None:
    """Comments are sent without waiting for answers; the server is killed in the midst of them, again and again."""
    acknowledged: set[str] = set()
    for patience in range(0, 40, 4):
        server = await asyncio.create_subprocess_exec(
            *COMMAND, "--store", str(world.store.path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert server.stdin
        assert server.stdout
        for number in range(60):
            server.stdin.write(
                message(number, "tools/call", name="comment", arguments={**TIMEOUT, "body": f"{number}"})
            )
        for _ in range(patience + 1):
            answer = json.loads(await server.stdout.readline())
            acknowledged.add(answer["result"]["structuredContent"]["id"])
        server.send_signal(signal.SIGKILL)
        rest = await server.stdout.read()
        acknowledged |= {
            json.loads(line)["result"]["structuredContent"]["id"] for line in rest.splitlines() if line.endswith(b"}")
        }
        server.stdin.close()
        await server.wait()
    with Store(world.store.path) as store:
        kept = {row[0] for row in store.read(lambda tx: tx.all("SELECT id FROM comments"))}
        assert store.read(lambda tx: tx.one("PRAGMA integrity_check")) == ("ok",)
        assert store.read(lambda tx: tx.all("PRAGMA foreign_key_check")) == []
    assert acknowledged <= kept
    assert len(acknowledged) >= 190


def test_it_loads_only_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "owlmetry_mcp", "--store", str(tmp_path / "store.db")]
    asked = message(1, "tools/list")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        said, loaded = server.communicate(asked)
    assert json.loads(said.splitlines()[0])["id"] == 1
    names = {line.rpartition(b"|")[2].strip().decode() for line in loaded.splitlines()}
    assert "owlmetry_mcp.server.server" in names
    assert not names & {"rich", "rapidfuzz", "jwt", "owlmetry_mcp.backends.live", "owlmetry_mcp.rest"}


def test_listing_the_tools_makes_no_key(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    command = [*COMMAND, "--store", str(store)]
    done = subprocess.run(command, input=message(1, "tools/list"), capture_output=True, check=True, timeout=60)
    assert len(json.loads(done.stdout.splitlines()[0])["result"]["tools"]) == 14
    with Store(store) as opened:
        assert opened.read(lambda tx: tx.all("SELECT name FROM api_keys")) == []
