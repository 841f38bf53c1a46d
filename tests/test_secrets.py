"""Keys and tokens come out of no door: no answer, log, `repr`, export or command line has one."""

import json
import os
import re
import subprocess
import traceback
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

import httpx2
import jwt
import pytest

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.live import LiveBackend, Wire
from owlmetry_mcp.backends.store.access import credential
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.settings import CONFIG_FILE, load
from tests.over_http import ACCEPTED, Posted, bearer
from tests.stdio import COMMAND, RawClient
from tests.test_readme import SHELL_BLOCKS, choices
from tests.world import SECRETS, SYMBOLS, World, no_wait

TIMEOUT = {"issue_id": SYMBOLS["i_timeout"], "project_id": SYMBOLS["shop"]}
LEAST = 12
"""So many characters of a secret in a row are a part of it that is not to be seen, either."""


def telling(secret: str) -> Iterator[str]:
    """Parts of a secret, of which one is in whatever shows a good deal of it."""
    body = re.sub(r"^owl_[a-z]+_", "", secret)
    yield from (body[start : start + LEAST] for start in range(0, len(body) - LEAST, LEAST // 2))


@dataclass
class Leaks:
    """The secrets there are, and what came out of each door."""

    secrets: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def found(self) -> list[tuple[str, str]]:
        return [
            (door, name)
            for door, text in self.said.items()
            for name, secret in self.secrets.items()
            if any(part in text for part in telling(secret))
        ]


def everything(world: World) -> dict[str, str]:
    """A key or token of every kind, right and wrong."""
    world.clock.advance(days=36_500)  # processes go by the real clock, at which tokens are to be valid
    (signing,) = world.store.read(lambda tx: tx.one("SELECT token_secret FROM store"))
    token = world.credential("olga")
    return {
        "agent": SECRETS["agent"],
        "broken": SECRETS["agent2"],
        "expired": SECRETS["expired"],
        "client": SECRETS["client"],
        "import": SECRETS["importer"],
        "unknown": "owl_agent_5ca1ab1e0ddba11c0ffee15bad5eed99",
        "of a typo": SECRETS["agent"].replace("owl_agent_", "owl-agent_")[:-1] + "ZYXWVUTSRQPONM",
        "with a blank": "owl_agent_9e9e1d2c3b4a59687786 a5b4c3d2e1f0",
        "token": token,
        "token of another key": jwt.encode({"sub": "x", "exp": 4_000_000_000}, "0123456789abcdef" * 4),
        "what tokens are signed with": signing,
    }


@contextmanager
def process(*arguments: str, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], list[str]]]:
    """A command at its most talkative, and what it said on standard error, once it has ended."""
    said: list[str] = []
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OWLMETRY_")}
    with TemporaryFile() as errors:
        with subprocess.Popen(
            [*COMMAND, *arguments, "--log-level", "debug"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=kept | environment,
        ) as running:  # fmt: skip
            try:
                yield running, said
            except BaseException:
                running.kill()
                raise
        errors.seek(0)
        said.append(errors.read().decode())


def triaged(leaks: Leaks, door: str, *flags: str, **environment: str) -> None:
    """What an agent is told, and what is logged, when it is served so."""
    with process("serve", *flags, **environment) as (running, logged):
        client = RawClient(running, "handshake")
        client.send(
            b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",'
            b'"capabilities":{},"clientInfo":{"name":"x","version":"1"}}}\n',
            client.call(1, "whoami"),
            client.call(2, "get_issue", **TIMEOUT),
            client.call(3, "no_such_tool"),
            client.request(4, "resources/read", uri="owlmetry://guide"),
            client.request(5, "prompts/get", name="triage"),
            b"nonsense\n",
            client.call(6, "comment", **TIMEOUT, body="Hm."),
        )
        answers: list[object] = []
        while len(answers) < 8:
            answers.append(client.answer())
        leaks.said[f"{door}: command line"] = command_line(running)
        assert client.rest() == []
    leaks.said[f"{door}: answers"] = json.dumps(answers)
    leaks.said[f"{door}: log"] = logged[0]
    assert "DEBUG" in logged[0]


def command_line(running: subprocess.Popen[bytes]) -> str:
    return subprocess.check_output(["ps", "-o", "args=", "-p", str(running.pid)], text=True)  # noqa: S607 - wherever it is


def asked_over_http(leaks: Leaks, address: str) -> None:
    """With few wrong ones: more would be answered slowly."""
    answers = []
    with httpx2.Client(base_url=address) as http:
        for name in ("agent", "broken", "client", "token", "unknown", "of a typo", "token of another key"):
            header = {"Authorization": f"Bearer {leaks.secrets[name]}"}
            answers.append(http.get("/v1/projects", headers=header))
        secret = leaks.secrets["agent"]
        answers.append(http.get(f"/v1/projects?api_key={secret}&token={secret}"))
        answers.append(http.get(f"/v1/{secret}"))
        header = {"Authorization": f"Bearer {secret}"}
        answers.append(http.patch(f"/v1/projects/{TIMEOUT['project_id']}/issues/x", headers=header, content=b"{"))
        answers.append(http.get("/v1/projects", headers=header | {"Host": "evil.example"}))
    assert {answer.status_code for answer in answers} == {200, 400, 401, 403, 404, 500}
    leaks.said["api: answers"] = "".join(f"{answer.headers}{answer.text}" for answer in answers)


def asked_of_mcp(leaks: Leaks, url: str) -> None:
    """In both eras, also where a key has no place."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "get_issue", "arguments": TIMEOUT}}
    answers = []
    with httpx2.Client(headers=ACCEPTED) as http:
        for name in ("agent", "broken", "client", "import", "token", "unknown", "of a typo", "token of another key"):
            with Posted(url, leaks.secrets[name]) as posted:
                answers.append(posted.call("whoami"))
                answers.append(posted.raw(json=body))
        secret = leaks.secrets["agent"]
        answers.append(http.post(f"{url}?api_key={secret}&token={secret}", json=body))
        answers.append(http.post(f"{url}/{secret}", json=body))
        answers.append(http.post(url, json=body, headers=bearer(secret) | {"Host": secret}))
        answers.append(http.post(url, json=body, headers=bearer(secret) | {"Origin": f"http://{secret}"}))
    assert {answer.status_code for answer in answers} == {200, 401, 403, 404, 421, 500}
    leaks.said["serve --http: answers"] = "".join(f"{answer.headers}{answer.text}" for answer in answers)


def break_key(tx: Transaction) -> None:
    """Have whatever reads the key fail in a way that no one foresaw."""
    tx.run("UPDATE api_keys SET permissions = 'nonsense' WHERE name = 'Fixer Agent'")


@pytest.fixture
def leaks(world: World) -> Leaks:
    return Leaks(everything(world))


def test_no_process_says_a_secret(leaks: Leaks, world: World, tmp_path: Path) -> None:
    secrets, store = leaks.secrets, str(world.store.path)
    world.store.write(break_key)
    for name in ("broken", "token of another key"):
        triaged(leaks, f"serve with the {name}", "--store", store, OWLMETRY_API_KEY=secrets[name])
    config = tmp_path / CONFIG_FILE
    config.parent.mkdir()
    with process("api", "--port", "0", "--store", store) as (api, logged):
        assert api.stdout
        address = api.stdout.readline().split()[-1].decode()
        asked_over_http(leaks, address)
        for name in ("agent", "broken"):
            team = {"api_key": secrets[name], "team_name": "Night Owls", "team_slug": "night-owls"}
            config.write_text(json.dumps({"endpoint": address, "active_team": "x", "teams": {"x": team}}))
            triaged(
                leaks,
                f"serve over HTTP with the {name}",
                "--backend",
                "live",
                "--call-timeout",
                "2",
                HOME=str(tmp_path),
            )
        leaks.said["api: command line"] = command_line(api)
        api.terminate()
    leaks.said["api: log"] = logged[0]
    assert "Traceback" in leaks.said["api: log"]  # of the broken key, so that there was one to look at
    with process("serve", "--http", "--port", "0", "--store", store) as (mcp, logged):
        assert mcp.stdout
        asked_of_mcp(leaks, mcp.stdout.readline().split()[-1].decode())
        leaks.said["serve --http: command line"] = command_line(mcp)
        mcp.terminate()
    leaks.said["serve --http: log"] = logged[0]
    assert "Traceback" in leaks.said["serve --http: log"]  # likewise
    with process("serve", OWLMETRY_API_KEY=secrets["with a blank"], OWLMETRY_ENDPOINT="x") as (_, logged):
        pass
    leaks.said["serve, wrongly set"] = logged[0]
    assert "OWLMETRY_API_KEY" in logged[0]
    assert leaks.found() == []


def test_doctor_describes_secrets_and_shows_none(leaks: Leaks, world: World, tmp_path: Path) -> None:
    """Wherever one is found: in the environment, in the config file, in a client's file, in what a program says."""
    secrets, store = leaks.secrets, str(world.store.path)
    program = tmp_path / "owlmetry-mcp"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$OWLMETRY_API_KEY\" '{secrets['agent']}' >&2\n")
    program.chmod(0o700)
    entries = {
        name: {"command": str(program), "args": ["--team", secret], "env": {"OWLMETRY_API_KEY": secret}}
        for name, secret in secrets.items()
        if name != "of a typo"  # which nothing but its place would tell from a team's name
    } | {
        "owlmetry as arguments": {"command": str(program), "args": [*secrets.values()]},
        "owlmetry by another": {"command": "sh", "args": [*secrets.values()], "env": {"TOKEN": secrets["token"]}},
        "owlmetry by address": {"url": f"https://{secrets['agent']}@owl.example.com/{secrets['token']}"},
    }
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text(json.dumps({"mcpServers": entries}))
    (tmp_path / ".gemini").mkdir()
    (tmp_path / ".gemini" / "settings.json").write_text(f'{{"mcpServers": {{"owlmetry": {secrets["agent"]}')
    (tmp_path / CONFIG_FILE).parent.mkdir()
    team = {"api_key": secrets["agent"], "team_name": "Night Owls", "team_slug": "night-owls"}
    config = {"endpoint": "http://127.0.0.1:1", "active_team": "x", "teams": {"x": team}}
    (tmp_path / CONFIG_FILE).write_text(json.dumps(config))
    ways = {
        "broken": ("--store", store),
        "of a typo": ("--backend", "live", "--endpoint", "http://127.0.0.1:1", "--call-timeout", "1", "--json"),
        "": ("--backend", "live", "--call-timeout", "1", "--json"),
    }
    world.store.write(break_key)
    for name, flags in ways.items():
        with process("doctor", *flags, OWLMETRY_API_KEY=secrets.get(name, ""), HOME=str(tmp_path)) as (doctor, said):
            assert doctor.stdout
            leaks.said[f"doctor with the {name}"] = doctor.stdout.read().decode()
        leaks.said[f"doctor's log with the {name}"] = said[0]
        assert "does not start" in leaks.said[f"doctor with the {name}"]
    assert leaks.found() == []


