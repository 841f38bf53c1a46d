"""The command line, as a person and a script meet it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.issues.errors import PermissionDeniedError, UnauthenticatedError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import KeyIdentity, UserIdentity
from tests.shell import Shell
from tests.test_readme import commands
from tests.world import SECRETS, SYMBOLS

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def test_a_key_is_printed_once_and_acts_under_its_name(imported: Shell) -> None:
    secret = imported.run("keys", "create", "--name", "Night shift")
    assert re.fullmatch(r"owl_agent_[0-9a-f]{32}", secret)
    assert secret not in imported.errors
    with Store(imported.path) as store:
        me = await acting_as(store, secret).whoami()
        assert secret not in "".join(store.read(lambda tx: [*tx.connection.iterdump()]))
    assert isinstance(me, KeyIdentity)
    assert (me.name, me.team.name, "issues:write" in me.permissions) == ("Night shift", "Night Owls", True)
    assert "Night shift" in imported.run("keys", "list")
    assert secret not in imported.run("keys", "list")


async def test_a_read_only_key_reads_and_an_expiring_one_says_when(imported: Shell) -> None:
    secret = imported.run(
        "keys", "create", "--name", "Reader", "--read-only", "--expires", "30", "--team", "other-team"
    )
    with Store(imported.path) as store:
        backend = acting_as(store, secret)
        me = await backend.whoami()
        assert isinstance(me, KeyIdentity)
        assert me.team.slug == "other-team"
        assert me.expires_at is not None
        assert (await backend.list_team_issues(IssueFilter())).issues
        with pytest.raises(PermissionDeniedError, match="Missing permission: issues:write"):
            await backend.update_status(SYMBOLS["foreign_project"], SYMBOLS["i_foreign"], "silenced")
    assert f"until {me.expires_at[:10]}" in imported.run("keys", "list")


def test_an_expired_key_is_listed_as_such(imported: Shell) -> None:
    assert "expired 2026-01-01" in imported.run("keys", "list")


async def test_a_revoked_key_is_no_key(imported: Shell) -> None:
    imported.run("keys", "revoke", "Triage Agent")
    with Store(imported.path) as store, pytest.raises(UnauthenticatedError, match="It was revoked"):
        await acting_as(store, SECRETS["agent"]).whoami()
    assert "revoked" in imported.run("keys", "list")
    imported.run("keys", "revoke", "Triage Agent", code=1)
    assert "no key" in imported.errors


def test_a_name_of_several_keys_revokes_none(imported: Shell) -> None:
    for _ in range(2):
        imported.run("keys", "create", "--name", "Twin")
    imported.run("keys", "revoke", "Twin", code=1)
    first, *_ = (match[0] for match in UUID.finditer(imported.errors))
    imported.run("keys", "revoke", first)


async def test_users_get_tokens(shell: Shell) -> None:
    shell.run("users", "add", "jane@example.com", "--name", "Jane Doe", "--role", "admin")
    shell.run("projects", "add", "Blog")
    token = shell.run("token", "JANE@example.com")
    with Store(shell.path) as store:
        me = await acting_as(store, token).whoami()
        assert isinstance(me, UserIdentity)
        assert (me.user.name, me.teams[0].role) == ("Jane Doe", "admin")
        with pytest.raises(UnauthenticatedError, match="Invalid or expired token"):
            await acting_as(store, token[:-2] + "xx").whoami()
        store.write(lambda tx: tx.run("DELETE FROM users"))
        with pytest.raises(UnauthenticatedError, match="no longer in the store"):
            await acting_as(store, token).whoami()


def test_projects_and_apps_are_added_to_a_fresh_store(shell: Shell) -> None:
    project = shell.run("projects", "add", "Web shop")
    app = shell.run(
        "apps", "add", "Checkout", "--platform", "web", "--project", "web-shop", "--bundle-id", "shop.example"
    )
    listed = shell.run("projects", "list")
    assert project in listed
    assert app in listed
    assert "My project (my-project)" in listed
    assert "Checkout (web)" in listed


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["keys", "create", "--name", " "], 1, "NAME must be 1 to 100 printable characters"),
        (["keys", "create", "--name", "x", "--expires", "0"], 1, "DAYS must be a whole number from 1 to 36500, not 0"),
        (["keys", "create", "--name", "x", "--expires", "soon"], 2, "invalid int value"),
        (["keys", "create", "--name", "x", "--team", "nope"], 1, 'no team "nope"'),
        (["keys", "revoke", "nope"], 1, 'no key "nope"'),
        (["token", "nobody@example.com"], 1, 'No user "nobody@example.com"'),
        (["users", "add", "jane", "--name", "Jane", "--role", "owner"], 1, "EMAIL must be an address"),
        (
            ["users", "add", "j@example.com", "--name", "Jane", "--role", "king"],
            2,
            "choose from 'owner', 'admin', 'member'",
        ),
        (["users", "add", "mia@example.com", "--name", "Mia", "--role", "owner"], 1, "is in the team already"),
        (["projects", "add", "Shop 2", "--slug", "Shop!"], 1, "--slug must be small letters"),
        (["apps", "add", "App", "--platform", "web", "--bundle-id", "\udcff"], 1, "--bundle-id must hold no NUL"),
        (["projects", "add", "Shop"], 1, "There is a project shop already"),
        (["apps", "add", "App", "--platform", "web", "--project", "nope"], 1, 'no project "nope"'),
        (["import", "/no/such/file"], 1, "/no/such/file cannot be read"),
        (["export", "/no/such/directory/file"], 1, "cannot be written"),
        (["keys"], 2, "argument COMMAND: invalid choice"),
        (["token", "\udcff@example.com"], 1, "EMAIL must hold no NUL and no unpaired surrogates"),
        (["kys"], 2, "invalid choice: 'kys'"),
        (["serve", "--port", "1"], 2, "--port: only with --http"),
        (["scan", "--port", "1"], 2, "unrecognized arguments"),
    ],
)
def test_wrong_input_is_told_in_a_line_and_changes_nothing(
    imported: Shell, arguments: list[str], code: int, said: str
) -> None:
    before = imported.run("export", "-")
    assert imported.run(*arguments, code=code) == ""
    assert said in imported.errors
    assert imported.run("export", "-") == before


@pytest.mark.parametrize("command", [[], *(name.split() for name in sorted(commands()))], ids=" ".join)
def test_every_command_says_what_it_does(shell: Shell, command: list[str]) -> None:
    said = shell.run(*command, "--help")
    assert said.startswith(f"usage: {' '.join(['owlmetry-mcp', *command])} ")
    assert not shell.path.exists()


@pytest.mark.parametrize("arguments", [[], ["serve", "--tools", "whoami"], ["serve", "--read-only"]])
def test_serve_alone_is_parsed_as_it_is_among_all_commands(arguments: list[str]) -> None:
    alone, among_all = (vars(made.parse_args(arguments)) for made in (parser(arguments), parser()))
    assert {**alone, "run": None} == {**among_all, "run": None}
    assert parser(arguments).format_usage() == parser().format_usage()


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"owlmetry-mcp {__version__}\n"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_stream_is_told_or_borne(tmp_path: Path, closed: str) -> None:
    for command in ("serve", "keys list", "export -", "import -"):
        line = f"{sys.executable} -m owlmetry_mcp {command} --store {tmp_path}/store.db {closed}"
        done = subprocess.run(
            ["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60, input="{}"
        )
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["demo", "export -"])
def test_a_reader_that_goes_away_is_no_traceback(imported: Shell, command: str) -> None:
    store = f"OWLMETRY_STORE={imported.path}"
    line = f"{store} {sys.executable} -m owlmetry_mcp {command} | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""


def test_a_narrow_encoding_loses_no_output(imported: Shell) -> None:
    imported.run("projects", "add", "Bücher 🦉")
    done = subprocess.run(
        [sys.executable, "-m", "owlmetry_mcp", "projects", "list", "--store", str(imported.path)],
        capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert "B\\xfccher" in done.stdout


# The demo


def test_the_demo_shows_a_triage_end_to_end(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "owlmetry_mcp", "demo"], capture_output=True, check=True, text=True, timeout=60,
        env={"HOME": str(tmp_path), "PATH": "", "TMPDIR": str(tmp_path), "COLUMNS": "100"},
    )  # fmt: skip
    calls = re.findall(r"^  (\w+)\(", done.stdout, re.MULTILINE)
    assert calls == [
        "triage_overview", "get_issue", "get_event", "get_breadcrumbs", "find_duplicates", "merge", "update_status",
        "list_comments", "update_status", "triage_overview",
    ]  # fmt: skip
    assert "resolved" in done.stdout
    assert "GatewayTimeout" in done.stdout
    assert '"demo-agent"' in done.stdout
    assert "Done: 10 calls" in done.stdout
    assert done.stderr == ""
    assert [*tmp_path.iterdir()] == []
