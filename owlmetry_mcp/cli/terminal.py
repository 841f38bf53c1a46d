"""What is printed for people: tables and colour on a terminal; in a file or a pipe plain text, a row a line.

Strangers' text comes in by `words` and `block` alone, and is text there, whatever it holds: no markup, no control.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.quoting import on_a_line, visible

WRONG_USAGE = 2
_NO_WIDTH = 10_000
_RELATIVE = timedelta(days=14)


class Page:
    """What is printed on: a terminal so many columns wide, or a file."""

    def __init__(self, console: Console | None = None, now: datetime | None = None) -> None:
        console = console or Console(markup=False, highlight=False, emoji=False)
        self.is_terminal = console.is_terminal
        if not self.is_terminal:
            console = Console(file=console.file, markup=False, highlight=False, emoji=False, width=_NO_WIDTH)
        self._console = console
        self._now = now or times.now()

    @property
    def width(self) -> int:
        return self._console.width

    def print(self, *renderables: RenderableType) -> None:
        if self.is_terminal:
            for renderable in renderables:
                self._console.print(renderable)
            return
        with self._console.capture() as capture:
            for renderable in renderables:
                self._console.print(renderable)
        lines = capture.get().splitlines()
        self._console.file.write("".join(f"{line.rstrip()}\n" for line in lines))

    def ago(self, instant: str) -> str:
        """How long ago, in a word or two; in a file, the instant as the API has it."""
        if not self.is_terminal:
            return instant
        at = datetime.fromisoformat(times.canonical(instant))
        past = self._now - at
        if not timedelta(0) <= past < _RELATIVE:
            return at.astimezone().strftime("%Y-%m-%d")
        seconds = int(past.total_seconds())
        for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
            if seconds >= length:
                return f"{seconds // length} {unit} ago"
        return "just now"

    def when(self, instant: str) -> str:
        """By the clock on the wall; in a file, the instant as the API has it."""
        if not self.is_terminal:
            return instant
        return datetime.fromisoformat(times.canonical(instant)).astimezone().strftime("%Y-%m-%d %H:%M")


def words(text: str, style: str = "") -> Text:
    """A stranger's text on a line."""
    return Text(on_a_line(text), style)


def cut(text: Text) -> Text:
    """On one line of whatever width there is."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def block(text: str, style: str = "") -> Padding:
    """A stranger's text, with its lines, set in."""
    return Padding(Text(visible(text).expandtabs(4), style), (0, 0, 0, 4), expand=False)


def table(*headers: str) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        made.add_column(header, overflow="fold")
    return made


def print_json(document: Mapping[str, Any]) -> None:
    """In ASCII, so that it is the same everywhere, and nothing in it is a terminal's."""
    print(json.dumps(document, indent=2).replace("\x7f", "\\u007f"))


def tell(message: str) -> None:
    """What a person is told, and a script is not, on standard error."""
    print(on_a_line(message), file=sys.stderr)


def wrong_usage(why: str) -> NoReturn:
    tell(f"owlmetry-mcp: {why}")
    raise SystemExit(WRONG_USAGE)


@contextmanager
def progress() -> Iterator[Callable[[str], Awaitable[None]]]:
    """What hears how far a long reading has come, and shows it on a terminal meanwhile."""
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    status = console.status("")
    began = False

    async def heard(message: str) -> None:
        nonlocal began
        if console.is_terminal:
            status.update(words(message))
            if not began:
                began = True
                status.start()

    try:
        yield heard
    finally:
        if began:
            status.stop()
