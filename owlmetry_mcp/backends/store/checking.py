"""What may be wrong in a store: the file, its tables, and what rows say of other rows.

It is only looked at, all of it at one instant. Unused sessions are no fault: they take little room.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from owlmetry_mcp.backends.store import ids
from owlmetry_mcp.backends.store.derived import faults
from owlmetry_mcp.backends.store.file import names_of, names_wanted
from owlmetry_mcp.backends.store.listing import KEPT_MOVES, latest_move
from owlmetry_mcp.backends.store.recounting import MADE_HERE, differences
from owlmetry_mcp.backends.store.transactions import Transaction

Kind = Literal["wrong", "note"]


class Finding(NamedTuple):
    kind: Kind
    """A `note` is nothing wrong: it may well be so."""
    said: str
    """In one line, with the issue's id first where it is of one."""


def checks(tx: Transaction) -> Iterator[tuple[str, Iterator[Finding]]]:
    """The checks by name, each with what it finds, to be read before the next. If the file itself or its tables are not
    sound there are no further ones: what they would find means nothing.
    """
    for name, find in _OF_THE_FILE.items():
        found = [*find(tx)]
        yield name, iter(found)
        if found:
            return
    for name, find in _OF_THE_ROWS.items():
        yield name, find(tx)


def at_a_glance(tx: Transaction) -> list[Finding]:
    """What is wrong with the file and its tables, without what takes longest: to hold indexes against their tables."""
    return [*_integrity(tx, "quick_check")] or [*_schema(tx)]


def _integrity(tx: Transaction, pragma: str = "integrity_check") -> Iterator[Finding]:
    """Pages, indexes, and that every value is of its column's type and passes its CHECK."""
    try:
        for (said,) in tx.run(f"PRAGMA {pragma}"):
            if said != "ok":
                yield from (Finding("wrong", line) for line in said.splitlines())
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF != sqlite3.SQLITE_CORRUPT:
            raise  # as `translated` has it, an error without a code is of a value that cannot be read
        yield Finding("wrong", f"{error}, beyond what can be looked at")


def _schema(tx: Transaction) -> Iterator[Finding]:
    for kind, name in sorted(names_wanted() - names_of(tx.connection)):
        yield Finding("wrong", f"the {kind} {name} is missing")


def _foreign_keys(tx: Transaction) -> Iterator[Finding]:
    """Of a table without row ids SQLite does not say which of its rows it is: see `_fingerprints`."""
    for table, row, parent, number in tx.run("PRAGMA foreign_key_check"):
        columns = {key: (column, other) for key, _, _, column, other, *_ in _pragma(tx, f"foreign_key_list({table})")}
        column, other = columns[number]
        yield Finding("wrong", f"{_row(tx, table, row)}: its {column} is no {other or 'key'} of {parent}")


def _row(tx: Transaction, table: str, row: int | None) -> str:
    """A row by its id where it has one."""
    if row is None:
        return f"a row of {table}"
    names = {name for _, name, *_ in _pragma(tx, f"table_info({table})")}
    if "id" not in names:
        return f"row {row} of {table}"
    (found,) = tx.one(f"SELECT id FROM {table} WHERE rowid = ?", (row,))  # noqa: S608 - a table of ours
    named = ids.to_text(found) if isinstance(found, bytes) else found
    return f"issue {named}" if table == "issues" else f"{named} of {table}"


def _pragma(tx: Transaction, pragma: str) -> list[Any]:
    return tx.all(f"PRAGMA {pragma}")


def _counts(tx: Transaction) -> Iterator[Finding]:
    for it in differences(tx):
        told = f"issue {it.issue_id}: {it.column} is {it.kept}, a recount makes it {it.recounted}"
        if it.is_wrong:
            yield Finding("wrong", told)
        else:
            yield Finding("note", f"{told}; it was imported so, perhaps without all its occurrences")


def _derived(tx: Transaction) -> Iterator[Finding]:
    for said in faults(tx):
        yield Finding("wrong", said)


def _seen(tx: Transaction) -> Iterator[Finding]:
    """An occurrence is its session's first error, and issues are seen by the others too: so the first time an issue was
    seen may lie before its occurrences, and the last behind. A document may say what it likes.
    """
    rows = tx.run(
        f"""
        SELECT i.id, i.first_seen_at, i.last_seen_at, min(o.timestamp), max(o.timestamp), {MADE_HERE}
        FROM issues i LEFT JOIN occurrences o ON o.issue = i.key
        GROUP BY i.key
        HAVING i.first_seen_at > min(o.timestamp) OR i.last_seen_at < max(o.timestamp)
            OR i.first_seen_at > i.last_seen_at
        """  # noqa: S608 - from above
    )
    for issue_id, first, last, earliest, latest, made_here in rows:
        said = []
        if earliest is not None and first > earliest:
            said.append(f"first_seen_at is {first}, after its occurrence of {earliest}")
        if latest is not None and last < latest:
            said.append(f"last_seen_at is {last}, before its occurrence of {latest}")
        if first > last:
            said.append(f"first_seen_at is {first}, after last_seen_at, {last}")
        told = f"issue {issue_id}: {'; '.join(said)}"
        yield Finding("wrong", told) if made_here else Finding("note", f"{told}; it was imported so")


