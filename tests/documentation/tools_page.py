"""Writes the page about the tools, from the server itself: `python -m tests.documentation.tools_page`."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
from mcp_types import Prompt, Tool

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.server.catalogue import CATALOGUE, listed
from owlmetry_mcp.server.prompts import PROMPTS
from owlmetry_mcp.server.resources import GUIDE_URI, ISSUE_TEMPLATE, OVERVIEW_TEMPLATE
from tests.agent import Agent, agent_of
from tests.world import ROOT, SECRETS, SYMBOLS, FakeClock, World, filled

PAGE = ROOT / "docs" / "tools.md"
_SESSION = "f8ac29d3-ea8f-538f-a4d5-3a607bd16e4f"
_STAND_INS = {
    "error": "0b530b59-26e7-4bc6-a9da-167f4066bd78",
    "step": "8d1f7d9c-51a3-4c07-9a55-3f1d5f0f2a11",
    "comment": "6f9619ff-8b86-4d01-b42d-00c04fc964ff",
}
"""For the ids of what the examples write, which are others each time."""

_RESOURCES = """\
## Resources

A person can attach these, all in Markdown. A client that listens to one of the last two hears when it changes, whoever
changed it.

| resource | what it is |
|---|---|
| `{guide}` | how to triage, and the life of an issue |
| `{overview}` | a project at a glance |
| `{issue}` | an issue with its occurrences and comments |
"""
_PROMPTS = """\
## Prompts

They come with the live data in them. Project ids complete by name, issue ids by title; statuses, and the versions seen,
as well.

| prompt | what it asks for | arguments |
|---|---|---|
"""

INTRODUCTION = """\
# Tools

What a client is told of each tool, what a key needs for it, and an example of its answer. This page is made from the
server; a test compares the two.

Every answer comes as data, by an output schema with the API's field names, and as the text below; either tells all.
Ids may be cut to their first 8 characters or more, while these are one issue's alone; projects, apps and teams go by
name or slug too. Where that means several, the error lists them. Unknown arguments are refused.

