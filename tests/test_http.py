"""The MCP face over HTTP, at its doors: who is let in, what is refused and how, and that callers share nothing."""

import hashlib
import json
import shutil
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, MCPDeprecationWarning, MCPError
from mcp_types import METHOD_NOT_FOUND

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.cli.listening import listening
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.http import requests
from owlmetry_mcp.issues.errors import StoreBusyError, StoreError, UnavailableError
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.streamable import callers
from tests.over_http import ACCEPTED, McpFace, Posted, bearer, door
from tests.stdio import ENVELOPE, HANDSHAKE
from tests.test_subscriptions import SOON
from tests.test_subscriptions import listening as hearing
from tests.world import SECRETS, SYMBOLS, FakeClock, World

SHOP, TIMEOUT = SYMBOLS["shop"], SYMBOLS["i_timeout"]
TIMEOUT_URI = f"owlmetry://projects/{SHOP}/issues/{TIMEOUT}"
ERAS = {"legacy": "2025-11-25", "auto": "2026-07-28", "2026-07-28": "2026-07-28"}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HANDSHAKE}
OWN_KEY = "Send a key with each request, as `Authorization: Bearer owl_agent_…`; `owlmetry-mcp keys create` makes one."


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory, recorded_file: Path) -> Iterator[McpFace]:
    """A face over the recorded world, in which nothing is changed."""
    path = tmp_path_factory.mktemp("still") / "store.db"
    shutil.copyfile(recorded_file, path)
    clock = FakeClock()
    with Store(path, clock) as store:
        face = McpFace(World(store, clock))
        yield face
        face.close()


@pytest.fixture
def agent(still: McpFace) -> Iterator[Posted]:
    with Posted(still.url, SECRETS["agent"]) as posted:
        yield posted


@pytest.fixture
def face(world: World) -> Iterator[McpFace]:
    face = McpFace(world, intervals=SOON)
    yield face
    face.close()


def error(answer: httpx2.Response) -> tuple[int, int, str]:
    """A refusal's status, code and message; it is JSON-RPC's, whatever it is about."""
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"jsonrpc", "id", "error"}
    assert set(body["error"]) <= {"code", "message", "data"}
    return answer.status_code, body["error"]["code"], body["error"]["message"]


# Who is let in


@pytest.mark.parametrize("mode", ERAS)
async def test_each_era_is_served_to_whoever_has_a_key_as_that_key(still: McpFace, mode: str) -> None:
    for who, named in (("agent", "Triage Agent"), ("observer", "Observer"), ("foreign", "Foreign Agent")):
        async with Client(door(still.url, SECRETS[who]), mode=mode) as client:
            assert client.protocol_version == ERAS[mode]
            me = (await client.call_tool("whoami", {})).structured_content
        assert me
        assert named.split()[0] in me["name"]


def test_a_users_token_is_taken_like_a_key(still: McpFace) -> None:
    token = still.world.credential("mia")
    with Posted(still.url, token) as mia:
        assert mia.call("whoami").json()["result"]["structuredContent"]["user"]["name"] == "Mia Member"


@pytest.mark.parametrize("path", ["", "?api_key={key}", "?access_token={key}"])
def test_without_a_key_it_is_said_how_to_send_one(still: McpFace, path: str) -> None:
    answer = httpx2.post(still.url + path.format(key=SECRETS["agent"]), json=INITIALIZE, headers=ACCEPTED)
    assert error(answer) == (401, -32600, f"Missing authorization. {OWN_KEY}")
    assert answer.headers["www-authenticate"] == 'Bearer realm="owlmetry-mcp"'


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("Bearer owl_agent_wrong", "Invalid API key"),
        (f"Bearer {SECRETS['expired']}", "API key expired"),
        ("Bearer a.b.c", "Invalid or expired token"),
        (f"Basic {SECRETS['agent']}", "Invalid authorization format"),
        (SECRETS["agent"], "Invalid authorization format"),
        ("Bearer", "Invalid authorization format"),
    ],
)
def test_with_a_key_that_is_not_valid_nothing_is_read(still: McpFace, header: str, said: str) -> None:
    answer = httpx2.post(still.url, content=b"{" * 5_000_000, headers=ACCEPTED | {"Authorization": header})
    assert error(answer) == (401, -32600, f"{said}. {OWN_KEY}")
    assert answer.headers["www-authenticate"] == (
        'Bearer realm="owlmetry-mcp", error="invalid_token",'
        ' error_description="The key or token is unknown, revoked or expired"'
    )


