"""The issue scan: what error events say, as issues and their occurrences.

It takes the errors that no scan has taken, in batches, each in one transaction with all that comes of it: so it can be
stopped anywhere, and of two scans at once each takes what the other has not. Where the errors were cut into batches
makes no difference: bursts are looked for across the cuts, and everything else is sums, firsts and lasts. What can make
one is that an issue is what it was taken for when its first error was scanned: errors that come only later, of an
earlier time or with a known fingerprint, do not change what was decided without them.

Source of the rules: the facts about Owlmetry's issue scan, and what a running server made of real events.
"""

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter, itemgetter
from typing import Literal, NamedTuple

from owlmetry_mcp.backends.store import attachments, bursts, ids
from owlmetry_mcp.backends.store.bursts import Burst, Error
from owlmetry_mcp.backends.store.listing import Move, latest_move, record_moves
from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues import fingerprints
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.versions import is_newer

BATCH = 100_000
"""Errors a transaction. Fewer cost more each, as a batch writes to every issue it meets; more hold the file longer."""
PORTION = 5_000
"""Errors of a batch that are in memory at once."""
MAX_ISSUES = 10_000
"""Issues of a batch after which it takes no more, since they are in memory until it ends."""
_UNREADABLE = ("metric:", "step:", "track:")

Reason = Literal["opened", "regressed", "reopened"]


class Scanned(NamedTuple):
    """What a scan did."""

    errors: int = 0
    occurrences: int = 0
    opened: int = 0
    regressed: int = 0
    reopened: int = 0

    def plus(self, other: "Scanned") -> "Scanned":
        return Scanned(*(one + another for one, another in zip(self, other, strict=True)))


def scan_all(write: Callable[[Callable[[Transaction], Scanned]], Scanned]) -> Scanned:
    """Scan until nothing is left; `write` runs a batch in a transaction."""
    total = Scanned()
    while (done := write(scan_batch)).errors:
        total = total.plus(done)
    return total


def scan_batch(tx: Transaction, size: int = BATCH) -> Scanned:
    """Scan the errors that have waited longest: so many, and those that are in one burst with them.

    Fewer, if they are of too many issues; none are only scanned when none are left.
    """
    scan = _Scan(tx)
    taken = 0
    while taken < size and not scan.is_full() and (errors := bursts.unscanned(tx, min(size - taken, PORTION))):
        found = bursts.of(tx, errors)
        scan.take(found)
        last = errors[-1].key
        behind = [error.key for burst in found for error in burst.errors if error.is_new and error.key > last]
        tx.run(f"DELETE FROM unscanned WHERE event <= ? OR event IN ({listed(behind)})", (last,))  # noqa: S608 - keys of ours
        taken += len(errors) + len(behind)
    return scan.finish()._replace(errors=taken)


@dataclass(slots=True)
class _Issue:
    """An issue that the errors of a batch are of, as it is to be once they are counted."""

    key: int
    id: str
    app: int
    is_dev: int
    status: Status
    title: str
    source_module: str | None
    first_seen_at: str
    last_seen_at: str
    created_at: str
    updated_at: str
    occurrence_count: int = 0
    unique_user_count: int = 0
    resolved_at_version: str | None = None
    first_seen_app_version: str | None = None
    last_seen_app_version: str | None = None
    first_seen_sdk_version: str | None = None
    last_seen_sdk_version: str | None = None
    last_notified_at: str | None = None
    snoozed_at: str | None = None
    moved: int = 0
    stood_at: str = ""
    """Where it stands in lists, by `last_seen_at`; empty: it is in none yet."""
    is_changed: bool = False
    """Since it was last written."""
    reason: Reason | None = None

    def age(self) -> tuple[str, str, int]:
        return self.first_seen_at, self.created_at, self.key

    def see(self, error: Error) -> None:
        """Roll an error up. A version is the first or last of those that events name."""
        self.is_changed = True
        app_version, sdk_version = error.content.get("app_version"), error.content.get("sdk_version")
        if error.timestamp < self.first_seen_at:
            self.first_seen_at = error.timestamp
            self.first_seen_app_version = app_version or self.first_seen_app_version
            self.first_seen_sdk_version = sdk_version or self.first_seen_sdk_version
        else:
            self.first_seen_app_version = self.first_seen_app_version or app_version
            self.first_seen_sdk_version = self.first_seen_sdk_version or sdk_version
        if error.timestamp >= self.last_seen_at:
            self.last_seen_at = error.timestamp
            self.last_seen_app_version = app_version or self.last_seen_app_version
            self.last_seen_sdk_version = sdk_version or self.last_seen_sdk_version
        else:
            self.last_seen_app_version = self.last_seen_app_version or app_version
            self.last_seen_sdk_version = self.last_seen_sdk_version or sdk_version
        if self.status == "resolved" and app_version and is_newer(app_version, self.resolved_at_version or ""):
            self.status, self.resolved_at_version, self.reason = "regressed", None, "regressed"

    def occur(self) -> None:
        """Count a new occurrence; a snoozed issue wakes."""
        self.occurrence_count += 1
        if self.status == "snoozed":
            self.status, self.snoozed_at, self.resolved_at_version, self.reason = "new", None, None, "reopened"


