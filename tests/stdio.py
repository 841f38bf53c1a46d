"""A server's process, spoken to in raw lines: what no client of the SDK would send."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

COMMAND = [sys.executable, "-m", "owlmetry_mcp"]
HANDSHAKE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
ERAS = ("handshake", "envelope")


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0"} | members).encode() + b"\n"


class RawClient:
    """Writes lines, and reads answers in the order they come."""

    def __init__(self, process: subprocess.Popen[bytes], era: str) -> None:
        assert process.stdin
        assert process.stdout
        self.process = process
        self._input, self._output = process.stdin, process.stdout
        self._era = era
        self._last = 1_000_000
        """The id of the last of the calls made by `asked`, which are beyond those of the tests' own."""

    def request(self, request_id: object, method: str, **params: Any) -> bytes:
        """A request as the era has it."""
        meta = {"_meta": ENVELOPE} if self._era == "envelope" else {}
        return line(id=request_id, method=method, params=params | meta)

    def call(self, request_id: object, tool: str, **arguments: Any) -> bytes:
        return self.request(request_id, "tools/call", name=tool, arguments=arguments)

    def send(self, *lines: bytes) -> None:
        """Without waiting until they are read."""
        Thread(target=self.write, args=lines).start()

    def write(self, *lines: bytes) -> None:
        self._input.write(b"".join(lines))
        self._input.flush()

    def answer(self) -> dict[str, Any]:
        """The next one."""
        answered: dict[str, Any] = json.loads(self._output.readline())
        assert answered["jsonrpc"] == "2.0"
        assert len(answered.keys() & {"result", "error"}) == 1
        return answered

    def answers_until(self, request_id: object) -> list[dict[str, Any]]:
        """All up to the one to that request."""
        answers = [self.answer()]
        while answers[-1]["id"] != request_id:
            answers.append(self.answer())
        return answers

    def asked(self, *lines: bytes, answers: int = 0) -> list[dict[str, Any]]:
        """What is answered to lines, so many answers at least, until a good call behind them is, which shows that the
        server is well.
        """
        self._last += 1
        self.send(*lines, self.call(self._last, "whoami"))
        others = self.answers_until(self._last)
        good = others.pop()
        assert good["result"]["structuredContent"]["type"] == "api_key"
        while len(others) < answers:
            others.append(self.answer())
        return others

    def rest(self) -> list[dict[str, Any]]:
        """Close the input, and read what is still answered."""
        self._input.close()
        return [json.loads(answered) for answered in self._output.read().splitlines()]

    def resident_kb(self) -> int:
        """The memory that the server holds now."""
        status = Path(f"/proc/{self.process.pid}/status")
        if status.exists():
            return int(re.findall(r"VmRSS:\s+(\d+)", status.read_text())[0])
        return int(subprocess.check_output(["ps", "-o", "rss=", "-p", str(self.process.pid)]))  # noqa: S607 - wherever it is


@contextmanager
def raw_client(store: Path, era: str, *flags: str) -> Iterator[RawClient]:
    """A server on a store. It is to answer nothing more, to end well, and to have told of no traceback."""
    said = store.with_suffix(".err")
    with (
        said.open("wb") as errors,
        subprocess.Popen(
            [*COMMAND, "--store", str(store), *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        ) as process,
    ):
        client = RawClient(process, era)
        if era == "handshake":
            client.send(line(id=0, method="initialize", params=HANDSHAKE), line(method="notifications/initialized"))
            client.answers_until(0)
        yield client
        assert client.rest() == []
        assert process.wait(timeout=30) == 0
    assert "Traceback" not in said.read_text()
