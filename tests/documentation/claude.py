"""Stands in for Claude Code: keeps servers as it does, and triages with the one it was told of.

It writes down what it is asked, in the file that `CALLS` names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

CONFIG = Path.home() / ".claude.json"


def main(arguments: list[str]) -> None:
    with Path(os.environ["CALLS"]).open("a") as calls:
        calls.write("\t".join(["claude", *arguments]) + "\n")
    config = json.loads(CONFIG.read_text()) if CONFIG.exists() else {}
    servers: dict[str, Any] = config.setdefault("mcpServers", {})
    match arguments:
        case ["mcp", "add-json", "--scope", "user", name, entry]:
            servers[name] = json.loads(entry)
            CONFIG.write_text(json.dumps(config))
        case ["mcp", "add", "--transport", "http", name, url, "--header", header]:
            servers[name] = {"type": "http", "url": url, "headers": dict([header.split(": ", 1)])}
            CONFIG.write_text(json.dumps(config))
        case ["mcp", "remove", "--scope", "user", name]:
            del servers[name]
            CONFIG.write_text(json.dumps(config))
        case [prompt] if "Triage" in prompt:
            from anyio import run  # noqa: PLC0415 - slow to load, as the client is

            run(_triage, servers["owlmetry"])
        case _:
            sys.exit(f"This stand-in cannot do: {arguments}")


async def _triage(entry: dict[str, Any]) -> None:
    """The first of the new issues, as far as *in progress*."""
    from mcp import Client, StdioServerParameters  # noqa: PLC0415 - see above
    from mcp.client.stdio import stdio_client  # noqa: PLC0415 - see above

    server = StdioServerParameters(command=entry["command"], args=entry.get("args", []), env=dict(os.environ))
    async with Client(stdio_client(server)) as client:
        overview = (await client.call_tool("triage_overview", {})).structured_content or {}
        issue = overview["new"][0]["id"]
        moved = await client.call_tool("update_status", {"issue_id": issue, "status": "in_progress"})
    if moved.is_error:
        sys.exit(f"It could not be claimed: {moved.content}")


if __name__ == "__main__":
    main(sys.argv[1:])
