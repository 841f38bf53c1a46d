"""A server's issues on their way into a fresh store: an issue at a time, so that a pull can be cut and gone on with."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from owlmetry_mcp.backends.store import carried, first_start
from owlmetry_mcp.backends.store.carried import KnownComment, Place
from owlmetry_mcp.backends.store.document import SECTIONS, Document, Row
from owlmetry_mcp.backends.store.importing import import_document
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import ConflictError
from owlmetry_mcp.issues.events import ENVIRONMENTS
from owlmetry_mcp.issues.models import Platform

_TAKEN: Mapping[str, Sequence[tuple[tuple[str, ...], str]]] = {
    "teams": ((("id",), "SELECT 1 FROM teams WHERE id = ?"),),
    "projects": ((("id",), "SELECT 1 FROM projects WHERE id = ?"),),
    "apps": ((("id",), "SELECT 1 FROM apps WHERE id = ?"),),
    "issues": ((("id",), "SELECT 1 FROM issues WHERE id = ?"),),
    "fingerprints": (
        (
            ("app_id", "is_dev", "fingerprint"),
            """
            SELECT 1 FROM fingerprints f JOIN apps a ON a.key = f.app
            WHERE a.id = ? AND f.is_dev = ? AND f.fingerprint = ?
            """,
        ),
    ),
    "occurrences": (
        (("id",), "SELECT 1 FROM occurrences WHERE id = uuid_blob(?)"),
        (
            ("session_id", "issue_id"),
            """
            SELECT 1 FROM occurrences o JOIN sessions s ON s.key = o.session JOIN issues i ON i.key = o.issue
            WHERE s.id = uuid_blob(?) AND i.id = ?
            """,
        ),
    ),
    "comments": ((("id",), "SELECT 1 FROM comments WHERE id = ?"),),
    "attachments": ((("id",), "SELECT 1 FROM attachments WHERE id = ?"),),
    "events": (
        (("id",), "SELECT 1 FROM events WHERE id = uuid_blob(?)"),
        (
            ("client_event_id", "app_id"),
            """
            SELECT 1 FROM events e JOIN apps a ON a.key = e.app WHERE e.client_event_id = uuid_blob(?) AND a.id = ?
            """,
        ),
    ),
}
"""What no two rows of a section have alike, and how to see whether one has it."""
_PLATFORMS: Mapping[str, Platform] = {name: platform for platform, names in ENVIRONMENTS.items() for name in names}


def begin(tx: Transaction, endpoint: str) -> set[str]:
    """The ids of the issues that are here already, of a pull that was cut.

    Raises:
        ConflictError: the store is not fresh, nor is it in the middle of a pull from there.
    """
    row = tx.one("SELECT last_event, ended_at FROM pulls WHERE endpoint = ?", (endpoint,))
    if row is None:
        if not first_start.is_fresh(tx):
            raise ConflictError(
                "The store is not fresh: it has issues, events, users, keys or projects of its own",
                "Name a new file with --store.",
            )
        tx.run("INSERT INTO pulls VALUES (?, 0, NULL)", (endpoint,))
        return set()
    last_event, ended_at = row
    if ended_at is not None:
        raise ConflictError(
            f"The store was pulled from there on {ended_at[:10]}, whole",
            "`push` carries back what was done here. To pull anew, name a new file with --store.",
        )
    if last_event != tx.one("SELECT coalesce(max(key), 0) FROM events")[0]:
        raise ConflictError(
            "Events have come into the store since its pull was cut short",
            "It cannot be gone on with. Name a new file with --store.",
        )
    return {issue_id for (issue_id,) in tx.all("SELECT id FROM issues")}


def keep(tx: Transaction, endpoint: str, document: Document) -> Counter[str]:
    """Add what the store has not, as what it was and is there. How many rows were added, by section."""
    for section in SECTIONS:
        rows: list[Row] = getattr(document, section)
        for names, sql in _TAKEN.get(section, ()):
            rows = [*_free(tx, rows, names, sql)]
        setattr(document, section, rows)
    imported = import_document(tx, document)
    for issue in document.issues:
        carried.keep_status(tx, endpoint, issue.id, (issue.status, issue.resolved_at_version))
    for comment in document.comments:
        (key,) = tx.one("SELECT key FROM comments WHERE id = ?", (comment.id,))
        carried.keep_comment(tx, endpoint, key, KnownComment(comment.id, None))
    (last,) = tx.one("SELECT coalesce(max(key), 0) FROM events")
    for app, app_id, project_id in tx.all("SELECT a.key, a.id, p.id FROM apps a JOIN projects p ON p.key = a.project"):
        carried.keep_place(tx, endpoint, app, Place(app_id, project_id, last))
    tx.run("UPDATE pulls SET last_event = ? WHERE endpoint = ?", (last, endpoint))
    return imported.counts


def _free(tx: Transaction, rows: Sequence[Row], names: tuple[str, ...], sql: str) -> Iterator[Row]:
    """The rows that have something there that no row before them has, in the store or among them; or nothing at all."""
    taken: set[tuple[Any, ...]] = set()
    for row in rows:
        values = tuple(getattr(row, name) for name in names)
        if values[0] is None or (values not in taken and not tx.one(sql, values)):
            taken.add(values)
            yield row


def end(tx: Transaction, endpoint: str) -> list[str]:
    """All is here. The names of the apps of which no event says what they run on: no answer of a server does."""
    found: dict[int, Counter[Platform]] = defaultdict(Counter)
    seen = tx.all(
        """
        SELECT i.app, o.environment, count(*) FROM occurrences o JOIN issues i ON i.key = o.issue
        GROUP BY i.app, o.environment
        """
    )
    for app, environment, count in seen:
        if environment in _PLATFORMS:
            found[app][_PLATFORMS[environment]] += count
    for app, platforms in found.items():
        tx.run("UPDATE apps SET platform = ? WHERE key = ?", (platforms.most_common(1)[0][0], app))
    tx.run("UPDATE pulls SET ended_at = ? WHERE endpoint = ?", (tx.now, endpoint))
    return [name for key, name in tx.all("SELECT key, name FROM apps ORDER BY key") if key not in found]
