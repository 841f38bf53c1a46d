"""Writes what clients are told of the tools, from the tools themselves: `python -m tests.listed_tools`."""

import json

from mcp_types import Tool as ListedTool

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.server.catalogue import CATALOGUE, LISTED, Tools
from owlmetry_mcp.server.options import Options


def never(_: str | None) -> Backend:
    raise AssertionError("to be listed, no tool needs a backend")


def document() -> str:
    tools = Tools(Desk(never), Options())
    rows = []
    for tool in map(tools.get, CATALOGUE):
        row = ListedTool(
            name=tool.name,
            title=tool.title,
            description=tool.description,
            input_schema=tool.parameters,
            output_schema=tool.output_schema,
            annotations=tool.annotations,
        )
        rows.append(row.model_dump(by_alias=True, mode="json", exclude_none=True))
    return f"{json.dumps({'tools': rows}, indent=1)}\n"


if __name__ == "__main__":
    LISTED.write_text(document())
