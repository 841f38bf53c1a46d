"""What callers send, checked by every backend before anything is looked up or sent on.

Each check takes what came in, whatever its type, and raises `InvalidInputError` naming the parameter and what it takes.
"""

import json
import re
from collections.abc import Sequence
from typing import TypeVar

from owlmetry_mcp.issues.errors import InvalidInputError

MAX_LIMIT = 200
DEFAULT_LIMIT = 50

UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}", re.ASCII)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# What ECMAScript's trim() takes off, as the server runs on it; Python's strip() differs at both ends of the list.
BLANK = "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # noqa: E501
_SHOWN_LENGTH = 60
_SHORTEST_PREFIX = 8
_ANY_UUID = "00000000-0000-0000-0000-000000000000"

Choice = TypeVar("Choice", bound=str)


def shown(value: object) -> str:
    """A wrong value as an error quotes it: as JSON, on one line, in ASCII, cut when long."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    if len(text) <= _SHOWN_LENGTH:
        return text
    return f'{text[: _SHOWN_LENGTH - 2]}…"' if isinstance(value, str) else f"{text[: _SHOWN_LENGTH - 1]}…"


def trimmed(text: str) -> str:
    return text.strip(BLANK)


def uuid(name: str, value: object) -> str:
    """An id in lower case."""
    if isinstance(value, str) and UUID.fullmatch(value):
        return value.lower()
    raise InvalidInputError(
        f"{name} must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not {shown(value)}",
    )


def uuid_prefix(name: str, value: object) -> str:
    """The first 8 to 36 characters of an id, in lower case."""
    if isinstance(value, str) and len(value) >= _SHORTEST_PREFIX and UUID.fullmatch(value + _ANY_UUID[len(value) :]):
        return value.lower()
    raise InvalidInputError(
        f"{name} must be a UUID, or at least its first {_SHORTEST_PREFIX} characters, not {shown(value)}"
    )


def optional_uuid(name: str, value: object) -> str | None:
    return None if value is None else uuid(name, value)


def one_of(
    name: str, value: object, allowed: Sequence[Choice], message: str = "{name} must be one of {allowed}, not {value}"
) -> Choice:
    for choice in allowed:
        if value == choice:
            return choice
    raise InvalidInputError(message.format(name=name, allowed=", ".join(allowed), value=shown(value)))


def limit(name: str, value: object) -> int:
    """Items a page: 1 or more, taken as 200 above that; 50 where none is named."""
    if value is None:
        return DEFAULT_LIMIT
    return count(name, value, MAX_LIMIT)


def count(name: str, value: object, most: int) -> int:
    """1 or more, taken as `most` above that."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return min(value, most)
    raise InvalidInputError(f"{name} must be a whole number from 1 to {most}, not {shown(value)}")


def flag(name: str, value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise InvalidInputError(f"{name} must be true or false, not {shown(value)}")


def optional_text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be text, not {shown(value)}")
    if UNSTORABLE.search(value):
        raise InvalidInputError(f"{name} must hold no NUL and no unpaired surrogates; leave those characters out")
    return value


def comment_body(value: object, name: str = "body") -> str:
    """A comment's text without blanks at its ends."""
    body = trimmed(optional_text(name, value) or "")
    if not body:
        raise InvalidInputError(f"{name} is required", "It takes the comment's text, in Markdown.")
    return body
