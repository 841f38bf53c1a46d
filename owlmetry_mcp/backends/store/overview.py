"""A project's issues, or those of all projects of the caller's teams, at a glance.

What comes first in a section is chosen here, among all there are; `triage.overview` says what the orders are.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from owlmetry_mcp.backends.store import comments, listing
from owlmetry_mcp.backends.store.issues import MOVE
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues.evidence import Claim, Coverage, Overview
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.triage import overview
from owlmetry_mcp.triage.overview import SHOWN, Candidates, Counts


class _Section(NamedTuple):
    """Where to find what a section shows."""

    by: str
    """The index."""
    order: Sequence[str]
    """The index's within an app and a mode, and `triage.overview`'s within a mode."""
    direction: Literal["ASC", "DESC"]
    condition: str
    """With the index's own, word for word, by which SQLite knows that it has them all."""


_WEIGHT = "unique_user_count", "occurrence_count", "last_seen_at", "id"
_HEAVY = "status IN ('new', 'regressed')"
_REGRESSED = _Section("issues_by_weight", _WEIGHT, "DESC", f"{_HEAVY} AND status = 'regressed'")
_NEW = _Section("issues_by_weight", _WEIGHT, "DESC", f"{_HEAVY} AND status = 'new'")
_TOUCHED = "max(coalesce(status_set_at, updated_at), coalesce(commented_at, ''))"
_CLAIMED = _Section("issues_claimed", (_TOUCHED, "id"), "ASC", "status = 'in_progress'")
_GROWING = _Section(
    "issues_growing",
    ("last_seen_at", "id"),
    "DESC",
    """
    status IN ('silenced', 'snoozed') AND last_seen_at >= max(coalesce(status_set_at, ''), coalesce(snoozed_at, ''))
        AND last_seen_at >= :recent
    """,
)


class Glance:
    """The issues of `apps`, in one mode or both; with their projects' names if `named`."""

    def __init__(self, tx: Transaction, apps: Sequence[int], modes: Sequence[int], *, named: bool) -> None:
        self._tx = tx
        self._apps = apps
        self._modes = modes
        self._named = named

    def overview(self) -> Overview:
        keys = [self._first(section) for section in (_REGRESSED, _NEW, _CLAIMED, _GROWING)]
        shown = [key for of_section in keys for key in of_section]
        issues = dict(zip(shown, listing.issues_of(self._tx, shown, named=self._named), strict=True))
        regressed, new, claimed, growing = ([(key, issues[key]) for key in of_section] for of_section in keys)
        found = Candidates(
            regressed=[issue for _, issue in regressed],
            new=[issue for _, issue in new],
            claimed=[self._claim(key, issue) for key, issue in claimed],
            growing=[issue for _, issue in growing],
        )
        counts = self._counts()
        seen = sum(sum(of_mode.values()) for of_mode in counts.values())
        coverage = Coverage(seen=seen, complete=True)
        return overview.overview(self._tx.now, counts[0], counts[1], found, coverage, knows_silencing=True)

    def _counts(self) -> defaultdict[int, Counts]:
        """By mode."""
        rows = self._tx.all(
            f"""
            SELECT is_dev, status, sum(issues) FROM issue_counts
            WHERE app IN ({listed(self._apps)}) AND is_dev IN ({listed(self._modes)}) AND issues > 0 GROUP BY 1, 2
            """  # noqa: S608 - keys of ours
        )
        counts: defaultdict[int, Counts] = defaultdict(dict)
        for is_dev, status, count in sorted(rows, key=lambda row: STATUSES.index(row[1])):
            counts[is_dev][status] = count
        return counts

    def _first(self, section: _Section) -> list[int]:
        """The keys of a section's first issues: each app's are found by the index, and the first of those taken."""
        columns = ", ".join(section.order)
        order = ", ".join(f"{column} {section.direction}" for column in section.order)
        recent = {"recent": overview.recent_since(self._tx.now)}
        keys: list[int] = []
        for mode in self._modes:
            places: list[Any] = []
            for app in self._apps:
                sql = f"""
                    SELECT {columns}, key FROM issues INDEXED BY {section.by}
                    WHERE app = {app:d} AND is_dev = {mode:d} AND {section.condition} ORDER BY {order} LIMIT {SHOWN}
                """  # noqa: S608 - names from this module, and keys of ours
                places += self._tx.all(sql, recent)
            keys += [key for *_, key in sorted(places, reverse=section.direction == "DESC")]
            if len(keys) >= SHOWN:
                break
        return keys[:SHOWN]

    def _claim(self, key: int, issue: Issue) -> Claim:
        """Whose it is the trail says, unless the issue came here in progress, as by an import."""
        row: Any = self._tx.one(
            """
            SELECT actor_name, at, json_extract(detail, '$.after') FROM audit
            WHERE subject_id = ? AND action = ? AND actor_name IS NOT NULL ORDER BY key DESC LIMIT 1
            """,
            (issue.id, MOVE),
        )
        by, since, status = row or (None, None, None)
        if status != issue.status:
            by = since = None
        last = comments.last_of_issue(self._tx, key)
        return overview.claim(issue, [last] if last else [], by, since)
