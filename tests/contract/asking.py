"""A recorded HTTP request, put to a Backend: what a REST face does with one, without the wire."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.errors import UnauthenticatedError
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.models import Issue
from tests.world import SYMBOLS

ISSUE = "projects/([^/]+)/issues/([^/]+)"
OPERATIONS: dict[str, Callable[..., Awaitable[Any]]] = {
    "GET auth/whoami": lambda to, _, __: to.whoami(),
    "GET projects": lambda to, _, __: to.list_projects(),
    "POST ingest": lambda to, _, body: to.ingest(body.get("events"), body.get("bundle_id")),
    "POST import": lambda to, _, body: to.import_events(body.get("events")),
    "GET events": lambda to, query, _: to.list_events(events_filtered(query), **query),
    "GET events/([^/]+)": lambda to, _, __, *at: to.get_event(*at),
    "GET issues": lambda to, query, _: to.list_team_issues(filtered(query), **query),
    "GET projects/([^/]+)/issues": lambda to, query, _, *at: to.list_issues(*at, filtered(query), **query),
    f"GET {ISSUE}": lambda to, query, _, *at: to.get_issue(*at, **query),
    f"PATCH {ISSUE}": lambda to, _, body, *at: to.update_status(
        *at, body.get("status"), resolved_at_version=body.get("resolved_at_version")
    ),
    f"POST {ISSUE}/merge": lambda to, _, body, *at: to.merge(*at, body.get("source_issue_id")),
    f"GET {ISSUE}/comments": lambda to, _, __, *at: to.list_comments(*at),
    f"POST {ISSUE}/comments": lambda to, _, body, *at: to.add_comment(*at, body.get("body")),
    f"PATCH {ISSUE}/comments/([^/]+)": lambda to, _, body, *at: to.edit_comment(*at, body.get("body")),
    f"DELETE {ISSUE}/comments/([^/]+)": lambda to, _, __, *at: to.delete_comment(*at),
}


async def ask(backend: Backend, method: str, path: str, body: object) -> tuple[int, Any]:
    """The status and the answer. Raises the backend's errors."""
    parts = urlsplit(path)
    query = {name: spelt(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    asked = f"{method} {parts.path.removeprefix('/v1/')}"
    match, operation = next(
        (match, operation) for route, operation in OPERATIONS.items() if (match := re.fullmatch(route, asked))
    )
    answer = as_json(await operation(backend, query, body if isinstance(body, dict) else {}, *match.groups()))
    if isinstance(answer, list):
        answer = {parts.path.rpartition("/")[2]: answer}
    return 201 if method == "POST" and path.endswith("comments") else 200, answer or {"deleted": True}


def filtered(query: dict[str, Any]) -> IssueFilter:
    """The filter in a query, taken out of it."""
    return IssueFilter(**{name: query.pop(name, None) for name in ("status", "app_id", "is_dev", "data_mode")})


def events_filtered(query: dict[str, Any]) -> EventFilter:
    names = ("session_id", "since", "level", "data_mode", "order")
    return EventFilter(**{name: query.pop(name, None) for name in names})


def spelt(name: str, value: str) -> object:
    """A query's text as what it spells, or as it is, for the backend to refuse."""
    if name in ("limit", "occurrence_limit") and value.removeprefix("-").isdecimal():
        return int(value)
    if name == "is_dev" and value in ("true", "false"):
        return value == "true"
    return value


def as_json(answer: BaseModel | list[Any] | None) -> Any:
    if isinstance(answer, list):
        return [as_json(row) for row in answer]
    return answer and json.loads(answer.model_dump_json())


async def issue_of(backend: Backend, name: str) -> Issue:
    """The issue of the shop with this name, as a list has it."""
    detail = await backend.get_issue(SYMBOLS["shop"], SYMBOLS[name])
    return Issue.model_validate(detail.model_dump(include=set(Issue.model_fields)))


def bearer(header: str | None) -> str:
    """The credential in an Authorization header."""
    if header is None:
        raise UnauthenticatedError("Missing authorization")
    scheme, _, credential = header.partition(" ")
    if scheme != "Bearer":
        raise UnauthenticatedError("Invalid authorization format")
    return credential
