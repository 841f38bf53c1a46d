"""The clients: where each keeps its servers on which platform, and what is read of them there."""

import json
from pathlib import Path
from typing import Any

import pytest

from owlmetry_mcp.cli.parser import CLIENT_NAMES
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.reading import Mention, Unreadable, mentions
from owlmetry_mcp.clients.servers import Server, server_of
from owlmetry_mcp.clients.table import CLIENTS

HOME, PROJECT = Path("/home/a b"), Path("/work")
DESKTOP = "Claude/claude_desktop_config.json"
MAC = "Library/Application Support"
FILES = {
    # client: for the user on Linux, macOS and Windows, under the home directory; for a project
    "claude-code": (".claude.json", ".claude.json", ".claude.json", ".mcp.json"),
    "claude-desktop": (f".config/{DESKTOP}", f"{MAC}/{DESKTOP}", f"AppData/Roaming/{DESKTOP}", None),
    "cursor": (".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json", ".cursor/mcp.json"),
    "vscode": (
        ".config/Code/User/mcp.json",
        f"{MAC}/Code/User/mcp.json",
        "AppData/Roaming/Code/User/mcp.json",
        ".vscode/mcp.json",
    ),
    "windsurf": (*(".codeium/windsurf/mcp_config.json",) * 3, None),
    "zed": (
        ".config/zed/settings.json",
        ".config/zed/settings.json",
        "AppData/Roaming/Zed/settings.json",
        ".zed/settings.json",
    ),
    "codex": (*(".codex/config.toml",) * 3, ".codex/config.toml"),
    "gemini": (*(".gemini/settings.json",) * 3, ".gemini/settings.json"),
    "opencode": (*(".config/opencode/opencode.jsonc",) * 3, "opencode.jsonc"),
}


def machine(platform: str = "linux", home: Path = HOME, environment: dict[str, str] | None = None) -> Machine:
    return Machine(platform, home, PROJECT, environment or {})


def test_the_clients_are_those_of_the_command_line() -> None:
    assert tuple(CLIENTS) == CLIENT_NAMES == tuple(FILES)


@pytest.mark.parametrize("name", FILES)
def test_each_has_its_files_by_platform_and_scope(name: str) -> None:
    *users, project = FILES[name]
    files = CLIENTS[name].files
    for platform, file in zip(("linux", "darwin", "win32"), users, strict=True):
        assert files["user"](machine(platform))[0] == HOME / str(file)
    assert ("project" in files) == (project is not None)
    if project:
        assert files["project"](machine())[0] == PROJECT / project


