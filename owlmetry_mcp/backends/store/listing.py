"""Lists of issues, page by page.

Two indexes serve every list: `(app, is_dev, last_seen_at, id)`, and the same with a status before the instant. A list
is the merge of its branches, one for each app and mode it lets through, each a seek in one of them; so a page costs the
same wherever it lies, a rare status no more than a common one, and a list of many apps in proportion to them.

The order's key, `last_seen_at`, changes as issues are seen again or merged. A walk through the pages goes by where
issues stood when it began: those that have moved since are left out where they are now and met where they were, as
`issue_moves` remembers. So none is lost and none comes twice.
"""

from collections.abc import Iterable, Sequence
from itertools import islice, product
from typing import NamedTuple

from owlmetry_mcp.backends.store.cursors import Cursor
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.evidence import Coverage, ManyIssues
from owlmetry_mcp.issues.filters import Selection
from owlmetry_mcp.issues.models import Issue, IssuePage

_COLUMNS = (
    "id", "status", "title", "source_module", "is_dev", "occurrence_count", "unique_user_count", "resolved_at_version",
    "first_seen_app_version", "last_seen_app_version", "first_seen_sdk_version", "last_seen_sdk_version",
    "first_seen_at", "last_seen_at", "last_notified_at", "snoozed_at", "created_at", "updated_at",
)  # fmt: skip
"""Of the fields of an issue, those that its row has."""
KEPT_MOVES = 100_000  # as the schema's trigger has it
_MAX_BRANCHES = 480  # SQLite merges at most 500 in one statement

Place = tuple[str, str, int]
"""Where an issue stands in the order, and its key: (last_seen_at, id, key)."""


def page(  # noqa: PLR0913 - a list has as many sides
    tx: Transaction, apps: Sequence[int], selection: Selection, cursor: Cursor | None, limit: int, *, named: bool
) -> IssuePage:
    """A page of the issues of `apps`; with their projects' names if `named`.

    Raises:
        InvalidInputError: the cursor is of a list begun too long ago.
    """
    apps = _of_app(tx, apps, selection)
    begun = latest_move(tx) if cursor is None else _begun(tx, cursor)
    places = _unmoved(tx, apps, selection, cursor, limit + 1)
    if cursor is not None:
        places += _moved(tx, apps, selection, cursor, limit + 1)
    places.sort(reverse=True)
    shown = places[:limit]
    has_more = len(places) > limit
    issues = issues_of(tx, [key for _, _, key in shown], named=named)
    last = Cursor(*shown[-1][:2], begun).text() if has_more else None
    return IssuePage.model_construct(issues=issues, cursor=last, has_more=has_more)


def many(  # noqa: PLR0913 - as `page`
    tx: Transaction, apps: Sequence[int], selection: Selection, most: int, since: str | None, *, named: bool
) -> ManyIssues:
    """The first `most` issues of the list, last seen since then; with their projects' names if `named`."""
    places = _unmoved(tx, _of_app(tx, apps, selection), selection, None, most + 1)
    places = sorted((place for place in places if place[0] >= (since or "")), reverse=True)
    issues = issues_of(tx, [key for _, _, key in places[:most]], named=named)
    return ManyIssues(issues=issues, coverage=Coverage(seen=len(issues), complete=len(places) <= most))


def _of_app(tx: Transaction, apps: Sequence[int], selection: Selection) -> Sequence[int]:
    if selection.app_id is None:
        return apps
    row = tx.one("SELECT key FROM apps WHERE id = ?", (selection.app_id,))
    return [app for app in apps if row and app == row[0]]


def apps_of_project(tx: Transaction, project: int) -> list[int]:
    return [key for (key,) in tx.all("SELECT key FROM apps WHERE project = ?", (project,))]


def apps_of_teams(tx: Transaction, teams: Iterable[int]) -> list[int]:
    sql = f"SELECT a.key FROM apps a JOIN projects p ON p.key = a.project WHERE p.team IN ({listed(teams)})"  # noqa: S608 - keys of ours
    return [key for (key,) in tx.all(sql)]


class Move(NamedTuple):
    """A change of an issue's place in lists, from where it stood."""

    move: int
    issue: int
    last_seen_at: str
    since: int
    """The move that had brought it there."""


def record_moves(tx: Transaction, moves: Sequence[Move]) -> None:
    """Remember the moves of issues whose `moved` is changed along with `last_seen_at`; the trigger keeps the others."""
    sql = "INSERT INTO issue_moves (move, issue, last_seen_at, since) VALUES (?, ?, ?, ?)"
    tx.connection.executemany(sql, moves)
    tx.run("DELETE FROM issue_moves WHERE move <= ?", (latest_move(tx) - KEPT_MOVES,))


