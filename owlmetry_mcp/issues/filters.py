"""Which issues, or which events, a list shows."""

from dataclasses import dataclass
from typing import get_args

from owlmetry_mcp.issues import parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.lifecycle import STATUSES, Status
from owlmetry_mcp.issues.models import DataMode, Level, Order


@dataclass(frozen=True, slots=True)
class IssueFilter:
    """What a caller asks for. Unset parts let everything through."""

    status: str | None = None
    app_id: str | None = None
    is_dev: bool | None = None
    """Takes precedence over `data_mode`."""
    data_mode: str | None = None
    """production, development or all. Unset: all for a project's list, production for the team-level one."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter, checked, with the defaults filled in."""

    status: Status | None
    app_id: str | None
    is_dev: bool | None


def checked(wanted: IssueFilter, default_mode: DataMode) -> Selection:
    """
    Raises:
        InvalidInputError: a value that the parameter does not take.
    """
    status = None if wanted.status is None else parameters.one_of("status", wanted.status, STATUSES)
    app_id = parameters.optional_uuid("app_id", wanted.app_id)
    is_dev = parameters.flag("is_dev", wanted.is_dev)
    by_mode = _is_dev(wanted.data_mode, default_mode)
    return Selection(status, app_id, by_mode if is_dev is None else is_dev)


def _is_dev(data_mode: str | None, default: DataMode) -> bool | None:
    modes: tuple[DataMode, ...] = get_args(DataMode)
    mode = default if data_mode is None else parameters.one_of("data_mode", data_mode, modes)
    return None if mode == "all" else mode == "development"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a caller asks for. Unset parts, but for the session, let everything through."""

    session_id: str | None = None
    since: str | None = None
    """An instant, ISO 8601; UTC where it names no offset."""
    level: str | None = None
    """One or several, with commas between them."""
    data_mode: str | None = None
    """production (unless set), development or all."""
    order: str | None = None
    """By the events' timestamps: desc (unless set) or asc."""


@dataclass(frozen=True, slots=True)
class EventSelection:
    """A filter of events, checked, with the defaults filled in."""

    session_id: str
    since: str | None
    levels: tuple[Level, ...]
    is_dev: bool | None
    order: Order


def checked_events(wanted: EventFilter) -> EventSelection:
    """
    Raises:
        InvalidInputError: a value that the parameter does not take, or no session.
    """
    if wanted.session_id is None:
        raise InvalidInputError("session_id is required", "Events are listed by session.")
    levels: tuple[Level, ...] = get_args(Level)
    orders: tuple[Order, ...] = get_args(Order)
    text = parameters.optional_text("level", wanted.level)
    return EventSelection(
        session_id=parameters.uuid("session_id", wanted.session_id),
        since=None if wanted.since is None else times.parameter("since", wanted.since),
        levels=levels if text is None else tuple(parameters.one_of("level", part, levels) for part in text.split(",")),
        is_dev=_is_dev(wanted.data_mode, "production"),
        order="desc" if wanted.order is None else parameters.one_of("order", wanted.order, orders),
    )
