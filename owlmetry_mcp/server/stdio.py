"""Standard input and output as the SDK serves them, but that what it cannot take is answered, and bounded.

The SDK passes over lines that are no message, so that a client would wait for their answers for ever.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import TextIOWrapper
from typing import Any

import anyio
from anyio.abc import ObjectReceiveStream, ObjectSendStream
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, JSONRPCError
from pydantic import ValidationError

from owlmetry_mcp.server.messages import Item, answer, error

MAX_LINE_LENGTH = 4 * 1024 * 1024
"""Characters of one message: four times what the API takes of a body. The rest of a longer one is not kept."""

_TOO_LONG = f"The message is longer than {MAX_LINE_LENGTH} characters. Nothing of it was read; send less at once."


@asynccontextmanager
async def standard_streams() -> AsyncIterator[tuple[ObjectReceiveStream[Item], Any]]:
    """What to serve: the stream of what comes in, and that of what goes out."""
    # What is no UTF-8 becomes what no message holds, where the SDK would have it replaced and taken for what was meant.
    lines = _Lines(sys.stdin.buffer, encoding="utf-8", errors="surrogateescape")
    async with stdio_server(anyio.wrap_file(lines)) as (read, write):
        yield _Answered(read, write), write


class _Lines(TextIOWrapper):
    def readline(self, _: int = -1, /) -> str:  # type: ignore[override]  # typeshed takes every stream's for bytes
        """The next line; instead of one that is too long, what is no message."""
        line = super().readline(MAX_LINE_LENGTH + 1)
        if len(line) <= MAX_LINE_LENGTH or line.endswith("\n"):
            return line
        while (rest := super().readline(MAX_LINE_LENGTH)) and not rest.endswith("\n"):
            pass
        return _TOO_LONG


class _Answered(ObjectReceiveStream[Item]):
    """What comes in, without what is no message; that is answered here."""

    def __init__(self, incoming: Any, outgoing: ObjectSendStream[SessionMessage]) -> None:  # noqa: ANN401 - the SDK's
        self._incoming = incoming
        self._outgoing = outgoing

    async def receive(self) -> Item:
        while True:
            item: Item = await self._incoming.receive()
            refusal = _answer(item)
            if refusal is None:
                return item
            await self._outgoing.send(SessionMessage(refusal))

    async def aclose(self) -> None:
        await self._incoming.aclose()


def _answer(item: Item) -> JSONRPCError | None:
    if isinstance(item, ValidationError) and item.errors(include_url=False)[0]["input"] == _TOO_LONG:
        return error(INVALID_REQUEST, _TOO_LONG)
    return answer(item, "line")
