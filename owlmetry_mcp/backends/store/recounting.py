"""The counts that issues keep, against their occurrences.

Scans add to `occurrence_count` and `unique_user_count` as they add occurrences, and a merge makes both anew. An import
takes them from its document, which may bring an issue without all its occurrences, or with none. So:

- An issue that counts less than it has is wrong, wherever it came from.
- One that counts more is wrong if a scan opened it or another was merged into it, here or in the store that it was
  exported from, since then its counts have only ever been of its occurrences, and none of these is ever deleted.
- Any other was imported, and what it counts beyond its occurrences cannot be told from what its document left out.

A scan leaves a notification of an issue that it opens, of the same instant, and a merge leaves a line of the audit.
"""

from collections.abc import Iterator
from typing import NamedTuple

from owlmetry_mcp.backends.store import audit
from owlmetry_mcp.backends.store.transactions import Transaction

MADE_HERE = """(
    EXISTS (SELECT 1 FROM notifications n WHERE n.issue = i.key AND n.reason = 'opened' AND n.created_at = i.created_at)
    OR EXISTS (SELECT 1 FROM audit WHERE subject_id = i.id AND action = 'issue.merge')
)"""
"""Whether a scan or a merge made what the issue `i` says of its occurrences, not an import alone."""


class Difference(NamedTuple):
    """A count of an issue that is not what its occurrences make."""

    issue: int
    """The key."""
    issue_id: str
    column: str
    kept: int
    recounted: int
    is_wrong: bool
    """Otherwise an import may have brought it so."""


def differences(tx: Transaction) -> Iterator[Difference]:
    rows = tx.run(
        f"""
        WITH recounts (issue, occurrences, users) AS (
            SELECT issue, count(*), count(DISTINCT user_id) FROM occurrences GROUP BY issue
        )
        SELECT i.key, i.id, i.occurrence_count, coalesce(r.occurrences, 0), i.unique_user_count, coalesce(r.users, 0),
            {MADE_HERE}
        FROM issues i LEFT JOIN recounts r ON r.issue = i.key
        WHERE i.occurrence_count <> coalesce(r.occurrences, 0) OR i.unique_user_count <> coalesce(r.users, 0)
        ORDER BY i.key
        """  # noqa: S608 - from above
    )
    for key, issue_id, occurrence_count, occurrences, unique_user_count, users, made_here in rows:
        for column, kept, recounted in (
            ("occurrence_count", occurrence_count, occurrences),
            ("unique_user_count", unique_user_count, users),
        ):
            if kept != recounted:
                yield Difference(key, issue_id, column, kept, recounted, bool(made_here) or kept < recounted)


def mend(tx: Transaction) -> list[Difference]:
    """Set the counts that are wrong to what a recount makes them, with a line of the audit each.

    Nobody has done anything with the issues, so `updated_at` stays.
    """
    wrong = [difference for difference in differences(tx) if difference.is_wrong]
    for it in wrong:
        tx.run(f"UPDATE issues SET {it.column} = ? WHERE key = ?", (it.recounted, it.issue))  # noqa: S608 - named above
        audit.record(tx, None, "issue.recount", it.issue_id, column=it.column, before=it.kept, after=it.recounted)
    return wrong
