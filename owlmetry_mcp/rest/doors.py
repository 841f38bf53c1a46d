"""Requests to another host are refused in the API's shape."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from owlmetry_mcp.http.doors import HostNames


class HostCheck:
    def __init__(self, app: ASGIApp, names: HostNames) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._names.knows(Headers(scope=scope).get("host", "")):
            refusal = JSONResponse({"error": "Host is not one that this server goes by"}, 400)
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)
