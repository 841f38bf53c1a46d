"""The REST face: as a process that is started and stopped, and at its doors."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from starlette.testclient import TestClient

from owlmetry_mcp.backends.base import Tracker
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.http.doors import HostNames, LoginBrake
from owlmetry_mcp.issues.errors import StoreBusyError, StoreError
from owlmetry_mcp.rest.app import create_app
from tests.world import SECRETS, SYMBOLS, HttpFace, World

ISSUE = f"/v1/projects/{SYMBOLS['shop']}/issues/{SYMBOLS['i_timeout']}"
KEY = {"Authorization": f"Bearer {SECRETS['agent']}"}


@pytest.fixture
def http(world: World, http_face: HttpFace) -> Iterator[httpx2.Client]:
    http_face.store = world.store
    with httpx2.Client(base_url=http_face.endpoint, headers=KEY) as client:
        yield client


@pytest.fixture
def server(world: World) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`owlmetry-mcp api` on a free port, and the address it printed."""
    command = [sys.executable, "-m", "owlmetry_mcp", "api", "--port", "0", "--store", str(world.store.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        address = re.fullmatch(r"Serving .*store\.db on (http://127\.0\.0\.1:\d+)\n", line)
        assert address, line
        yield process, address[1]
        process.kill()


def test_it_prints_its_address_once_it_listens_and_stops_when_told(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    assert httpx2.get(f"{address}/health").json() == {"status": "ok"}
    assert httpx2.get(f"{address}{ISSUE}", headers=KEY).json()["title"] == "Connection refused"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    assert process.stderr
    assert process.stderr.read() == ""


def test_told_to_stop_it_finishes_what_is_under_way(world: World, server: tuple[subprocess.Popen[str], str]) -> None:
    """A write waits for the store, which another program has locked, while the server is told to stop."""
    process, address = server
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        def work(_: Any) -> None:
            locked.set()
            release.wait(30)

        world.store.write(work)

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait(30)
    answers: list[httpx2.Response] = []
    ask = threading.Thread(
        target=lambda: answers.append(
            httpx2.post(f"{address}{ISSUE}/comments", headers=KEY, json={"body": "Last."}, timeout=30)
        )
    )
    ask.start()
    port = int(address.rpartition(":")[2])
    while not any(f":{port:04X}" in line for line in connections()):
        pass
    process.send_signal(signal.SIGTERM)
    release.set()
    ask.join(30)
    holder.join(30)
    assert process.wait(timeout=30) == 0
    assert [answer.status_code for answer in answers] == [201]


def connections() -> list[str]:
    """Established TCP connections of this machine, as the kernel lists them."""
    with open("/proc/net/tcp", encoding="ascii") as table:  # noqa: PTH123 - a file of the kernel's
        return [line for line in table if " 01 " in line]


async def test_agents_share_a_store_through_it(world: World, server: tuple[subprocess.Popen[str], str]) -> None:
    """Client, stdio, MCP server, live backend, HTTP, REST face, store."""
    _, address = server
    environment = {"OWLMETRY_ENDPOINT": address, "OWLMETRY_API_KEY": SECRETS["agent2"]}
    agent = StdioServerParameters(command=sys.executable, args=["-m", "owlmetry_mcp"], env=environment)
    async with Client(agent) as client:
        await client.call_tool("list_issues", {})
        said = await client.call_tool("comment", {"issue_id": SYMBOLS["i_timeout"], "body": "From afar."})
    assert said.structured_content
    assert said.structured_content["author_name"] == "Fixer Agent"
    (*_, last) = await world.acting_as("agent").list_comments(SYMBOLS["shop"], SYMBOLS["i_timeout"])
    assert last.body == "From afar."


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/", 404, "Not Found"),
        ("GET", "/v1/issues/", 404, "Not Found"),
        ("GET", "/v2/issues", 404, "Not Found"),
        ("POST", "/v1/issues", 405, "Method Not Allowed"),
        ("DELETE", ISSUE, 405, "Method Not Allowed"),
        ("GET", f"{ISSUE}?occurrence_limit=0", 400, "occurrence_limit must be a whole number from 1 to 200, not 0"),
        ("GET", f"{ISSUE}?occurrence_limit=1.5", 400, "occurrence_limit must be a whole number from 1 to 200"),
        ("GET", f"{ISSUE}?occurrence_limit=%C2%B2", 400, "occurrence_limit must be a whole number from 1 to 200"),
        ("GET", f"/v1/issues?limit={'9' * 5000}", 200, None),
        ("GET", "/v1/issues?is_dev=1", 400, 'is_dev must be true or false, not "1"'),
        ("GET", "/v1/issues?status=", 400, "status must be one of new, in_progress"),
        ("GET", "/v1/projects/%00/issues", 400, "project_id must be a UUID"),
        ("GET", "/v1/projects/..%2f..%2fetc/issues", 404, "Not Found"),
    ],
)
def test_what_is_not_there_or_not_right_is_told_in_the_apis_shape(
    http: httpx2.Client, method: str, path: str, status: int, error: str | None
) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    if error:
        assert error in answer.json()["error"]
        assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"{", 400, "Body is not valid JSON"),
        (b"\xff", 400, "Body is not valid JSON"),
        (b"[" * 100_000, 400, "Body is not valid JSON"),
        (b"[1, 2]", 400, "status is required"),
        (b"", 400, "status is required"),
        (b'{"status": null}', 400, "status is required"),
        (b'{"status": ["new"]}', 400, "Invalid status. Must be one of"),
        (b'{"status": "new", "x": "' + b"x" * 1024 * 1024 + b'"}', 413, "Request body is too large"),
    ],
)
def test_a_body_that_cannot_be_taken_is_told(http: httpx2.Client, body: bytes, status: int, error: str) -> None:
    answer = http.patch(ISSUE, content=body)
    assert (answer.status_code, error in answer.json()["error"]) == (status, True)


