"""An open store: its two connections, each with a thread of its own, and the clock it goes by."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.file import open_file
from owlmetry_mcp.backends.store.transactions import Clock, Transaction, connect, transaction, translated
from owlmetry_mcp.issues import times

Result = TypeVar("Result")
_MUCH = ("PRAGMA cache_size = -65536", "PRAGMA wal_autocheckpoint = 10000")
"""64 MiB of pages in memory; 80 MiB of log. More of either gained nothing where it was measured."""
Work = Callable[[Transaction], Result]
_TO_THE_HOUR = len("2026-10-21T12")


class Store:
    """The embedded store at `path`, made on first use; `fill` gives a new one its first rows.

    Reads and writes go by a connection and a thread each, so that a read never waits for a write, nor the event loop
    for either. `close()` it, or use it as a context manager.

    Raises:
        StoreError: the file is no store, is of a newer version, or cannot be made.
    """

    def __init__(self, path: Path, clock: Clock = times.now, fill: Work[None] = first_start.fill) -> None:
        self.path = path
        self._writes = _Lane("store-writes", open_file(path, clock, fill), path, clock, writing=True)
        try:
            with translated(path):
                self._reads = _Lane("store-reads", connect(path), path, clock, writing=False)
        except BaseException:
            self._writes.close()
            raise

    def read(self, work: Work[Result]) -> Result:
        """What `work` makes of one consistent view of the store."""
        return self._reads.do(work)

    def write(self, work: Work[Result]) -> Result:
        """What `work` returns, once all it wrote is kept, durably. If it raises, nothing is."""
        return self._writes.do(work)

    async def reading(self, work: Work[Result]) -> Result:
        """`read`, in another thread."""
        return await self._reads.do_in_thread(work)

    async def writing(self, work: Work[Result]) -> Result:
        """`write`, in another thread. Cancelled, it is still done if it has begun, and wholly."""
        return await self._writes.do_in_thread(work)

    async def version(self) -> str:
        """Another text after every commit, of any connection in any process; and every hour, since what is shown of
        issues goes by their age, too.

        The reads' connection never commits anything itself, so that SQLite's counter of others' commits misses none.
        """
        return await self.reading(lambda tx: f"{tx.one('PRAGMA data_version')[0]} {tx.now[:_TO_THE_HOUR]}")

    def expect_much(self) -> None:
        """Have the writes cached in more memory, and moved from the log to the file's own pages less often."""
        self._writes.configure(_MUCH)

    def close(self) -> None:
        self._writes.close()
        self._reads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Lane:
    """A connection and the one thread it works in, a transaction at a time."""

    def __init__(self, name: str, connection: sqlite3.Connection, path: Path, clock: Clock, *, writing: bool) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._writing = writing
        self._thread = ThreadPoolExecutor(1, name)
        self._lock = Lock()

    def configure(self, pragmas: Iterable[str]) -> None:
        with self._lock, translated(self._path):
            for pragma in pragmas:
                self._connection.execute(pragma)

    def do(self, work: Work[Result]) -> Result:
        with self._lock, transaction(self._connection, self._path, self._clock, writing=self._writing) as tx:
            return work(tx)

    async def do_in_thread(self, work: Work[Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.do, work)

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
        self._connection.close()
