"""One issue: read in detail, moved along its lifecycle, merged with another."""

from collections.abc import Iterable
from typing import Any

from owlmetry_mcp.backends.store import attachments, audit, comments, ids, listing, summaries
from owlmetry_mcp.backends.store.access import Caller
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError
from owlmetry_mcp.issues.lifecycle import State, StatusChange, moved
from owlmetry_mcp.issues.models import Issue, IssueDetail, Occurrence
from owlmetry_mcp.issues.parameters import shown, uuid

_OCCURRENCE_COLUMNS = {
    "id": "uuid_text(o.id)",
    "session_id": "uuid_text(s.id)",
    "user_id": "o.user_id",
    "app_version": "o.app_version",
    "sdk_name": "o.sdk_name",
    "sdk_version": "o.sdk_version",
    "environment": "o.environment",
    "event_id": "uuid_text(o.event_id)",
    "country_code": "o.country_code",
    "timestamp": "o.timestamp",
    "created_at": "o.created_at",
}


MOVE = "issue.status"
"""What the trail calls a change of status."""
SET_AT = f"""(
    SELECT CASE json_extract(a.detail, '$.after') WHEN issues.status THEN a.at END FROM audit a
    WHERE a.subject_id = issues.id AND a.action = '{MOVE}' AND a.actor_name IS NOT NULL ORDER BY a.key DESC LIMIT 1
)"""  # noqa: S608 - from above
"""When an issue was moved to where it is, as the trail says; null where it came here so, as by an import."""


def find(tx: Transaction, project: int, issue_id: str, message: str = "Issue not found") -> int:
    """The key of a project's issue.

    Raises:
        NotFoundError: the project has no such issue.
    """
    row = tx.one(
        "SELECT i.key FROM issues i JOIN apps a ON a.key = i.app WHERE i.id = ? AND a.project = ?", (issue_id, project)
    )
    if row is None:
        raise NotFoundError(
            message, "It may have been merged into another, or be in another project; list_issues shows what is there."
        )
    key: int = row[0]
    return key


def load(tx: Transaction, key: int) -> Issue:
    return listing.issues_of(tx, [key], named=False)[0]


def detail(tx: Transaction, key: int, occurrence_cursor: str | None, limit: int) -> IssueDetail:
    """
    Raises:
        InvalidInputError: the cursor is no occurrence of this issue.
    """
    found = load(tx, key)
    rows = _occurrences(tx, key, occurrence_cursor, limit + 1)
    common = {"issue_id": found.id, "app_user_id": None}
    occurrences = [
        Occurrence.trusted(common | dict(zip(_OCCURRENCE_COLUMNS, row, strict=True))) for row in rows[:limit]
    ]
    has_more = len(rows) > limit
    return IssueDetail.trusted(
        {
            **found.model_dump(exclude_unset=True),
            "occurrences": occurrences,
            "occurrence_cursor": occurrences[-1].id if has_more else None,
            "occurrence_has_more": has_more,
            "comments": comments.of_issue(tx, key),
            "attachments": attachments.of_issue(tx, key),
        }
    )


def _occurrences(tx: Transaction, key: int, cursor: str | None, count: int) -> list[Any]:
    """Rows behind the cursor, an occurrence's id: an issue never loses an occurrence, nor does one change its time."""
    behind, after = "", None
    if cursor is not None:
        at = uuid("occurrence_cursor", cursor)
        after = tx.one("SELECT timestamp, key FROM occurrences WHERE issue = ? AND id = ?", (key, ids.to_bytes(at)))
        if after is None:
            raise InvalidInputError(
                f"occurrence_cursor must be the occurrence_cursor of this issue's page before, not {shown(cursor)}",
                "Leave it out for the first page.",
            )
        behind = " AND (o.timestamp, o.key) < (?, ?)"
    return tx.all(
        f"""
        SELECT {", ".join(_OCCURRENCE_COLUMNS.values())} FROM occurrences o JOIN sessions s ON s.key = o.session
        WHERE o.issue = ?{behind} ORDER BY o.timestamp DESC, o.key DESC LIMIT {count:d}
        """,  # noqa: S608 - names from above
        (key, *(after or ())),
    )


