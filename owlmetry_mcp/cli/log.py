"""`owlmetry-mcp log`: the audit trail of a store, the latest first: who, by which key, did what, when.

Whoever may open the file sees all of it, of every team.
"""

import re
import shlex
from argparse import Namespace
from datetime import datetime, timedelta
from typing import Any

from owlmetry_mcp.backends.store import audit
from owlmetry_mcp.backends.store.audit import ACTIONS, Line, Wanted
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli import terminal
from owlmetry_mcp.cli.backends import existing_store
from owlmetry_mcp.cli.log_lines import log_table
from owlmetry_mcp.cli.terminal import Page, tell
from owlmetry_mcp.issues import parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.settings import Settings

_AGO = re.compile(r"(\d{1,5})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def log(parsed: Namespace, settings: Settings) -> None:
    if settings.backend == "live":
        terminal.wrong_usage(
            "an Owlmetry server's API does not give out its audit trail; `owlmetry-mcp issues show ID` shows who"
            " commented, and --store names a store, whose trail this shows"
        )
    wanted = Wanted(
        issue=None if parsed.issue is None else parameters.uuid_prefix("--issue", parsed.issue),
        by=None if parsed.by is None else parameters.optional_text("--by", parsed.by),
        since=None if parsed.since is None else _since(parsed.since, times.now()),
        actions=_actions(parsed.action) if parsed.action else None,
    )
    before = _cursor(parsed.cursor)

    def work(tx: Transaction) -> tuple[list[Line], int]:
        lines = audit.lines(tx, wanted, parsed.limit, before)
        return lines, audit.count(tx, wanted, lines[-1].key) if lines else 0

    with existing_store(settings) as store:
        lines, more = store.read(work)
    cursor = str(lines[-1].key) if more else None
    if parsed.json:
        terminal.print_json({"entries": [_json(line) for line in lines], "cursor": cursor, "has_more": more > 0})
        return
    if lines:
        page = Page()
        page.print(log_table(page, lines))
    elif before is None:
        tell("The trail has nothing of the kind." if any(wanted) else "Nothing has been done yet.")
    if cursor is not None:
        tell(f"{more:,} more: {_again(parsed, cursor)}")


def _again(parsed: Namespace, cursor: str) -> str:
    """The command that goes on."""
    said = ["owlmetry-mcp", "log"]
    for name in ("store", "limit", "issue", "by", "since"):
        if (value := vars(parsed).get(name)) is not None:
            said += [f"--{name}", str(value)]
    for action in parsed.action or ():
        said += ["--action", action]
    return shlex.join([*said, "--cursor", cursor])


def _since(text: str, now: datetime) -> str:
    """An instant; by the clock on the wall, where no offset is named.

    Raises:
        InvalidInputError: the text says none.
    """
    try:
        if ago := _AGO.fullmatch(text):
            return times.to_text(now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}))
        return times.to_text(datetime.fromisoformat(text))
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(
            f"--since must be a time such as 2026-10-21, 2026-10-21T12:00Z, 30m, 12h or 2d, not {shown(text)}"
        ) from error


def _actions(wanted: list[str]) -> list[str]:
    """
    Raises:
        InvalidInputError: one is neither an action nor what several begin with.
    """
    found = [action for action in ACTIONS if {action, action.partition(".")[0]} & {*wanted}]
    for name in wanted:
        if not any(name in (action, action.partition(".")[0]) for action in found):
            kinds = ", ".join(dict.fromkeys(action.partition(".")[0] for action in ACTIONS))
            raise InvalidInputError(
                f"--action must be one of {', '.join(ACTIONS)}, or all of a kind ({kinds}), not {shown(name)}"
            )
    return found


def _cursor(text: str | None) -> int | None:
    if text is None or (text.isascii() and text.isdigit() and len(text) < len(str(2**63))):
        return None if text is None else int(text)
    raise InvalidInputError(
        f"--cursor must be that of the log before, not {shown(text)}", "Leave it out to begin with the latest."
    )


def _json(line: Line) -> dict[str, Any]:
    return {name: value for name, value in line._asdict().items() if name != "key"}
