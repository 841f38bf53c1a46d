"""All occurrences of an issue, counted: those of an issue that has many, as they come."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues.evidence import OccurrenceSummary
from owlmetry_mcp.triage import occurrences

KEPT_FROM = 100
"""An issue with so many occurrences has its tallies kept; fewer are counted when asked for."""
MAX_VALUES = 4_000
"""Of a kind that a kept summary has: more would have to be written anew for every error, so they are counted when asked
for.
"""

_KINDS = ("app_versions", "environments", "countries", "days")
_VALUES = "app_version, environment, country_code, substr(timestamp, 1, 10)"
"""One of each kind."""

Tallies = dict[str, Counter[str | None]]
"""Occurrences by value, for each kind."""


def of_issue(tx: Transaction, key: int) -> OccurrenceSummary:
    kept = tx.one("SELECT users, tallies FROM summaries WHERE issue = ?", (key,))
    tallies = _read(kept[1]) if kept and kept[1] is not None else _counted(tx, key)
    first_at, last_at = tx.one(
        """
        SELECT (SELECT min(timestamp) FROM occurrences WHERE issue = :issue),
            (SELECT max(timestamp) FROM occurrences WHERE issue = :issue)
        """,  # apart: of either alone the index tells
        {"issue": key},
    )
    total = tallies["days"].total()
    return OccurrenceSummary(
        occurrences=total,
        sessions=total,  # a session has one occurrence of an issue
        users=kept[0] if kept else _users(tx, key),
        first_at=first_at,
        last_at=last_at,
        app_versions=occurrences.most_frequent(tallies["app_versions"]),
        environments=occurrences.most_frequent(tallies["environments"]),
        countries=occurrences.most_frequent(tallies["countries"]),
        days=occurrences.latest({day: count for day, count in tallies["days"].items() if day is not None}),
    )


class Seen(NamedTuple):
    """An issue that a scan has counted new occurrences of."""

    occurrences: int
    """All it has now."""
    new_users: int
    """Those who had none before."""


def add(tx: Transaction, seen: Mapping[int, Seen], after: int) -> None:
    """Count the occurrences of these issues, by key, whose own keys come after `after`."""
    kept: dict[int, str | None] = {}
    for chunk in chunks(seen):
        kept.update(tx.all(f"SELECT issue, tallies FROM summaries WHERE issue IN ({listed(chunk)})"))  # noqa: S608 - keys of ours
    known = {key: _read(tallies) for key, tallies in kept.items() if tallies is not None}
    for key, tallies in _added(tx, known, after).items():
        tx.run("UPDATE summaries SET tallies = ? WHERE issue = ?", (_written(tallies), key))
    new_users = [(seen[key].new_users, key) for key in kept if seen[key].new_users]
    tx.connection.executemany("UPDATE summaries SET users = users + ? WHERE issue = ?", new_users)
    for key, issue in seen.items():
        if issue.occurrences >= KEPT_FROM and key not in kept:
            keep(tx, key)


def keep(tx: Transaction, key: int) -> None:
    """Count all occurrences of an issue, and keep what they come to if they are many."""
    tx.run("DELETE FROM summaries WHERE issue = ?", (key,))
    some = tx.all("SELECT 1 FROM occurrences WHERE issue = ? LIMIT ?", (key, KEPT_FROM))
    if len(some) == KEPT_FROM:
        row = (key, _users(tx, key), _written(_counted(tx, key)))
        tx.run("INSERT INTO summaries (issue, users, tallies) VALUES (?, ?, ?)", row)


def is_right(tx: Transaction, key: int) -> bool:
    """Whether what is kept of an issue is what its occurrences come to."""
    users, kept = tx.one("SELECT users, tallies FROM summaries WHERE issue = ?", (key,))
    tallies = _counted(tx, key)
    try:
        is_so = (None if _written(tallies) is None else tallies) == (kept and _read(kept))
    except (ValueError, TypeError, AttributeError):  # it is none of ours
        return False
    return is_so and users == _users(tx, key)


def _counted(tx: Transaction, key: int) -> Tallies:
    """Read in one pass, in the order of their keys, as they lie in the file: each kind, and how many are of it."""
    rows = tx.run(
        f"""
        SELECT {_VALUES}, count(*) FROM occurrences
        WHERE key IN (SELECT key FROM occurrences WHERE issue = ?) GROUP BY 1, 2, 3, 4
        """,  # noqa: S608 - columns from above
        (key,),
    )
    tallies: Tallies = {kind: Counter() for kind in _KINDS}
    for *values, count in rows:
        _count(tallies, values, count)
    return tallies


def _added(tx: Transaction, tallies: dict[int, Tallies], after: int) -> dict[int, Tallies]:
    if not tallies:
        return {}
    rows = tx.run(
        f"""
        SELECT issue, {_VALUES}, count(*) FROM occurrences NOT INDEXED
        WHERE key > ? AND issue IN ({listed(tallies)}) GROUP BY 1, 2, 3, 4, 5
        """,  # noqa: S608 - columns from above, and keys of ours
        (after,),
    )
    for key, *values, count in rows:
        _count(tallies[key], values, count)
    return tallies


def _count(tallies: Tallies, values: Iterable[Any], count: int) -> None:
    for kind, value in zip(_KINDS, values, strict=True):
        tallies[kind][value] += count


def _users(tx: Transaction, key: int) -> int:
    sql = "SELECT count(DISTINCT user_id) FROM occurrences WHERE issue = ? AND user_id IS NOT NULL"
    users: int = tx.one(sql, (key,))[0]
    return users


def _read(kept: str) -> Tallies:
    """Each kind as pairs of a value, which may be null, and its count."""
    return {kind: Counter(dict(pairs)) for kind, pairs in from_json(kept).items()}


def _written(tallies: Tallies) -> str | None:
    if any(len(counts) > MAX_VALUES for counts in tallies.values()):
        return None
    return to_json({kind: list(counts.items()) for kind, counts in tallies.items()}).decode()
