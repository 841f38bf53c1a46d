"""The MCP server and the API, killed at random moments in the midst of many writes, round after round on one store."""

from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from random import Random
from threading import Thread

from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store
from tests.durability.ground import client_key, prepare, wrongs
from tests.durability.links import ApiLink, Refusal, StdioLink
from tests.durability.streams import EventStream, IssueStream, Stream, Write
from tests.durability.tally import Tally

AUTHOR = "Night shift"
MOST_ACKNOWLEDGED = 60
"""Writes that a round waits for before it kills."""
START_SECONDS = 1.2
"""Within which a round kills that waits for none."""
WRITE_SECONDS = 0.02
"""Within which one kills that has waited: a few writes."""

Link = StdioLink | ApiLink


class Servers:
    """One of the two, its store, and those who write to it: each to issues of its own, one write at a time."""

    def __init__(self, directory: Path, random: Random, subject: str) -> None:
        self._path = directory / "store.db"
        self._random = random
        self._subject = subject
        self._project, parties = prepare(self._path, ["Ada", "Ben", "Cy"])
        stdio = subject == "stdio"
        self._streams: list[Stream] = [
            IssueStream(self._path, party, Random(random.random()), author=AUTHOR if stdio else party.name)
            for party in parties
        ]
        if not stdio:
            _, (intake,) = prepare(self._path, ["Intake"])
            secret = client_key(self._path, intake.app_id)
            self._streams.append(EventStream(self._path, intake.app_id, secret, Random(random.random())))

    def _start(self) -> Link:
        if self._subject == "stdio":
            return StdioLink(self._path, self._project, OWLMETRY_AGENT_NAME=AUTHOR)
        return ApiLink(self._path, self._project)

    def round(self, tally: Tally) -> None:
        for stream in self._streams:
            stream.prepare()
        wanted = 0 if self._random.random() < 0.15 else self._random.randint(1, MOST_ACKNOWLEDGED)
        patience = self._random.uniform(0, WRITE_SECONDS if wanted else START_SECONDS)
        link, steps = self._start(), SimpleQueue[bool]()
        workers = [_Worker(stream, link, steps.put) for stream in self._streams]
        if all(steps.get() for _ in range(wanted)) and not link.outlives(patience):
            tally.faults.append("it ended by itself")
        link.kill()
        for worker in workers:
            worker.join(tally)
        tally.faults += wrongs(self._path)

    def finish(self, tally: Tally) -> None:
        """What was taken in and not yet scanned is, by a later scan."""
        with Store(self._path) as store:
            scan_all(store.write)
        tally.faults += wrongs(self._path)


class _Worker:
    """A stream in a thread of its own, that sends each write once the one before it was acknowledged."""

    def __init__(self, stream: Stream, link: Link, stepped: Callable[[bool], None]) -> None:
        self._stream = stream
        self._link = link
        self._stepped = stepped
        self._under_way: Write | None = None
        self._acknowledged = 0
        self._fault = ""
        self._thread = Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            goes_on = self._step()
            self._stepped(goes_on)

    def _step(self) -> bool:
        """Whether a write was acknowledged, and rightly."""
        self._under_way = write = self._stream.next_write()
        try:
            answer = self._link.ask(self._stream.secret, write)
        except Refusal as refusal:
            self._fault = f"{write.tool} was refused: {refusal}"
            return False
        if answer is None:
            return False
        self._acknowledged += 1
        self._fault = self._stream.acknowledged(write, answer)
        self._under_way = None
        return not self._fault

    def join(self, tally: Tally) -> None:
        """Hold the store against what was acknowledged, and go on from how it stands."""
        self._thread.join()
        tally.acknowledged += self._acknowledged
        if self._fault:
            tally.faults.append(self._fault)
        expected, found = self._stream.state, self._stream.found()
        if self._under_way and found == self._under_way.after:
            tally.kept += 1
        else:
            tally.not_kept += self._under_way is not None
            tally.faults += [
                f"{key} is {found.get(key)} instead of {expected.get(key)}; under way: {self._under_way}"
                for key in sorted(expected.keys() | found.keys())
                if (key in found, found.get(key)) != (key in expected, expected.get(key))
            ]
        self._stream.state = found
