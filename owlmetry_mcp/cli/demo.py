"""`owlmetry-mcp demo`: one triage from first look to resolved, by a real MCP client over the real stdio server."""

import json
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp_types import Implementation, TextContent
from rich.console import Console
from rich.highlighter import ReprHighlighter
from rich.padding import Padding
from rich.text import Text

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli import demo_data
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.settings import Settings

AGENT_NAME = "demo-agent"


def demo(_: Namespace, __: Settings) -> None:
    with tempfile.TemporaryDirectory(prefix="owlmetry-demo-") as directory:
        path = Path(directory) / "store.db"
        with Store(path, fill=demo_data.set_up) as store:
            anyio.run(demo_data.happen, store)
        anyio.run(_triage, path, Console(highlight=False))


class _Agent:
    """Calls tools and shows each call and its answer, as the agent meets them."""

    def __init__(self, client: Client, console: Console) -> None:
        self._client = client
        self._console = console
        self.calls = 0
        self.read_bytes = 0

    def think(self, thought: str) -> None:
        self._console.print()
        self._console.print(Text(f"● {thought}", "bold"))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - a tool's arguments are JSON
        shown = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
        self._console.print(Padding(Text.assemble((tool, "bold cyan"), (f"({shown})", "cyan")), (0, 0, 0, 2)))
        result = await self._client.call_tool(tool, arguments)
        words = "\n".join(block.text for block in result.content if isinstance(block, TextContent))
        answer = Text(words, "red") if result.is_error else ReprHighlighter()(words)
        self._console.print(Padding(answer, (0, 0, 0, 4)))
        if result.is_error:
            raise OwlmetryError(f"The demo's call of {tool} failed")
        self.calls += 1
        self.read_bytes += len(words.encode())
        return result.structured_content or {}


async def _triage(store: Path, console: Console) -> None:
    server = StdioServerParameters(command=sys.executable, args=["-m", "owlmetry_mcp", "serve", "--store", str(store)])
    console.print(
        Text.assemble("An agent triages a small bookshop's errors, over ", ("owlmetry-mcp serve", "cyan"), ".")
    )
    started = time.monotonic()
    async with Client(server, client_info=Implementation(name=AGENT_NAME, version=__version__)) as client:
        agent = _Agent(client, console)
        await _one_triage(agent)
    seconds = time.monotonic() - started
    console.print()
    console.print(f"Done: {agent.calls} calls, {agent.read_bytes:,} bytes read as text, {seconds:.1f} s.")
    console.print("Next: `owlmetry-mcp install CLIENT` adds it to your own agent.")
    console.print("What it did then, `owlmetry-mcp issues list` and `owlmetry-mcp log` show you.")


async def _one_triage(agent: _Agent) -> None:
    agent.think("What is there, and what matters first?")
    overview = await agent.call("triage_overview")
    payment = overview["new"][0]["id"]

    agent.think("The one that hits most users: all that is known of it.")
    detail = await agent.call("get_issue", issue_id=payment)

    agent.think("What does one of its events say?")
    event = detail["occurrences"][0]["event_id"]
    await agent.call("get_event", event_id=event)

    agent.think("And what led to it?")
    await agent.call("get_breadcrumbs", event_id=event)

    agent.think("Is it the same as another?")
    (group,) = (await agent.call("find_duplicates", issue_id=payment))["groups"]

    agent.think("It is: the same sessions, the same seconds. Merge them, so that nothing is worked on twice.")
    target, sources = group["target"]["id"], [row["id"] for row in group["duplicates"]]
    await agent.call("merge", target_issue_id=target, source_issue_ids=sources)

    agent.think("Claim it, so that no other agent works on it too, and say what was found, under its own identity.")
    finding = "The client gives up on the gateway after 5 s, and checkout reports that once more 2.5 s later."
    await agent.call("update_status", issue_id=target, status="in_progress", comment=finding)
    await agent.call("list_comments", issue_id=target)

    agent.think("The fix is in 4.2.1. Should it be seen in a newer version, it will come back as regressed.")
    await agent.call("update_status", issue_id=target, status="resolved", resolved_at_version="4.2.1")

    agent.think("What is left to do?")
    await agent.call("triage_overview")
