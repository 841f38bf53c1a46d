"""`owlmetry-mcp issues`: what agents do with issues, for a person, on either backend."""

import re
import shlex
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
from pydantic import BaseModel
from rich.text import Text

from owlmetry_mcp.asking import batches
from owlmetry_mcp.asking.batches import Move, Moved, Place
from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Backend, Progress
from owlmetry_mcp.cli import terminal
from owlmetry_mcp.cli.backends import for_a_person
from owlmetry_mcp.cli.issue_lists import Issues
from owlmetry_mcp.cli.issue_page import LATEST, Failure, issue_page
from owlmetry_mcp.cli.issue_tables import issue_table, status_text
from owlmetry_mcp.cli.terminal import Page, tell, words
from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.errors import InvalidInputError, OwlmetryError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.settings import Settings

_COMMANDS = {
    "list_issues": "`owlmetry-mcp issues list`",
    "get_issue": "`owlmetry-mcp issues show`",
    "list_comments": "`owlmetry-mcp issues show`",
    "list_projects": "`owlmetry-mcp issues list`",
    "resolved_at_version": "--version",
    "project_id": "--project",
    "app_id": "--app",
    "body": "TEXT",
}
"""What errors name in an agent's words, and what it is called here."""
_NAMED = re.compile(rf"(?<![\w\"])({'|'.join(_COMMANDS)})\b")
_ID = 8
_MOST_QUOTED = 60


class _Asking(NamedTuple):
    """A person's questions: to which backend, and what they mean."""

    backend: Backend
    desk: Desk
    project: str | None
    heard: Progress


@asynccontextmanager
async def _asking(parsed: Namespace, settings: Settings) -> AsyncIterator[_Asking]:
    try:
        async with for_a_person(settings) as backend:
            with terminal.progress() as heard:
                yield _Asking(backend, Desk(lambda _: backend, settings.project_id), parsed.project, heard)
    except OwlmetryError as error:
        raise OwlmetryError(_said(error)) from error


def _said(error: OwlmetryError) -> str:
    said = str(error).replace("; whoami shows what this one has", "")
    return _NAMED.sub(lambda found: _COMMANDS[found[0]], said)


def list_issues(parsed: Namespace, settings: Settings) -> None:
    anyio.run(_list, parsed, settings)


async def _list(parsed: Namespace, settings: Settings) -> None:
    async with _asking(parsed, settings) as asking:
        project = await asking.desk.meant(asking.project)
        app = None if parsed.app is None else await asking.desk.app(parsed.app, project, asking.heard)
        wanted = IssueFilter(app_id=app, data_mode=parsed.data_mode)
        listed = Issues(asking.backend, project, wanted, parsed.status or ())
        page = await (listed.all(asking.heard) if parsed.all else listed.page(parsed.limit, parsed.cursor))
        more = await listed.more(page.cursor) if page.cursor is not None and not parsed.json else None
    if parsed.json:
        terminal.print_json(_json(page))
        return
    if page.issues:
        printed = Page()
        printed.print(issue_table(printed, page.issues))
    elif parsed.cursor is None:
        tell("No issues match.")
    if more and page.cursor is not None:
        tell(f"{'' if more.exactly else 'More than '}{more.at_least:,} more: {_again(parsed, page.cursor)}")
    if project is None and parsed.data_mode is None:
        tell("Production alone; --data-mode all shows what development builds met as well.")


def _again(parsed: Namespace, cursor: str) -> str:
    """The command that goes on."""
    given = vars(parsed)
    said = ["owlmetry-mcp", "issues", "list"]
    for name in ("store", "backend", "endpoint", "team", "project", "app", "data_mode", "limit"):
        if given.get(name) is not None:
            said += [f"--{name.replace('_', '-')}", str(given[name])]
    for status in parsed.status or ():
        said += ["--status", status]
    return shlex.join([*said, "--cursor", cursor])


def show(parsed: Namespace, settings: Settings) -> None:
    anyio.run(_show, parsed, settings)


async def _show(parsed: Namespace, settings: Settings) -> None:
    async with _asking(parsed, settings) as asking:
        place = await asking.desk.issue(parsed.issue, asking.project, "ID", asking.heard)
        found = await asking.backend.examine(*place, latest=LATEST, progress=asking.heard)
        events = [row.event_id for row in found.issue.occurrences if row.event_id]
        failure = await _failure(asking.backend, events[0]) if events else Failure()
    if parsed.json:
        event = failure.event and _json(failure.event)
        issue = found.issue.model_dump(mode="json", exclude_unset=True, exclude={"occurrences_seen"})
        terminal.print_json({**issue, "summary": _plain(found.summary), "latest_event": event})
        return
    printed = Page()
    printed.print(*issue_page(printed, found, failure, whole_event=parsed.events))


async def _failure(backend: Backend, event_id: str) -> Failure:
    try:
        return Failure(await backend.get_event(event_id))
    except OwlmetryError as error:
        return Failure(why_not=words(_said(error)).plain)


def status(parsed: Namespace, settings: Settings) -> None:
    anyio.run(_status, parsed, settings)


async def _status(parsed: Namespace, settings: Settings) -> None:
    body = None if parsed.comment is None else parameters.comment_body(parsed.comment, "--comment")
    move = Move(parsed.status, parsed.version, body)
    async with _asking(parsed, settings) as asking:
        places = await batches.named(asking.desk, parsed.issues, asking.project, "ID")
        found = await batches.each(places, lambda place: move.of(asking.backend, place))
    if parsed.json:
        terminal.print_json({"results": [_moved_json(wanted, it) for wanted, it in found.items()]})
    else:
        moved = [it for it in found.values() if isinstance(it, Moved)]
        printed = Page()
        for it in moved:
            printed.print(terminal.cut(_changed(it.issue, commented=it.comment is not None)))
    comments = {
        wanted: OwlmetryError(f"It was moved, but not commented on: {_said(it.comment_error)}")
        for wanted, it in found.items()
        if isinstance(it, Moved) and it.comment_error
    }
    _raise_failures({**_failed(found), **comments}, len(found), "moved")


