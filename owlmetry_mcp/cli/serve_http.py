"""`owlmetry-mcp serve --http`: the MCP server over HTTP, for agents that do not share a machine."""

import secrets
import socket
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import FrameType

import uvicorn
from sse_starlette.sse import AppStatus

from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire, connections
from owlmetry_mcp.backends.store import access
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.cli.listening import Listener, listening, run
from owlmetry_mcp.cli.workers import Workers
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.settings import Settings
from owlmetry_mcp.streamable.app import PATH, create_app, refusal
from owlmetry_mcp.streamable.callers import ActingAs, Callers

PORT = 4001
SHUTDOWN_SECONDS = 5
"""How long calls under way may take once it is told to stop. What clients listen on ends at once."""

_MOST_WORKERS = 64
_PURPOSE = "what is asked of a person"


def serve_http(parsed: Namespace, settings: Settings, options: Options) -> None:
    count = 1 if parsed.workers is None else parsed.workers
    if not 1 <= count <= _MOST_WORKERS:
        raise InvalidInputError(f"--workers must be from 1 to {_MOST_WORKERS}, not {count}")
    if count > 1 and sys.platform == "win32":
        raise InvalidInputError("--workers: this system has one process serve a socket")
    secret = _secret(settings)
    with listening(parsed, PORT) as listener:
        what = settings.endpoint if settings.backend == "live" else settings.store
        print(f"Serving MCP for {what} on {listener.url}{PATH}", flush=True)
        serve = partial(_serve, listener, settings, replace(options, may_do_all=False), secret)
        if count == 1:
            serve()
        else:
            Workers(count, serve).wait()


def _secret(settings: Settings) -> bytes:
    """What is asked of a person by one process may be answered to another: of this command, or of this store.

    Raises:
        StoreError: the store cannot be opened.
    """
    if settings.backend == "live":
        return secrets.token_bytes(32)
    with Store(settings.store) as store:
        return store.read(lambda tx: access.secret_for(tx, _PURPOSE))


def _serve(listener: Listener, settings: Settings, options: Options, secret: bytes) -> None:
    with _backends(settings) as open_as:
        callers = Callers(open_as, secret, settings.project_id, options)
        app = create_app(callers, listener.names)
        run(_Server(listener.config(app, _Http, SHUTDOWN_SECONDS), callers), listener)


@contextmanager
def _backends(settings: Settings) -> Iterator[ActingAs]:
    if settings.backend == "live":
        timeouts = Timeouts(settings.connect_timeout, settings.read_timeout, settings.call_timeout)
        transport = connections()  # the process ends with them
        yield lambda key: LiveBackend(Wire(settings.endpoint, key, timeouts, transport=transport))
    else:
        with Store(settings.store) as store:
            yield partial(acting_as, store)


class _Http(Http):
    refusal = bytes(refusal(400, "This is no HTTP request that can be read.").body)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, callers: Callers) -> None:
        super().__init__(config)
        self._callers = callers
        AppStatus.enable_automatic_graceful_drain = False  # it would cut calls of the older era that are under way

    def handle_exit(self, _: int, __: FrameType | None) -> None:
        """A second Ctrl-C changes nothing: uvicorn would then end with a stack trace, hardly earlier."""
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._callers.end_streams()
        await super().shutdown(sockets)
