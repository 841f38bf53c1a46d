"""What an issue's occurrences say together."""

from collections import Counter
from collections.abc import Mapping, Sequence

from owlmetry_mcp.issues.evidence import Breakdown, OccurrenceSummary, Tally
from owlmetry_mcp.issues.models import Occurrence

MAX_VALUES = 10
"""A breakdown's values that are named."""
MAX_DAYS = 14

_DATE_LENGTH = len("2026-10-21")

Counts = Mapping[str | None, int]
"""Occurrences by a value; by None, those that do not say."""


def summarized(occurrences: Sequence[Occurrence]) -> OccurrenceSummary:
    """A summary of occurrences that are there to be counted one by one."""
    instants = [row.timestamp for row in occurrences]
    return OccurrenceSummary(
        occurrences=len(occurrences),
        sessions=len({row.session_id for row in occurrences}),
        users=len({row.user_id for row in occurrences if row.user_id is not None}),
        first_at=min(instants, default=None),
        last_at=max(instants, default=None),
        app_versions=most_frequent(Counter(row.app_version for row in occurrences)),
        environments=most_frequent(Counter(row.environment for row in occurrences)),
        countries=most_frequent(Counter(row.country_code for row in occurrences)),
        days=latest(Counter(instant[:_DATE_LENGTH] for instant in instants)),
    )


def most_frequent(counts: Counts) -> Breakdown:
    """Of values that are as frequent, the first by name first, and what does not say last."""
    return _breakdown(sorted(counts.items(), key=lambda it: (-it[1], it[0] is None, it[0] or "")), MAX_VALUES)


def latest(days: Mapping[str, int]) -> Breakdown:
    return _breakdown(sorted(days.items(), reverse=True), MAX_DAYS)


def _breakdown(counts: Sequence[tuple[str | None, int]], named: int) -> Breakdown:
    others = [count for _, count in counts[named:]]
    return Breakdown([Tally(value, count) for value, count in counts[:named]], len(others), sum(others))
