"""The store: where it is, whether it can be used, and whether it soon cannot."""

import os
import shlex
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from owlmetry_mcp.backends.store.looking import CURRENT_VERSION, Look, damage, look
from owlmetry_mcp.doctor import keys
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.configuration import are_wrong_for
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.issues.errors import StoreBusyError, StoreError

_GLANCE_SECONDS = 3.0
_MEBIBYTE = 1024 * 1024
_MANY = 1000
_LEAST_BYTES = 10 * _MEBIBYTE
"""With less the disk is as good as full: a commit may need as much."""
_FEW_BYTES = 200 * _MEBIBYTE
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def store(case: Case) -> Iterator[Finding]:
    if case.loaded.settings.backend != "store":
        return
    if are_wrong_for(case, "store"):
        yield Finding("store.file", "note", "not looked at, as the settings are wrong", "Correct them first.")
        return
    path, credential = case.loaded.settings.store, case.loaded.settings.api_key
    if credential is not None:
        yield from keys.kind(credential)
    try:
        seen = look(path, case.clock, credential)
        if seen is None:
            yield from _not_yet(path)
        else:
            yield from _there(case, path, seen)
    except StoreBusyError as error:
        yield Finding("store.file", "broken", error.message, "Wait until that program is done, or end it.")
    except StoreError as error:
        yield Finding("store.file", "broken", error.message, error.hint)
    if (directory := _nearest(path)) is not None:
        yield _space(case, directory)


def _not_yet(path: Path) -> Iterator[Finding]:
    directory = _nearest(path)
    yield Finding("store.file", "note", f"{path} is not there yet; it is made on first use")
    if directory is None or not os.access(directory, os.W_OK | os.X_OK):
        what = f"{directory or path.parent} cannot be written to, so that no store can be made there"
        yield Finding("store.folder", "broken", what, "Name another file with --store or OWLMETRY_STORE.")


def _nearest(path: Path) -> Path | None:
    """The directory that the store is in, or that its own would be made in; none where a file is in the way."""
    there = next((parent for parent in path.absolute().parents if parent.exists()), None)
    return there if there and there.is_dir() else None


def _there(case: Case, path: Path, seen: Look) -> Iterator[Finding]:
    yield Finding("store.file", "ok", f"{path}, {_size(seen.size_bytes)}")
    if seen.version < CURRENT_VERSION:
        what = f"version {seen.version}; what uses it next brings it to {CURRENT_VERSION}"
        yield Finding("store.schema", "note", what, "`owlmetry-mcp backup FILE` copies it before.")
    else:
        yield Finding("store.schema", "ok", f"version {seen.version}")
    if seen.unwritable is not None:
        yield _unwritable(seen.unwritable)
    if sys.platform != "win32":
        yield from _privacy(path)
    yield from _integrity(case, path, seen)
    if seen.who is not None:
        yield from keys.standing(seen.who, case.clock)


def _unwritable(error: StoreError) -> Finding:
    if isinstance(error, StoreBusyError):
        what = "another program is writing to it, and did not let go meanwhile"
        return Finding("store.writing", "warning", what, "If it is no ingest, import or prune, end that program.")
    return Finding("store.writing", "broken", error.message, "Make the file and its folder writable for its owner.")


def _privacy(path: Path) -> Iterator[Finding]:
    files = [file for file in (path, Path(f"{path}-wal")) if file.exists()]
    modes = [stat.S_IMODE(file.stat().st_mode) for file in files]
    if any(mode & _OTHERS for mode in modes):
        what = f"others on this machine may use the file ({max(modes):o}), and read what its tokens are signed with"
        yield Finding("store.privacy", "warning", what, f"`chmod 600 {shlex.quote(str(path))}`; its log follows it.")
    else:
        yield Finding("store.privacy", "ok", "its owner's alone")


def _integrity(case: Case, path: Path, seen: Look) -> Iterator[Finding]:
    wrong = damage(path, case.clock, _GLANCE_SECONDS) if seen.version == CURRENT_VERSION else []
    if wrong is None:
        what = f"it is too large to be looked through in {_GLANCE_SECONDS:.0f} s"
        yield Finding("store.integrity", "note", what, "`owlmetry-mcp check` verifies all of it.")
    elif wrong:
        what = f"it is damaged: {'; '.join(wrong[:3])}{' …' if len(wrong) > 3 else ''}"  # noqa: PLR2004 - enough to see
        restoring = f"`owlmetry-mcp backup --force {shlex.quote(str(path))} --store COPY`"
        remedy = f"Restore a copy, if there is one: {restoring}. `owlmetry-mcp check` says more."
        yield Finding("store.integrity", "broken", what, remedy)
    elif seen.version == CURRENT_VERSION:
        yield Finding("store.integrity", "ok", "sound at a glance; `owlmetry-mcp check` verifies all of it")


def _space(case: Case, directory: Path) -> Finding:
    free = case.free_bytes(directory)
    what = f"{_size(free)} left on its disk"
    if free < _LEAST_BYTES:
        return Finding("store.space", "broken", what, "Make room: nothing more can be written.")
    if free < _FEW_BYTES:
        return Finding("store.space", "warning", what, "Make room; `owlmetry-mcp prune` frees some within the store.")
    return Finding("store.space", "ok", what)


def _size(size_bytes: int) -> str:
    mebibytes = size_bytes / _MEBIBYTE
    return f"{mebibytes:.1f} MiB" if mebibytes < _MANY else f"{mebibytes / 1024:,.1f} GiB"
