"""Transactions on the store's file: one instant each, all or nothing, SQLite's errors told in the house's."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from owlmetry_mcp.backends.store import ids
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import StoreBusyError, StoreError

BUSY_TIMEOUT_SECONDS = 20.0
"""How long a transaction waits for another process to let go of the file."""

_LOOK_MS = 20
"""For so long SQLite looks every few milliseconds whether it may write; later only every 100."""
_CHUNK = 500

UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What reading a file may end with: the latter where SQLite quotes damage in its message, which Python cannot read."""

Item = TypeVar("Item")
Parameters = Sequence[Any] | Mapping[str, Any]
Clock = Callable[[], datetime]


class Transaction(NamedTuple):
    connection: sqlite3.Connection
    now: str
    """The instant that everything in it happens at."""

    def all(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        return self.connection.execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Parameters = ()) -> Any:  # noqa: ANN401 - a row is a tuple of what was selected
        return self.connection.execute(sql, parameters).fetchone()

    def run(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        return self.connection.execute(sql, parameters)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row of named columns and return its key."""
        return self.connection.execute(_insertion(table, row), row).lastrowid or 0

    def insert_all(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that have the same columns."""
        self.connection.executemany(_insertion(table, rows[0]), rows)


def _insertion(table: str, row: Iterable[str]) -> str:
    """Tables and columns are named by this code, never from outside."""
    columns = list(row)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{column}' for column in columns)})"  # noqa: S608


def connect(path: Path, wait_seconds: float = BUSY_TIMEOUT_SECONDS) -> sqlite3.Connection:
    """A connection to an existing file, for one thread at a time. So long it waits for a lock to be let go.

    `synchronous=FULL` makes a commit durable before it is acknowledged, in WAL mode too.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=wait_seconds,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        ids.teach(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path, clock: Clock, *, writing: bool) -> Iterator[Transaction]:
    """The clock is read once the transaction has begun, so that writes have the order of their instants.

    Raises:
        StoreBusyError: another process held the file for over `BUSY_TIMEOUT_SECONDS`.
        StoreError: the file cannot be read or written.
    """
    with translated(path):
        try:
            _begin(connection, writing=writing)
            yield Transaction(connection, times.to_text(clock()))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _begin(connection: sqlite3.Connection, *, writing: bool) -> None:
    """A transaction that is to write waits its turn here, and looks often, so as not to miss the moment between two
    long ones of another process. A deferred one that turned to writing would fail if another had written since.
    """
    if not writing:
        connection.execute("BEGIN DEFERRED")
        return
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    connection.execute(f"PRAGMA busy_timeout = {_LOOK_MS}")
    try:
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                    raise
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_SECONDS * 1000:.0f}")


_REMEDIES = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another program",
        f"It waited {BUSY_TIMEOUT_SECONDS:.0f} s and changed nothing; try again.",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another program", "Nothing was changed; try again."),
    sqlite3.SQLITE_FULL: ("has no room to grow: the disk is full", "Nothing was changed; make room, then try again."),
    sqlite3.SQLITE_READONLY: (
        "cannot be written to",
        "Nothing was changed; check the permissions of the file and of its directory.",
    ),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Check that the file and its directory exist and are yours."),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written: the disk reports an error",
        "Nothing was changed; look at the disk and its limits, then try again.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "Nothing was changed. `owlmetry-mcp check` says what is wrong; restore the store from a copy.",
    ),
    sqlite3.SQLITE_NOTADB: ("is not a store", "Name another file with --store or OWLMETRY_STORE."),
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    try:
        yield
    except UNREADABLE as error:
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):  # our own mistake, not the file's
            raise
        # Without a code it is the module that could not read a value, as text that is not UTF-8, or what SQLite says.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        primary = code & 0xFF
        name = getattr(error, "sqlite_errorname", "")
        happened, remedy = _REMEDIES.get(primary, (f"failed ({name})", "Nothing was changed."))
        kind = StoreBusyError if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else StoreError
        raise kind(f"The store {path} {happened}", remedy) from error


def passes_by_itself(error: StoreError) -> bool:
    """Whether the connection that met it is as good as before, once another program lets go or the disk has room."""
    code = getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)


def is_collision(error: sqlite3.IntegrityError) -> bool:
    """Whether a row was refused for what another has already, and for nothing else."""
    return error.sqlite_errorcode in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


def json_text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def listed(keys: Iterable[int]) -> str:
    """Keys of ours as the inside of an SQL `IN (…)`."""
    return ", ".join(f"{key:d}" for key in keys) or "NULL"


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """The items, as many at a time as one statement takes well."""
    iterator = iter(items)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk
