"""What the parsers of files hand on, and what they have in common: levels, lengths, ids."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

MAX_TEXT = 2_000
MAX_STACK = 16_000
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

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Found(NamedTuple):
    line: int
    """Where it begins in the file, from 1."""
    event: dict[str, Any] | None
    """As `POST /v1/ingest` takes it; None if it cannot be made into one."""
    fault: str = ""
    """Then: why not."""


def storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)


def cut(text: str, limit: int = MAX_TEXT) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def cut_stack(text: str) -> str:
    """A stack with its end, where Python has the exception, and its beginning, where others have it."""
    if len(text) <= MAX_STACK:
        return text
    return text[:_STACK_HEAD] + _CUT + text[_STACK_HEAD + len(_CUT) - MAX_STACK :]


def uuid_of(text: str) -> str:
    """Always the same for the same text."""
    return uuid_from(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())


def uuid_from(digest: bytes) -> str:
    return str(uuid.UUID(bytes=digest))


def own_or_derived_uuid(text: str) -> str:
    """The text itself where it is a UUID, else one derived from it."""
    return text.lower() if _UUID.fullmatch(text) else uuid_of(text)
