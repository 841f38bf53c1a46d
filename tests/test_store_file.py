"""The store's file: made whole, recognised, migrated, kept to its owner, and told of plainly when it cannot be used."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store import file, schema, transactions
from owlmetry_mcp.backends.store import store as store_module
from owlmetry_mcp.backends.store.first_start import leave_empty
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import StoreBusyError, StoreError
from owlmetry_mcp.issues.times import now
from tests.world import FakeClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "store.db"


def made(path: Path) -> Path:
    Store(path).close()
    return path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, as another program opens it."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def test_a_new_store_is_its_owners_alone_whatever_the_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        with Store(path) as store:
            store.write(lambda tx: tx.run("UPDATE teams SET name = 'x'"))
            modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_new_store_is_durable_strict_and_whole(path: Path) -> None:
    with Store(path) as store:
        for lane in (store._reads, store._writes):  # noqa: SLF001 - what each connection was set to, only it can tell
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "user_version")
            values = [lane.connection.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in pragmas]
            assert values == ["wal", 2, 1, len(schema.MIGRATIONS)]
        tables = store.read(lambda tx: tx.all("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'"))
    assert {name for name, strict in tables if not strict} <= {"sqlite_schema", "sqlite_sequence"}
    assert len(tables) > 12


def test_the_first_start_makes_a_team_a_project_and_an_app_once(path: Path) -> None:
    made(path)
    with Store(path) as store:
        made_once = "SELECT (SELECT count(*) FROM teams), (SELECT count(*) FROM projects), (SELECT count(*) FROM apps)"
        assert store.read(lambda tx: tx.one(made_once)) == (1, 1, 1)


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_was(path: Path) -> None:
    made(path)
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("PRAGMA journal_mode = DELETE")
    content = path.read_bytes()
    with pytest.raises(StoreError, match=r"of version 99, newer than this owlmetry-mcp knows \(\d+\).*upgrade"):
        Store(path)
    assert path.read_bytes() == content


def test_another_programs_database_is_refused_and_left_as_it_was(path: Path) -> None:
    path.parent.mkdir()
    with opened(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    content = path.read_bytes()
    with pytest.raises(StoreError, match="is not a store of owlmetry-mcp; it was left as it is"):
        Store(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in path.parent.iterdir()] == ["store.db"]


@pytest.mark.parametrize("place", ["a directory", "in a file", "in a place that is not ours", "a name too long"])
def test_a_path_where_no_store_can_be_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("x")
    paths = {
        "a directory": tmp_path,
        "in a file": tmp_path / "file" / "store.db",
        "in a place that is not ours": Path("/proc/x/s"),
        "a name too long": tmp_path / ("x" * 300),
    }
    with pytest.raises(
        StoreError, match=r"cannot be (opened|made): .* Name another file with --store or OWLMETRY_STORE"
    ):
        Store(paths[place])


def test_without_hard_links_a_store_is_made_once_all_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    made(path)
    with Store(path) as store:
        store.write(lambda tx: tx.run("UPDATE teams SET name = 'written'"))
        file._create(path, now, leave_empty)  # noqa: SLF001 - as a slower process does, that has not seen the first's
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("written",)]
    with Store(path) as store:
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("written",)]
    assert [entry.name for entry in path.parent.iterdir()] == ["store.db"]


def test_a_pipe_is_no_store_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="is not a store of owlmetry-mcp"):
        Store(tmp_path / "pipe")


def test_an_old_store_is_migrated_in_transactions(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    more = "CREATE TABLE later (x INTEGER) STRICT;\nINSERT INTO later VALUES (1);"
    monkeypatch.setattr(file, "MIGRATIONS", (*schema.MIGRATIONS, more))
    for _ in range(2):
        with Store(path) as store:
            assert store.read(lambda tx: tx.all("SELECT x FROM later")) == [(1,)]


def test_a_migration_that_another_process_makes_meanwhile_is_made_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(file, "MIGRATIONS", schema.MIGRATIONS[:-1])
        made(path)
    with contextlib.closing(transactions.connect(path)) as connection:

        def meanwhile(statement: str) -> None:
            if statement.startswith("BEGIN"):
                connection.set_trace_callback(None)
                made(path)

        connection.set_trace_callback(meanwhile)
        file._migrate(connection, path, now)  # noqa: SLF001 - just before it has its turn
        assert file.version_of(connection) == len(schema.MIGRATIONS)
    with Store(path) as store:
        assert store.read(lambda tx: tx.one("PRAGMA integrity_check")) == ("ok",)


def test_a_migration_that_fails_leaves_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(path)
    broken = "CREATE TABLE later (x INTEGER) STRICT;\nINSERT INTO nowhere VALUES (1);"
    monkeypatch.setattr(file, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(StoreError):
        Store(path)
    monkeypatch.undo()
    with Store(path) as store, opened(path) as connection:
        assert store.read(lambda tx: tx.one("PRAGMA user_version")) == (len(schema.MIGRATIONS),)
        assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'later'").fetchone() == (0,)


def test_a_transaction_that_raises_keeps_nothing(path: Path) -> None:
    def work(tx: transactions.Transaction) -> None:
        tx.run("UPDATE teams SET name = 'changed'")
        raise ValueError

    with Store(path) as store:
        with pytest.raises(ValueError, match=r"^$"):
            store.write(work)
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("My team",)]


def test_a_store_that_another_program_locks_is_busy_and_works_again_after(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transactions, "BUSY_TIMEOUT_SECONDS", 0.05)
    with Store(path) as store, opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusyError, match=r"is locked by another program.*changed nothing; try again"):
            store.write(lambda tx: tx.run("UPDATE teams SET name = 'x'"))
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("My team",)]
        other.execute("ROLLBACK")
        store.write(lambda tx: tx.run("UPDATE teams SET name = 'x'"))
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("x",)]


def test_a_damaged_store_is_told(path: Path) -> None:
    made(path)
    content = bytearray(path.read_bytes())
    content[4096:8192] = os.urandom(4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"is damaged|is not a store"), Store(path) as store:
        store.write(lambda tx: tx.run("DELETE FROM store"))


def test_a_writes_instant_is_that_of_its_own_beginning(path: Path) -> None:
    clock = FakeClock()
    with Store(path, clock, leave_empty) as store:
        first = store.write(lambda tx: tx.now)
        clock.advance(seconds=1.5)
        assert (first, store.write(lambda tx: tx.now)) == ("2026-10-21T12:00:00.000Z", "2026-10-21T12:00:01.500Z")


def test_a_writes_instant_is_read_once_it_has_its_turn(path: Path) -> None:
    with contextlib.closing(transactions.connect(made(path))) as connection:

        def clock() -> datetime:
            assert connection.in_transaction
            return now()

        with transactions.transaction(connection, path, clock, writing=True) as tx:
            assert tx.one("SELECT count(*) FROM store") == (1,)


def test_a_write_waits_for_a_lock_alone_and_leaves_the_connection_as_patient_as_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(transactions.connect(made(path))) as connection:
        wait = connection.execute("PRAGMA busy_timeout").fetchone()
        with transactions.transaction(connection, path, now, writing=True):
            assert connection.execute("PRAGMA busy_timeout").fetchone() == wait
            attempts: list[str] = []
            connection.set_trace_callback(attempts.append)
            monkeypatch.setattr(transactions, "BUSY_TIMEOUT_SECONDS", 0.2)
            with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
                transactions._begin(connection, writing=True)  # noqa: SLF001 - what fails at once, and is no lock
        assert [it for it in attempts if it.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


def test_serving_loads_nothing_that_only_other_commands_need() -> None:
    """What a client waits for when it starts the server."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import owlmetry_mcp.cli.serve, sys; print(*sys.modules)"],
        capture_output=True, check=True, text=True,
    ).stdout.split()  # fmt: skip
    ours = {name for name in loaded if name.startswith("owlmetry_mcp.backends.store")}
    assert not {"document", "importing", "exporting"} & {name.rpartition(".")[2] for name in ours}
    assert not {"rich", "jwt"} & {*loaded}


def test_after_a_long_transaction_of_many_the_others_have_a_turn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with Store(path) as store:
        monkeypatch.setattr(store_module, "_LONG_SECONDS", 3600)
        for _ in range(2):
            assert store.write_much(lambda tx: tx.one("SELECT 7")) == (7,)
        assert pauses == []
        monkeypatch.setattr(store_module, "_LONG_SECONDS", 0)
        for _ in range(2):
            store.write_much(lambda tx: tx.one("SELECT 8"))
        assert len(pauses) == 1
        assert pauses[0] * 1000 > transactions._LOOK_MS  # noqa: SLF001 - else one who waits may miss it


def test_a_store_that_a_newer_program_migrates_meanwhile_is_no_longer_used(path: Path) -> None:
    told = r"is of version 99, newer than this owlmetry-mcp knows \(\d\)"
    with Store(path) as store, contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 99")
        with pytest.raises(StoreError, match=told):
            store.write(lambda tx: tx.run("DELETE FROM store"))
        with pytest.raises(StoreError, match=told):
            store.read(lambda tx: tx.one("SELECT count(*) FROM store"))
        other.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS)}")
        assert store.write(lambda tx: tx.one("SELECT count(*) FROM store")) == (1,)
