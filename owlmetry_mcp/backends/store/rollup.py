"""An issue on its way through a scan: read, rolled up in memory error by error, written once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from owlmetry_mcp.backends.store.bursts import Error
from owlmetry_mcp.backends.store.listing import Move, latest_move, record_moves
from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.versions import is_newer

Reason = Literal["opened", "regressed", "reopened"]


@dataclass(slots=True)
class SeenIssue:
    """An issue that the errors of a batch are of, as it is to be once they are counted."""

    key: int
    id: str
    app: int
    is_dev: int
    status: Status
    title: str
    source_module: str | None
    first_seen_at: str
    last_seen_at: str
    created_at: str
    updated_at: str
    occurrence_count: int = 0
    unique_user_count: int = 0
    resolved_at_version: str | None = None
    first_seen_app_version: str | None = None
    last_seen_app_version: str | None = None
    first_seen_sdk_version: str | None = None
    last_seen_sdk_version: str | None = None
    last_notified_at: str | None = None
    snoozed_at: str | None = None
    moved: int = 0
    stood_at: str = ""
    """Where it stands in lists, by `last_seen_at`; empty: it is in none yet."""
    is_changed: bool = False
    """Since it was last written."""
    new_occurrences: int = 0
    new_users: int = 0
    """Of each count, what this scan added."""
    reason: Reason | None = None

    def age(self) -> tuple[str, str, int]:
        return self.first_seen_at, self.created_at, self.key

    def see(self, error: Error) -> None:
        """Roll an error up. A version is the first or last of those that events name."""
        self.is_changed = True
        app_version, sdk_version = error.content.get("app_version"), error.content.get("sdk_version")
        if error.timestamp < self.first_seen_at:
            self.first_seen_at = error.timestamp
            self.first_seen_app_version = app_version or self.first_seen_app_version
            self.first_seen_sdk_version = sdk_version or self.first_seen_sdk_version
        else:
            self.first_seen_app_version = self.first_seen_app_version or app_version
            self.first_seen_sdk_version = self.first_seen_sdk_version or sdk_version
        if error.timestamp >= self.last_seen_at:
            self.last_seen_at = error.timestamp
            self.last_seen_app_version = app_version or self.last_seen_app_version
            self.last_seen_sdk_version = sdk_version or self.last_seen_sdk_version
        else:
            self.last_seen_app_version = self.last_seen_app_version or app_version
            self.last_seen_sdk_version = self.last_seen_sdk_version or sdk_version
        fixed_in = self.resolved_at_version if self.status == "resolved" else None
        if fixed_in is not None and app_version and is_newer(app_version, fixed_in):
            self.status, self.resolved_at_version, self.reason = "regressed", None, "regressed"

    def occur(self) -> None:
        """Count a new occurrence; a snoozed issue wakes."""
        self.occurrence_count += 1
        self.new_occurrences += 1
        if self.status == "snoozed":
            self.status, self.snoozed_at, self.resolved_at_version, self.reason = "new", None, None, "reopened"


_COLUMNS = (
    "key", "id", "app", "is_dev", "status", "title", "source_module", "first_seen_at", "last_seen_at", "created_at",
    "updated_at", "occurrence_count", "unique_user_count", "resolved_at_version", "first_seen_app_version",
    "last_seen_app_version", "first_seen_sdk_version", "last_seen_sdk_version", "last_notified_at", "snoozed_at",
)  # fmt: skip
_CHANGING = (*(name for name in _COLUMNS if name not in ("key", "id", "app", "is_dev", "created_at")), "moved")
_INSERT = f"INSERT INTO issues ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 - names from above
_UPDATE = f"UPDATE issues SET {', '.join(f'{name} = ?' for name in _CHANGING)} WHERE key = ?"  # noqa: S608 - likewise
_ALL_COLUMNS, _ALL_CHANGING = attrgetter(*_COLUMNS), attrgetter(*_CHANGING, "key")


def read(tx: Transaction, keys: Iterable[int]) -> Iterator[SeenIssue]:
    for chunk in chunks(keys):
        columns = f"{', '.join(_COLUMNS)}, moved, last_seen_at"
        for row in tx.run(f"SELECT {columns} FROM issues WHERE key IN ({listed(chunk)})"):  # noqa: S608 - keys of ours
            yield SeenIssue(*row)


def insert(tx: Transaction, opened: Sequence[SeenIssue]) -> None:
    tx.connection.executemany(_INSERT, map(_ALL_COLUMNS, opened))
    for issue in opened:
        issue.stood_at, issue.is_changed = issue.last_seen_at, False


def update(tx: Transaction, changed: Sequence[SeenIssue]) -> None:
    """Write issues anew, and remember where in lists those stood that stand elsewhere now."""
    moves = []
    for move, issue in enumerate((it for it in changed if it.last_seen_at != it.stood_at), latest_move(tx) + 1):
        moves.append(Move(move, issue.key, issue.stood_at, issue.moved))
        issue.moved = move
    for issue in changed:
        issue.updated_at = tx.now
    tx.connection.executemany(_UPDATE, map(_ALL_CHANGING, changed))
    record_moves(tx, moves)
