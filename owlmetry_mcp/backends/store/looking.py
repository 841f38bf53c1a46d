"""A look at a store for whoever asks what state it is in: none is made, and none migrated."""

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from owlmetry_mcp.backends.store import access, administration
from owlmetry_mcp.backends.store.beside import refuse_a_log_alone
from owlmetry_mcp.backends.store.checking import at_a_glance
from owlmetry_mcp.backends.store.file import OLDEST_SQLITE, open_as_it_is, place_of, version_of
from owlmetry_mcp.backends.store.schema import MIGRATIONS
from owlmetry_mcp.backends.store.transactions import Clock, Transaction, transaction, translated
from owlmetry_mcp.issues.errors import StoreError, UnauthenticatedError
from owlmetry_mcp.issues.models import Identity

WAIT_SECONDS = 2.0
"""How long a look waits for another program to let go of the file."""
_AGAIN_SECONDS = 0.01
CURRENT_VERSION = len(MIGRATIONS)


@dataclass(frozen=True, slots=True)
class Look:
    size_bytes: int
    """With what its log holds."""
    version: int
    unwritable: StoreError | None
    """Why it cannot be written to now."""
    who: Identity | UnauthenticatedError | None
    """Whom the credential is of; None where there is none, or the store is of an older version."""
    local_agents: tuple[str, ...]
    """The names of those who may act without a key."""


def look(path: Path, clock: Clock, credential: str | None) -> Look | None:
    """None where there is no store.

    Raises:
        StoreError: it cannot be read.
    """
    if place_of(path) is None:
        refuse_a_log_alone(path)
        return None
    with closing(open_as_it_is(path, WAIT_SECONDS)) as connection:
        with translated(path):
            version = version_of(connection)
        is_current = version == CURRENT_VERSION
        with transaction(connection, path, clock, writing=False) as tx:
            who = _who(tx, credential) if is_current else None
            local_agents = _local_agents(tx) if is_current else ()
        unwritable = _unwritable(connection, path)
        size_bytes = sum(file.stat().st_size for file in (path, Path(f"{path}-wal")) if file.exists())
    return Look(size_bytes, version, unwritable, who, local_agents)


def damage(path: Path, clock: Clock, seconds: float) -> list[str] | None:
    """What is wrong with the file, at a glance; None where that took longer.

    Raises:
        StoreError: it cannot be read.
    """
    is_done, is_late = Event(), Event()

    def watch() -> None:
        """Older versions of SQLite look at nothing else than an interrupt meanwhile, and forget one between steps."""
        if not is_done.wait(seconds):
            is_late.set()
            while not is_done.wait(_AGAIN_SECONDS):
                connection.interrupt()

    with closing(open_as_it_is(path, WAIT_SECONDS)) as connection:
        watcher = Thread(target=watch, daemon=True)
        watcher.start()
        found: list[str] | None = None
        try:
            with transaction(connection, path, clock, writing=False) as tx:
                found = [finding.said for finding in at_a_glance(tx)]
        except StoreError:  # with damage found, the transaction may not even end
            if not found and not is_late.is_set():
                raise
        finally:
            is_done.set()
            watcher.join()
    return found


def sqlite_version() -> str:
    return sqlite3.sqlite_version


def sqlite_suffices() -> bool:
    return sqlite3.sqlite_version_info >= OLDEST_SQLITE


def _who(tx: Transaction, credential: str | None) -> Identity | UnauthenticatedError | None:
    try:
        return None if credential is None else access.identify(tx, access.credential(credential))
    except UnauthenticatedError as error:
        return error


def _local_agents(tx: Transaction) -> tuple[str, ...]:
    keys = administration.list_keys(tx)
    return tuple(key.name for key in keys if key.local and not key.revoked_at and not key.expired)


def _unwritable(connection: sqlite3.Connection, path: Path) -> StoreError | None:
    """Whether a write could begin; none is done."""
    if not os.access(path, os.W_OK):  # of which SQLite tells nothing before something is to be written
        return StoreError(f"The store {path} cannot be written to")
    try:
        with translated(path):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except StoreError as error:
        return error
    return None
