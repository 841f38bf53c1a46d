"""What a push or a pull has done, told at its end."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from owlmetry_mcp.carrying.report import AGAIN, Line, Outcome, Report, short
from owlmetry_mcp.cli import terminal
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.quoting import on_a_line

MAX_SHOWN = 100
"""Lines of what was not carried; `--json` has more."""
_ORDER = ("issue", "event", "occurrence", "merge", "status", "comment", "attachment")
"""Of what can be carried."""
_PLURALS = {"status": "statuses", "country": "countries"}


def conclude(report: Report, *, as_json: bool, dry_run: bool = False) -> None:
    """Print the report.

    Raises:
        OwlmetryError: something failed that should have been done, or the run ended before its end.
    """
    if as_json:
        terminal.print_json(_document(report, dry_run=dry_run))
    else:
        print(*_lines(report, dry_run=dry_run), sep="\n")
    if report.failed:
        sys.stdout.flush()
        raise OwlmetryError(report.stopped) if report.stopped else OwlmetryError("Some of it failed", AGAIN)


def _document(report: Report, *, dry_run: bool) -> dict[str, Any]:
    counts: dict[str, dict[str, int]] = {}
    for (what, outcome), count in report.counts.items():
        counts.setdefault(what, {})[outcome] = count
    lines = [line.as_json() for line in report.lines]
    return {"dry_run": dry_run, "stopped": report.stopped or None, "counts": counts, "lines": lines}


def _lines(report: Report, *, dry_run: bool) -> Iterable[str]:
    yield f"{'Would be carried' if dry_run else 'Carried'}: {_summed(report, 'carried')}."
    yield f"Already there: {_summed(report, 'already_there')}."
    outcomes: tuple[tuple[Outcome, str], ...] = (("not_carried", "Not carried:"), ("failed", "Failed:"))
    for outcome, title in outcomes:
        lines = [*_together(report.named(outcome))]
        if lines:
            yield title
            yield from (f"  {on_a_line(_line(line))}" for line in lines[:MAX_SHOWN])
        if len(lines) > MAX_SHOWN:
            yield f"  and {len(lines) - MAX_SHOWN:,} more; --json names them"


def _together(lines: Iterable[Line]) -> Iterator[Line]:
    """Events with the same fate as one line; of anything else it matters which it is."""
    alike: defaultdict[tuple[str | None, ...], list[Line]] = defaultdict(list)
    for line in lines:
        which = () if line.what == "event" else (line.here, line.there)
        alike[line.what, line.why, *which].append(line)
    for found in alike.values():
        yield found[0]._replace(times=sum(line.times for line in found))


def _summed(report: Report, wanted: Outcome) -> str:
    counts = {what: report.counts[what, wanted] for what in _ORDER}
    return ", ".join(_counted(what, count) for what, count in counts.items() if count) or "nothing"


def _counted(what: str, count: int) -> str:
    return f"{count:,} {what if count == 1 else _PLURALS.get(what, f'{what}s')}"


def _line(line: Line) -> str:
    what = line.what if line.times == 1 else _counted(line.what, line.times)
    if line.what == "event" and line.here:  # the first characters of events' ids are alike: they are the time
        return f"{what}, {'the first ' if line.times > 1 else ''}{line.here}: {line.why}"
    here, there = short(line.here), short(line.there)
    ids = f" {here} → {there}" if here and there else f" {here}" if here else f" there {there}" if there else ""
    return f"{what}{ids}: {line.why}"
