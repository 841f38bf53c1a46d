"""A server of HTTP in a process of its own, and a client's end of one connection to it, kept alive."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.agents import RefusedError
from benchmarks.measured import ROOT
from benchmarks.shop import PROJECT, SECRET

ISSUES = f"/v1/projects/{PROJECT}/issues"

_FIRST_ERROR = 400


@contextmanager
def serving(*arguments: str | Path, module: str = "owlmetry_mcp") -> Iterator[str]:
    """Where that command says it serves, as host and port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OWLMETRY_")}
    command = [sys.executable, "-m", module, *map(str, arguments), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            said = server.stdout.readline() if server.stdout else ""
            address = said.strip().rpartition("//")[2].partition("/")[0]
            if not address:
                raise SystemExit("the server did not start")
            yield address
        finally:
            server.terminate()


class Connection:
    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address)

    def timed(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[float, Any]:
        """What it took in seconds, from sending the request to having the answer read, and the answer.

        Raises:
            RefusedError: the answer is an error, or none came.
        """
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json", **(headers or {})}
        sent = None if body is None else json.dumps(body)
        begun = time.perf_counter()
        try:
            self._connection.request(method, path, sent, headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise RefusedError(f"{method} {path} was not answered: {error!r}") from error
        seconds = time.perf_counter() - begun
        if response.status >= _FIRST_ERROR:
            raise RefusedError(f"{method} {path} was refused: {answer}")
        return seconds, answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
