"""The official tools, from the npm registry, installed once for all who test with them."""

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.over_http import Served, served

PACKAGES = (
    "@anthropic-ai/mcpb@2.1.2",
    "@modelcontextprotocol/inspector@2.12.0",
    "@modelcontextprotocol/conformance@0.2.0-alpha.12",  # latest, 0.1.16, does not know of protocol 2026-07-28
)
"""Versions, so that a test fails for what was changed here, and not elsewhere."""
_NEEDED, _NODE = 22, "node@22"
"""Of Node, by the latter two; an older one on the PATH is passed over for the registry's."""
_INSTALL_SECONDS = 300


class Node:
    def __init__(self, folder: Path, home: Path) -> None:
        self._tools = folder / "node_modules" / ".bin"
        own = self._tools / "node"
        self._node = str(own) if own.exists() else str(shutil.which("node"))
        self.environment = {"HOME": str(home), "PATH": f"{Path(self._node).parent}:/usr/bin:/bin"}

    def command(self, tool: str, *arguments: str | Path) -> list[str]:
        return [self._node, str(self._tools / tool), *map(str, arguments)]


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Node:
    version = subprocess.check_output(["node", "--version"], text=True)  # noqa: S607 - wherever it is
    packages = (*PACKAGES, *([_NODE] if int(re.findall(r"\d+", version)[0]) < _NEEDED else []))
    name = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:16]
    # What is installed is run, so it is not kept where others of this machine could put theirs before.
    folder = pytestconfig.cache.mkdir(f"node-{name}")
    done = folder / "done"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever else tests waits, and then finds it done
        if not done.exists():
            _install(folder, packages)
            done.touch()
    return Node(folder, tmp_path_factory.mktemp("home"))


def _install(folder: Path, packages: Sequence[str]) -> None:
    quiet = ("--no-audit", "--no-fund", "--loglevel=error")
    soon = ("--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")  # where there is no registry
    install = ["npm", "install", *quiet, *soon, "--prefix", str(folder), *packages]
    npm = subprocess.run(install, capture_output=True, text=True, check=False, timeout=_INSTALL_SECONDS)
    if npm.returncode:
        pytest.fail(f"npm could not install {', '.join(packages)} from its registry:\n{npm.stderr}", pytrace=False)


@pytest.fixture(scope="module")
def server(recorded_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`serve --http` over a copy of the recorded world."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(recorded_file, folder / "store.db")
    with served(folder, "--store", str(folder / "store.db")) as it:
        yield it
