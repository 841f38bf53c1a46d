"""The bundle for one-click installs: what it says, what it holds, and that it runs as it says."""

import json
import os
import shutil
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it comes without types
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from packaging.requirements import Requirement

from owlmetry_mcp import __version__
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.server.prompts import PROMPTS
from owlmetry_mcp.settings import Settings, load
from tests.world import ROOT

SCHEMA = json.loads((ROOT / "tests/ecosystem/mcpb-manifest-v0.4.schema.json").read_text())


def manifest_of(unpacked: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((unpacked / "manifest.json").read_text())
    return loaded


def started_by(manifest: dict[str, Any], folder: Path, **chosen: object) -> StdioServerParameters:
    """What a host starts: the manifest's command, with its placeholders filled in."""
    values: dict[str, object] = {name: option["default"] for name, option in manifest["user_config"].items()} | chosen
    words = {"__dirname": str(folder)}
    words |= {
        f"user_config.{name}": str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }

    def filled(text: str) -> str:
        for name, word in words.items():
            text = text.replace(f"${{{name}}}", word)
        assert "${" not in text
        return text

    config = manifest["server"]["mcp_config"]
    return StdioServerParameters(
        command=config["command"],
        args=[filled(argument) for argument in config["args"]],
        env={name: filled(value) for name, value in config["env"].items()},
    )


def test_the_manifest_is_valid(unpacked: Path) -> None:
    Draft7Validator(SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER).validate(manifest_of(unpacked))


def test_the_manifest_tells_what_the_server_has(unpacked: Path) -> None:
    manifest = manifest_of(unpacked)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (manifest["name"], manifest["version"]) == (project["name"], __version__)
    assert (manifest["description"], manifest["license"]) == (project["description"], project["license"])
    assert [tool["name"] for tool in manifest["tools"]] == [*CATALOGUE]
    assert [prompt["name"] for prompt in manifest["prompts"]] == [*PROMPTS]
    entry_point = manifest["server"]["entry_point"]
    assert manifest["server"]["mcp_config"]["args"][-1] == entry_point, "hosts start the one or the other"
    assert (unpacked / entry_point).is_file()


def test_what_a_person_enters_is_a_setting_each_and_the_key_is_kept_secret(unpacked: Path) -> None:
    manifest = manifest_of(unpacked)
    options = manifest["user_config"]
    variables = manifest["server"]["mcp_config"]["env"]
    assert set(options) < set(Settings.__dataclass_fields__)
    assert variables == {f"OWLMETRY_{name.upper()}": f"${{user_config.{name}}}" for name in options}
    assert [name for name, option in options.items() if option.get("sensitive")] == ["api_key"]
    assert load({}, started_by(manifest, unpacked).env or {}) == load({}, {}), "what is left as it is changes nothing"


def test_it_holds_the_package_and_what_uv_must_install(unpacked: Path) -> None:
    package = (ROOT / "owlmetry_mcp").rglob("*")
    sources = {path for path in package if path.is_file() and path.parent.name != "__pycache__"}
    held = {path.relative_to(unpacked) for path in unpacked.rglob("*") if path.is_file()}
    others = {Path(name) for name in ("manifest.json", "pyproject.toml", "server.py", "icon.png")}
    assert held == others | {path.relative_to(ROOT) for path in sources}
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    theirs = tomllib.loads((unpacked / "pyproject.toml").read_text())
    assert {*map(Requirement, theirs["project"]["dependencies"])} == {*map(Requirement, ours["dependencies"])}
    assert theirs["project"]["requires-python"] == ours["requires-python"]
    assert theirs["tool"]["uv"] == {"package": False}


def test_the_same_source_makes_the_same_bytes(bundle_file: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mcpb"
    assert main(["bundle", "--output", str(again)]) == 0
    assert again.read_bytes() == bundle_file.read_bytes()
    with ZipFile(again) as archive:
        names = archive.namelist()
        assert all(one < next_ for one, next_ in pairwise(names))
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_without_a_file_it_is_named_after_the_version(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bundle"]) == 0
    said = f"Wrote owlmetry-mcp-{__version__}.mcpb. Open it with Claude Desktop to install it.\n"
    assert tuple(capsys.readouterr()) == ("", said)
    assert (tmp_path / f"owlmetry-mcp-{__version__}.mcpb").exists()


def test_a_file_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["bundle", "--output", str(tmp_path / "none" / "owl.mcpb")]) == 1
    assert "none/owl.mcpb cannot be written: " in capsys.readouterr().err


async def test_it_runs_as_its_manifest_says(unpacked: Path, tmp_path: Path) -> None:
    """By uv, which installs what the server needs into the bundle's own folder."""
    store = tmp_path / "a folder" / "store.db"
    store.parent.mkdir()
    server = started_by(manifest_of(unpacked), unpacked, store=store, agent_name="One click", read_only=True)
    others = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    server.env = others | (server.env or {})
    uv = shutil.which(server.command, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert uv, "uv is among the tests' requirements"
    server.command = uv
    async with Client(stdio_client(server)) as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]
        acting_as = (await client.call_tool("whoami", {})).structured_content
    assert listed == [name for name, tool in CATALOGUE.items() if tool.annotations.read_only_hint]
    assert acting_as
    assert acting_as["name"] == "One click"
    assert store.exists()
    assert (unpacked / ".venv").exists()