def test_nothing_that_is_kept_or_copied_holds_a_secret(leaks: Leaks, world: World, tmp_path: Path) -> None:
    for command, file in (("export", "export.json"), ("backup", "copy.db")):
        subprocess.run([*COMMAND, command, str(tmp_path / file), "--store", str(world.store.path)], check=True)
    own = leaks.secrets.pop("what tokens are signed with")  # which a store and its copy hold, and are kept private for
    for path in (world.store.path, Path(f"{world.store.path}-wal"), tmp_path / "copy.db", tmp_path / "export.json"):
        leaks.said[path.name] = path.read_bytes().decode("latin-1")
    assert [name in leaks.said and own in leaks.said[name] for name in ("copy.db", "export.json")] == [True, False]
    assert leaks.found() == []


@pytest.mark.parametrize("name", ["agent", "unknown", "expired", "token", "token of another key", "of a typo"])
async def test_nothing_shows_itself_with_a_secret_in_it(leaks: Leaks, world: World, name: str) -> None:
    secret = leaks.secrets[name]
    settings = load({"serves": True}, {"OWLMETRY_API_KEY": secret, "OWLMETRY_ENDPOINT": "http://127.0.0.1:1"})
    wire = Wire(settings.endpoint, secret, sleep=no_wait)
    live, stored = LiveBackend(wire), acting_as(world.store, secret)
    server = TriageServer(Desk(lambda _: live))
    shown: list[object] = [
        settings,
        credential(secret),
        wire,
        live,
        stored,
        vars(live),
        vars(stored),
        server,
        server.desk,
    ]
    leaks.said["shown"] = "".join(f"{thing!r} {thing}" for thing in shown)
    for backend in (live, stored):
        try:
            leaks.said[f"{backend}"] = f"{await backend.whoami()!r}"
        except OwlmetryError as error:
            leaks.said[f"{backend}"] = "".join(traceback.format_exception(error)) + repr(error)
    await live.aclose()
    assert settings.api_key == secret
    assert leaks.found() == []


