"""Changes of a TOML text, likewise: a table of its own is put behind the rest, or taken out, line by line.

Libraries that write TOML change line ends and blank lines elsewhere in the file. What is written as an inline table, or
with dotted keys, is left to a person: every result is read again and compared with what it should hold.
"""

import copy
import json
import re
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

_HEADER = re.compile(r"(?:^|(?<=\A\ufeff))[ \t]*\[[^\r\n]*", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def parsed(text: str) -> dict[str, Any]:
    """
    Raises:
        ValueError: it is no TOML; the message says where and why.
    """
    return tomllib.loads(text.removeprefix("\ufeff"))


def with_table(text: str, section: str, name: str, table: Mapping[str, Any]) -> str:
    """The text in which `[section.name]` is that table.

    Raises:
        ValueError: it cannot be read, or not be changed safely.
    """
    expected = copy.deepcopy(parsed(text))
    tables = expected.setdefault(section, {})
    if not isinstance(tables, dict):
        raise ValueError(f'"{section}" should be a table')  # noqa: TRY004 - a fault of the file, like the others
    if name in tables and tables[name] == table:
        return text
    newline = "\r\n" if "\r\n" in text else "\n"
    new = _rendered((section, name), table, newline)
    if name in tables:
        start, end = _lines_of(text, section, name)
        changed = text[:start] + new + text[end:]
    else:
        gap = "" if not text.removeprefix("\ufeff") else newline if text.endswith("\n") else newline * 2
        changed = text + gap + new
    tables[name] = dict(table)
    return _checked(changed, expected, section, name)


def without_table(text: str, section: str, name: str) -> str:
    """Without that table and what stands in it, and the blank line before.

    Raises:
        ValueError: as above.
    """
    expected = copy.deepcopy(parsed(text))
    tables = expected.get(section)
    if not isinstance(tables, dict) or name not in tables:
        return text
    start, end = _lines_of(text, section, name)
    before, rest = text[:start], text[end:]
    for blank in ("\r\n\r\n", "\n\n"):
        if before.endswith(blank):
            before = before[: -len(blank) // 2]
            break
    del tables[name]
    if not tables and section not in parsed(before + rest):
        del expected[section]
    return _checked(before + rest, expected, section, name)


def _lines_of(text: str, section: str, name: str) -> tuple[int, int]:
    """From its header to behind its last line; empty lines and comments behind that belong to what follows."""
    headers = [(found.start(), _path(found[0])) for found in _HEADER.finditer(text)]
    ours = [
        (at, behind) for (at, path), (behind, _) in pairwise([*headers, (len(text), ())]) if path[:2] == (section, name)
    ]
    if not ours or any(end != start for (_, end), (start, _) in pairwise(ours)):
        raise ValueError(_by_hand(section, name))
    start, end = ours[0][0], ours[-1][1]
    while (line := text[start:end].splitlines(keepends=True)) and (not line[-1].strip() or line[-1].lstrip()[0] == "#"):
        end -= len(line[-1])
    return start, end


def _path(header: str) -> tuple[str, ...]:
    """The keys of a table's header; none for a line that is part of something else."""
    try:
        level: Any = tomllib.loads(header)
    except ValueError:
        return ()
    path = []
    while isinstance(level, dict) and level:
        ((key, level),) = level.items()
        path.append(key)
    return tuple(path)


def _rendered(path: tuple[str, ...], table: Mapping[str, Any], newline: str) -> str:
    lines = [f"[{'.'.join(_key(key) for key in path)}]", *(f"{_key(key)} = {_value(table[key])}" for key in table)]
    return newline.join(lines) + newline


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_value(each)}' for key, each in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)  # dates and times


def _checked(text: str, expected: object, section: str, name: str) -> str:
    try:
        read = parsed(text)
    except ValueError:
        read = {}
    if read != expected:
        raise ValueError(_by_hand(section, name))
    return text


def _by_hand(section: str, name: str) -> str:
    return f"[{section}.{name}] is written in a way that cannot be changed safely; change it by hand"
