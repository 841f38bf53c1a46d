"""The command line, as a person and a script meet it."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.issues.errors import PermissionDeniedError, UnauthenticatedError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import KeyIdentity, UserIdentity
from tests.test_readme import commands
from tests.world import FIXTURE, SECRETS, SYMBOLS

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Shell:
    """Runs commands on one store, and holds what they printed."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capture = capture
        self.errors = ""

    def run(self, *arguments: str, code: int = 0) -> str:
        """The standard output."""
        try:
            returned = main([*arguments, "--store", str(self.path)])
        except SystemExit as leaving:  # argparse's way out
            returned = int(leaving.code or 0)
        output, self.errors = self._capture.readouterr()
        assert returned == code, self.errors
        assert "Traceback" not in self.errors
        return output.strip()


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shell(tmp_path / "store.db", capsys)


@pytest.fixture
def imported(shell: Shell, tmp_path: Path) -> Shell:
    file = tmp_path / "fixture.json"
    file.write_text(json.dumps(FIXTURE))
    shell.run("import", str(file))
    return shell


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
        (["serve", "--port", "1"], 2, "unrecognized arguments"),
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


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"owlmetry-mcp {__version__}\n"


# Import and export


def test_what_is_imported_is_exported_without_secrets(imported: Shell, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    imported.run("export", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    exported = json.loads(text)
    for secret in SECRETS.values():
        assert secret not in text
    sections = ("issues", "occurrences", "comments", "attachments", "teams", "users", "projects", "apps")
    for section in sections:
        for recorded, row in zip(FIXTURE[section], exported[section], strict=True):
            assert recorded.items() <= row.items()
    by_digest = {row["fingerprint"]: row for row in exported["fingerprints"]}
    assert all(recorded == by_digest[recorded["fingerprint"]] for recorded in FIXTURE["fingerprints"])

    copy = Shell(tmp_path / "copy.db", imported._capture)  # noqa: SLF001
    copy.run("import", str(file))
    assert copy.run("export", "-") == imported.run("export", "-") == text.strip()


async def test_keys_come_by_their_digests_as_by_their_secrets(imported: Shell, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    imported.run("export", str(file))
    copy = Shell(tmp_path / "copy.db", imported._capture)  # noqa: SLF001
    copy.run("import", str(file))
    with Store(copy.path) as store:
        me = await acting_as(store, SECRETS["agent"]).whoami()
    assert isinstance(me, KeyIdentity)
    assert me.name == "Triage Agent"


def test_standard_input_and_output_are_files_too(
    shell: Shell, imported: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = imported.run("export", "-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(document.encode())))
    copy = Shell(tmp_path / "copy.db", shell._capture)  # noqa: SLF001
    copy.run("import", "-")
    assert copy.run("export", "-") == document


def team(**row: object) -> str:
    return json.dumps({"teams": [{"id": SYMBOLS["nil"], **row}]})


BAD_DOCUMENTS = {
    "not JSON": ("{,}", "Invalid JSON: key must be a string at line 1 column 2"),
    "not text": (b"\xff\xfe\x00", "Invalid JSON"),
    "no object": ("[]", "Input should be an object"),
    "nested deeply": ("[" * 200_000, "Invalid JSON: recursion limit exceeded"),
    "a section that is no list": ('{"teams": {}}', "teams: Input should be a valid array"),
    "a row that is no object": ('{"teams": [1]}', "teams[0]: "),
    "a missing field": (team(name="x"), "teams[0].slug: "),
    "a bad id": (team(id="1"), "teams[0].id: an id must be a UUID"),
    "text with NUL": (team(name="a\0", slug="x"), "teams[0].name: text must hold no NUL"),
    "half a character": (team(name="\ud83e", slug="x"), "Invalid JSON: unexpected end of hex escape"),
    "a number too long": (f'{{"teams": [{"9" * 5000}]}}', "Invalid JSON: number out of range"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "said"), BAD_DOCUMENTS.values(), ids=BAD_DOCUMENTS)
def test_a_bad_document_is_refused_with_the_place_of_its_first_fault(
    shell: Shell, tmp_path: Path, document: str | bytes, said: str
) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(document if isinstance(document, bytes) else document.encode())
    before = shell.run("export", "-")
    shell.run("import", str(file), code=1)
    assert f"{file}: {said}" in shell.errors
    assert "Nothing was imported." in shell.errors
    assert shell.run("export", "-") == before


BAD_ROWS = {
    "issues[3].status": {"status": "closed"},
    "issues[3].app_id": {"app_id": SYMBOLS["ghost"]},
    "issues[3].project_id": {"project_id": SYMBOLS["blog"]},
    "issues[3].title": {"title": 5},
    "issues[3].occurrence_count": {"occurrence_count": -1},
    "issues[3].last_seen_at": {"last_seen_at": "yesterday"},
    "issues[3].first_seen_at": {"first_seen_at": "2026-10-20T10:00:00"},
    "issues[3].is_dev": {"is_dev": "no"},
    "issues[3]": {"id": FIXTURE["issues"][2]["id"]},
    "comments[1].author_type": {"author_type": "robot"},
    "comments[1].issue_id": {"issue_id": SYMBOLS["ghost"]},
    "occurrences[2].session_id": {"session_id": "s"},
    "occurrences[2]": {"session_id": FIXTURE["occurrences"][1]["session_id"]},
    "api_keys[0]": {"secret": "owl_client_x"},
    "api_keys[5]": {"secret": None},
    "users[0].memberships[0].team_id": {"memberships": [{"team_id": SYMBOLS["ghost"], "role": "member"}]},
    "users[0].memberships[0].role": {"memberships": [{"team_id": SYMBOLS["team_a"], "role": "king"}]},
    "apps[0].team_id": {"team_id": SYMBOLS["team_b"]},
    "fingerprints[0].issue_id": {"issue_id": SYMBOLS["i_foreign"]},
    "attachments[0].issue_id": {"issue_id": SYMBOLS["i_blog"]},
    "attachments[0].project_id": {"project_id": SYMBOLS["blog"]},
    "api_keys[5].app_id": {"team_id": SYMBOLS["team_b"]},
    "api_keys[7]": {"app_id": None},
}  # fmt: skip


@pytest.mark.parametrize(("place", "change"), BAD_ROWS.items(), ids=BAD_ROWS)
def test_an_import_is_all_or_nothing(shell: Shell, tmp_path: Path, place: str, change: dict[str, object]) -> None:
    section, index = re.findall(r"^(\w+)\[(\d+)\]", place)[0]
    document = json.loads(json.dumps(FIXTURE))
    document[section][int(index)] |= change
    file = tmp_path / "bad.json"
    file.write_text(json.dumps(document))
    before = shell.run("export", "-")
    shell.run("import", str(file), code=1)
    assert f"{file}: {place}: " in shell.errors
    assert shell.run("export", "-") == before


def test_importing_twice_is_refused_and_changes_nothing(imported: Shell, tmp_path: Path) -> None:
    before = imported.run("export", "-")
    imported.run("import", str(tmp_path / "fixture.json"), code=1)
    assert "teams[0]: there is one already" in imported.errors
    assert imported.run("export", "-") == before


@pytest.mark.parametrize("document", [{}, {"teams": []}, {"users": []}])
def test_an_import_of_nothing_leaves_a_fresh_store_as_it_was(
    shell: Shell, tmp_path: Path, document: dict[str, object]
) -> None:
    before = shell.run("export", "-")
    file = tmp_path / "nothing.json"
    file.write_text(json.dumps(document))
    shell.run("import", str(file))
    assert shell.run("export", "-") == before


def test_issues_can_be_imported_into_the_app_of_a_fresh_store(shell: Shell, tmp_path: Path) -> None:
    app = json.loads(shell.run("export", "-"))["apps"][0]
    issue = FIXTURE["issues"][0] | {"app_id": app["id"], "project_id": app["project_id"]}
    file = tmp_path / "issue.json"
    file.write_text(json.dumps({"issues": [issue]}))
    shell.run("import", str(file))
    assert json.loads(shell.run("export", "-"))["issues"] == [issue]


async def test_a_local_agent_at_work_goes_on_after_an_import(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "fixture.json"
    file.write_text(json.dumps(FIXTURE))
    with Store(shell.path) as store:
        agent = acting_as_local_agent(store, "claude-code")
        before = await agent.whoami()
        shell.run("import", str(file))
        after = await agent.whoami()
    assert isinstance(before, KeyIdentity)
    assert isinstance(after, KeyIdentity)
    assert (before.name, before.team.name) == ("claude-code", "My team")
    assert (after.name, after.team.name) == ("claude-code", "Night Owls")


def test_an_import_into_a_store_in_use_adds_to_it(shell: Shell, tmp_path: Path) -> None:
    shell.run("keys", "create", "--name", "Mine")
    file = tmp_path / "fixture.json"
    file.write_text(json.dumps(FIXTURE))
    shell.run("import", str(file))
    listed = shell.run("projects", "list")
    assert all(name in listed for name in ("My project", "Shop", "Blog", "Foreign"))


def test_times_are_kept_in_utc_with_milliseconds(imported: Shell, tmp_path: Path) -> None:
    comment = FIXTURE["comments"][0] | {"id": SYMBOLS["ghost"], "created_at": "2026-10-19T14:00:00+02:00"}
    file = tmp_path / "comment.json"
    file.write_text(json.dumps({"comments": [comment]}))
    imported.run("import", str(file))
    rows = {row["id"]: row for row in json.loads(imported.run("export", "-"))["comments"]}
    assert rows[SYMBOLS["ghost"]]["created_at"] == "2026-10-19T12:00:00.000Z"


def test_what_a_store_has_no_place_for_is_named(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "fixture.json"
    file.write_text(json.dumps(FIXTURE | {"weather": []}))
    shell.run("import", str(file))
    assert "Passed over what a store has no place for: api_keys.alias, weather." in shell.errors


def test_an_export_through_a_link_writes_what_it_leads_to(imported: Shell, tmp_path: Path) -> None:
    file, link = tmp_path / "file.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    imported.run("export", str(link))
    assert link.is_symlink()
    assert json.loads(file.read_text())["teams"]


def test_an_export_into_a_pipe_is_read_at_its_other_end(imported: Shell, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    imported.run("export", str(pipe))
    reader.join(30)
    assert json.loads(read[0])["teams"]
    assert pipe.is_fifo()


def test_a_failed_export_leaves_the_earlier_one_and_no_draft(imported: Shell, tmp_path: Path) -> None:
    directory = tmp_path / "exports"
    directory.mkdir()
    file = directory / "export.json"
    file.write_text("earlier")
    imported.path.write_bytes(b"no longer a store")
    imported.run("export", str(file), code=1)
    assert [*directory.iterdir()] == [file]
    assert file.read_text() == "earlier"


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
    assert calls == ["list_issues", "get_issue", "update_status", "comment", "merge", "update_status", "list_issues"]
    assert "resolved" in done.stdout
    assert '"demo-agent"' in done.stdout
    assert "Done: 7 calls" in done.stdout
    assert done.stderr == ""
    assert [*tmp_path.iterdir()] == []
