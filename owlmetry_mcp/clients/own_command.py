"""Claude Code's own command, which changes the file that its running instances keep writing to."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.servers import KEY, server_of
from owlmetry_mcp.clients.table import USER, Client, Scope
from owlmetry_mcp.issues.errors import UnavailableError

_SECONDS = 60.0


def executable(client: Client, scope: Scope, machine: Machine, entry: Mapping[str, Any] | None) -> Path | None:
    """Where it is, if the client is to be told by it of that entry, or to take one out.

    Others can read command lines, so an entry that may hold a secret is not handed over on one. On Windows a script of
    npm's would garble JSON.
    """
    if client.name != "claude-code" or scope != USER or (entry and _may_hold_a_secret(entry)):
        return None
    found = shutil.which(client.executable, path=machine.environment.get("PATH", ""))
    if found is None or (machine.platform == "win32" and not found.lower().endswith(".exe")):
        return None
    return Path(found)


def _may_hold_a_secret(entry: Mapping[str, Any]) -> bool:
    server = server_of(entry)
    values = server.environment({})[0] if server else {}
    return any(name == KEY or not name.startswith("OWLMETRY_") for name in values)


def adding(name: str, entry: Mapping[str, Any]) -> list[str]:
    return ["mcp", "add-json", "--scope", USER, name, json.dumps(entry, ensure_ascii=False)]


def removing(name: str) -> list[str]:
    return ["mcp", "remove", "--scope", USER, name]


def run(command: Path, arguments: list[str], machine: Machine) -> None:
    """
    Raises:
        UnavailableError: it failed, or took too long.
    """
    title = f"`{command.name} {' '.join(arguments[:2])}`"
    try:
        done = subprocess.run(  # noqa: S603 - the client that the person named, with arguments that are ours
            [command, *arguments],
            env=dict(machine.environment),
            cwd=machine.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{title} could not be run ({type(error).__name__})", _hint(command)) from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise UnavailableError(f"{title} failed: {said[:300] or f'it exited with {done.returncode}'}", _hint(command))


def _hint(command: Path) -> str:
    return f"See that `{command} mcp list` works, or take its directory off the PATH, so that the file is written."
