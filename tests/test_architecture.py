"""The house's arrows: they point down, and a room's own tools stay in it."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "owlmetry_mcp"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "owlmetry_mcp.issues": {"owlmetry_mcp.issues"},
    "owlmetry_mcp.backends.base": {"owlmetry_mcp.issues"},
    "owlmetry_mcp.backends.together": {"owlmetry_mcp.issues"},
    "owlmetry_mcp.backends.store": {
        "owlmetry_mcp.issues", "owlmetry_mcp.triage", "owlmetry_mcp.backends.base", "owlmetry_mcp.backends.store",
    },
    "owlmetry_mcp.backends.live": {
        "owlmetry_mcp", "owlmetry_mcp.issues", "owlmetry_mcp.triage", "owlmetry_mcp.backends.base",
        "owlmetry_mcp.backends.together", "owlmetry_mcp.backends.live",
    },
    "owlmetry_mcp.carrying": {
        "owlmetry_mcp.issues", "owlmetry_mcp.backends.base", "owlmetry_mcp.backends.together",
        "owlmetry_mcp.backends.store", "owlmetry_mcp.carrying",
    },
    "owlmetry_mcp.http": {"owlmetry_mcp.issues", "owlmetry_mcp.http"},
    "owlmetry_mcp.rest": {
        "owlmetry_mcp", "owlmetry_mcp.issues", "owlmetry_mcp.backends.base", "owlmetry_mcp.http", "owlmetry_mcp.rest",
    },
    "owlmetry_mcp.triage": {"owlmetry_mcp.issues", "owlmetry_mcp.triage"},
    "owlmetry_mcp.asking": {"owlmetry_mcp.issues", "owlmetry_mcp.backends.base", "owlmetry_mcp.asking"},
    "owlmetry_mcp.server": {
        "owlmetry_mcp", "owlmetry_mcp.issues", "owlmetry_mcp.backends.base", "owlmetry_mcp.triage",
        "owlmetry_mcp.asking", "owlmetry_mcp.server",
    },
    "owlmetry_mcp.streamable": {
        "owlmetry_mcp.issues", "owlmetry_mcp.backends.base", "owlmetry_mcp.asking", "owlmetry_mcp.http",
        "owlmetry_mcp.server", "owlmetry_mcp.streamable",
    },
    "owlmetry_mcp.sources": {"owlmetry_mcp.issues", "owlmetry_mcp.sources"},
    "owlmetry_mcp.settings": {"owlmetry_mcp.issues"},
    "owlmetry_mcp.clients": {"owlmetry_mcp.issues", "owlmetry_mcp.clients"},
    "owlmetry_mcp.doctor": {
        "owlmetry_mcp", "owlmetry_mcp.issues", "owlmetry_mcp.backends", "owlmetry_mcp.server", "owlmetry_mcp.settings",
        "owlmetry_mcp.clients", "owlmetry_mcp.doctor",
    },
    "owlmetry_mcp.cli": {
        "owlmetry_mcp", "owlmetry_mcp.asking", "owlmetry_mcp.issues", "owlmetry_mcp.backends", "owlmetry_mcp.clients",
        "owlmetry_mcp.doctor", "owlmetry_mcp.http", "owlmetry_mcp.rest", "owlmetry_mcp.server", "owlmetry_mcp.settings",
        "owlmetry_mcp.sources", "owlmetry_mcp.streamable", "owlmetry_mcp.carrying", "owlmetry_mcp.cli",
    },
}  # fmt: skip
"""What each room may import of ours. Rooms are named by their longest prefix here; the rest only starts things."""

ONLY_IN = {
    "sqlite3": "owlmetry_mcp.backends.store",
    "jwt": "owlmetry_mcp.backends.store",
    "httpx2": "owlmetry_mcp.backends.live",
    "starlette": ("owlmetry_mcp.http", "owlmetry_mcp.rest", "owlmetry_mcp.streamable"),
    "uvicorn": "owlmetry_mcp.cli",
    "rich": "owlmetry_mcp.cli",
    "argparse": "owlmetry_mcp.cli",
    "rapidfuzz": "owlmetry_mcp.triage",
}
MCP_ROOMS = ("owlmetry_mcp.server", "owlmetry_mcp.streamable", "owlmetry_mcp.doctor", "owlmetry_mcp.cli")


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Every module that a module imports, wherever in it; names imported from a package count as modules of it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            submodules = {f"{module}.{alias.name}" for alias in node.names}
            packages = {
                name for name in submodules if (PACKAGE.parent / name.replace(".", "/")).with_suffix(".py").exists()
            }
            found |= packages or {module}
    return found


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_of(module: str) -> str | None:
    return max((room for room in MAY_IMPORT if within(module, room)), key=len, default=None)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    module = name_of(path)
    room = room_of(module)
    for imported in imports_of(path):
        if within(imported, "owlmetry_mcp") and room:
            allowed = {other for other in MAY_IMPORT[room] if other != "owlmetry_mcp"}
            package_itself = imported == "owlmetry_mcp" and "owlmetry_mcp" in MAY_IMPORT[room]
            assert package_itself or any(within(imported, other) for other in allowed), f"{module} imports {imported}"
        for tool, homes in ONLY_IN.items():
            at_home = any(within(module, home) for home in ([homes] if isinstance(homes, str) else homes))
            assert not within(imported, tool) or at_home, f"{module} imports {imported}"
        if within(imported, "mcp") or within(imported, "mcp_types"):
            assert any(within(module, home) for home in MCP_ROOMS), f"{module} imports {imported}"


@pytest.mark.parametrize("tools", ["reading", "writing", "triaging"])
def test_what_is_shown_is_not_imported_from_the_modules_of_tools(tools: str) -> None:
    importing = [name_of(path) for path in MODULES if f"owlmetry_mcp.server.{tools}" in imports_of(path)]
    assert importing == ["owlmetry_mcp.server.catalogue"]


def test_the_environment_is_read_in_one_place() -> None:
    readers = [name_of(path) for path in MODULES if re.search(r"\b(environ|getenv)\b", path.read_text())]
    assert readers == ["owlmetry_mcp.cli.main"]