def test_of_several_keys_none_is_chosen(still: McpFace) -> None:
    keys = [("Authorization", f"Bearer {SECRETS[who]}") for who in ("agent", "agent2")]
    for shown in (keys, keys[:1] * 2, [("Authorization", ""), *keys[:1]]):
        answer = httpx2.post(still.url, json=INITIALIZE, headers=[*ACCEPTED.items(), *shown])
        assert error(answer) == (401, -32600, f"Several Authorization headers. {OWN_KEY}")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_case_of_the_scheme_does_not_matter(still: McpFace, scheme: str) -> None:
    headers = ACCEPTED | {"Authorization": f"{scheme} {SECRETS['agent']}"}
    assert httpx2.post(still.url, json=INITIALIZE, headers=headers).status_code == 200


@pytest.mark.parametrize(("who", "kind"), [("client", "a client"), ("importer", "an import")])
def test_an_apps_key_is_no_agents(still: McpFace, who: str, kind: str) -> None:
    with Posted(still.url, SECRETS[who]) as app:
        answer = app.call("whoami")
    status, _, said = error(answer)
    assert (status, said.partition(".")[0]) == (403, f"This is {kind} key, for an app's events")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_key_that_is_revoked_is_refused_at_the_next_request_and_taken_again_if_that_was_undone(
    world: World, face: McpFace
) -> None:
    with Posted(face.url, SECRETS["agent"]) as agent:
        assert agent.call("whoami").status_code == 200
        world.store.write(partial(revoked, at="2026-10-21T11:00:00.000Z"))
        assert agent.call("whoami").status_code == 401
        world.store.write(partial(revoked, at=None))
        assert agent.call("whoami").status_code == 200


def revoked(tx: Transaction, at: str | None) -> None:
    digest = hashlib.sha256(SECRETS["agent"].encode()).hexdigest()
    tx.run("UPDATE api_keys SET revoked_at = ? WHERE secret_sha256 = ?", (at, digest))


async def test_what_still_listens_with_a_revoked_key_is_ended_when_it_is_used_again(
    world: World, face: McpFace
) -> None:
    async with (
        Client(door(face.url, SECRETS["agent"])) as client,
        client.listen(resource_subscriptions=[TIMEOUT_URI]) as stream,
    ):
        (caller,) = face.callers._kept.values()  # noqa: SLF001 - that it ends shows nowhere else
        world.store.write(partial(revoked, at="2026-10-21T11:00:00.000Z"))
        with Posted(face.url, SECRETS["agent"]) as agent:
            assert await anyio.to_thread.run_sync(lambda: agent.call("whoami").status_code) == 401
        with anyio.fail_after(20):
            heard = [event async for event in stream]
    assert len(heard) <= 1  # that what it listened to is no longer there for it
    await anyio.to_thread.run_sync(face.close)
    assert caller._over.is_set()  # noqa: SLF001 - as above


# What callers do not share


def test_each_key_is_offered_its_own_tools_and_sees_its_own_issues(still: McpFace) -> None:
    offers, projects = {}, {}
    for who in ("agent", "reader", "foreign", "agent"):
        with Posted(still.url, SECRETS[who]) as posted:
            offers[who] = {tool["name"] for tool in posted.send("tools/list").json()["result"]["tools"]}
            listed = posted.call("list_projects").json()["result"]["structuredContent"]["projects"]
            projects[who] = {row["id"] for row in listed}
    writing = {name for name, entry in CATALOGUE.items() if entry.permission == "issues:write"}
    assert offers["agent"] - offers["reader"] == writing
    assert SHOP in projects["agent"]
    assert projects["agent"].isdisjoint(projects["foreign"])


