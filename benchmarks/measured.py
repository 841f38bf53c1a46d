"""Processes one at a time, on one core, and what each of them took. It needs a Unix."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

ROOT = Path(__file__).parent.parent
_BYTES_PER_MAXRSS = 1 if sys.platform == "darwin" else 1024


class Times(NamedTuple):
    seconds: float
    """By the clock on the wall."""
    cpu_seconds: float


class Ended(NamedTuple):
    """A process that has ended well."""

    times: Times
    peak_mb: float
    output: str


def pin() -> str:
    """Keep this process, and those that it starts, to one core where the system can; which, in words."""
    if sys.platform == "linux":
        core = max(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        return f"on core {core} alone"
    return "on any core"


def run(module: str, *arguments: str | Path) -> Ended:
    """`python -m MODULE ARGUMENTS` to its end; what it says, on either stream, is its output.

    The peak is of its memory alone, but at least what this process has, since exec keeps the larger of the two: so
    nothing large may be held here.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OWLMETRY_")}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    with process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Ended(Times(seconds, cpu_seconds), usage.ru_maxrss * _BYTES_PER_MAXRSS / 1e6, output)


class Stopwatch:
    """Adds up what the blocks it is entered for take."""

    def __init__(self) -> None:
        self._sum = Times(0, 0)
        self._begun = Times(0, 0)

    def __enter__(self) -> Self:
        self._begun = _now()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        now = _now()
        self._sum = Times(*(sum_ + end - begin for sum_, end, begin in zip(self._sum, now, self._begun, strict=True)))

    def tell(self) -> None:
        """For `told` in the process that started this one."""
        print(json.dumps(self._sum))


def told(ended: Ended) -> Times:
    """What a process's stopwatch told."""
    return Times(*json.loads(ended.output))


def _now() -> Times:
    return Times(time.perf_counter(), time.process_time())
