"""The documentation's shell blocks, and a scratch folder to run them in."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Self

import httpx2

from tests.world import ROOT

PAGES = {str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
RUN_BY_CI = {"README.md": ("Two commands", "Tests")}
"""Headings whose block installs this project from the checkout, and runs the tests: `.ci/run` does so, by the block."""
LIVE = "https://owl.example.com"
"""As the pages call an Owlmetry server of the reader's."""
_SERVES = re.compile(r"owlmetry-mcp (api|serve --http)\b.*$")
_PORT = re.compile(r"(?<=--port )\d+")
_ADDRESS = re.compile(r"http://[\w.\[\]:]+:\d+")


@dataclass(frozen=True)
class Block:
    section: tuple[str, ...]
    """The headings above it, from the page's own to the nearest, without their marks."""
    text: str

    @property
    def serves(self) -> bool:
        """Whether it ends in a server that runs until it is stopped."""
        return bool(_SERVES.search(self.text))


def blocks_of(page: str) -> list[Block]:
    """Those of a page that a reader is to type, in order, but for what CI runs."""
    found, section = [], tuple[str, ...]()
    for part in re.finditer(
        r"^(#+) ([^\n]*)$|^```sh\n(.*?)^```$|^```.*?^```$", PAGES[page].read_text(), re.MULTILINE | re.DOTALL
    ):
        if part[1]:
            section = (*section[: len(part[1]) - 1], part[2])
        elif part[3]:
            found.append(Block(section, part[3]))
    return [block for block in found if block.section[-1] not in RUN_BY_CI.get(page, ())]


class Scratch:
    """A folder as a reader's: our command, the files that the pages name, and a home with a store in it.

    Claude Code is a stand-in that writes down what it was asked.
    """

    def __init__(self, folder: Path, home: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self._calls = home / "calls"
        stand_ins = home / "stand-ins"
        stand_ins.mkdir()
        _command(stand_ins / "claude", "tests.documentation.claude")
        _command(stand_ins / "owlmetry-mcp", "owlmetry_mcp")
        first = [home / "environment" / "bin", home / ".local" / "bin", stand_ins, Path(sys.executable).parent]
        self.environment = environment | {
            "HOME": str(home),
            "CALLS": str(self._calls),
            "PATH": os.pathsep.join([*map(str, first), os.environ["PATH"]]),
        }
        self._servers, self._live = ExitStack(), ExitStack()
        self._served: tuple[str, ...] = ()
        """The section in which servers were begun."""
        self._written: dict[str, str] = {}
        """What is meant by addresses and keys that the blocks name."""

    def run(self, block: Block) -> None:
        """A server goes on until its section ends, and is spoken to by the port that it was given."""
        if block.section[: len(self._served)] != self._served:
            self._servers.close()
        text = block.text
        for written, meant in self._written.items():
            text = text.replace(written, meant)
        if block.serves:
            self._served = block.section
            (port,) = _PORT.findall(text)
            address = self._servers.enter_context(self._serving(_PORT.sub("0", text)))
            self._written[f"http://127.0.0.1:{port}"] = address
            return
        self._done(text)

    def begin_live_server(self) -> None:
        """What stands for a reader's Owlmetry server, until the folder is left: an API over another store."""
        command = "owlmetry-mcp keys create --store live.db --name Reader"
        self._written["owl_agent_…"] = self._done(command).strip()
        self._written["owl_import_…"] = self._done(f"{command} --type import").strip()
        serving = self._serving("owlmetry-mcp api --store live.db --port 0")
        self._written[LIVE] = self._live.enter_context(serving)

    def _done(self, text: str) -> str:
        """What it prints."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],  # noqa: S607 - wherever it is
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    @contextmanager
    def _serving(self, text: str) -> Iterator[str]:
        """The address that a server prints, and answers at."""
        with subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", f"exec {text.strip()}"],  # noqa: S607 - wherever it is
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout
            try:
                address = _printed(process.stdout)
                _assert_answered(address, "--http" in text)
                yield address
            finally:
                process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0

    def calls(self) -> list[list[str]]:
        """What clients were asked: each one's name and arguments."""
        return [line.split("\t") for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._servers.close()
        self._live.close()


def _assert_answered(address: str, by_mcp: bool) -> None:
    if by_mcp:
        assert httpx2.post(f"{address}/mcp").status_code == HTTPStatus.UNAUTHORIZED
    else:
        assert httpx2.get(f"{address}/health").json() == {"status": "ok"}


def _printed(stream: IO[str]) -> str:
    said = ""
    for line in stream:
        said += line
        if found := _ADDRESS.search(line):
            return found[0]
    raise AssertionError(f"It ended: {said}")


def _command(path: Path, module: str) -> None:
    """Runs a module of this checkout."""
    root, python = shlex.quote(str(ROOT)), shlex.quote(sys.executable)
    path.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {python} -m {module} "$@"\n')
    path.chmod(0o755)
