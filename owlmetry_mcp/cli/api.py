"""`owlmetry-mcp api`: Owlmetry's issues API over the store, for agents and tools that speak HTTP."""

import ipaddress
import logging
import signal
import socket
import sys
from argparse import Namespace
from functools import partial
from types import FrameType

import uvicorn

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.rest.app import create_app
from owlmetry_mcp.rest.doors import LOOPBACK_NAMES
from owlmetry_mcp.rest.listener import listen
from owlmetry_mcp.settings import Settings

_PROXIES = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
"""Where a proxy may stand. The last address that it names beyond these is the client's; what clients write is not."""

SHUTDOWN_SECONDS = 30
"""How long requests under way may take once it is told to stop."""


def api(parsed: Namespace, settings: Settings) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    listener = listen(parsed.host, parsed.port)
    with listener, Store(settings.store) as store:
        address, port = listener.getsockname()[:2]
        loopback = ipaddress.ip_address(address).is_loopback
        if not loopback and not parsed.behind_proxy:
            print(
                f"owlmetry-mcp: warning: {address} can be reached from other machines, and keys cross the network"
                " unencrypted. Put it behind a proxy with TLS and say --behind-proxy.",
                file=sys.stderr,
            )
        names = {*LOOPBACK_NAMES, parsed.host, socket.gethostname(), *parsed.host_name}
        app = create_app(partial(acting_as, store), host_names=names, any_address=not loopback)
        shown = f"[{address}]" if ":" in address else address
        print(f"Serving {settings.store} on http://{shown}:{port}", flush=True)
        config = uvicorn.Config(
            app,
            http=Http,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            proxy_headers=parsed.behind_proxy,
            forwarded_allow_ips=_PROXIES if parsed.behind_proxy else None,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
        server = uvicorn.Server(config)

        def stop(_: int, __: FrameType | None) -> None:
            """For a signal before uvicorn takes them over, and for the one it sends again once it has stopped."""
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop)
        server.run(sockets=[listener])