@pytest.mark.parametrize(
    ("name", "platform", "environment", "file"),
    [
        ("claude-code", "linux", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/.claude.json"),
        ("claude-desktop", "linux", {"XDG_CONFIG_HOME": "/x"}, f"/x/{DESKTOP}"),
        ("claude-desktop", "win32", {"APPDATA": "/r"}, f"/r/{DESKTOP}"),
        ("vscode", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/Code/User/mcp.json"),
        ("vscode", "linux", {"XDG_CONFIG_HOME": "relative"}, "/home/a b/.config/Code/User/mcp.json"),
        ("vscode", "darwin", {"XDG_CONFIG_HOME": "/x"}, f"/home/a b/{MAC}/Code/User/mcp.json"),
        ("zed", "linux", {"XDG_CONFIG_HOME": "/x"}, "/x/zed/settings.json"),
        ("zed", "linux", {"XDG_CONFIG_HOME": "/x", "FLATPAK_XDG_CONFIG_HOME": "/f"}, "/f/zed/settings.json"),
        ("codex", "win32", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("gemini", "darwin", {"GEMINI_CLI_HOME": "/g"}, "/g/.gemini/settings.json"),
        ("opencode", "darwin", {"XDG_CONFIG_HOME": "/x"}, "/x/opencode/opencode.jsonc"),
    ],
)
def test_variables_move_them(name: str, platform: str, environment: dict[str, str], file: str) -> None:
    assert CLIENTS[name].files["user"](machine(platform, HOME, environment))[0] == Path(file)


def test_claude_desktop_as_a_windows_package_has_a_file_of_its_own(tmp_path: Path) -> None:
    package = tmp_path / "AppData" / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    package.mkdir(parents=True)
    (file,) = CLIENTS["claude-desktop"].files["user"](machine("win32", tmp_path))
    assert file == package / "LocalCache" / "Roaming" / DESKTOP


OURS = Server(("/v/bin/owlmetry-mcp",), {"OWLMETRY_STORE": "/s"})


@pytest.mark.parametrize(
    ("entry", "server", "is_ours"),
    [
        ({"command": "/v/bin/owlmetry-mcp", "env": {"OWLMETRY_STORE": "/s"}}, OURS, True),
        ({"type": "local", "command": [*OURS.words], "environment": OURS.env}, OURS, True),
        ({"command": {"path": "/v/bin/owlmetry-mcp", "env": OURS.env}, "settings": {}}, OURS, True),
        ({"command": "C:\\v\\Scripts\\owlmetry-mcp.exe"}, Server(("C:\\v\\Scripts\\owlmetry-mcp.exe",)), True),
        ({"command": "uvx", "args": ["owlmetry-mcp@latest"]}, Server(("uvx", "owlmetry-mcp@latest")), True),
        ({"command": "py", "args": ["-m", "owlmetry_mcp"]}, Server(("py", "-m", "owlmetry_mcp")), True),
        ({"command": "codex", "env_vars": ["A"]}, Server(("codex",), forwarded=("A",)), False),
        ({"command": "x", "args": ["/opt/owlmetry-mcp-notes"]}, Server(("x", "/opt/owlmetry-mcp-notes")), False),
        ({"type": "http", "url": "http://x/mcp"}, Server((), url="http://x/mcp"), False),
        ({"serverUrl": "http://x/mcp"}, Server((), url="http://x/mcp"), False),
        ({}, None, False),
        ({"command": 1}, None, False),
        (None, None, False),
    ],
)  # fmt: skip
def test_an_entry_is_understood_in_any_clients_words(entry: Any, server: Server | None, is_ours: bool) -> None:
    found = server_of(entry)
    assert found == server
    assert (found is not None and found.is_ours) == is_ours


@pytest.mark.parametrize(
    ("value", "set_to"),
    [
        ("plain", "plain"),
        ("${OWL_KEY}", "k"),
        ("${env:OWL_KEY}", "k"),
        ("{env:OWL_KEY}", "k"),
        ("a ${OWL_KEY} b", "a k b"),
        ("${UNSET:-other}", "other"),
        ("${UNSET:-}", ""),
        ("${UNSET}", None),
        ("${input:owlmetry-api-key}", None),
    ],
)
def test_what_an_entry_refers_to_is_looked_up_or_named(value: str, set_to: str | None) -> None:
    known, unknown = Server(("x",), {"KEY": value}).environment({"OWL_KEY": "k"})
    assert (known, unknown) == (({}, ("KEY",)) if set_to is None else ({"KEY": set_to}, ()))


def test_what_is_passed_on_is_looked_up_or_named() -> None:
    assert Server(("x",), forwarded=("A", "B")).environment({"A": "1"}) == ({"A": "1"}, ("B",))


def test_entries_are_found_in_every_file_and_scope(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    entry = {"command": "/v/bin/owlmetry-mcp"}
    for name, (file, *_, shared) in FILES.items():
        client = CLIENTS[name]
        for path in (home / str(file), *([project / shared] if shared else ())):
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {client.section: {"owl": entry, "other": {"command": "x"}, "broken": 1}}
            if client.toml:
                path.write_text(
                    '[mcp_servers.owl]\ncommand = "/v/bin/owlmetry-mcp"\n[mcp_servers.other]\ncommand = "x"\n'
                )
            else:
                path.write_text(f"// {name}\n{json.dumps(content)}\n")
    found = [each for each in mentions(Machine("linux", home, project, {})) if isinstance(each, Mention)]
    assert [(each.client.name, each.scope, each.name) for each in found] == [
        (name, scope, "owl") for name, client in CLIENTS.items() for scope in client.files
    ]
    assert all(each.server == Server(("/v/bin/owlmetry-mcp",)) for each in found)


def test_claude_codes_entries_for_one_project_alone_are_found_with_it(tmp_path: Path) -> None:
    servers = {"mcpServers": {"x": {"command": "owlmetry-mcp"}}}
    (tmp_path / ".claude.json").write_text(json.dumps({"projects": {"/p": servers, "/q": {}, "/r": None}}))
    (found,) = mentions(machine(home=tmp_path))
    assert isinstance(found, Mention)
    assert (found.scope, found.project, found.name, found.server) == ("local", "/p", "x", Server(("owlmetry-mcp",)))


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        (".cursor/mcp.json", b'{"mcpServers": {', "line 1: the { of line 1 is not closed"),
        (".cursor/mcp.json", b"\xff\xfe{\x00", "it is not in UTF-8"),
        (".codex/config.toml", b"a = \n", "Invalid value (at line 1, column 5)"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, file: str, content: bytes, why: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_bytes(content)
    (found,) = mentions(machine(home=tmp_path))
    assert isinstance(found, Unreadable)
    assert (found.path, found.why) == (path, why)


def test_a_directory_in_a_files_place_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / ".cursor" / "mcp.json").mkdir(parents=True)
    (found,) = mentions(machine(home=tmp_path))
    assert isinstance(found, Unreadable)
    assert found.why == "Is a directory"


@pytest.mark.parametrize("content", ["", "null", "[]", "1", '{"mcpServers": null}', '{"mcpServers": []}', "// none"])
def test_files_without_servers_hold_nothing_of_ours(tmp_path: Path, content: str) -> None:
    (tmp_path / ".claude.json").write_text(content)
    assert list(mentions(machine(home=tmp_path))) == []
