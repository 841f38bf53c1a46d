"""Changes of a JSON text at one place of it; all else stays as it is, byte for byte.

What is put in looks like what is around it: its indentation, its line ends, its habit of trailing commas. What is taken
out again leaves what was there before. Every result is read again and compared with what it should hold.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from owlmetry_mcp.clients.jsonc import BrokenFileError, Item, Node, items_of, line_of, scan, skip

_INDENT = "  "
_BLANKS = " \t\r\n"
_COMMENT = re.compile(r"//[^\r\n]*|/\*.*?\*/", re.DOTALL)


def with_member(text: str, section: str, name: str, value: object) -> str:
    """The text of a settings file in which the object `section` has `name` with that value.

    Raises:
        BrokenFileError: it cannot be read, or holds something else where an object should be.
    """
    root = _root(text)
    if root is None:
        return _begun(text, {section: {name: value}})
    found = _member(text, root, section)
    if found is None:
        return _checked(_appended(text, root, section, {name: value}), root.value | {section: {name: value}})
    within = _holding(text, found, {})
    entry = _member(text, within, name)
    if entry and entry.node.value == value:
        return text
    changed = _replaced(text, within, entry, value) if entry else _appended(text, within, name, value)
    return _checked(changed, root.value | {section: within.value | {name: value}})


def without_member(text: str, section: str, name: str) -> str:
    """Without that member; an emptied section goes as well, unless a comment is in it or nothing beside it.

    Raises:
        BrokenFileError: as above.
    """
    root = _root(text)
    found = _member(text, root, section) if root else None
    if root is None or found is None:
        return text
    within = _holding(text, found, {})
    if (entry := _member(text, within, name)) is None:
        return text
    left = {key: value for key, value in within.value.items() if key != name}
    return _tidied(_checked(_removed(text, within, entry), root.value | {section: left}), section)


def with_element(text: str, section: str, value: Mapping[str, Any]) -> str:
    """In which the array `section` has that element, in the place of the one with its `id`, if there is one.

    Raises:
        BrokenFileError: as above, or it is empty.
    """
    root = _root(text)
    if root is None:
        raise BrokenFileError(text, 0, "the file is empty")
    found = _member(text, root, section)
    if found is None:
        return _checked(_appended(text, root, section, [value]), root.value | {section: [value]})
    within = _holding(text, found, [])
    index = _index(within, value["id"])
    if index is None:
        changed, elements = _appended(text, within, None, value), [*within.value, value]
    elif within.value[index] == value:
        return text
    else:
        changed = _replaced(text, within, items_of(text, within)[index], value)
        elements = [*within.value[:index], value, *within.value[index + 1 :]]
    return _checked(changed, root.value | {section: elements})


def without_element(text: str, section: str, id_: str) -> str:
    """Without the element of that `id`; an emptied array goes as well.

    Raises:
        BrokenFileError: as above.
    """
    root = _root(text)
    found = _member(text, root, section) if root else None
    if root is None or found is None:
        return text
    within = _holding(text, found, [])
    if (index := _index(within, id_)) is None:
        return text
    left = [*within.value[:index], *within.value[index + 1 :]]
    changed = _removed(text, within, items_of(text, within)[index])
    return _tidied(_checked(changed, root.value | {section: left}), section)


def _root(text: str) -> Node | None:
    root = scan(text)
    if root is not None and not isinstance(root.value, dict):
        raise BrokenFileError(text, root.start, f"the file should hold an object, not {_kind(root.value)}")
    return root


def _holding(text: str, item: Item, kind: object) -> Node:
    if type(item.node.value) is not type(kind):
        wanted, found = _kind(kind), _kind(item.node.value)
        raise BrokenFileError(text, item.node.start, f'"{item.key}" should be {wanted}, not {found}')
    return item.node


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _member(text: str, node: Node, key: str) -> Item | None:
    """Where there are several of one name, clients do not agree on which one counts; a person has to say."""
    found = [item for item in items_of(text, node) if item.key == key]
    if len(found) > 1:
        why = f'"{key}" is there a second time, after line {line_of(text, found[0].start)}'
        raise BrokenFileError(text, found[1].start, why)
    return found[0] if found else None


def _index(node: Node, id_: str) -> int | None:
    ids = [each.get("id") if isinstance(each, dict) else None for each in node.value]
    return ids.index(id_) if id_ in ids else None


def _begun(text: str, whole: Mapping[str, Any]) -> str:
    """The whole in a file that held nothing, or comments alone."""
    newline = _newline(text)
    before = text.rstrip(_BLANKS)
    gap = newline if before.removeprefix("\ufeff") else ""
    return _checked(before + gap + _rendered(whole, "", _INDENT, newline) + newline, whole)


def _appended(text: str, node: Node, key: str | None, value: object) -> str:
    """Behind the last item and the comments that follow it."""
    items = items_of(text, node)
    layout, newline = _layout(text, node), _newline(text)
    name = "" if key is None else f"{json.dumps(key, ensure_ascii=False)}: "
    new = name + _rendered(value, layout.inner, layout.unit, newline)
    behind = len(text[: node.end - 1].rstrip(_BLANKS))
    if not items and behind == node.start + 1:
        return f"{text[:behind]}{newline}{layout.inner}{new}{newline}{layout.outer}{text[node.end - 1 :]}"
    broken = layout.unit is not None or _in_line_comment(text, _gap(node, items, len(items)), behind)
    new = (newline + layout.inner if broken else " ") + new
    if not items:
        return text[:behind] + new + text[behind:]
    last = items[-1]
    if last.comma is not None:
        return f"{text[:behind]}{new},{text[behind:]}"
    return f"{text[: last.node.end]},{text[last.node.end : behind]}{new}{text[behind:]}"


def _replaced(text: str, node: Node, item: Item, value: object) -> str:
    new = _rendered(value, _indent(text, item.start), _layout(text, node).unit, _newline(text))
    return text[: item.node.start] + new + text[item.node.end :]


def _removed(text: str, node: Node, item: Item) -> str:
    """With the blanks before it and the comma behind it; the last with the comma before it, if it has none behind."""
    items = items_of(text, node)
    index = items.index(item)
    start = len(text[: item.start].rstrip(_BLANKS))
    end, rest = item.node.end, text[item.node.end :]
    before = text[:start]
    if item.comma is not None:
        rest = text[end : item.comma] + text[item.comma + 1 :]
    elif index and (comma := items[index - 1].comma) is not None:
        before = text[:comma] + text[comma + 1 : start]
    if start == node.start + 1 and not text[end : node.end - 1].strip(_BLANKS + ","):
        rest = text[node.end - 1 :]  # nothing is left in it, so that it needs no lines
    gap = _newline(text) if _in_line_comment(text, _gap(node, items, index), start) else ""
    return before + (gap if not rest.lstrip(" \t").startswith(("\r", "\n")) else "") + rest


def _tidied(text: str, section: str) -> str:
    """Without that member of the root if it is empty, but not if it is all there is: Claude Code would miss it."""
    root = _root(text)
    item = _member(text, root, section) if root else None
    if root is None or item is None or len(root.value) == 1 or not _is_blank(text, item.node):
        return text
    left = {key: value for key, value in root.value.items() if key != section}
    return _checked(_removed(text, root, item), left)


def _is_blank(text: str, node: Node) -> bool:
    return not text[node.start + 1 : node.end - 1].strip(_BLANKS)


class _Layout(NamedTuple):
    """How the parts of an object or array stand."""

    inner: str
    outer: str
    unit: str | None
    """None where they stand on the line of the brackets."""


def _layout(text: str, node: Node) -> _Layout:
    items = items_of(text, node)
    outer = _indent(text, node.start)
    if items and not _begins_line(text, items[-1].start):
        return _Layout("", outer, None)
    unit = _unit(text)
    return _Layout(_indent(text, items[-1].start) if items else outer + unit, outer, unit)


def _unit(text: str) -> str:
    """What the first name in the file is indented by, which is the root's first member."""
    first = skip(text, skip(text, 0) + 1)
    return (_indent(text, first) if _begins_line(text, first) else "") or _INDENT


def _indent(text: str, at: int) -> str:
    """That of the line."""
    line = text[text.rfind("\n", 0, at) + 1 : at].removeprefix("\ufeff")
    return line[: len(line) - len(line.lstrip(" \t"))]


def _begins_line(text: str, at: int) -> bool:
    start = text.rfind("\n", 0, at) + 1
    return start > 0 and not text[start:at].strip(" \t")


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _rendered(value: object, indent: str, unit: str | None, newline: str) -> str:
    """As JSON; on one line where there is no unit."""
    if unit is None:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", newline + indent)


def _gap(node: Node, items: tuple[Item, ...], index: int) -> int:
    """Where what stands between items begins, before the item of that index."""
    return items[index - 1].node.end if index else node.start + 1


def _in_line_comment(text: str, start: int, at: int) -> bool:
    """Whether what is between, blanks and comments, ends with a comment that goes to the end of its line."""
    comments = [found for found in _COMMENT.finditer(text, start, at) if found.end() == at]
    return bool(comments) and comments[-1][0].startswith("//")


def _checked(text: str, expected: object) -> str:
    node = scan(text)
    if node is None or node.value != expected:
        raise BrokenFileError(text, 0, "it is written in a way that cannot be changed safely")
    return text
