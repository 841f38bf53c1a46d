"""`owlmetry-mcp`, with one tool more, which does nothing: what a call costs before any of it is ours."""

import sys
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import CallToolResult, InputRequiredResult

from benchmarks.agents import NOTHING
from owlmetry_mcp.server import server


async def nothing() -> str:
    return ""


class _BesideNothing(server.TriageServer):
    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - whatever the product's own takes
        super().__init__(*arguments, **options)
        self.add_tool(nothing, NOTHING)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        if name == NOTHING:
            return await MCPServer.call_tool(self, name, arguments, context)
        return await super().call_tool(name, arguments, context)


if __name__ == "__main__":
    server.TriageServer = _BesideNothing  # type: ignore[misc]  # before the command imports it
    from owlmetry_mcp.cli.main import main

    sys.exit(main())
