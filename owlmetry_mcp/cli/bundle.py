"""`owlmetry-mcp bundle`: an MCP bundle (.mcpb), which Claude Desktop and other hosts install with one click.

It holds this package's own source. What the package needs, compiled parts among it, the host's uv installs for the
machine it is on, so that one bundle is for all of them.
"""

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import owlmetry_mcp
from owlmetry_mcp import __version__
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.server.catalogue import LISTED
from owlmetry_mcp.server.prompts import PROMPTS
from owlmetry_mcp.settings import Settings

_PACKAGE = Path(owlmetry_mcp.__file__).parent
_ICON = Path(__file__).with_name("icon.png")
_ENTRY_POINT = "server.py"
_SERVER = """\
from owlmetry_mcp.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
"""
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""A time for every file, the earliest that a zip file can name, so that the same source makes the same bytes."""
_READABLE = 0o644 << 16

_USER_CONFIG: dict[str, dict[str, Any]] = {
    "api_key": {
        "type": "string",
        "title": "API key",
        "description": "An agent key (owl_agent_…): of your Owlmetry server, or of the store where one is named below."
        " Without a key, a store on this machine is used.",
        "sensitive": True,
    },
    "endpoint": {
        "type": "string",
        "title": "Owlmetry server",
        "description": "Its address, such as https://owl.example.com. Only used with a key.",
    },
    "store": {
        "type": "string",
        "title": "Store",
        "description": "The path of the store's file, which is made on first use. Empty: the one in your user data"
        " directory, unless a key is given.",
    },
    "project_id": {
        "type": "string",
        "title": "Project",
        "description": "The project that is meant where a call names none: its id, name or slug.",
    },
    "agent_name": {
        "type": "string",
        "title": "Agent's name",
        "description": "Whom the agent acts as where it has no key. Empty: the name of this app.",
    },
    "read_only": {"type": "boolean", "title": "Read only", "description": "Offer no tool that writes."},
}
"""By the names of the settings. Each has a default, since hosts pass on the placeholder of what has no value."""


def bundle(parsed: Namespace, _: Settings) -> None:
    output = Path(parsed.output or f"owlmetry-mcp-{__version__}.mcpb")
    try:
        package = distribution("owlmetry-mcp")
    except PackageNotFoundError as error:
        raise InvalidInputError(
            "What the bundle must install is not known",
            "Install owlmetry-mcp, with pip for one, and run it from there.",
        ) from error
    try:
        with ZipFile(output, "w", ZIP_DEFLATED) as archive:
            for name, content in sorted(_files(package)):
                entry = ZipInfo(name, _EARLIEST)
                entry.compress_type, entry.external_attr = ZIP_DEFLATED, _READABLE
                archive.writestr(entry, content)
    except OSError as error:
        raise InvalidInputError(f"{output} cannot be written: {error}") from error
    print(f"Wrote {output}. Open it with Claude Desktop to install it.", file=sys.stderr)


def _files(package: Distribution) -> Iterator[tuple[str, bytes]]:
    yield "manifest.json", f"{json.dumps(_manifest(package), indent=2, ensure_ascii=False)}\n".encode()
    yield "pyproject.toml", _project(package).encode()
    yield _ENTRY_POINT, _SERVER.encode()
    yield "icon.png", _ICON.read_bytes()
    for path in _PACKAGE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(_PACKAGE.parent).as_posix(), path.read_bytes()


def _manifest(package: Distribution) -> dict[str, Any]:
    """By version 0.4 of the specification, the first that has uv."""
    about = package.metadata
    return {
        "manifest_version": "0.4",
        "name": "owlmetry-mcp",
        "display_name": "Owlmetry issues",
        "version": __version__,
        "description": about["Summary"],
        "author": {"name": "The owlmetry-mcp authors"},
        "icon": "icon.png",
        "server": {
            "type": "uv",
            "entry_point": _ENTRY_POINT,
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", _ENTRY_POINT],
                "env": {f"OWLMETRY_{name.upper()}": f"${{user_config.{name}}}" for name in _USER_CONFIG},
            },
        },
        "tools": [
            {"name": tool["name"], "description": tool["description"]}
            for tool in json.loads(LISTED.read_bytes())["tools"]
        ],
        "prompts": [_prompt(name) for name in PROMPTS],
        "prompts_generated": True,
        "keywords": about["Keywords"].split(","),
        "license": about["License-Expression"],
        "compatibility": {"platforms": ["darwin", "linux", "win32"]},
        "user_config": {
            name: {**option, "required": False, "default": False if option["type"] == "boolean" else ""}
            for name, option in _USER_CONFIG.items()
        },
    }


def _prompt(name: str) -> dict[str, Any]:
    """For a host that shows prompts without asking the server, whose own come with the data of the moment."""
    prompt = PROMPTS[name]
    names = [argument.name for argument in prompt.arguments or []]
    given = ", ".join(f"{it}: ${{arguments.{it}}}" for it in names)
    return {
        "name": name,
        "description": prompt.description,
        "arguments": names,
        "text": f"{prompt.title}: {prompt.description}. ({given})",
    }


def _project(package: Distribution) -> str:
    """What uv installs; no package itself, since its source lies beside it."""
    needed = [it for it in package.requires or [] if "extra ==" not in it]
    return f"""\
[project]
name = "owlmetry-mcp"
version = "{__version__}"
requires-python = "{package.metadata["Requires-Python"]}"
dependencies = {json.dumps(sorted(needed))}

[tool.uv]
package = false
"""
