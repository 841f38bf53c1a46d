"""An agent's end of a server's pipe: plain lines, so that what it costs itself is little, and the same for any tool."""

import json
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measured import ROOT

NOTHING = "nothing"
"""The name of the tool that does nothing, of `benchmarks.beside_nothing`."""
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


class RefusedError(Exception):
    """A call that was not answered, or with an error."""


class Agent:
    """A server of its own on a store, `module` with the product's own arguments, and calls of it, one at a time."""

    def __init__(self, store: Path, module: str = "owlmetry_mcp", name: str = "benchmark") -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OWLMETRY_")}
        command = [sys.executable, "-m", module, "--store", str(store), "--agent-name", name]
        self._server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._numbers = count(1)

    def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """The structured answer.

        Raises:
            RefusedError: the answer is an error, or none came.
        """
        return self.timed(tool, **arguments)[1]

    def timed(self, tool: str, **arguments: object) -> tuple[float, dict[str, Any]]:
        """What it took in seconds, from writing the call to having the answer read, and the structured answer.

        Raises:
            RefusedError: the answer is an error, or none came.
        """
        if not self._server.stdin or not self._server.stdout:
            raise RefusedError("the server has no pipes")
        params = {"name": tool, "arguments": arguments, "_meta": META}
        line = json.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": "tools/call", "params": params})
        begun = time.perf_counter()
        self._server.stdin.write(line.encode() + b"\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline() or "{}")
        seconds = time.perf_counter() - begun
        result = answer.get("result", {"isError": True})
        if result.get("isError"):
            raise RefusedError(f"{tool} was refused: {answer}")
        return seconds, result.get("structuredContent") or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._server:
            if self._server.stdin:
                self._server.stdin.close()
