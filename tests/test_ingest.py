"""`owlmetry-mcp ingest`, `scan`, `prune` and `keys create` for apps, as a person, a script and a pipe meet them."""

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.ingest import BATCH_EVENTS, MAX_FAULTS_SHOWN
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.models import KeyIdentity
from owlmetry_mcp.sources import lines
from owlmetry_mcp.sources.lines import MAX_LINE_BYTES
from tests.shell import Shell
from tests.test_stdio import COMMAND, served
from tests.world import SYMBOLS, HttpFace

SESSION = "f8ac29d3-ea8f-538f-a4d5-3a607bd16e4f"
EVENT = {"message": "Boom", "level": "error", "session_id": SESSION, "timestamp": "2026-10-21T10:00:00.000Z"}
NOTHING_NEW = "There was nothing to scan: no new errors, or none that another scan has not taken."
ONE_OPENED = "Issues: 1 opened, 0 regressed, 0 reopened; 1 new occurrences, from 1 errors."

Row = dict[str, Any]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of lines: events, or bytes as they are."""

    def write(*lines: Row | bytes, name: str = "events.jsonl", end: bytes = b"\n") -> Path:
        file = tmp_path / name
        file.write_bytes(b"".join((line if isinstance(line, bytes) else as_line(line)) + end for line in lines))
        return file

    return write


def as_line(event: Row) -> bytes:
    return json.dumps(event).encode()


def ask(path: Path, sql: str) -> Any:
    """What another program reads in the store's file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as connection:
        return connection.execute(sql).fetchall()


def messages(path: Path) -> list[str]:
    return [json.loads(content)["message"] for (content,) in ask(path, "SELECT content FROM events ORDER BY key")]


def issues(path: Path) -> list[tuple[str, int]]:
    rows: list[tuple[str, int]] = ask(path, "SELECT title, occurrence_count FROM issues ORDER BY title")
    return rows


def dump(shell: Shell) -> str:
    return shell.run("export", "-")


def session(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def test_a_file_of_events_becomes_issues_and_a_summary(shell: Shell, write: Write) -> None:
    file = write(
        EVENT,
        EVENT | {"message": "Bang", "timestamp": "2026-10-21T10:01:00+00:00"},
        EVENT | {"message": "Boom", "session_id": session(2)},
        EVENT | {"message": "just so", "level": "info"},
    )
    assert shell.run("ingest", str(file), "--app", "My app") == ""
    assert shell.errors == (
        f"{file}: 4 new events.\nIssues: 2 opened, 0 regressed, 0 reopened; 3 new occurrences, from 3 errors.\n"
    )
    assert messages(shell.path) == ["Boom", "Bang", "Boom", "just so"]
    assert issues(shell.path) == [("Bang", 1), ("Boom", 2)]
    assert ask(shell.path, "SELECT DISTINCT api_key FROM events") == [(None,)]


def test_the_same_file_again_is_known_and_changes_nothing(shell: Shell, write: Write) -> None:
    file = write(EVENT, EVENT | {"client_event_id": session(9)}, EVENT | {"message": "just so", "level": "info"})
    shell.run("ingest", str(file))
    before = dump(shell)
    shell.run("ingest", str(file))
    assert shell.errors == f"{file}: 0 new events, 3 known already.\n{NOTHING_NEW}\n"
    assert dump(shell) == before


def test_of_a_file_that_has_grown_only_what_is_new_is_taken(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(EVENT)))
    file = write(EVENT, EVENT | {"message": "Later", "timestamp": "2026-10-21T10:01:00Z"}, b"{", name="grown.jsonl")
    shell.run("ingest", str(file))
    assert shell.errors.endswith(f"{file}: 1 new events, 1 known already, 1 bad, left out.\n{ONE_OPENED}\n")
    assert messages(shell.path) == ["Boom", "Later"]


def test_lines_alike_are_one_event_and_others_are_not(shell: Shell, write: Write) -> None:
    spaced = json.dumps(EVENT, separators=(", ", ":")).encode()
    file = write(EVENT, b"  " + as_line(EVENT) + b"\t", EVENT | {"client_event_id": None}, spaced, EVENT)
    shell.run("ingest", str(file))
    assert f"{file}: 3 new events, 2 known already.\n" in shell.errors


