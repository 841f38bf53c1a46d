"""Our own server, started and asked as a client would: from one end of the pipe to the other."""

import shlex
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import anyio
from mcp import Client
from mcp_types import TextContent

from owlmetry_mcp.backends.store.looking import CURRENT_VERSION, look
from owlmetry_mcp.clients import starting
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.configuration import cannot_serve, in_order
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.talking import Command, NotStartedError, talk
from owlmetry_mcp.issues.errors import InvalidInputError, StoreError

_OURSELVES = "owlmetry-mcp-doctor"
_SECONDS = 20.0
_SUBJECT = "round-trip.stdio"
_READS: Mapping[str, Mapping[str, Any]] = {
    "list_issues": {"limit": 1},
    "list_projects": {},
    "whoami": {},
    "triage_overview": {},
}
"""The calls that ask nothing of the store but to be there, the best first."""


class Trip(NamedTuple):
    tools: int
    protocol: str
    called: str | None
    """The tool; none where none is offered that can be called without knowing what there is."""
    refused: str | None


def round_trip(case: Case) -> Iterator[Finding]:
    if cannot_serve(case):
        yield Finding(_SUBJECT, "note", "not tried, as the settings are wrong", "Correct them first.")
        return
    with TemporaryDirectory(prefix="owlmetry-doctor-") as directory:
        began = time.monotonic()
        try:
            where, command = _prepared(case, Path(directory))
            trip = anyio.run(talk, command, _asked)
        except InvalidInputError as error:
            yield Finding(_SUBJECT, "broken", error.message, error.hint)
        except NotStartedError as error:
            yield Finding(_SUBJECT, "broken", f"{error}", f"Run it by hand to see why: {shlex.join(command.words)}")
        else:
            yield _told(trip, where, time.monotonic() - began)


def _prepared(case: Case, directory: Path) -> tuple[str, Command]:
    """Where the issues are that it is asked for, and what starts it. No store is made by it, and none gets a new local
    agent key: where one would, another store is made in `directory` meanwhile.

    Raises:
        InvalidInputError: nothing is found that would start it.
    """
    settings = case.loaded.settings
    is_stored = settings.backend == "store"
    agent = _known_agent(case) if is_stored else _OURSELVES
    left_out = {"store"} if agent else {"store", "api_key", "project_id"}
    words = [*starting.words(case.machine, starting.Running.now()), "serve"]
    for name, source in in_order(case.loaded):
        if source.kind == "flag" and name not in left_out:
            words += [source.name, *([] if name == "read_only" else [str(case.loaded.flags[name])])]
    if is_stored:
        words += ["--store", str(settings.store.absolute() if agent else directory / "store.db")]
    environment = {
        name: value
        for name, value in case.machine.environment.items()
        if name.startswith("OWLMETRY_") and name.removeprefix("OWLMETRY_").lower() not in left_out
    }
    where = "the live server" if not is_stored else "the store" if agent else "a temporary store"
    return where, Command(words, environment, case.machine.home, _SECONDS, agent or _OURSELVES)


def _known_agent(case: Case) -> str | None:
    """What to call ourselves, so as to be no one new to the store."""
    settings = case.loaded.settings
    try:
        seen = look(settings.store, case.clock, settings.api_key)
    except StoreError:
        return None
    if seen is None or seen.version != CURRENT_VERSION:
        return None
    if settings.api_key is not None:
        return _OURSELVES
    wanted = settings.agent_name
    return next((name for name in seen.local_agents if wanted in (None, name)), None)


async def _asked(client: Client) -> Trip:
    tools = {tool.name for tool in (await client.list_tools()).tools}
    called = next((name for name in _READS if name in tools), None)
    refused = None
    if called is not None:
        result = await client.call_tool(called, dict(_READS[called]))
        if result.is_error:
            refused = " ".join(block.text for block in result.content if isinstance(block, TextContent))
    return Trip(len(tools), client.protocol_version, called, refused)


def _told(trip: Trip, where: str, seconds: float) -> Finding:
    if trip.refused is not None:
        what = f"started, but {trip.called} on {where} was refused: {trip.refused}"
        return Finding(_SUBJECT, "broken", what, "See what else is found; without that, the refusal says what to do.")
    called = f", {trip.called} on {where}" if trip.called else ""
    what = f"initialize (MCP {trip.protocol}), tools/list ({trip.tools} tools){called}: {seconds:.1f} s in all"
    return Finding(_SUBJECT, "ok", what)
