"""`owlmetry-mcp doctor`: of clients' entries, what it starts of them and what not; and of the round trip."""

import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.clients.invocations import arguments_of_ours
from owlmetry_mcp.doctor import entries
from owlmetry_mcp.doctor.findings import Finding
from tests.examined import Patient
from tests.test_scan import old_store
from tests.world import SECRETS, FakeClock, HttpFace, World

KEY = "OWLMETRY_API_KEY"
SCRIPT = Path(sysconfig.get_path("scripts"), "owlmetry-mcp")
TRIP = "initialize (MCP 2025-11-25), tools/list ({} tools), list_issues on {}: SECONDS s in all"


@pytest.fixture
def patient(tmp_path: Path, clock: FakeClock) -> Patient:
    (tmp_path / "home" / "project").mkdir(parents=True)
    return Patient(tmp_path / "home", clock, {"OWLMETRY_STORE": str(tmp_path / "home" / "store.db")})


def program(patient: Patient, script: str, name: str = "owlmetry-mcp") -> str:
    """A program of that name, that does what the script says."""
    path = patient.home / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return str(path)


def anew(client: str, name: str) -> str:
    return f"`owlmetry-mcp install {client} --name {name}` writes it anew."


def elsewhere(patient: Patient) -> dict[str, str]:
    """So that an entry is of the store that is looked at."""
    return {"OWLMETRY_STORE": str(patient.home / "store.db")}


def test_where_no_client_mentions_it_that_is_noted(patient: Patient) -> None:
    patient.has(".cursor/mcp.json", {"other": {"command": "npx", "args": ["other-mcp"]}})
    remedy = "`owlmetry-mcp install CLIENT` adds it to one."
    assert patient.found("clients") == [
        Finding("clients.none", "note", "no client's file mentions owlmetry-mcp", remedy)
    ]


def test_an_entry_is_started_as_its_client_would_and_makes_no_store(patient: Patient) -> None:
    entry = {"command": sys.executable, "args": ["-m", "owlmetry_mcp"], "env": elsewhere(patient)}
    patient.has(".cursor/mcp.json", {"owls": entry})
    assert patient.found("clients") == [
        Finding(
            "clients.cursor",
            "ok",
            f'"owls" in ~/.cursor/mcp.json (user) starts owlmetry-mcp {__version__} in SECONDS s:'
            f" {sys.executable} -m owlmetry_mcp",
        )
    ]
    assert not (patient.home / "store.db").exists()


def test_an_entry_gets_its_own_environment_and_the_clients_by_reference(patient: Patient) -> None:
    seen = patient.home / "seen"
    command = program(patient, f'env > {seen}; echo "$@" >> {seen}; pwd >> {seen}')
    patient.environment |= {KEY: SECRETS["agent"], "OTHER": "not passed on"}
    env = {KEY: "${env:OWLMETRY_API_KEY}", "OWLMETRY_ENDPOINT": "https://owl.example.com"}
    patient.has(".cursor/mcp.json", {"owls": {"command": command, "args": ["--read-only"], "env": env}})
    found = patient.found("clients")
    lines = seen.read_text().splitlines()
    assert f"{KEY}={SECRETS['agent']}" in lines
    assert not any(line.startswith(("OTHER=", "OWLMETRY_STORE=")) for line in lines)
    assert lines[-2:] == ["--read-only", str(patient.home)]
    assert found == [
        Finding(
            "clients.cursor",
            "note",
            '"owls" in ~/.cursor/mcp.json (user) uses another server than is looked at here: https://owl.example.com',
            "To look at it, set OWLMETRY_ENDPOINT to it and OWLMETRY_API_KEY to a key of that very server.",
        ),
        Finding(
            "clients.cursor",
            "broken",
            '"owls" in ~/.cursor/mcp.json (user) does not start: ~/bin/owlmetry-mcp --read-only:'
            " it ended without an answer",
            anew("cursor", "owls"),
        ),
    ]


def test_a_value_that_only_the_client_has_is_noted_and_does_not_stop_the_start(patient: Patient) -> None:
    command = program(patient, f'exec {SCRIPT} "$@"')
    env = {KEY: "${env:NOT_SET_HERE}", **elsewhere(patient)}
    patient.has(".cursor/mcp.json", {"owls": {"command": command, "env": env}})
    note, started = patient.found("clients")
    assert note == Finding(
        "clients.cursor",
        "note",
        f'"owls" in ~/.cursor/mcp.json (user) takes {KEY} from the client\'s environment,'
        " and here there is no such value",
        "See that it is set where the client is started.",
    )
    assert started.state == "ok"


