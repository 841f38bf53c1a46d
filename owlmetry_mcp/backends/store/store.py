"""An open store: its two connections, each with a thread of its own, and the clock it goes by."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.file import Place, open_again, open_file, place_of, refuse_newer
from owlmetry_mcp.backends.store.transactions import (
    Clock,
    Transaction,
    connect,
    passes_by_itself,
    transaction,
    translated,
)
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import StoreError

Result = TypeVar("Result")
_MUCH = ("PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 10000")
"""64 MiB of pages in memory; 80 MiB of log. More of either gained nothing where it was measured."""
_LONG_SECONDS = 0.1
_TURN_SECONDS = 0.025
"""Longer than a transaction that waits to write takes to look again."""
Work = Callable[[Transaction], Result]
_TO_THE_HOUR = len("2026-10-21T12")


class Store:
    """The embedded store at `path`, made on first use; `fill` gives a new one its first rows.

    Reads and writes go by a connection and a thread each, so that a read never waits for a write, nor the event loop
    for either. `close()` it, or use it as a context manager.

    A file that is deleted, or has another put in its place, is noticed before anything is read or written, and told
    once; what is there from then on is used. So is a file that could not be used, once it can be.

    Raises:
        StoreError: the file is no store, is of a newer version, or cannot be made.
    """

    def __init__(self, path: Path, clock: Clock = times.now, fill: Work[None] = first_start.fill) -> None:
        self.path = path
        self._clock = clock
        self._openings = 0
        self._took_long = False
        self._place: Place | None = None
        """The file that the connections are to; None where they are not to be used."""
        self._may_write = True
        """A connection to a file that is read-only stays so, even where the file does not."""
        connection, place = open_file(path, clock, fill)
        self._writes = _Lane("store-writes", connection, writing=True)
        try:
            with translated(path):
                self._reads = _Lane("store-reads", connect(path), writing=False)
        except BaseException:
            connection.close()
            raise
        self._opened(place)

    def read(self, work: Work[Result]) -> Result:
        """What `work` makes of one consistent view of the store."""
        return self._do(self._reads, work)

    def write(self, work: Work[Result]) -> Result:
        """What `work` returns, once all it wrote is kept, durably. If it raises, nothing is."""
        return self._do(self._writes, work)

    def write_much(self, work: Work[Result]) -> Result:
        """`write`, as one of many in a row: where the one before took long, whoever waits to write has a turn first."""
        if self._took_long:
            time.sleep(_TURN_SECONDS)
        begun = time.monotonic()
        result = self.write(work)
        self._took_long = time.monotonic() - begun >= _LONG_SECONDS
        return result

    async def reading(self, work: Work[Result]) -> Result:
        """`read`, in another thread."""
        return await self._do_in_thread(self._reads, work)

    async def writing(self, work: Work[Result]) -> Result:
        """`write`, in another thread. Cancelled, it is still done if it has begun, and wholly."""
        return await self._do_in_thread(self._writes, work)

    async def version(self) -> str:
        """Another text after every commit, of any connection in any process; for another file; and every hour, since
        what is shown of issues goes by their age, too.

        The reads' connection never commits anything itself, so that SQLite's counter of others' commits misses none.
        """

        def work(tx: Transaction) -> str:
            return f"{self._openings} {tx.one('PRAGMA data_version')[0]} {tx.now[:_TO_THE_HOUR]}"

        return await self.reading(work)

    def expect_much(self) -> None:
        """Have the writes cached in more memory, and moved from the log to the file's own pages less often."""
        with self._writes.lock, translated(self.path):
            for pragma in _MUCH:
                self._writes.connection.execute(pragma)

    def _do(self, lane: "_Lane", work: Work[Result]) -> Result:
        is_renewed = False
        while True:
            with lane.lock:
                place = self._place
                if self._is_at(place) and (self._may_write or is_renewed or not lane.writing):
                    return self._done(lane, work, place)
            self._renew()
            is_renewed = True

    async def _do_in_thread(self, lane: "_Lane", work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(lane.thread, self._do, lane, work)

    def _opened(self, place: Place) -> None:
        self._may_write = os.access(self.path, os.W_OK)
        self._place = place

    def _is_at(self, place: Place | None) -> bool:
        return place is not None and place_of(self.path) == place

    def _done(self, lane: "_Lane", work: Work[Result], place: Place | None) -> Result:
        try:
            with transaction(lane.connection, self.path, self._clock, writing=lane.writing) as tx:
                if lane.writing:  # a newer program may have migrated it since, and keep what this one knows nothing of
                    refuse_newer(self.path, tx.one("PRAGMA user_version")[0])
                result = work(tx)
        except StoreError as error:
            if not passes_by_itself(error):
                self._place = None
            raise
        if lane.writing and not self._is_still_at(place):
            raise StoreError(
                f"The store {self.path} was deleted or replaced while this was written to it",
                "It is not in the file that is there now.",
            )
        return result

    def _is_still_at(self, place: Place | None) -> bool:
        """Where that can no longer be told, what is written is taken to be where it was just before."""
        try:
            return self._is_at(place)
        except StoreError:
            return True

    def _renew(self) -> None:
        """Open the file that is there, in place of one that is not, or could not be used.

        Raises:
            StoreError: there is none, or it cannot be used; or it took the place of the one in use, which is told once.
        """
        with self._writes.lock, self._reads.lock:
            there, before = place_of(self.path), self._place
            is_usable = self._may_write or not os.access(self.path, os.W_OK)
            if (
                there is not None and there == before and is_usable
            ):  # the other lane was faster, or it is still read-only
                return
            self._let_go()
            if there is None:
                raise StoreError(
                    f"The store {self.path} is gone: it was deleted or moved while it was in use",
                    "Nothing was changed. Put it back, or restart this to begin a new one.",
                )
            if before not in (None, there):
                raise StoreError(
                    f"The store {self.path} was replaced by another file while it was in use",
                    "Nothing was changed. From now on that one is used; look what it holds, then try again.",
                )
            self._writes.connection, place = open_again(self.path, self._clock)
            with translated(self.path):
                self._reads.connection = connect(self.path)
            self._openings += 1
            self._opened(place)

    def _let_go(self) -> None:
        """Close the connections. If their file was moved, what the log holds goes into it first, wherever it is now;
        SQLite would give the log to the file that bears the name.
        """
        with suppress(sqlite3.Error):
            if self._place is not None and not self._is_still_at(self._place):
                self._writes.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._place = None
        for lane in (self._writes, self._reads):
            lane.connection.close()

    def close(self) -> None:
        for lane in (self._writes, self._reads):
            lane.thread.shutdown(wait=True, cancel_futures=True)
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Lane:
    """A connection and the one thread it works in, a transaction at a time."""

    def __init__(self, name: str, connection: sqlite3.Connection, *, writing: bool) -> None:
        self.connection = connection
        self.writing = writing
        self.thread = ThreadPoolExecutor(1, name)
        self.lock = Lock()
