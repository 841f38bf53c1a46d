"""What every benchmark reports: a figure beside its floor, and how much of it there may be."""

import json
import platform
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    ours: float
    unit: str
    floor: float | None = None
    """What it cannot do without, measured in the same run; None where the figure stands for itself."""
    limit: float | None = None
    """The most that it may be: of the floor where there is one, else in its unit. None: it is only told."""

    @property
    def ratio(self) -> float | None:
        return None if self.floor is None else self.ours / self.floor

    @property
    def over(self) -> bool:
        measured = self.ours if self.ratio is None else self.ratio
        return self.limit is not None and measured > self.limit

    def line(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}x"
        floor = "" if self.floor is None else _figure(self.floor, self.unit)
        verdict = "" if self.limit is None else "OVER" if self.over else "ok"
        figures = f"{_figure(self.ours, self.unit):>14}{floor:>14}{ratio:>9}{self._limit:>12}"
        return f"{self.what:64}{figures}  {verdict}".rstrip()

    @property
    def _limit(self) -> str:
        if self.limit is None:
            return ""
        return _figure(self.limit, self.unit) if self.floor is None else f"{self.limit:.2f}x"


HEAD = f"{'':64}{'ours':>14}{'floor':>14}{'ratio':>9}{'limit':>12}"


def show(rows: Iterable[Row]) -> None:
    print(HEAD)
    for row in rows:
        print(row.line())


def write(path: Path, rows: Sequence[Row], **how: object) -> None:
    """As JSON, with what they were measured with."""
    told = [{**asdict(row), "ratio": row.ratio, "over": row.over} for row in rows]
    what = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "machine": platform.platform(),
        **how,
    }
    path.write_text(json.dumps({**what, "rows": told}, indent=1) + "\n", encoding="utf-8")


def _figure(value: float, unit: str) -> str:
    return f"{value:,.{0 if value >= 100 or value == int(value) else 2}f} {unit}".rstrip()  # noqa: PLR2004 - enough digits