_CARRIED = ("user_id", "app_version", "sdk_name", "sdk_version", "environment", "country_code")
"""What an occurrence has of its event's content."""
_COLUMNS = (
    "key", "id", "app", "is_dev", "status", "title", "source_module", "first_seen_at", "last_seen_at", "created_at",
    "updated_at", "occurrence_count", "unique_user_count", "resolved_at_version", "first_seen_app_version",
    "last_seen_app_version", "first_seen_sdk_version", "last_seen_sdk_version", "last_notified_at", "snoozed_at",
)  # fmt: skip
_CHANGING = (*(name for name in _COLUMNS if name not in ("key", "id", "app", "is_dev", "created_at")), "moved")
_INSERT = f"INSERT INTO issues ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names from above
_UPDATE = f"UPDATE issues SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE key = ?"  # noqa: S608 - likewise
_ALL_COLUMNS, _ALL_CHANGING = attrgetter(*_COLUMNS), attrgetter(*_CHANGING, "key")


class _Scan:
    """One transaction's scan: portions of errors, then what the issues have become of them all."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)
        """Issues' keys, by fingerprint, for each app and mode."""
        self._issues: dict[int, _Issue] = {}
        (self._last_known_issue,) = tx.one("SELECT coalesce(max(key), 0) FROM issues")
        self._last_issue = self._last_known_issue
        self._users: set[tuple[int, str]] = set()
        """Of the issues that this scan has opened: the issue's key and the user."""
        self._new_ids = ids.ordered(tx.now)
        self._occurrences = 0

    def take(self, found: Sequence[Burst]) -> None:
        """Give each new error its issue, and write what is new: issues, fingerprints, occurrences."""
        self._learn(found)
        portion = _Portion(self._last_issue)
        for burst in found:
            self._take(burst, portion)
        portion.errors.sort()
        for _, _, key, error in portion.errors:
            self._issues[key].see(error)
            portion.first_errors.setdefault((error.session, key), error)
        opened = [self._issues[key] for key in range(portion.last_issue + 1, self._last_issue + 1)]
        occurrences = self._new_occurrences(portion)
        self._count_users(occurrences)
        self._write(portion, opened, occurrences)

    def is_full(self) -> bool:
        return len(self._issues) > MAX_ISSUES

    def finish(self) -> Scanned:
        """Write what the issues have become."""
        told = [issue for issue in self._issues.values() if issue.reason]
        for issue in told:
            issue.last_notified_at = self._tx.now
        self._write_issues([issue for issue in self._issues.values() if issue.is_changed])
        self._tx.connection.executemany(
            "INSERT INTO notifications (id, type, reason, issue, created_at) VALUES (?, 'issue.new', ?, ?, ?)",
            [(next(self._new_ids), issue.reason, issue.key, self._tx.now) for issue in told],
        )
        reasons = Counter(issue.reason for issue in told)
        return Scanned(0, self._occurrences, reasons["opened"], reasons["regressed"], reasons["reopened"])

    def _learn(self, found: Sequence[Burst]) -> None:
        """Read what is known of the errors' fingerprints, and their issues."""
        wanted: defaultdict[tuple[int, int], set[str]] = defaultdict(set)
        for burst in found:
            place = burst.errors[0].app, burst.errors[0].is_dev
            known = self._known[place]
            wanted[place].update(error.fingerprint for error in burst.errors if error.fingerprint not in known)
        keys: set[int] = set()
        for place, unknown in wanted.items():
            for chunk in chunks(unknown):
                sql = f"""
                    SELECT fingerprint, issue FROM fingerprints
                    WHERE app = ? AND is_dev = ? AND fingerprint IN ({", ".join("?" * len(chunk))})
                """  # noqa: S608 - as many parameters as there are
                rows = self._tx.all(sql, (*place, *chunk))
                self._known[place].update(rows)
                keys.update(issue for _, issue in rows)
        for some in chunks(keys - self._issues.keys()):
            columns = f"{', '.join(_COLUMNS)}, moved, last_seen_at"
            for row in self._tx.run(f"SELECT {columns} FROM issues WHERE key IN ({listed(some)})"):  # noqa: S608 - keys of ours
                self._issues[row[0]] = _Issue(*row)

    def _take(self, burst: Burst, portion: "_Portion") -> None:
        """Give the burst's unknown fingerprints an issue, and each of its new errors the issue of its fingerprint."""
        errors = burst.errors
        known = self._known[errors[0].app, errors[0].is_dev]
        if unknown := [error for error in errors if error.fingerprint not in known]:
            there = [self._issues[known[error.fingerprint]] for error in errors if error.fingerprint in known]
            heir = min(there, key=_Issue.age) if there else self._open(errors)
            for error in unknown:
                if error.fingerprint not in known:
                    known[error.fingerprint] = heir.key
                    portion.aliases.append((error.app, error.is_dev, error.fingerprint, heir.key))
        if len(errors) > 1:
            self._retitle(errors, known)
        for error in errors:
            if error.is_new:
                portion.errors.append((error.timestamp, error.key, known[error.fingerprint], error))
                if error.timestamp != burst.begun_at:
                    portion.followers.append((burst.begun_at, error.key))

    def _open(self, errors: Sequence[Error]) -> _Issue:
        first, named = errors[0], _most_readable(errors)
        self._last_issue += 1
        now = self._tx.now
        issue = _Issue(
            key=self._last_issue,
            id=str(uuid.uuid4()),
            app=first.app,
            is_dev=first.is_dev,
            status="new",
            title=_title(named),
            source_module=named.content.get("source_module"),
            first_seen_at=first.timestamp,
            last_seen_at=first.timestamp,
            created_at=now,
            updated_at=now,
            last_notified_at=now,
            reason="opened",
        )
        self._issues[issue.key] = issue
        return issue

    def _retitle(self, errors: Sequence[Error], known: Mapping[str, int]) -> None:
        """Give an issue that this burst opened, in an earlier scan, the readable title that has come only now."""
        for error in errors:
            issue = self._issues[known[error.fingerprint]]
            if not error.is_new and error.timestamp == issue.first_seen_at and issue.title.startswith(_UNREADABLE):
                named = _most_readable(errors)
                issue.title, issue.source_module = _title(named), named.content.get("source_module")

    def _new_occurrences(self, portion: "_Portion") -> list[tuple[int, Error]]:
        """Those of sessions and issues that have none yet, by issue: its key and its first error."""
        (last_seen,) = self._tx.one("SELECT coalesce(max(session), 0) FROM occurrences")
        there = "SELECT 1 FROM occurrences WHERE session = ? AND issue = ?"
        new = [
            (key, error)
            for (session, key), error in portion.first_errors.items()
            if session > last_seen or self._tx.one(there, (session, key)) is None
        ]
        for key, _ in new:
            self._issues[key].occur()
        self._occurrences += len(new)
        new.sort(key=itemgetter(0))
        return new

    def _count_users(self, occurrences: Iterable[tuple[int, Error]]) -> None:
        """Count the users of new occurrences that none of their issues' occurrences has."""
        named = {(key, user) for key, error in occurrences if (user := error.content.get("user_id")) is not None}
        named -= self._users
        there: set[tuple[int, str]] = set()
        for chunk in chunks(pair for pair in named if pair[0] <= self._last_known_issue):
            sql = f"""
                WITH named (issue, user_id) AS (VALUES {", ".join(["(?, ?)"] * len(chunk))})
                SELECT issue, user_id FROM named
                WHERE EXISTS (SELECT 1 FROM occurrences o WHERE o.issue = named.issue AND o.user_id = named.user_id)
            """  # noqa: S608 - as many parameters as there are
            there.update(self._tx.all(sql, [value for pair in chunk for value in pair]))
        named -= there
        for key, _ in named:
            self._issues[key].unique_user_count += 1
        self._users.update(pair for pair in named if pair[0] > self._last_known_issue)

    def _write(self, portion: "_Portion", opened: Sequence[_Issue], occurrences: Sequence[tuple[int, Error]]) -> None:
        many, now = self._tx.connection.executemany, self._tx.now
        many(_INSERT, map(_ALL_COLUMNS, opened))
        for issue in opened:
            issue.stood_at, issue.is_changed = issue.last_seen_at, False
        many("INSERT INTO fingerprints (app, is_dev, fingerprint, issue) VALUES (?, ?, ?, ?)", portion.aliases)
        rows = (
            (next(self._new_ids), bytearray(it.event_id), key, it.session, it.timestamp, *map(it.content.get, _CARRIED))
            for key, it in occurrences
        )
        many(
            f"""
            INSERT INTO occurrences (created_at, id, event_id, issue, session, timestamp, {", ".join(_CARRIED)})
            VALUES ('{now}', ?, ?, ?, ?, ?{", ?" * len(_CARRIED)})
            """,  # noqa: S608 - the transaction's instant, and names from above
            rows,
        )
        many("UPDATE events SET burst_begun_at = ? WHERE key = ?", portion.followers)
        attachments.link(self._tx, ((key, error.event_id) for _, _, key, error in portion.errors))

    def _write_issues(self, changed: Sequence[_Issue]) -> None:
        moves = []
        for move, issue in enumerate(
            (it for it in changed if it.last_seen_at != it.stood_at), latest_move(self._tx) + 1
        ):
            moves.append(Move(move, issue.key, issue.stood_at, issue.moved))
            issue.moved = move
        for issue in changed:
            issue.updated_at = self._tx.now
        self._tx.connection.executemany(_UPDATE, map(_ALL_CHANGING, changed))
        record_moves(self._tx, moves)


@dataclass(slots=True)
class _Portion:
    """What a portion of a batch's errors adds."""

    last_issue: int
    """The key of the last issue before it."""
    aliases: list[tuple[int, int, str, int]] = field(default_factory=list)
    """Fingerprints that are known from now on: app, mode, fingerprint, issue."""
    first_errors: dict[tuple[int, int], Error] = field(default_factory=dict)
    """The first new error of each session and issue."""
    followers: list[tuple[str, int]] = field(default_factory=list)
    """New errors that came after the first of their burst: when that began, and the event's key."""
    errors: list[tuple[str, int, int, Error]] = field(default_factory=list)
    """The new ones with their issues' keys, to be sorted by when they happened: timestamp, key, issue, error."""


def _most_readable(errors: Sequence[Error]) -> Error:
    """The first whose message is a sentence rather than a measurement; the first where none is."""
    return next((error for error in errors if not error.message.startswith(_UNREADABLE)), errors[0])


def _title(error: Error) -> str:
    if error.message == fingerprints.NETWORK_REQUEST and error.discriminator:
        return f"Network error: {error.discriminator}"
    return error.message
