"""What there is of an app to be carried to a server: its events in the order they came, its issues, their comments."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json

from owlmetry_mcp.backends.store import administration, carried, ids
from owlmetry_mcp.backends.store.access import secret_sha256
from owlmetry_mcp.backends.store.administration import App
from owlmetry_mcp.backends.store.issues import MOVE
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import NotFoundError
from owlmetry_mcp.issues.events import TEXTS
from owlmetry_mcp.issues.lifecycle import Status

_SENT = ("message", "environment", *TEXTS)
"""What of an event's content an import takes."""


class OutgoingEvent(NamedTuple):
    key: int
    id: str
    is_error: bool
    client_event_id: str | None
    session_id: str
    timestamp: str
    values: Mapping[str, Any]
    """The event as `POST /v1/import` takes it, but for its `client_event_id`."""


class Mark(NamedTuple):
    """A fingerprint where it is one issue's alone: in an app, in development or production."""

    app_id: str
    is_dev: bool
    fingerprint: str


class OutgoingComment(NamedTuple):
    key: int
    id: str
    author_type: str
    author_name: str
    body: str
    created_at: str


class OutgoingIssue(NamedTuple):
    id: str
    status: Status
    resolved_at_version: str | None
    is_dev: bool
    set_at: str | None
    """When someone moved it to its status; None if no one did, as when the scan did."""
    marks: frozenset[Mark]
    merged: frozenset[str]
    """The fingerprints that came with issues that were merged into it."""
    sessions: int
    """That it was seen in, and of which the event is here."""
    comments: tuple[OutgoingComment, ...]
    """All that are not deleted, in the order written."""


class Rest(NamedTuple):
    """What is not carried, by how many there are of it."""

    pruned: int
    attachments: int
    deleted_comments: int
    countries: int
    """Events of which it is known in which country they happened."""


def apps(tx: Transaction, endpoint: str, wanted: str | None) -> list[App]:
    """The app that is named; where none is, the only one with anything to carry, or all of them if that server has all
    events of each.

    Raises:
        NotFoundError: as `administration.find_app`.
    """
    try:
        return [administration.find_app(tx, wanted)]
    except NotFoundError:
        places = carried.places(tx, endpoint)
        rows = tx.all(
            """
            SELECT id FROM apps WHERE EXISTS (SELECT 1 FROM events WHERE app = apps.key)
                OR EXISTS (SELECT 1 FROM issues WHERE app = apps.key) ORDER BY key
            """
        )
        found = [administration.find_app(tx, app_id) for (app_id,) in rows]
        are_there = all(app.id in places and not count_events(tx, app, places[app.id].event) for app in found)
        if wanted or not found or not (are_there or len(found) == 1):
            raise
        return found


def has_key(tx: Transaction, secret: str) -> bool:
    """Whether it is a key of this store's own."""
    return bool(tx.one("SELECT EXISTS (SELECT 1 FROM api_keys WHERE secret_sha256 = ?)", (secret_sha256(secret),))[0])


def count_events(tx: Transaction, app: App, after: int) -> int:
    """Those behind a key."""
    count: int = tx.one("SELECT count(*) FROM events WHERE app = ? AND key > ?", (app.key, after))[0]
    return count


def events(tx: Transaction, app: App, after: int, most: int) -> list[OutgoingEvent]:
    """The next behind a key."""
    rows = tx.all(
        """
        SELECT e.key, e.id, e.client_event_id, s.id, e.level, e.is_dev, e.timestamp, e.content, e.custom_attributes
        FROM events e JOIN sessions s ON s.key = e.session WHERE e.app = ? AND e.key > ? ORDER BY e.key LIMIT ?
        """,
        (app.key, after, most),
    )
    return [_event(*row) for row in rows]


def _event(  # noqa: PLR0913, PLR0917 - a row
    key: int,
    event_id: bytes,
    client_event_id: bytes | None,
    session: bytes,
    level: str,
    is_dev: int,
    timestamp: str,
    content: str,
    attributes: str | None,
) -> OutgoingEvent:
    session_id, kept = ids.to_text(session), from_json(content)
    values = {name: kept[name] for name in _SENT if name in kept}
    values |= {"session_id": session_id, "level": level, "is_dev": bool(is_dev), "timestamp": timestamp}
    if attributes is not None:
        values["custom_attributes"] = from_json(attributes)
    client = None if client_event_id is None else ids.to_text(client_event_id)
    return OutgoingEvent(key, ids.to_text(event_id), level == "error", client, session_id, timestamp, values)


