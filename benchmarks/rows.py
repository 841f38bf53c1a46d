"""What every benchmark reports: a figure beside its floor, and how much of it there may be."""

import json
import os
import platform
import sqlite3
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median


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


def compared(what: str, pairs: Sequence[tuple[float, float]], limit: float | None) -> Row:
    """The medians of seconds that were taken in turn: of the floor, and of ours."""
    floor_ms, ours_ms = (1000 * median(seconds) for seconds in zip(*pairs, strict=True))
    return Row(what, ours_ms, "ms", floor_ms, limit)


def show(rows: Iterable[Row]) -> list[Row]:
    """Print each as soon as it is there."""
    print(f"{'':64}{'ours':>14}{'floor':>14}{'ratio':>9}{'limit':>12}")
    shown = []
    for row in rows:
        print(row.line(), flush=True)
        shown.append(row)
    return shown


def add_option(parser: ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")


def keep(asked: Namespace, rows: Iterable[Row]) -> None:
    """Write the rows where the option says, if it does; with what they were measured on."""
    if asked.json:
        told = [{**asdict(row), "ratio": row.ratio, "over": row.over} for row in rows]
        on = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, "machine": platform.platform()}
        on["load"] = f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        asked.json.write_text(json.dumps({**on, "rows": told}, indent=1) + "\n", encoding="utf-8")


def kept(file: Path) -> list[Row]:
    names = {field.name for field in fields(Row)}
    told = json.loads(file.read_text(encoding="utf-8"))["rows"]
    return [Row(**{name: value for name, value in row.items() if name in names}) for row in told]


def _figure(value: float, unit: str) -> str:
    return f"{value:,.{0 if value >= 100 or value == int(value) else 2}f} {unit}".rstrip()  # noqa: PLR2004 - enough digits
