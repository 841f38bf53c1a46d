"""`owlmetry-mcp backup`: a whole store beside a store in use, or nothing."""

import contextlib
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from mcp import Client

from owlmetry_mcp.backends.store import copying
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import InvalidInputError
from tests.shell import Shell
from tests.test_scan import old_store
from tests.test_stdio import COMMAND, served
from tests.world import FakeClock

WRITER = """
import sys
from itertools import count
from pathlib import Path

from owlmetry_mcp.backends.store import events, scan
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.events import Terms, checked

with Store(Path(sys.argv[1])) as store:
    def work(tx):
        row = {"message": f"Boom {'x' * (number % 97)}", "level": "error",
            "session_id": f"{number:08x}-0000-4000-8000-000000000000"}
        events.take_in(tx, 1, None, [checked(row, Terms.at(tx.now, "backend", None))])
        scan.scan_batch(tx)

    for number in count():
        if sys.argv[2] == "asked" and not sys.stdin.readline():
            break
        store.write(work)
        print(number, flush=True)
"""
"""Writes an event and its issue a transaction: each time it is asked, or all the time. Says the number of each."""


@contextlib.contextmanager
def writer(path: Path, when: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), when], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def count(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        counted: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - a test's own
        return counted


def rows(path: Path) -> list[str]:
    """All that is in it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [*connection.iterdump()]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    directory = tmp_path / "copies"
    directory.mkdir()
    return directory / "copy.db"


def names(directory: Path) -> list[str]:
    return sorted(entry.name for entry in directory.iterdir())


def test_a_copy_is_a_whole_store_of_its_own_and_says_what_is_in_it(imported: Shell, copy: Path) -> None:
    before = os.umask(0)
    try:
        assert imported.run("backup", str(copy)) == ""
    finally:
        os.umask(before)
    size = f"{copy.stat().st_size:,}"
    assert imported.errors == f"Backed up the store to {copy}: {size} bytes, 15 issues, 0 events.\n"
    assert names(copy.parent) == ["copy.db"]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert rows(copy) == rows(imported.path)
    opened = Shell(copy, imported._capture)  # noqa: SLF001
    opened.run("check")
    assert opened.run("export", "-") == imported.run("export", "-")


def test_a_copy_has_what_still_stands_in_the_log(imported: Shell, copy: Path) -> None:
    with Store(imported.path) as store:
        store.write(lambda tx: tx.run("UPDATE teams SET name = 'In the log'"))
        assert Path(f"{imported.path}-wal").stat().st_size
        imported.run("backup", str(copy))
    with Store(copy) as store:
        assert store.read(lambda tx: tx.all("SELECT DISTINCT name FROM teams")) == [("In the log",)]


def test_a_writer_between_any_two_steps_neither_delays_a_copy_nor_shows_in_it(
    shell: Shell, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PAGES_A_STEP", 1)
    shell.run("projects", "list")
    written: list[int] = []
    with writer(shell.path, "asked") as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def write() -> None:
            assert len(written) < 1000, "it begins anew each time"
            stdin.write("\n")
            stdin.flush()
            written.append(int(stdout.readline()))

        write()
        copied = copying.back_up(shell.path, copy, after_step=write)
    assert len(written) > copied.size_bytes / 8192 > 50
    assert copied.events == count(copy, "events") == 1
    assert count(shell.path, "events") == len(written)
    Shell(copy, shell._capture).run("check")  # noqa: SLF001


async def test_a_copy_is_made_while_a_server_and_a_writer_work(shell: Shell, copy: Path) -> None:
    """By commands of their own, as a person gives them."""
    opened = Shell(copy, shell._capture)  # noqa: SLF001
    async with Client(served(shell.path)) as client:
        assert (await client.call_tool("list_issues", {})).structured_content
        with writer(shell.path, "always") as process:
            assert process.stdout
            process.stdout.readline()
            for force in ((), ("--force",), ("--force",)):
                command = [*COMMAND, "backup", str(copy), "--store", str(shell.path), *force]
                assert await anyio.to_thread.run_sync(partial(subprocess.call, command, timeout=60)) == 0
                opened.run("check")
            assert process.poll() is None
            shell.run("check")
        copied = count(copy, "events")
        assert 0 < copied == count(copy, "occurrences")
        assert (await client.call_tool("list_issues", {})).structured_content
    assert names(copy.parent) == ["copy.db"]


def test_a_file_that_is_there_is_replaced_by_force_alone(imported: Shell, copy: Path) -> None:
    copy.write_text("earlier")
    imported.run("backup", str(copy), code=1)
    assert imported.errors == f"owlmetry-mcp: {copy} is there already. It was left as it is; --force replaces it.\n"
    assert copy.read_text() == "earlier"
    with copy.open() as reader:
        imported.run("backup", str(copy), "--force")
        assert reader.read() == "earlier"  # whoever has it open meets no half of another
    assert rows(copy) == rows(imported.path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert names(copy.parent) == ["copy.db"]


def test_a_file_that_another_program_makes_meanwhile_is_left_to_it(imported: Shell, copy: Path) -> None:
    def make() -> None:
        copy.write_text("theirs")

    with pytest.raises(InvalidInputError, match=r"copy\.db is there already"):
        copying.back_up(imported.path, copy, after_step=make)
    assert copy.read_text() == "theirs"
    assert names(copy.parent) == ["copy.db"]


def test_without_hard_links_a_copy_is_made_all_the_same(
    imported: Shell, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    imported.run("backup", str(copy))
    imported.run("backup", str(copy), code=1)
    assert rows(copy) == rows(imported.path)
    assert names(copy.parent) == ["copy.db"]


@pytest.mark.parametrize("spelling", ["store.db", "copies/../store.db", "soft", "hard", "store.db-wal", "store.db-shm"])
def test_the_store_itself_is_never_written_over(imported: Shell, copy: Path, spelling: str) -> None:
    directory = copy.parent.parent
    (directory / "soft").symlink_to(imported.path)
    (directory / "hard").hardlink_to(imported.path)
    before = imported.path.read_bytes()
    imported.run("backup", str(directory / spelling), "--force", code=1)
    assert re.search(r"(is|belongs to) the store itself\. Name another file for the copy\.", imported.errors)
    assert imported.path.read_bytes() == before


def test_a_link_is_followed_to_what_it_leads_to(imported: Shell, copy: Path) -> None:
    link = copy.parent / "latest.db"
    link.symlink_to(copy)
    imported.run("backup", str(link))
    assert link.is_symlink()
    assert rows(copy) == rows(imported.path)


def test_a_copy_is_not_put_where_another_databases_log_would_be_written_into_it(imported: Shell, copy: Path) -> None:
    with Store(copy) as store:
        store.write(lambda tx: tx.run("UPDATE teams SET name = 'theirs'"))
        imported.run("backup", str(copy), "--force", code=1)
        assert f"Beside {copy} lies copy.db-wal, of a database that is in use" in imported.errors
    with Store(copy) as store:
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("theirs",)]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "FILE must be the path of a file"),
        ("{0}", "is there already, and no file"),
        ("{0}/pipe", "is there already, and no file"),
        ("{0}/nowhere/copy.db", "there is no directory {0}/nowhere. Make it, or name another file."),
        ("{0}/file/copy.db", "cannot be written: Not a directory. Name another file."),
        ("/proc/copy.db", "cannot be written: "),
        ("{0}/" + "x" * 300, "cannot be written: File name too long. Name another file."),
    ],
)
def test_a_place_where_no_copy_can_be_is_told(imported: Shell, copy: Path, place: str, said: str) -> None:
    directory = copy.parent
    (directory / "file").write_text("x")
    os.mkfifo(directory / "pipe")
    imported.run("backup", place.format(directory), "--force", code=1)
    assert said.format(directory) in imported.errors
    assert names(directory) == ["file", "pipe"]


def test_a_disk_that_takes_no_more_is_told_and_the_earlier_copy_stays(imported: Shell, copy: Path) -> None:
    copy.write_text("earlier")
    backup = " ".join([*COMMAND, "backup", str(copy), "--force", "--store", str(imported.path)])
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -f 100; {backup}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"owlmetry-mcp: {copy} cannot be written: ")
    assert "Traceback" not in done.stderr
    assert copy.read_text() == "earlier"
    assert names(copy.parent) == ["copy.db"]


def test_a_backup_that_is_interrupted_leaves_nothing(imported: Shell, copy: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.back_up(imported.path, copy, after_step=interrupt)
    assert names(copy.parent) == []


def test_a_damaged_store_replaces_no_earlier_copy(imported: Shell, copy: Path) -> None:
    imported.run("backup", str(copy))
    before = copy.read_bytes()
    damaged = bytearray(imported.path.read_bytes())
    damaged[3 * 8192 : 4 * 8192] = b"\xa5" * 8192
    imported.path.write_bytes(damaged)
    imported.run("backup", str(copy), "--force", code=1)
    assert f"The store {imported.path} is damaged" in imported.errors
    assert copy.read_bytes() == before
    assert names(copy.parent) == ["copy.db"]


@pytest.mark.parametrize("content", [None, b"", b"no store", b"SQLite format 3\0" + bytes(200)])
def test_what_is_no_store_is_told_and_none_is_made(shell: Shell, copy: Path, content: bytes | None) -> None:
    if content is not None:
        shell.path.write_bytes(content)
    shell.run("backup", str(copy), code=1)
    said = "cannot be opened: No such file or directory" if content is None else "is not a store of owlmetry-mcp"
    assert said in shell.errors
    assert names(copy.parent) == []
    assert shell.path.exists() == (content is not None)


def test_a_store_of_an_older_version_is_copied_before_it_is_brought_up_to_date(
    shell: Shell, copy: Path, clock: FakeClock
) -> None:
    old_store(shell.path, clock)
    shell.run("backup", str(copy))
    assert "15 issues, 0 events" in shell.errors
    for path in (shell.path, copy):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    opened = Shell(copy, shell._capture)  # noqa: SLF001
    opened.run("projects", "list")
    opened.run("check")


def test_a_backup_goes_back_to_where_the_store_was(imported: Shell, copy: Path) -> None:
    imported.run("backup", str(copy))
    before = imported.run("export", "-")
    imported.run("projects", "add", "Mistake")
    Shell(copy, imported._capture).run("backup", str(imported.path), "--force")  # noqa: SLF001
    assert imported.run("export", "-") == before
