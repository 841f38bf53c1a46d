"""Which clients' files mention the server, and whether what they say starts it.

What is started is ours, as `serve` over stdio, and nothing else. It is given a temporary store, where it would use one:
so none is made or migrated, and its own is looked at only as far as it is the one that the settings name. A project's
files may be a stranger's: what they name is started only if it is this very program with settings of its own alone, or
if the person says so.
"""

import os
import shlex
import shutil
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import anyio
from mcp import Client

from owlmetry_mcp.clients import starting
from owlmetry_mcp.clients.invocations import arguments_of_ours, fetches
from owlmetry_mcp.clients.reading import Mention, Unreadable, mentions
from owlmetry_mcp.clients.servers import DEFAULT_NAME, KEY, NAME
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.masking import masked, secrets_in
from owlmetry_mcp.doctor.talking import Command, NotStartedError, talk
from owlmetry_mcp.settings import Settings, look

_SECONDS = 15.0
_SECONDS_TO_FETCH = 60.0
_AT_ONCE = 4
_NOT_KNOWN = "asked-by-the-client"
"""Stands for a key that the client asks the person for, or has in an environment that is not ours."""
_READERS = stat.S_IRGRP | stat.S_IROTH
_LONGEST_SHOWN = 400


@dataclass(frozen=True, slots=True)
class _Start:
    """An entry whose command is to be started, and where to put what is found of it then."""

    mention: Mention
    shown: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    is_stored: bool
    found: list[Finding]


def entries(case: Case) -> Iterator[Finding]:
    mentioned: list[list[Finding]] = []
    starts: list[_Start] = []
    for mention in mentions(case.machine):
        if isinstance(mention, Unreadable):
            what = f"{mention.path} cannot be read: {mention.why}"
            remedy = f"Correct it; {mention.client.title} may not read it either."
            yield Finding(f"clients.{mention.client.name}", "warning", what, remedy)
            continue
        found = [*_exposed_key(mention)]
        mentioned.append(found)
        looked_at = _looked_at(case, mention, found)
        if isinstance(looked_at, Finding):
            found.append(looked_at)
        else:
            starts.append(looked_at)
    if starts:
        anyio.run(_start_all, case, starts)
    for found in mentioned:
        yield from found
    if not mentioned:
        what = "no client's file mentions owlmetry-mcp"
        yield Finding("clients.none", "note", what, "`owlmetry-mcp install CLIENT` adds it to one.")


def _looked_at(case: Case, mention: Mention, found: list[Finding]) -> Finding | _Start:
    """Why it is not to be started, or how."""
    server, subject, place, remedy = mention.server, _subject(mention), _place(mention), _install(mention)
    if not server.words:
        parts = urlsplit(server.url or "")
        return Finding(subject, "note", f"{place} goes to {parts.scheme}://{parts.hostname}, and was not asked")
    program = server.words[0]
    arguments = arguments_of_ours(server.words)
    if arguments is None:
        what = f"{place} runs {program}, which is not surely owlmetry-mcp, and was not started"
        return Finding(subject, "note", what, f"If it should be owlmetry-mcp: {remedy}")
    flags = case.flags_of(arguments)
    if flags is None:
        what = f"{place} runs {program} with arguments that are not those of `owlmetry-mcp serve`"
        return Finding(subject, "broken", what, remedy)
    file = _file(case, mention, program)
    if file is None:
        what = f"{place} runs {program}, which is not there or cannot be run"
        return Finding(subject, "broken", what, remedy)
    shown = masked(shlex.join(server.words), secrets_in(server.env))[:_LONGEST_SHOWN]
    if not _may_start(case, mention, file):
        what = f"{place} would run {shown}; it was not started, since a project's files may be a stranger's"
        return Finding(subject, "note", what, "If you trust them: `owlmetry-mcp doctor --start-project-entries`.")
    is_trusted = mention.scope != "project" or case.start_project_entries
    environment, unknown = server.environment(case.machine.environment if is_trusted else {})
    if unknown and is_trusted and not mention.client.asks:
        what = f"{place} takes {', '.join(unknown)} from the client's environment, and here there is no such value"
        found.append(Finding(subject, "note", what, "See that it is set where the client is started."))
    if KEY in unknown:
        environment[KEY] = _NOT_KNOWN
    settings = look({**flags, "serves": True}, environment, case.machine.home).settings
    found += _elsewhere(case, mention, settings)
    return _Start(mention, shown, (file, *server.words[1:]), environment, settings.backend == "store", found)


def _subject(mention: Mention) -> str:
    return f"clients.{mention.client.name}"


def _place(mention: Mention) -> str:
    scope = f"local to {mention.project}" if mention.project else mention.scope
    return f'"{mention.name}" in {mention.path} ({scope})'


