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
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCNotification
from pydantic import ValidationError

MAX_LINE_LENGTH = 4 * 1024 * 1024
"""Characters of one message: four times what the API takes of a body. The rest of a longer one is not kept."""

_NOTIFICATIONS = "notifications/"
_FORM = 'A request has "jsonrpc": "2.0", an id (text or a whole number), a method, and params, if any, in an object.'
_BATCH = "Batches are not taken. Send each message on a line of its own."
_TOO_LONG = f"The message is longer than {MAX_LINE_LENGTH} characters. Nothing of it was read; send less at once."

Item = SessionMessage | Exception


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
            answer = _answer(item)
            if answer is None:
                return item
            await self._outgoing.send(SessionMessage(answer))

    async def aclose(self) -> None:
        await self._incoming.aclose()


def _answer(item: Item) -> JSONRPCError | None:
    """What to answer to something that is no message; None to one, and to what asks for no answer.

    A request whose id is none cannot be told from a notification; what has a request's method is taken for one.
    """
    if isinstance(item, ValidationError):
        return _unlike_a_message(item)
    message = item.message if isinstance(item, SessionMessage) else None
    if isinstance(message, JSONRPCNotification) and not message.method.startswith(_NOTIFICATIONS):
        return _error(None, INVALID_REQUEST, _FORM)  # a request, with an id that is none
    return None


def _unlike_a_message(refused: ValidationError) -> JSONRPCError | None:
    faults = refused.errors(include_url=False)
    first = faults[0]
    match first["type"], first["input"]:
        case "string_unicode", _:
            return _error(None, PARSE_ERROR, "This is no UTF-8. Each line is one message in it.")
        case "json_invalid", text if text == _TOO_LONG:
            return _error(None, INVALID_REQUEST, _TOO_LONG)
        case "json_invalid", text:
            unread = f"This is no JSON: {first['ctx']['error']}. Each line is one message."
            return _error(None, PARSE_ERROR, unread) if text.strip() else None
        case "model_type", list():
            return _error(None, INVALID_REQUEST, _BATCH)
    # It is shown whole where it is said to lack something: a request, at least, a result.
    message: dict[str, Any] = next((fault["input"] for fault in faults if fault["type"] == "missing"), {})
    if message.keys() & {"result", "error"}:
        return None
    given = message.get("id")
    return _error(given if type(given) in (int, str) else None, INVALID_REQUEST, _FORM)


def _error(request_id: int | str | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))
