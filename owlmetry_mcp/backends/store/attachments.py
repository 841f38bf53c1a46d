"""What is known of files that were sent with events: their metadata, not their bytes."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from owlmetry_mcp.backends.store import ids
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.events import MAX_ATTACHMENTS, NewAttachment
from owlmetry_mcp.issues.models import Attachment

MAX_SHOWN = 100
_COLUMNS = ("id", "event_id", "original_filename", "content_type", "size_bytes", "uploaded_at", "created_at")


def of_issue(tx: Transaction, issue: int) -> list[Attachment]:
    """The latest 100, latest first."""
    return _read(tx, "issue = ?", issue)


def of_event(tx: Transaction, event_id: str) -> list[Attachment]:
    """As `of_issue`."""
    return _read(tx, "event_id = ?", event_id)


def _read(tx: Transaction, condition: str, value: Any) -> list[Attachment]:  # noqa: ANN401 - what SQLite holds
    rows = tx.all(
        f"""
        SELECT {", ".join(_COLUMNS)} FROM attachments WHERE {condition} AND deleted_at IS NULL
        ORDER BY created_at DESC, id DESC LIMIT {MAX_SHOWN}
        """,  # noqa: S608 - names from this module
        (value,),
    )
    return [Attachment.model_validate(dict(zip(_COLUMNS, row, strict=True))) for row in rows]


def add(tx: Transaction, app: int, event_id: str, found: Sequence[NewAttachment]) -> None:
    """Add an event's attachments, but for those it has already, by their names, and up to as many as one may have."""
    there = {name for (name,) in tx.all("SELECT original_filename FROM attachments WHERE event_id = ?", (event_id,))}
    for attachment in found:
        if attachment.original_filename not in there and len(there) < MAX_ATTACHMENTS:
            there.add(attachment.original_filename)
            row = {"id": str(uuid.uuid4()), "app": app, "event_id": event_id, "created_at": tx.now}
            tx.insert("attachments", row | attachment._asdict())


def link(tx: Transaction, owners: Iterable[tuple[int | None, bytes]]) -> None:
    """Give the attachments of events to the issues that the events are of: pairs of issue and event id."""
    unlinked = "SELECT EXISTS (SELECT 1 FROM attachments WHERE issue IS NULL AND event_id IS NOT NULL)"
    if tx.one(unlinked)[0]:
        sql = "UPDATE attachments SET issue = ? WHERE event_id = ? AND issue IS NULL"
        tx.connection.executemany(sql, ((issue, ids.to_text(event_id)) for issue, event_id in owners))