def test_an_entry_whose_program_is_gone_is_to_be_written_anew(patient: Patient) -> None:
    plain = patient.home / "owlmetry-mcp"
    plain.touch()
    entries_ = {
        "gone": {"command": "/gone/venv/bin/owlmetry-mcp"},
        "plain": {"command": str(plain)},
        "relative": {"command": "./bin/owlmetry-mcp"},
    }
    patient.has(".gemini/settings.json", entries_)
    said = {"gone": "/gone/venv/bin/owlmetry-mcp", "plain": "~/owlmetry-mcp", "relative": "./bin/owlmetry-mcp"}
    assert patient.found("clients") == [
        Finding(
            "clients.gemini",
            "broken",
            f'"{name}" in ~/.gemini/settings.json (user) runs {command}, which is not there or cannot be run',
            anew("gemini", name),
        )
        for name, command in said.items()
    ]


def test_what_install_would_not_write_anew_is_put_right_otherwise(patient: Patient) -> None:
    gone = {"command": "/gone/venv/bin/owlmetry-mcp"}
    servers = {"owlmetry": gone, "my owls; rm -rf": gone}
    patient.has(".claude.json", {"/a b/c": {"mcpServers": {"owls": gone}}}, section="projects")
    patient.has("project/.cursor/mcp.json", servers)
    assert [found.remedy for found in patient.found("clients")] == [
        "`claude mcp remove --scope local owls`, in '/a b/c', takes it out: it goes before all others.",
        "`owlmetry-mcp install cursor --scope project` writes it anew.",
        "Correct it by hand, or take it out.",
    ]


def test_what_a_program_says_as_it_fails_is_told_without_its_secrets(patient: Patient) -> None:
    secret, opaque = SECRETS["agent"], "correct-horse-battery"
    shout = f"echo first >&2; echo 'using {secret} and {opaque}' >&2; printf 'bad \\033[31m news\\n\\n' >&2; exit 3"
    env = {KEY: opaque, **elsewhere(patient)}
    patient.has(".cursor/mcp.json", {"owls": {"command": program(patient, shout), "env": env}})
    assert patient.found("clients") == [
        Finding(
            "clients.cursor",
            "broken",
            '"owls" in ~/.cursor/mcp.json (user) does not start: ~/bin/owlmetry-mcp: it ended without an answer;'
            " it said last: first / using owl_agent_… and [a secret of 21 characters] / bad \\x1b[31m news",
            anew("cursor", "owls"),
        )
    ]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 60", "no answer within 0 s"),
        ("while :; do echo no; echo sense >&2; done", "no answer within 0 s; it said last: sense / sense / sense"),
        ('echo \'{"jsonrpc":"2.0","id":1,"result":{}}\'; cat > /dev/null', "it answered"),
    ],
)
def test_a_program_that_does_not_answer_as_a_server_is_not_waited_for(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    monkeypatch.setattr(entries, "_SECONDS", 0.3)
    command = program(patient, f"trap '' PIPE; {script}")
    patient.has(".cursor/mcp.json", {"owls": {"command": command, "env": elsewhere(patient)}})
    (found,) = patient.found("clients")
    assert (found.state, found.remedy) == ("broken", anew("cursor", "owls"))
    assert said in found.what


def test_nothing_is_started_that_is_not_surely_ours_as_a_server(patient: Patient) -> None:
    mark = patient.home / "started"
    ours = program(patient, f"touch {mark}")
    other = program(patient, f"touch {mark}", "other")
    patient.has(
        ".cursor/mcp.json",
        {
            "owlmetry-a": {"command": other},
            "owlmetry-b": {"command": "sh", "args": ["-c", f"touch {mark}; owlmetry-mcp"]},
            "c": {"command": ours, "args": ["prune", "--events-older-than", "0"]},
            "d": {"command": ours, "args": ["doctor"]},
            "e": {"command": ours, "args": ["--help"]},
            "owlmetry-f": {"url": "https://key:secret@owl.example.com/mcp?key=secret"},
        },
    )
    at = "in ~/.cursor/mcp.json (user)"
    arguments = f"{at} runs ~/bin/owlmetry-mcp with arguments that are not those of `owlmetry-mcp serve`"
    not_ours = "which is not surely owlmetry-mcp, and was not started"
    if_ours = f"If it should be owlmetry-mcp: {anew('cursor', 'owlmetry-{} --force')}"
    assert patient.found("clients") == [
        Finding("clients.cursor", "note", f'"owlmetry-a" {at} runs ~/bin/other, {not_ours}', if_ours.format("a")),
        Finding("clients.cursor", "note", f'"owlmetry-b" {at} runs sh, {not_ours}', if_ours.format("b")),
        *(Finding("clients.cursor", "broken", f'"{name}" {arguments}', anew("cursor", name)) for name in "cde"),
        Finding("clients.cursor", "note", f'"owlmetry-f" {at} goes to https://owl.example.com, and was not asked'),
    ]
    assert not mark.exists()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("/x/bin/owlmetry-mcp serve --read-only", "serve --read-only"),
        (r"C:\x\Scripts\owlmetry-mcp.exe", ""),
        ("python3.12 -m owlmetry_mcp serve", "serve"),
        ("uvx owlmetry-mcp@latest --read-only", "--read-only"),
        ("uvx --python 3.12 --from=git+https://example.com/x owlmetry-mcp serve", "serve"),
        ("/opt/uv tool run owlmetry-mcp serve", "serve"),
        ("pipx run --spec ./x owlmetry-mcp", ""),
        ("uvx --from owlmetry-mcp other", None),
        ("uvx --with other owlmetry-mcp", None),
        ("uvx other owlmetry-mcp", None),
        ("uvx --from", None),
        ("pipx install owlmetry-mcp", None),
        ("python3 -c owlmetry_mcp", None),
        ("python3 owlmetry_mcp", None),
        ("env owlmetry-mcp", None),
        ("owlmetry-mcp-evil", None),
        ("", None),
    ],
)
def test_what_is_ours_is_known_by_its_words(words: str, arguments: str | None) -> None:
    found = arguments_of_ours(words.split())
    assert (None if found is None else " ".join(found)) == arguments


