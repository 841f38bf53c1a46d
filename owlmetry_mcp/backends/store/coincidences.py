"""Which issues of a project were seen in the same sessions, within seconds of each other.

Bounded in what is read, so that an answer takes a moment on a store of any size.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues.evidence import Coincidences, Coverage
from owlmetry_mcp.triage import coincidences
from owlmetry_mcp.triage.coincidences import Sighting

MAX_ISSUES = 10_000
"""Of a project: the most recently seen."""
MAX_OCCURRENCES = 100_000
"""Of a project: of the most recently seen issues, as many as have so many together. They take about half a second."""
MAX_OF_ONE = 2_000
"""Of one issue: its latest."""


def of_project(tx: Transaction, project: int) -> Coincidences:
    """Of all its issues with each other."""
    issues = tx.all(
        """
        SELECT key, id, is_dev, occurrence_count FROM issues WHERE key IN (
            SELECT i.key FROM issues i JOIN apps a ON a.key = i.app
            WHERE a.project = ? ORDER BY i.last_seen_at DESC, i.id DESC LIMIT ?
        )
        ORDER BY last_seen_at DESC, id DESC
        """,
        (project, MAX_ISSUES + 1),
    )
    taken, left = 0, MAX_OCCURRENCES
    for *_, count in issues[:MAX_ISSUES]:
        left -= min(count, MAX_OF_ONE)
        if left < 0:
            break
        taken += 1
    found = coincidences.met(_sightings(tx, issues[:taken]))
    complete = found.complete and taken == len(issues) and all(count <= MAX_OF_ONE for *_, count in issues)
    return Coincidences(pairs=coincidences.most(found.sessions), coverage=Coverage(seen=taken, complete=complete))


def _sightings(tx: Transaction, issues: Sequence[Any]) -> Iterator[Sighting]:
    """The sessions by number, the modes apart."""
    named = {key: (issue_id, is_dev) for key, issue_id, is_dev, _ in issues}
    few = [key for key, _, _, count in issues if count <= MAX_OF_ONE]
    many = [key for key, _, _, count in issues if count > MAX_OF_ONE]
    # Keys first, then rows in the order of their keys: side by side in the file, they take half the time.
    rows = "SELECT session, timestamp, issue FROM occurrences WHERE key IN (SELECT key FROM occurrences WHERE issue"
    asked = [f"{rows} IN ({listed(few)}))"]
    asked += [f"{rows} = {key:d} ORDER BY timestamp DESC LIMIT {MAX_OF_ONE})" for key in many]
    for sql in asked:
        for session, timestamp, issue in tx.run(sql):
            issue_id, is_dev = named[issue]
            yield session * 2 + is_dev, timestamp, issue_id


def of_issue(tx: Transaction, project: int, issue: int) -> Coincidences:
    """Of one issue with all others."""
    issue_id, is_dev, count = tx.one("SELECT id, is_dev, occurrence_count FROM issues WHERE key = ?", (issue,))
    latest = "SELECT session FROM occurrences WHERE issue = ? ORDER BY timestamp DESC, key DESC LIMIT ?"
    within = "SELECT session, timestamp, issue FROM occurrences WHERE session = ? LIMIT ?"
    rows: list[Any] = []
    for (session,) in tx.all(latest, (issue, MAX_OF_ONE)):
        rows += tx.all(within, (session, MAX_OCCURRENCES - len(rows)))
    full = len(rows) >= MAX_OCCURRENCES
    named = _named(tx, project, is_dev, {issue} | {key for _, _, key in rows})
    found = coincidences.met(
        ((session, timestamp, named[key]) for session, timestamp, key in rows if key in named), issue_id
    )
    complete = found.complete and not full and count <= MAX_OF_ONE
    return Coincidences(pairs=coincidences.most(found.sessions), coverage=Coverage(seen=len(named), complete=complete))


def _named(tx: Transaction, project: int, is_dev: int, keys: set[int]) -> dict[int, str]:
    """The ids of those issues that are the project's, in this mode."""
    named: dict[int, str] = {}
    for chunk in chunks(keys):
        rows = tx.all(
            f"""
            SELECT i.key, i.id FROM issues i JOIN apps a ON a.key = i.app
            WHERE i.key IN ({listed(chunk)}) AND a.project = ? AND i.is_dev = ?
            """,  # noqa: S608 - keys of ours
            (project, is_dev),
        )
        named.update(rows)
    return named
