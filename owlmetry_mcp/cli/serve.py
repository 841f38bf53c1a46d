"""`owlmetry-mcp serve`: the MCP server on standard input and output."""

import logging
import os
import signal
import sys
from argparse import Namespace
from types import FrameType
from typing import NoReturn

import anyio

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.settings import Settings


def serve(_: Namespace, settings: Settings) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    if sys.stdin.isatty():
        print(
            "owlmetry-mcp waits for an MCP client on standard input; see README for how to add it to one.\n"
            "`owlmetry-mcp demo` shows what it does. Ctrl-C ends it.",
            file=sys.stderr,
        )
    with Store(settings.store) as store:
        _leave_at_once_on_signals(store)
        anyio.run(_server(store, settings).run_stdio_async)


def _leave_at_once_on_signals(store: Store) -> None:
    """Cancelled, the SDK's transport waits for one more line on standard input, which may never come."""

    def leave(_: int, __: FrameType | None) -> NoReturn:
        store.close()
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _server(store: Store, settings: Settings) -> TriageServer:
    def open_backend(client_name: str | None) -> Backend:
        if settings.api_key is not None:
            return acting_as(store, settings.api_key)
        return acting_as_local_agent(store, settings.agent_name or client_name)

    return TriageServer(Desk(open_backend, settings.project_id))
