"""Sixteen agents at once on one store, each over a server of its own; then all over one server of the REST face.

Each does one thing after another; what was acknowledged is then looked for in the store. The floor is what as many
agents take who have nothing done. At last one agent reads and one writes, beside a reader that never ends, an ingest
and its scan.
"""

import platform
import sqlite3
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

from benchmarks import events, rows, shop, stores
from benchmarks.agendas import BODY, Agenda, Asker, OverMcp, OverRest
from benchmarks.agents import Agent
from benchmarks.events import Shape
from benchmarks.measured import ROOT
from benchmarks.rest import Connection, serving
from benchmarks.rows import Row
from benchmarks.shop import Size

_AGENTS = 16
_MOST_WAITED_MS = 100
_FLOOR_SHARE = 0.2
"""Of the time, for the floor."""
_SHOWN = 3
"""Refused calls."""
_Doing = Callable[[Agenda, Asker, Callable[[], bool]], Agenda]


@dataclass(frozen=True, slots=True)
class Sizes:
    store: Size
    agents: int
    seconds: float
    ingested: int


SMALL = Sizes(Size(10_000, 200_000), _AGENTS, 3, 20_000)
FULL = Sizes(Size(100_000, 2_000_000), _AGENTS, 30, 500_000)


def measure(sizes: Sizes, folder: Path) -> Iterator[Row]:
    with stores.copy(sizes.store, folder) as store, ExitStack() as stack:
        names = [f"agent {number}" for number in range(sizes.agents)]
        agents = [stack.enter_context(Agent(store, "benchmarks.beside_nothing", name)) for name in names]
        yield from _loaded("MCP", [OverMcp(agent) for agent in agents], store, sizes)
    with stores.copy(sizes.store, folder) as store, serving("api", "--store", store) as address, ExitStack() as stack:
        connections = [stack.enter_context(Connection(address)) for _ in range(sizes.agents)]
        yield from _loaded("HTTP", [OverRest(connection) for connection in connections], store, sizes)
    with stores.copy(sizes.store, folder) as store:
        yield from _beside_long_ones(store, sizes)


def _loaded(over: str, askers: Sequence[Asker], store: Path, sizes: Sizes) -> Iterator[Row]:
    _together(Agenda.nothing, askers, sizes, 0)  # until all servers have started
    floor_seconds, floor = _together(Agenda.nothing, askers, sizes, sizes.seconds * _FLOOR_SHARE)
    seconds, done = _together(Agenda.mixed, askers, sizes, sizes.seconds)
    took, floor_took = _took(done), _took(floor)
    what = f"{sizes.agents} agents over {over}"
    yield Row(f"{what}, calls a second", len(took) / seconds, "", len(floor_took) / floor_seconds)
    yield Row(f"{what}, median", 1000 * median(took), "ms", 1000 * median(floor_took))
    yield Row(f"{what}, p99", _p99_ms(took), "ms", _p99_ms(floor_took))
    yield _refused(what, done)
    yield Row(f"{what}, writes lost of {_written(done):,}", _lost(done, store), "", limit=0)


def _together(doing: _Doing, askers: Sequence[Asker], sizes: Sizes, seconds: float) -> tuple[float, list[Agenda]]:
    """What all of them did in so many seconds, each in a thread of its own, one thing at least; and how long it was."""
    agendas = [Agenda(number, sizes.agents, sizes.store.issues) for number in range(len(askers))]
    begun = time.perf_counter()
    until = begun + seconds

    def work(agenda: Agenda, asker: Asker) -> Agenda:
        return doing(agenda, asker, lambda: not agenda.took or time.perf_counter() < until)

    with ThreadPoolExecutor(len(askers)) as threads:
        done = [*threads.map(work, agendas, askers)]
    return time.perf_counter() - begun, done


