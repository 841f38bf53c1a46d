"""Issues and occurrences put into a store as they are, for what a triage makes of them."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from owlmetry_mcp.backends.store import ids
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues import times
from tests.world import SYMBOLS

NOON = datetime.fromisoformat("2026-10-21T12:00:00.000Z")


def at(seconds: float = 0, *, days: float = 0) -> str:
    """So long after noon of the day that it is."""
    return times.to_text(NOON + timedelta(days=days, seconds=seconds))


def id_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


class Seen(NamedTuple):
    """An occurrence."""

    issue_id: str
    session: int
    timestamp: str = at()
    fields: dict[str, Any] = {}  # noqa: RUF012 - never changed


def add_issue(store: Store, number: int, app: str = "api", **columns: Any) -> str:
    """An issue of that number, new and seen once, unless the columns say otherwise; its id."""
    row = {
        "id": id_of(number),
        "status": "new",
        "title": f"Issue {number}",
        "is_dev": 0,
        "occurrence_count": 1,
        "unique_user_count": 1,
        "first_seen_at": at(days=-30),
        "last_seen_at": at(days=-1),
        "created_at": at(days=-30),
        "updated_at": at(days=-1),
        **columns,
    }

    def work(tx: Any) -> None:
        (key,) = tx.one("SELECT key FROM apps WHERE id = ?", (SYMBOLS.get(app, app),))
        tx.insert("issues", row | {"app": key})

    store.write(work)
    return id_of(number)


def add_occurrences(store: Store, rows: Iterable[Seen]) -> None:
    """The occurrences, with the issues' counts as they are then."""

    def work(tx: Any) -> None:
        keys = dict(tx.all("SELECT id, key FROM issues"))
        given = [*rows]
        sessions = {row.session for row in given}
        tx.connection.executemany(
            "INSERT INTO sessions (id) VALUES (?) ON CONFLICT DO NOTHING",
            [(ids.to_bytes(id_of(session)),) for session in sessions],
        )
        session_keys = {
            session: tx.one("SELECT key FROM sessions WHERE id = ?", (ids.to_bytes(id_of(session)),))[0]
            for session in sessions
        }
        for row in given:
            columns = {
                "id": ids.to_bytes(str(uuid.uuid5(uuid.NAMESPACE_OID, f"{row.issue_id} {row.session}"))),
                "issue": keys[row.issue_id],
                "session": session_keys[row.session],
                "timestamp": row.timestamp,
                "created_at": row.timestamp,
                **row.fields,
            }
            tx.insert("occurrences", columns)
        tx.connection.executemany(
            """
            UPDATE issues SET (occurrence_count, unique_user_count) = (
                SELECT count(*), count(DISTINCT user_id) FROM occurrences WHERE issue = issues.key
            )
            WHERE id = ?
            """,
            {(row.issue_id,) for row in given},
        )

    store.write(work)


async def unheard(_: str) -> None:
    """For progress that a test does not ask about."""
