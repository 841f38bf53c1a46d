"""Names from outside stay names: whatever is asked, nothing is opened but the store and the program itself."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.stdio import RawClient
from tests.world import ROOT, SECRETS, SYMBOLS, World

SHOP, TIMEOUT, COMMENT = (SYMBOLS[name] for name in ("shop", "i_timeout", "c_2"))
WATCHED = """
import atexit, json, sys

touched = []

def watch(event, arguments):
    named = arguments and isinstance(arguments[0], (str, bytes))
    if named and (event in ("open", "sqlite3.connect") or event.startswith(("os.", "shutil.", "subprocess.", "glob."))):
        touched.append([event, str(arguments[0])])

def report():
    of_imports = [["os.listdir", path or "."] for path in sys.path]
    words = json.dumps([each for each in touched if each not in of_imports])
    open(sys.argv[1], "w").write(words)

sys.addaudithook(watch)
atexit.register(report)
from owlmetry_mcp.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
"""The command line, with all that Python opens, lists, makes, moves and starts by name written to a file at its end."""
OF_THE_PROGRAM = (sys.prefix, sys.base_prefix, str(ROOT / "owlmetry_mcp"))


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "outside" / "diary.txt"
    path.parent.mkdir()
    path.write_text("Dear diary")
    return path


def hostile(secret_file: Path) -> list[str]:
    return [
        str(secret_file),
        "outside/diary.txt",
        "../outside/diary.txt",
        f"file://{secret_file}",
        f"{secret_file}\0.png",
        "....//....//outside/diary.txt",
        "..\\outside\\diary.txt",
        "%2e%2e%2foutside%2fdiary.txt",
        "~/outside/diary.txt",
        "$HOME/outside/diary.txt",
        "/proc/self/environ",
        "/dev/stdin",
        "|cat /etc/passwd",
        "C:\\outside\\diary.txt",
    ]


class Watched:
    """What a command touches, once it has ended."""

    def __init__(self, report: Path, store: Path) -> None:
        self._report = report
        self._store = store

    def touched(self) -> list[list[str]]:
        """But for the store and the program itself."""
        return [
            [event, path]
            for event, path in json.loads(self._report.read_text())
            if str(self._store) not in path and not path.startswith(OF_THE_PROGRAM)
        ]


@contextmanager
def watched(world: World, tmp_path: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Watched]]:
    report = tmp_path / "touched.json"
    command = [sys.executable, "-c", WATCHED, str(report), *arguments, "--store", str(world.store.path)]
    environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        try:
            yield process, Watched(report, world.store.path)
        except BaseException:
            process.kill()
            raise


def test_over_http_names_open_nothing(world: World, tmp_path: Path, secret_file: Path) -> None:
    with watched(world, tmp_path, "api", "--port", "0") as (process, seen):
        assert process.stdout
        port = int(process.stdout.readline().rpartition(b":")[2])
        names = hostile(secret_file)
        answers = [answer for name in names for answer in asked_over_http(port, name)]
        answers += [
            requested(port, "GET", "/v1/projects", who=name) for name in names[:3]
        ]  # wrong keys more are slowed
        process.terminate()
    assert {status for status, _ in answers} <= {200, 201, 400, 401, 403, 404, 405}
    assert not [text for _, text in answers if "Dear diary" in text or "root:" in text]
    assert seen.touched() == []


