"""Issues as rows: a table on a terminal, cut to its width; lines in a file."""

from collections.abc import Sequence
from itertools import chain

from rich.table import Table
from rich.text import Text

from owlmetry_mcp.cli.terminal import Page, cut, table, words
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue

_WIDE = 110
"""Columns that a terminal needs for a column each; with fewer, versions and app stand below the title."""
_LEAST_ID = 8
_STYLES: dict[Status, str] = {
    "new": "yellow", "regressed": "bold red", "in_progress": "cyan", "resolved": "green", "silenced": "dim",
    "snoozed": "blue",
}  # fmt: skip


def issue_table(page: Page, issues: Sequence[Issue]) -> Table:
    is_wide = page.width >= _WIDE
    shown = table("id", "status", "title", "occ.", "users", "last seen", *(("versions", "app") if is_wide else ()))
    for column in shown.columns:
        column.no_wrap = column.header != "title"
        column.justify = "right" if column.header in ("occ.", "users") else "left"
    length = id_length([issue.id for issue in issues])
    for issue in issues:
        shown.add_row(
            Text(issue.id[:length], "bold"),
            status_text(issue.status),
            _title(issue, below=not is_wide),
            f"{issue.occurrence_count:,}",
            f"{issue.unique_user_count:,}",
            page.ago(issue.last_seen_at),
            *((cut(versions(issue)), cut(place(issue))) if is_wide else ()),
        )
    return shown


def id_length(ids: Sequence[str]) -> int:
    """How much of each it takes to tell them apart: 8 characters, but for a rare coincidence."""
    whole = len({*ids})
    length = _LEAST_ID
    while len({row[:length] for row in ids}) < whole:
        length += 1
    return length


def status_text(status: Status) -> Text:
    return Text(status, _STYLES[status])


def _title(issue: Issue, *, below: bool) -> Text:
    title = Text.assemble(("dev ", "magenta"), words(issue.title)) if issue.is_dev else words(issue.title)
    if below and (more := [part for part in (versions(issue), place(issue)) if part]):
        title = Text("\n").join([title, Text(", ").join(more)])
        title.stylize("dim", len(title.plain.partition("\n")[0]))
    return cut(title)


def versions(issue: Issue) -> Text:
    """The app's: where it was seen, and the one with the fix."""
    seen = [it for it in (issue.first_seen_app_version, issue.last_seen_app_version) if it]
    parts = [words(" to ".join(dict.fromkeys(seen)))] if seen else []
    if issue.resolved_at_version:
        parts.append(words(f"fixed in {issue.resolved_at_version}", "green"))
    return Text(", ").join(parts)


def place(issue: Issue) -> Text:
    """The project, where it is told, and the app."""
    return words(" / ".join(filter(None, (issue.project_name, issue.app_name))))


def cells(rows: Sequence[Sequence[str | Text | None]]) -> Table:
    """Rows of names and what they are, without those that are nothing."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    most = max(map(len, rows), default=1)
    for _ in range(most - 1):
        grid.add_column(overflow="fold")
    for row in rows:
        if any(row[1:]):
            grid.add_row(*chain(row, [""] * (most - len(row))))
    return grid
