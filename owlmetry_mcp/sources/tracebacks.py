"""Python's tracebacks, line by line: the exception that counts, where it comes from, and the stack.

However long a traceback is, what is held of it is bounded.
"""

import re
from collections import deque

from owlmetry_mcp.issues.events import MAX_MESSAGE_LENGTH
from owlmetry_mcp.sources.found import cut

_MAX_STACK_LINE = 2_000
_STACK_HEAD, _STACK_TAIL = 4_000, 9_900
"""With a line over, and the mark of the cut, within `MAX_STACK`."""

STACK_HEADING = "Stack (most recent call last):"
"""Above where a record was logged (`stack_info`)."""
_TRACEBACK = "Traceback (most recent call last):"
_GROUP = "Exception Group Traceback (most recent call last):"
_GROUP_LINE = f"  + {_GROUP}"
_REMOTE = re.compile(r"[\w.]{0,200}RemoteTraceback:\s*")
"""`concurrent.futures.process._RemoteTraceback:`, above the traceback of another process."""
_CHAINED = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_MARGIN = re.compile(r"( {2,60})([|+]) ?")
"""What stands before each line of a group: `  | `, or `    +-` where one of its exceptions begins."""
_FRAME = re.compile(r'  File "(.{1,1000}?)", line \d+(, in )?')
"""A frame; without `, in`, a SyntaxError's place."""
_EXCEPTION = re.compile(r"([^\W\d][\w.<>\[\]]{0,500})(?::(.*)|$)", re.DOTALL)
"""`shop.errors.Unpaid: order 17`, or the type alone."""

_LIBRARY = re.compile(
    r"<frozen |.*[\\/](?:site|dist)-packages[\\/]|.*/lib(?:64)?/(?:python|pypy)3[^/]*/"
    r"|.*\\Lib\\|(?i:.*(?:python|conda)[^\\/]{0,20}\\lib\\)|.*[\\/](?:bin|Scripts)[\\/][^\\/.]+$"
)
"""A file that is not one's own: an installed package's, Python's, or a command."""
_ROOT = re.compile(
    r".*/(?:site|dist)-packages/|.*/lib(?:64)?/(?:python|pypy)3[^/]*/|.*/Lib/|(?i:.*(?:python|conda)[^/]{0,20}/lib/)"
    r"|.*/src/(?<!/usr/src/)|/usr/src/[^/]+/|/(?:app|code|srv|opt|workspace|var/task|var/www)/"
)
"""The part of a path, with slashes, that is known to hold packages."""


def begins_traceback(text: str) -> bool:
    return text in (_TRACEBACK, _GROUP_LINE) or _REMOTE.fullmatch(text) is not None


def split_heading(text: str) -> tuple[str, str]:
    """A line that ends with a traceback's heading, as `logger.error(traceback.format_exc())` makes one: what is before
    it, and the heading as a line. Of any other line, nothing and the line.
    """
    for heading, line in ((_GROUP, _GROUP_LINE), (_TRACEBACK, _TRACEBACK)):
        if text.endswith(heading):
            return text.removesuffix(heading).rstrip(" +"), line
    return "", text


class Opening:
    """The beginning of a text that comes in lines; more than is ever shown of it is not kept."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._length = 0

    def add(self, line: str) -> None:
        if not self._lines:
            line = line.lstrip()
        if (line or self._lines) and self._length <= MAX_MESSAGE_LENGTH:
            self._lines.append(line)
            self._length += len(line) + 1

    def text(self) -> str:
        return "\n".join(self._lines).strip()


class Stack:
    """The beginning and the end of a stack that comes in lines."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail: deque[str] = deque()
        self._head_length = self._tail_length = 0
        self._is_cut = False

    def add(self, line: str) -> None:
        line = cut(line, _MAX_STACK_LINE)
        if self._head_length < _STACK_HEAD:
            self._head.append(line)
            self._head_length += len(line) + 1
            return
        self._tail.append(line)
        self._tail_length += len(line) + 1
        while self._tail_length > _STACK_TAIL:
            self._tail_length -= len(self._tail.popleft()) + 1
            self._is_cut = True

    def text(self) -> str:
        return "\n".join([*self._head, *["…"] * self._is_cut, *self._tail]).rstrip()


class Traceback:
    """The exception that counts: the last of a chain; a group itself, but the one within a group of one."""

    def __init__(self) -> None:
        self.stack = Stack()
        self.type = ""
        self.message = Opening()
        self._file = ""
        self._file_is_own = False
        self._depth = 0
        """How deep in groups the exception that counts stands: the width of the margin."""
        self._awaits = "heading"
        """What the next line may be: a heading, a frame, an exception, a line of its message, or nothing more."""
        self._is_chained = True

    def is_over(self) -> bool:
        """Whether a traceback that begins now is another one, and not the next of this one's chain."""
        return not self._is_chained

    def module(self) -> str:
        """Of the innermost frame of one's own code; of the innermost at all, where every one is a library's."""
        return _module_of(self._file)

    def add(self, text: str) -> None:
        self.stack.add(text)
        margin = _MARGIN.match(text) if self._depth else None
        depth = len(margin[1]) // 2 if margin else 0
        line = text[margin.end() :] if margin else text
        if text == _GROUP_LINE:
            depth, line = 1, _GROUP
        if line.strip():
            self._is_chained = line in _CHAINED or self._awaits == "heading"
        if line in (_TRACEBACK, _GROUP):
            if depth <= self._depth or not self._depth:
                self._depth, self._awaits = depth, "frame"
                self._file, self._file_is_own = "", False
        elif text == STACK_HEADING:
            self._awaits = "nothing"
        elif depth == self._depth and not (margin and margin[2] == "+"):
            self._take(line)

    def _take(self, line: str) -> None:
        if self._awaits == "message" and line in _CHAINED:
            self._awaits = "exception"
        elif self._awaits == "message":
            self.message.add(line)
        elif self._awaits == "frame" and line[:1] in ("", " "):
            self._take_frame(line)
        elif self._awaits in ("frame", "exception") and line.strip():
            self._take_exception(line)

    def _take_frame(self, line: str) -> None:
        frame = _FRAME.match(line)
        if not frame or not (frame[2] or not self._file):  # a SyntaxError's place counts where there are no frames
            return
        is_own = not _LIBRARY.match(frame[1])
        if is_own or not self._file_is_own:
            self._file, self._file_is_own = frame[1], is_own

    def _take_exception(self, line: str) -> None:
        found = _EXCEPTION.match(line)
        self.type, first = (found[1], found[2] or "") if found else ("", line)
        self.message = Opening()
        self.message.add(first)
        self._awaits = "message"
        if self._depth and line.endswith("(1 sub-exception)"):
            self._depth += 1
            self._awaits = "exception"


def _module_of(path: str) -> str:
    """The dotted name of the module that a file most likely is: what follows the last part of its path that is known to
    hold packages; else its folder and itself; of a path that is not absolute, all of it.
    """
    if path.startswith("<"):
        return path
    path = re.sub(r"^[A-Za-z]:(?=/)", "", path.replace("\\", "/"))
    root = _ROOT.match(path)
    parts = [part for part in path[root.end() if root else 0 :].split("/") if part not in ("", ".", "..")]
    if not root and path.startswith("/"):
        parts = parts[-2:]
    name = re.sub(r"\.py[cwx]?$", "", ".".join(parts))
    return name.removesuffix(".__init__")