def issues(tx: Transaction, app: App) -> list[OutgoingIssue]:
    """In the order in which they were opened."""
    rows = tx.all(
        """
        SELECT i.key, i.id, i.status, i.resolved_at_version, i.is_dev, (
            SELECT CASE json_extract(a.detail, '$.after') WHEN i.status THEN a.at END FROM audit a
            WHERE a.subject_id = i.id AND a.action = ? ORDER BY a.key DESC LIMIT 1
        ) FROM issues i WHERE i.app = ? ORDER BY i.key
        """,
        (MOVE, app.key),
    )
    marks, merged = _marks(tx, app), _merged(tx, app)
    sessions, comments = _sessions(tx, app), _comments(tx, app)
    return [
        OutgoingIssue(
            issue_id, status, version, bool(is_dev), set_at,
            frozenset(marks[key]), frozenset(merged[issue_id]), sessions.get(key, 0), tuple(comments[key]),
        )
        for key, issue_id, status, version, is_dev, set_at in rows
    ]  # fmt: skip


def _marks(tx: Transaction, app: App) -> defaultdict[int, list[Mark]]:
    found: defaultdict[int, list[Mark]] = defaultdict(list)
    rows = tx.run(
        """
        SELECT f.issue, a.id, f.is_dev, f.fingerprint
        FROM fingerprints f JOIN issues i ON i.key = f.issue JOIN apps a ON a.key = f.app WHERE i.app = ?
        """,
        (app.key,),
    )
    for issue, app_id, is_dev, fingerprint in rows:
        found[issue].append(Mark(app_id, bool(is_dev), fingerprint))
    return found


def _merged(tx: Transaction, app: App) -> defaultdict[str, set[str]]:
    """By the issues' ids, what the trail says that merges brought them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    rows = tx.run(
        """
        SELECT a.subject_id, f.value FROM audit a JOIN issues i ON i.id = a.subject_id,
            json_each(a.detail, '$.source.fingerprints') f
        WHERE a.action = 'issue.merge' AND i.app = ?
        """,
        (app.key,),
    )
    for issue_id, fingerprint in rows:
        found[issue_id].add(fingerprint)
    return found


def _sessions(tx: Transaction, app: App) -> dict[int, int]:
    rows = tx.all(
        """
        SELECT o.issue, count(*) FROM occurrences o JOIN issues i ON i.key = o.issue JOIN events e ON e.id = o.event_id
        WHERE i.app = ? GROUP BY o.issue
        """,
        (app.key,),
    )
    return dict(rows)


def _comments(tx: Transaction, app: App) -> defaultdict[int, list[OutgoingComment]]:
    found: defaultdict[int, list[OutgoingComment]] = defaultdict(list)
    rows = tx.run(
        """
        SELECT c.issue, c.key, c.id, c.author_type, c.author_name, c.body, c.created_at
        FROM comments c JOIN issues i ON i.key = c.issue WHERE i.app = ? AND c.deleted_at IS NULL
        ORDER BY c.created_at, c.key
        """,
        (app.key,),
    )
    for issue, *values in rows:
        found[issue].append(OutgoingComment(*values))
    return found


def rest(tx: Transaction, app: App) -> Rest:
    of_issues = "(SELECT key FROM issues WHERE app = :app)"
    return Rest(
        *tx.one(
            f"""
            SELECT (SELECT count(*) FROM pruned WHERE app = :app),
                (SELECT count(*) FROM attachments WHERE app = :app AND deleted_at IS NULL),
                (SELECT count(*) FROM comments WHERE issue IN {of_issues} AND deleted_at IS NOT NULL),
                (SELECT count(*) FROM events WHERE app = :app AND json_extract(content, '$.country_code') IS NOT NULL)
            """,  # noqa: S608 - from above
            {"app": app.key},
        )
    )
