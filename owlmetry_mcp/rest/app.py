"""The REST face: Owlmetry's issues API over a backend, as an ASGI application."""

import logging
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from owlmetry_mcp.backends.base import Tracker
from owlmetry_mcp.http.doors import HostNames, LoginBrake
from owlmetry_mcp.issues.errors import OwlmetryError, StoreBusyError, UnauthenticatedError
from owlmetry_mcp.rest.doors import HostCheck
from owlmetry_mcp.rest.operations import ROUTES

logger = logging.getLogger(__name__)


def create_app(
    acting_as: Callable[[str], Tracker],
    *,
    names: HostNames | None = None,
    brake: LoginBrake | None = None,
) -> Starlette:
    """The API of the backend that `acting_as` opens for a bearer's key or token; it answers to its `names` alone."""
    app = Starlette(
        routes=ROUTES,
        middleware=[Middleware(HostCheck, names or HostNames())],
        exception_handlers={
            UnauthenticatedError: _unauthenticated,
            StoreBusyError: _busy,
            OwlmetryError: _refused,
            HTTPException: _no_such_route,
            Exception: _failed,
        },
    )
    app.router.redirect_slashes = False
    app.state.acting_as = acting_as
    app.state.brake = brake or LoginBrake()
    return app


def _error(error: OwlmetryError, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error.message}, error.status, headers)


async def _unauthenticated(request: Request, error: Exception) -> Response:
    assert isinstance(error, UnauthenticatedError)  # noqa: S101 - what this handler is registered for
    brake: LoginBrake = request.app.state.brake
    await brake.failed(request.client.host if request.client else "")
    return _error(error, {"WWW-Authenticate": "Bearer"})


async def _busy(_: Request, error: Exception) -> Response:
    assert isinstance(error, StoreBusyError)  # noqa: S101 - as above
    logger.warning("%s", error)
    return JSONResponse({"error": "The store is busy; nothing was changed"}, error.status, {"Retry-After": "1"})


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, OwlmetryError)  # noqa: S101 - as above
    if error.status >= 500:  # noqa: PLR2004 - the first of HTTP's server errors
        logger.error("%s", error)
        return JSONResponse({"error": "The store cannot be used now; nothing was changed"}, error.status)
    return _error(error)


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    headers = dict(error.headers or {})
    if "Allow" in headers:  # of the first route of that path; the others of it count as well
        there = (route.methods or () for route in ROUTES if route.path_regex.match(request.url.path))
        headers["Allow"] = ", ".join(sorted({method for methods in there for method in methods}))
    return JSONResponse({"error": error.detail}, error.status_code, headers)


async def _failed(_: Request, __: Exception) -> Response:
    """What was not foreseen: the server logs it, the caller learns that it happened.

    uvicorn then closes the connection, which the caller is to know before another request goes out on it.
    """
    return JSONResponse({"error": "Internal server error"}, 500, {"Connection": "close"})
