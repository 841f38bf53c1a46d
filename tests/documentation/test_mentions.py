"""What the pages name beside their shell blocks is there: flags, variables, commands, files; their JSON can be read."""

import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.cli.sample import fill
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.table import CLIENTS, Client
from owlmetry_mcp.settings import load
from tests.agent import agent_of
from tests.documentation.shell_blocks import PAGES
from tests.settings_rows import rows
from tests.test_readme import choices, commands
from tests.world import ROOT, FakeClock, World

OF_OTHERS = {"--upgrade", "--target", "--hypothesis-profile", "OWLMETRY_TEST_ENDPOINT", "OWLMETRY_TEST_API_KEY"}
"""What pip and the tests know."""
_PATH = re.compile(r"(?<!\S)(?:tests|docs|benchmarks|server|backends|cli|\.ci)/[\w./]*")
_MODULE = re.compile(r"\btests(?:\.\w+)+")
_OF_THE_MOMENT = re.compile(r"[\da-f-]{36}|\d{4}-\d\d-\d\d \d\d:\d\dZ|(?<=<)\w{4} | \w{4}(?=>)")


def blocks_of(page: str, mark: str) -> list[str]:
    return re.findall(rf"^```{mark}\n(.*?)^```$", PAGES[page].read_text(), re.MULTILINE | re.DOTALL)


def spans_of(page: str) -> list[str]:
    """What stands as code within the prose, on one line each."""
    prose = re.sub(r"^```.*?^```$", "", PAGES[page].read_text(), flags=re.MULTILINE | re.DOTALL)
    return [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose)]


def options_of(command: ArgumentParser) -> Iterator[str]:
    for action in command._actions:  # noqa: SLF001 - argparse shows them to no one
        yield from action.option_strings
    for inner in choices(command).values():
        yield from options_of(inner)


@pytest.mark.parametrize("page", PAGES)
def test_flags_and_variables_are_ones_that_there_are(page: str) -> None:
    known = {*options_of(parser()), *(row.variable for row in rows())} | OF_OTHERS
    flags = {flag for span in spans_of(page) for flag in re.findall(r"(?<!\S)--[a-z-]+", span)}
    assert flags | {*re.findall(r"OWLMETRY_[A-Z_]+[A-Z]", PAGES[page].read_text())} <= known


@pytest.mark.parametrize("page", PAGES)
def test_commands_are_ones_that_there_are(page: str) -> None:
    known = commands() | {command.partition(" ")[0] for command in commands()}
    for span in spans_of(page):
        if called := re.match(r"(?:uvx )?owlmetry-mcp ([a-z]+)", span):
            assert called[1] in known, span


@pytest.mark.parametrize("page", PAGES)
def test_files_and_modules_of_the_project_are_there(page: str) -> None:
    for span in spans_of(page):
        for path in _PATH.findall(span):
            assert (ROOT / path).exists() or (ROOT / "owlmetry_mcp" / path).exists(), span
        for module in _MODULE.findall(span):
            path = ROOT.joinpath(*module.split("."))
            assert path.is_dir() or path.with_suffix(".py").exists(), span


@pytest.mark.parametrize("page", PAGES)
def test_json_can_be_read(page: str) -> None:
    for block in blocks_of(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_the_page_about_clients_names_each_ones_files(client: Client) -> None:
    """Whole, or its name and its folder apart."""
    section = PAGES["docs/clients.md"].read_text().partition(f"\n## {client.title}\n")[2].partition("\n## ")[0]
    named = {*re.findall(r"`([^`\n]+)`", section.replace("```", ""))}
    for places in client.files.values():
        file = places(Machine("linux", Path("/home"), Path("/here"), {}))[0]
        whole = str(file).replace("/home/", "~/").replace("/here/", "")
        assert whole in named or {whole.rpartition("/")[0], file.name} <= named


def test_the_readmes_overview_is_the_samples(tmp_path: Path) -> None:
    """But for lines left out, and for ids, instants and the fence's marker, which are others each time."""
    path = tmp_path / "store.db"
    fill(load({"store": str(path)}, {}))
    with Store(path) as store:
        agent = agent_of(World(store, FakeClock()), None)
        anyio.run(agent.answered, "triage_overview", {})
    shown = [_OF_THE_MOMENT.sub("…", line) for line in blocks_of("README.md", "text")[0].splitlines()]
    assert [line for line in _OF_THE_MOMENT.sub("…", agent.whole_text).splitlines() if line in shown] == shown
