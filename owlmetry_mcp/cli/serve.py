"""`owlmetry-mcp serve`: the MCP server on standard input and output."""

import gc
import logging
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from owlmetry_mcp.cli.backends import embedded, live, warn_if_in_clear
from owlmetry_mcp.settings import Settings, SettingsError

if TYPE_CHECKING:
    from owlmetry_mcp.server.options import Options

_ONLY_OVER_HTTP = ("host", "port", "host_name", "behind_proxy", "workers")


def serve(parsed: Namespace, settings: Settings) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    if getattr(parsed, "http", False):
        _serve_http(parsed, settings)
        return
    if alone := [name for name in _ONLY_OVER_HTTP if getattr(parsed, name, None) is not None]:
        raise SettingsError([f"--{name.replace('_', '-')}: only with --http" for name in alone])
    if sys.stdin.isatty():
        print(
            "owlmetry-mcp waits for an MCP client on standard input; see README for how to add it to one.\n"
            "`owlmetry-mcp demo` shows what it does, `owlmetry-mcp log` what agents did. Ctrl-C ends it.",
            file=sys.stderr,
        )
    if settings.tools:
        _check_tools(settings.tools)
    gc.disable()  # most of what is needed is imported only here, beside the opening of the store: see main.py
    with ThreadPoolExecutor(1) as beside:
        opening = beside.submit(live if settings.backend == "live" else embedded, settings)
        from anyio import run  # noqa: PLC0415 - these take longest of all

        from owlmetry_mcp.asking.desk import Desk  # noqa: PLC0415
        from owlmetry_mcp.server.server import TriageServer  # noqa: PLC0415

        open_backend, close = opening.result()
    _leave_at_once_on_signals()
    try:
        with _without("rich.console"):
            server = TriageServer(Desk(open_backend, settings.project_id), _options(settings))
        gc.freeze()
        gc.enable()
        run(server.run_stdio_async)
    finally:
        close()


def _serve_http(parsed: Namespace, settings: Settings) -> None:
    from owlmetry_mcp.cli.serve_http import serve_http  # noqa: PLC0415 - it takes long to load

    if settings.tools:
        _check_tools(settings.tools)
    if settings.backend == "live":
        warn_if_in_clear(settings.endpoint)
    serve_http(parsed, settings, _options(settings))


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


def _check_tools(names: Iterable[str]) -> None:
    """
    Raises:
        SettingsError: one is named that there is not.
    """
    from owlmetry_mcp.server.catalogue import unknown  # noqa: PLC0415 - only where tools are named

    if faults := unknown(names):
        raise SettingsError(faults)


def _options(settings: Settings) -> "Options":
    from owlmetry_mcp.server.options import Options  # noqa: PLC0415 - see above

    return Options(
        max_result_bytes=settings.max_result_bytes,
        confirm=settings.confirm,
        read_only=settings.read_only,
        may_do_all=settings.backend == "store" and settings.api_key is None,
        tools=None if settings.tools is None else frozenset(settings.tools),
    )


def _leave_at_once_on_signals() -> None:
    """Cancelled, the SDK's transport waits for one more line on standard input, which may never come.

    What has been acknowledged is on the disk, and nothing else need be waited for.
    """

    def leave(_: int, __: FrameType | None) -> NoReturn:
        os._exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