Titles, comments, names, attributes and stack traces were written by strangers. Texts fence them with a marker, here
`mark`, that is another in each answer; [security.md](security.md#what-strangers-wrote) says more.

An answer is never longer than `OWLMETRY_MAX_RESULT_BYTES`, as text and as data each. What does not fit is left out by
whole rows, and `left_out` says what, and how to get it. What changes several issues stops for none of them, and says of
each what became of it.

Tools that the key may not use are not listed. `--read-only` offers those that read alone, `--tools
list_issues,get_issue` those named. Before `merge` and `delete_comment`, which cannot be undone, the person is asked
where the client can ask one; `OWLMETRY_CONFIRM` set to `always` refuses where it cannot, and `never` is for agents that
run unattended.
"""


def document() -> str:
    examples = anyio.run(_examples)
    sections = [_section(tool, *examples[tool.name]) for tool in listed()]
    resources = _RESOURCES.format(guide=GUIDE_URI, overview=OVERVIEW_TEMPLATE, issue=ISSUE_TEMPLATE)
    return "\n".join([INTRODUCTION, *sections, resources, _PROMPTS + "".join(map(_prompt, PROMPTS.values()))])


def _prompt(prompt: Prompt) -> str:
    names = ", ".join(f"`{argument.name}`" for argument in prompt.arguments or [])
    return f"| `{prompt.name}` | {prompt.description} | {names} |\n"


def _section(tool: Tool, arguments: dict[str, Any], answer: str) -> str:
    needed = CATALOGUE[tool.name].permission
    return "\n".join([
        f"## {tool.name}",
        "",
        f"*{tool.title}.* {tool.description}",
        "",
        f"Hints: {_hints(tool)}. {f'A key needs `{needed}`.' if needed else 'Any key may use it.'}",
        "",
        *_parameters(tool.input_schema),
        "```text",
        f"{tool.name}({', '.join(f'{name}={json.dumps(value)}' for name, value in arguments.items())})",
        "",
        answer,
        "```",
        "",
    ])  # fmt: skip


def _hints(tool: Tool) -> str:
    hints = tool.annotations
    assert hints
    if hints.read_only_hint:
        return "read-only"
    return ", ".join([
        "writes",
        "destructive" if hints.destructive_hint else "not destructive",
        "idempotent" if hints.idempotent_hint else "not idempotent",
    ])  # fmt: skip


def _parameters(schema: dict[str, Any]) -> Iterator[str]:
    if not schema.get("properties"):
        yield from ("No parameters.", "")
        return
    yield from ("| parameter | type | meaning |", "|---|---|---|")
    for name, given in schema["properties"].items():
        meaning = [
            "Required" if name in schema.get("required", ()) else "",
            given.get("description", ""),
            f"Default: {given['default']}" if "default" in given else "",
        ]
        yield f"| `{name}` | {_type(given)} | {'. '.join(part for part in meaning if part)} |"
    yield ""


def _type(given: dict[str, Any]) -> str:
    if "enum" in given:
        return ", ".join(f"`{value}`" for value in given["enum"])
    return f"list of {given['items']['type']}s" if given["type"] == "array" else str(given["type"])


async def _examples() -> dict[str, tuple[dict[str, Any], str]]:
    """The arguments and the answer of each tool, called on the recorded world."""
    with tempfile.TemporaryDirectory() as folder:
        clock = FakeClock()
        with Store(Path(folder) / "store.db", clock, first_start.leave_empty) as store:
            filled(store)
            return await _called(World(store, clock))


async def _called(world: World) -> dict[str, tuple[dict[str, Any], str]]:
    agent, observer = agent_of(world), agent_of(world, "observer")
    issue, duplicate = SYMBOLS["i_timeout"][:8], SYMBOLS["i_timeout_dup"][:8]
    called: dict[str, tuple[dict[str, Any], str]] = {}

    async def call(by: Agent, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await by.call(tool, **arguments)
        called[tool] = arguments, by.text.replace("MARK", "mark").rstrip("\n")
        return answer

    await call(agent, "whoami")
    await call(agent, "list_projects")
    await call(agent, "triage_overview", project_id="shop")
    await call(agent, "list_issues", project_id="shop", status="new", limit=2)
    await call(agent, "get_issue", issue_id=issue)
    await call(agent, "find_duplicates", issue_id=issue)
    await call(agent, "update_status", issue_id=issue, status="in_progress")
    await call(agent, "merge", target_issue_id=issue, source_issue_id=duplicate)
    written = (await call(agent, "comment", issue_id=issue, body="The proxy drops idle connections."))["id"]
    await call(agent, "edit_comment", issue_id=issue, comment_id=written, body="The proxy drops them after 60 s.")
    await call(agent, "list_comments", issue_id=issue)
    await call(agent, "delete_comment", issue_id=issue, comment_id=written)

    await acting_as(world.store, SECRETS["importer"]).import_events(_EVENTS)
    seen = await acting_as(world.store, SECRETS["observer"]).list_events(EventFilter(_SESSION, order="asc"), limit=2)
    step, error = (event.id for event in seen.events)
    await call(observer, "get_event", event_id=error)
    await call(observer, "get_breadcrumbs", event_id=error)

    ids = {error: _STAND_INS["error"], step: _STAND_INS["step"], written: _STAND_INS["comment"]}
    return {
        tool: ({name: ids.get(value, value) for name, value in arguments.items()}, _with(ids, text))
        for tool, (arguments, text) in called.items()
    }


def _with(ids: dict[str, str], text: str) -> str:
    for written, stand_in in ids.items():
        text = text.replace(written, stand_in)
    return text


_EVENTS: list[dict[str, Any]] = [
    {
        "session_id": _SESSION,
        "level": "info",
        "message": "Cart opened",
        "screen_name": "Cart",
        "timestamp": "2026-10-21T10:00:01.000Z",
    },
    {
        "session_id": _SESSION,
        "level": "error",
        "message": "Payment declined",
        "source_module": "Checkout",
        "app_version": "2.2.0",
        "environment": "ios",
        "timestamp": "2026-10-21T10:00:03.000Z",
        "custom_attributes": {
            "_error_type": "PaymentError",
            "_error_stack": "PaymentError: declined\n  at pay (Checkout.swift:10)",
        },
    },
]

if __name__ == "__main__":
    PAGE.write_text(document())
