"""`owlmetry-mcp ingest`: events from a file or a pipe into the store, and into issues."""

import gc
import os
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from owlmetry_mcp.backends.store import administration, events
from owlmetry_mcp.backends.store.scan import Scanned, scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli.progress import Progress
from owlmetry_mcp.cli.scan import told
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.events import NewEvent, Terms, checked
from owlmetry_mcp.settings import Settings
from owlmetry_mcp.sources.found import Found
from owlmetry_mcp.sources.lines import Lines

Reader = Callable[[Iterable[tuple[int, bytes]]], Iterator[Found]]
STANDARD_STREAM = "-"
BATCH_EVENTS = 50_000
BATCH_BYTES = 64 * 1024 * 1024
"""Events, and bytes of input, a transaction. Fewer cost more each, as a batch writes to pages all over the indexes."""
PORTION_EVENTS = 2_000
PORTION_BYTES = 4 * 1024 * 1024
"""Of a batch, what is in memory at once."""
MAX_AGE_SECONDS = 1.0
"""How long an event from a pipe may wait for others."""
FOLLOWED_EVENTS = 10_000
"""Events from a pipe that wait for others at most."""
SCAN_EVERY = 100_000
"""Events taken in before a scan, where the end of the input is further off: each of the two works on other pages."""
MAX_FAULTS_SHOWN = 100


def ingest(parsed: Namespace, settings: Settings) -> None:
    if not parsed.file:
        raise InvalidInputError("FILE must be the path of a file, or - for standard input")
    name = "standard input" if parsed.file == STANDARD_STREAM else parsed.file
    with _opened(parsed.file, name) as descriptor, Store(settings.store) as store:
        gc.disable()  # what a batch is made of holds no cycles, and looking for them takes a tenth of the time
        store.expect_much()
        app = store.read(lambda tx: administration.find_app(tx, parsed.app))
        with Progress(name, descriptor) as progress:
            intake = _Intake(store, app, progress, strict=parsed.strict)
            lines = Lines(descriptor, intake.catch_up)
            try:
                (intake.follow if lines.is_live else intake.read)(_reader(parsed.format)(lines), lines)
            except OSError as error:
                intake.scan()
                raise InvalidInputError(f"{name} cannot be read: {error}", intake.kept()) from error
            except InvalidInputError as error:
                intake.scan()
                raise InvalidInputError(f"{name}, {error.message}", intake.kept()) from error
            except KeyboardInterrupt:
                progress.say(f"{intake.kept()} `owlmetry-mcp scan` makes issues of what is there.")
                raise
    intake.report(name)


def _reader(name: str) -> Reader:
    """The `read` of the module that reads the format of that name."""
    read: Reader = import_module(f"owlmetry_mcp.sources.{name.replace('-', '_')}").read
    return read


@contextmanager
def _opened(file: str, name: str) -> Iterator[int]:
    if file == STANDARD_STREAM:
        yield sys.stdin.fileno()
        return
    try:
        descriptor = os.open(Path(file), os.O_RDONLY)
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{name} cannot be read: {error}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class _Intake:
    """Events on their way into the store, a batch at a time: each is in as a whole, or not at all."""

    def __init__(self, store: Store, app: administration.App, progress: Progress, *, strict: bool) -> None:
        self._store = store
        self._app = app
        self._progress = progress
        self._strict = strict
        self._waiting: list[NewEvent] = []
        self._terms: Terms | None = None
        self._begun = 0.0
        self._last_line = self._kept_line = 0
        self._accepted = self._known = self._faults = 0
        self._scanned = Scanned()

    def read(self, found: Iterator[Found], lines: Lines) -> None:
        """Take in a file. It never keeps one waiting, so it is read within the transactions that keep its events."""
        unscanned = 0
        while taken := self._store.write_much(lambda tx: [*self._read_batch(tx, found, lines)]):
            self._count(taken)
            unscanned += sum(portion.accepted for portion in taken)
            if unscanned >= SCAN_EVERY:
                self.scan()
                unscanned = 0
        self.scan()

    def _read_batch(self, tx: Transaction, found: Iterator[Found], lines: Lines) -> Iterator[events.TakenIn]:
        """Take in a batch, in portions; none at the end."""
        begun_at, portion_at = lines.read_bytes, lines.read_bytes
        count = 0
        for it in found:
            self._add(it)
            if len(self._waiting) >= PORTION_EVENTS or lines.read_bytes - portion_at >= PORTION_BYTES:
                count += len(self._waiting)
                portion_at = lines.read_bytes
                yield self._take_in(tx)
                self._progress.show(lines.read_bytes)
                if count >= BATCH_EVENTS or portion_at - begun_at >= BATCH_BYTES:
                    return
        if self._waiting:
            yield self._take_in(tx)

    def follow(self, found: Iterator[Found], lines: Lines) -> None:
        """Take in what comes through a pipe, soon after it comes."""
        for it in found:
            self._add(it)
            self._progress.show(lines.read_bytes)
            is_old = self._terms is not None and time.monotonic() - self._begun >= MAX_AGE_SECONDS
            if is_old or len(self._waiting) >= FOLLOWED_EVENTS:
                self.catch_up()
        self.catch_up()

    def catch_up(self) -> None:
        """Take in and scan what waits: there is no more, or none for now."""
        if self._waiting:
            self._count([self._store.write(self._take_in)])
        self._terms = None
        self.scan()

    def _add(self, found: Found) -> None:
        """
        Raises:
            InvalidInputError: it is no event, and strictness was asked for.
        """
        self._last_line = found.line
        fault = found.fault
        if found.event is not None:
            if self._terms is None:
                self._terms = Terms.at(times.to_text(times.now()), self._app.platform, None)
                self._begun = time.monotonic()
            try:
                self._waiting.append(checked(found.event, self._terms))
            except InvalidInputError as error:
                fault = error.message
        if not fault:
            return
        if self._strict:
            raise InvalidInputError(f"line {found.line}: {fault}")
        self._faults += 1
        if self._faults <= MAX_FAULTS_SHOWN:
            self._progress.say(f"line {found.line}: {fault}")

    def _take_in(self, tx: Transaction) -> events.TakenIn:
        taken = events.take_in(tx, self._app.key, None, self._waiting)
        self._waiting, self._terms = [], None
        return taken

    def _count(self, taken: Iterable[events.TakenIn]) -> None:
        """Count what is kept now."""
        for portion in taken:
            self._accepted += portion.accepted
            self._known += portion.known
        self._kept_line = self._last_line

    def scan(self) -> None:
        with self._progress.scanning():
            self._scanned = self._scanned.plus(scan_all(self._store.write_much))

    def kept(self) -> str:
        if not self._kept_line:
            return "Nothing was taken in."
        return f"What stands up to line {self._kept_line} is in the store; run it again to go on, nothing comes twice."

    def report(self, name: str) -> None:
        """
        Raises:
            InvalidInputError: there was something, and none of it was an event.
        """
        if self._faults and not self._accepted + self._known:
            raise InvalidInputError(f"{name}: nothing in it is an event", "See --format for what it may hold.")
        counts = [f"{self._accepted:,} new events"]
        if self._known:
            counts.append(f"{self._known:,} known already")
        if self._faults:
            unshown = self._faults - MAX_FAULTS_SHOWN
            more = f" (the first {MAX_FAULTS_SHOWN} are shown)" if unshown > 0 else ""
            counts.append(f"{self._faults:,} bad, left out{more}")
        print(f"{name}: {', '.join(counts)}.", file=sys.stderr)
        print(told(self._scanned), file=sys.stderr)
