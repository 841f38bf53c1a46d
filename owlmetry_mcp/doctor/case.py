"""What is examined, and by which clock."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.issues import times
from owlmetry_mcp.settings import Loaded

FlagsOf = Callable[[Sequence[str]], Mapping[str, Any] | None]
"""What arguments of our command say, by the settings' names; None where they are not those of `serve` over stdio."""


def free_bytes(directory: Path) -> int:
    return shutil.disk_usage(directory).free


@dataclass(frozen=True, slots=True)
class Case:
    loaded: Loaded
    machine: Machine
    flags_of: FlagsOf
    start_project_entries: bool = False
    """Whether commands that a project's files name are started, whosever project it is."""
    clock: Callable[[], datetime] = times.now
    free_bytes: Callable[[Path], int] = free_bytes
    """What the disk that a directory is on has left."""
