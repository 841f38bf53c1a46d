"""How a client is to start owlmetry-mcp: by absolute paths, since clients do not have a shell's PATH."""

import json
import re
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self

from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.servers import PACKAGE
from owlmetry_mcp.issues.errors import InvalidInputError

_UV_CACHE = re.compile(r"(archive|environments|builds)-v\d+")


@dataclass(frozen=True, slots=True)
class Running:
    """What runs now."""

    prefix: Path
    """The environment's directory."""
    executable: Path
    """Python's."""
    scripts: Path
    """Where the environment has its commands."""
    called: str
    """The command as it was called."""
    source: str = ""
    """Where it was installed from, in pip's words, if not from a package index."""

    @classmethod
    def now(cls) -> Self:
        scripts = Path(sysconfig.get_path("scripts"))
        return cls(Path(sys.prefix), Path(sys.executable), scripts, sys.argv[0], _source())


def words(machine: Machine, running: Running) -> tuple[str, ...]:
    """The command and its arguments.

    What `uvx` and `pipx run` make stands in a cache that is cleaned up, so there the runner itself is named.

    Raises:
        InvalidInputError: no command can be found that would last.
    """
    if any(_UV_CACHE.fullmatch(part) for part in running.prefix.parts):
        uv = machine.named("UV")  # as uv tells what it starts
        beside = uv and uv.with_name(_executable(machine, "uvx"))
        found = str(beside) if beside and beside.is_file() else _on_path(machine, "uvx")
        return (found, *(("--from", running.source) if running.source else ()), PACKAGE)
    if (running.prefix / "pipx_metadata.json").is_file() and running.prefix.parent.name != "venvs":
        return (_on_path(machine, "pipx"), "run", *(("--spec", running.source) if running.source else ()), PACKAGE)
    called = Path(shutil.which(running.called, path=machine.environment.get("PATH", "")) or running.called)
    for directory in (running.scripts, running.executable.parent, called.parent):
        if (command := directory / _executable(machine, PACKAGE)).is_file():
            return (str(command.absolute()),)
    return (str(running.executable.absolute()), "-m", PACKAGE.replace("-", "_"))


def _executable(machine: Machine, name: str) -> str:
    return f"{name}.exe" if machine.platform == "win32" else name


def _on_path(machine: Machine, runner: str) -> str:
    if found := shutil.which(runner, path=machine.environment.get("PATH", "")):
        return str(Path(found).absolute())
    raise InvalidInputError(
        f"owlmetry-mcp runs out of the cache of {runner}, which does not last, and {runner} is not on the PATH",
        f"Put it there, or install for good with `uv tool install {PACKAGE}` or `pipx install {PACKAGE}`.",
    )


def _source() -> str:
    """As PEP 610 has it."""
    try:
        direct = json.loads(metadata.distribution(PACKAGE).read_text("direct_url.json") or "{}")
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    url = str(direct.get("url", ""))
    if vcs := direct.get("vcs_info"):
        return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return url