def test_what_one_caller_was_shown_is_not_known_to_another(still: McpFace) -> None:
    """Which project an issue is in is remembered of answers, and the beginning of its id is enough then."""
    with Posted(still.url, SECRETS["agent"]) as agent, Posted(still.url, SECRETS["foreign"]) as foreign:
        for issue in (TIMEOUT, TIMEOUT[:8]):
            assert not agent.call("get_issue", issue_id=issue).json()["result"].get("isError")
            assert foreign.call("get_issue", issue_id=issue).json()["result"]["isError"]


async def test_who_may_not_see_an_issue_does_not_hear_of_it(world: World, face: McpFace) -> None:
    """Though another, who may, listens to the same."""
    async with (
        hearing(door(face.url, SECRETS["agent"]), "auto", TIMEOUT_URI) as (_, hear),
        Client(door(face.url, SECRETS["foreign"])) as foreign,
        foreign.listen(resource_subscriptions=[TIMEOUT_URI]) as stream,
    ):
        await world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "On it.")
        assert await hear() == TIMEOUT_URI
        with anyio.move_on_after(0.1) as waited:
            await anext(stream)
        assert waited.cancelled_caught


async def test_servers_are_kept_for_so_many_callers_and_those_that_listen(
    world: World, face: McpFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "MAX_KEPT", 2)
    async with hearing(door(face.url, SECRETS["agent"]), "auto", TIMEOUT_URI) as (_, hear):
        for who in ("reader", "agent2", "observer", "foreign", "observer", "reader"):
            async with Client(door(face.url, SECRETS[who]), mode="2026-07-28") as client:
                await client.call_tool("whoami", {})
        await world.acting_as("agent2").add_comment(SHOP, TIMEOUT, "On it.")
        assert await hear() == TIMEOUT_URI
        kept = {hashlib.sha256(SECRETS[who].encode()).digest() for who in ("agent", "observer", "reader")}
        assert {*face.callers._kept} == kept  # noqa: SLF001 - nothing else shows it


# What is refused


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS", "HEAD"])
def test_a_method_other_than_post_is_told_so(agent: Posted, method: str) -> None:
    answer = agent.raw(method, headers={"Mcp-Session-Id": "x"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    if method != "HEAD":
        assert error(answer) == (405, -32600, "Method Not Allowed.")


@pytest.mark.parametrize("path", ["/", "/x", "/../etc/passwd"])
def test_elsewhere_there_is_nothing(agent: Posted, path: str) -> None:
    assert error(agent.raw(path=path, json=INITIALIZE)) == (404, -32600, "There is nothing here; MCP is at /mcp.")


def test_no_authorization_server_is_promised(still: McpFace) -> None:
    root = still.url.removesuffix("/mcp")
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        assert error(httpx2.get(root + path))[0] == 404


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("Content-Type", "text/plain", 415),
        ("Content-Type", "application/jsonp", 415),
        ("Content-Type", "application/json; charset=utf-8", 200),
        ("Content-Encoding", "gzip", 415),
        ("Accept", "application/json", 406),
        ("Accept", "text/html, text/event-stream", 406),
        ("Accept", "*/*", 200),
        ("Accept", "application/json;q=0.5, text/*", 200),
    ],
)
def test_only_json_is_taken_and_what_may_be_answered_must_be(agent: Posted, name: str, value: str, status: int) -> None:
    for answer in (agent.call("whoami", {name: value}), agent.raw(json=INITIALIZE, headers={name: value})):
        assert answer.status_code == status
        if status != 200:
            assert error(answer)[1:2] == (-32600,)


