"""A stream's lines as they come, numbered, in bounded memory, with a word when none come for a while."""

import os
import select
import stat
from collections.abc import Callable, Iterator

PAUSE = 0, b""
"""Stands between lines where none have come for a second. What takes it for a line takes it for a blank one."""
MAX_LINE_BYTES = 16 * 1024 * 1024
"""Of a longer line so many bytes and one more are given, and the rest is passed over."""
_CHUNK_BYTES = 256 * 1024
_IDLE_SECONDS = 1.0


class Lines:
    """The lines of an open file descriptor, each with its number, from 1, and without its end."""

    def __init__(self, descriptor: int, on_idle: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_idle = on_idle
        """Called, behind a PAUSE, where a pipe or terminal brings nothing for a second; once until it brings more."""
        self.is_live = not stat.S_ISREG(os.fstat(descriptor).st_mode)
        """What comes may be happening now."""
        self.read_bytes = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        rest = bytearray()
        while True:
            if self.is_live and not self._is_ready():
                yield PAUSE
                self._on_idle()
                while not self._is_ready():  # in steps: a signal just before a wait without end would never end it
                    pass
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
            if not chunk:
                break
            self.read_bytes += len(chunk)
            pieces = chunk.split(b"\n")
            rest += pieces[0][: MAX_LINE_BYTES + 1 - len(rest)]
            for piece in pieces[1:]:
                number += 1
                yield number, bytes(rest)
                rest = bytearray(piece)
        if rest:
            yield number + 1, bytes(rest)

    def _is_ready(self) -> bool:
        """Whether there is more, or the end, within a second."""
        return os.name != "posix" or bool(select.select([self._descriptor], [], [], _IDLE_SECONDS)[0])
