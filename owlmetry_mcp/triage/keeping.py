"""Which of some issues to keep when they become one, and why."""

from collections.abc import Sequence

from owlmetry_mcp.issues.evidence import TargetReason
from owlmetry_mcp.issues.models import Issue

_OPEN = frozenset(("new", "in_progress", "regressed"))


def rank(issue: Issue) -> tuple[object, ...]:
    """Lower is better to keep.

    A merge leaves the target its status: what still happens must not end in an issue that is resolved.
    """
    return (
        not _claimed(issue),
        not _open(issue),
        -issue.occurrence_count,
        -issue.unique_user_count,
        issue.first_seen_at,
        _unclear(issue),
        issue.title,
        issue.id,
    )


def reasons(target: Issue, others: Sequence[Issue]) -> list[TargetReason]:
    """In what the target is before the others: no worse than any of them, and better than some; in counts, than all."""
    found: list[TargetReason] = []
    if _claimed(target) and not all(map(_claimed, others)):
        found.append("claimed")
    if _open(target) and not all(map(_open, others)):
        found.append("open")
    if all(target.occurrence_count > other.occurrence_count for other in others):
        found.append("most_occurrences")
    if all(target.first_seen_at < other.first_seen_at for other in others):
        found.append("first_seen")
    if all(_unclear(target) < _unclear(other) for other in others):
        found.append("clearest_title")
    return found


def _claimed(issue: Issue) -> bool:
    return issue.status == "in_progress"


def _open(issue: Issue) -> bool:
    return issue.status in _OPEN


def _unclear(issue: Issue) -> tuple[bool, int]:
    """Of messages that say the same, the shortest is the one that fewest layers have wrapped."""
    return not any(map(str.isalpha, issue.title)), len(issue.title)