def test_an_id_that_is_given_counts_and_not_the_line(shell: Shell, write: Write) -> None:
    one, other = session(1), session(2)
    file = write(*(EVENT | {"client_event_id": it, "message": it} for it in (one, other, one.upper())))
    shell.run("ingest", str(file))
    assert messages(shell.path) == [one, other]
    ids = ask(shell.path, "SELECT hex(client_event_id) FROM events ORDER BY key")
    assert ids == [(it.replace("-", "").upper(),) for it in (one, other)]


def test_an_event_that_names_no_time_happens_now(shell: Shell, write: Write) -> None:
    before = times.to_text(datetime.now(UTC))
    shell.run("ingest", str(write({name: EVENT[name] for name in ("message", "level", "session_id")})))
    ((timestamp,),) = ask(shell.path, "SELECT timestamp FROM events")
    assert before <= timestamp <= times.to_text(datetime.now(UTC))


def test_history_of_any_age_is_taken(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(EVENT | {"timestamp": "1999-12-31T23:59:59Z"})))
    assert ask(shell.path, "SELECT first_seen_at FROM issues") == [("1999-12-31T23:59:59.000Z",)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n  \n\t\r\n\f\n", []),
        (as_line(EVENT), ["Boom"]),
        (as_line(EVENT) + b"\r\n" + as_line(EVENT | {"message": "Bang"}) + b"\r\n", ["Boom", "Bang"]),
        (b"\n\n" + as_line(EVENT) + b"\n\n", ["Boom"]),
        (json.dumps(EVENT | {"message": "🦉\u2028ü"}, ensure_ascii=False).encode(), ["🦉\u2028ü"]),
        (b"\xef\xbb\xbf" + as_line(EVENT), ["Boom"]),
        (as_line(EVENT | {"message": "m" * 2000, "screen_name": "s" * 2000}), ["m" * 2000]),
        (as_line(EVENT)[:-1] + b', "pad": "' + b"x" * (MAX_LINE_BYTES - len(as_line(EVENT)) - 11) + b'"}', ["Boom"]),
    ],
    ids=[
        "empty",
        "blank",
        "no end",
        "CRLF",
        "blanks around",
        "not ASCII",
        "a BOM",
        "long texts",
        "as long as it may be",
    ],
)
def test_a_file_may_end_and_pause_as_it_likes(shell: Shell, write: Write, content: bytes, expected: list[str]) -> None:
    file = write(content, end=b"")
    shell.run("ingest", str(file))
    assert shell.errors.startswith(f"{file}: {len(expected)} new events.\n")
    assert messages(shell.path) == expected


UNSTORABLE = "must hold no NUL and no unpaired surrogates; leave those characters out"
BAD_LINES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "not valid JSON: EOF while parsing an object at character 1"),
    "no object": (b"[1]", "not a JSON object"),
    "a number": (b"7", "not a JSON object"),
    "half of a text": (b"\xff" + as_line(EVENT), "not valid JSON: expected value at character 1"),
    "not UTF-8": (as_line(EVENT).replace(b"Boom", b"B\xff"), "not valid JSON: invalid unicode code point"),
    "half a character": (as_line(EVENT | {"message": "\ud83e"}), "not valid JSON: "),
    "a NUL": (as_line(EVENT | {"message": "a\0b"}), f"message {UNSTORABLE}"),
    "nested deeply": (b"[" * 100_000, "not valid JSON: recursion limit exceeded"),
    "nested in an object": (b'{"a":' * 100_000, "not valid JSON: recursion limit exceeded"),
    "too long": (
        as_line(EVENT)[:-1] + b" " * MAX_LINE_BYTES + b"}",
        f"a line may have {MAX_LINE_BYTES:,} bytes at most",
    ),
    "far too long": (b"x" * (2 * MAX_LINE_BYTES), f"a line may have {MAX_LINE_BYTES:,} bytes at most"),
    "two events": (as_line(EVENT) * 2, "not valid JSON: trailing characters"),
    "no message": (as_line(EVENT | {"message": None}), "message is required and must be a string"),
    "a bad level": (as_line(EVENT | {"level": "fatal"}), "level must be one of info, debug, warn, error"),
    "another's environment": (
        as_line(EVENT | {"environment": "ios"}),
        'environment "ios" is not allowed for backend apps (allowed: backend)',
    ),
    "a time ahead": (
        as_line(EVENT | {"timestamp": "9000-01-01T00:00:00Z"}),
        "timestamp cannot be more than 5 minutes in the future",
    ),
}