def test_what_a_projects_files_name_is_started_only_where_it_is_this_program_or_the_person_says_so(
    patient: Patient,
) -> None:
    mark = patient.home / "started"
    servers: dict[str, Any] = {
        "ours": {"command": str(SCRIPT), "env": {"OWLMETRY_AGENT_NAME": "Owl", **elsewhere(patient)}},
        "named": {"command": program(patient, f"touch {mark}")},
        "loaded": {"command": str(SCRIPT), "env": {"PYTHONPATH": "/evil"}},
    }
    patient.has("project/.mcp.json", servers)
    at = "in ~/project/.mcp.json (project)"
    not_started = "it was not started, since a project's files may be a stranger's"
    trust = "If you trust them: `owlmetry-mcp doctor --start-project-entries`."
    ours, *others = patient.found("clients")
    assert (ours.state, ours.what.partition(" in SECONDS")[0]) == (
        "ok",
        f'"ours" {at} starts owlmetry-mcp {__version__}',
    )
    assert others == [
        Finding("clients.claude-code", "note", f'"named" {at} would run ~/bin/owlmetry-mcp; {not_started}', trust),
        Finding("clients.claude-code", "note", f'"loaded" {at} would run {SCRIPT}; {not_started}', trust),
    ]
    assert not mark.exists()
    patient.start_project_entries = True
    del servers["ours"], servers["loaded"]
    servers["named"]["command"] = "../bin/owlmetry-mcp"
    patient.has("project/.mcp.json", servers)
    assert [found.state for found in patient.found("clients")] == ["note", "broken"]
    assert mark.exists()


def test_a_strangers_project_is_shown_no_key(patient: Patient) -> None:
    """Its entry may name this very program, and a server of the stranger's. Whether the key is passed on is seen by the
    program's refusal to take it for a number of seconds.
    """
    patient.environment |= {KEY: SECRETS["agent"]}
    key = "${OWLMETRY_API_KEY}"
    env = {KEY: key, "OWLMETRY_ENDPOINT": "http://127.0.0.1:1", "OWLMETRY_CALL_TIMEOUT": key}
    patient.has("project/.mcp.json", {"owls": {"command": str(SCRIPT), "env": env}})
    assert [found.state for found in patient.found("clients")] == ["note", "ok"]
    patient.start_project_entries = True
    assert [found.state for found in patient.found("clients")] == ["note", "broken"]


@pytest.mark.parametrize(
    ("file", "mode", "what", "remedy"),
    [
        (
            ".cursor/mcp.json", 0o644, "(user) has the key in it, and others on this machine can read the file (644)",
            "`chmod 600 ~/.cursor/mcp.json`; better, name it by reference to the environment.",
        ),
        (
            "project/.cursor/mcp.json", 0o600, "(project) has the key in it, and a project's files are shared",
            "Revoke the key if they were, and name it by reference to the environment.",
        ),
    ],
)  # fmt: skip
def test_a_key_that_stands_where_others_may_read_it_is_a_warning(
    patient: Patient, file: str, mode: int, what: str, remedy: str
) -> None:
    patient.has(file, {"owls": {"command": "/gone/owlmetry-mcp", "env": {KEY: SECRETS["agent"]}}}, mode=mode)
    found, _ = patient.found("clients")
    assert found == Finding("clients.cursor", "warning", f'"owls" in ~/{file} {what}', remedy)


