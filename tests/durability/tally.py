"""What came of the rounds of one subject."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Tally:
    subject: str
    rounds: int = 0
    acknowledged: int = 0
    kept: int = 0
    """Writes that were under way at the kill, and are there as a whole."""
    not_kept: int = 0
    """Likewise, and nothing of them is there."""
    faults: list[str] = field(default_factory=list)


HEAD = ("subject", "rounds", "acknowledged", "under way: kept", "not kept", "faults")


def line(cells: Sequence[object]) -> str:
    return "  ".join(f"{cell:>{len(name)}}" for cell, name in zip(cells, HEAD, strict=True))


def row(it: Tally) -> str:
    return line((it.subject, it.rounds, it.acknowledged, it.kept, it.not_kept, len(it.faults)))
