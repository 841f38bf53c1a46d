"""How the commands that serve HTTP listen, and say where."""

import ipaddress
import signal
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import uvicorn

from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.http.doors import LOOPBACK_NAMES, HostNames
from owlmetry_mcp.http.listener import listen

_PROXIES = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Where a proxy may stand. The last address that it names beyond these is the client's; what clients write is not."""

_BACKLOG = 256
"""Connections that may wait to be taken. asyncio takes as many at once before the protocol can refuse one."""
_FILES = 2 * (Http.most_connections + _BACKLOG)


@dataclass(frozen=True, slots=True)
class Listener:
    socket: socket.socket
    url: str
    names: HostNames
    behind_proxy: bool

    def config(self, app: Callable[..., Any], protocol: type[Http], shutdown_seconds: int) -> uvicorn.Config:
        return uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=self.behind_proxy,
            forwarded_allow_ips=_PROXIES if self.behind_proxy else None,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=shutdown_seconds,
        )


@contextmanager
def listening(parsed: Namespace, port: int) -> Iterator[Listener]:
    """The listener that the flags ask for, on that port unless they name one.

    Raises:
        InvalidInputError: there is no such address here, or the port is taken.
    """
    host = "127.0.0.1" if parsed.host is None else parsed.host
    with listen(host, port if parsed.port is None else parsed.port) as it:
        address, port = it.getsockname()[:2]
        loopback = ipaddress.ip_address(address).is_loopback
        if not loopback and not parsed.behind_proxy:
            print(
                f"owlmetry-mcp: warning: {address} can be reached from other machines, and keys cross the network"
                " unencrypted. Put it behind a proxy with TLS and say --behind-proxy.",
                file=sys.stderr,
            )
        names = {*LOOPBACK_NAMES, host, socket.gethostname(), *(parsed.host_name or ())}
        shown = f"[{address}]" if ":" in address else address
        yield Listener(
            it, f"http://{shown}:{port}", HostNames(names, addresses=not loopback), bool(parsed.behind_proxy)
        )


def _make_room() -> None:
    """For as many open files as connections need, where the system gives fewer unasked: 256 on macOS."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - there is none on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if resource.RLIM_INFINITY != soft < _FILES:
            most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def run(server: uvicorn.Server, listener: Listener) -> None:
    """Serve until it is told to stop."""

    def stop(_: int, __: FrameType | None) -> None:
        """For a signal before uvicorn takes them over, and for the one it sends again once it has stopped."""
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    _make_room()
    server.run(sockets=[listener.socket])
