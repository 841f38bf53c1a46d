"""An answer on its way: the same story as data and as text, neither over the cap, with what was left out said in both.

Some hosts show the model only the one and some only the other, so either tells all. What does not fit is dropped by
whole rows; nothing is cut in the middle.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mcp_types import CallToolResult, TextContent
from pydantic_core import to_json

from owlmetry_mcp.server.untrusted import FIELDS, Fence

Data = dict[str, Any]

DEFAULT_MAX_BYTES = 24_000

_RESERVED_BYTES = 1_100
"""For what is added last: cursors, the legend of the fence, the names of flagged fields, what was left out."""
_RESERVED_OF_TEXT_BYTES = 700
"""Where there is text alone: for the legend, and what was left out."""
_CONTAINERS = (dict, list)


class Row(NamedTuple):
    """A part of an answer in its two forms."""

    data: Any
    text: str


class Answer:
    def __init__(self, max_bytes: int, fence: Fence | None = None, *, text_alone: bool = False) -> None:
        self.fence = fence or Fence()
        self._text_alone = text_alone
        """A document: no data are asked of it, and none take its room."""
        self.max_bytes = max_bytes
        self._data: Data = {}
        self._lines: list[str] = []
        self._left_out: list[str] = []
        self._data_room = self._text_room = max_bytes - (_RESERVED_OF_TEXT_BYTES if text_alone else _RESERVED_BYTES)

    def add(self, data: Mapping[str, Any], *lines: str) -> None:
        """What the answer cannot do without."""
        self.put(data, *lines)
        self._data_room -= self._counted(data)
        self._text_room -= sum(_bytes(line) + 1 for line in lines)

    def put(self, data: Mapping[str, Any], *lines: str) -> None:
        """As `add`, where nothing is asked to fit into the room that is left."""
        self._data |= data
        self._lines += lines

    def rows(self, name: str, rows: Iterable[Row], heading: str = "", share: float = 1.0) -> int:
        """As many rows from the first on as fit into a share of the room that is left; returns how many."""
        kept = self.fitting(rows, heading, share)
        self.add_rows(name, kept, heading)
        return len(kept)

    def add_rows(self, name: str, rows: Sequence[Row], heading: str = "") -> None:
        self.add({name: [row.data for row in rows]})
        if rows:
            self.add({}, *([heading] if heading else []), *(row.text for row in rows))

    def fullest(self, rows: Iterable[Row], share: float = 1.0) -> int:
        """Add the first of several forms of the same that fits into a share of the room, or the last; returns which."""
        forms = [*rows]
        which = next((place for place, row in enumerate(forms) if self.fitting([row], share=share)), len(forms) - 1)
        self.add(forms[which].data, forms[which].text)
        return which

    def shown(self, name: str) -> int:
        """How many rows of that name are in it."""
        return len(self._data.get(name, ()))

    def fitting(self, rows: Iterable[Row], heading: str = "", share: float = 1.0) -> list[Row]:
        """Those that fit; none is asked for behind the first that does not."""
        data_room = self._data_room * share - 40
        text_room = self._text_room * share - _bytes(heading) - 1
        if isinstance(rows, list) and self._fit(rows, data_room, text_room):
            return rows
        kept: list[Row] = []
        for row in rows:
            data_room -= self._counted(row.data) + 1
            text_room -= _bytes(row.text) + 1
            if data_room < 0 or text_room < 0:
                break
            kept.append(row)
        return kept

    def _fit(self, rows: list[Row], data_room: float, text_room: float) -> bool:
        """Whether all of them do: quicker to tell than how many."""
        data = self._counted([row.data for row in rows])
        return data <= data_room and sum(_bytes(row.text) + 1 for row in rows) <= text_room

    def leave_out(self, what: str) -> None:
        """Say what is not in it, and how to get it."""
        self._left_out.append(what)

    def result(self) -> CallToolResult:
        return CallToolResult(content=[TextContent(text=self.text())], structured_content=self._whole_data())

    def size(self) -> int:
        """The bytes of the longer of its forms, as it stands, with nothing reserved."""
        return max(_size(self._whole_data()), _bytes(self.text()))

    def _whole_data(self) -> Data:
        data = {name: value for name, value in self._data.items() if value is not None}
        if self._left_out:
            data["left_out"] = self._left_out
        if flagged := sorted(FIELDS & _names(data)):
            data["untrusted"] = flagged
        return data

    def _counted(self, data: object) -> int:
        return 0 if self._text_alone else _size(data)

    def text(self) -> str:
        text = "\n".join([*filter(None, self._lines), *(f"Left out: {what}" for what in self._left_out)])
        return f"{self.fence.legend}\n{text}" if self.fence.used else text


def _size(data: object) -> int:
    """As JSON, in bytes."""
    return len(to_json(data))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _names(data: object) -> set[str]:
    """The names of all fields, at any depth."""
    names: set[str] = set()
    inner = [data]
    for part in inner:  # which grows on the way
        if isinstance(part, dict):
            names.update(part)
            inner += [value for value in part.values() if type(value) in _CONTAINERS]
        elif isinstance(part, list):
            inner += [value for value in part if type(value) in _CONTAINERS]
    return names
