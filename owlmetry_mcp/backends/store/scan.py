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
from operator import itemgetter
from typing import NamedTuple, TypeVar

from owlmetry_mcp.backends.store import attachments, bursts, ids, rollup, summaries
from owlmetry_mcp.backends.store.bursts import Burst, Error
from owlmetry_mcp.backends.store.rollup import SeenIssue
from owlmetry_mcp.backends.store.summaries import Seen
from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues import fingerprints

BATCH = 100_000
"""Errors a transaction. Fewer cost more each, as a batch writes to every issue it meets; more hold the file longer."""
PORTION = 2_000
"""Errors of a batch that are in memory at once."""
MAX_ISSUES = 10_000
"""Issues of a batch after which it takes no more, since they are in memory until it ends."""
Occurrences = list[tuple[int, Error]]
"""New ones, by issue: its key, and the session's first error."""

Pair = TypeVar("Pair", bound=tuple[int, int | str])

_UNREADABLE = ("metric:", "step:", "track:")


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


_CARRIED = ("user_id", "app_version", "sdk_name", "sdk_version", "environment", "country_code")
"""What an occurrence has of its event's content."""


class _Scan:
    """One transaction's scan: portions of errors, then what the issues have become of them all."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: defaultdict[tuple[int, int], dict[str, int]] = defaultdict(dict)
        """Issues' keys, by fingerprint, for each app and mode."""
        self._issues: dict[int, SeenIssue] = {}
        (self._last_known_issue,) = tx.one("SELECT coalesce(max(key), 0) FROM issues")
        self._last_issue = self._last_known_issue
        (self._last_known_occurrence,) = tx.one("SELECT coalesce(max(key), 0) FROM occurrences")
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
        rollup.update(self._tx, [issue for issue in self._issues.values() if issue.is_changed])
        seen = {it.key: Seen(it.occurrence_count, it.new_users) for it in self._issues.values() if it.new_occurrences}
        summaries.add(self._tx, seen, self._last_known_occurrence)
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
        for issue in rollup.read(self._tx, keys - self._issues.keys()):
            self._issues[issue.key] = issue

    def _take(self, burst: Burst, portion: "_Portion") -> None:
        """Give the burst's unknown fingerprints an issue, and each of its new errors the issue of its fingerprint."""
        errors = burst.errors
        known = self._known[errors[0].app, errors[0].is_dev]
        if unknown := [error for error in errors if error.fingerprint not in known]:
            there = [self._issues[known[error.fingerprint]] for error in errors if error.fingerprint in known]
            heir = min(there, key=SeenIssue.age) if there else self._open(errors)
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

    def _open(self, errors: Sequence[Error]) -> SeenIssue:
        first, named = errors[0], _most_readable(errors)
        self._last_issue += 1
        now = self._tx.now
        issue = SeenIssue(
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

    def _new_occurrences(self, portion: "_Portion") -> Occurrences:
        """Those of sessions and issues that have none yet."""
        (last_seen,) = self._tx.one("SELECT coalesce(max(session), 0) FROM occurrences")
        there = self._there("session", "issue", (pair for pair in portion.first_errors if pair[0] <= last_seen))
        new = [(pair[1], error) for pair, error in portion.first_errors.items() if pair not in there]
        for key, _ in new:
            self._issues[key].occur()
        self._occurrences += len(new)
        new.sort(key=itemgetter(0))
        return new

    def _count_users(self, occurrences: Occurrences) -> None:
        """Count the users of new occurrences that none of their issues' occurrences has."""
        named = {(key, user) for key, error in occurrences if (user := error.content.get("user_id")) is not None}
        named -= self._users
        named -= self._there("issue", "user_id", (pair for pair in named if pair[0] <= self._last_known_issue))
        for key, _ in named:
            self._issues[key].unique_user_count += 1
            self._issues[key].new_users += 1
        self._users.update(pair for pair in named if pair[0] > self._last_known_issue)

    def _there(self, one: str, other: str, pairs: Iterable[Pair]) -> set[Pair]:
        """Those pairs of two columns' values that an occurrence has."""
        there: set[Pair] = set()
        for chunk in chunks(pairs):
            sql = f"""
                WITH asked (one, other) AS (VALUES {", ".join(["(?, ?)"] * len(chunk))})
                SELECT one, other FROM asked
                WHERE EXISTS (SELECT 1 FROM occurrences o WHERE o.{one} = asked.one AND o.{other} = asked.other)
            """  # noqa: S608 - names from here, and as many parameters as there are
            there.update(self._tx.all(sql, [value for pair in chunk for value in pair]))
        return there

    def _write(
        self, portion: "_Portion", opened: Sequence[SeenIssue], occurrences: Sequence[tuple[int, Error]]
    ) -> None:
        many, now = self._tx.connection.executemany, self._tx.now
        rollup.insert(self._tx, opened)
        many("INSERT INTO fingerprints (app, is_dev, fingerprint, issue) VALUES (?, ?, ?, ?)", portion.aliases)
        # Only what some event says: a null among the parameters takes longer than a text.
        carried = [name for name in _CARRIED if any(name in error.content for _, error in occurrences)]
        columns = ", ".join(["id", "event_id", "issue", "session", "timestamp", *carried])
        many(
            f"INSERT INTO occurrences (created_at, {columns}) VALUES ('{now}'{', ?' * (len(carried) + 5)})",  # noqa: S608 - the transaction's instant, and names from above
            (
                (
                    next(self._new_ids),
                    bytearray(it.event_id),
                    key,
                    it.session,
                    it.timestamp,
                    *map(it.content.get, carried),
                )
                for key, it in occurrences
            ),
        )
        many("UPDATE events SET burst_begun_at = ? WHERE key = ?", portion.followers)
        attachments.link(self._tx, ((key, error.event_id) for _, _, key, error in portion.errors))


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