FORM = 'A request has "jsonrpc": "2.0", an id (text or a whole number), a method, and params, if any, in an object.'


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (b"", -32600, FORM),
        (b"{", -32700, "This is no JSON: "),
        (b"\xff\xfe", -32700, "This is no UTF-8. "),
        (b"[" * 100_000, -32700, "This is no JSON: "),
        (b"[]", -32600, "Batches are not taken. Send each message as a body of its own."),
        (json.dumps([INITIALIZE]).encode(), -32600, "Batches are not taken."),
        (b'{"jsonrpc": "2.0", "id": 7}', -32600, FORM),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600, FORM),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "ping"}', -32600, FORM),
        (b'{"jsonrpc": "2.0", "method": "tools/list"}', -32600, FORM),
        (b'{"jsonrpc": "1.0", "id": 7, "method": "ping"}', -32600, FORM),
        (b'{"jsonrpc": "2.0", "id": 7, "result": 1}', -32600, FORM),
        (b'"text"', -32600, FORM),
        (b'{"jsonrpc": "2.0", "id": 7, "method": "ping", "params": [1]}', -32600, FORM),
    ],
)
@pytest.mark.parametrize("version", [None, "2025-11-25", "2026-07-28"])
def test_what_is_no_message_is_answered(agent: Posted, body: bytes, code: int, said: str, version: str | None) -> None:
    headers = {"MCP-Protocol-Version": version} if version else {}
    status, given, message = error(agent.raw(content=body, headers=headers))
    assert (status, given) == (400, code)
    assert message.startswith(said)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"MCP-Protocol-Version": "2099-01-01"}, -32020),
        ({"MCP-Protocol-Version": "2025-11-25"}, -32020),
        ({"Mcp-Method": "tools/list"}, -32020),
        ({"Mcp-Name": "comment"}, -32020),
    ],
)
def test_headers_that_say_otherwise_than_the_body_are_refused(
    agent: Posted, headers: dict[str, str], code: int
) -> None:
    answer = agent.call("whoami", headers)
    assert (error(answer)[:2], answer.json()["id"]) == ((400, code), 1)


def test_a_request_of_the_newer_era_needs_its_header(agent: Posted) -> None:
    body = {"jsonrpc": "2.0", "id": 9, "method": "tools/list", "params": {"_meta": ENVELOPE}}
    answer = agent.raw(json=body)
    said = 'The MCP-Protocol-Version header must be "2026-07-28", as in the body; there is none.'
    assert (error(answer), answer.json()["id"]) == ((400, -32020, said), 9)


def test_a_version_and_a_method_that_there_are_not_are_told(agent: Posted) -> None:
    meta = ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"MCP-Protocol-Version": "2099-01-01", "Mcp-Method": "tools/list"}
    answer = agent.raw(json=body, headers=headers)
    assert error(answer)[:2] == (400, -32022)
    assert answer.json()["error"]["data"] == {"supported": ["2026-07-28"], "requested": "2099-01-01"}
    assert error(agent.send("no/such"))[:2] == (404, METHOD_NOT_FOUND)


@pytest.mark.parametrize("sized", [True, False])
def test_a_body_that_is_too_large_is_not_read_to_its_end(agent: Posted, sized: bool) -> None:
    body = b" " * (5 * 1024 * 1024) if sized else (b" " * 100_000 for _ in range(50))
    assert error(agent.raw(content=body)) == (413, -32600, "Request body is too large.")


