"""`owlmetry-mcp ingest`, killed at random moments: of a file, whose events are in together, and of a pipe."""

import json
import subprocess
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Thread
from typing import IO

from tests.durability.ground import error, looked_at, wrongs
from tests.durability.tally import Tally
from tests.test_stdio import COMMAND

MOST_EVENTS = 5_000
STORE_EVENTS = 40_000
"""After which a new store is begun, so that looking at it stays quick; making one is interrupted, too."""
_BYTES_AT_ONCE = 8_192


class Ingests:
    """A file is read again until its command ends by itself, which says that all is kept; then the next one is."""

    def __init__(self, directory: Path, random: Random) -> None:
        self._directory = directory
        self._random = random
        self._seconds = 1.0
        """What it takes, going by the rounds before."""
        self._stores = self._events = 0
        self._begin_store()
        self._begin_file()

    def _begin_store(self) -> None:
        self._stores += 1
        self._events = 0
        self._path = self._directory / f"{self._stores}.db"

    def _begin_file(self) -> None:
        count = self._random.randint(1, MOST_EVENTS)
        rows = [error(self._random, datetime.now(UTC), f"Module {'abcdefgh'[n % 8]}") for n in range(count)]
        self._ids = [row["client_event_id"] for row in rows]
        self._file = self._directory / "events.jsonl"
        self._file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        self._there = 0
        """How many of its events are in the store, from the first on."""

    def round(self, tally: Tally) -> None:
        by_pipe = self._random.random() < 0.3
        is_early = self._random.random() < 0.2  # in its own start, which takes about half of the time
        patience = self._random.uniform(*((0, 0.5) if is_early else (0.5, 1.3))) * self._seconds
        started = time.monotonic()
        is_done = self._killed(patience, by_pipe=by_pipe)
        self._seconds = time.monotonic() - started if is_done else max(self._seconds, patience)
        found = self._found()
        expected = {len(self._ids)} if is_done else {self._there, len(self._ids)}
        if found not in expected and not (by_pipe and not is_done and found is not None and found >= self._there):
            tally.faults.append(f"of {len(self._ids)} events {found} are there instead of {expected}")
        tally.acknowledged += is_done
        tally.kept += not is_done and found != self._there
        tally.not_kept += not is_done and found == self._there
        self._there = found or 0
        if self._path.exists():
            tally.faults += wrongs(self._path)
        if is_done:
            tally.faults += self._unlike_issues()
            self._events += len(self._ids)
            if self._events > STORE_EVENTS:
                self._begin_store()
            self._begin_file()

    def _killed(self, seconds: float, *, by_pipe: bool) -> bool:
        """Whether it was done before."""
        command = [*COMMAND, "ingest", "-" if by_pipe else str(self._file), "--store", str(self._path)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE if by_pipe else subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            feeder = Thread(target=self._feed, args=(process.stdin,))
            feeder.start()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            feeder.join()
            assert process.stderr
            said = process.stderr.read().decode()
        assert process.returncode in (0, -9), said
        return process.returncode == 0

    def _feed(self, pipe: IO[bytes] | None) -> None:
        if pipe is None:
            return
        content = self._file.read_bytes()
        with suppress(BrokenPipeError), pipe:
            for start in range(0, len(content), _BYTES_AT_ONCE):
                pipe.write(content[start : start + _BYTES_AT_ONCE])
                pipe.flush()

    def _found(self) -> int | None:
        """How many of the file's events are there; None where those are not its first ones, each once."""
        if not self._path.exists():
            return 0
        sql = "SELECT client_event_id FROM events"
        wanted = {uuid.UUID(it).bytes for it in self._ids}
        found = [row[0] for row in looked_at(self._path, lambda tx: tx.all(sql)) if row[0] in wanted]
        firsts = [uuid.UUID(it).bytes for it in self._ids[: len(found)]]
        return len(found) if sorted(found) == sorted(firsts) else None

    def _unlike_issues(self) -> list[str]:
        """Once a command has ended, each event is an occurrence, and none waits."""
        sql = (
            "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM occurrences), (SELECT count(*) FROM unscanned)"
        )
        events, occurrences, waiting = looked_at(self._path, lambda tx: tx.one(sql))
        if events == occurrences and not waiting:
            return []
        return [f"of {events} events {occurrences} are occurrences, and {waiting} wait for the scan"]

    def finish(self, tally: Tally) -> None: ...
