"""From starting the server to its first list of tools, beside a server with nothing in it.

Both are started in turn, as a client starts them: on a pipe, and on any core. The first answered `tools/list` ends the
start; the exit is timed from the end of their input. The store holds one project, as the first start leaves it.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import rows
from benchmarks.rows import Row

_BARE = """\
from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")


@server.tool()
async def nothing() -> str:
    return ""


server.run()
"""
_ASKED = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    },
}


@dataclass(frozen=True, slots=True)
class Start:
    answer_seconds: float
    exit_seconds: float
    peak_mb: float
    tools: int


def start(command: Sequence[str | Path]) -> Start:
    """Start a server, ask for its tools, end its input, and wait for its end."""
    begun = time.perf_counter()
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if not server.stdin or not server.stdout:
        raise SystemExit("it has no pipes")
    server.stdin.write(json.dumps(_ASKED).encode() + b"\n")
    server.stdin.flush()
    answer = json.loads(server.stdout.readline())
    answered = time.perf_counter()
    server.stdin.close()
    _, status, usage = os.wait4(server.pid, 0)
    ended = time.perf_counter()
    server.stdout.close()
    server.returncode = os.waitstatus_to_exitcode(status)
    if server.returncode:
        raise SystemExit(f"it ended with {server.returncode}")
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    return Start(answered - begun, ended - answered, usage.ru_maxrss / unit, len(answer["result"]["tools"]))


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.startup", description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="how often each (default: 20)")
    rows.add_option(parser)
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, on any core, runs: {asked.runs}")
    times = measure(asked.runs)
    _show(times)
    rows.keep(asked, _rows(times))


def measure(runs: int) -> dict[str, list[Start]]:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder, "bare.py")
        bare.write_text(_BARE)
        ours = [sys.executable, "-m", "owlmetry_mcp", "--store", str(Path(folder, "store.db"))]
        commands = {"owlmetry-mcp": ours, "a bare server": [sys.executable, str(bare)]}
        for command in commands.values():
            start(command)  # which writes the byte code, and makes the store
        times: dict[str, list[Start]] = {name: [] for name in commands}
        for _ in range(runs):
            for name, command in commands.items():
                times[name].append(start(command))
    return times


def _rows(times: dict[str, list[Start]]) -> Iterator[Row]:
    ours, bare = times.values()
    for what, field, factor, unit, limit in (
        ("start-up, to the first tools/list", "answer_seconds", 1000, "ms", 0.95),
        ("start-up, memory", "peak_mb", 1, "MB", 1.15),
        ("exit", "exit_seconds", 1000, "ms", 0.2),
    ):
        mine, floor = (factor * median(getattr(one, field) for one in starts) for starts in (ours, bare))
        yield Row(f"{what} / of a bare server", mine, unit, floor, limit)


def _show(times: dict[str, list[Start]]) -> None:
    print(f"\n{'':16}{'first tools/list':>18}{'exit':>12}{'peak':>12}{'tools':>8}")
    figures = {}
    for name, starts in times.items():
        answer, leave, peak = (median(getattr(one, field) for one in starts) for field in Start.__slots__[:3])
        figures[name] = (answer, leave, peak)
        print(f"{name:16}{1000 * answer:>15.0f} ms{1000 * leave:>9.0f} ms{peak:>9.0f} MB{starts[0].tools:>8}")
    ours, bare = figures.values()
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    print(f"{'ratio':16}{ratios[0]:>17.2f}x{ratios[1]:>11.2f}x{ratios[2]:>11.2f}x")


if __name__ == "__main__":
    main()
