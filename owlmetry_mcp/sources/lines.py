"""A stream's lines as they come, numbered, in bounded memory, with a word when none come for a while."""

import os
import select
import stat
from collections.abc import Callable, Iterator

MAX_LINE_BYTES = 1024 * 1024
"""Of a longer line so many bytes and one more are given, and the rest is passed over."""
_CHUNK_BYTES = 256 * 1024
_IDLE_SECONDS = 1.0


class Lines:
    """The lines of an open file descriptor, each with its number, from 1, and without its end."""

    def __init__(self, descriptor: int, on_idle: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_idle = on_idle
        """Called where a pipe or terminal has brought nothing for a second, once until it brings more."""
        self.is_live = not stat.S_ISREG(os.fstat(descriptor).st_mode)
        """What comes may be happening now."""
        self.read_bytes = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        number = 0
        rest = b""
        while chunk := self._chunk():
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                number += 1
                yield number, line[: MAX_LINE_BYTES + 1]
            rest = rest[: MAX_LINE_BYTES + 1]
        if rest:
            yield number + 1, rest

    def _chunk(self) -> bytes:
        if self.is_live and os.name == "posix" and not select.select([self._descriptor], [], [], _IDLE_SECONDS)[0]:
            self._on_idle()
        chunk = os.read(self._descriptor, _CHUNK_BYTES)
        self.read_bytes += len(chunk)
        return chunk
