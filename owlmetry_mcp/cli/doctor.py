"""`owlmetry-mcp doctor`: what works and what does not, with the remedy for each; it changes nothing.

With `--json`, one document on standard output, whose names stay as they are:

    {
      "version": "0.1.0",
      "state": "warning",
      "settings": {"store": {"value": "/srv/store.db", "source": "environment", "name": "OWLMETRY_STORE"}, …},
      "findings": [{"subject": "store.space", "state": "warning", "what": "…", "remedy": "…"}, …]
    }

`state` is the worst of the findings': `ok`, `note`, `warning` or `broken`. A setting that cannot be used is not among
the settings. `what` and `remedy` are prose for people and change; `remedy` may be empty.
"""

import json
import logging
import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from owlmetry_mcp import __version__
from owlmetry_mcp.cli.entry_settings import flags_of
from owlmetry_mcp.clients import starting
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.servers import PACKAGE
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.configuration import in_order, shown
from owlmetry_mcp.doctor.examination import examine, worst
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.masking import masked
from owlmetry_mcp.issues.errors import InvalidInputError, OwlmetryError
from owlmetry_mcp.settings import Loaded

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "broken": "bold red"}
_STATE_WIDTH = max(map(len, _STYLES))


def doctor(parsed: Namespace, loaded: Loaded) -> None:
    """
    Raises:
        OwlmetryError: something is broken.
    """
    machine = Machine(sys.platform, Path.home(), Path.cwd(), parsed.environment)
    case = Case(loaded, machine, flags_of, start_project_entries=parsed.start_project_entries)
    with _quiet(), Console(stderr=True).status("Looking …"):
        findings = [replace(finding, remedy=_by_path(finding.remedy, machine)) for finding in examine(case)]
    if parsed.json:
        print(json.dumps(document(loaded, findings), indent=2))
    else:
        _show(findings)
    if broken := [finding.subject for finding in findings if finding.state == "broken"]:
        raise OwlmetryError(f"broken, each with its remedy above: {', '.join(dict.fromkeys(broken))}")


def _by_path(remedy: str, machine: Machine) -> str:
    """With our command as it can be called here: many who run it have it on no PATH."""
    if f"`{PACKAGE} " not in remedy or shutil.which(PACKAGE, path=machine.environment.get("PATH", "")):
        return remedy
    with suppress(InvalidInputError):  # nothing that would last
        return remedy.replace(f"`{PACKAGE} ", f"`{shlex.join(starting.words(machine, starting.Running.now()))} ")
    return remedy


def document(loaded: Loaded, findings: Sequence[Finding]) -> dict[str, Any]:
    settings = {
        name: {"value": masked(shown(loaded.settings, name)), "source": source.kind, "name": source.name}
        for name, source in in_order(loaded)
    }
    found = [asdict(finding) for finding in findings]
    return {"version": __version__, "state": worst(findings), "settings": settings, "findings": found}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries log of servers that misbehave from the terminal: it is a finding, or nothing."""
    before = logging.root.manager.disable
    logging.disable()
    try:
        yield
    finally:
        logging.disable(before)


def _show(findings: Sequence[Finding]) -> None:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:  # in a file or a pipe, a finding is a line, however long
        console = Console(markup=False, highlight=False, width=10_000)
    width = max(len(finding.name) for finding in findings)
    with console.capture() as captured:
        _print(console, findings, width)
    for line in captured.get().splitlines():
        print(line.rstrip())
    sys.stdout.flush()  # before what standard error says of it all


def _print(console: Console, findings: Sequence[Finding], width: int) -> None:
    for group, found in groupby(findings, lambda finding: finding.group):
        console.print(Text(group, "bold"))
        for finding in found:
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(width=_STATE_WIDTH)
            table.add_column(width=width, no_wrap=True)
            table.add_column(overflow="fold")
            table.add_row(Text(finding.state, _STYLES[finding.state]), finding.name, finding.what)
            console.print(Padding(table, (0, 0, 0, 2)))
            if finding.remedy:  # on a line of its own, so that a command in it can be copied whole
                remedy = Text(f"{' ' * (_STATE_WIDTH + 4)}→ {finding.remedy}", "dim" if finding.state == "note" else "")
                console.print(remedy, soft_wrap=True)
        console.print()
