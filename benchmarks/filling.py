"""The rows of a store to measure on, the same every time but for their times, which end now.

They go straight into the tables of a store that the product has made, in the order in which they would have come. One
issue is hit far more often than any other, one status is rare, and the events of the latest occurrences are still
there, with what led to them.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmarks.measured import ROOT
from benchmarks.shop import AGENT, APPS, COMMON, RARE, Size, add_project, issue_id, status_of, uuid
from owlmetry_mcp.backends.store import derived, summaries
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction, connect, json_text
from owlmetry_mcp.issues import times

Row = tuple[Any, ...]

_SEED = 7
_SPAN = timedelta(days=90)
_BUSIEST_SHARE = 0.03
_COUNTRIES = ("DE", "US", "NO", "JP", None)
_ENVIRONMENTS = ("production", "staging")
_VERSIONS = 5
_FIXED_IN = "4.9.0"
_DEVELOPED = 10
"""One issue in so many is a development build's."""
_COMMENTED = 10
"""One issue in so many has a comment."""
_MANY_COMMENTS = 20
_EACH_USER = 5
"""Occurrences."""
_NAMELESS = 10
"""One user in so many has no name."""
_SHARING = 5
"""One occurrence in so many is of the session of the one before it."""
_WITH_EVENTS, _LEAST_WITH_EVENTS = 100, 100
"""The events of one occurrence in so many, the latest, are still there; of so many at least."""
_CRUMBS = 10
"""What is known to have led to an error."""
_SESSION, _OCCURRENCE_ID, _EVENT_ID, _CRUMB_ID, _NOTIFICATION = range(1, 6)
_OCCURRENCE = (
    "key, id, issue, session, user_id, app_version, sdk_name, sdk_version, environment, event_id, country_code,"
    " timestamp, created_at"
)
_EVENT = "id, app, is_dev, session, level, timestamp, received_at, content, custom_attributes"
_ISSUE = (
    "key, id, app, status, is_dev, title, source_module, occurrence_count, unique_user_count, resolved_at_version,"
    " first_seen_at, last_seen_at, first_seen_app_version, last_seen_app_version, first_seen_sdk_version,"
    " last_seen_sdk_version, last_notified_at, snoozed_at, created_at, updated_at"
)
_AUDIT = "at, actor_type, actor_id, actor_name, action, subject_id, detail"
_COMMENT = "id, issue, author_type, author_id, author_name, body, created_at, updated_at"


