"""The MCP face over HTTP: as a process, as an application on a socket, and clients of it."""

import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, Self

import httpx2
import uvicorn
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.http.doors import LoginBrake
from owlmetry_mcp.http.listener import listen
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.watch import Intervals
from owlmetry_mcp.streamable.app import PATH, create_app
from owlmetry_mcp.streamable.callers import Callers
from tests.agent import Agent
from tests.stdio import ENVELOPE
from tests.world import World, no_wait

VERSION = "2026-07-28"
SECRET = b"a secret of the tests, of 32 bytes."
ACCEPTED = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def door(url: str, key: str) -> AsyncIterator[Any]:
    """What a client of the SDK connects by."""
    async with (
        httpx2.AsyncClient(headers=bearer(key), timeout=30, trust_env=False) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams


class Posted:
    """Plain requests, as the newer era of the protocol has them."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self.url = url
        self._http = httpx2.Client(timeout=30, trust_env=False, headers=ACCEPTED | (bearer(key) if key else {}))

    def send(
        self, method: str, headers: dict[str, str] | None = None, *, elicits: bool = False, **params: Any
    ) -> httpx2.Response:
        able: dict[str, Any] = (
            {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}} if elicits else {}
        )
        named = {"Mcp-Name": params["name"]} if "name" in params else {}
        sent = {"MCP-Protocol-Version": VERSION, "Mcp-Method": method, **named, **(headers or {})}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": ENVELOPE | able}}
        return self._http.post(self.url, json=body, headers=sent)

    def call(self, tool: str, headers: dict[str, str] | None = None, **arguments: Any) -> httpx2.Response:
        return self.send("tools/call", headers, name=tool, arguments=arguments)

    def raw(self, method: str = "POST", path: str = "", **more: Any) -> httpx2.Response:
        return self._http.request(method, self.url + path, **more)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


class McpFace:
    """The face on a socket of this machine, over a world's backends."""

    def __init__(self, world: World, options: Options | None = None, intervals: Intervals | None = None) -> None:
        self.world = world
        self._listener = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}{PATH}"
        self.callers = Callers(world.acting_with, SECRET, options=options, intervals=intervals)
        app = create_app(self.callers, brake=LoginBrake(sleep=no_wait))
        config = uvicorn.Config(app, http=Http, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def end(self) -> None:
        self._server.should_exit = True

    def close(self) -> None:
        self.end()
        self._thread.join()
        self._listener.close()


class AgentOverHttp(Agent):
    """The same agent at the other door."""

    def __init__(self, url: str, key: str, name: str = "test-client", mode: str = "auto") -> None:
        self._url = url
        self._key = key
        self._mode = mode
        self._client_name = name

    def connected(self) -> Client:
        info = Implementation(name=self._client_name, version="1")
        return Client(door(self._url, self._key), client_info=info, mode=self._mode)


class Served:
    """`owlmetry-mcp serve --http`, and the address it printed."""

    def __init__(self, process: subprocess.Popen[str], said: Path) -> None:
        self.process = process
        self._said = said
        assert process.stdout
        line = process.stdout.readline()
        address = re.fullmatch(r"Serving MCP for \S+ on (http://\S+/mcp)\n", line)
        assert address, line + said.read_text()
        self.url = address[1]
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def posted(self, key: str | None = None) -> Posted:
        return Posted(self.url, key)

    def said(self) -> str:
        """On standard error, until now."""
        return self._said.read_text()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=30)


@contextmanager
def served(folder: Path, *flags: str, **environment: str) -> Iterator[Served]:
    command = [sys.executable, "-m", "owlmetry_mcp", "serve", "--http", "--port", "0", *flags]
    said = folder / "said.err"
    with (
        said.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=clean() | environment
        ) as process,
    ):
        try:
            yield Served(process, said)
        finally:
            process.terminate()


def clean() -> dict[str, str]:
    """This process's environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OWLMETRY_")}