def latest_move(tx: Transaction) -> int:
    row: tuple[int] | None = tx.one("SELECT seq FROM sqlite_sequence WHERE name = 'issue_moves'")
    return row[0] if row else 0


def _begun(tx: Transaction, cursor: Cursor) -> int:
    if cursor.begun < latest_move(tx) - KEPT_MOVES:
        raise InvalidInputError(
            "cursor is of a list that was begun too long ago: too much has changed since", "Begin again without it."
        )
    return cursor.begun


def _unmoved(
    tx: Transaction, apps: Sequence[int], selection: Selection, cursor: Cursor | None, count: int
) -> list[Place]:
    """The first `count` issues behind the cursor that stand where they stood when the walk began."""
    modes = (0, 1) if selection.is_dev is None else (int(selection.is_dev),)
    of_status = "" if selection.status is None else " AND status = :status"
    behind = "" if cursor is None else " AND (last_seen_at, id) < (:at, :id) AND moved <= :begun"
    parameters = {"status": selection.status, **(cursor._asdict() if cursor else {})}
    places: list[Place] = []
    branches = product(apps, modes)
    while chunk := list(islice(branches, _MAX_BRANCHES)):
        merged = " UNION ALL ".join(
            f"SELECT last_seen_at, id, key FROM issues WHERE app = {app:d} AND is_dev = {mode:d}{of_status}{behind}"  # noqa: S608 - keys of ours
            for app, mode in chunk
        )
        places += tx.all(f"{merged} ORDER BY last_seen_at DESC, id DESC LIMIT {count:d}", parameters)
    return places


def _moved(tx: Transaction, apps: Sequence[int], selection: Selection, cursor: Cursor, count: int) -> list[Place]:
    """The first `count` issues behind the cursor that have moved since the walk began, at their places of then."""
    return tx.all(
        f"""
        SELECT m.last_seen_at, i.id, i.key
        FROM issue_moves m CROSS JOIN issues i ON i.key = m.issue  -- in this order: moves are few, issues many
        WHERE m.move > :begun AND m.since <= :begun AND (m.last_seen_at, i.id) < (:at, :id)
            AND i.app IN ({listed(apps)})
            AND (:status IS NULL OR i.status = :status) AND (:is_dev IS NULL OR i.is_dev = :is_dev)
        ORDER BY m.last_seen_at DESC, i.id DESC LIMIT {count:d}
        """,  # noqa: S608 - keys of ours
        {**cursor._asdict(), "status": selection.status, "is_dev": selection.is_dev},
    )


def issues_of(tx: Transaction, keys: Sequence[int], *, named: bool) -> list[Issue]:
    """The issues with these keys, in this order; with their projects' names if `named`."""
    sql = f"SELECT {', '.join(_COLUMNS)}, key, app FROM issues WHERE key IN ({listed(keys)})"  # noqa: S608 - names from above, and keys of ours
    rows = {row[-2]: row for row in tx.all(sql)}
    apps = _apps(tx, {row[-1] for row in rows.values()}, named=named)
    fingerprints = _fingerprints(tx, keys)
    issues = []
    for key in keys:
        row = rows[key]
        fields = dict(zip(_COLUMNS, row, strict=False))
        fields.update(apps[row[-1]], is_dev=bool(fields["is_dev"]), fingerprints=fingerprints[key])
        issues.append(Issue.trusted(fields))
    return issues


def _apps(tx: Transaction, keys: Iterable[int], *, named: bool) -> dict[int, dict[str, str]]:
    """What issues say of their apps, by the apps' keys."""
    rows = tx.all(
        f"""
        SELECT a.key, a.id, p.id, a.name, p.name FROM apps a JOIN projects p ON p.key = a.project
        WHERE a.key IN ({listed(keys)})
        """  # noqa: S608 - keys of ours
    )
    return {
        key: {"app_id": app_id, "project_id": project_id, "app_name": name}
        | ({"project_name": project} if named else {})
        for key, app_id, project_id, name, project in rows
    }


def _fingerprints(tx: Transaction, keys: Sequence[int]) -> dict[int, list[str]]:
    """Those of each issue, each once: after a merge it may have one of several apps."""
    found: dict[int, dict[str, None]] = {key: {} for key in keys}
    sql = f"SELECT issue, fingerprint FROM fingerprints WHERE issue IN ({listed(keys)})"  # noqa: S608 - keys of ours
    for key, fingerprint in tx.all(sql):
        found[key][fingerprint] = None
    return {key: [*of_issue] for key, of_issue in found.items()}