def asked_over_http(port: int, name: str) -> Iterator[tuple[int, str]]:
    encoded = quote(name, safe="")
    issue = f"/v1/projects/{SHOP}/issues/{TIMEOUT}"
    for path in (name if "\0" not in name and " " not in name else encoded, encoded):
        yield from (
            requested(port, "GET", begin + path + end)
            for begin, end in (
                ("/", ""),
                ("/v1/", ""),
                ("/v1/projects/", "/issues"),
                (f"/v1/projects/{SHOP}/issues/", ""),
                (f"/v1/projects/{SHOP}/issues/", "/comments"),
                ("/v1/events/", ""),
            )
        )
    for parameter in ("project_id", "team_id", "app_id", "status", "cursor", "limit", "session_id"):
        yield requested(port, "GET", f"/v1/issues?{parameter}={encoded}")
        yield requested(port, "GET", f"/v1/events?{parameter}={encoded}")
    yield requested(port, "GET", f"{issue}?occurrence_cursor={encoded}")
    yield requested(port, "PATCH", issue, {"status": name, "resolved_at_version": name})
    yield requested(port, "POST", f"{issue}/merge", {"source_issue_id": name})
    yield requested(port, "POST", f"{issue}/comments", {"body": name})
    yield requested(port, "PATCH", f"{issue}/comments/{encoded}", {"body": name})
    yield requested(port, "DELETE", f"{issue}/comments/{encoded}")
    attachment = {"original_filename": name, "content_type": name, "size_bytes": 1}
    event = {
        "message": name,
        "level": "error",
        "session_id": SYMBOLS["ghost"],
        "source_module": name,
        "custom_attributes": {name: name},
        "attachments": [attachment],
    }
    yield requested(port, "POST", "/v1/ingest", {"bundle_id": "com.example.shop", "events": [event]}, SECRETS["client"])
    yield requested(port, "POST", "/v1/import", {"events": [event]}, SECRETS["importer"])


def requested(port: int, method: str, path: str, body: Any = None, who: str = SECRETS["agent"]) -> tuple[int, str]:
    """With the path as it is, which clients would make shorter."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, None if body is None else json.dumps(body), {"Authorization": f"Bearer {who}"})
    answer = connection.getresponse()
    said = answer.status, answer.read().decode()
    connection.close()
    return said


def test_to_a_server_names_open_nothing(world: World, tmp_path: Path, secret_file: Path) -> None:
    with watched(world, tmp_path, "serve") as (process, seen):
        client = RawClient(process, "envelope")
        texts = []
        for number, name in enumerate(hostile(secret_file)):
            requests = [*asked_of_tools(client, name, number)]
            texts += [json.dumps(answer) for answer in client.asked(*requests, answers=len(requests))]
        assert client.rest() == []
    assert not [text for text in texts if "Dear diary" in text or "root:" in text]
    assert seen.touched() == []


def asked_of_tools(client: RawClient, name: str, group: int) -> Iterator[bytes]:
    ids = iter(range(group * 100, group * 100 + 100))

    def call(tool: str, **arguments: Any) -> bytes:
        return client.call(next(ids), tool, **arguments)

    on = {"project_id": SHOP, "issue_id": TIMEOUT}
    yield call(name)
    for parameter in ("project_id", "team_id", "app_id", "status", "cursor"):
        yield call("list_issues", **{parameter: name})
    yield call("triage_overview", project_id=name)
    yield call("get_issue", project_id=SHOP, issue_id=name)
    yield call("get_issue", project_id=name, issue_id=TIMEOUT)
    yield call("get_event", event_id=name)
    yield call("get_breadcrumbs", event_id=name)
    yield call("find_duplicates", project_id=name)
    yield call("update_status", **on, status="resolved", resolved_at_version=name)
    yield call("merge", project_id=SHOP, target_issue_id=TIMEOUT, source_issue_id=name)
    yield call("comment", **on, body=name)
    yield call("edit_comment", **on, comment_id=name, body=name)
    yield call("delete_comment", **on, comment_id=name)
    for uri in (name, f"owlmetry://{name}", f"owlmetry://projects/{quote(name, safe='')}/overview"):
        yield client.request(next(ids), "resources/read", uri=uri)
    yield client.request(next(ids), "prompts/get", name="triage", arguments={"project_id": name})
    argument = {"name": "project_id", "value": name}
    ref = {"type": "ref/prompt", "name": "triage"}
    yield client.request(next(ids), "completion/complete", ref=ref, argument=argument)