def test_a_body_that_comes_too_slowly_is_not_waited_for(agent: Posted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_BODY_SECONDS", 0.05)
    with connected(agent) as connection:
        connection.sendall(head("Content-Length: 99") + b'{"json')
        assert b"408 " in connection.recv(10_000)


def test_a_caller_that_leaves_before_the_end_of_a_body_is_no_failure(
    agent: Posted, caplog: pytest.LogCaptureFixture
) -> None:
    with connected(agent) as connection:
        connection.sendall(head("Content-Length: 99", "Expect: 100-continue") + b'{"json')
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
    assert agent.call("whoami").status_code == 200
    assert caplog.messages == []


@pytest.mark.parametrize(
    "request_", [b"nonsense\r\n\r\n", b"POST /mcp HTTP/1.1\r\n\r\n", b"POST /mcp HTTP/1.1\r\nX: " + b"x" * 100_000]
)
def test_what_is_no_http_is_answered_in_json(agent: Posted, request_: bytes) -> None:
    with connected(agent) as connection:
        connection.sendall(request_)
        answer = b"".join(iter(lambda: connection.recv(10_000), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/json" in answer


@pytest.mark.parametrize("said", [b"", b"POST /mcp HTTP/1.1\r\nHost: loc"])
def test_who_connects_and_does_not_ask_is_not_waited_for(
    agent: Posted, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Neither at first nor after an answer; but for one who asks slowly, as before."""
    monkeypatch.setattr(Http, "head_seconds", 0.05)
    with connected(agent) as slow, connected(agent) as silent:
        slow.sendall(head("Content-Length: 2") + b"{")
        silent.sendall(said)
        assert silent.recv(100) == b""
        slow.sendall(b"}")
        assert slow.recv(10_000).startswith(b"HTTP/1.1 400 ")
        slow.sendall(said or b"P")
        while slow.recv(10_000):
            pass


def test_so_many_connections_are_open_at_a_time_and_no_more(
    face: McpFace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Http, "most_connections", 2)
    ask = b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with Posted(face.url) as anyone, connected(anyone) as one, connected(anyone) as two:
        for held in (one, two):
            held.sendall(ask)
            assert held.recv(10_000)
        with connected(anyone) as third:
            assert third.recv(100) == b""
        one.sendall(ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert b"".join(iter(lambda: one.recv(10_000), b""))
        with connected(anyone) as fourth:
            fourth.sendall(ask)
            assert fourth.recv(10_000)
    assert caplog.messages[0] == "2 connections are open; until some close, no more are taken"


def connected(agent: Posted) -> socket.socket:
    url = httpx2.URL(agent.url)
    return socket.create_connection((url.host, url.port or 0), timeout=30)


def head(*headers: str) -> bytes:
    fields = ["Host: localhost", *(f"{name}: {value}" for name, value in (ACCEPTED | bearer(SECRETS["agent"])).items())]
    return "\r\n".join(["POST /mcp HTTP/1.1", *fields, *headers, "", ""]).encode()


# Names


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.2", "192.0.2.1:80"])
def test_a_host_that_is_not_its_own_is_refused_before_anything_else(still: McpFace, host: str) -> None:
    answer = httpx2.post(still.url, json=INITIALIZE, headers=ACCEPTED | {"Host": host})
    assert error(answer) == (421, -32600, "Host is not one that this server goes by. `--host-name` adds one.")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("https://127.0.0.1", 200),
        ("http://[::1]:6274", 200),
        ("http://evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("http://192.0.2.1", 403),
        ("null", 403),
        ("", 403),
        ("file://localhost", 403),
    ],
)
def test_a_page_of_another_origin_is_refused(agent: Posted, origin: str, status: int) -> None:
    answer = agent.call("whoami", {"Origin": origin})
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control")]
    if status == 403:
        assert error(answer)[1:] == (-32600, "Origin is not one that this server goes by. `--host-name` adds one.")


# What goes wrong inside


@pytest.mark.parametrize(
    ("raised", "status", "said"),
    [
        (StoreBusyError("The store /a/path is locked"), 503, "The issues cannot be used now"),
        (StoreError("The store /a/path is gone"), 503, "The issues cannot be used now"),
        (UnavailableError("The Owlmetry server at /a/path cannot be used now"), 503, "The issues cannot be used now"),
        (ZeroDivisionError("/a/path"), 500, "Internal server error"),
    ],
)
def test_what_goes_wrong_inside_stays_inside(world: World, raised: Exception, status: int, said: str) -> None:
    class Broken(World):
        def acting_with(self, credential: str) -> Backend:
            assert credential
            raise raised

    face = McpFace(Broken(world.store, world.clock))
    with Posted(face.url, SECRETS["agent"]) as agent:
        answers = [agent.call("whoami") for _ in range(2)]
    face.close()
    for answer in answers:
        given, code, message = error(answer)
        assert (given, code, message.partition(";")[0].rstrip(".")) == (status, -32603, said)
    assert answers[0].headers.get("retry-after") == ("1" if isinstance(raised, StoreBusyError) else None)


# What the protocol has, and each era of it over HTTP


@pytest.mark.parametrize("mode", ERAS)
async def test_resources_prompts_and_completions_are_served(still: McpFace, mode: str) -> None:
    async with Client(door(still.url, SECRETS["agent"]), mode=mode) as client:
        assert next(str(row.uri) for row in (await client.list_resources()).resources) == "owlmetry://guide"
        (content, *_) = (await client.read_resource(TIMEOUT_URI)).contents
        assert "Connection refused" in content.model_dump_json()
        assert {prompt.name for prompt in (await client.list_prompts()).prompts} >= {"triage", "investigate"}
        assert (await client.get_prompt("triage", {"project_id": "shop"})).messages


async def test_the_older_era_is_not_promised_what_it_has_no_connection_for(still: McpFace) -> None:
    async with Client(door(still.url, SECRETS["agent"]), mode="legacy") as client:
        assert client.server_capabilities.resources
        assert not client.server_capabilities.resources.subscribe
        with pytest.raises(MCPError, match="Method not found"), pytest.warns(MCPDeprecationWarning):
            await client.subscribe_resource(TIMEOUT_URI)
    async with Client(door(still.url, SECRETS["agent"])) as client:
        assert client.server_capabilities.resources
        assert client.server_capabilities.resources.subscribe


def test_no_session_is_made(agent: Posted) -> None:
    answer = agent.raw(json=INITIALIZE, headers={"Mcp-Session-Id": "mine"})
    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers
    ping = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert agent.raw(json=ping, headers={"MCP-Protocol-Version": "2025-11-25"}).status_code == 202


# The command


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (
            ["--http"],
            {"OWLMETRY_API_KEY": SECRETS["agent"]},
            "OWLMETRY_API_KEY: over HTTP each request acts as the key",
        ),
        (["--http"], {"OWLMETRY_AGENT_NAME": "x"}, "OWLMETRY_AGENT_NAME: over HTTP each request acts as the key"),
        (["--http", "--team", "x"], {}, "OWLMETRY_TEAM: over HTTP each request acts as the key"),
        (["--http", "--tools", "nope"], {}, 'OWLMETRY_TOOLS: there is no tool "nope"'),
        (["--port", "1", "--workers", "2"], {}, "--port: only with --http\n  --workers: only with --http"),
        (["--host-name", "x", "--behind-proxy"], {}, "--host-name: only with --http\n  --behind-proxy: only"),
    ],
)
def test_what_over_http_has_no_meaning_or_only_there_has_is_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_port_or_a_number_of_workers_that_cannot_be_is_told(
    still: McpFace, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(httpx2.URL(still.url).port)
    assert main(["serve", "--http", "--store", str(still.world.store.path), "--port", port]) == 1
    assert main(["serve", "--http", "--workers", "0"]) == 1
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert "--workers must be from 1 to 64, not 0" in said


@pytest.mark.parametrize(
    ("flags", "warned", "known"),
    [
        ([], False, {"localhost", "127.0.0.1:80", "[::1]"}),
        (["--host", "0.0.0.0"], True, {"localhost", "127.0.0.1:80", "[::1]", "192.0.2.1"}),  # noqa: S104 - what it is about
        (["--host-name", "mcp.example"], False, {"localhost", "127.0.0.1:80", "[::1]", "mcp.example"}),
        (["--host", "0.0.0.0", "--behind-proxy"], False, {"localhost", "127.0.0.1:80", "[::1]", "192.0.2.1"}),  # noqa: S104 - what it is about
    ],
)
def test_it_warns_when_other_machines_can_reach_it_and_takes_the_names_it_is_given(
    capsys: pytest.CaptureFixture[str], flags: list[str], warned: bool, known: set[str]
) -> None:
    hosts = {"localhost", "127.0.0.1:80", "[::1]", "192.0.2.1", "mcp.example", "evil.example"}
    with listening(parser().parse_args(["serve", "--http", "--port", "0", *flags]), 1) as listener:
        assert {host for host in hosts if listener.names.knows(host)} == known
        assert listener.names.is_own_page("https://mcp.example", "") == ("mcp.example" in known)
        assert not listener.names.is_own_page("http://192.0.2.1", "localhost")
        assert listener.names.is_own_page("http://192.0.2.1:1", "192.0.2.1")
    assert ("can be reached from other machines" in capsys.readouterr().err) == warned


def test_the_options_hold_for_every_caller(world: World) -> None:
    face = McpFace(world, Options(read_only=True, tools=frozenset({"whoami", "comment", "list_issues"})))
    with Posted(face.url, SECRETS["agent"]) as agent:
        listed: list[dict[str, Any]] = agent.send("tools/list").json()["result"]["tools"]
        said = agent.call("comment", issue_id=TIMEOUT, body="x").json()["result"]
    face.close()
    assert [tool["name"] for tool in listed] == ["list_issues", "whoami"]
    assert said["isError"]
    assert "this server only reads" in said["content"][0]["text"]
