"""From a file of error events to issues, beside what that cannot do without.

Each figure is of a process of its own, and an ingest's time is all of it, its start-up too. Runs of everything
alternate, and what is compared is of one run, so that a machine that is busier at times shows in the rates more than
in the ratios.
"""

import platform
import sqlite3
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import events, rows
from benchmarks.events import Shape
from benchmarks.measured import Ended, Times, pin, run, told
from benchmarks.rows import Row

_MORE = 10
_APP = "My app"
"""Every new store has it."""
_SCANS_PER_RUN = 3
_COMMAND = "owlmetry_mcp"
_FLOORS = ("fingerprinting", "inserts")
_EMPTY = Shape(0, 1, 1)


@dataclass(frozen=True, slots=True)
class _Run:
    ingest: Ended
    floors: dict[str, Times]

    def ratios(self) -> Times:
        """The ingest's times, in those of both floors together."""
        floors = map(sum, zip(*self.floors.values(), strict=True))
        return Times(*(mine / theirs for mine, theirs in zip(self.ingest.times, floors, strict=True)))


@dataclass(frozen=True, slots=True)
class _Size:
    """A number of events, and what was measured with it."""

    shape: Shape
    folder: Path
    runs: list[_Run] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / "events.jsonl"

    @property
    def store(self) -> Path:
        return self.folder / "store.db"

    def ingest(self) -> Ended:
        """
        Raises:
            SystemExit: not all was taken in.
        """
        _remove(self.store)
        ended = run(_COMMAND, "ingest", self.file, "--app", _APP, "--store", self.store)
        if f" {self.shape.events:,} new events." not in ended.output:
            raise SystemExit(f"not every event was taken in:\n{ended.output}")
        return ended

    def floor(self, name: str) -> Times:
        store = self.folder / "floor.db"
        ended = run("benchmarks.floors", name, self.file, store)
        _remove(store)
        return told(ended)

    def rate(self, times: Times) -> float:
        return self.shape.events / times.seconds

    def table(self) -> str:
        """Rates of the ingest and of each floor, and how they compare."""
        rows: dict[str, list[Times]] = {"ingest": [one.ingest.times for one in self.runs]}
        rows |= {name: [one.floors[name] for one in self.runs] for name in _FLOORS}
        stored = sum(file.stat().st_size for file in _files(self.store))
        events, fingerprints, a_session = self.shape
        return "\n".join(
            (
                f"{events:,} events, {fingerprints:,} fingerprints, {a_session:,} events a session",
                f"{'':16}{'events/s':>12}{'best':>12}{'CPU µs/event':>15}",
                *(self._row(name, times) for name, times in rows.items()),
                f"time of ingest / of both floors: {_both(one.ratios() for one in self.runs)}",
                f"peak {max(one.ingest.peak_mb for one in self.runs):.0f} MB, store {stored / 1e6:.0f} MB",
            )
        )

    def _row(self, name: str, all_times: Sequence[Times]) -> str:
        rates = [self.rate(times) for times in all_times]
        cpu = median(times.cpu_seconds for times in all_times) / self.shape.events * 1e6
        return f"{name:16}{median(rates):12,.0f}{max(rates):12,.0f}{cpu:15.1f}"


def main() -> None:
    asked = _parser().parse_args()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {pin()}, runs: {asked.runs}")
    with tempfile.TemporaryDirectory(prefix="owlmetry-benchmark-") as folder:
        shape = Shape(asked.events, asked.fingerprints, asked.events_per_session)
        measured = measure(shape, asked.runs, Path(folder), million=asked.million)
        _show(measured)
    rows.keep(asked, measured.rows())


@dataclass(frozen=True, slots=True)
class Scan:
    """Of nothing new."""

    open_ms: float
    """In a store that is open."""
    start_up_ms: float
    """Of a process that scans a store of no events."""
    more_ms: float
    """What a process takes longer on the store that was measured."""


@dataclass(frozen=True, slots=True)
class Measured:
    start_up: list[Ended]
    sizes: list[_Size]
    scan: Scan

    def rows(self) -> Iterator[Row]:
        for size in self.sizes:
            what = f"ingest of {size.shape.events:,} events / fingerprints and inserts"
            seconds = median(one.ingest.times.seconds for one in size.runs)
            ratio = median(one.ratios().seconds for one in size.runs)
            yield Row(what, seconds, "s", seconds / ratio)
            yield Row(f"{what}, peak", max(one.ingest.peak_mb for one in size.runs), "MB")
        yield Row("a scan of nothing new", self.scan.open_ms, "ms")


