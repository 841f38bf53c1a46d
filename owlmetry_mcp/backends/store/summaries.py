"""All occurrences of an issue, counted."""

from collections import Counter

from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.evidence import OccurrenceSummary
from owlmetry_mcp.triage import occurrences


def of_issue(tx: Transaction, key: int) -> OccurrenceSummary:
    """Read in one pass, in the order of their keys, as they lie in the file: each kind, and how many are of it."""
    kinds = tx.all(
        """
        SELECT app_version, environment, country_code, substr(timestamp, 1, 10), count(*) FROM occurrences
        WHERE key IN (SELECT key FROM occurrences WHERE issue = ?) GROUP BY 1, 2, 3, 4
        """,
        (key,),
    )
    versions: Counter[str | None] = Counter()
    environments: Counter[str | None] = Counter()
    countries: Counter[str | None] = Counter()
    days: Counter[str] = Counter()
    for version, environment, country, day, count in kinds:
        versions[version] += count
        environments[environment] += count
        countries[country] += count
        days[day] += count
    first_at, last_at = tx.one("SELECT min(timestamp), max(timestamp) FROM occurrences WHERE issue = ?", (key,))
    (users,) = tx.one("SELECT count(DISTINCT user_id) FROM occurrences WHERE issue = ? AND user_id IS NOT NULL", (key,))
    return OccurrenceSummary(
        occurrences=days.total(),
        sessions=days.total(),  # a session has one occurrence of an issue
        users=users,
        first_at=first_at,
        last_at=last_at,
        app_versions=occurrences.most_frequent(versions),
        environments=occurrences.most_frequent(environments),
        countries=occurrences.most_frequent(countries),
        days=occurrences.latest(days),
    )
