"""What the caller's teams have, found by the first characters of its id; and their apps.

The ids' index is read first (CROSS JOIN): left to itself, SQLite may read all that the teams have instead.
"""

from collections.abc import Iterable

from owlmetry_mcp.backends.store import ids, listing
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues.evidence import Coverage, FoundIssues
from owlmetry_mcp.issues.models import App

MAX_FOUND = 10
_AFTER_HEX = "g"  # sorts behind every character of an id
_ID_DIGITS = 32


def apps(tx: Transaction, teams: Iterable[int]) -> list[App]:
    """By name."""
    rows = tx.all(
        f"""
        SELECT a.id, p.id, a.name, a.bundle_id FROM apps a JOIN projects p ON p.key = a.project
        WHERE p.team IN ({listed(teams)}) ORDER BY a.name, a.id
        """  # noqa: S608 - keys of ours
    )
    return [App.model_validate(dict(zip(App.model_fields, row, strict=True))) for row in rows]


def issues(tx: Transaction, teams: Iterable[int], prefix: str, project: int | None) -> FoundIssues:
    """The first of them by id; of one project, if it is given."""
    rows = tx.all(
        f"""
        SELECT i.key FROM issues i CROSS JOIN apps a ON a.key = i.app JOIN projects p ON p.key = a.project
        WHERE i.id >= :first AND i.id < :behind AND p.team IN ({listed(teams)})
            AND (:project IS NULL OR p.key = :project)
        ORDER BY i.id LIMIT {MAX_FOUND}
        """,  # noqa: S608 - keys of ours
        {"first": prefix, "behind": prefix + _AFTER_HEX, "project": project},
    )
    found = listing.issues_of(tx, [key for (key,) in rows], named=True)
    return FoundIssues(issues=found, coverage=Coverage(seen=len(found), complete=True))


def events(tx: Transaction, teams: Iterable[int], prefix: str) -> list[str]:
    """The first of their ids."""
    digits = prefix.replace("-", "")
    rows = tx.all(
        f"""
        SELECT uuid_text(e.id) FROM events e CROSS JOIN apps a ON a.key = e.app JOIN projects p ON p.key = a.project
        WHERE e.id BETWEEN :first AND :last AND p.team IN ({listed(teams)}) ORDER BY e.id LIMIT {MAX_FOUND}
        """,  # noqa: S608 - keys of ours
        {"first": ids.to_bytes(digits.ljust(_ID_DIGITS, "0")), "last": ids.to_bytes(digits.ljust(_ID_DIGITS, "f"))},
    )
    return [event_id for (event_id,) in rows]
