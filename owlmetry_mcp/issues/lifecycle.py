"""An issue's statuses, the moves between them, and what each move sets and clears.

Source: the API reference, "Valid status transitions" and what it says of `resolved_at_version` and `snoozed_at`.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from owlmetry_mcp.issues.errors import ForbiddenMoveError, InvalidInputError
from owlmetry_mcp.issues.parameters import one_of, optional_text, trimmed

Status = Literal["new", "in_progress", "resolved", "silenced", "regressed", "snoozed"]
STATUSES: tuple[Status, ...] = get_args(Status)

MOVES: MappingProxyType[Status, tuple[Status, ...]] = MappingProxyType(
    {
        "new": ("in_progress", "resolved", "silenced", "snoozed"),
        "in_progress": ("new", "resolved", "silenced", "snoozed"),
        "resolved": ("new", "silenced", "snoozed"),
        "regressed": ("in_progress", "resolved", "silenced", "snoozed"),
        "silenced": ("new", "in_progress", "resolved", "snoozed"),
        "snoozed": ("new", "in_progress", "resolved", "silenced"),
    }
)
"""Where a caller may move an issue. The scan alone moves one to regressed."""

MAX_VERSION_LENGTH = 50


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A checked wish to move an issue to `status`."""

    status: Status
    resolved_at_version: str | None
    """Set for resolved, and for no other status."""


def status_change(status: object, resolved_at_version: object) -> StatusChange:
    """What a caller asks for, checked as far as it can be without the issue.

    Raises:
        InvalidInputError: no such status, or resolved without a version of 1 to 50 characters.
    """
    if status is None:
        raise InvalidInputError("status is required", f"It takes one of {', '.join(STATUSES)}.")
    wanted: Status = one_of("status", status, STATUSES, message="Invalid status. Must be one of: {allowed}")
    version = trimmed(optional_text("resolved_at_version", resolved_at_version) or "")
    if wanted != "resolved":
        return StatusChange(wanted, None)
    if not version:
        raise InvalidInputError(
            "resolved_at_version is required when resolving an issue."
            " Use status='silenced' if you don't want auto-regression.",
        )
    if len(version) > MAX_VERSION_LENGTH:
        raise InvalidInputError(f"resolved_at_version must be at most {MAX_VERSION_LENGTH} characters")
    return StatusChange(wanted, version)


@dataclass(frozen=True, slots=True)
class State:
    """The part of an issue that a move decides."""

    status: Status
    resolved_at_version: str | None
    snoozed_at: str | None


def moved(before: State, change: StatusChange, now: str) -> State:
    """The state after the move.

    A version stays while a resolved issue is silenced or snoozed, and goes when it becomes new or in_progress.

    Raises:
        ForbiddenMoveError: the lifecycle has no such move.
    """
    allowed = MOVES[before.status]
    if change.status not in allowed:
        raise ForbiddenMoveError(
            f"Cannot transition from '{before.status}' to '{change.status}'",
            f"From {before.status}: {', '.join(allowed)}.",
        )
    match change.status:
        case "resolved":
            version = change.resolved_at_version
        case "silenced" | "snoozed":
            version = before.resolved_at_version
        case _:
            version = None
    return State(change.status, version, now if change.status == "snoozed" else None)
