"""Comments: written under the caller's identity, edited by their author, deleted softly."""

import uuid
from collections.abc import Sequence
from typing import Any

from owlmetry_mcp.backends.store import audit
from owlmetry_mcp.backends.store.access import Caller
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import NotFoundError, PermissionDeniedError
from owlmetry_mcp.issues.models import Comment
from owlmetry_mcp.issues.parameters import shown

_COLUMNS = ("id", "author_type", "author_id", "author_name", "body", "created_at", "updated_at")
_ROWS = f"SELECT i.id, c.{', c.'.join(_COLUMNS)} FROM comments c JOIN issues i ON i.key = c.issue"  # noqa: S608


def of_issue(tx: Transaction, issue: int) -> list[Comment]:
    rows = tx.all(f"{_ROWS} WHERE c.issue = ? AND c.deleted_at IS NULL ORDER BY c.created_at, c.key", (issue,))
    return [_comment(row) for row in rows]


def last_of_issue(tx: Transaction, issue: int) -> Comment | None:
    row = tx.one(
        f"{_ROWS} WHERE c.issue = ? AND c.deleted_at IS NULL ORDER BY c.created_at DESC, c.key LIMIT 1", (issue,)
    )
    return row and _comment(row)


def add(tx: Transaction, caller: Caller, issue: int, body: str) -> Comment:
    comment_id = str(uuid.uuid4())
    tx.insert(
        "comments",
        {
            "id": comment_id,
            "issue": issue,
            "author_type": caller.type,
            "author_id": caller.id,
            "author_name": caller.name,
            "body": body,
            "created_at": tx.now,
            "updated_at": tx.now,
        },
    )
    added = _find(tx, issue, comment_id)
    _record(tx, caller, "add", issue, added, body=audit.beginning(body))
    return added


def edit(tx: Transaction, caller: Caller, issue: int, comment_id: str, body: str) -> Comment:
    """
    Raises:
        NotFoundError: the issue has no such comment.
        PermissionDeniedError: another wrote it.
    """
    before = _find(tx, issue, comment_id)
    if not _wrote(caller, before):
        raise PermissionDeniedError(
            "Only the original author can edit this comment",
            f"{shown(before.author_name)} wrote it; add a comment instead.",
        )
    tx.run("UPDATE comments SET body = ?, updated_at = ? WHERE id = ?", (body, tx.now, comment_id))
    _record(tx, caller, "edit", issue, before, before=before.body, body=audit.beginning(body))
    return _find(tx, issue, comment_id)


def delete(tx: Transaction, caller: Caller, team: int, issue: int, comment_id: str) -> None:
    """
    Raises:
        NotFoundError: the issue has no such comment.
        PermissionDeniedError: another wrote it, and the caller is no admin or owner of the team.
    """
    before = _find(tx, issue, comment_id)
    if not (_wrote(caller, before) or caller.may_delete_others_comments(team)):
        raise PermissionDeniedError(
            "Only the original author or a team admin can delete this comment", f"{shown(before.author_name)} wrote it."
        )
    tx.run("UPDATE comments SET deleted_at = ? WHERE id = ?", (tx.now, comment_id))
    said = {} if _wrote(caller, before) else {"author_name": before.author_name}
    _record(tx, caller, "delete", issue, before, body=audit.beginning(before.body), **said)


def _record(tx: Transaction, caller: Caller, change: str, issue: int, comment: Comment, **detail: str) -> None:
    (title,) = tx.one("SELECT title FROM issues WHERE key = ?", (issue,))
    line = {"issue_id": comment.issue_id, "title": audit.beginning(title), **detail}
    audit.record(tx, caller, f"comment.{change}", comment.id, **line)


def _find(tx: Transaction, issue: int, comment_id: str) -> Comment:
    row = tx.one(f"{_ROWS} WHERE c.id = ? AND c.issue = ? AND c.deleted_at IS NULL", (comment_id, issue))
    if row is None:
        raise NotFoundError("Comment not found", "list_comments shows the comments that the issue has.")
    return _comment(row)


def _comment(row: Sequence[Any]) -> Comment:
    issue_id, *columns = row
    return Comment.trusted({"issue_id": issue_id, **dict(zip(_COLUMNS, columns, strict=True))})


def _wrote(caller: Caller, comment: Comment) -> bool:
    return (comment.author_type, comment.author_id) == (caller.type, caller.id)
