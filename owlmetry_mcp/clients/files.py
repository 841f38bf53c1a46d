"""Clients' settings files: read, and replaced whole or not at all, with what was there kept beside them."""

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from owlmetry_mcp.issues.errors import ConflictError, InvalidInputError

_OWNER_ALONE = 0o600


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file as it was found."""

    path: Path
    """As it is called; where that is a link, it is the file behind it that is written."""
    content: bytes | None = field(repr=False)
    """None where there is none."""

    @property
    def text(self) -> str:
        """
        Raises:
            InvalidInputError: it is not in UTF-8.
        """
        try:
            return (self.content or b"").decode()
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{self.path} is not in UTF-8", "Save it so, and run this again.") from error


def read(path: Path) -> SettingsFile:
    """
    Raises:
        InvalidInputError: what is there is no file, or cannot be read.
    """
    try:
        return SettingsFile(path, path.read_bytes())
    except FileNotFoundError:
        return SettingsFile(path, None)
    except IsADirectoryError as error:
        raise InvalidInputError(f"{path} is a directory, not a file", "Move it away, and run this again.") from error
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}", "Its owner has to allow it.") from error


def refuse_read_only(file: SettingsFile) -> None:
    """A file without write permission could be replaced all the same; somebody meant it to stay.

    Raises:
        InvalidInputError: it is such a file.
    """
    if file.content is not None and not file.path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise InvalidInputError(
            f"{file.path} is read-only", f"Allow it with `chmod u+w {file.path}`, and run this again."
        )


def back_up(file: SettingsFile, now: datetime) -> Path | None:
    """A copy of it beside it, for its owner alone, since it may hold secrets; none of a file that is not there.

    Raises:
        InvalidInputError: it cannot be written.
    """
    if file.content is None:
        return None
    target = _behind_links(file.path)
    stem = f"{target.name}.{now:%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        copy = target.with_name(f"{stem}.bak" if number == 1 else f"{stem}-{number}.bak")
        with suppress(FileExistsError):
            try:
                handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ALONE)
            except FileExistsError:
                raise
            except OSError as error:
                raise _unwritable(copy, error) from error
            with os.fdopen(handle, "wb") as stream:
                stream.write(file.content)
                stream.flush()
                os.fsync(stream.fileno())
            return copy
    raise InvalidInputError(f"{target} has too many backups of this second", "Run this again.")


def replace(file: SettingsFile, text: str, now: datetime, *, secret: bool) -> Path | None:
    """Put the text in its place, if it is still as it was found, and tell where what was there is backed up.

    With a secret in it, it is its owner's alone to read.

    Between the last look and the replacement is a moment in which another's change would be lost; no file system has a
    way around that which editors would honour.

    Raises:
        ConflictError: it has changed since.
        InvalidInputError: it cannot be written.
    """
    target = _behind_links(file.path)
    draft = backup = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
        draft = Path(name)
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        draft.chmod(_mode(target, secret=secret))
        backup = back_up(file, now)
        _refuse_changed(file)
        draft.replace(target)
    except BaseException as error:
        for leftover in (draft, backup):
            if leftover is not None:
                leftover.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritable(target, error) from error
        raise
    _sync_directory(target.parent)
    return backup


def keep_private(file: SettingsFile) -> None:
    """For one that holds a secret already."""
    file.path.chmod(_OWNER_ALONE)


def _refuse_changed(file: SettingsFile) -> None:
    if read(file.path).content != file.content:
        raise ConflictError(f"{file.path} was changed by another program meanwhile", "Run this again.")


def _behind_links(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _mode(target: Path, *, secret: bool) -> int:
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        mode = 0o666 & ~mask
    return _OWNER_ALONE if secret else mode


def _sync_directory(directory: Path) -> None:
    """Where directories can be opened: not on Windows."""
    with suppress(PermissionError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _unwritable(path: Path, error: OSError) -> InvalidInputError:
    return InvalidInputError(f"{path} cannot be written: {error.strerror}", "Nothing was changed.")
