"""The MCP clients there are, and how each wants to be told of a server, as their documentation has it.

Where a client's file is a plain one, it is edited in place, whether or not the client has a command that would: our
edit keeps comments and all else, can be shown before it is made, and needs no client that runs. Claude Code's user
settings alone are left to its own command where that is found, since running instances write that file all the time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.issues.parameters import one_of

Scope = Literal["user", "project"]
Places = Callable[[Machine], tuple[Path, ...]]

USER: Scope = "user"
PROJECT: Scope = "project"


@dataclass(frozen=True, slots=True)
class Client:
    name: str
    title: str
    files: Mapping[Scope, Places]
    """The files that may hold its servers, by scope; what is new goes into the first that is there, else the first."""
    executable: str
    """What is on the PATH where the client is installed, if it puts anything there."""
    next_step: str
    """What to do once it knows the server, as a whole sentence or two."""
    section: str = "mcpServers"
    """The key of the object or table that holds its servers, by their names."""
    toml: bool = False
    """Whether its files are TOML; else they are JSON, which for some may have comments."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """What each of its entries says besides the command."""
    one_command: bool = False
    """Whether `command` is a list with the arguments in it."""
    env_key: str = "env"
    """What an entry calls the environment that it sets."""
    reference: str | None = None
    """How an entry's environment takes a value from the client's own, with {} for the variable's name."""
    forwards: bool = False
    """Whether entries list the variables to pass on, in `env_vars`."""
    asks: bool = False
    """Whether it asks for secrets itself, by `inputs`, and keeps them."""
    trust: str = ""
    """What stands between a project's entry and its use."""


def client(name: str) -> Client:
    """
    Raises:
        InvalidInputError: there is none of that name.
    """
    return CLIENTS[one_of("CLIENT", name, tuple(CLIENTS))]


def _under_home(*parts: str) -> Places:
    return lambda machine: (machine.home.joinpath(*parts),)


def _in_project(*files: str) -> Places:
    return lambda machine: tuple(machine.directory / file for file in files)


def _claude_code(machine: Machine) -> tuple[Path, ...]:
    return ((machine.named("CLAUDE_CONFIG_DIR") or machine.home) / ".claude.json",)


def _claude_desktop(machine: Machine) -> tuple[Path, ...]:
    """On Windows, what is installed as a package, as it has been since 2026, sees a file of its own for that path."""
    file = Path("Claude", "claude_desktop_config.json")
    if machine.platform != "win32":
        return (machine.app_settings / file,)
    local = machine.named("LOCALAPPDATA") or machine.home / "AppData" / "Local"
    packages = sorted((local / "Packages").glob("Claude_*"))
    return tuple(each / "LocalCache" / "Roaming" / file for each in packages) or (machine.app_settings / file,)


def _zed(machine: Machine) -> tuple[Path, ...]:
    if machine.platform == "win32":
        return (machine.app_settings / "Zed" / "settings.json",)
    if machine.platform == "darwin":
        return (machine.home / ".config" / "zed" / "settings.json",)
    return ((machine.named("FLATPAK_XDG_CONFIG_HOME") or machine.xdg_config) / "zed" / "settings.json",)


def _codex(machine: Machine) -> tuple[Path, ...]:
    return ((machine.named("CODEX_HOME") or machine.home / ".codex") / "config.toml",)


def _gemini(machine: Machine) -> tuple[Path, ...]:
    return ((machine.named("GEMINI_CLI_HOME") or machine.home) / ".gemini" / "settings.json",)


def _opencode(machine: Machine) -> tuple[Path, ...]:
    """By XDG on every platform; both files are read where both are there."""
    directory = machine.xdg_config / "opencode"
    return (directory / "opencode.jsonc", directory / "opencode.json")


_ALL = (
    Client(
        "claude-code",
        "Claude Code",
        {USER: _claude_code, PROJECT: _in_project(".mcp.json")},
        executable="claude",
        next_step='Run: claude "Triage the new issues"',
        fixed={"type": "stdio"},
        reference="${{{}}}",
        trust="Claude Code asks once whether to use what .mcp.json has.",
    ),
    Client(
        "claude-desktop",
        "Claude Desktop",
        {USER: _claude_desktop},
        executable="claude-desktop",
        next_step="Quit Claude Desktop and start it again, then ask: Triage the new issues",
    ),
    Client(
        "cursor",
        "Cursor",
        {USER: _under_home(".cursor", "mcp.json"), PROJECT: _in_project(".cursor/mcp.json")},
        executable="cursor",
        next_step="Open Cursor, see Settings, MCP that it is on, then ask its agent: Triage the new issues",
        reference="${{env:{}}}",
    ),
    Client(
        "vscode",
        "VS Code",
        {
            USER: lambda machine: (machine.app_settings / "Code" / "User" / "mcp.json",),
            PROJECT: _in_project(".vscode/mcp.json"),
        },
        executable="code",
        next_step="Open VS Code's chat in agent mode, and ask: Triage the new issues",
        section="servers",
        fixed={"type": "stdio"},
        asks=True,
        trust="VS Code asks once whether to trust the server.",
    ),
    Client(
        "windsurf",
        "Windsurf",
        {USER: _under_home(".codeium", "windsurf", "mcp_config.json")},
        executable="windsurf",
        next_step="In Windsurf, press refresh in Cascade's MCP settings, then ask Cascade: Triage the new issues",
        reference="${{env:{}}}",
    ),
    Client(
        "zed",
        "Zed",
        {USER: _zed, PROJECT: _in_project(".zed/settings.json")},
        executable="zed",
        next_step="Open Zed's agent panel, and ask: Triage the new issues",
        section="context_servers",
        fixed={"source": "custom"},
        trust="Zed starts it once the project is trusted.",
    ),
    Client(
        "codex",
        "Codex",
        {USER: _codex, PROJECT: _in_project(".codex/config.toml")},
        executable="codex",
        next_step='Run: codex "Triage the new issues"',
        section="mcp_servers",
        toml=True,
        forwards=True,
        trust="Codex reads it once the project is trusted.",
    ),
    Client(
        "gemini",
        "Gemini CLI",
        {USER: _gemini, PROJECT: _in_project(".gemini/settings.json")},
        executable="gemini",
        next_step='Run: gemini -i "Triage the new issues"',
        reference="${{{}}}",
        trust="Gemini CLI starts it once the folder is trusted.",
    ),
    Client(
        "opencode",
        "opencode",
        {USER: _opencode, PROJECT: _in_project("opencode.jsonc", "opencode.json")},
        executable="opencode",
        next_step='Run: opencode run "Triage the new issues"',
        section="mcp",
        fixed={"type": "local"},
        one_command=True,
        env_key="environment",
        reference="{{env:{}}}",
    ),
)
CLIENTS: Mapping[str, Client] = {each.name: each for each in _ALL}
