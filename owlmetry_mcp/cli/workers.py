"""Several processes that serve the same socket, and the one that looks after them."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from types import FrameType

from owlmetry_mcp.issues.errors import OwlmetryError

logger = logging.getLogger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PAUSE_SECONDS = 1.0
"""Before a worker is replaced, so that one that cannot even begin is not begun again without end."""


class Workers:
    """`count` processes that `serve`. They are forked, so that they share what was made before, the socket above all.

    One that dies is replaced. They end when this process is told to, and also if it is killed.
    """

    def __init__(self, count: int, serve: Callable[[], None]) -> None:
        self._serve = serve
        self._children: set[int] = set()
        self._stopping = False
        self._alive = os.pipe()
        """Nothing is ever written to it: who reads it learns when this process is gone."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        for _ in range(count):
            self._begin()

    def wait(self) -> None:
        while self._children:
            child, status = os.wait()
            self._children.discard(child)
            if not self._stopping:
                logger.error("Worker %d ended (%d), and is replaced", child, os.waitstatus_to_exitcode(status))
                time.sleep(_PAUSE_SECONDS)
                self._begin()

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stopping = True
        for child in self._children:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(child, signal.SIGTERM)

    def _begin(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)  # no handler of this process's runs in the other
        try:
            child = 0 if self._stopping else os.fork()
            if child:
                self._children.add(child)
            elif not self._stopping:
                self._work()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _work(self) -> None:
        """In a process of its own, which it ends."""
        code = 1
        try:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            alive, held = self._alive
            os.close(held)
            Thread(target=_end_with_it, args=(alive,), daemon=True).start()
            self._serve()
            code = 0
        except OwlmetryError as error:
            logger.error("%s", error)  # noqa: TRY400 - it says what there is to say
        except Exception:  # where a process of its own begins, nothing is above it to tell
            logger.exception("A worker failed")
        finally:
            sys.stderr.flush()
            os._exit(code)


def _end_with_it(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
