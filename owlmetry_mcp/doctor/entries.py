"""Which clients' files mention the server, and whether what they say starts it.

What is started is ours, as `serve` over stdio, and nothing else. It is given a temporary store, where it would use one:
so none is made or migrated, and its own is looked at only as far as it is the one that the settings name. A project's
files may be a stranger's: what they name is started only if it is this very program with settings of its own alone, or
if the person says so.
"""

import os
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

from owlmetry_mcp.clients.reading import Mention, Unreadable, mentions
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.invocations import arguments_of_ours, fetches
from owlmetry_mcp.doctor.masking import masked, secrets_in
from owlmetry_mcp.doctor.round_trip import own_command
from owlmetry_mcp.doctor.starting import Command, NotStartedError, talk
from owlmetry_mcp.settings import look

_SECONDS = 15.0
_SECONDS_TO_FETCH = 60.0
_AT_ONCE = 4
_NOT_KNOWN = "asked-by-the-client"
"""Stands for a value that the client asks the person for, or has in an environment that is not ours."""
_KEY = "OWLMETRY_API_KEY"
_READERS = stat.S_IRGRP | stat.S_IROTH
_MOST_WORDS = 400


@dataclass(frozen=True, slots=True)
class _Start:
    """An entry whose command is to be started, and what is found once it has been."""

    place: str
    mention: Mention
    shown: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    is_stored: bool
    found: list[Finding] = field(default_factory=list)


def entries(case: Case) -> Iterator[Finding]:
    starts: list[_Start] = []
    is_mentioned = False
    for mention in mentions(case.machine):
        subject = f"clients.{mention.client.name}"
        if isinstance(mention, Unreadable):
            what = f"{mention.path} cannot be read: {mention.why}"
            yield Finding(subject, "warning", what, f"Correct it; {mention.client.title} may not read it either.")
            continue
        is_mentioned = True
        for found in _examined(case, mention):
            if isinstance(found, Finding):
                yield found
            else:
                starts.append(found)
    if starts:
        anyio.run(_start_all, case, starts)
    for start in starts:
        yield from start.found
    if not is_mentioned:
        what = "no client's file mentions owlmetry-mcp"
        yield Finding("clients.none", "note", what, "`owlmetry-mcp install CLIENT` adds it to one.")


def _examined(case: Case, mention: Mention) -> Iterator["Finding | _Start"]:
    server, subject, place = mention.server, f"clients.{mention.client.name}", _place(mention)
    remedy = _install(mention)
    yield from _exposed_key(mention, place)
    if not server.words:
        parts = urlsplit(server.url or "")
        yield Finding(subject, "note", f"{place} goes to {parts.scheme}://{parts.hostname}, and was not asked")
        return
    arguments = arguments_of_ours(server.words)
    if arguments is None:
        what = f"{place} runs {server.words[0]}, which is not surely owlmetry-mcp, and was not started"
        yield Finding(subject, "note", what, f"If it should be owlmetry-mcp: {remedy}")
        return
    flags = case.flags_of(arguments)
    if flags is None:
        what = f"{place} runs {server.words[0]} with arguments that are not those of `owlmetry-mcp serve`"
        yield Finding(subject, "broken", what, remedy)
        return
    shown = masked(" ".join(server.words), secrets_in(server.env))[:_MOST_WORDS]
    environment, unknown = server.environment(case.machine.environment)
    environment |= dict.fromkeys(unknown, _NOT_KNOWN)
    program = _program(server.words[0], environment, case)
    if program is None:
        what = f"{place} runs {server.words[0]}, which is not there or cannot be run"
        yield Finding(subject, "broken", what, remedy)
        return
    if not _may_start(case, mention, program):
        what = f"{place} would run {shown}; it was not started, since a project's files may be a stranger's"
        yield Finding(subject, "note", what, "If you trust them: `owlmetry-mcp doctor --start-project-entries`.")
        return
    settings = look({**flags, "serves": True}, environment, case.machine.home).settings
    yield from _another(case, mention, place, settings.backend, settings.store, settings.endpoint)
    yield _Start(
        place, mention, shown, (program, *server.words[1:]), environment, is_stored=settings.backend == "store"
    )


def _place(mention: Mention) -> str:
    scope = f"local to {mention.project}" if mention.project else mention.scope
    return f'"{mention.name}" in {mention.path} ({scope})'


def _install(mention: Mention) -> str:
    scope = " --scope project" if mention.scope == "project" else ""
    return f"`owlmetry-mcp install {mention.client.name}{scope}` writes it anew."


def _exposed_key(mention: Mention, place: str) -> Iterator[Finding]:
    """A key that stands in a file as it is, where others can read that file."""
    plain, _ = mention.server.environment({})
    if not plain.get(_KEY) or plain[_KEY] != mention.server.env[_KEY]:
        return
    subject = f"clients.{mention.client.name}"
    better = "name it by reference to the environment" if mention.client.reference else "keep it out of there"
    if mention.scope == "project":
        what = f"{place} has the key in it, and a project's files are shared"
        yield Finding(subject, "warning", what, f"Revoke the key if they were, and {better}.")
    elif sys.platform != "win32" and (mode := stat.S_IMODE(mention.path.stat().st_mode)) & _READERS:
        what = f"{place} has the key in it, and others on this machine can read the file ({mode:o})"
        yield Finding(subject, "warning", what, f"chmod 600 {mention.path}; better, {better}.")


def _program(command: str, environment: Mapping[str, str], case: Case) -> str | None:
    """The file that a client would run."""
    path = environment.get("PATH") or case.machine.environment.get("PATH")
    found = shutil.which(command, path=path)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - links stay: a venv's Python is known by its name


def _may_start(case: Case, mention: Mention, program: str) -> bool:
    if mention.scope != "project" or case.start_project_entries:
        return True
    ours = own_command()
    is_ours = len(ours) == 1 and Path(program).samefile(ours[0]) and arguments_of_ours((program,)) is not None
    return is_ours and all(name.startswith("OWLMETRY_") for name in (*mention.server.env, *mention.server.forwarded))


def _another(  # noqa: PLR0913, PLR0917 - of two sides
    case: Case, mention: Mention, place: str, backend: str, store: Path, endpoint: str
) -> Iterator[Finding]:
    """Where the entry's agent finds its issues, if it is not where this looks."""
    ours = case.loaded.settings
    theirs = (backend, store if backend == "store" else endpoint)
    if theirs == (ours.backend, ours.store if ours.backend == "store" else ours.endpoint):
        return
    flags = f"--backend store --store {store}" if backend == "store" else f"--backend live --endpoint {endpoint}"
    what = f"{place} uses another {'store' if backend == 'store' else 'server'} than is looked at here: {theirs[1]}"
    yield Finding(f"clients.{mention.client.name}", "note", what, f"To look at it: owlmetry-mcp doctor {flags}")


async def _start_all(case: Case, starts: list[_Start]) -> None:
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(start: _Start) -> None:
        async with limit:
            start.found.append(await _started(case, start))

    async with anyio.create_task_group() as group:
        for start in starts:
            group.start_soon(one, start)


async def _started(case: Case, start: _Start) -> Finding:
    mention = start.mention
    subject = f"clients.{mention.client.name}"
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
            return Finding(
                subject, "broken", f"{start.place} does not start: {start.shown}: {error}", _install(mention)
            )
    seconds = time.monotonic() - began
    return Finding(subject, "ok", f"{start.place} starts {who} in {seconds:.1f} s: {start.shown}")


async def _name(client: Client) -> str:
    who: Any = client.server_info
    return f"{who.name} {who.version}" if who else "a server that does not say its name"
