"""How far a file has been read, for whoever watches."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Progress:
    """A bar on a terminal, and lines above it; elsewhere the lines alone."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._bar = _bar(name, os.fstat(descriptor).st_size) if sys.stderr.isatty() else None
        self._shown = 0

    def show(self, read_bytes: int) -> None:
        if self._bar and read_bytes != self._shown:
            self._shown = read_bytes
            self._bar.update(self._bar.task_ids[0], completed=read_bytes)

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """Say so meanwhile, since nothing is read."""
        if self._bar:
            (task,) = self._bar.tasks
            name = task.description
            self._bar.update(task.id, description="scanning …")
            yield
            self._bar.update(task.id, description=name)
        else:
            yield

    def say(self, line: str) -> None:
        if self._bar:
            self._bar.console.print(line)
        else:
            print(line, file=sys.stderr)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()


def _bar(name: str, size_bytes: int) -> "Bar":
    from rich.console import Console  # noqa: PLC0415 - a good part of start-up, and most ingests have no terminal
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    progress = Progress(*columns, console=console, transient=True)
    progress.add_task(Path(name).name, total=size_bytes or None)
    return progress
