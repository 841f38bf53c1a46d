"""A copy of the store while others use it: a whole store of its own, or none."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from owlmetry_mcp.backends.store.file import open_as_it_is
from owlmetry_mcp.backends.store.transactions import UNREADABLE, translated
from owlmetry_mcp.issues.errors import InvalidInputError, StoreError

PAGES_A_STEP = 2_560
"""20 MiB, after which the copying can be interrupted."""
_BESIDE = ("-wal", "-journal", "-shm")
"""What SQLite keeps beside a database, by the ends of the names."""
_LOGS = _BESIDE[:2]
"""Those that it would write into whatever bears the database's name."""
_SOURCES_FAULTS = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Copy(NamedTuple):
    size_bytes: int
    issues: int
    events: int


def _nothing() -> None: ...


def back_up(store: Path, file: Path, *, replace: bool = False, after_step: Callable[[], None] = _nothing) -> Copy:
    """Copy the store to `file`, by a draft beside it that is put in place once it is whole, and found to be sound.

    All of it is of one instant. SQLite begins a copy anew whenever another connection has written, for ever if one
    always writes; within a read transaction, which this is, there is nothing new for it to see. A store of an older
    version is copied as it is.

    Raises:
        InvalidInputError: `file` cannot be written, is there and not to be replaced, or is the store itself.
        StoreError: the store cannot be read, or is damaged.
    """
    with _told(file):
        target = Path(os.path.realpath(file))
        _refuse_the_store(store, file, target)
        _refuse_what_is_there(file, target, replace=replace)
    with contextlib.closing(open_as_it_is(store)) as source:
        with _told(file):
            handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)  # 0600
        os.close(handle)
        draft = Path(name)
        try:
            issues, events = _copy(source, store, draft, file, after_step)
            _verify(draft, store)
            with _told(file):
                _sync(draft)
                size_bytes = draft.stat().st_size
                _refuse_what_is_there(file, target, replace=replace)
                _put_in_place(draft, file, target, replace=replace)
            with contextlib.suppress(OSError):  # a file system that cannot sync directories; the copy is there
                _sync(target.parent)
        finally:
            for leftover in (draft, *(Path(f"{draft}{end}") for end in _BESIDE)):
                leftover.unlink(missing_ok=True)
    return Copy(size_bytes, issues, events)


@contextlib.contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"{file} cannot be written: there is no directory {Path(os.path.realpath(file)).parent}",
            "Make it, or name another file.",
        ) from error
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error
        raise InvalidInputError(f"{file} cannot be written: {why}", "Name another file.") from error


def _refuse_the_store(store: Path, file: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # one of them is not there, so that they are not the same
        if target.samefile(store):
            raise InvalidInputError(f"{file} is the store itself", "Name another file for the copy.")
    if str(target) in {f"{os.path.realpath(store)}{end}" for end in ("", "-lock", *_BESIDE)}:
        raise InvalidInputError(f"{file} belongs to the store itself", "Name another file for the copy.")


def _refuse_what_is_there(file: Path, target: Path, *, replace: bool) -> None:
    if target.exists():
        if not target.is_file():
            raise InvalidInputError(f"{file} is there already, and no file", "Name another file.")
        if not replace:
            raise _there_already(file)
    for end in _LOGS:
        if Path(f"{target}{end}").exists():
            raise InvalidInputError(
                f"Beside {file} lies {target.name}{end}, of a database that is in use, or was when its program ended;"
                " SQLite would write it into the copy",
                "Name another file; or stop what uses that one and, should its log stay even so, remove both.",
            )


def _there_already(file: Path) -> InvalidInputError:
    return InvalidInputError(f"{file} is there already", "It was left as it is; --force replaces it.")


def _copy(
    source: sqlite3.Connection, store: Path, draft: Path, file: Path, after_step: Callable[[], None]
) -> tuple[int, int]:
    """Fill the draft, and count what is in it: issues and events."""
    with translated(store):
        source.execute("BEGIN")
        counts = _count(source, "issues"), _count(source, "events")
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = OFF")  # a draft that fails is dropped
        copy.execute("PRAGMA synchronous = OFF")  # it is synced once, at the end
        try:
            source.backup(copy, pages=PAGES_A_STEP, progress=lambda *_: after_step())
        except sqlite3.Error as error:
            primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if primary in _SOURCES_FAULTS:
                raise _damaged(store) from error
            if primary == sqlite3.SQLITE_FULL:
                raise InvalidInputError(f"{file} cannot be written: the disk is full", "Make room for it.") from error
            raise InvalidInputError(f"{file} cannot be written: {error}", "Name another file.") from error
    return counts


def _count(connection: sqlite3.Connection, table: str) -> int:
    """The rows of a table; none of one that an older store has not."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone():
        return 0
    count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - named above
    return count


def _verify(draft: Path, store: Path) -> None:
    """Keep a damaged store from taking the place of an earlier copy, which may be the only sound one."""
    try:
        # `immutable`: no log is made beside it.
        with contextlib.closing(sqlite3.connect(f"{draft.absolute().as_uri()}?immutable=1", uri=True)) as copy:
            found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except UNREADABLE as error:
        raise _damaged(store) from error
    if found != "ok":
        raise _damaged(store)


def _damaged(store: Path) -> StoreError:
    return StoreError(
        f"The store {store} is damaged; no copy was made of it", "Restore it from an earlier one; `check` says more."
    )


def _put_in_place(draft: Path, file: Path, target: Path, *, replace: bool) -> None:
    if not replace:
        try:
            target.hardlink_to(draft)  # refuses, should another program have made the file meanwhile
        except FileExistsError as error:
            raise _there_already(file) from error
        except OSError:  # a file system without hard links; that there was no file was looked at just now
            pass
        else:
            return
    draft.replace(target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
