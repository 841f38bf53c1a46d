"""The reads of an operation that asks many times: once it has something to answer with, it stops in time to do so."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from owlmetry_mcp.backends.base import CALL
from owlmetry_mcp.backends.live.faults import OutOfTimeError
from owlmetry_mcp.backends.live.wire import Deadline, Wire

MOST = 2 / 3
"""Of the time there is, the reads of a part take no more."""


class Reads:
    """All of them are needed, unless they are `partial`: then some will do.

    In that case only the first answer may take all the time of the call. What follows leaves some of it for the next
    part of the operation, and for what the call asks for besides.
    """

    def __init__(self, wire: Wire, *, partial: bool) -> None:
        self._wire = wire
        self._call = wire.deadline()
        call = CALL.get()
        self._end = self._call.within(call.share() if call and partial else 1)
        self._part = self._end.within(MOST)
        self._partial = partial
        self._answered = False
        self.complete = True
        """Time sufficed so far."""

    @property
    def deadline(self) -> Deadline:
        """The end of the next read."""
        return self._part if self._some_will_do else self._call

    @property
    def _some_will_do(self) -> bool:
        return self._partial and self._answered

    def next_part(self) -> None:
        self._part = self._end.within(MOST)

    async def read(self, path: str, query: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        answer = await self._wire.read(path, query, self.deadline)
        self._answered = True
        return answer

    @contextmanager
    def while_time_lasts(self) -> Iterator[None]:
        """What is inside is given up when time is up, if what was read before will do."""
        try:
            yield
        except OutOfTimeError:
            if not self._some_will_do:
                raise
            self.complete = False
