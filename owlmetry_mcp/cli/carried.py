"""What a push or a pull has done, told at its end."""

import json
import sys
from collections.abc import Iterable

from owlmetry_mcp.carrying.report import Line, Outcome, Report, short
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
    print(_document(report, dry_run=dry_run) if as_json else "\n".join(_lines(report, dry_run=dry_run)))
    if report.failed:
        sys.stdout.flush()
        raise OwlmetryError(report.stopped or "Some of it failed", "Run it again: it goes on where it was.")


def _document(report: Report, *, dry_run: bool) -> str:
    counts: dict[str, dict[str, int]] = {}
    for (what, outcome), count in report.counts.items():
        counts.setdefault(what, {})[outcome] = count
    lines = [line.as_json() for line in report.lines]
    return json.dumps({"dry_run": dry_run, "stopped": report.stopped or None, "counts": counts, "lines": lines})


def _lines(report: Report, *, dry_run: bool) -> Iterable[str]:
    yield f"{'Would be carried' if dry_run else 'Carried'}: {_summed(report, 'carried')}."
    yield f"Already there: {_summed(report, 'already_there')}."
    outcomes: tuple[tuple[Outcome, str], ...] = (("not_carried", "Not carried:"), ("failed", "Failed:"))
    for outcome, title in outcomes:
        lines = [*report.named(outcome)]
        if lines:
            yield title
            yield from (f"  {on_a_line(_line(line))}" for line in lines[:MAX_SHOWN])
        if len(lines) > MAX_SHOWN:
            yield f"  and {len(lines) - MAX_SHOWN:,} more; --json names them"


def _summed(report: Report, wanted: Outcome) -> str:
    counts = {what: report.counts[what, wanted] for what in _ORDER}
    return ", ".join(_counted(what, count) for what, count in counts.items() if count) or "nothing"


def _counted(what: str, count: int) -> str:
    return f"{count:,} {what if count == 1 else _PLURALS.get(what, f'{what}s')}"


def _line(line: Line) -> str:
    what = line.what if line.times == 1 else _counted(line.what, line.times)
    here, there = short(line.here), short(line.there)
    ids = f" {here} → {there}" if here and there else f" {here}" if here else f" there {there}" if there else ""
    return f"{what}{ids}: {line.why}"
