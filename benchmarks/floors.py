"""What an ingest cannot do without, alone: `python -m benchmarks.floors fingerprinting|inserts FILE STORE`.

Each reads the file of events in batches and prepares them outside its stopwatch.
"""

import json
import sqlite3
import sys
from collections.abc import Iterator
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.events import Event, batches
from benchmarks.measured import Stopwatch
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.fingerprints import fingerprint

Row = tuple[Any, ...]
TRANSACTION = 10_000
_CONTENT = ("message", "environment", "source_module", "user_id", "app_version", "sdk_name", "sdk_version")
_CARRIED = ("user_id", "app_version", "sdk_name", "sdk_version", "environment")
_NOW = "2026-01-01T00:00:00.000Z"
_INSERTS = (
    "INSERT INTO sessions (key, id) VALUES (?, ?)",
    f"""
    INSERT INTO events (app, is_dev, level, received_at, id, session, client_event_id, timestamp, content)
    VALUES (1, 0, 'error', '{_NOW}', ?, ?, ?, ?, ?)
    """,  # noqa: S608 - an instant from above
    f"""
    INSERT INTO occurrences (created_at, issue, id, session, event_id, timestamp, {", ".join(_CARRIED)})
    VALUES ('{_NOW}', ?, ?, ?, ?, ?{", ?" * len(_CARRIED)})
    """,  # noqa: S608 - likewise, and names
)


def fingerprinting(file: Path, _: Path) -> None:
    stopwatch = Stopwatch()
    for batch in batches(file, TRANSACTION):
        texts = [(event["message"], event["source_module"]) for event in batch]
        with stopwatch:
            for message, module in texts:
                fingerprint(message, module, None)
    stopwatch.tell()


def inserts(file: Path, path: Path) -> None:
    """A session, an event and an occurrence at least as often as an ingest writes one, and no other row; no checks of
    references.
    """
    connection = _connection(path)
    stopwatch = Stopwatch()
    for tables in _rows(file):
        with stopwatch:
            connection.execute("BEGIN IMMEDIATE")
            for sql, rows in zip(_INSERTS, tables, strict=True):
                connection.executemany(sql, rows)
            connection.execute("COMMIT")
    with stopwatch:
        connection.close()
    stopwatch.tell()


def _connection(path: Path) -> sqlite3.Connection:
    """To a new store, as empty as it can be, with as much cache and log as an ingest's."""
    names = ("cache_size", "wal_autocheckpoint")
    with Store(path) as store:
        store.expect_much()
        values = store.write(lambda tx: [tx.one(f"PRAGMA {name}")[0] for name in names])
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in (*zip(names, values, strict=True), ("synchronous", "FULL"), ("foreign_keys", "OFF")):
        connection.execute(f"PRAGMA {name} = {value}")
    return connection


class _Tables(NamedTuple):
    """Rows of a transaction, as the inserts above take them."""

    sessions: list[Row]
    events: list[Row]
    occurrences: list[Row]


def _rows(file: Path) -> Iterator[_Tables]:
    """A file has a session's events one after another."""
    ids = (bytearray(number.to_bytes(16)) for number in count(1 << 120))
    issues: dict[str, int] = {}
    session_id, session, seen = "", 0, set[int]()
    for batch in batches(file, TRANSACTION):
        tables = _Tables([], [], [])
        for event in batch:
            if event["session_id"] != session_id:
                session_id, session, seen = event["session_id"], session + 1, set()
                tables.sessions.append((session, _blob(session_id)))
            event_id = next(ids)
            tables.events.append(
                (event_id, session, _blob(event["client_event_id"]), event["timestamp"], _content(event))
            )
            issue = issues.setdefault(fingerprint(event["message"], event["source_module"], None), len(issues) + 1)
            if issue not in seen:
                seen.add(issue)
                carried = map(event.get, _CARRIED)
                tables.occurrences.append((issue, next(ids), session, event_id, event["timestamp"], *carried))
        tables.occurrences.sort(key=itemgetter(0))
        yield tables


def _blob(uuid: str) -> bytearray:
    return bytearray.fromhex(uuid.replace("-", ""))


def _content(event: Event) -> str:
    return json.dumps({name: event[name] for name in _CONTENT}, separators=(",", ":"))


if __name__ == "__main__":
    {"fingerprinting": fingerprinting, "inserts": inserts}[sys.argv[1]](*map(Path, sys.argv[2:]))
