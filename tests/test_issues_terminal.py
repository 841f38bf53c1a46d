"""`owlmetry-mcp issues` on a terminal: its width, its colours, its questions; and in a pipe."""

import io
import os
import pty
import re
import shlex
import struct
import subprocess
import termios
from datetime import UTC, datetime
from fcntl import ioctl
from pathlib import Path

import anyio
import pytest
from rich.console import Console

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.cli.issue_tables import id_length, issue_table
from owlmetry_mcp.cli.terminal import Page
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue
from tests.stdio import COMMAND
from tests.test_issues_command import DUPLICATE, HOSTILE, PRODUCTION, TIMEOUT
from tests.world import SECRETS, SYMBOLS, HttpFace, World

NOW = datetime(2026, 10, 20, 18, tzinfo=UTC)
SGR = re.compile(r"\x1b\[[0-9;]*m")


def drawn(width: int, issues: list[Issue], **environment: str) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, _environ={"TERM": "xterm-256color", **environment})
    page = Page(console, NOW)
    page.print(issue_table(page, issues))
    return file.getvalue()


@pytest.fixture
def three(recorded_world: World) -> list[Issue]:
    """One with a long title, one of development, one regressed."""

    async def listed() -> list[Issue]:
        backend = acting_as(recorded_world.store, SECRETS["agent"])
        return (await backend.list_team_issues(IssueFilter(data_mode="all"), limit=200)).issues

    rows = {row.id: row for row in anyio.run(listed)}
    long = {"title": f"Connection refused {HOSTILE} " + "by 🦉 メモリ " * 20}
    rows[TIMEOUT] = rows[TIMEOUT].model_copy(update=long)
    return [rows[TIMEOUT], rows[SYMBOLS["i_dev"]], rows[SYMBOLS["i_regressed"]]]


WIDE = """\
id        status     title                             occ.  users  last seen  versions        app
c64325f3  new        Connection refused \\x1b[31mred\\…     4      2  3 h ago    2.1.0 to 2.2.0  Shop / Shop iOS
6d8a4d67  new        dev Assertion failed: unexpecte…     1      1  2 h ago    2.3.0           Shop / Shop iOS
61b3b7ba  regressed  Image cache corrupt                  1      1  2 d ago    2.2.0           Shop / Shop iOS
"""
NARROW = """\
id        status     title                                occ.  users  last seen
c64325f3  new        Connection refused \\x1b[31mred\\x1b…     4      2  3 h ago
                     2.1.0 to 2.2.0, Shop / Shop iOS
6d8a4d67  new        dev Assertion failed: unexpected n…     1      1  2 h ago
                     2.3.0, Shop / Shop iOS
61b3b7ba  regressed  Image cache corrupt                     1      1  2 d ago
                     2.2.0, Shop / Shop iOS
"""


@pytest.mark.parametrize(("width", "table"), [(110, WIDE), (80, NARROW)])
def test_a_table_is_cut_to_the_terminal(three: list[Issue], width: int, table: str) -> None:
    shown = SGR.sub("", drawn(width, three))
    assert "".join(f"{line.rstrip()}\n" for line in shown.splitlines()) == table


def test_statuses_have_colours_unless_they_are_not_wanted(three: list[Issue]) -> None:
    assert "\x1b[33mnew" in drawn(80, three)
    assert "\x1b[1;31mregressed" in drawn(80, three)
    assert "\x1b[3" not in drawn(80, three, NO_COLOR="1")
    assert "\x1b" not in drawn(80, three, TERM="dumb")


@pytest.mark.parametrize(
    ("instant", "said"),
    [
        ("2026-10-20T17:59:31.000Z", "just now"),
        ("2026-10-20T17:00:01.000Z", "59 min ago"),
        ("2026-10-19T18:00:01.000Z", "23 h ago"),
        ("2026-10-06T18:00:01.000Z", "13 d ago"),
        ("2026-10-05T18:00:00.000Z", "2026-10-05"),
        ("2026-10-20T18:00:01.000Z", "2026-10-20"),
    ],
)
@pytest.mark.usefixtures("utc")
def test_how_long_ago_is_said_in_a_word_or_two(instant: str, said: str) -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    assert Page(console, NOW).ago(instant) == said


def test_ids_are_as_long_as_it_takes_to_tell_them_apart() -> None:
    assert id_length([TIMEOUT]) == id_length([]) == 8
    assert id_length(["aaaaaaaa-1", "aaaaaaaa-2", "bbbbbbbb-1"]) == 10


def on_terminal(store: Path, *arguments: str, answer: str = "", **environment: str) -> tuple[str, int]:
    """What a process says on a terminal of 80 columns, once it has been answered where it asks; and how it ended."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    settings = {"OWLMETRY_STORE": str(store), "LOGNAME": "wanda", "TERM": "xterm", "PATH": "", "TZ": "UTC"}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=settings | environment
    ) as process:
        os.close(theirs)
        said = b""
        while part := _part(ours):
            said += part
            if answer and said.endswith(b"[y/N] "):
                os.write(ours, answer.encode())
        os.close(ours)
    return said.decode().replace("\r\n", "\n"), process.returncode


def _part(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # which is how Linux says that the other end is closed
        return b""


@pytest.mark.parametrize(
    ("environment", "has_colours"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str
)
def test_a_terminal_has_colours_and_its_width(
    recorded_world: World, environment: dict[str, str], *, has_colours: bool
) -> None:
    said, code = on_terminal(recorded_world.store.path, "issues", "list", **environment)
    assert code == 0
    assert ("\x1b[33mnew" in said) == has_colours
    assert re.search(r"\x1b\[(?:\d+;)?3\d", said) is None or has_colours
    lines = SGR.sub("", said).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == PRODUCTION.strip()


def test_how_far_a_long_reading_has_come_is_shown_meanwhile(recorded_world: World, http_face: HttpFace) -> None:
    http_face.store = recorded_world.store
    live = {
        "OWLMETRY_BACKEND": "live",
        "OWLMETRY_ENDPOINT": http_face.endpoint,
        "OWLMETRY_API_KEY": SECRETS["agent"],
    }
    said, code = on_terminal(recorded_world.store.path, "issues", "list", "--all", **live)
    assert code == 0
    assert said.index("12 issues …") < said.index("Pool exhausted")


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1), ("\x04", 1)])
def test_a_person_is_asked_before_a_merge(recorded_world: World, answer: str, code: int) -> None:
    recorded_world.put("i_timeout_dup", title=HOSTILE)
    said, ended = on_terminal(
        recorded_world.store.path, "issues", "merge", TIMEOUT[:8], DUPLICATE[:8], answer=answer, TERM="dumb"
    )
    assert ended == code
    assert said.startswith(
        'Merge\n  942b9e8e "\\x1b[31mred\\x1b]0;owned\\x07 [bold]not bold[/bold] …", new, seen 3 times\n'
    )
    assert 'into\n  c64325f3 "Connection refused", new, seen 4 times\n' in said
    assert not set(said) & {"\x1b", "\x9b", "\u202e"}
    (there,) = recorded_world.store.read(lambda tx: tx.one("SELECT count(*) FROM issues WHERE id = ?", (DUPLICATE,)))
    assert there == code
    assert ("Nothing was changed" in said) == (code == 1)


# In a pipe


def test_a_reader_that_goes_away_is_no_traceback(recorded_world: World) -> None:
    line = f"{shlex.join(COMMAND)} issues list --all --store {recorded_world.store.path} | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout[:10], done.stderr.replace(PRODUCTION, "")) == ("id        ", "")
