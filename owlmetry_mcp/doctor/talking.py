"""A command, started as a client would, spoken to, and ended."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO, TypeVar

import anyio
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import Implementation

from owlmetry_mcp import __version__
from owlmetry_mcp.doctor.masking import masked, secrets_in

Result = TypeVar("Result")
_TAIL_BYTES = 65_536
_TAIL_LINES = 3
_LINE_LENGTH = 200


class NotStartedError(Exception):
    """It did not start, or did not answer as a server does. The text says why, and what it said last itself."""


@dataclass(frozen=True, slots=True)
class Command:
    words: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    """Beside the little that every client passes on."""
    directory: Path
    seconds: float
    """It is to have started, to have been spoken to, and to have ended by then, or shortly after."""
    called: str = "owlmetry-mcp-doctor"
    """What we call ourselves."""


async def talk(command: Command, ask: Callable[[Client], Awaitable[Result]]) -> Result:
    """What `ask` returns of it.

    Raises:
        NotStartedError: see there.
    """
    program, *arguments = command.words
    server = StdioServerParameters(
        command=program,
        args=arguments,
        env=dict(command.environment),
        cwd=command.directory,
        encoding_error_handler="replace",
    )
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            with anyio.fail_after(command.seconds):
                ourselves = Implementation(name=command.called, version=__version__)
                # The handshake, since it is what most clients of today, and older servers, begin with.
                async with Client(stdio_client(server, said), client_info=ourselves, mode="legacy") as client:
                    return await ask(client)
        except Exception as error:  # noqa: BLE001 - whatever becomes of a program that is looked at is a finding
            why = _why(error, command.seconds)
            raise NotStartedError(f"{why}{_last_words(said, command.environment)}") from None


def _why(error: BaseException, seconds: float) -> str:
    match error:
        case BaseExceptionGroup():
            return _why(error.exceptions[0], seconds)
        case TimeoutError():
            return f"no answer within {seconds:.0f} s"
        case MCPError():
            return "it ended without an answer" if "closed" in str(error).lower() else f"it answered: {error}"
        case OSError():
            return error.strerror or type(error).__name__
        case ValueError() if "null byte" in str(error) or "environment" in str(error):
            return f"it cannot be started: {error}"
        case _:
            return f"it answered in a form that is not MCP's ({type(error).__name__})"


def _last_words(said: TextIO, environment: Mapping[str, str]) -> str:
    """The last lines of its standard error, each cut, once nothing in them is a secret."""
    end = said.seek(0, 2)
    said.seek(max(end - _TAIL_BYTES, 0))
    lines = said.read().splitlines()[1 if end > _TAIL_BYTES else 0 :]
    text = masked("\n".join(lines), secrets_in(environment))
    last = [line.strip()[:_LINE_LENGTH] for line in text.splitlines() if line.strip()][-_TAIL_LINES:]
    return f"; it said last: {' / '.join(last)}" if last else ""
