"""What the store keeps beside its rows so that reads need not look at many of them: against those rows, and made anew.

Triggers and the operations that write keep it; see the schema for what each is.
"""

from collections.abc import Iterator

from owlmetry_mcp.backends.store import summaries
from owlmetry_mcp.backends.store.issues import SET_AT
from owlmetry_mcp.backends.store.transactions import Transaction

_LAST_COMMENT = "(SELECT max(created_at) FROM comments WHERE issue = issues.key AND deleted_at IS NULL)"
_MOVED_HERE = "status IN ('in_progress', 'silenced', 'snoozed')"


def faults(tx: Transaction) -> Iterator[str]:
    """What is not as its rows make it, in a line each."""
    counts = tx.run(
        """
        SELECT a.id, is_dev, status, sum(kept), sum(there) FROM (
            SELECT app, is_dev, status, issues AS kept, 0 AS there FROM issue_counts
            UNION ALL SELECT app, is_dev, status, 0, count(*) FROM issues GROUP BY app, is_dev, status
        ) JOIN apps a ON a.key = app
        GROUP BY app, is_dev, status HAVING sum(kept) <> sum(there)
        """
    )
    for app_id, is_dev, status, kept, there in counts:
        mode = "development" if is_dev else "production"
        yield f"app {app_id}: {kept} {status} issues in {mode} are counted, and there are {there}"
    for column, follows, condition in (("commented_at", _LAST_COMMENT, "TRUE"), ("status_set_at", SET_AT, _MOVED_HERE)):
        rows = tx.run(
            f"SELECT id, {column}, {follows} AS follows FROM issues WHERE {condition} AND {column} IS NOT follows"  # noqa: S608 - from above
        )
        for issue_id, kept, there in rows:
            yield f"issue {issue_id}: {column} is {kept}, and should be {there}"
    for key, issue_id in tx.all("SELECT s.issue, i.id FROM summaries s JOIN issues i ON i.key = s.issue"):
        if not summaries.is_right(tx, key):
            yield f"issue {issue_id}: its summary is not what its occurrences come to"


def make_anew(tx: Transaction) -> None:
    """No one has done anything with the issues, so `updated_at` stays."""
    tx.run("DELETE FROM issue_counts")
    tx.run(
        """
        INSERT INTO issue_counts SELECT app, is_dev, status, count(*) FROM issues
        WHERE app IN (SELECT key FROM apps) GROUP BY app, is_dev, status
        """
    )
    tx.run(f"UPDATE issues SET commented_at = {_LAST_COMMENT} WHERE commented_at IS NOT {_LAST_COMMENT}")  # noqa: S608 - from above
    tx.run(f"UPDATE issues SET status_set_at = {SET_AT} WHERE {_MOVED_HERE} AND status_set_at IS NOT {SET_AT}")  # noqa: S608 - likewise
    for (key,) in tx.all("SELECT issue FROM summaries"):
        if not summaries.is_right(tx, key):
            summaries.keep(tx, key)
