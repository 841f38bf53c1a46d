"""Events: taken in once each, found again by their ids and by their sessions."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from owlmetry_mcp.backends.store import attachments, bursts, ids
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError
from owlmetry_mcp.issues.events import BREADCRUMBS_AFTER, LEVELS, TEXTS, NewAttachment, NewEvent
from owlmetry_mcp.issues.filters import EventSelection
from owlmetry_mcp.issues.models import Event, EventDetail, EventPage
from owlmetry_mcp.issues.parameters import shown

CONTENT = ("message", "environment", *TEXTS, "country_code")
"""What an event's `content` may hold."""
_READ = {
    "id": "uuid_text(e.id)",
    "app_id": "a.id",
    "client_event_id": "uuid_text(e.client_event_id)",
    "session_id": "uuid_text(s.id)",
    "api_key_id": "k.id",
    "level": "e.level",
    "is_dev": "e.is_dev",
    "timestamp": "e.timestamp",
    "received_at": "e.received_at",
    "project_id": "p.id",
}
_EVENT_ROWS = f"""
    SELECT e.key, e.content, e.custom_attributes, {", ".join(_READ.values())}
    FROM events e JOIN sessions s ON s.key = e.session JOIN apps a ON a.key = e.app
        JOIN projects p ON p.key = a.project LEFT JOIN api_keys k ON k.key = e.api_key
"""  # noqa: S608 - column names from above


class TakenIn(NamedTuple):
    accepted: int
    """New ones."""
    known: int
    """Those that were known: left as they were, or replaced, as the caller asked."""


def take_in(tx: Transaction, app: int, api_key: int | None, found: Sequence[NewEvent]) -> TakenIn:
    """Add those events that are not known by their `client_event_id`; the others stay as they are."""
    count, found = len(found), _unpruned(tx, app, found)
    (before,) = tx.one("SELECT coalesce(max(key), 0) FROM events")
    rows = _insert(tx, app, api_key, found, "NOTHING")
    (accepted,) = tx.one("SELECT count(*) FROM events WHERE key > ?", (before,))
    tx.run("INSERT INTO unscanned SELECT key FROM events WHERE key > ? AND level = 'error'", (before,))
    for (new_id, *_), event in zip(rows, found, strict=True):
        if event.attachments and tx.one("SELECT 1 FROM events WHERE id = ?", (new_id,)):
            attachments.add(tx, app, ids.to_text(new_id), event.attachments)
    return TakenIn(accepted, count - accepted)


def take_in_again(tx: Transaction, app: int, api_key: int | None, found: Sequence[NewEvent]) -> TakenIn:
    """Add the events, or put them in the place of those known by their `client_event_id`.

    What has been made of an event stays; one that is an error only now is yet to be scanned.
    """
    named = {event.client_event_id: event for event in found if event.client_event_id is not None}
    unique = [*named.values(), *(event for event in found if event.client_event_id is None)]
    unique = [*_unpruned(tx, app, unique)]
    known = {}
    for client_event_id in named:
        row = tx.one(
            "SELECT key, level FROM events WHERE client_event_id = ? AND app = ?", (ids.to_bytes(client_event_id), app)
        )
        if row is not None:
            known[client_event_id] = row
    (before,) = tx.one("SELECT coalesce(max(key), 0) FROM events")
    rows = _insert(tx, app, api_key, unique, _REPLACE)
    late = [key for id_, (key, level) in known.items() if level != "error" and named[id_].level == "error"]
    gone = [key for id_, (key, _) in known.items() if named[id_].level != "error"]
    tx.run(f"DELETE FROM unscanned WHERE event IN ({listed(gone)})")  # noqa: S608 - keys of ours
    tx.run(
        f"""
        INSERT OR IGNORE INTO unscanned
        SELECT key FROM events WHERE (key > ? AND level = 'error') OR key IN ({listed(late)})
        """,  # noqa: S608 - keys of ours
        (before,),
    )
    for (new_id, client_event_id, *_), event in zip(rows, unique, strict=True):
        if event.attachments:
            _attach(tx, app, new_id, client_event_id, event.attachments)
    return TakenIn(len(unique) - len(known), len(found) - len(unique) + len(known))


def _unpruned(tx: Transaction, app: int, found: Sequence[NewEvent]) -> Sequence[NewEvent]:
    """The events but for those that are known, and were pruned."""
    if not tx.one("SELECT EXISTS (SELECT 1 FROM pruned)")[0]:
        return found
    there = "SELECT 1 FROM pruned WHERE client_event_id = ? AND app = ?"
    return [
        event
        for event in found
        if event.client_event_id is None or not tx.one(there, (ids.to_bytes(event.client_event_id), app))
    ]


_REPLACE = """UPDATE SET is_dev = excluded.is_dev, session = excluded.session, level = excluded.level,
    timestamp = excluded.timestamp, content = excluded.content, custom_attributes = excluded.custom_attributes,
    burst_begun_at = iif(
        (events.is_dev, events.session, events.timestamp) = (excluded.is_dev, excluded.session, excluded.timestamp),
        events.burst_begun_at, NULL
    )"""


