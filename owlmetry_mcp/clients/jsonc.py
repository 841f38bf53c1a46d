"""JSON as people keep it in settings, with comments and trailing commas, and where in the text each part of it stands.

Libraries read such files, but those that also write them give back another text than they were given. Here the text is
the truth: `clients/splicing.py` changes it at the places found here, and leaves the rest alone.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r\n]+|\A\ufeff|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"')
_MOST_DEPTH = 200


class BrokenFileError(ValueError):
    """A text that cannot be read; the message says where and why."""

    def __init__(self, text: str, at: int, why: str) -> None:
        super().__init__(f"line {line_of(text, at)}: {why}")


@dataclass(frozen=True, slots=True)
class Node:
    start: int
    end: int
    """Just behind it."""
    value: Any


@dataclass(frozen=True, slots=True)
class Item:
    key: str | None
    """None in an array."""
    start: int
    """Where the key is, or the element."""
    node: Node
    comma: int | None
    """Where the comma behind it is, if there is one."""


def line_of(text: str, at: int) -> int:
    """The number of the line, from 1 up."""
    return text.count("\n", 0, at) + 1


def scan(text: str) -> Node | None:
    """The value that a text holds, with its parts; none where it holds nothing, or comments alone.

    Raises:
        BrokenFileError: it is no JSON, even with comments and trailing commas taken for granted.
    """
    start = skip(text, 0)
    if start == len(text):
        return None
    node = _value(text, start, 0)
    if (end := skip(text, node.end)) != len(text):
        raise BrokenFileError(text, end, "something stands behind what should be the whole file's content")
    return node


def items_of(text: str, node: Node) -> tuple[Item, ...]:
    """An object's members or an array's elements, in their order; none for what holds nothing else."""
    return _items(text, node.start, 0)[0] if isinstance(node.value, (dict, list)) else ()


def skip(text: str, at: int) -> int:
    """Where the blanks and comments there end.

    Raises:
        BrokenFileError: a comment does not.
    """
    found = _BLANK.match(text, at)
    end = found.end() if found else at
    if text.startswith("/*", end):
        raise BrokenFileError(text, end, "this comment has no end")
    return end


def _value(text: str, at: int, depth: int) -> Node:
    opening = text[at : at + 1]
    if opening == '"':
        value, end = _string(text, at)
        return Node(at, end, value)
    try:
        return _strict(text, at)  # most parts of most files, and much faster
    except (ValueError, RecursionError):
        if opening not in ("{", "["):
            raise BrokenFileError(text, at, "this is no JSON value" if opening else "the end is missing") from None
    if depth == _MOST_DEPTH:
        raise BrokenFileError(text, at, "it is nested too deeply")
    parts, end = _items(text, at, depth)
    if opening == "{":
        return Node(at, end, {item.key: item.node.value for item in parts})
    return Node(at, end, [item.node.value for item in parts])


def _no_constant(name: str) -> None:
    raise ValueError(name)


_STRICT = json.JSONDecoder(parse_constant=_no_constant)


def _strict(text: str, at: int) -> Node:
    value, end = _STRICT.raw_decode(text, at)
    return Node(at, end, value)


def _string(text: str, at: int) -> tuple[str, int]:
    if not (found := _STRING.match(text, at)):
        raise BrokenFileError(text, at, "this text has no closing quotation mark on its line")
    try:
        return str(json.loads(found[0])), found.end()
    except ValueError as error:
        raise BrokenFileError(text, at, "this text has an escape that JSON does not know") from error


def _items(text: str, start: int, depth: int) -> tuple[tuple[Item, ...], int]:
    """And where the bracket behind them ends."""
    keyed = text[start] == "{"
    closing = "}" if keyed else "]"
    found: list[Item] = []
    at = skip(text, start + 1)
    while not text.startswith(closing, at):
        if at == len(text):
            raise BrokenFileError(text, at, f"the {text[start]} of line {line_of(text, start)} is not closed")
        if found and found[-1].comma is None:
            raise BrokenFileError(text, at, f"a comma or {closing} is missing before this")
        item_start, key = at, None
        if keyed:
            if not text.startswith('"', at):
                raise BrokenFileError(text, at, "a name in quotation marks is missing here")
            key, at = _string(text, at)
            at = skip(text, at)
            if not text.startswith(":", at):
                raise BrokenFileError(text, at, "a colon is missing here")
            at = skip(text, at + 1)
        node = _value(text, at, depth + 1)
        at = skip(text, node.end)
        comma = at if text.startswith(",", at) else None
        found.append(Item(key, item_start, node, comma))
        at = at if comma is None else skip(text, comma + 1)
    return tuple(found), at + 1
