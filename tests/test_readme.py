"""The README, its pages and the files beside it, against the code."""

import json
import re
from argparse import ArgumentParser
from typing import get_args

from owlmetry_mcp import __version__
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.clients.table import CLIENTS
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.settings import BackendName, load
from tests.settings_rows import rows
from tests.world import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()
BACKENDS = (ROOT / "docs" / "backends.md").read_text()
DOCUMENTATION = "".join(path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
SHELL_BLOCKS = re.findall(r"^```sh\n(.*?)^```$", DOCUMENTATION, re.MULTILINE | re.DOTALL)


def commands() -> set[str]:
    """Every command of the parser, with its subcommand where it has some."""
    return {
        f"{name} {subcommand}".strip()
        for name, command in choices(parser()).items()
        for subcommand in choices(command) or ("",)
    }


def choices(command: ArgumentParser) -> dict[str, ArgumentParser]:
    """The commands that a command has."""
    found = (action.choices for action in command._actions)  # noqa: SLF001 - argparse shows them to no one
    return next((dict(inner) for inner in found if isinstance(inner, dict)), {})


def test_the_tools_are_those_of_the_readme() -> None:
    section = README.partition("## The tools at a glance")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [*CATALOGUE]


def test_the_clients_are_those_of_the_readme() -> None:
    section = README.partition("## Other clients")[2].partition("\n## ")[0]
    named = re.findall(r"^\| (.*?) \| .*`owlmetry-mcp install (\S+)`", section, re.MULTILINE)
    assert named == [(client.title, client.name) for client in CLIENTS.values()]


def test_the_commands_are_those_of_their_page() -> None:
    named = [
        name
        for row in re.findall(r"^\| (`owlmetry-mcp .*?`) \|", COMMANDS, re.MULTILINE)
        for name in re.findall(r"`(.*?)`", row)
    ]
    assert {name.removeprefix("owlmetry-mcp ") for name in named} == commands()


def test_the_settings_that_a_person_can_give_by_flags_are_all_but_secrets() -> None:
    for row in rows():
        assert (row.flag is None) == row.is_secret
        assert row.flag is None or row.flag.option_strings == [f"--{row.name.replace('_', '-')}"]


def test_two_commands_take_a_newcomer_with_a_checkout_to_a_triage() -> None:
    first, second = README.partition("## Two commands")[2].partition("```sh\n")[2].partition("```")[0].splitlines()
    assert first.startswith("python3 -m venv .venv && ")
    assert first.endswith(" && .venv/bin/owlmetry-mcp install claude-code --sample")
    assert second == 'claude "Triage the new issues"'


def test_under_tests_stands_one_line_that_runs_them() -> None:
    (line,) = README.partition("## Tests")[2].partition("```sh\n")[2].partition("```")[0].splitlines()
    assert "pytest" in line


def test_every_owlmetry_mcp_command_in_a_block_is_one_that_parses() -> None:
    called = re.findall(r"^(?:\S*|uvx )owlmetry-mcp (.+)$", "".join(SHELL_BLOCKS), re.MULTILINE)
    assert called
    for arguments in called:
        parser().parse_args(re.findall(r'"[^"]*"|\S+', arguments))


def test_its_json_blocks_and_the_example_are_entries_of_clients() -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", BACKENDS, re.MULTILINE | re.DOTALL)
    example = json.loads((ROOT / "mcp.json.example").read_text())
    for entries in [*(json.loads(block) for block in blocks), example]:
        (servers,) = entries.values()
        for entry in servers.values():
            assert entry["command"].endswith("/owlmetry-mcp")
            parser().parse_args(entry.get("args", []))
            assert entry.get("env", {}).keys() <= {row.variable for row in rows()}
            load({}, {name: value.replace("…", "x") for name, value in entry.get("env", {}).items()})
    assert [entry["env"]["OWLMETRY_BACKEND"] for entry in example["mcpServers"].values()] == [*get_args(BackendName)]


def test_the_changelog_begins_with_this_version() -> None:
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == __version__
