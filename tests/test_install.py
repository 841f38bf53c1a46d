"""`install` and `uninstall`, on every client's files, on every platform."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli import install
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.clients import files, toml_text
from owlmetry_mcp.clients.jsonc import scan
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.showing import difference, masked
from owlmetry_mcp.clients.starting import Running, words
from owlmetry_mcp.clients.table import CLIENTS
from owlmetry_mcp.issues.errors import ConflictError, InvalidInputError, UnavailableError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.settings import SettingsError, load
from tests.world import ROOT

KEY = "owl_agent_5ca1ab1e0ddba11c0ffee15bad5eed99"
COMMAND = [*words(Machine(sys.platform, Path(), Path(), {}), Running.now())]
EVERY_PLACE = [
    (name, platform, scope)
    for name, client in CLIENTS.items()
    for platform in ("linux", "darwin", "win32")
    for scope in client.files
]


class Person:
    """Someone with a home directory and a project, and nothing installed."""

    def __init__(self, directory: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.home = directory / "my home"
        self.project = directory / "project"
        for each in (self.home, self.project):
            each.mkdir()
        self.platform = "linux"
        self.environment: dict[str, str] = {"PATH": ""}
        self._capture = capture
        self.output = ""

    @property
    def machine(self) -> Machine:
        return Machine(self.platform, self.home, self.project, self.environment)

    def run(self, *arguments: str) -> str:
        """What it says."""
        parsed = parser().parse_args(arguments)
        parsed.environment = self.environment
        command = install.uninstall if arguments[0] == "uninstall" else install.install
        command(parsed, load(vars(parsed), self.environment, self.home), self.machine)
        self.output, said = self._capture.readouterr()
        return said

    def file(self, client: str, scope: str = "user") -> Path:
        return CLIENTS[client].files["project" if scope == "project" else "user"](self.machine)[0]

    def put(self, client: str, text: str, scope: str = "user") -> Path:
        path = self.file(client, scope)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    def content(self, client: str, scope: str = "user") -> Any:
        text = self.file(client, scope).read_bytes().decode()
        if CLIENTS[client].toml:
            return toml_text.parsed(text)
        node = scan(text)
        return node.value if node else None

    def entry(self, client: str, scope: str = "user") -> Any:
        return self.content(client, scope)[CLIENTS[client].section]["owlmetry"]

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.home.parent.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.home.parent)): path.read_bytes() for path in paths}


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    return Person(tmp_path, capsys)


@pytest.mark.parametrize(("client", "platform", "scope"), EVERY_PLACE)
def test_it_makes_the_file_and_says_what_is_next_and_running_it_twice_changes_nothing(
    person: Person, client: str, platform: str, scope: str
) -> None:
    person.platform = platform
    said = person.run("install", client, "--scope", scope)
    path = person.file(client, scope)
    assert f"Added owlmetry to {CLIENTS[client].title}: {path}." in said
    assert CLIENTS[client].next_step in said
    assert "uninstall" in said
    made = person.files()
    assert [*made] == [str(path.relative_to(person.home.parent))]
    assert "has owlmetry already" in person.run("install", client, "--scope", scope)
    assert person.files() == made
    assert f"Took owlmetry out of {CLIENTS[client].title}" in person.run("uninstall", client, "--scope", scope)
    assert not person.content(client, scope).get(CLIENTS[client].section)
    assert "has no owlmetry" in person.run("uninstall", client, "--scope", scope)


def test_a_plain_entry_is_the_command_alone(person: Person) -> None:
    for client in CLIENTS:
        person.run("install", client)
    plain = {"command": COMMAND[0]} | ({"args": COMMAND[1:]} if COMMAND[1:] else {})
    assert {client: person.entry(client) for client in CLIENTS} == dict.fromkeys(CLIENTS, plain) | {
        "claude-code": {"type": "stdio", **plain},
        "vscode": {"type": "stdio", **plain},
        "zed": {"source": "custom", **plain},
        "opencode": {"type": "local", "command": COMMAND},
    }
    assert Path(COMMAND[0]).is_absolute()


THEIRS = {
    "json": '\ufeff{\r\n\t// mine\r\n\t"a": "//",\r\n\t"SECTION": { /* b */\r\n\t\t"x": {"a": "x"},\r\n\t},\r\n}\r\n',
    "toml": 'model = "x" # mine\r\n\r\n[mcp_servers.x] # theirs\r\ncommand = "x"\r\n\r\n[z]\r\ny = 1\r\n',
}  # fmt: skip


@pytest.mark.parametrize(("client", "platform", "scope"), [place for place in EVERY_PLACE if place[1] == "linux"])
def test_what_is_there_stays_byte_for_byte_and_is_backed_up_for_its_owner_alone(
    person: Person, client: str, platform: str, scope: str
) -> None:
    person.platform = platform
    text = THEIRS["toml" if CLIENTS[client].toml else "json"].replace("SECTION", CLIENTS[client].section)
    path = person.put(client, text, scope)
    path.chmod(0o640)
    said = person.run("install", client, "--scope", scope)
    assert person.entry(client, scope)
    (backup,) = path.parent.glob("*.bak")
    assert f"What was there before is in {backup}." in said
    assert backup.read_bytes().decode() == text
    assert (backup.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o600, 0o640)
    person.run("install", client, "--scope", scope)
    assert [*path.parent.glob("*.bak")] == [backup]
    person.run("uninstall", client, "--scope", scope)
    assert path.read_bytes().decode() == text
    assert len({*path.parent.glob("*.bak")}) == 2


@pytest.mark.parametrize("client", CLIENTS)
def test_a_dry_run_shows_the_change_and_makes_none(person: Person, client: str) -> None:
    text = THEIRS["toml" if CLIENTS[client].toml else "json"].replace("SECTION", CLIENTS[client].section)
    person.put(client, text)
    before = person.files()
    assert "Nothing was changed" in person.run("install", client, "--dry-run")
    assert f"--- {person.file(client)}\n+++ {person.file(client)}\n@@ " in person.output
    added = [line for line in person.output.splitlines()[2:] if line.startswith("+")]
    assert any(COMMAND[0] in line for line in added)
    assert person.files() == before


SECRETS: dict[str, dict[str, Any]] = {
    "claude-code": {"env": {"OWLMETRY_API_KEY": "${OWLMETRY_API_KEY}"}},
    "cursor": {"env": {"OWLMETRY_API_KEY": "${env:OWLMETRY_API_KEY}"}},
    "vscode": {"env": {"OWLMETRY_API_KEY": "${input:owlmetry-api-key}"}},
    "windsurf": {"env": {"OWLMETRY_API_KEY": "${env:OWLMETRY_API_KEY}"}},
    "codex": {"env_vars": ["OWLMETRY_API_KEY"]},
    "gemini": {"env": {"OWLMETRY_API_KEY": "${OWLMETRY_API_KEY}"}},
    "opencode": {"environment": {"OWLMETRY_API_KEY": "{env:OWLMETRY_API_KEY}"}},
}


@pytest.mark.parametrize("client", SECRETS)
def test_the_key_stays_in_the_environment_where_the_client_takes_it_from_there(person: Person, client: str) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    arguments = ("install", client, "--endpoint", "https://owl.example.com", "--read-only")
    said = person.run(*arguments)
    env_key = CLIENTS[client].env_key
    settings = {
        "OWLMETRY_ENDPOINT": "https://owl.example.com",
        "OWLMETRY_READ_ONLY": "true",
        "OWLMETRY_BACKEND": "live",
    }
    told = SECRETS[client]
    entry = person.entry(client)
    assert entry[env_key] == settings | told.get(env_key, {})
    assert entry.get("env_vars") == told.get("env_vars")
    assert KEY not in said
    assert KEY not in str(person.files())
    assert "has owlmetry already" in person.run(
        "install", client, "--endpoint", "https://owl.example.com", "--read-only"
    )


def test_vs_code_asks_for_the_key_and_forgets_the_question_with_the_entry(person: Person) -> None:
    person.put("vscode", '{"inputs": [{"id": "x", "type": "promptString"}], "servers": {"y": {"command": "y"}}}')
    before = person.content("vscode")
    person.environment["OWLMETRY_API_KEY"] = KEY
    person.run("install", "vscode")
    asked = {"type": "promptString", "id": "owlmetry-api-key", "description": "Owlmetry agent key", "password": True}
    assert person.content("vscode")["inputs"] == [*before["inputs"], asked]
    del person.environment["OWLMETRY_API_KEY"]
    person.run("install", "vscode")
    assert person.content("vscode")["inputs"] == [*before["inputs"], asked], "the entry goes on as it was"
    person.run("install", "vscode", "--store", "/s.db")
    assert person.entry("vscode")["env"] == {"OWLMETRY_STORE": "/s.db"}
    assert person.content("vscode")["inputs"] == before["inputs"]
    person.run("uninstall", "vscode")
    assert person.content("vscode") == before


@pytest.mark.parametrize("client", ["claude-desktop", "zed"])
def test_where_the_client_cannot_the_key_is_written_only_when_that_is_agreed_to(person: Person, client: str) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    path = person.put(client, "{}")
    path.chmod(0o644)
    with pytest.raises(InvalidInputError, match=f"it would stand in {path}. Agree with --key-in-file, or unset"):
        person.run("install", client)
    assert path.read_text() == "{}"
    assert "would stand in" in person.run("install", client, "--dry-run")
    assert KEY not in person.output
    assert path.stat().st_mode & 0o777 == 0o644
    said = person.run("install", client, "--key-in-file")
    assert "for you alone to read" in said
    assert KEY not in said
    assert person.entry(client)["env"] == {"OWLMETRY_BACKEND": "live", "OWLMETRY_API_KEY": KEY}
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    person.run("install", client, "--key-in-file")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_new_file_with_the_key_is_its_owners_alone(person: Person) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    person.run("install", "claude-desktop", "--key-in-file")
    assert person.file("claude-desktop").stat().st_mode & 0o777 == 0o600


def test_the_key_is_never_written_into_a_project(person: Person) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    with pytest.raises(InvalidInputError, match="A project's files are for others, too"):
        person.run("install", "zed", "--scope", "project", "--key-in-file")
    assert person.files() == {}


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("\n", False), ("n\n", False)])
def test_at_a_terminal_a_person_is_asked(tmp_path: Path, answer: str, written: bool) -> None:
    ours, theirs = os.openpty()
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "PATH": ""}
    with subprocess.Popen(
        [sys.executable, "-m", "owlmetry_mcp", "install", "zed"],
        cwd=ROOT, stdin=theirs, stderr=theirs, env=os.environ | home | {"OWLMETRY_API_KEY": KEY},
    ) as process:  # fmt: skip
        os.close(theirs)
        os.write(ours, answer.encode())
        assert process.wait(30) == (0 if written else 1)
    assert b"Write it there? [y/N]" in os.read(ours, 4096)
    os.close(ours)
    assert (tmp_path / ".config" / "zed" / "settings.json").exists() == written


def test_settings_that_were_given_are_in_the_entry_and_no_others(person: Person) -> None:
    person.environment |= {"OWLMETRY_AGENT_NAME": "Night shift", "OWLMETRY_LOG_LEVEL": ""}
    person.run("install", "cursor", "--store", "a b.db", "--tools", "whoami", "--call-timeout", "9")
    assert person.entry("cursor")["env"] == {
        "OWLMETRY_STORE": str(Path.cwd() / "a b.db"),
        "OWLMETRY_CALL_TIMEOUT": "9",
        "OWLMETRY_AGENT_NAME": "Night shift",
        "OWLMETRY_TOOLS": "whoami",
    }
    person.environment.clear()
    person.run("install", "gemini", "--backend", "live", "--store", "a.db")
    live = {"OWLMETRY_BACKEND": "live", "OWLMETRY_STORE": str(Path.cwd() / "a.db")}
    assert person.entry("gemini")["env"] == live
    before = person.entry("cursor")
    assert "Nothing was changed" in person.run("install", "cursor")
    assert person.entry("cursor") == before


def test_a_data_directory_of_ones_own_is_named_since_clients_may_not_know_it(
    person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    person.environment["XDG_DATA_HOME"] = "/data"
    person.run("install", "cursor")
    assert person.entry("cursor")["env"] == {"OWLMETRY_STORE": "/data/owlmetry-mcp/store.db"}


def test_an_entry_of_ours_is_brought_up_to_date_and_keeps_what_else_it_says(person: Person) -> None:
    old = {
        "trust": True,
        "command": "/gone/owlmetry-mcp",
        "args": ["serve", "--tools", "whoami", "--agent-name", "Day shift"],
        "env": {"HTTP_PROXY": "x", "OWLMETRY_READ_ONLY": "true", "OWLMETRY_API_KEY": KEY, "OWLMETRY_STORE": "/old.db"},
        "timeout": 5,
    }
    person.put("gemini", json.dumps({"mcpServers": {"owlmetry": old}}, indent=2))
    said = person.run("install", "gemini", "--agent-name", "Night shift")
    args = {"args": COMMAND[1:]} if COMMAND[1:] else {}
    assert person.entry("gemini") == {
        "trust": True,
        "command": COMMAND[0],
        "env": {
            "HTTP_PROXY": "x",
            "OWLMETRY_READ_ONLY": "true",
            "OWLMETRY_API_KEY": KEY,
            "OWLMETRY_STORE": "/old.db",
            "OWLMETRY_TOOLS": "whoami",
            "OWLMETRY_AGENT_NAME": "Night shift",
        },
        "timeout": 5,
        **args,
    }
    assert "Changed owlmetry in Gemini CLI" in said
    assert '-      "command": "/gone/owlmetry-mcp",' in said
    assert KEY not in said


@pytest.mark.parametrize("theirs", [{"command": "/usr/bin/other"}, {"url": "http://x"}, 5, None])
def test_another_servers_entry_is_replaced_or_taken_out_by_force_alone(person: Person, theirs: Any) -> None:
    path = person.put("cursor", json.dumps({"mcpServers": {"owlmetry": theirs, "x": {}}}))
    before = path.read_text()
    for command in ("install", "uninstall"):
        with pytest.raises(InvalidInputError, match="is another server's entry"):
            person.run(command, "cursor")
    assert path.read_text() == before
    person.run("install", "cursor", "--force")
    assert person.entry("cursor") == {"command": COMMAND[0]} | ({"args": COMMAND[1:]} if COMMAND[1:] else {})
    path.write_text(before)
    person.run("uninstall", "cursor", "--force")
    assert person.content("cursor") == {"mcpServers": {"x": {}}}


@pytest.mark.parametrize("env", [{"OWLMETRY_API_KEY": KEY}, {"FOO_TOKEN": "opaque"}])
def test_an_entry_with_a_secret_is_on_no_command_line(person: Person, env: dict[str, str]) -> None:
    called = person.home / "called"
    claude = person.home / "bin" / "claude"
    claude.parent.mkdir(parents=True)
    claude.write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    claude.chmod(0o755)
    person.environment["PATH"] = str(claude.parent)
    old = {"type": "stdio", "command": "/gone/owlmetry-mcp", "args": [], "env": env}
    person.put("claude-code", json.dumps({"mcpServers": {"owlmetry": old}}))
    person.run("install", "claude-code", "--read-only")
    assert person.entry("claude-code")["env"] == {**env, "OWLMETRY_READ_ONLY": "true"}
    assert not called.exists()


def test_two_names_are_two_entries(person: Person) -> None:
    person.run("install", "codex")
    person.run("install", "codex", "--name", "night", "--read-only")
    person.run("uninstall", "codex")
    assert [*person.content("codex")["mcp_servers"]] == ["night"]
    assert "--name night" in person.run("install", "codex", "--name", "night", "--read-only")


@pytest.mark.parametrize("name", ["", "a b", "-x", "é", "x" * 65, 'a"]\n', "../x"])
def test_a_name_that_some_client_would_refuse_is_refused(person: Person, name: str) -> None:
    with pytest.raises(InvalidInputError, match="--name must be 1 to 64 letters"):
        person.run("install", "codex", f"--name={name}")


@pytest.mark.parametrize("client", ["claude-desktop", "windsurf"])
def test_a_client_without_projects_says_so(person: Person, client: str) -> None:
    with pytest.raises(InvalidInputError, match=r"has no settings by project\. Leave out --scope project"):
        person.run("install", client, "--scope", "project")


@pytest.mark.parametrize(
    ("client", "text", "why"),
    [
        ("zed", '{\n  "a": 1\n  "b": 2\n}', "line 3: a comma or } is missing before this"),
        ("zed", "null", "line 1: the file should hold an object, not null"),
        ("zed", '{"context_servers": []}', '"context_servers" should be an object, not an array'),
        ("zed", '{"context_servers": {},\n"context_servers": {}}', 'line 2: "context_servers" is there a second time'),
        ("vscode", '{"inputs": {}}', '"inputs" should be an array, not an object'),
        ("codex", "model = \n", "Invalid value (at line 1, column 9)"),
        ("codex", "mcp_servers = 3\n", '"mcp_servers" should be a table'),
        ("codex", 'mcp_servers = { x = { command = "x" } }\n', "change it by hand"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_left_alone(person: Person, client: str, text: str, why: str) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    path = person.put(client, text)
    with pytest.raises(InvalidInputError) as raised:
        person.run("install", client, "--key-in-file")
    assert why in str(raised.value)
    assert str(path) in str(raised.value)
    assert "nothing was changed" in str(raised.value)
    assert person.files() == {str(path.relative_to(person.home.parent)): text.encode()}


def test_a_file_in_another_encoding_is_left_alone(person: Person) -> None:
    path = person.put("cursor", "")
    path.write_bytes('{"a": "é"}'.encode("utf-16"))
    with pytest.raises(InvalidInputError, match=r"is not in UTF-8\. Save it so"):
        person.run("install", "cursor")


def test_a_directory_in_the_files_place_is_said(person: Person) -> None:
    person.file("cursor").mkdir(parents=True)
    with pytest.raises(InvalidInputError, match=r"is a directory, not a file\. Move it away"):
        person.run("install", "cursor")


def test_a_file_in_the_directorys_place_is_said(person: Person) -> None:
    (person.home / ".cursor").write_text("")
    with pytest.raises(InvalidInputError, match=r"cannot be (read|written)"):
        person.run("install", "cursor")


def test_a_read_only_file_is_left_alone(person: Person) -> None:
    path = person.put("cursor", "{}")
    path.chmod(0o444)
    with pytest.raises(InvalidInputError, match=r"is read-only\. Allow it with `chmod u"):
        person.run("install", "cursor")
    assert len(person.files()) == 1


def test_a_link_stays_a_link(person: Person) -> None:
    dotfiles = person.home / "dotfiles" / "mcp.json"
    dotfiles.parent.mkdir()
    dotfiles.write_text("{}")
    path = person.file("cursor")
    path.parent.mkdir()
    path.symlink_to(dotfiles)
    person.run("install", "cursor")
    assert path.is_symlink()
    assert person.entry("cursor")["command"] == COMMAND[0]
    assert [each.name for each in dotfiles.parent.iterdir() if each.suffix == ".bak"]


def test_opencodes_entry_goes_into_the_file_that_is_there_and_is_found_in_either(person: Person) -> None:
    jsonc = person.file("opencode")
    plain = jsonc.with_name("opencode.json")
    plain.parent.mkdir(parents=True)
    plain.write_text("{}")
    person.run("install", "opencode")
    assert not jsonc.exists()
    jsonc.write_text("{}")
    person.run("install", "opencode")
    assert jsonc.read_text() == "{}"
    person.run("uninstall", "opencode")
    assert json.loads(plain.read_text()) == {"mcp": {}}


def test_a_directory_that_nothing_can_be_put_in_is_said_and_nothing_is_left_in_it(person: Person) -> None:
    path = person.put("cursor", "{}")
    path.unlink()
    path.symlink_to("/proc/none/mcp.json")
    with pytest.raises(InvalidInputError, match=r"/proc/none/mcp\.json cannot be written: .*Nothing was changed"):
        person.run("install", "cursor")
    assert [*path.parent.iterdir()] == [path]


def test_earlier_backups_are_never_overwritten(person: Person) -> None:
    path = person.put("cursor", "{}")
    for _ in range(3):
        person.run("install", "cursor")
        person.run("uninstall", "cursor")
    assert len([*path.parent.glob("*.bak")]) == 6


def test_a_change_by_another_program_meanwhile_is_not_lost(person: Person) -> None:
    path = person.put("cursor", "{}")
    found = files.read(path)
    path.write_text('{"theirs": 1}')
    with pytest.raises(ConflictError, match=r"was changed by another program meanwhile\. Run this again"):
        files.replace(found, '{"ours": 1}', datetime.now(UTC), secret=False)
    assert path.read_text() == '{"theirs": 1}'
    assert [*path.parent.iterdir()] == [path]


# How it is started.


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Path]:
    def make(*parts: str) -> Path:
        """An empty executable."""
        path = tmp_path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
        return path

    return make


def running(prefix: Path, called: str = "x", source: str = "") -> Running:
    return Running(prefix, prefix / "bin" / "python", prefix / "bin", called, source)


def test_the_command_is_the_environments_own(place: Callable[..., Path], tmp_path: Path) -> None:
    command = place("venv", "bin", "owlmetry-mcp")
    machine = Machine("linux", tmp_path, tmp_path, {})
    assert words(machine, running(tmp_path / "venv")) == (str(command),)


def test_on_windows_it_has_its_suffix(place: Callable[..., Path], tmp_path: Path) -> None:
    command = place("venv", "bin", "owlmetry-mcp.exe")
    machine = Machine("win32", tmp_path, tmp_path, {})
    assert words(machine, running(tmp_path / "venv")) == (str(command),)


def test_else_the_one_that_was_called_and_else_python(place: Callable[..., Path], tmp_path: Path) -> None:
    called = place("usr", "bin", "owlmetry-mcp")
    machine = Machine("linux", tmp_path, tmp_path, {"PATH": str(called.parent)})
    assert words(machine, running(tmp_path / "venv", "owlmetry-mcp")) == (str(called),)
    python = str(tmp_path / "venv" / "bin" / "python")
    assert words(Machine("linux", tmp_path, tmp_path, {}), running(tmp_path / "venv")) == (python, "-m", "owlmetry_mcp")


@pytest.mark.parametrize("cache", [("archive-v0", "KnzyGb8RWzSsMQNU"), ("environments-v2", "owlmetry-mcp-1")])
def test_out_of_uvs_cache_it_is_uvx(place: Callable[..., Path], tmp_path: Path, cache: tuple[str, ...]) -> None:
    prefix = tmp_path.joinpath(".cache", "uv", *cache)
    place(".cache", "uv", *cache, "bin", "owlmetry-mcp")
    with pytest.raises(InvalidInputError, match=r"uvx is not on the PATH\. Put it there, or install for good"):
        words(Machine("linux", tmp_path, tmp_path, {"PATH": ""}), running(prefix))
    uvx = place("opt", "uvx")
    by_path = Machine("linux", tmp_path, tmp_path, {"PATH": str(uvx.parent)})
    assert words(by_path, running(prefix)) == (str(uvx), "owlmetry-mcp")
    by_variable = Machine("linux", tmp_path, tmp_path, {"UV": str(uvx.with_name("uv"))})
    source = "git+https://x/y@1"
    assert words(by_variable, running(prefix, "x", source)) == (str(uvx), "--from", source, "owlmetry-mcp")


def test_out_of_pipxs_cache_it_is_pipx(place: Callable[..., Path], tmp_path: Path) -> None:
    place("cache", "pipx", "d5bc", "pipx_metadata.json")
    place("cache", "pipx", "d5bc", "bin", "owlmetry-mcp")
    pipx = place("opt", "pipx")
    machine = Machine("linux", tmp_path, tmp_path, {"PATH": str(pipx.parent)})
    prefix = tmp_path / "cache" / "pipx" / "d5bc"
    assert words(machine, running(prefix)) == (str(pipx), "run", "owlmetry-mcp")
    assert words(machine, running(prefix, "x", "/w.whl")) == (str(pipx), "run", "--spec", "/w.whl", "owlmetry-mcp")


def test_what_pipx_installed_lasts(place: Callable[..., Path], tmp_path: Path) -> None:
    place("pipx", "venvs", "owlmetry-mcp", "pipx_metadata.json")
    command = place("pipx", "venvs", "owlmetry-mcp", "bin", "owlmetry-mcp")
    assert words(Machine("linux", tmp_path, tmp_path, {}), running(command.parent.parent)) == (str(command),)


# Claude Code's own command.

STAND_IN = """#!{python}
import json, os, pathlib, sys
settings = pathlib.Path(os.environ["HOME"]) / ".claude.json"
content = json.loads(settings.read_text()) if settings.exists() else {{}}
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
if os.environ.get("FAILS") and sys.argv[2] in os.environ.get("FAILING", sys.argv[2]):
    sys.exit(os.environ["FAILS"])
