"""An agent's client, that checks what it is answered."""

from typing import Any

from mcp import Client
from mcp_types import CallToolResult, Implementation, TextContent

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.server import TriageServer
from tests.world import World


class Agent:
    """A client that checks each answer on its way, and connects anew for each call, as the protocol lets it."""

    def __init__(self, server: TriageServer, name: str) -> None:
        self._server = server
        self._name = name
        self.text = ""
        """The text of the last answer."""

    def connected(self) -> Client:
        return Client(self._server, client_info=Implementation(name=self._name, version="1"))

    async def _answered(self, tool: str, arguments: dict[str, Any]) -> CallToolResult:
        async with self.connected() as client:
            result = await client.call_tool(tool, arguments)
        (block,) = result.content
        assert isinstance(block, TextContent)
        self.text = block.text
        return result

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer. The SDK's client holds it against the tool's output schema."""
        result = await self._answered(tool, arguments)
        assert not result.is_error, self.text
        answer: dict[str, Any] | None = result.structured_content
        assert answer is not None
        return answer

    async def refused(self, tool: str, **arguments: Any) -> str:
        result = await self._answered(tool, arguments)
        assert result.is_error
        assert result.structured_content is None
        for boilerplate in ("Error executing tool", "validation error", "pydantic", "Traceback", "input_value"):
            assert boilerplate not in self.text
        return self.text


def agent_of(
    world: World, who: str | None = "agent", project_id: str | None = None, client_name: str = "test-client"
) -> Agent:
    def open_backend(name: str | None) -> Backend:
        return world.acting_as(who) if who else acting_as_local_agent(world.store, name)

    return Agent(TriageServer(Desk(open_backend, project_id)), client_name)