def test_no_command_takes_a_secret() -> None:
    def options(command: ArgumentParser) -> Iterator[str]:
        for action in command._actions:  # noqa: SLF001 - argparse shows them to no one
            yield from (action.option_strings or [action.dest])
        for inner in choices(command).values():
            yield from options(inner)

    named = {name for name in options(parser()) if re.search("key|token|secret|password|auth", name)}
    # `keys revoke` takes a key's id or name, `install --key-in-file` nothing
    assert named == {"key", "--key-in-file"}
    settings = {"api_key": "owl_agent_x"}
    assert load(settings, {}).api_key == "owl_agent_x"  # were there such a flag, it would be taken
    shown = re.compile(r"owl_[a-z]+_(?!…)|eyJ|^(?!export ).*OWLMETRY_\w*KEY=", re.MULTILINE)
    assert not [block for block in SHELL_BLOCKS if shown.search(block)]


def test_a_new_secret_is_on_standard_output_alone(world: World) -> None:
    made = subprocess.run(
        [*COMMAND, "keys", "create", "--name", "New", "--store", str(world.store.path)],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    secret = made.stdout.strip()
    leaks = Leaks({"new": secret}, {"standard error": made.stderr, "standard output": made.stdout})
    assert leaks.found() == [("standard output", "new")]