servers = content.setdefault("mcpServers", {{}})
if sys.argv[2] == "add-json":
    servers[sys.argv[5]] = json.loads(sys.argv[6]) | {{"args": json.loads(sys.argv[6]).get("args", [])}}
else:
    del servers[sys.argv[5]]
settings.write_text(json.dumps(content))
"""


@pytest.fixture
def calls(person: Person, place: Callable[..., Path], tmp_path: Path) -> Callable[[], list[list[str]]]:
    """What a stand-in for Claude Code was called with."""
    stand_in = place("bin", "claude")
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    log = tmp_path / "calls"
    person.environment |= {"PATH": str(stand_in.parent), "HOME": str(person.home), "CALLS": str(log)}

    def read() -> list[list[str]]:
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    return read


def test_claude_code_is_told_by_its_own_command(person: Person, calls: Callable[[], list[list[str]]]) -> None:
    person.run("install", "claude-code", "--dry-run")
    assert calls() == []
    person.environment["OWLMETRY_API_KEY"] = KEY
    person.run("install", "claude-code")
    ((*arguments, told),) = calls()
    assert arguments == ["mcp", "add-json", "--scope", "user", "owlmetry"]
    assert json.loads(told) | {"args": COMMAND[1:]} == person.entry("claude-code")
    assert KEY not in told
    assert "has owlmetry already" in person.run("install", "claude-code")
    person.run("install", "claude-code", "--read-only")
    person.run("uninstall", "claude-code")
    removal = ["mcp", "remove", "--scope", "user", "owlmetry"]
    assert [call[:5] for call in calls()] == [arguments, removal, arguments, removal]
    assert person.content("claude-code")["mcpServers"] == {}


def test_a_projects_file_is_nobodys_state_and_is_written(person: Person, calls: Callable[[], list[list[str]]]) -> None:
    person.run("install", "claude-code", "--scope", "project")
    assert calls() == []
    assert person.entry("claude-code", "project")


def test_on_windows_a_script_is_no_command_for_json(person: Person, calls: Callable[[], list[list[str]]]) -> None:
    person.platform = "win32"
    person.run("install", "claude-code")
    assert calls() == []


def test_what_its_command_says_when_it_fails_is_said(person: Person, calls: Callable[[], list[list[str]]]) -> None:
    person.environment["FAILS"] = "no\nway"
    with pytest.raises(UnavailableError, match=r"`claude mcp add-json` failed: no way\. See that"):
        person.run("install", "claude-code")
    assert len(calls()) == 1


def test_what_it_lost_is_in_the_backup(
    person: Person, calls: Callable[[], list[list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    person.run("install", "claude-code")
    before = person.file("claude-code").read_text()
    person.environment["FAILS"] = "no way"
    with pytest.raises(UnavailableError, match="`claude mcp remove` failed"):
        person.run("install", "claude-code", "--read-only")
    (backup,) = person.home.glob("*.bak")
    assert backup.read_text() == before
    assert str(backup) in capsys.readouterr().err
    assert len(calls()) == 2


def test_what_was_taken_out_for_another_is_put_back_when_that_fails(
    person: Person, calls: Callable[[], list[list[str]]]
) -> None:
    person.run("install", "claude-code", "--read-only")
    before = person.content("claude-code")
    person.environment |= {"FAILS": "no way", "FAILING": "add-json"}
    with pytest.raises(UnavailableError, match="`claude mcp add-json` failed"):
        person.run("install", "claude-code", "--agent-name", "Night shift")
    assert [call[1] for call in calls()] == ["add-json", "remove", "add-json"]
    assert person.content("claude-code") == before


def test_a_command_that_does_nothing_is_noticed(person: Person, place: Callable[..., Path]) -> None:
    idle = place("bin", "claude")
    idle.write_text("#!/bin/sh\n")
    person.environment["PATH"] = str(idle.parent)
    with pytest.raises(InvalidInputError, match="did not change"):
        person.run("install", "claude-code")


# Something to triage.


def test_a_sample_fills_an_empty_store_once_and_the_agent_sees_it(person: Person, tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    def seen() -> list[tuple[str, str]]:
        with Store(path) as store:
            found = anyio.run(acting_as_local_agent(store, "agent").list_team_issues, IssueFilter())
        return [(issue.title, issue.status) for issue in found.issues]

    said = person.run("install", "cursor", "--sample", "--store", str(path))
    assert f"Put sample issues in the project Sample bookshop of the store {path}." in said
    before = seen()
    assert {status for _, status in before} == {"new", "in_progress", "resolved", "regressed"}
    assert "has seen errors already" in person.run("install", "cursor", "--sample", "--store", str(path))
    assert seen() == before


def test_a_sample_has_no_place_on_a_live_server(person: Person) -> None:
    person.environment["OWLMETRY_API_KEY"] = KEY
    with pytest.raises(InvalidInputError, match="--sample fills the embedded store"):
        person.run("install", "cursor", "--sample")
    assert person.files() == {}


def test_a_dry_run_fills_no_store(person: Person, tmp_path: Path) -> None:
    person.run("install", "cursor", "--sample", "--dry-run", "--store", str(tmp_path / "store.db"))
    assert person.files() == {}


# As it is called.


def test_without_a_client_they_are_listed(person: Person) -> None:
    person.run("install", "cursor")
    person.put("zed", "{")
    person.run("install")
    rows = {name: rest for name, *rest in (line.strip().split(maxsplit=2) for line in person.output.splitlines())}
    assert [*rows] == ["client", *CLIENTS]
    assert rows["cursor"] == ["yes", "owlmetry (user)"]
    assert rows["codex"] == ["no"]
    assert rows["zed"] == ["yes", f"cannot be read: {person.file('zed')}"]


def test_a_whole_run_by_the_command_itself(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "PATH": "", "XDG_CONFIG_HOME": ""}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "owlmetry_mcp", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    done = run("install", "gemini")
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / ".gemini" / "settings.json").exists()
    assert run("uninstall", "gemini").returncode == 0
    wrong = run("install", "emacs")
    assert wrong.returncode == 2
    assert "claude-code" in wrong.stderr


def test_errors_are_one_line_and_exit_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "settings.json").write_text("[]")
    assert main(["install", "gemini"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"owlmetry-mcp: {tmp_path}/.gemini/settings.json: line 1: the file should hold an object")


def test_a_reference_that_a_client_did_not_resolve_is_no_key() -> None:
    for value in ("${OWLMETRY_API_KEY}", "${env:OWLMETRY_API_KEY}"):
        with pytest.raises(SettingsError, match="a reference that the MCP client did not resolve"):
            load({"serves": True}, {"OWLMETRY_API_KEY": value})


# What is shown.


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ('  "GITHUB_TOKEN": "ghp_abc",', '  "GITHUB_TOKEN": "…",'),
        ('{"x": {"api-key": "a", "b": "c"}}', '{"x": {"api-key": "…", "b": "c"}}'),
        ('env = { SECRET = "a" }', 'env = { SECRET = "…" }'),
        ('  "OWLMETRY_API_KEY": "${env:OWLMETRY_API_KEY}"', '  "OWLMETRY_API_KEY": "${env:OWLMETRY_API_KEY}"'),
        ('  "--header", "x-1234567890abcdefghijklmnop"', '  "--header", "…"'),
        (f'"args": ["{KEY}"]', '"args": ["…"]'),
        ('"url": "https://mcp.example.com/s/NzA5Mz/mcp"', '"url": "https://mcp.example.com/…"'),
        ('"url": "https://me:pw@mcp.example.com?token=abc"', '"url": "https://mcp.example.com/…"'),
        ('"OWLMETRY_ENDPOINT": "https://owl.example.com:8080"', '"OWLMETRY_ENDPOINT": "https://owl.example.com:8080"'),
        ('"--from", "git+https://owl.example.com/owls.git"', '"--from", "git+https://owl.example.com/owls.git"'),
        ('"command": "/opt/a1b2c3d4e5f6a7b8c9d0e1f2/x"', '"command": "/opt/a1b2c3d4e5f6a7b8c9d0e1f2/x"'),
    ],
)
def test_secrets_are_masked_ours_and_others(line: str, shown: str) -> None:
    assert masked(line) == shown


def test_a_difference_moves_no_cursor() -> None:
    (*_, line) = difference("", "a\x1b[2J\u202eb", "x")
    assert line == "+a\\x1b[2J\\u202eb"