@pytest.mark.parametrize(("line", "said"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_told_by_its_number_and_left_out(shell: Shell, write: Write, line: bytes, said: str) -> None:
    file = write(EVENT, b"", line, EVENT | {"message": "Bang"})
    shell.run("ingest", str(file))
    told, *summary = shell.errors.splitlines()
    assert told.startswith(f"line 3: {said}")
    assert len(told) < 200
    assert summary == [
        f"{file}: 2 new events, 1 bad, left out.",
        "Issues: 1 opened, 0 regressed, 0 reopened; 1 new occurrences, from 2 errors.",
    ]
    assert messages(shell.path) == ["Boom", "Bang"]


def test_a_file_that_holds_no_event_at_all_is_told(shell: Shell, write: Write) -> None:
    file = write(b"Payment failed", b"so it did")
    shell.run("ingest", str(file), code=1)
    *told, last = shell.errors.splitlines()
    assert [line.partition(":")[0] for line in told] == ["line 1", "line 2"]
    assert last == f"owlmetry-mcp: {file}: nothing in it is an event. See --format for what it may hold."


def test_of_very_many_bad_lines_the_first_are_told_and_all_are_counted(shell: Shell, write: Write) -> None:
    file = write(*[b"{"] * (MAX_FAULTS_SHOWN + 5), EVENT)
    shell.run("ingest", str(file))
    *told, summary, _ = shell.errors.splitlines()
    assert [line.partition(":")[0] for line in told] == [f"line {number}" for number in range(1, MAX_FAULTS_SHOWN + 1)]
    assert summary == f"{file}: 1 new events, {MAX_FAULTS_SHOWN + 5} bad, left out (the first 100 are shown)."


def test_a_bad_line_shows_nothing_that_a_terminal_would_obey(shell: Shell, write: Write) -> None:
    hidden = "\x1b[2J\u202e"
    rows: list[Row] = [
        {"level": hidden},
        {"custom_attributes": {hidden: 7}},
        {"custom_attributes": hidden},
        {"client_event_id": hidden},
    ]
    shell.run("ingest", str(write(*(EVENT | row for row in rows), hidden.encode(), b"[bold]x", EVENT)))
    assert not {"\x1b", "\u202e"} & {*shell.errors}


def test_strictness_stops_at_the_first_bad_line_and_says_what_is_kept(shell: Shell, write: Write) -> None:
    file = write(EVENT, b"", b"{", EVENT | {"message": "Bang"})
    assert shell.run("ingest", str(file), "--strict", code=1) == ""
    assert re.fullmatch(
        rf"owlmetry-mcp: {re.escape(str(file))}, line 3: not valid JSON: [^\n]*\. Nothing was taken in\.\n",
        shell.errors,
    )
    assert messages(shell.path) == []


def many(count: int) -> Iterator[Row]:
    """Errors of ten kinds, each in a session of its own."""
    for number in range(count):
        yield EVENT | {"message": f"Kind {'abcdefghij'[number % 10]}", "session_id": session(number)}


def test_strictness_keeps_the_whole_batches_before_a_bad_line(shell: Shell, write: Write) -> None:
    file = write(*many(BATCH_EVENTS + 10), EVENT | {"level": "?"}, EVENT)
    shell.run("ingest", str(file), "--strict", code=1)
    assert shell.errors == (
        f"owlmetry-mcp: {file}, line {BATCH_EVENTS + 11}: level must be one of info, debug, warn, error."
        f" What stands up to line {BATCH_EVENTS} is in the store; run it again to go on, nothing comes twice.\n"
    )
    assert ask(shell.path, "SELECT count(*) FROM events") == [(BATCH_EVENTS,)]
    shell.run("ingest", str(file))
    assert f": 11 new events, {BATCH_EVENTS:,} known already, 1 bad, left out.\n" in shell.errors
    assert issues(shell.path) == [
        ("Boom", 1),
        *((f"Kind {letter}", BATCH_EVENTS // 10 + 1) for letter in "abcdefghij"),
    ]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("no-such-file", "no-such-file cannot be read: [Errno 2] No such file or directory"),
        ("", "FILE must be the path of a file, or - for standard input"),
        ("a\0b", "cannot be read: "),
        (".", ". cannot be read: [Errno 21] Is a directory"),
    ],
)
def test_what_is_no_file_is_told(shell: Shell, file: str, said: str) -> None:
    assert shell.run("ingest", file, code=1) == ""
    assert said in shell.errors
    shell.run("ingest", str(shell.path.parent), code=1)
    assert "cannot be read: [Errno 21] Is a directory" in shell.errors


def test_the_format_is_one_that_there_is(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(EVENT)), "--format", "csv", code=2)
    assert "argument --format: invalid choice: 'csv'" in shell.errors
    assert all(name in shell.errors for name in ("json-lines", "python-logging", "otlp-json"))


# Whose events they are


@pytest.mark.parametrize("wanted", ["Shop API", SYMBOLS["api"], SYMBOLS["api"].upper()])
def test_an_app_goes_by_its_name_or_its_id(imported: Shell, write: Write, wanted: str) -> None:
    imported.run("ingest", str(write(EVENT | {"environment": "backend"})), "--app", wanted)
    assert ask(imported.path, "SELECT a.name FROM events e JOIN apps a ON a.key = e.app") == [("Shop API",)]


def test_an_app_that_is_not_there_or_not_named_is_told(imported: Shell, write: Write) -> None:
    file = str(write(EVENT))
    imported.run("ingest", file, "--app", "Shop", code=1)
    assert imported.errors == (
        'owlmetry-mcp: The store has no app "Shop". It has: Shop iOS, Shop API, Blog Web, Foreign API.'
        " `owlmetry-mcp apps add` adds one.\n"
    )
    imported.run("ingest", file, code=1)
    assert imported.errors == (
        "owlmetry-mcp: The store has several apps. Name one with --app: Shop iOS, Shop API, Blog Web, Foreign API.\n"
    )
    imported.run("apps", "add", "Shop API", "--platform", "backend")
    imported.run("ingest", file, "--app", "Shop API", code=1)
    assert re.fullmatch(
        rf'owlmetry-mcp: Several apps are named "Shop API"\. Use an id: {SYMBOLS["api"]}, [0-9a-f-]{{36}}\n',
        imported.errors,
    )
    assert messages(imported.path) == []


def test_an_apps_bundle_id_is_not_asked_of_a_file(imported: Shell, write: Write) -> None:
    imported.run("ingest", str(write(EVENT | {"environment": "ipados"})), "--app", "Shop iOS")
    assert ask(imported.path, "SELECT a.name FROM events e JOIN apps a ON a.key = e.app") == [("Shop iOS",)]


# Pipes, signals, other processes


def piped(path: Path, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, "ingest", "-", *arguments, "--store", str(path)],
        stdin=subprocess.PIPE, stderr=more.pop("stderr", subprocess.PIPE), **more,
    )  # fmt: skip


