"""Which issues a list shows."""

from dataclasses import dataclass
from typing import get_args

from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.lifecycle import STATUSES, Status
from owlmetry_mcp.issues.models import DataMode


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
    modes: tuple[DataMode, ...] = get_args(DataMode)
    mode = default_mode if wanted.data_mode is None else parameters.one_of("data_mode", wanted.data_mode, modes)
    if is_dev is None and mode != "all":
        is_dev = mode == "development"
    return Selection(status, app_id, is_dev)
