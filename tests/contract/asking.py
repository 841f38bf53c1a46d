"""A recorded HTTP request, put to a Backend: what a REST face does with one, without the wire."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.filters import IssueFilter


async def ask(backend: Backend, method: str, path: str, body: object) -> tuple[int, Any]:
    """The status and the answer. Raises the backend's errors."""
    parts = urlsplit(path)
    query = {name: _typed(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    fields = body if isinstance(body, dict) else {}
    match method, parts.path.strip("/").split("/")[1:]:
        case "GET", ["auth", "whoami"]:
            return 200, _json(await backend.whoami())
        case "GET", ["projects"]:
            return 200, {"projects": _json(await backend.list_projects())}
        case "GET", ["issues"]:
            scope = {name: query.pop(name, None) for name in ("team_id", "project_id")}
            return 200, _json(await backend.list_team_issues(*_filter(query), **scope, **query))
        case "GET", ["projects", project, "issues"]:
            return 200, _json(await backend.list_issues(project, *_filter(query), **query))
        case "GET", ["projects", project, "issues", issue]:
            return 200, _json(await backend.get_issue(project, issue, **query))
        case "PATCH", ["projects", project, "issues", issue]:
            version = fields.get("resolved_at_version")
            status = fields.get("status")
            return 200, _json(await backend.update_status(project, issue, status, resolved_at_version=version))
        case "POST", ["projects", project, "issues", issue, "merge"]:
            return 200, _json(await backend.merge(project, issue, fields.get("source_issue_id")))
        case "GET", ["projects", project, "issues", issue, "comments"]:
            return 200, {"comments": _json(await backend.list_comments(project, issue))}
        case "POST", ["projects", project, "issues", issue, "comments"]:
            return 201, _json(await backend.add_comment(project, issue, fields.get("body")))
        case "PATCH", ["projects", project, "issues", issue, "comments", comment]:
            return 200, _json(await backend.edit_comment(project, issue, comment, fields.get("body")))
        case "DELETE", ["projects", project, "issues", issue, "comments", comment]:
            await backend.delete_comment(project, issue, comment)
            return 200, {"deleted": True}
    raise AssertionError(f"no operation for {method} {path}")


def _filter(query: dict[str, Any]) -> tuple[IssueFilter]:
    return (IssueFilter(**{name: query.pop(name, None) for name in ("status", "app_id", "is_dev", "data_mode")}),)


def _typed(name: str, value: str) -> object:
    """A query's text as what it spells, or as it is, for the backend to refuse."""
    if name in ("limit", "occurrence_limit") and value.removeprefix("-").isdecimal():
        return int(value)
    if name == "is_dev" and value in ("true", "false"):
        return value == "true"
    return value


def _json(answer: BaseModel | list[Any]) -> Any:
    if isinstance(answer, list):
        return [_json(row) for row in answer]
    return json.loads(answer.model_dump_json())


def bearer(header: str | None) -> str:
    """The credential in an Authorization header."""
    if header is None:
        raise Unheard("Missing authorization")
    scheme, _, credential = header.partition(" ")
    if scheme != "Bearer":
        raise Unheard("Invalid authorization format")
    return credential


class Unheard(InvalidInputError):
    status = 401
