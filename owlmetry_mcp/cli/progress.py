"""How far a command has come, for whoever watches."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from owlmetry_mcp.issues.quoting import on_a_line

if TYPE_CHECKING:
    from rich.progress import Progress as Bar


class Lines:
    """Lines on standard error: above a bar on a terminal, if there is one."""

    _bar: "Bar | None" = None

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


class Progress(Lines):
    """How many bytes of a file have been read."""

    def __init__(self, name: str, descriptor: int) -> None:
        if sys.stderr.isatty():
            self._bar = _bar("bytes")
            self._bar.add_task(Path(name).name, total=os.fstat(descriptor).st_size or None)
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


class Counting(Lines):
    """How many things have been done of so many, of one kind after another; strangers' words in lines are escaped."""

    def __init__(self) -> None:
        if sys.stderr.isatty():
            self._bar = _bar("things")

    def say(self, line: str) -> None:
        super().say(on_a_line(line))

    def begin(self, what: str, total: int) -> None:
        if self._bar:
            for task in self._bar.task_ids:
                self._bar.remove_task(task)
            self._bar.add_task(on_a_line(what), total=total)

    def show(self, done: int) -> None:
        if self._bar:
            self._bar.update(self._bar.task_ids[-1], completed=done)


def _bar(unit: Literal["bytes", "things"]) -> "Bar":
    from rich.console import Console  # noqa: PLC0415 - a good part of start-up, and most ingests have no terminal
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    done = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = TextColumn("{task.description}", markup=False), BarColumn(), done, TimeRemainingColumn()
    return Progress(*columns, console=console, transient=True)