def _fingerprints(tx: Transaction) -> Iterator[Finding]:
    """A merge may have brought an issue fingerprints of its project's other apps, never of another project."""
    rows = tx.run(
        """
        SELECT f.fingerprint, i.id FROM fingerprints f
        LEFT JOIN issues i ON i.key = f.issue LEFT JOIN apps a ON a.key = f.app LEFT JOIN apps b ON b.key = i.app
        WHERE i.key IS NULL OR a.project <> b.project
        """
    )
    for fingerprint, issue_id in rows:
        if issue_id is None:
            yield Finding("wrong", f"fingerprint {fingerprint}: its issue is not there")
        else:
            yield Finding("wrong", f"issue {issue_id}: its fingerprint {fingerprint} is of another project's app")


def _attachments(tx: Transaction) -> Iterator[Finding]:
    rows = tx.run(
        """
        SELECT i.id, t.id FROM attachments t
        JOIN issues i ON i.key = t.issue JOIN apps a ON a.key = t.app JOIN apps b ON b.key = i.app
        WHERE a.project <> b.project
        """
    )
    for issue_id, attachment_id in rows:
        yield Finding("wrong", f"issue {issue_id}: its attachment {attachment_id} is of another project's app")


def _notifications(tx: Transaction) -> Iterator[Finding]:
    sql = "SELECT id FROM notifications n WHERE NOT EXISTS (SELECT 1 FROM issues WHERE key = n.issue)"
    for (notification_id,) in tx.run(sql):
        yield Finding("wrong", f"notification {ids.to_text(notification_id)}: its issue is not there")


def _queue(tx: Transaction) -> Iterator[Finding]:
    rows = tx.run(
        "SELECT u.event, e.id, e.level FROM unscanned u LEFT JOIN events e ON e.key = u.event"
        " WHERE e.level IS NULL OR e.level <> 'error'"
    )
    for key, event_id, level in rows:
        if event_id is None:
            yield Finding("wrong", f"the queue of the scan holds event {key}, which is not there")
        else:
            yield Finding("wrong", f"the queue of the scan holds event {ids.to_text(event_id)}, no error but {level}")
    (waiting,) = tx.one("SELECT count(*) FROM unscanned")
    if waiting:
        yield Finding("note", f"{waiting} error events have yet to be scanned; `owlmetry-mcp scan` does it")


def _moves(tx: Transaction) -> Iterator[Finding]:
    """Each of an issue's moves names the one before it, and `moved` the last; those too long ago are forgotten."""
    forgotten = latest_move(tx) - KEPT_MOVES
    rows: Iterable[Any] = tx.run(
        """
        SELECT i.id, i.moved, max(m.move) AS last FROM issues i LEFT JOIN issue_moves m ON m.issue = i.key
        GROUP BY i.key HAVING (last IS NULL AND i.moved > max(?, 0)) OR i.moved < 0 OR last <> i.moved
        """,
        (forgotten,),
    )
    for issue_id, moved, last in rows:
        yield Finding("wrong", f"issue {issue_id}: moved is {moved}, and its last move is {last or 'none'}")
    rows = tx.run(
        """
        SELECT i.id, m.move, m.since, m.before FROM (
            SELECT issue, move, since, lag(move) OVER (PARTITION BY issue ORDER BY move) AS before FROM issue_moves
        ) m JOIN issues i ON i.key = m.issue
        WHERE CASE WHEN m.before IS NULL THEN m.since < 0 OR m.since > max(?, 0) ELSE m.since <> m.before END
        """,
        (forgotten,),
    )
    for issue_id, move, since, before in rows:
        yield Finding(
            "wrong", f"issue {issue_id}: its move {move} says it came behind {since}, not behind {before or 'none'}"
        )


_Find = Callable[[Transaction], Iterator[Finding]]
_OF_THE_FILE: Mapping[str, _Find] = {"integrity": _integrity, "schema": _schema}
_OF_THE_ROWS: Mapping[str, _Find] = {
    "foreign_keys": _foreign_keys,
    "counts": _counts,
    "derived": _derived,
    "seen": _seen,
    "fingerprints": _fingerprints,
    "attachments": _attachments,
    "notifications": _notifications,
    "queue": _queue,
    "moves": _moves,
}
