"""`push` and `pull` at the command line."""

import json
import os
import pty
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.parameters import UUID
from tests.carrying.ground import allow_all, event, held, take_in
from tests.shell import Shell
from tests.stdio import COMMAND
from tests.world import SECRETS, HttpFace, World

KEYS = {"OWLMETRY_API_KEY": SECRETS["agent"], "OWLMETRY_IMPORT_KEY": SECRETS["importer"]}


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in KEYS.items():
        monkeypatch.setenv(name, secret)


@pytest.fixture
def carried(shell: Shell, lived: Store, server: World, keys: None) -> Shell:
    """A shell at the store with a history."""
    del server, keys
    shell.path = lived.path
    return shell


def no_secret_in(*texts: str | bytes) -> bool:
    return not [text for text in texts for secret in KEYS.values() if secret in str(text)]


def test_a_push_says_what_goes_where_before_and_what_became_of_it_after(
    carried: Shell, server: World, http_face: HttpFace
) -> None:
    said = carried.run("push", "--to", http_face.endpoint)
    assert re.sub(r"\b[0-9a-f]{8}\b", "…", said).splitlines() == [
        "Carried: 13 events, 1 merge, 4 statuses, 3 comments.",
        "Already there: nothing.",
        "Not carried:",
        "  status … → …: regressed is what a server's own scan alone makes of an issue; there it is new",
        "  comment: they were deleted",
    ]
    before, after = carried.errors.splitlines()
    assert re.sub(r"\b[0-9a-f]{8}\b", "…", before) == (
        "My app (…): 13 events and its issues' triage, to the app that the import key is of, in the team Night Owls,"
        f" at {http_face.endpoint}."
    )
    assert after == "The events of My app are in the app cc8e5f08 in the project f286893c."
    assert len(held(server.store)["events"]) == 13
    assert no_secret_in(said, carried.errors, *(path.read_bytes() for path in carried.path.parent.glob("here.db*")))


def test_its_report_is_json_where_that_is_asked_for(carried: Shell, http_face: HttpFace) -> None:
    planned = json.loads(carried.run("push", "--to", http_face.endpoint, "--dry-run", "--json"))
    assert (planned["dry_run"], planned["counts"]["event"]) == (True, {"carried": 13})
    report = json.loads(carried.run("push", "--to", http_face.endpoint, "--json"))
    assert report["counts"] == {
        "event": {"carried": 13},
        "merge": {"carried": 1},
        "comment": {"carried": 3, "not_carried": 1},
        "status": {"carried": 4, "not_carried": 1},
    }
    assert report["stopped"] is None
    assert [line for line in report["lines"] if line["outcome"] == "not_carried" and line["what"] == "comment"] == [
        {"what": "comment", "outcome": "not_carried", "why": "they were deleted"}
    ]
    assert all(UUID.fullmatch(line[side]) for line in report["lines"] for side in ("here", "there")
               if side in line)  # fmt: skip


@pytest.mark.usefixtures("server", "keys")
def test_events_that_a_server_refuses_for_one_reason_are_told_on_one_line(
    shell: Shell, store: Store, http_face: HttpFace
) -> None:
    take_in(store, [event("Bad", f"session {number}", environment="backend") for number in range(3)])
    shell.path = store.path
    said = shell.run("push", "--to", http_face.endpoint, code=1)
    first = json.loads(shell.run("push", "--to", http_face.endpoint, "--json", code=1))["lines"][0]["here"]
    why = 'environment "backend" is not allowed for apple apps (allowed: ios, ipados, macos, watchos)'
    assert said.splitlines()[2:] == ["Not carried:", f"  3 events, the first {first}: {why}"]


def test_on_a_terminal_a_bar_shows_how_far_it_is(carried: Shell, http_face: HttpFace) -> None:
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "push", "--to", http_face.endpoint, "--store", str(carried.path)],
        stdout=subprocess.PIPE, stderr=its_end, env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    ) as process:  # fmt: skip
        os.close(its_end)
        shown = b""
        with suppress(OSError):  # what a terminal says whose other end is closed
            while read := os.read(terminal, 4096):
                shown += read
        assert process.stdout
        assert process.stdout.read().startswith(b"Carried: 13 events")
    os.close(terminal)
    assert b"events of My app" in shown
    assert b"triage of My app" in shown