def test_a_key_that_only_its_owner_may_read_or_that_is_referred_to_is_none(patient: Patient) -> None:
    patient.has(".cursor/mcp.json", {"owls": {"command": "/gone/owlmetry-mcp", "env": {KEY: SECRETS["agent"]}}})
    reference = {KEY: "${OWLMETRY_API_KEY}"}
    patient.has(".gemini/settings.json", {"owls": {"command": "/gone/owlmetry-mcp", "env": reference}}, mode=0o644)
    assert [found.state for found in patient.found("clients")] == ["broken", "broken"]


def test_an_entry_of_another_store_is_noted_with_how_to_look_at_that(patient: Patient) -> None:
    arguments = ["--store", "/srv/the store.db"]
    patient.has(".cursor/mcp.json", {"owls": {"command": program(patient, "exit 1"), "args": arguments}})
    assert patient.found("clients")[0] == Finding(
        "clients.cursor",
        "note",
        '"owls" in ~/.cursor/mcp.json (user) uses another store than is looked at here: /srv/the store.db',
        "To look at it: `owlmetry-mcp doctor --backend store --store '/srv/the store.db'`.",
    )


def test_a_file_that_cannot_be_read_is_a_warning_and_hides_no_other(patient: Patient) -> None:
    for file in (".cursor/mcp.json", ".codex/config.toml"):
        (patient.home / file).parent.mkdir()
        (patient.home / file).write_text("{")
    entry = {"command": "/gone\x1b[2J\u202e/owlmetry-mcp"}
    patient.has(".gemini/settings.json", {"a\nb": entry, "owlmetry": {"command": ["\0"], "env": {"\0": "\0"}}})
    found = patient.found("clients")
    assert sorted((each.subject, each.state) for each in found) == [
        ("clients.codex", "warning"),
        ("clients.cursor", "warning"),
        ("clients.gemini", "broken"),
        ("clients.gemini", "note"),
    ]
    assert all(text.isprintable() for each in found for text in (each.what, each.remedy))


# The round trip


def of_the_trip(patient: Patient) -> Finding:
    (found,) = patient.found("round-trip")
    return found


def keys(path: Path) -> list[str]:
    with Store(path) as store:
        return [key.name for key in store.read(administration.list_keys)]


def test_without_a_store_the_trip_goes_to_a_temporary_one(patient: Patient) -> None:
    patient.environment |= {"OWLMETRY_PROJECT_ID": "no such project in that one"}
    assert of_the_trip(patient) == Finding("round-trip.stdio", "ok", TRIP.format(14, "a temporary store"))
    assert not (patient.home / "store.db").exists()


async def test_the_trip_makes_no_key_in_the_store(patient: Patient, quiet_file: Path) -> None:
    path = patient.home / "store.db"
    shutil.copyfile(quiet_file, path)
    before = keys(path)
    assert of_the_trip(patient).what == TRIP.format(14, "a temporary store")
    with Store(path) as store:
        await acting_as_local_agent(store, "cursor").whoami()
    assert of_the_trip(patient).what == TRIP.format(14, "the store")
    patient.flags |= {"agent_name": "Night shift", "read_only": "true", "tools": "whoami,comment"}
    assert of_the_trip(patient).what == TRIP.format(1, "a temporary store").replace("list_issues", "whoami")
    assert keys(path) == [*before, "cursor"]


def test_the_trip_migrates_no_store(patient: Patient) -> None:
    path = patient.home / "store.db"
    old_store(path, patient.clock)
    before = path.read_bytes()
    patient.environment[KEY] = SECRETS["agent"]
    assert of_the_trip(patient).what == TRIP.format(14, "a temporary store")
    assert path.read_bytes() == before


def test_a_refusal_at_the_end_of_the_trip_is_told(patient: Patient, quiet_world: World, http_face: HttpFace) -> None:
    http_face.store = quiet_world.store
    del patient.environment["OWLMETRY_STORE"]
    patient.environment |= {KEY: SECRETS["expired"], "OWLMETRY_ENDPOINT": http_face.endpoint}
    assert of_the_trip(patient) == Finding(
        "round-trip.stdio",
        "broken",
        "started, but list_issues on the live server was refused: API key expired. Check OWLMETRY_API_KEY.",
        "See what else is found; without that, the refusal says what to do.",
    )
