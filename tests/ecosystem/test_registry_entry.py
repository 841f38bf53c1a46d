"""`server.json`, the entry in the MCP registry, against the registry's rules and the package."""

import json
import re
import tomllib
from typing import Any

import pytest
from jsonschema import Draft7Validator  # type: ignore[import-untyped]  # it comes without types
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]  # likewise

from owlmetry_mcp import __version__
from owlmetry_mcp.settings import Settings, load
from tests.ecosystem.registry_entry import SERVER_JSON, document
from tests.world import ROOT

SCHEMA = json.loads((ROOT / "tests/ecosystem/server.schema.json").read_text())
ENTRY: dict[str, Any] = json.loads(SERVER_JSON.read_text())
(PACKAGE,) = ENTRY["packages"]
VALIDATOR = Draft7Validator(SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER)


def test_the_entry_is_the_one_that_settings_and_package_make() -> None:
    assert SERVER_JSON.read_text() == document(), "run python -m tests.ecosystem.registry_entry"


def test_the_entry_is_valid() -> None:
    Draft7Validator.check_schema(SCHEMA)
    VALIDATOR.validate(ENTRY)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "owlmetry-mcp"},
        {"name": "io.github.owlmetry-mcp/owlmetry/mcp"},
        {"description": "x" * 101},
        {"version": "latest"},
        {"version": ">=0.1"},
        {"packages": [PACKAGE | {"transport": {"type": "pipe"}}]},
        {"packages": [PACKAGE | {"environment_variables": []}]},
    ],
    ids=repr,
)
def test_what_the_registry_refuses_is_not_valid(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(ENTRY | changes)


def test_it_names_this_version_of_the_package_on_pypi() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ENTRY["version"] == PACKAGE["version"] == __version__
    assert (PACKAGE["registryType"], PACKAGE["identifier"]) == ("pypi", project["name"])
    assert PACKAGE["identifier"] in project["scripts"], "uvx runs the command that has the package's name"
    assert project["readme"] == "README.md"


def test_the_readme_that_pypi_shows_has_the_mark_that_the_registry_looks_for() -> None:
    marks = re.findall(r"^<!-- mcp-name: (\S+) -->$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert marks == [ENTRY["name"]]


def test_its_variables_are_the_settings_of_a_server_and_keys_are_secret() -> None:
    variables = {variable["name"]: variable for variable in PACKAGE["environmentVariables"]}
    assert list(variables) == [
        f"OWLMETRY_{name.upper()}" for name in Settings.__dataclass_fields__ if name != "import_key"
    ]
    for name, variable in variables.items():
        assert variable.get("isSecret", False) == name.endswith("_KEY")
    assert not any(variable.get("isRequired") for variable in variables.values())
    for name, variable in variables.items():
        for choice in variable.get("choices", []):
            assert re.search(rf"\b{choice}\b", variable["description"])
            load({}, {name: choice, "OWLMETRY_STORE": "store.db"})