def make(path: Path, size: Size, now: datetime) -> None:
    """A store of one project. Its issues have the keys from 1 in the order in which they were first seen."""
    with Store(path, lambda: now, add_project):
        pass
    with closing(connect(path)) as connection:
        for pragma in ("foreign_keys = OFF", "synchronous = OFF", "journal_mode = MEMORY", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        _Filling(connection, size, now).fill()
        _keep_what_follows(Transaction(connection, times.to_text(now)))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _keep_what_follows(tx: Transaction) -> None:
    """What the product keeps of issues besides."""
    derived.make_anew(tx)
    for (issue,) in tx.all("SELECT key FROM issues WHERE occurrence_count >= ?", (summaries.KEPT_FROM,)):
        summaries.keep(tx, issue)


class _Filling:
    def __init__(self, connection: sqlite3.Connection, size: Size, now: datetime) -> None:
        self._connection = connection
        self._size = size
        self._begin, self._seconds = (now - _SPAN).timestamp(), _SPAN.total_seconds()
        lines = (ROOT / "benchmarks" / "messages.jsonl").read_text(encoding="utf-8").splitlines()
        self._messages = [(line["title"], line["source_module"]) for line in map(json.loads, lines)]

    def fill(self) -> None:
        numbers = range(1, self._size.occurrences + 1)
        sessions = ((number, _blob(_SESSION, number)) for number in numbers if not self._shares_session(number))
        self._insert("sessions", "key, id", sessions)
        with self._indexed_afterwards("occurrences"):
            self._insert("occurrences", _OCCURRENCE, self._occurrences())
        with self._indexed_afterwards("events"):
            self._insert("events", _EVENT, self._events())
        with self._indexed_afterwards("issues"):
            self._insert("issues", _ISSUE, self._issues())
            self._insert("audit", _AUDIT, filter(None, map(_moved, self._seen())))
            self._insert("comments", _COMMENT, chain.from_iterable(map(_comments, self._seen())))
        self._insert("fingerprints", "app, is_dev, fingerprint, issue", map(_fingerprint, self._seen()))
        self._insert("notifications", "id, type, reason, issue, created_at", map(_notification, self._seen()))

    @contextmanager
    def _indexed_afterwards(self, table: str) -> Iterator[None]:
        """Sorting once takes a fraction of the time that keeping an index in order does."""
        rows = self._connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", (table,)
        ).fetchall()
        for name, _ in rows:
            self._connection.execute(f"DROP INDEX {name}")
        yield
        for _, sql in rows:
            self._connection.execute(sql)

    def _insert(self, table: str, columns: str, rows: Iterable[Row]) -> None:
        marks = ", ".join("?" * len(columns.split(",")))
        self._connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608 - names from this module

    def _known(self, number: int) -> int:
        """How many issues there are once this occurrence has been."""
        return 1 + (number - 1) * self._size.issues // self._size.occurrences

    def _shares_session(self, number: int) -> bool:
        """Whether it is of the session of the one before it, and so of another issue."""
        return number % _SHARING == 0 and self._known(number) > 1

    def _at(self, number: float) -> str:
        return _text(self._begin + self._seconds * number / self._size.occurrences)

    def _occurrences(self) -> Iterator[Row]:
        random = Random(_SEED)
        occurrences = self._size.occurrences
        known = issue = 0
        for number in range(1, occurrences + 1):
            before, known = known, self._known(number)
            shared = self._shares_session(number)
            if known > before:
                issue = known
            else:
                last = issue
                issue = 1 if random.random() < _BUSIEST_SHARE else int(known * random.random() ** 2) + 1
                if shared and issue == last:
                    issue = issue % known + 1
            user = random.randrange(occurrences // _EACH_USER + 1)
            at = self._at(number)
            yield (
                number,
                _blob(_OCCURRENCE_ID, number),
                issue,
                number - 1 if shared else number,
                None if user % _NAMELESS == 0 else f"user-{user}",
                _version(number, occurrences),
                "owlmetry-swift",
                "0.1.4",
                _ENVIRONMENTS[user % len(_ENVIRONMENTS)],
                _blob(_EVENT_ID, number),
                _COUNTRIES[user % len(_COUNTRIES)],
                at,
                at,
            )

    def _events(self) -> Iterator[Row]:
        """Of the latest occurrences, and what led to each."""
        rows = self._connection.execute(
            """
            SELECT key, issue, session, user_id, app_version, sdk_name, sdk_version, environment, country_code,
                timestamp
            FROM occurrences WHERE key > ? ORDER BY key
            """,
            (self._size.occurrences - max(self._size.occurrences // _WITH_EVENTS, _LEAST_WITH_EVENTS),),
        )
        names = ("user_id", "app_version", "sdk_name", "sdk_version", "environment", "country_code")
        for number, issue, session, *carried, at in rows.fetchall():
            content = {name: value for name, value in zip(names, carried, strict=True) if value is not None}
            title, module = self._message(issue)
            said = {"message": title, "source_module": module, **content}
            of = (_app(issue), _is_dev(issue), session)
            yield (_blob(_EVENT_ID, number), *of, "error", at, at, json_text(said), json_text({"_error_type": module}))
            for crumb in range(1, _CRUMBS + 1):
                said = {"message": f"step {crumb}", "source_module": "shop.screen", **content}
                earlier = self._at(number - crumb / _CRUMBS)
                yield (
                    _blob(_CRUMB_ID, number * _CRUMBS + crumb),
                    *of,
                    "info",
                    earlier,
                    earlier,
                    json_text(said),
                    None,
                )

    def _message(self, issue: int) -> tuple[str, str]:
        """Real software's, told apart by a number where there are more issues than messages."""
        turn, place = divmod(issue - 1, len(self._messages))
        title, module = self._messages[place]
        return (f"{title} (shard {turn})" if turn else title), module

    def _issues(self) -> Iterator[Row]:
        """As the scan rolls their occurrences up; then put where they are, as `_moved` says."""
        rows = self._connection.execute(
            """
            SELECT issue, count(*), min(timestamp), max(timestamp), min(key), max(key), (
                SELECT count(DISTINCT user_id) FROM occurrences u WHERE u.issue = o.issue AND user_id IS NOT NULL
            )
            FROM occurrences o GROUP BY issue ORDER BY issue
            """
        )
        for key, occurrences, first_at, last_at, first, last, users in rows:
            title, module = self._message(key)
            status = status_of(key, self._size.issues)
            yield (
                key,
                issue_id(key),
                _app(key),
                status,
                _is_dev(key),
                title,
                module,
                occurrences,
                users,
                _FIXED_IN if status == "resolved" else None,
                first_at,
                last_at,
                _version(first, self._size.occurrences),
                _version(last, self._size.occurrences),
                "0.1.4",
                "0.1.4",
                first_at,
                last_at if status == "snoozed" else None,
                first_at,
                last_at,
            )

    def _seen(self) -> Iterator["_Seen"]:
        rows = self._connection.execute("SELECT key, id, app, is_dev, status, first_seen_at, last_seen_at FROM issues")
        return map(_Seen._make, rows)


def _app(issue: int) -> int:
    return 1 + issue % len(APPS)


def _is_dev(issue: int) -> int:
    return int(issue % _DEVELOPED == 0)


def _version(number: int, of: int) -> str:
    return f"4.{(number - 1) * _VERSIONS // of}.0"


class _Seen(NamedTuple):
    """What else is made of an issue goes by."""

    key: int
    id: str
    app: int
    is_dev: int
    status: str
    first_at: str
    last_at: str


def _fingerprint(issue: _Seen) -> Row:
    return issue.app, issue.is_dev, sha256(f"{issue.key}".encode()).hexdigest(), issue.key


def _notification(issue: _Seen) -> Row:
    """That the scan opened it."""
    return _blob(_NOTIFICATION, issue.key), "issue.new", "opened", issue.key, issue.first_at


def _moved(issue: _Seen) -> Row | None:
    """How it came to where it is. Half of those that are silenced are so from the first, and seen nevertheless."""
    if issue.status in (COMMON, RARE):
        return None
    at = issue.first_at if issue.status == "silenced" and issue.key % 2 else issue.last_at
    detail = json_text({"before": COMMON, "after": issue.status})
    return at, "agent", uuid("agent"), AGENT, "issue.status", issue.id, detail


def _comments(issue: _Seen) -> Iterator[Row]:
    """On the busiest issue many, on those in progress one each, and on some others."""
    one = issue.status == "in_progress" or issue.key % _COMMENTED == 0
    for number in range(_MANY_COMMENTS if issue.key == 1 else int(one)):
        body = f"Looked at it for the {number + 1}. time: it comes from the retry, which does not wait."
        yield (
            uuid(f"comment {number} on {issue.id}"),
            issue.key,
            "agent",
            uuid("agent"),
            AGENT,
            body,
            issue.last_at,
            issue.last_at,
        )


def _blob(kind: int, number: int) -> bytearray:
    """A UUID of version 7, in the order of their numbers."""
    return bytearray((number << 80 | 7 << 76 | 2 << 62 | kind).to_bytes(16))


def _text(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat(timespec='milliseconds')[:23]}Z"
