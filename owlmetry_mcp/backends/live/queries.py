"""What a server is asked: paths and queries, of parameters that are checked before anything is sent."""

from typing import Any

from owlmetry_mcp.issues import filters, parameters
from owlmetry_mcp.issues.filters import EventFilter, Selection
from owlmetry_mcp.issues.models import DataMode

_EARLIEST = "1970-01-01T00:00:00.000Z"
"""Sent where no `since` is named: a server may take that for the last 24 hours."""


def issues_path(project_id: str) -> str:
    return f"/v1/projects/{parameters.uuid('project_id', project_id)}/issues"


def issue_path(project_id: str, issue_id: str, name: str = "issue_id") -> str:
    return f"{issues_path(project_id)}/{parameters.uuid(name, issue_id)}"


def issues(selection: Selection, cursor: str | None, limit: int | None) -> dict[str, Any]:
    """A selection as the server takes it: by data_mode, since the team-level route passes over is_dev."""
    return {
        **selected(selection),
        "cursor": parameters.optional_text("cursor", cursor),
        "limit": parameters.limit("limit", limit),
    }


def selected(selection: Selection) -> dict[str, Any]:
    return {
        "status": selection.status,
        "app_id": selection.app_id,
        "data_mode": _data_mode(selection.is_dev),
    }


def event_path(event_id: str) -> str:
    return f"/v1/events/{parameters.uuid('event_id', event_id)}"


def events(wanted: EventFilter, cursor: str | None, limit: int | None) -> dict[str, Any]:
    selection = filters.checked_events(wanted)
    return {
        "session_id": selection.session_id,
        "since": selection.since or _EARLIEST,
        "level": None if wanted.level is None else ",".join(selection.levels),
        "data_mode": _data_mode(selection.is_dev),
        "order": selection.order,
        "cursor": parameters.optional_text("cursor", cursor),
        "limit": parameters.limit("limit", limit),
    }


def _data_mode(is_dev: bool | None) -> DataMode:  # noqa: FBT001 - a column's three values
    return "all" if is_dev is None else "development" if is_dev else "production"
