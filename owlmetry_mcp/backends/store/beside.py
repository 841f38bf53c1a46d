"""What SQLite keeps beside a store: its log, and the log's index. It finds both by their names alone.

So a file that is put in the place of a store that is in use would be given the log of the one before it.
"""

import os
import stat
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from owlmetry_mcp.issues.errors import StoreError

_ENDS = ("-wal", "-shm")
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi"


class _Bytes(NamedTuple):
    """What those who use a file keep locked of it, as SQLite's file format has it."""

    start: int
    length: int


_OF_A_DATABASE = _Bytes(0x40000002, 510)
_OF_AN_INDEX = _Bytes(128, 1)


def drop_anothers_log(path: Path) -> None:
    """Take the log's name from a log that programs use of which none uses the file at `path`.

    It is of the file that was there before. They go on with it, as they do with that file, and nothing in it is lost.
    """
    real = os.path.realpath(path)
    for _ in range(2):  # twice, as a program may close both files between the questions
        user = _user(f"{real}-shm", _OF_AN_INDEX)
        if user is None or _user(real, _OF_A_DATABASE) is not None or _has_open(user, real):
            return
    for end in _ENDS:
        Path(f"{real}{end}").unlink(missing_ok=True)


def share_permissions(path: Path) -> None:
    """Let the log be written by whom the file may be, as SQLite has it when it makes one: a log that was made while the
    file was read-only stays so else, and keeps the file from being written to.
    """
    real = os.path.realpath(path)
    for beside in (Path(f"{real}{end}") for end in _ENDS):
        with suppress(OSError):  # it is not there, or another's
            mode = stat.S_IMODE(Path(real).stat().st_mode)
            if stat.S_IMODE(beside.stat().st_mode) != mode:
                beside.chmod(mode)


def refuse_a_log_alone(path: Path) -> None:
    """Keep a new store from a log that an older one of its name left behind, and that one from losing it.

    Raises:
        StoreError: there is a log with something in it, and no store.
    """
    log = Path(f"{os.path.realpath(path)}-wal")
    try:
        is_left = log.stat().st_size > 0 and not path.exists()  # in this order, as another process may make the store
    except OSError:
        return
    if is_left:
        raise StoreError(
            f"The store {path} is gone, but its log, {log.name}, is still there",
            f"Put the store back beside it, for the log holds its latest changes; or remove {log} to begin a new one.",
        )


def _user(file: str, locked: _Bytes) -> int | None:
    """Another process that has locked any of these bytes; None where there is none, or it cannot be told."""
    if sys.platform == "win32":  # where no file can be replaced while it is in use
        return None
    import fcntl  # noqa: PLC0415 - which Windows has not

    try:
        descriptor = os.open(file, os.O_RDWR)
    except OSError:
        return None
    try:
        kind, process = _told(fcntl.fcntl(descriptor, fcntl.F_GETLK, _asked(fcntl.F_WRLCK, locked)))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else process


def _asked(kind: int, locked: _Bytes) -> bytes:
    if sys.platform == "darwin":
        return struct.pack(_FLOCK, *locked, 0, kind, os.SEEK_SET)
    return struct.pack(_FLOCK, kind, os.SEEK_SET, *locked, 0)


def _told(answer: bytes) -> tuple[int, int]:
    """The kind of lock, and whose it is."""
    fields = struct.unpack(_FLOCK, answer)
    return (fields[3], fields[2]) if sys.platform == "darwin" else (fields[0], fields[4])


def _has_open(process: int, file: str) -> bool:
    """Whether it is seen to have the file open: one that opens and closes a file of its own loses its lock on it."""
    try:
        return any(entry.samefile(file) for entry in Path(f"/proc/{process}/fd").iterdir() if entry.exists())
    except OSError:
        return False
