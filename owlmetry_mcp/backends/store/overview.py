"""A project's issues, or those of all projects of the caller's teams, at a glance.

What comes first in a section is chosen here, among all there are; `triage.overview` says what the orders are.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from owlmetry_mcp.backends.store import comments, listing
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues.evidence import Claim, Coverage, Overview
from owlmetry_mcp.issues.lifecycle import STATUSES, Status
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.triage import overview
from owlmetry_mcp.triage.overview import PUT_ASIDE, SHOWN, Candidates, Counts

_LAST_MOVE = """
    SELECT CASE json_extract(a.detail, '$.after') WHEN i.status THEN a.at END FROM audit a
    WHERE a.subject_id = i.id AND a.action = 'issue.status' AND a.actor_name IS NOT NULL ORDER BY a.key DESC LIMIT 1
"""
"""When an issue was moved to where it is, as the trail says; null where it came here so, as by an import."""
_WEIGHT = "is_dev, unique_user_count DESC, occurrence_count DESC, last_seen_at DESC, id DESC"


class Glance:
    """The issues of `apps`, in one mode or both; with their projects' names if `named`."""

    def __init__(self, tx: Transaction, apps: Sequence[int], modes: Sequence[int], *, named: bool) -> None:
        self._tx = tx
        self._where = f"app IN ({listed(apps)}) AND is_dev IN ({listed(modes)})"
        self._named = named

    def overview(self) -> Overview:
        counts = self._counts()
        found = Candidates(
            regressed=self._first(("regressed",), _WEIGHT),
            new=self._first(("new",), _WEIGHT),
            claimed=self._claims(),
            growing=self._first(
                PUT_ASIDE,
                "is_dev, last_seen_at DESC, id DESC",
                f"last_seen_at >= max('{overview.recent_since(self._tx.now)}', coalesce(snoozed_at, ''),"
                f" coalesce(({_LAST_MOVE}), ''))",
            ),
        )
        seen = sum(sum(of_mode.values()) for of_mode in counts.values())
        coverage = Coverage(seen=seen, complete=True)
        return overview.overview(self._tx.now, counts[0], counts[1], found, coverage, knows_silencing=True)

    def _counts(self) -> defaultdict[int, Counts]:
        """By mode."""
        rows = self._tx.all(
            f"SELECT is_dev, status, count(*) FROM issues WHERE {self._where} GROUP BY is_dev, status"  # noqa: S608 - from above
        )
        counts: defaultdict[int, Counts] = defaultdict(dict)
        for is_dev, status, count in sorted(rows, key=lambda row: STATUSES.index(row[1])):
            counts[is_dev][status] = count
        return counts

    def _first(self, statuses: Sequence[Status], order: str, condition: str = "TRUE") -> list[Issue]:
        within = ", ".join(f"'{status}'" for status in statuses)
        rows = self._tx.all(
            f"""
            SELECT key FROM issues i WHERE {self._where} AND status IN ({within}) AND {condition}
            ORDER BY {order} LIMIT {SHOWN}
            """  # noqa: S608 - names from this module
        )
        return listing.issues_of(self._tx, [key for (key,) in rows], named=self._named)

    def _claims(self) -> list[Claim]:
        rows = self._tx.all(
            f"""
            SELECT key FROM (
                SELECT key, id, is_dev, updated_at, (
                    SELECT max(c.created_at) FROM comments c WHERE c.issue = i.key AND c.deleted_at IS NULL
                ) AS commented_at, ({_LAST_MOVE}) AS claimed_at
                FROM issues i WHERE {self._where} AND status = 'in_progress'
            )
            ORDER BY is_dev, max(coalesce(claimed_at, updated_at), coalesce(commented_at, '')), id LIMIT {SHOWN}
            """  # noqa: S608 - names from this module
        )
        keys = [key for (key,) in rows]
        issues = listing.issues_of(self._tx, keys, named=self._named)
        return [self._claim(key, issue) for key, issue in zip(keys, issues, strict=True)]

    def _claim(self, key: int, issue: Issue) -> Claim:
        """Whose it is the trail says, unless the issue came here in progress, as by an import."""
        row: Any = self._tx.one(
            """
            SELECT actor_name, at, json_extract(detail, '$.after') FROM audit
            WHERE subject_id = ? AND action = 'issue.status' ORDER BY key DESC LIMIT 1
            """,
            (issue.id,),
        )
        by, since, status = row or (None, None, None)
        if by is None or status != issue.status:
            by = since = None
        return overview.claim(issue, comments.of_issue(self._tx, key), by, since)
