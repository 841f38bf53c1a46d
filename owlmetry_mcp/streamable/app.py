"""The MCP face over HTTP, as an ASGI application: each request is one of the caller whose key it carries.

Source: the protocol's "Streamable HTTP" and "Authorization" of 2026-07-28. Requests of the older era are served
without a session: what that era needs one for (notifications of changes, questions to the person) is not offered to it.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp_types import INTERNAL_ERROR, INVALID_REQUEST
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from owlmetry_mcp.http.doors import HostNames, LoginBrake
from owlmetry_mcp.http.requests import credential, whole_body
from owlmetry_mcp.issues.errors import OwlmetryError, PermissionDeniedError, StoreBusyError, UnauthenticatedError
from owlmetry_mcp.server.messages import error
from owlmetry_mcp.streamable.bodies import MAX_BODY_BYTES, check_headers, refused
from owlmetry_mcp.streamable.callers import Callers

logger = logging.getLogger(__name__)

PATH = "/mcp"

_OWN_KEY = "Send a key with each request, as `Authorization: Bearer owl_agent_…`; `owlmetry-mcp keys create` makes one."
# No resource_metadata, with which clients would look for an authorization server: keys are made at the command line,
# and RFC 9728's metadata, by the protocol, names at least one such server. Authorization by it is optional.
_CHALLENGE = 'Bearer realm="owlmetry-mcp"'
_NOT_VALID = 'error="invalid_token", error_description="The key or token is unknown, revoked or expired"'
_NOT_ENOUGH = 'error="insufficient_scope", error_description="Only agents\' keys and users\' tokens are taken"'


def create_app(callers: Callers, names: HostNames | None = None, brake: LoginBrake | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with callers.running():
            yield

    app = Starlette(
        routes=[Route(PATH, _Endpoint(callers), methods=["POST"])],
        middleware=[Middleware(_Doors, names or HostNames())],
        exception_handlers={
            UnauthenticatedError: _unauthenticated,
            PermissionDeniedError: _not_for_agents,
            OwlmetryError: _unavailable,
            HTTPException: _refused,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.brake = brake or LoginBrake()
    return app


class _Doors:
    """Refuses what was sent to another host, and what a page of another origin sent."""

    def __init__(self, app: ASGIApp, names: HostNames) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._refusal(scope) or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["type"] != "http":
            return None
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._names.knows(host):
            return refusal(421, "Host is not one that this server goes by. `--host-name` adds one.")
        if any(not self._names.is_own_page(origin, host) for origin in headers.getlist("origin")):
            return refusal(403, "Origin is not one that this server goes by. `--host-name` adds one.")
        return None


class _Endpoint:
    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        async with self._callers.admitted(credential(request)) as caller:
            check_headers(request.headers)
            body = await whole_body(request, MAX_BODY_BYTES)
            if answer := refused(body, request.headers):
                await answer(scope, receive, send)
            else:
                await caller.serve(scope, _again(body, receive), send)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives the body that was read before, and then what comes after it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_one() -> Message:
        return messages.pop() if messages else await receive()

    return next_one


def refusal(status: int, message: str, code: int = INVALID_REQUEST, headers: dict[str, str] | None = None) -> Response:
    content = error(code, message).model_dump_json(by_alias=True, exclude_unset=True)
    return Response(content, status, headers, media_type="application/json")


async def _unauthenticated(request: Request, failure: Exception) -> Response:
    shown = "authorization" in request.headers
    if shown:
        brake: LoginBrake = request.app.state.brake
        await brake.failed(request.client.host if request.client else "")
    assert isinstance(failure, UnauthenticatedError)  # noqa: S101 - what this handler is registered for
    challenge = f"{_CHALLENGE}, {_NOT_VALID}" if shown else _CHALLENGE
    return refusal(401, f"{failure.message}. {_OWN_KEY}", headers={"WWW-Authenticate": challenge})


async def _not_for_agents(_: Request, failure: Exception) -> Response:
    return refusal(403, str(failure), headers={"WWW-Authenticate": f"{_CHALLENGE}, {_NOT_ENOUGH}"})


async def _unavailable(_: Request, failure: Exception) -> Response:
    """Whoever asks is not known yet, and is not told where the issues are."""
    logger.error("%s", failure)
    soon = {"Retry-After": "1"} if isinstance(failure, StoreBusyError) else None
    message = "The issues cannot be used now; nothing was changed. Try again later."
    return refusal(503, message, INTERNAL_ERROR, soon)


async def _refused(_: Request, failure: Exception) -> Response:
    assert isinstance(failure, HTTPException)  # noqa: S101 - what this handler is registered for
    detail = f"There is nothing here; MCP is at {PATH}" if failure.status_code == 404 else failure.detail  # noqa: PLR2004
    return refusal(failure.status_code, f"{detail}.", headers=dict(failure.headers or {}))


async def _failed(_: Request, __: Exception) -> Response:
    """What was not foreseen: the server logs it, the caller learns that it happened."""
    return refusal(500, "Internal server error.", INTERNAL_ERROR, {"Connection": "close"})
