"""`owlmetry-mcp api`: Owlmetry's issues API over the store, for agents and tools that speak HTTP."""

import logging
import sys
from argparse import Namespace
from functools import partial

import uvicorn

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.cli.listening import listening, run
from owlmetry_mcp.rest.app import create_app
from owlmetry_mcp.settings import Settings

PORT = 4000
SHUTDOWN_SECONDS = 30
"""How long requests under way may take once it is told to stop."""


def api(parsed: Namespace, settings: Settings) -> None:
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    with listening(parsed, PORT) as listener, Store(settings.store) as store:
        print(f"Serving {settings.store} on {listener.url}", flush=True)
        app = create_app(partial(acting_as, store), names=listener.names)
        run(uvicorn.Server(listener.config(app, Http, SHUTDOWN_SECONDS)), listener)
