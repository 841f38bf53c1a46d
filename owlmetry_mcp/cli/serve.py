"""`owlmetry-mcp serve`: the MCP server on standard input and output."""

import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

import anyio

from owlmetry_mcp.backends.base import Backend, BackendOpener
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.settings import Settings, SettingsError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


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
    options = _options(settings)
    open_backend, close = _live(settings) if settings.backend == "live" else _embedded(settings)
    _leave_at_once_on_signals()
    try:
        with _without("rich.console"):
            server = TriageServer(Desk(open_backend, settings.project_id), options)
        anyio.run(server.run_stdio_async)
    finally:
        close()


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Have no one import a module that is slow to load: the SDK would, for a log handler that comes after ours."""
    absent = module not in sys.modules
    if absent:
        sys.modules[module] = None  # type: ignore[assignment]  # which is how Python is told that there is none
    try:
        yield
    finally:
        if absent:
            del sys.modules[module]


def _options(settings: Settings) -> Options:
    """
    Raises:
        SettingsError: a tool is named that there is not.
    """
    unknown = [name for name in settings.tools or () if name not in CATALOGUE]
    if unknown:
        raise SettingsError(
            [f"OWLMETRY_TOOLS: there is no tool {shown(name)}; there are {', '.join(CATALOGUE)}" for name in unknown]
        )
    return Options(
        max_result_bytes=settings.max_result_bytes,
        confirm=settings.confirm,
        read_only=settings.read_only,
        may_do_all=settings.backend == "store" and settings.api_key is None,
        tools=None if settings.tools is None else frozenset(settings.tools),
    )


def _embedded(settings: Settings) -> tuple[BackendOpener, Callable[[], None]]:
    from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_agent  # noqa: PLC0415 - one backend is used
    from owlmetry_mcp.backends.store.store import Store  # noqa: PLC0415 - likewise

    store = Store(settings.store)

    def open_backend(client_name: str | None) -> Backend:
        if settings.api_key is not None:
            return acting_as(store, settings.api_key)
        return acting_as_local_agent(store, settings.agent_name or client_name)

    return open_backend, store.close


def _live(settings: Settings) -> tuple[BackendOpener, Callable[[], None]]:
    from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire  # noqa: PLC0415 - one backend is used

    parts = urlsplit(settings.endpoint)
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        print(
            f"owlmetry-mcp: warning: {settings.endpoint} is not encrypted; whoever listens on the way reads the key.",
            file=sys.stderr,
        )
    timeouts = Timeouts(settings.connect_timeout, settings.read_timeout, settings.call_timeout)
    backend = LiveBackend(Wire(settings.endpoint, settings.api_key or "", timeouts))
    return lambda _: backend, lambda: None  # the process ends with its connections


def _leave_at_once_on_signals() -> None:
    """Cancelled, the SDK's transport waits for one more line on standard input, which may never come.

    What has been acknowledged is on the disk, and nothing else need be waited for.
    """

    def leave(_: int, __: FrameType | None) -> NoReturn:
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