def _install(mention: Mention) -> str:
    """How to have such an entry again; what `install` would not write is left to the person."""
    if not NAME.fullmatch(mention.name):
        return "Correct it by hand, or take it out."
    if mention.project is not None:
        where = f"in {shlex.quote(mention.project)}"
        return f"`claude mcp remove --scope local {mention.name}`, {where}, takes it out: it goes before all others."
    scope = " --scope project" if mention.scope == "project" else ""
    name = "" if mention.name == DEFAULT_NAME else f" --name {mention.name}"
    force = "" if mention.server.is_ours else " --force"
    return f"`owlmetry-mcp install {mention.client.name}{scope}{name}{force}` writes it anew."


def _exposed_key(mention: Mention) -> Iterator[Finding]:
    """A key that stands in a file as it is, where others can read that file."""
    plain, _ = mention.server.environment({})
    if not plain.get(KEY) or plain[KEY] != mention.server.env[KEY]:
        return
    better = "name it by reference to the environment" if mention.client.reference else "keep it out of there"
    if mention.scope == "project":
        what = f"{_place(mention)} has the key in it, and a project's files are shared"
        yield Finding(_subject(mention), "warning", what, f"Revoke the key if they were, and {better}.")
    elif sys.platform != "win32" and (mode := stat.S_IMODE(mention.path.stat().st_mode)) & _READERS:
        what = f"{_place(mention)} has the key in it, and others on this machine can read the file ({mode:o})"
        remedy = f"`chmod 600 {shlex.quote(str(mention.path))}`; better, {better}."
        yield Finding(_subject(mention), "warning", what, remedy)


def _file(case: Case, mention: Mention, program: str) -> str | None:
    """The file that a client would run: on the PATH, or in the project. Where else a client stands is not known."""
    if os.path.dirname(program) and not os.path.isabs(program):  # noqa: PTH117, PTH120 - Path forgets a leading ./
        if mention.scope != "project":
            return None
        program = str(case.machine.directory / program)
    path = mention.server.env.get("PATH") or case.machine.environment.get("PATH")
    found = shutil.which(program, path=path)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - links stay: a venv's Python is known by its name


def _may_start(case: Case, mention: Mention, file: str) -> bool:
    if mention.scope != "project" or case.start_project_entries:
        return True
    ours = starting.words(case.machine, starting.Running.now())
    is_ours = len(ours) == 1 and Path(file).resolve() == Path(ours[0]).resolve()
    return is_ours and all(name.startswith("OWLMETRY_") for name in (*mention.server.env, *mention.server.forwarded))


def _elsewhere(case: Case, mention: Mention, theirs: Settings) -> Iterator[Finding]:
    """Where the entry's agent finds its issues, if it is not where this looks."""
    ours = case.loaded.settings
    if theirs.backend == "store" and (ours.backend, ours.store) != ("store", theirs.store):
        what = f"{_place(mention)} uses another store than is looked at here: {theirs.store}"
        remedy = f"To look at it: `owlmetry-mcp doctor --backend store --store {shlex.quote(str(theirs.store))}`."
        yield Finding(_subject(mention), "note", what, remedy)
    if theirs.backend == "live" and (ours.backend, ours.endpoint) != ("live", theirs.endpoint):
        what = f"{_place(mention)} uses another server than is looked at here: {theirs.endpoint}"
        remedy = "To look at it, set OWLMETRY_ENDPOINT to it and OWLMETRY_API_KEY to a key of that very server."
        yield Finding(_subject(mention), "note", what, remedy)


async def _start_all(case: Case, starts: list[_Start]) -> None:
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(start: _Start) -> None:
        async with limit:
            start.found.append(await _started(case, start))

    async with anyio.create_task_group() as group:
        for start in starts:
            group.start_soon(one, start)


async def _started(case: Case, start: _Start) -> Finding:
    mention, place = start.mention, _place(start.mention)
    with TemporaryDirectory(prefix="owlmetry-doctor-") as directory:
        store = ["--store", str(Path(directory) / "store.db")] if start.is_stored else []
        command = Command(
            [*start.words, *store],
            start.environment,
            case.machine.directory if mention.scope == "project" else case.machine.home,
            _SECONDS_TO_FETCH if fetches(start.words) else _SECONDS,
        )
        began = time.monotonic()
        try:
            who = await talk(command, _name)
        except NotStartedError as error:
            what = f"{place} does not start: {start.shown}: {error}"
            return Finding(_subject(mention), "broken", what, _install(mention))
    seconds = time.monotonic() - began
    return Finding(_subject(mention), "ok", f"{place} starts {who} in {seconds:.1f} s: {start.shown}")


async def _name(client: Client) -> str:
    who: Any = client.server_info
    return f"{who.name} {who.version}" if who else "a server that does not say its name"
