"""Writes over a wire that may fail: each is done once, and what became of it is told truly."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from owlmetry_mcp.backends.live.faults import FaultError, LostError
from owlmetry_mcp.backends.live.wire import MAX_ATTEMPTS, Deadline, Wire
from owlmetry_mcp.issues.errors import FateUnknownError, OwlmetryError, PermissionDeniedError, UnavailableError

Result = TypeVar("Result")

LOOKS = 4
"""So often a write is looked for that cannot be sent again, and of which the server may just be at work."""


class CannotTellError(Exception):
    """What the server shows may be the write's doing, or another's."""


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
        """The result if the server shows that the write was done, None if it does not; may raise CannotTellError."""
        self._repeatable = repeatable
        """Sent twice, it does what sent once it does."""

    async def carry_out(self, deadline: Deadline) -> Result:
        """The write's result, once it is certain.

        A request that surely did not arrive is sent again. One that was lost may have been carried out, or may yet be:
        the server is asked. Only what does no more when it is done twice is sent again after that; anything else, and
        whatever is not certain in the end, is said to be unknown.

        Raises:
            OwlmetryError: the server refused it, or could not be reached: it was not done.
            FateUnknownError: it was sent, and whether it was done cannot be told.
        """
        lost = False
        for attempt in range(MAX_ATTEMPTS):
            cause: Exception
            try:
                return self._understand(await self._send(deadline))
            except LostError as fault:
                cause, lost = fault, True
                if (found := await self._found(fault, deadline)) is not None:
                    return found
                if not self._repeatable:
                    raise self._unknown(fault) from fault
            except FaultError as fault:
                cause = fault
            except OwlmetryError as error:
                # A refusal is one, unless a request that was lost has done it; an answer of no use may hide a success.
                if not lost and not isinstance(error, UnavailableError):
                    raise
                if (found := await self._found(error, deadline)) is not None:
                    return found
                raise self._unknown(error) from error
            if attempt + 1 == MAX_ATTEMPTS or not await self._wire.pause(attempt, cause, deadline):
                raise (self._unknown(cause) if lost else self._wire.unavailable(cause)) from cause
        raise AssertionError("the last attempt returns or raises")

    async def _found(self, cause: Exception, deadline: Deadline) -> Result | None:
        """The result, if the server shows that the write was done; None if it does not.

        Raises:
            FateUnknownError: the server cannot be asked, or what it shows cannot be told from another's doing.
        """
        looks = 0
        while True:
            try:
                found = await self._find(deadline)
            except (OwlmetryError, CannotTellError) as error:
                raise self._unknown(cause) from error
            looks += 1
            patient = isinstance(cause, LostError) and cause.may_still_arrive
            if found is not None or self._repeatable or not (patient or looks < LOOKS):
                return found
            if not await self._wire.pause(looks, None, deadline):
                return None

    def _unknown(self, cause: Exception) -> FateUnknownError:
        return FateUnknownError(
            f"It is not known whether {self._what}: {cause}", "Look before you try again: it may have been done."
        )


async def carry_out(  # noqa: PLR0913, PLR0917 - what a write is made of
    wire: Wire,
    what: str,
    method: str,
    path: str,
    body: Mapping[str, Any] | None,
    understand: Callable[[Any], Result],
    find: Callable[[Deadline], Awaitable[Result | None]],
    deadline: Deadline | None = None,
    *,
    repeatable: bool = True,
) -> Result:
    """One write, as `Write.carry_out`."""

    async def send(deadline: Deadline) -> Any:  # noqa: ANN401 - JSON
        return await wire.attempt(method, path, body=body, deadline=deadline)

    write = Write(wire, what, send, understand, find, repeatable=repeatable)
    return await write.carry_out(deadline or wire.deadline())


async def if_readable(reading: Awaitable[Result]) -> Result | None:
    """What is there before a write, to tell afterwards what it did; None to a key that may read nothing."""
    try:
        return await reading
    except PermissionDeniedError:
        return None