def test_standard_input_is_a_file_too(shell: Shell) -> None:
    with piped(shell.path) as process:
        _, errors = process.communicate(as_line(EVENT) + b"\n{\n" + as_line(EVENT | {"message": "Bang"}), timeout=60)
    assert process.returncode == 0
    fault, *summary = errors.decode().splitlines()
    assert fault.startswith("line 2: not valid JSON")
    assert summary == [
        "standard input: 2 new events, 1 bad, left out.",
        "Issues: 1 opened, 0 regressed, 0 reopened; 1 new occurrences, from 2 errors.",
    ]
    assert messages(shell.path) == ["Boom", "Bang"]


def test_standard_input_may_be_a_file_of_its_own_or_nothing(shell: Shell, write: Write) -> None:
    command = [*COMMAND, "ingest", "-", "--store", str(shell.path)]
    with write(EVENT).open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True, timeout=60)
    assert done.stderr.decode() == f"standard input: 1 new events.\n{ONE_OPENED}\n"
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60)
    assert done.stderr.decode() == f"standard input: 0 new events.\n{NOTHING_NEW}\n"


def test_a_named_pipe_is_read_to_its_end(shell: Shell, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [*COMMAND, "ingest", str(tmp_path / "pipe"), "--store", str(shell.path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        (tmp_path / "pipe").write_bytes(as_line(EVENT))
        assert process.stderr
        assert process.stderr.read().decode() == f"{tmp_path / 'pipe'}: 1 new events.\n{ONE_OPENED}\n"


async def test_a_running_server_sees_what_a_pipe_brings_while_it_is_open(shell: Shell) -> None:
    async with Client(served(shell.path)) as client:

        async def listed() -> list[tuple[str, int]]:
            answer = (await client.call_tool("list_issues", {})).structured_content
            assert answer is not None
            return [(issue["title"], issue["occurrence_count"]) for issue in answer["issues"]]

        assert await listed() == []
        with piped(shell.path) as process:
            assert process.stdin
            process.stdin.write(as_line(EVENT) + b"\n")
            process.stdin.flush()
            while not (now := await listed()):
                assert process.poll() is None
            assert now == [("Boom", 1)]
            process.stdin.write(as_line(EVENT | {"session_id": session(2)}) + b"\n")
            process.stdin.close()
            assert process.wait(timeout=60) == 0
        assert await listed() == [("Boom", 2)]


def test_a_pipe_that_never_pauses_is_taken_in_all_the_same(shell: Shell) -> None:
    """A line every few milliseconds, until the first is an issue."""
    with piped(shell.path) as process:
        assert process.stdin
        sent = 0
        while not shell.path.exists() or not issues(shell.path):
            sent += 1
            process.stdin.write(as_line(EVENT | {"session_id": session(sent)}) + b"\n")
            process.stdin.flush()
            assert sent < 100_000
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    assert issues(shell.path) == [("Boom", sent)]


def test_an_interrupted_pipe_says_what_is_kept(shell: Shell) -> None:
    with piped(shell.path) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write(as_line(EVENT) + b"\n")
        process.stdin.flush()
        while not shell.path.exists() or not issues(shell.path):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 1
        assert process.stderr.read().decode() == (
            "What stands up to line 1 is in the store; run it again to go on, nothing comes twice."
            " `owlmetry-mcp scan` makes issues of what is there.\n"
            "owlmetry-mcp: interrupted\n"
        )


def test_a_signal_that_interrupts_no_system_call_ends_the_wait_for_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that comes just before the call. Here another thread gets it, and Python tells the main one of it."""
    monkeypatch.setattr(lines, "_IDLE_SECONDS", 0.01)
    reading_end, writing_end = os.pipe()
    noticed = threading.Event()
    in_time = []

    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        in_time.append(noticed.wait(20))
        os.close(writing_end)

    with os.fdopen(reading_end):
        thread = threading.Timer(0.1, interrupt)
        with pytest.raises(KeyboardInterrupt):
            list(lines.Lines(reading_end, thread.start))
        noticed.set()
        thread.join()
    assert in_time == [True]


def events_in(path: Path) -> int:
    count: int = ask(path, "SELECT count(*) FROM events")[0][0]
    return count


LARGE = 3 * BATCH_EVENTS


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_ended_in_the_midst_of_a_file_it_leaves_whole_batches_and_goes_on_when_run_again(
    shell: Shell, write: Write, number: signal.Signals
) -> None:
    file = write(*many(LARGE))
    shell.run("scan")  # makes the store
    with subprocess.Popen(
        [*COMMAND, "ingest", str(file), "--store", str(shell.path)], stderr=subprocess.PIPE, text=True
    ) as process:
        while not events_in(shell.path):
            assert process.poll() is None
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    if number == signal.SIGINT:
        assert process.returncode == 1
        told = re.fullmatch(
            r"What stands up to line (\d+) is in the store; run it again to go on, nothing comes twice\."
            r" `owlmetry-mcp scan` makes issues of what is there\.\n"
            r"owlmetry-mcp: interrupted\n",
            errors,
        )
        assert told, errors
        assert int(told[1]) <= events_in(shell.path)
    else:
        assert process.returncode == -number
    kept = events_in(shell.path)
    assert 0 < kept < LARGE
    assert kept % BATCH_EVENTS == 0
    shell.run("ingest", str(file))
    assert f": {LARGE - kept:,} new events, {kept:,} known already.\n" in shell.errors
    assert ask(shell.path, "SELECT count(*), count(DISTINCT client_event_id) FROM events") == [(LARGE, LARGE)]
    assert issues(shell.path) == [(f"Kind {letter}", LARGE // 10) for letter in "abcdefghij"]
    assert ask(shell.path, "PRAGMA integrity_check") == [("ok",)]
    assert ask(shell.path, "PRAGMA foreign_key_check") == []


def test_two_that_read_the_same_file_at_once_take_each_event_once(shell: Shell, write: Write) -> None:
    count = 2 * BATCH_EVENTS + 5
    command = [*COMMAND, "ingest", str(write(*many(count))), "--store", str(shell.path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    new = [int(re.findall(r": ([\d,]+) new events", text)[0].replace(",", "")) for text in told]
    assert sum(new) == count
    assert issues(shell.path) == [
        (f"Kind {letter}", 2 * BATCH_EVENTS // 10 + (letter in "abcde")) for letter in "abcdefghij"
    ]


def on_terminal(path: Path, file: Path) -> tuple[int, str]:
    """The exit code, and what a terminal is shown."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "LINES": "24"}
    command = [*COMMAND, "ingest", str(file), "--store", str(path)]
    with subprocess.Popen(command, stdin=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while chunk := read_some(ours):
            shown += chunk
    os.close(ours)
    return process.returncode, shown.decode()


def read_some(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # as Linux tells that no one holds the other end any more
        return b""


def test_a_terminal_is_shown_a_bar_and_bad_lines_above_it(shell: Shell, write: Write) -> None:
    file = write(*many(500), EVENT | {"level": "[red]" + "x" * 100}, b"{" + b" " * 300, *many(500))
    code, shown = on_terminal(shell.path, file)
    assert code == 0
    assert "━" in shown
    assert re.search(r"\d+(\.\d+)?/\d+(\.\d+)? (bytes|kB|MB)", shown)
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip() for line in re.split(r"[\r\n]+", shown)]
    assert "line 501: level must be one of info, debug, warn, error" in lines
    assert "line 502: not valid JSON: EOF while parsing an object at character 1" in lines
    assert f"{file}: 500 new events, 500 known already, 2 bad, left out." in lines
    *_, last = shown.rstrip().splitlines()
    assert last.startswith("Issues: 10 opened")


def test_elsewhere_than_on_a_terminal_there_is_no_bar(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(*many(500))))
    assert "━" not in shell.errors
    assert "\x1b" not in shell.errors


# Scanning and forgetting


def copied(document: Row, path: Path, shell: Shell) -> Shell:
    """Another store, of a document, as it is before its first scan."""
    with Store(path) as store:
        store.write(lambda tx: import_document(tx, read_document(json.dumps(document))))
    return Shell(path, shell._capture)  # noqa: SLF001


def test_a_scan_says_what_it_did_or_that_there_was_nothing(shell: Shell, write: Write, tmp_path: Path) -> None:
    assert shell.run("scan") == ""
    assert shell.errors == f"{NOTHING_NEW}\n"
    shell.run("ingest", str(write(EVENT)))
    shell.run("scan")
    assert shell.errors == f"{NOTHING_NEW}\n"
    document = json.loads(dump(shell))
    document["events"].append(document["events"][0] | {"id": session(7), "client_event_id": None, "scanned": False})
    document["events"][-1] |= {"session_id": session(8)}
    copy = copied(document, tmp_path / "copy.db", shell)
    copy.run("scan")
    assert copy.errors == "Issues: 0 opened, 0 regressed, 0 reopened; 1 new occurrences, from 1 errors.\n"


def ago(**by: float) -> str:
    return times.to_text(datetime.now(UTC) - timedelta(**by))


def test_an_event_that_a_document_brings_back_is_forgotten_again(shell: Shell, write: Write, tmp_path: Path) -> None:
    shell.run("ingest", str(write(EVENT | {"timestamp": ago(days=31)})))
    document = tmp_path / "events.json"
    document.write_text(json.dumps({"events": json.loads(dump(shell))["events"]}))
    shell.run("prune", "--events-older-than", "30")
    shell.run("import", str(document))
    shell.run("prune", "--events-older-than", "30")
    assert "Pruned 1 events" in shell.errors
    assert ask(shell.path, "SELECT count(*) FROM events") == [(0,)]


def test_old_events_are_forgotten_and_what_was_made_of_them_stays(shell: Shell, write: Write) -> None:
    attachment = {"original_filename": "a.log", "size_bytes": 7}
    file = write(
        EVENT | {"timestamp": ago(days=31), "attachments": [attachment]},
        EVENT | {"timestamp": ago(days=31), "level": "info", "session_id": session(2), "attachments": [attachment]},
        EVENT | {"timestamp": ago(days=29), "message": "Young", "session_id": session(3)},
    )
    shell.run("ingest", str(file))
    before = json.loads(dump(shell))
    assert shell.run("prune", "--events-older-than", "30") == ""
    day = ago(days=30)[:10]
    assert shell.errors == f"Pruned 2 events from before {day}; issues stay as they are.\n"
    after = json.loads(dump(shell))
    assert [event["message"] for event in after["events"]] == ["Young"]
    assert after["events"] == [row for row in before["events"] if row["message"] == "Young"]
    assert after["attachments"] == [row for row in before["attachments"] if row["issue_id"]]
    assert len(after["attachments"]) == 1
    assert len(after["pruned"]) == 2
    others = before.keys() - {"events", "attachments", "pruned"}
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    assert ask(shell.path, "SELECT count(*) FROM sessions") == [(2,)]
    shell.run("prune", "--events-older-than", "30")
    assert shell.errors == f"Pruned 0 events from before {day}; issues stay as they are.\n"
    # What was forgotten is known all the same.
    shell.run("ingest", str(file))
    assert shell.errors == f"{file}: 0 new events, 3 known already.\n{NOTHING_NEW}\n"
    assert issues(shell.path) == [("Boom", 1), ("Young", 1)]


def test_events_that_are_yet_to_be_scanned_are_not_forgotten(shell: Shell, write: Write, tmp_path: Path) -> None:
    shell.run("ingest", str(write(EVENT, EVENT | {"message": "so", "level": "info"})))
    document = json.loads(dump(shell))
    for event in document["events"]:
        event["scanned"] = False
    for section in ("issues", "fingerprints", "occurrences", "notifications"):
        document[section] = []
    copy = copied(document, tmp_path / "copy.db", shell)
    copy.run("prune", "--events-older-than", "0")
    assert "Pruned 1 events" in copy.errors
    assert messages(copy.path) == ["Boom"]
    copy.run("scan")
    copy.run("prune", "--events-older-than", "0")
    assert (messages(copy.path), issues(copy.path)) == ([], [("Boom", 1)])


def test_more_events_than_a_batch_are_forgotten(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(*many(12_000), EVENT | {"timestamp": ago(hours=1)})))
    shell.run("prune", "--events-older-than", "1")
    assert "Pruned 12,000 events" in shell.errors
    assert messages(shell.path) == ["Boom"]
    assert ask(shell.path, "SELECT sum(occurrence_count) FROM issues") == [(12_001,)]


@pytest.mark.parametrize(
    ("days", "code", "said"),
    [
        ("-1", 1, "DAYS must be a whole number from 0 to 36500, not -1"),
        ("36501", 1, "DAYS must be a whole number from 0 to 36500, not 36501"),
        ("9" * 50, 1, "DAYS must be a whole number from 0 to 36500, not 999"),
        ("30d", 2, "argument --events-older-than: invalid int value: '30d'"),
        ("1.5", 2, "argument --events-older-than: invalid int value: '1.5'"),
        ("", 2, "argument --events-older-than: invalid int value: ''"),
    ],
)
def test_days_that_are_none_are_refused_and_nothing_is_forgotten(
    shell: Shell, write: Write, days: str, code: int, said: str
) -> None:
    shell.run("ingest", str(write(EVENT)))
    shell.run("prune", f"--events-older-than={days}", code=code)
    assert said in shell.errors
    assert messages(shell.path) == ["Boom"]
    shell.run("prune", code=2)
    assert "the following arguments are required: --events-older-than" in shell.errors


async def test_what_is_known_of_an_occurrence_outlives_its_event(shell: Shell, write: Write) -> None:
    shell.run("ingest", str(write(EVENT | {"app_version": "1.0", "user_id": "ann"})))
    shell.run("prune", "--events-older-than", "1")
    async with Client(served(shell.path)) as client:
        listed = (await client.call_tool("list_issues", {})).structured_content
        assert listed is not None
        issue = {"issue_id": listed["issues"][0]["id"]}
        detail = (await client.call_tool("get_issue", issue)).structured_content
        assert detail is not None
        (occurrence,) = detail["occurrences"]
        assert (occurrence["app_version"], occurrence["user_id"]) == ("1.0", "ann")
        refused = await client.call_tool("get_event", {"event_id": occurrence["event_id"]})
    assert refused.is_error
    assert "It may have been pruned" in str(refused.content)


# Keys


def test_a_client_key_sends_the_events_of_its_app(imported: Shell, http_face: HttpFace) -> None:
    secret = imported.run("keys", "create", "--name", "SDK", "--type", "client", "--app", "Shop API")
    assert re.fullmatch(r"owl_client_[0-9a-f]{32}", secret)
    assert re.match(r"Made the client key SDK \([0-9a-f-]{36}\) for the app Shop API\.", imported.errors)
    with Store(imported.path) as store, httpx2.Client(base_url=http_face.endpoint) as http:
        http_face.store = store
        key = {"Authorization": f"Bearer {secret}"}
        event = {name: EVENT[name] for name in ("message", "level", "session_id")}
        answer = http.post("/v1/ingest", headers=key, json={"events": [event]})
        assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": 0})
        assert http.post("/v1/import", headers=key, json={"events": [event]}).status_code == 403
        assert http.get("/v1/projects", headers=key).status_code == 403
    assert ask(imported.path, "SELECT a.name FROM events e JOIN apps a ON a.key = e.app") == [("Shop API",)]
    listed = imported.run("keys", "list")
    assert re.search(r"SDK +Night Owls +valid +send events of Shop API", listed)


async def test_an_import_key_brings_history_and_expires(imported: Shell) -> None:
    arguments = ("--name", "Import", "--type", "import", "--app", SYMBOLS["web"], "--expires", "1")
    secret = imported.run("keys", "create", *arguments)
    assert secret.startswith("owl_import_")
    with Store(imported.path) as store:
        backend = acting_as(store, secret)
        old = EVENT | {"timestamp": "2020-01-01T00:00:00Z", "environment": "web"}
        taken = await backend.import_events([old])
        me = await backend.whoami()
    assert (taken.accepted, taken.updated, taken.rejected) == (1, 0, 0)
    assert isinstance(me, KeyIdentity)
    assert (me.key_type, me.permissions, me.expires_at is not None) == ("import", ["events:write"], True)


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (["--app", "Shop API"], "--app says nothing of a key of type agent. Leave it out.", 1),
        (
            ["--type", "client", "--app", "Shop API", "--team", "night-owls"],
            "--team says nothing of a key of type client. Leave it out.",
            1,
        ),
        (
            ["--type", "import", "--app", "Shop API", "--read-only"],
            "--read-only says nothing of a key of type import. Leave it out.",
            1,
        ),
        (["--type", "client"], "The store has several apps. Name one with --app: ", 1),
        (["--type", "import", "--app", "Nope"], 'The store has no app "Nope"', 1),
        (["--type", "client", "--app", "Shop API", "--expires", "0"], "DAYS must be a whole number from 1 to", 1),
        (["--type", "user"], "argument --type: invalid choice: 'user'", 2),
    ],
)
def test_flags_that_do_not_go_together_are_told(imported: Shell, arguments: list[str], said: str, code: int) -> None:
    before = imported.run("keys", "list")
    assert imported.run("keys", "create", "--name", "x", *arguments, code=code) == ""
    assert said in imported.errors
    assert imported.run("keys", "list") == before


def test_a_store_with_one_app_makes_its_keys_without_naming_it(shell: Shell) -> None:
    assert shell.run("keys", "create", "--name", "SDK", "--type", "client").startswith("owl_client_")
    assert "for the app My app." in shell.errors


async def test_what_a_file_brought_a_client_cannot_bring_again(shell: Shell, write: Write) -> None:
    secret = shell.run("keys", "create", "--name", "SDK", "--type", "client")
    named = EVENT | {"client_event_id": session(1)}
    shell.run("ingest", str(write(named)))
    now = named | {"timestamp": times.to_text(datetime.now(UTC))}
    with Store(shell.path) as store:
        answer = await acting_as(store, secret).ingest([now, now | {"client_event_id": session(2)}], None)
    assert (answer.accepted, answer.rejected) == (1, 0)
    assert issues(shell.path) == [("Boom", 1)]
    assert ask(shell.path, "SELECT api_key IS NULL FROM events ORDER BY key") == [(1,), (0,)]
