"""Writes over a wire that may fail: each is done once, and what became of it is told truly."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from owlmetry_mcp.backends.live.faults import FaultError, LostError
from owlmetry_mcp.backends.live.wire import MAX_ATTEMPTS, Deadline, Wire
from owlmetry_mcp.issues.errors import FateUnknownError, OwlmetryError, UnavailableError

Result = TypeVar("Result")


class Write(Generic[Result]):
    """One write: how it is sent, how its answer is understood, and how to see whether it was done."""

    def __init__(  # noqa: PLR0913 - the sides of a write
        self,
        wire: Wire,
        what: str,
        send: Callable[[Deadline], Awaitable[Any]],
        understand: Callable[[Any], Result],
        find: Callable[[Deadline], Awaitable[Result | None]],
        *,
        repeatable: bool,
    ) -> None:
        self._wire = wire
        self._what = what
        self._send = send
        self._understand = understand
        self._find = find
        self._repeatable = repeatable
        """Sent twice, it does what sent once it does."""

    async def carry_out(self, deadline: Deadline) -> Result:
        """The write's result, once it is certain.

        A request that surely did not arrive is sent again. After one whose fate is not known, the server is asked; it
        is sent again only if it was not done, and cannot be done any more by the request that was lost.

        Raises:
            OwlmetryError: the server refused it, or could not be reached: it was not done.
            FateUnknownError: it was sent, and whether it was done cannot be told.
        """
        lost: LostError | None = None
        for attempt in range(MAX_ATTEMPTS):
            last: FaultError
            try:
                return self._understand(await self._send(deadline))
            except LostError as fault:
                last = lost = fault
                if (found := await self._found(fault, deadline)) is not None:
                    return found
                if fault.may_still_arrive and not self._repeatable:
                    raise self._unknown(fault) from fault
            except FaultError as fault:
                last = fault
            except OwlmetryError as error:
                # Refused: the first time truly; after a lost request perhaps since that one was carried out.
                if lost is None and not isinstance(error, UnavailableError):
                    raise
                if (found := await self._found(lost, deadline)) is not None:
                    return found
                raise
            if attempt + 1 == MAX_ATTEMPTS or not await self._wire.pause(attempt, last, deadline):
                # Looked for and not found: not done, unless the request may yet arrive.
                open_ended = lost is not None and lost.may_still_arrive
                raise (self._unknown(last) if open_ended else self._wire.unavailable(last)) from last
        raise AssertionError("the last attempt returns or raises")

    async def _found(self, fault: LostError | None, deadline: Deadline) -> Result | None:
        """The result, if the server shows that the write was done; None if it was not, as far as can be seen now.

        Raises:
            FateUnknownError: the server cannot be asked.
        """
        looks = 0
        while True:
            try:
                found = await self._find(deadline)
            except OwlmetryError as error:
                raise self._unknown(fault or error) from error
            looks += 1
            if found is not None or not self._worth_another_look(fault, looks):
                return found
            if not await self._wire.pause(looks, None, deadline):
                return None

    def _worth_another_look(self, fault: LostError | None, looks: int) -> bool:
        """What cannot be repeated is looked for twice; what may still arrive, to the end of the call."""
        if self._repeatable or fault is None:
            return False
        return fault.may_still_arrive or looks < 2  # noqa: PLR2004 - once more, for what was under way

    def _unknown(self, cause: Exception) -> FateUnknownError:
        return FateUnknownError(
            f"It is not known whether {self._what}: {cause}", "Look before you try again: it may have been done."
        )