def _changed(issue: Issue, *, commented: bool = False) -> Text:
    fixed = f" (fixed in {issue.resolved_at_version})" if issue.resolved_at_version else ""
    said = "; commented" if commented else ""
    title = words(f"{issue.title}{fixed}{said}")
    return Text.assemble((issue.id[:_ID], "bold"), "  ", status_text(issue.status), "  ", title)


def _moved_json(wanted: str, it: Moved | Exception) -> dict[str, Any]:
    if isinstance(it, Exception):
        return {"issue_id": wanted, "error": _why(it)}
    row: dict[str, Any] = {"issue_id": wanted, "issue": _json(it.issue)}
    if it.comment is not None:
        row["comment"] = _json(it.comment)
    if it.comment_error is not None:
        row["comment_error"] = _said(it.comment_error)
    return row


def merge(parsed: Namespace, settings: Settings) -> None:
    if not parsed.yes and not sys.stdin.isatty():
        terminal.wrong_usage("a merge cannot be undone, and there is no terminal to ask on: say --yes to merge unasked")
    anyio.run(_merge, parsed, settings)


async def _merge(parsed: Namespace, settings: Settings) -> None:
    async with _asking(parsed, settings) as asking:
        backend = asking.backend
        project, target = await asking.desk.issue(parsed.target, asking.project, "TARGET", surely=True)
        places = await batches.named(asking.desk, parsed.sources, project, "SOURCE")
        if not parsed.yes:
            await _confirm(backend, (project, target), places)

        def merging(place: Place) -> Awaitable[Issue]:
            return backend.merge(project, target, place[1])

        found = await batches.each(places, merging)
    merged = [it for it in found.values() if isinstance(it, Issue)]
    if parsed.json:
        rows = [
            {"source_issue_id": wanted, "error": _why(it)} if isinstance(it, Exception) else
            {"source_issue_id": wanted, "merged": True}
            for wanted, it in found.items()
        ]  # fmt: skip
        terminal.print_json({"target": _json(merged[-1]) if merged else None, "results": rows})
    elif merged:
        page = Page()
        page.print(terminal.cut(_changed(merged[-1])))
        tell(f"{len(merged)} merged into it; it was seen {merged[-1].occurrence_count:,} times.")
    _raise_failures(_failed(found), len(found), "merged")


async def _confirm(backend: Backend, target: Place, sources: Mapping[str, Place | Exception]) -> None:
    """
    Raises:
        OwlmetryError: the person did not say yes, or there is nothing to ask about.
    """
    there = [place for place in sources.values() if not isinstance(place, Exception)]
    if not there:
        return
    into, *titles = [await _title(backend, place) for place in (target, *there)]
    asked = "".join(f"  {title}\n" for title in titles)
    print(f"Merge\n{asked}into\n  {into}\nWhat is merged is deleted, and cannot be had back.", file=sys.stderr)
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if (await anyio.to_thread.run_sync(sys.stdin.readline)).strip().lower() not in ("y", "yes"):
        raise OwlmetryError("Nothing was changed")


async def _title(backend: Backend, place: Place) -> str:
    found = await backend.get_issue(*place, occurrence_limit=1)
    seen = f"seen {found.occurrence_count:,} times" if found.occurrence_count != 1 else "seen once"
    return f"{found.id[:_ID]} {quoted(found.title, _MOST_QUOTED)}, {found.status}, {seen}"


def comment(parsed: Namespace, settings: Settings) -> None:
    text = _standard_input() if parsed.text == "-" else parsed.text
    anyio.run(_comment, parsed, settings, parameters.comment_body(text, "TEXT"))


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError("What stands on standard input is not UTF-8 text") from error


async def _comment(parsed: Namespace, settings: Settings, body: str) -> None:
    async with _asking(parsed, settings) as asking:
        place = await asking.desk.issue(parsed.issue, asking.project, "ID", surely=True)
        added = await asking.backend.add_comment(*place, body)
    if parsed.json:
        terminal.print_json(_json(added))
        return
    tell(f"Commented on {added.issue_id[:_ID]} as {added.author_name}.")
    print(added.id)


def _failed(found: Mapping[str, object]) -> dict[str, Exception]:
    return {wanted: it for wanted, it in found.items() if isinstance(it, Exception)}


def _why(error: Exception) -> str:
    if isinstance(error, OwlmetryError):
        return _said(error)
    return "It failed in a way that was not foreseen; whether it was done is not known."


def _raise_failures(failures: Mapping[str, Exception], of: int, done: str) -> None:
    """
    Raises:
        OwlmetryError: something failed; it is told, each on a line, where there are several.
    """
    for error in failures.values():
        if not isinstance(error, OwlmetryError):
            raise error
    if of == 1 and failures:
        raise OwlmetryError(*map(_why, failures.values()))
    for wanted, error in failures.items():
        tell(f"owlmetry-mcp: {parameters.shown(wanted)}: {_why(error)}")
    if failures:
        raise OwlmetryError(f"{len(failures)} of {of} were not {done} as asked")


def _json(resource: BaseModel) -> dict[str, Any]:
    """As the API answers it."""
    return resource.model_dump(mode="json", exclude_unset=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 - a named tuple, or what is in one
    if hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
