"""What is remembered of servers that this store was carried to, or pulled from."""

from typing import NamedTuple

from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.lifecycle import Status


class Place(NamedTuple):
    """An app of this store on a server."""

    app_id: str
    project_id: str
    event: int
    """The key up to which the server has the app's events."""


class Known(NamedTuple):
    """How an issue of a server was when it was last known to be as it was here."""

    status: Status
    resolved_at_version: str | None
    sent_status: Status | None
    """A move that was begun: it may have been made."""
    sent_version: str | None
    at: str


Standing = tuple[Status, str | None]
"""A status with the version of a resolution that is remembered."""


class KnownComment(NamedTuple):
    id_there: str
    sha256: str | None
    """Of what it was last carried as; None of one that came from there."""


def place(tx: Transaction, endpoint: str, app: int) -> Place | None:
    row = tx.one(
        "SELECT app_there, project_there, event FROM carried_apps WHERE endpoint = ? AND app = ?", (endpoint, app)
    )
    return row and Place(*row)


def places(tx: Transaction, endpoint: str) -> dict[str, Place]:
    """By the ids of the apps here."""
    rows = tx.all(
        """
        SELECT a.id, c.app_there, c.project_there, c.event FROM carried_apps c JOIN apps a ON a.key = c.app
        WHERE c.endpoint = ?
        """,
        (endpoint,),
    )
    return {app_id: Place(*values) for app_id, *values in rows}


def keep_place(tx: Transaction, endpoint: str, app: int, there: Place) -> None:
    tx.run("INSERT OR REPLACE INTO carried_apps VALUES (?, ?, ?, ?, ?)", (endpoint, app, *there))


def statuses(tx: Transaction, endpoint: str) -> dict[str, Known]:
    """By the ids that the issues have there."""
    rows = tx.all(
        """
        SELECT issue_there, status, resolved_at_version, sent_status, sent_version, at FROM carried_statuses
        WHERE endpoint = ?
        """,
        (endpoint,),
    )
    return {issue_id: Known(*values) for issue_id, *values in rows}


def keep_status(tx: Transaction, endpoint: str, issue_there: str, at: Standing, sent: Standing | None = None) -> Known:
    """It is now so there, and as it is here; or a move is about to be `sent` that makes it so."""
    known = Known(at[0], at[1], sent and sent[0], sent and sent[1], tx.now)
    tx.run("INSERT OR REPLACE INTO carried_statuses VALUES (?, ?, ?, ?, ?, ?, ?)", (endpoint, issue_there, *known))
    return known


def comments(tx: Transaction, endpoint: str) -> dict[int, KnownComment]:
    """By the keys that the comments have here."""
    rows = tx.all("SELECT comment, comment_there, sha256 FROM carried_comments WHERE endpoint = ?", (endpoint,))
    return {key: KnownComment(*values) for key, *values in rows}


def keep_comment(tx: Transaction, endpoint: str, comment: int, known: KnownComment) -> None:
    tx.run("INSERT OR REPLACE INTO carried_comments VALUES (?, ?, ?, ?)", (endpoint, comment, *known))


def forget_keys(tx: Transaction) -> None:
    """Once events are deleted, the keys of the last ones may be given to new events, which no server has."""
    (last,) = tx.one("SELECT coalesce(max(key), 0) FROM events")
    tx.run("UPDATE carried_apps SET event = ? WHERE event > ?", (last, last))
    tx.run("UPDATE pulls SET last_event = ? WHERE last_event > ?", (last, last))