def _insert(
    tx: Transaction, app: int, api_key: int | None, found: Sequence[NewEvent], if_known: str
) -> list[tuple[Any, ...]]:
    """Rows of the ids that the events have if they are new, their client ids, and the rest."""
    sessions = [ids.to_bytes(event.session_id) for event in found]
    many = tx.connection.executemany
    many("INSERT INTO sessions (id) VALUES (?) ON CONFLICT DO NOTHING", [(session,) for session in sessions])
    rows = [
        (
            new_id,
            None if event.client_event_id is None else ids.to_bytes(event.client_event_id),
            session,
            int(event.is_dev),
            event.level,
            event.timestamp,
            to_json(event.content).decode(),
            None if event.custom_attributes is None else to_json(event.custom_attributes).decode(),
        )
        for event, session, new_id in zip(found, sessions, ids.ordered(tx.now), strict=False)
    ]
    # What is the same in all rows stands in the text: each parameter of each row costs time.
    many(
        f"""
        INSERT INTO events (app, api_key, received_at, id, client_event_id, session, is_dev, level, timestamp, content,
            custom_attributes)
        VALUES ({app:d}, {"NULL" if api_key is None else f"{api_key:d}"}, '{tx.now}', ?, ?,
            (SELECT key FROM sessions WHERE id = ?), ?, ?, ?, ?, ?)
        ON CONFLICT (client_event_id, app) DO {if_known}
        """,  # noqa: S608 - keys of ours, and the transaction's instant
        rows,
    )
    return rows


def _attach(
    tx: Transaction, app: int, new_id: bytearray, client_event_id: bytearray | None, found: Sequence[NewAttachment]
) -> None:
    """Add what came with an imported event, under the id that it has in the store, and to its issue if it has one."""
    key, event_id, is_scanned = tx.one(
        """
        SELECT key, id, level = 'error' AND NOT EXISTS (SELECT 1 FROM unscanned WHERE event = key) FROM events
        WHERE id = ? OR (client_event_id = ? AND app = ?)
        """,
        (new_id, client_event_id, app),
    )
    attachments.add(tx, app, ids.to_text(event_id), found)
    if is_scanned:
        attachments.link(tx, [(bursts.issue_of_event(tx, key), event_id)])


def get(tx: Transaction, teams: Sequence[int], event_id: str) -> EventDetail:
    """
    Raises:
        NotFoundError: there is none, or none in these teams.
    """
    row = _find(tx, teams, event_id)
    fields = _fields(row) | {"attachments": attachments.of_event(tx, event_id)}
    return EventDetail.model_validate(fields)


def _find(tx: Transaction, teams: Sequence[int], event_id: str) -> Any:  # noqa: ANN401 - a row
    row = tx.one(f"{_EVENT_ROWS} WHERE e.id = ? AND p.team IN ({listed(teams)})", (ids.to_bytes(event_id),))
    if row is None:
        raise NotFoundError(
            "Event not found",
            "It may have been pruned, or never been here; get_issue shows the occurrences, with what is known of each.",
        )
    return row


def page(tx: Transaction, teams: Sequence[int], wanted: EventSelection, cursor: str | None, limit: int) -> EventPage:
    """
    Raises:
        InvalidInputError: the cursor is none.
    """
    ascending = wanted.order == "asc"
    order = "ASC" if ascending else "DESC"
    behind = None if cursor is None else _place(cursor)
    rows = tx.all(
        f"""
        {_EVENT_ROWS}
        WHERE s.id = :session AND p.team IN ({listed(teams)})
            AND (:since IS NULL OR e.timestamp >= :since) AND (:is_dev IS NULL OR e.is_dev = :is_dev)
            AND e.level IN ({", ".join(f"'{level}'" for level in LEVELS if level in wanted.levels)})
            AND (:at IS NULL OR (e.timestamp, e.key) {">" if ascending else "<"} (:at, :key))
        ORDER BY e.timestamp {order}, e.key {order} LIMIT {limit + 1:d}
        """,
        {
            "session": ids.to_bytes(wanted.session_id),
            "since": wanted.since,
            "is_dev": wanted.is_dev,
            "at": behind and behind[0],
            "key": behind and behind[1],
        },
    )
    has_more = len(rows) > limit
    events = [_event(row) for row in rows[:limit]]
    last = f"{events[-1].timestamp}_{rows[limit - 1][0]}" if has_more else None
    return EventPage(events=events, cursor=last, has_more=has_more)


_CURSOR = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)_(\d{1,18})", re.ASCII)


def _place(cursor: object) -> tuple[str, int]:
    form = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
    if form is None:
        raise InvalidInputError(
            f"cursor must be the cursor of the page before, not {shown(cursor)}", "Leave it out for the first page."
        )
    return form[1], int(form[2])


def breadcrumbs(tx: Transaction, teams: Sequence[int], event_id: str, limit: int) -> list[Event]:
    """
    Raises:
        NotFoundError: as `get`.
    """
    key, *_ = _find(tx, teams, event_id)
    around = f"""
        {_EVENT_ROWS} JOIN events it ON it.key = :key AND e.session = it.session AND e.is_dev = it.is_dev
        WHERE p.team IN ({listed(teams)}) AND (e.timestamp, e.key)
    """
    up_to = tx.all(
        f"{around} <= (it.timestamp, it.key) ORDER BY e.timestamp DESC, e.key DESC LIMIT {limit:d}", {"key": key}
    )
    after = tx.all(
        f"{around} > (it.timestamp, it.key) ORDER BY e.timestamp, e.key LIMIT {BREADCRUMBS_AFTER}", {"key": key}
    )
    return [_event(row) for row in (*reversed(up_to), *after)]


def _event(row: Sequence[Any]) -> Event:
    fields = _fields(row)
    del fields["project_id"]
    return Event.model_validate(fields)


def _fields(row: Sequence[Any]) -> dict[str, Any]:
    _, content, attributes, *values = row
    fields = dict(zip(_READ, values, strict=True))
    return {
        **dict.fromkeys(CONTENT),
        **from_json(content),
        **fields,
        "is_dev": bool(fields["is_dev"]),
        "custom_attributes": None if attributes is None else from_json(attributes),
    }
