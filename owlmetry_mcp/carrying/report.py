"""What became of each thing that was to be carried."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from owlmetry_mcp.issues.errors import FateUnknownError, OwlmetryError, StoreBusyError, UnavailableError

Outcome = Literal["carried", "already_there", "not_carried", "failed"]
"""`not_carried`: it cannot be, or is not to be; `failed`: it should have been, and another run may do it."""

AGAIN = "Run it again: it goes on where it was."
MAX_NAMED = 1_000
"""Lines of one kind and outcome that are kept with their ids; those behind them are only counted."""
_SHORT = 8


class Line(NamedTuple):
    what: str
    outcome: Outcome
    here: str | None = None
    there: str | None = None
    """Ids."""
    why: str = ""
    times: int = 1

    def as_json(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "what": self.what,
            "outcome": self.outcome,
            "here": self.here,
            "there": self.there,
            "why": self.why,
            "count": None if self.times == 1 else self.times,
        }
        return {name: value for name, value in fields.items() if value}


class Watch(Protocol):
    """Whoever is told how far it is."""

    def say(self, line: str) -> None: ...

    def begin(self, what: str, total: int) -> None: ...

    def show(self, done: int) -> None: ...


@dataclass
class Report:
    lines: list[Line] = field(default_factory=list)
    counts: Counter[tuple[str, Outcome]] = field(default_factory=Counter)
    stopped: str = ""
    """Why it ended before its end, and what to do."""

    def add(  # noqa: PLR0913 - the parts of a line
        self,
        what: str,
        outcome: Outcome,
        here: str | None = None,
        there: str | None = None,
        why: str = "",
        *,
        count: int = 1,
    ) -> None:
        if not count:
            return
        self.counts[what, outcome] += count
        if self.counts[what, outcome] <= MAX_NAMED or count > 1:
            self.lines.append(Line(what, outcome, here, there, why, count))

    def stop(self, error: OwlmetryError) -> None:
        hint = error.hint.removeprefix("Nothing was changed. ")  # which is true of the last request alone
        match error:
            case FateUnknownError():
                hint = AGAIN
            case UnavailableError() | StoreBusyError():
                hint = f"{hint} {AGAIN}".lstrip()
        self.stopped = str(OwlmetryError(error.message, hint))

    def named(self, *outcomes: Outcome) -> Iterable[Line]:
        return (line for line in self.lines if line.outcome in outcomes)

    @property
    def failed(self) -> bool:
        return bool(self.stopped) or any(outcome == "failed" for _, outcome in self.counts)


def short(thing_id: str | None) -> str | None:
    return thing_id and thing_id[:_SHORT]