def _beside_long_ones(store: Path, sizes: Sizes) -> Iterator[Row]:
    """Until the ingest has ended."""
    file = store.with_name("events.jsonl")
    events.write(file, Shape(sizes.ingested, max(1, sizes.ingested // 10), 1))
    with Agent(store) as one, Agent(store) as other, closing(sqlite3.connect(store, isolation_level=None)) as slow:
        slow.execute("BEGIN")
        slow.execute("SELECT count(*) FROM issues").fetchone()
        for agent in (one, other):
            agent.call("whoami")
        command = [sys.executable, "-m", "owlmetry_mcp", "ingest", str(file), "--app", "Jobs", "--store", str(store)]
        with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as ingest, ThreadPoolExecutor(2) as threads:
            agendas = [Agenda(number, 2, sizes.store.issues) for number in range(2)]
            doing = zip((Agenda.reading, Agenda.writing), agendas, (one, other), strict=True)
            reader, writer = [
                threads.submit(do, agenda, OverMcp(agent), lambda: ingest.poll() is None) for do, agenda, agent in doing
            ]
            reads, writes = reader.result(), writer.result()
            said = ingest.communicate()[1]
        if ingest.returncode:
            raise SystemExit(f"the ingest failed: {said.decode()}")
    what = "beside a slow reader and an ingest"
    yield Row(f"{what}, a read, median", 1000 * median(reads.took), "ms")
    yield Row(f"{what}, a read, p99", _p99_ms(reads.took), "ms", limit=_MOST_WAITED_MS)
    yield Row(f"{what}, a read, longest", 1000 * max(reads.took), "ms", limit=_MOST_WAITED_MS)
    yield Row(f"{what}, a write, median", 1000 * median(writes.took), "ms")
    yield Row(f"{what}, a write, longest", 1000 * max(writes.took), "ms")
    yield _refused(what, [reads, writes])
    yield Row(f"{what}, writes lost of {_written([writes]):,}", _lost([writes], store), "", limit=0)


def _refused(what: str, agendas: Iterable[Agenda]) -> Row:
    refused = [said for agenda in agendas for said in agenda.refused]
    for said in refused[:_SHOWN]:
        print(said, file=sys.stderr)
    return Row(f"{what}, calls refused", len(refused), "", limit=0)


def _written(agendas: Iterable[Agenda]) -> int:
    """Writes that were acknowledged."""
    return sum(agenda.comments + agenda.moves for agenda in agendas)


def _lost(agendas: Sequence[Agenda], store: Path) -> int:
    """Comments that are not there, or there twice, and issues that are not where they were last moved."""
    with closing(sqlite3.connect(store)) as connection:
        (comments,) = connection.execute("SELECT count(*) FROM comments WHERE body LIKE ?", (f"{BODY}%",)).fetchone()
        statuses = dict(connection.execute("SELECT id, status FROM issues"))
    lost = sum(statuses[issue] != status for agenda in agendas for issue, status in agenda.moved.items())
    return int(lost + abs(comments - sum(agenda.comments for agenda in agendas)))


def _took(agendas: Iterable[Agenda]) -> list[float]:
    return [seconds for agenda in agendas for seconds in agenda.took]


def _p99_ms(took: Sequence[float]) -> float:
    return 1000 * (quantiles(took, n=100, method="inclusive")[-1] if len(took) > 1 else took[0])


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.load", description=__doc__, allow_abbrev=False)
    stores.add_options(parser)
    rows.add_option(parser)
    parser.add_argument("--agents", type=int, metavar="N", default=_AGENTS, help=f"how many (default: {_AGENTS})")
    parser.add_argument("--seconds", type=float, metavar="S", help="how long each")
    asked = parser.parse_args()
    sizes = replace(FULL if asked.full else SMALL, agents=asked.agents)
    if asked.issues:
        sizes = replace(sizes, store=shop.of(asked.issues), ingested=asked.issues)
    if asked.seconds:
        sizes = replace(sizes, seconds=asked.seconds)
    print(f"Python {platform.python_version()}, {sizes.seconds:g} s each\n")
    with stores.folder(asked) as folder:
        rows.keep(asked, rows.show(measure(sizes, folder)))


if __name__ == "__main__":
    main()