def move(tx: Transaction, caller: Caller, key: int, change: StatusChange) -> Issue:
    """
    Raises:
        ForbiddenMoveError: the lifecycle has no such move from where the issue is.
    """
    before = State(*tx.one("SELECT status, resolved_at_version, snoozed_at FROM issues WHERE key = ?", (key,)))
    after = moved(before, change, tx.now)
    tx.run(
        """
        UPDATE issues SET status = ?, resolved_at_version = ?, snoozed_at = ?, updated_at = ?, status_set_at = ?
        WHERE key = ?
        """,
        (after.status, after.resolved_at_version, after.snoozed_at, tx.now, tx.now, key),
    )
    changed = load(tx, key)
    version = {} if after.resolved_at_version is None else {"resolved_at_version": after.resolved_at_version}
    title = audit.beginning(changed.title)
    audit.record(tx, caller, MOVE, changed.id, before=before.status, after=after.status, **version, title=title)
    return _without_app_name(changed)


def set_when_moved(tx: Transaction, issue_ids: Iterable[str]) -> None:
    """Keep, of issues that an import brought, when they were moved to their status, as far as the trail says."""
    sql = f"UPDATE issues SET status_set_at = {SET_AT} WHERE id = ?"  # noqa: S608 - from above
    tx.connection.executemany(sql, [(issue_id,) for issue_id in issue_ids])


def merge(tx: Transaction, caller: Caller, project: int, target: int, source_id: str) -> Issue:
    """
    Raises:
        InvalidInputError: the two are the same.
        NotFoundError: the project has no such source.
    """
    source = find(tx, project, source_id, "Source issue not found")
    if source == target:
        raise InvalidInputError(
            "Cannot merge an issue into itself", "source_issue_id names the issue that is to be deleted."
        )
    merged_away = load(tx, source)
    _move_contents(tx, source, target)
    _roll_up(tx, target, load(tx, target), merged_away)
    tx.run("DELETE FROM issues WHERE key = ?", (source,))
    summaries.keep(tx, target)
    merged = load(tx, target)
    gone, title = merged_away.model_dump(exclude_none=True), audit.beginning(merged.title)
    audit.record(tx, caller, "issue.merge", merged.id, source=gone, title=title)
    return _without_app_name(merged)


def _move_contents(tx: Transaction, source: int, target: int) -> None:
    """Everything that belongs to the source, to the target; of a session in both, the target's occurrence stays.

    A comment that moves counts as updated, as on a real server.
    """
    both = {"source": source, "target": target, "now": tx.now}
    tx.run("UPDATE fingerprints SET issue = :target WHERE issue = :source", both)
    tx.run("UPDATE OR IGNORE occurrences SET issue = :target WHERE issue = :source", both)
    tx.run("DELETE FROM occurrences WHERE issue = :source", both)
    tx.run("UPDATE comments SET issue = :target, updated_at = :now WHERE issue = :source", both)
    tx.run("UPDATE attachments SET issue = :target WHERE issue = :source", both)
    tx.run("UPDATE notifications SET issue = :target WHERE issue = :source", both)


def _roll_up(tx: Transaction, target: int, one: Issue, other: Issue) -> None:
    """Counts from what the target has now; the firsts from whichever was seen first, the lasts from whichever last."""
    earlier, later = sorted((one, other), key=lambda issue: issue.first_seen_at)
    older, newer = sorted((one, other), key=lambda issue: issue.last_seen_at)
    values: dict[str, Any] = {
        "first_seen_at": earlier.first_seen_at,
        "first_seen_app_version": earlier.first_seen_app_version or later.first_seen_app_version,
        "first_seen_sdk_version": earlier.first_seen_sdk_version or later.first_seen_sdk_version,
        "last_seen_at": newer.last_seen_at,
        "last_seen_app_version": newer.last_seen_app_version or older.last_seen_app_version,
        "last_seen_sdk_version": newer.last_seen_sdk_version or older.last_seen_sdk_version,
        "now": tx.now,
        "target": target,
    }
    tx.run(
        """
        UPDATE issues SET
            first_seen_at = :first_seen_at, last_seen_at = :last_seen_at,
            first_seen_app_version = :first_seen_app_version, last_seen_app_version = :last_seen_app_version,
            first_seen_sdk_version = :first_seen_sdk_version, last_seen_sdk_version = :last_seen_sdk_version,
            (occurrence_count, unique_user_count)
                = (SELECT count(*), count(DISTINCT user_id) FROM occurrences WHERE issue = :target),
            updated_at = :now
        WHERE key = :target
        """,
        values,
    )


def _without_app_name(changed: Issue) -> Issue:
    """As the API answers a change: the app's name is for lists and details."""
    return Issue.model_validate(changed.model_dump(exclude={"app_name"}, exclude_unset=True))
