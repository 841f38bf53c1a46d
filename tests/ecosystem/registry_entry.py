"""Writes the MCP registry's entry, `server.json`, from the settings and the package: `python -m
tests.ecosystem.registry_entry`.
"""

import json
from typing import Any

from owlmetry_mcp import __version__
from tests.settings_rows import Row, rows
from tests.world import ROOT

SERVER_JSON = ROOT / "server.json"
NAME = "io.github.owlmetry-mcp/owlmetry-mcp"
"""Under the GitHub account that publishes it; see docs/releasing.md."""
PACKAGE = "owlmetry-mcp"
OF_OTHER_COMMANDS = ("import_key",)
"""Settings that a server has no use for."""


def entry() -> dict[str, Any]:
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": NAME,
        "title": "Owlmetry issues",
        "description": "Issue triage for coding agents, on an Owlmetry server or an embedded store",
        "version": __version__,
        "packages": [
            {
                "registryType": "pypi",
                "registryBaseUrl": "https://pypi.org",
                "identifier": PACKAGE,
                "version": __version__,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "environmentVariables": [_variable(row) for row in rows() if row.name not in OF_OTHER_COMMANDS],
            }
        ],
    }


def _variable(row: Row) -> dict[str, Any]:
    meaning = f"{row.meaning[0].upper()}{row.meaning[1:]}".replace("`", "")  # a value stays as it is to be written
    variable: dict[str, Any] = {"name": row.variable, "description": meaning}
    if row.is_secret:
        variable["isSecret"] = True
    if row.is_path:
        variable["format"] = "filepath"
    elif row.type is bool:
        variable["format"] = "boolean"
    elif row.type in (int, float):
        variable["format"] = "number"
    if row.choices:
        variable["choices"] = [*row.choices]
    return variable


def document() -> str:
    return f"{json.dumps(entry(), indent=2)}\n"


if __name__ == "__main__":
    SERVER_JSON.write_text(document())
