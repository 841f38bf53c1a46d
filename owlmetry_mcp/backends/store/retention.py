"""Events that are old enough are forgotten; what was made of them, issues and occurrences, stays."""

from datetime import datetime, timedelta
from typing import NamedTuple

from owlmetry_mcp.backends.store import carried, ids
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import InvalidInputError

BATCH = 5_000
"""Events looked at a transaction, so that other writes need not wait for long."""


MAX_DAYS = 36_500


class Pruned(NamedTuple):
    events: int
    last: int | None
    """The key up to which events have been looked at; None: there are no more."""


def oldest_kept(tx: Transaction, days: int) -> str:
    """The instant so many days ago.

    Raises:
        InvalidInputError: there was none, or it lies ahead.
    """
    if not 0 <= days <= MAX_DAYS:
        raise InvalidInputError(f"DAYS must be a whole number from 0 to {MAX_DAYS}, not {days}")
    return times.to_text(datetime.fromisoformat(tx.now) - timedelta(days=days))


def prune_batch(tx: Transaction, older_than: str, after: int) -> Pruned:
    """Delete those of the next events behind a key that happened before an instant and have been scanned.

    With them go the attachments that are no issue's, and sessions of which nothing is left. Their client ids stay, so
    that they are known when they are sent again.
    """
    (last,) = tx.one("SELECT max(key) FROM (SELECT key FROM events WHERE key > ? ORDER BY key LIMIT ?)", (after, BATCH))
    if last is None:
        return Pruned(0, None)
    gone = tx.all(
        """
        DELETE FROM events WHERE key > ? AND key <= ? AND timestamp < ?
            AND NOT EXISTS (SELECT 1 FROM unscanned WHERE event = events.key)
        RETURNING id, session, client_event_id, app
        """,
        (after, last, older_than),
    )
    many = tx.connection.executemany
    many(
        "INSERT INTO pruned (client_event_id, app) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(client_event_id, app) for _, _, client_event_id, app in gone if client_event_id is not None],
    )
    many(
        "DELETE FROM attachments WHERE event_id = ? AND issue IS NULL",
        [(ids.to_text(event_id),) for event_id, *_ in gone],
    )
    carried.forget_keys(tx)
    many(
        """
        DELETE FROM sessions WHERE key = ? AND NOT EXISTS (SELECT 1 FROM events WHERE session = sessions.key)
            AND NOT EXISTS (SELECT 1 FROM occurrences WHERE session = sessions.key)
        """,
        {(session,) for _, session, *_ in gone},
    )
    return Pruned(len(gone), last)
