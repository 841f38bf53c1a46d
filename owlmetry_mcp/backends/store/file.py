"""The store's file: made whole on first use, recognised before it is touched, migrated on opening."""

import contextlib
import os
import secrets
import sqlite3
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from owlmetry_mcp.backends.store import ids
from owlmetry_mcp.backends.store.beside import drop_anothers_log, refuse_a_log_alone, share_permissions
from owlmetry_mcp.backends.store.schema import MIGRATIONS
from owlmetry_mcp.backends.store.transactions import (
    BUSY_TIMEOUT_SECONDS,
    Clock,
    Transaction,
    connect,
    transaction,
    translated,
)
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import StoreError

APPLICATION_ID = 0x4F574C4D  # "OWLM", in the header of every store
OLDEST_SQLITE = (3, 37, 0)  # the first with STRICT tables
_HEADER_BYTES = 100
_PAGE_BYTES = 8192  # events are long rows, and a batch of them writes fewer pages so
_MAGIC = b"SQLite format 3\0"


class Place(NamedTuple):
    """Which file it is, whatever its name: of two that are there at once no two have the same."""

    device: int
    inode: int


class Opened(NamedTuple):
    connection: sqlite3.Connection
    place: Place


def place_of(path: Path) -> Place | None:
    """The file that bears that name now; None where there is none.

    Raises:
        StoreError: it cannot be looked for.
    """
    try:
        found = os.stat(path)  # noqa: PTH116 - before and behind each write, and Path.stat() takes twice as long
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unopened(path, error) from error
    return Place(found.st_dev, found.st_ino)


def open_file(path: Path, clock: Clock, fill: Callable[[Transaction], None]) -> Opened:
    """A connection to the store at `path`. Where there is none, a new one is made and `fill` gives it its first rows.

    Raises:
        StoreError: the file is no store, or of a newer version than this one knows; it is left as it was.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"The store needs SQLite {'.'.join(map(str, OLDEST_SQLITE))} or later; this Python has"
            f" {sqlite3.sqlite_version}",
            "Use a newer Python.",
        )
    if not os.path.exists(path):  # noqa: PTH110 - Path.exists() raises for what cannot be looked at
        _create(path, clock, fill)
    return open_again(path, clock)


def open_again(path: Path, clock: Clock) -> Opened:
    """As `open_file`, of a store that is there.

    Raises:
        StoreError: there is no file, it is no store, or of a newer version.
    """
    return _opened(path, lambda connection: _migrate(connection, path, clock))


def open_as_it_is(path: Path, wait_seconds: float = BUSY_TIMEOUT_SECONDS) -> sqlite3.Connection:
    """A connection to the store at `path`, which makes none, and migrates none of an older version.

    Raises:
        StoreError: there is no file, it is no store, or of a newer version.
    """
    # The file's header has what the log beside it may have changed.
    return _opened(path, lambda connection: refuse_newer(path, version_of(connection)), wait_seconds).connection


def _opened(
    path: Path, make_sure: Callable[[sqlite3.Connection], None], wait_seconds: float = BUSY_TIMEOUT_SECONDS
) -> Opened:
    place = _recognise(path)
    drop_anothers_log(path)
    share_permissions(path)
    with translated(path):
        connection = connect(path, wait_seconds)
        try:
            make_sure(connection)
        except BaseException:
            connection.close()
            raise
    return Opened(connection, place)


def refuse_older(connection: sqlite3.Connection, path: Path) -> None:
    """
    Raises:
        StoreError: the store is of an older version than this one's, and has yet to be migrated.
    """
    with translated(path):
        version = version_of(connection)
    if version < len(MIGRATIONS):
        raise StoreError(
            f"The store {path} is of version {version}, older than this owlmetry-mcp's ({len(MIGRATIONS)})",
            "It was left as it is. Any command that uses it, as `owlmetry-mcp projects list`, brings it up to date;"
            " `owlmetry-mcp backup FILE` copies it before.",
        )


def names_of(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Type and name of each table, index and trigger but SQLite's own."""
    return {*connection.execute("SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'")}


def names_wanted() -> set[tuple[str, str]]:
    """As `names_of`, of a store of this version."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        ids.teach(connection)
        _migrate(connection, Path(":memory:"), times.now)
        return names_of(connection)


def _create(path: Path, clock: Clock, fill: Callable[[Transaction], None]) -> None:
    """Make a whole store beside `path` and link it into place, so that no one ever meets half of one.

    Of two processes that do this at once, one wins and the other's is dropped.
    """
    refuse_a_log_alone(path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # 0600
    except OSError as error:
        raise StoreError(
            f"The store {path} cannot be made: {error.strerror}",
            "Name another file with --store or OWLMETRY_STORE.",
        ) from error
    os.close(handle)
    draft = Path(name)
    try:
        with translated(draft), contextlib.closing(connect(draft)) as connection:
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _migrate(connection, draft, clock)
            with transaction(connection, draft, clock, writing=True) as tx:
                tx.insert("store", {"one": 1, "token_secret": secrets.token_hex(32), "created_at": tx.now})
                fill(tx)
            connection.execute("PRAGMA journal_mode = WAL")  # last, so that the file is whole without a log beside it
        _put_in_place(draft, path)
    finally:
        for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
            leftover.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links: whoever holds the lock looks again and moves the draft
        lock = Path(f"{path}-lock")
        with translated(lock), contextlib.closing(sqlite3.connect(lock, timeout=BUSY_TIMEOUT_SECONDS)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            if not path.exists():
                draft.replace(path)
            lock.unlink(missing_ok=True)  # by now there is a store, so nobody who comes later moves a draft


def _recognise(path: Path) -> Place:
    """Read the file's header with nothing that could write: SQLite's own opening may leave files beside it."""
    try:
        header = b""
        found = path.stat()
        if not stat.S_ISFIFO(found.st_mode):  # reading one would wait for whoever writes to it
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise _unopened(path, error) from error
    if header[:16] != _MAGIC or int.from_bytes(header[68:72]) != APPLICATION_ID:
        raise StoreError(
            f"{path} is not a store of owlmetry-mcp; it was left as it is",
            "Name another file with --store or OWLMETRY_STORE.",
        )
    refuse_newer(path, int.from_bytes(header[60:64]))
    return Place(found.st_dev, found.st_ino)


def _unopened(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"The store {path} cannot be opened: {error.strerror}",
        "Name another file with --store or OWLMETRY_STORE.",
    )


def refuse_newer(path: Path, version: int) -> None:
    if version > len(MIGRATIONS):
        raise StoreError(
            f"The store {path} is of version {version}, newer than this owlmetry-mcp knows ({len(MIGRATIONS)})",
            "It was left as it is; upgrade owlmetry-mcp.",
        )


def _migrate(connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
    version = version_of(connection)
    refuse_newer(path, version)
    for number in range(version + 1, len(MIGRATIONS) + 1):
        with transaction(connection, path, clock, writing=True) as tx:
            if version_of(connection) >= number:  # another process was faster
                continue
            for statement in _statements(MIGRATIONS[number - 1]):
                tx.run(statement)
            tx.run(f"PRAGMA user_version = {number}")


def version_of(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _statements(script: str) -> list[str]:
    """A script's statements one by one, since `executescript` commits whatever transaction it finds."""
    statements = []
    collected = ""
    for line in script.splitlines(keepends=True):
        collected += line
        if sqlite3.complete_statement(collected):
            statements.append(collected)
            collected = ""
    if collected.strip():
        raise ValueError(f"a migration ends in the midst of a statement: {collected}")
    return statements
