"""What the parsers of files hand on, and what they have in common: levels, lengths, ids."""

import hashlib
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.events import MAX_MESSAGE_LENGTH, MAX_STACK_LENGTH

_STACK_HEAD = 4_000
_CUT = "\n…\n"

LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "TRACE": "debug",
        "DEBUG": "debug",
        "INFO": "info",
        "NOTICE": "info",
        "SUCCESS": "info",
        "WARN": "warn",
        "WARNING": "warn",
        "ERROR": "error",
        "CRITICAL": "error",
        "FATAL": "error",
        "EXCEPTION": "error",
    }
)
"""An event's level, by what loggers call theirs, in upper case."""


class Found(NamedTuple):
    line: int
    """Where it begins in the file, from 1."""
    event: dict[str, Any] | None
    """As `POST /v1/ingest` takes it; None if it cannot be made into one."""
    fault: str = ""
    """Then: why not."""


def storable(text: str) -> str:
    return parameters.UNSTORABLE.sub("\ufffd", text)


def cut(text: str, limit: int = MAX_MESSAGE_LENGTH) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_stack(text: str) -> str:
    """A stack with its end, where Python has the exception, and its beginning, where others have it."""
    if len(text) <= MAX_STACK_LENGTH:
        return text
    return text[:_STACK_HEAD] + _CUT + text[_STACK_HEAD + len(_CUT) - MAX_STACK_LENGTH :]


def uuid_of(text: str) -> str:
    """Always the same for the same text."""
    return uuid_from(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def uuid_from(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest))


def own_or_derived_uuid(text: str) -> str:
    """The text itself where it is a UUID, else one derived from it."""
    return text.lower() if parameters.UUID.fullmatch(text) else uuid_of(text)
