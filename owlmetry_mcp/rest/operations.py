"""The API's endpoints, each one operation of the backend that the request's credential opens."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from owlmetry_mcp.backends.base import Tracker
from owlmetry_mcp.http.requests import credential
from owlmetry_mcp.rest.requests import (
    MAX_BODY_BYTES,
    MAX_IMPORT_BYTES,
    count,
    event_filter,
    issue_filter,
    json_object,
)

_ISSUE = "/v1/projects/{project_id}/issues/{issue_id}"


def _backend(request: Request) -> Tracker:
    acting_as: Callable[[str], Tracker] = request.app.state.acting_as
    return acting_as(credential(request))


async def _with_fields(request: Request, most_bytes: int = MAX_BODY_BYTES) -> tuple[Tracker, defaultdict[str, Any]]:
    """The backend, and the fields of the body, which is not read of anyone who may not be here at all."""
    backend = _backend(request)
    await backend.whoami()
    return backend, await json_object(request, most_bytes)


def _at(request: Request) -> tuple[str, str]:
    return request.path_params["project_id"], request.path_params["issue_id"]


def _answer(resource: BaseModel, status: int = 200) -> Response:
    return Response(resource.model_dump_json(exclude_unset=True), status, media_type="application/json")


def _list(name: str, resources: Sequence[BaseModel]) -> Response:
    rows = [resource.model_dump(exclude_unset=True) for resource in resources]
    return Response(to_json({name: rows}), media_type="application/json")


async def health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def describe(_: Request) -> Response:
    from owlmetry_mcp.rest import openapi  # noqa: PLC0415 - few ask, and it is made from this module's routes

    return Response(openapi.document(), media_type="application/json")


async def whoami(request: Request) -> Response:
    return _answer(await _backend(request).whoami())


async def list_projects(request: Request) -> Response:
    return _list("projects", await _backend(request).list_projects())


async def list_team_issues(request: Request) -> Response:
    query = request.query_params
    page = await _backend(request).list_team_issues(
        issue_filter(request),
        team_id=query.get("team_id"),
        project_id=query.get("project_id"),
        cursor=query.get("cursor"),
        limit=count(request, "limit"),
    )
    return _answer(page)


async def list_issues(request: Request) -> Response:
    page = await _backend(request).list_issues(
        request.path_params["project_id"],
        issue_filter(request),
        cursor=request.query_params.get("cursor"),
        limit=count(request, "limit"),
    )
    return _answer(page)


async def get_issue(request: Request) -> Response:
    found = await _backend(request).get_issue(
        *_at(request),
        occurrence_cursor=request.query_params.get("occurrence_cursor"),
        occurrence_limit=count(request, "occurrence_limit"),
    )
    return _answer(found)


async def update_status(request: Request) -> Response:
    backend, fields = await _with_fields(request)
    status, version = fields["status"], fields["resolved_at_version"]
    return _answer(await backend.update_status(*_at(request), status, resolved_at_version=version))


async def merge(request: Request) -> Response:
    backend, fields = await _with_fields(request)
    return _answer(await backend.merge(*_at(request), fields["source_issue_id"]))


async def list_comments(request: Request) -> Response:
    return _list("comments", await _backend(request).list_comments(*_at(request)))


async def add_comment(request: Request) -> Response:
    backend, fields = await _with_fields(request)
    return _answer(await backend.add_comment(*_at(request), fields["body"]), 201)


async def edit_comment(request: Request) -> Response:
    backend, fields = await _with_fields(request)
    comment_id = request.path_params["comment_id"]
    return _answer(await backend.edit_comment(*_at(request), comment_id, fields["body"]))


async def delete_comment(request: Request) -> Response:
    await _backend(request).delete_comment(*_at(request), request.path_params["comment_id"])
    return JSONResponse({"deleted": True})


async def ingest(request: Request) -> Response:
    tracker, fields = await _with_fields(request)
    return _answer(await tracker.ingest(fields["events"], fields["bundle_id"]))


async def import_events(request: Request) -> Response:
    tracker, fields = await _with_fields(request, MAX_IMPORT_BYTES)
    return _answer(await tracker.import_events(fields["events"]))


async def list_events(request: Request) -> Response:
    page = await _backend(request).list_events(
        event_filter(request), cursor=request.query_params.get("cursor"), limit=count(request, "limit")
    )
    return _answer(page)


async def get_event(request: Request) -> Response:
    return _answer(await _backend(request).get_event(request.path_params["event_id"]))


ROUTES = [
    Route("/health", health, methods=["GET"]),
    Route("/openapi.json", describe, methods=["GET"]),
    Route("/v1/auth/whoami", whoami, methods=["GET"]),
    Route("/v1/projects", list_projects, methods=["GET"]),
    Route("/v1/ingest", ingest, methods=["POST"]),
    Route("/v1/import", import_events, methods=["POST"]),
    Route("/v1/events", list_events, methods=["GET"]),
    Route("/v1/events/{event_id}", get_event, methods=["GET"]),
    Route("/v1/issues", list_team_issues, methods=["GET"]),
    Route("/v1/projects/{project_id}/issues", list_issues, methods=["GET"]),
    Route(_ISSUE, get_issue, methods=["GET"]),
    Route(_ISSUE, update_status, methods=["PATCH"]),
    Route(f"{_ISSUE}/merge", merge, methods=["POST"]),
    Route(f"{_ISSUE}/comments", list_comments, methods=["GET"]),
    Route(f"{_ISSUE}/comments", add_comment, methods=["POST"]),
    Route(f"{_ISSUE}/comments/{{comment_id}}", edit_comment, methods=["PATCH"]),
    Route(f"{_ISSUE}/comments/{{comment_id}}", delete_comment, methods=["DELETE"]),
]