def measure(shape: Shape, runs: int, folder: Path, *, million: bool) -> Measured:
    more = [shape._replace(events=shape.events * _MORE)] if million else []
    nothing, *sizes = (_size(one, folder / str(one.events)) for one in (_EMPTY, shape, *more))
    nothing.ingest()  # a first time, which leaves compiled modules
    start_up = []
    for number in range(1, runs + 1):
        start_up.append(nothing.ingest())
        for size in sizes:
            _tell(f"run {number} of {runs}: {size.shape.events:,} events")
            size.runs.append(_Run(size.ingest(), {name: size.floor(name) for name in _FLOORS}))
    return Measured(start_up, sizes, _scan(sizes[-1], nothing, runs))


def _show(measured: Measured) -> None:
    _show_start_up(measured.start_up)
    for size in measured.sizes:
        print(f"\n{size.table()}")
    if len(measured.sizes) > 1:
        _compare(*measured.sizes)
    scan = measured.scan
    print(f"\na scan of nothing new, {measured.sizes[-1].shape.events:,} events stored")
    print(f"in an open store {scan.open_ms:.3f} ms")
    print(f"as a process {scan.more_ms:+.0f} ms over a start-up of {scan.start_up_ms:.0f} ms")


def _size(shape: Shape, folder: Path) -> _Size:
    size = _Size(shape, folder)
    folder.mkdir()
    _tell(f"making {shape.events:,} events")
    events.write(size.file, shape)
    return size


def _show_start_up(runs: Sequence[Ended]) -> None:
    seconds, cpu_seconds = (median(one.times[place] for one in runs) for place in (0, 1))
    peak_mb = max(one.peak_mb for one in runs)
    print(f"an empty file, start-up alone: {seconds:.2f} s, {cpu_seconds:.2f} s CPU, peak {peak_mb:.0f} MB")


def _compare(few: _Size, many: _Size) -> None:
    growth = many.shape.events / few.shape.events
    pairs = [(a.ingest.times, b.ingest.times) for a, b in zip(few.runs, many.runs, strict=True)]
    ratios = (Times(*(growth * one / ten for one, ten in zip(a, b, strict=True))) for a, b in pairs)
    print(f"\nrate at {many.shape.events:,} / rate at {few.shape.events:,}: {_both(ratios)}")


def _both(ratios: Iterable[Times]) -> str:
    seconds, cpu_seconds = zip(*ratios, strict=True)
    return f"{median(seconds):.2f} ({median(cpu_seconds):.2f} by CPU time)"


def _scan(size: _Size, nothing: _Size, runs: int) -> Scan:
    open_ms = float(run("benchmarks.scanning", size.store).output)
    pairs = [
        (_scanned(nothing.store).times.seconds, _scanned(size.store).times.seconds)
        for _ in range(runs * _SCANS_PER_RUN)
    ]
    return Scan(open_ms, 1000 * median(a for a, _ in pairs), 1000 * median(b - a for a, b in pairs))


def _scanned(store: Path) -> Ended:
    return run(_COMMAND, "scan", "--store", store)


def _files(store: Path) -> list[Path]:
    return [*store.parent.glob(f"{store.name}*")]


def _remove(store: Path) -> None:
    for file in _files(store):
        file.unlink()


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        "python -m benchmarks.ingest",
        description="Times `owlmetry-mcp ingest` of a file of error events, end to end, beside fingerprinting alone and"
        " SQLite's inserts alone; then a scan of nothing new. Files go to the temporary directory (TMPDIR).",
        allow_abbrev=False,
    )
    options: tuple[tuple[str, int, str], ...] = (
        ("--events", 100_000, "how many"),
        ("--fingerprints", 10_000, "how many distinct ones the events have"),
        ("--events-per-session", 1, "how many in a row share a session"),
        ("--runs", 3, "how often everything is measured"),
    )
    for name, default, summary in options:
        parser.add_argument(name, type=_count, default=default, metavar="N", help=f"{summary} (default: {default:,})")
    parser.add_argument("--million", action="store_true", help="also with ten times as many events")
    rows.add_option(parser)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


if __name__ == "__main__":
    main()