def test_a_push_that_does_not_come_to_its_end_fails(
    carried: Shell, http_face: HttpFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWLMETRY_CALL_TIMEOUT", "0.3")
    assert not carried.run("push", "--to", "http://127.0.0.1:9", code=1)
    assert "The Owlmetry server at 127.0.0.1:9 cannot be used now" in carried.errors
    carried.run("push", "--to", http_face.endpoint)


def test_a_key_of_the_store_itself_does_not_leave_it(
    shell: Shell, store: Store, http_face: HttpFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(tx: Transaction) -> tuple[administration.Added, str]:
        return administration.create_agent_key(tx, administration.find_team(tx).key, "Own", read_only=False, days=None)

    monkeypatch.setenv("OWLMETRY_API_KEY", store.write(make)[1])
    shell.path = store.path
    shell.run("push", "--to", http_face.endpoint, code=1)
    assert f"OWLMETRY_API_KEY is a key of the store {store.path} itself" in shell.errors


def test_wrong_settings_are_named_as_they_were_given(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.run("push", "--to", "nowhere", code=2)
    assert "--to: it must be a server's address" in shell.errors
    shell.run("push", code=2)
    assert "the following arguments are required: --to" in shell.errors
    shell.run("push", "--to", "https://owl.example.com", code=2)
    assert "OWLMETRY_API_KEY: the live backend needs an agent key" in shell.errors
    monkeypatch.setenv("OWLMETRY_API_KEY", SECRETS["agent"])
    monkeypatch.setenv("OWLMETRY_IMPORT_KEY", "two words")
    shell.run("push", "--to", "https://owl.example.com", code=2)
    assert "OWLMETRY_IMPORT_KEY: it must be a key (owl_…)" in shell.errors
    monkeypatch.delenv("OWLMETRY_IMPORT_KEY")
    shell.run("push", "--to", "https://owl.example.com", "--wait", "-1", code=1)
    assert "--wait must be a number of seconds from 0 to 3600" in shell.errors
    shell.run("pull", "--from", "https://owl.example.com", "--events-since", "yesterday", code=1)
    assert "--events-since must be an instant" in shell.errors


@pytest.mark.usefixtures("keys")
def test_a_pull_takes_the_server_and_the_key_of_the_settings(
    shell: Shell, server: World, http_face: HttpFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_in(server.store, [event("Failed\u202e", "one", environment="ios")], "Shop iOS")
    monkeypatch.setenv("OWLMETRY_ENDPOINT", http_face.endpoint)
    shell.path = tmp_path / "pulled.db"
    said = shell.run("pull")
    assert said.splitlines() == [
        "Carried: 1 issue, 1 event, 1 occurrence.",
        "Already there: nothing.",
        "Not carried:",
        "  users, keys, the audit trail, deleted comments: no answer of a server has any",
        "  attachments' bytes: no answer of a server has any",
    ]
    assert shell.errors == f"Pulling from {http_face.endpoint} into {shell.path}.\n"
    assert no_secret_in(said, *(path.read_bytes() for path in shell.path.parent.glob("pulled.db*")))
    shell.run("pull", code=1)
    assert "The store was pulled from there on" in shell.errors


def test_the_key_may_come_from_owlmetrys_own_config_file(
    shell: Shell, lived: Store, server: World, http_face: HttpFace, tmp_path: Path
) -> None:
    server.store.write(allow_all)
    config = {"endpoint": http_face.endpoint, "active_team": "1", "teams": {"1": {"api_key": SECRETS["agent"]}}}
    (tmp_path / ".owlmetry").mkdir()
    (tmp_path / ".owlmetry" / "config.json").write_text(json.dumps(config))
    shell.path = lived.path
    shell.run("push", "--to", http_face.endpoint, code=1)
    assert "There are events to carry, and no import key to send them with" in shell.errors
    shell.run("push", "--to", "https://owl.example.com", code=2)
    assert "the key in ~/.owlmetry/config.json is for" in shell.errors