@pytest.mark.parametrize("body", [b"{", b" " * 2 * 1024 * 1024])
def test_a_stranger_is_not_told_what_is_wrong_with_a_body(http: httpx2.Client, body: bytes) -> None:
    answer = http.patch(ISSUE, content=body, headers={"Authorization": "Bearer owl_agent_wrong"})
    assert (answer.status_code, answer.json()) == (401, {"error": "Invalid API key"})


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (ISSUE, "GET, HEAD, PATCH"),
        (f"{ISSUE}/comments", "GET, HEAD, POST"),
        (f"{ISSUE}/comments/{SYMBOLS['c_1']}", "DELETE, PATCH"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(http: httpx2.Client, path: str, allowed: str) -> None:
    assert http.put(path).headers["allow"] == allowed


def test_a_body_without_a_length_is_measured_as_it_comes(http: httpx2.Client) -> None:
    answer = http.patch(ISSUE, content=(b" " * 100_000 for _ in range(20)))
    assert answer.status_code == 413


def test_a_caller_that_leaves_before_the_end_of_a_body_changes_nothing_and_is_no_failure(
    http: httpx2.Client, http_face: HttpFace, caplog: pytest.LogCaptureFixture
) -> None:
    url = httpx2.URL(http_face.endpoint)
    head = f"POST {ISSUE}/comments HTTP/1.1\r\nHost: localhost\r\nAuthorization: {KEY['Authorization']}\r\n"
    before = http.get(f"{ISSUE}/comments").json()
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(f'{head}Content-Length: 99\r\nExpect: 100-continue\r\n\r\n{{"body": "On'.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert http.get(f"{ISSUE}/comments").json() == before
    assert caplog.messages == []


@pytest.mark.parametrize(("who", "at_first", "then"), [("agent", b" 100 ", b" 400 "), ("expired", b" 401 ", b"")])
def test_a_body_that_is_no_http_ends_the_connection_and_is_no_failure(
    http: httpx2.Client, http_face: HttpFace, caplog: pytest.LogCaptureFixture, who: str, at_first: bytes, then: bytes
) -> None:
    """Whether it comes before the request is answered or, with a wrong key, after."""
    url = httpx2.URL(http_face.endpoint)
    head = f"POST {ISSUE}/comments HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {SECRETS[who]}\r\n"
    before = http.get(f"{ISSUE}/comments").json()
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n".encode())
        assert at_first in connection.recv(1_000)
        connection.sendall(b"no length\r\n")
        assert then in b"".join(iter(lambda: connection.recv(1_000), b""))
    assert http.get(f"{ISSUE}/comments").json() == before
    assert caplog.messages == ["Invalid HTTP request received."]


@pytest.mark.parametrize("path", ["/nowhere", f"{ISSUE}/comments"])
def test_a_body_that_is_no_http_and_comes_with_its_head_is_answered_once_and_is_no_failure(
    http: httpx2.Client, http_face: HttpFace, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """Though the request is on its way, and may need no body to be answered."""
    url = httpx2.URL(http_face.endpoint)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection((url.host, url.port or 0), timeout=30) as connection:
        connection.sendall(f"{head}no length\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(1_000), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1") == answer.count(b'{"error": "Invalid HTTP request"}') == 1
    assert http.get("/health").status_code == 200
    assert caplog.messages == ["Invalid HTTP request received."]


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.2", "[::2]:80", "127.0.0.1:x"])
def test_a_host_that_is_not_its_own_is_refused(http: httpx2.Client, host: str) -> None:
    answer = http.get("/health", headers={"Host": host})
    assert (answer.status_code, answer.json()) == (400, {"error": "Host is not one that this server goes by"})


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:4000", "127.0.0.1:1", "[::1]:4000"])
def test_a_host_that_is_its_own_is_served(http: httpx2.Client, host: str) -> None:
    assert http.get("/health", headers={"Host": host}).status_code == 200


def test_no_other_sites_page_may_read_its_answers(http: httpx2.Client) -> None:
    answer = http.get("/v1/projects", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_answers_do_not_wait_for_acknowledgements(http_face: HttpFace) -> None:
    assert http_face._listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # noqa: SLF001


def test_wrong_keys_are_answered_ever_more_slowly_by_address_and_right_ones_are_not(world: World) -> None:
    now, waits = [0.0], list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    brake = LoginBrake(clock=lambda: now[0], sleep=sleep)
    app = create_app(partial(acting_as, world.store), names=HostNames(["testserver"]), brake=brake)
    one = TestClient(app, client=("10.0.0.1", 1))
    other = TestClient(app, client=("10.0.0.2", 1))
    for _ in range(5 + 6):
        assert one.get("/v1/projects", headers={"Authorization": "Bearer owl_agent_wrong"}).status_code == 401
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert other.get("/v1/projects").status_code == 401
    assert one.get("/v1/projects", headers=KEY).status_code == 200
    assert len(waits) == 6
    now[0] += 301.0
    assert one.get("/v1/projects").status_code == 401
    assert len(waits) == 6


def test_wrong_keys_shown_all_at_once_wait_for_one_another(world: World) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    brake = LoginBrake(clock=lambda: 0.0, sleep=sleep)
    http = TestClient(create_app(partial(acting_as, world.store), names=HostNames(["testserver"]), brake=brake))
    for _ in range(5 + 6):
        http.get("/v1/projects", headers={"Authorization": "Bearer owl_agent_wrong"})
    assert waits == [0.25, 0.75, 1.75, 3.75, 5.0, 5.0]


async def test_of_wrong_keys_shown_all_at_once_so_many_wait_and_the_others_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(LoginBrake, "MAX_WAITING", 2)
    brake = LoginBrake(clock=lambda: 0.0, sleep=lambda _: anyio.sleep_forever())
    for _ in range(LoginBrake.FREE_FAILURES):
        await brake.failed("10.0.0.1")
    async with anyio.create_task_group() as waiting:
        for _ in range(2):
            waiting.start_soon(brake.failed, "10.0.0.1")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(5):
            await brake.failed("10.0.0.1")
        waiting.cancel_scope.cancel()
    with anyio.move_on_after(0) as waited:
        await brake.failed("10.0.0.1")
    assert waited.cancelled_caught


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (StoreBusyError("The store /a/path is locked"), 503),
        (StoreError("The store /a/path"), 500),
        (ZeroDivisionError(), 500),
    ],
)
def test_what_goes_wrong_inside_stays_inside(raised: Exception, status: int) -> None:
    def broken(_: str) -> Tracker:
        raise raised

    client = TestClient(create_app(broken, names=HostNames(["testserver"])), raise_server_exceptions=False)
    answer = client.get("/v1/projects", headers=KEY)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert "path" not in answer.text
    assert "ZeroDivision" not in answer.text


def test_after_what_was_not_foreseen_the_connection_is_said_to_be_closed(world: World, http: httpx2.Client) -> None:
    world.store.write(lambda tx: tx.run("UPDATE api_keys SET permissions = 'x' WHERE name = 'Fixer Agent'"))
    for _ in range(3):
        answer = http.get("/v1/projects", headers={"Authorization": f"Bearer {SECRETS['agent2']}"})
        assert (answer.status_code, answer.headers["connection"]) == (500, "close")
        assert http.get("/v1/projects", headers=KEY).status_code == 200


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "owlmetry_mcp", *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_an_address_that_is_taken_is_told(world: World, http_face: HttpFace) -> None:
    port = http_face.endpoint.rpartition(":")[2]
    done = ended("api", "--port", port, "--store", str(world.store.path))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("flags", "warned"), [([], True), (["--behind-proxy"], False)])
def test_it_warns_when_other_machines_can_reach_it(world: World, flags: list[str], warned: bool) -> None:
    command = [sys.executable, "-m", "owlmetry_mcp", "api", "--host", "0.0.0.0", "--port", "0", *flags]  # noqa: S104
    with subprocess.Popen(
        [*command, "--store", str(world.store.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        port = process.stdout.readline().rpartition(":")[2].strip()
        by_address = httpx2.get(f"http://127.0.0.1:{port}/health", headers={"Host": "192.0.2.1"})
        by_name = httpx2.get(f"http://127.0.0.1:{port}/health", headers={"Host": "evil.example"})
        assert (by_address.status_code, by_name.status_code) == (200, 400)
        process.terminate()
        assert ("can be reached from other machines" in process.stderr.read()) == warned


def test_keys_are_in_no_log(world: World) -> None:
    command = [sys.executable, "-m", "owlmetry_mcp", "api", "--port", "0", "--log-level", "debug"]
    environment = {**os.environ, "OWLMETRY_STORE": str(world.store.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        address = process.stdout.readline().split()[-1]
        httpx2.get(f"{address}/v1/projects", headers=KEY)
        httpx2.get(f"{address}/v1/projects", headers={"Authorization": "Bearer owl_agent_wrong"})
        process.terminate()
        logged = process.stderr.read()
    assert SECRETS["agent"] not in logged
    assert "owl_agent_wrong" not in logged


def test_wrong_flags_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["api", "--port", "many"])
    assert leaving.value.code == 2
    assert main(["api", "--host", "no.such.host.invalid", "--port", "0"]) == 1
    assert main(["api", "--port", "99999"]) == 1
    assert "cannot listen on 127.0.0.1 port 99999" in capsys.readouterr().err


def test_a_status_change_has_no_app_name_and_a_list_no_more_than_the_api(http: httpx2.Client) -> None:
    changed = http.patch(ISSUE, json={"status": "in_progress"}).json()
    assert "app_name" not in changed
    assert "project_name" not in changed
    listed = http.get(f"/v1/projects/{SYMBOLS['shop']}/issues").json()["issues"][0]
    assert "app_name" in listed
    assert "project_name" not in listed
