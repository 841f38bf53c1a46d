"""The trail of who changed what, written in the transaction of the change itself, and read newest first.

A line tells what a person needs to make sense of it later, when what it is about may have changed or be gone: what an
issue was called, how a comment began. No secret is ever in it.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from owlmetry_mcp.backends.store.access import Caller
from owlmetry_mcp.backends.store.transactions import Transaction, json_text
from owlmetry_mcp.issues.models import AuthorType

ACTIONS = (
    "issue.status", "issue.merge", "issue.recount", "comment.add", "comment.edit", "comment.delete", "api_key.add",
    "api_key.revoke", "token.create", "team.add", "project.add", "app.add", "user.add", "member.add",
)  # fmt: skip
LONGEST_QUOTATION = 200


def beginning(text: str) -> str:
    """As much of a stranger's text as a line of the trail keeps."""
    return text if len(text) <= LONGEST_QUOTATION else f"{text[: LONGEST_QUOTATION - 2]} …"


def record(tx: Transaction, actor: Caller | None, action: str, subject_id: str, **detail: object) -> None:
    """One line of the trail. Without an actor it was the operator, at the command line."""
    tx.insert(
        "audit",
        {
            "at": tx.now,
            "actor_type": actor.type if actor else "operator",
            "actor_id": actor.id if actor else None,
            "actor_name": actor.name if actor else None,
            "action": action,
            "subject_id": subject_id,
            "detail": json_text(detail),
        },
    )


class Wanted(NamedTuple):
    """Which lines are asked for; parts that are None let everything through."""

    issue: str | None = None
    """An issue's id, or its first characters, in lower case: what was done to it, and with its comments."""
    by: str | None = None
    """The name of who did it, or the first characters of an id; `operator` for the command line."""
    since: str | None = None
    actions: Sequence[str] | None = None


class Line(NamedTuple):
    key: int
    at: str
    actor_type: Literal[AuthorType, "operator"]
    actor_id: str | None
    actor_name: str | None
    action: str
    subject_id: str
    detail: dict[str, Any]


_WANTED = """
    key < :before AND (:since IS NULL OR at >= :since)
    AND (:actions IS NULL OR action IN (SELECT value FROM json_each(:actions)))
    AND (:by IS NULL OR actor_name = :by COLLATE NOCASE OR (actor_type = 'operator' AND :by = 'operator')
        OR (length(:by) >= 8 AND substr(actor_id, 1, length(:by)) = lower(:by)))
    AND (:issue IS NULL OR CASE
        WHEN action LIKE 'comment.%' THEN json_extract(detail, '$.issue_id') GLOB :issue
        WHEN action = 'issue.merge' AND json_extract(detail, '$.source.id') GLOB :issue THEN TRUE
        ELSE action LIKE 'issue.%' AND subject_id GLOB :issue
    END)
"""
_LAST = 2**63 - 1


def lines(tx: Transaction, wanted: Wanted, limit: int, before: int | None = None) -> list[Line]:
    """The last of them, newest first; `before` the line with that key."""
    rows = tx.all(
        f"""
        SELECT key, at, actor_type, actor_id, actor_name, action, subject_id, detail FROM audit
        WHERE {_WANTED} ORDER BY key DESC LIMIT :limit
        """,  # noqa: S608 - from above
        {**_values(wanted, before), "limit": limit},
    )
    return [Line._make((*row[:-1], json.loads(row[-1]))) for row in rows]


def count(tx: Transaction, wanted: Wanted, before: int) -> int:
    """How many lines there are before the one with that key."""
    found: int = tx.one(f"SELECT count(*) FROM audit WHERE {_WANTED}", _values(wanted, before))[0]  # noqa: S608 - from above
    return found


def _values(wanted: Wanted, before: int | None) -> dict[str, Any]:
    return {
        "issue": None if wanted.issue is None else f"{wanted.issue}*",  # of digits, none a wildcard
        "by": wanted.by,
        "since": wanted.since,
        "actions": None if wanted.actions is None else json_text([*wanted.actions]),
        "before": _LAST if before is None else before,
    }
