"""`owlmetry-mcp doctor`: of the settings, the store, the live server and the key; and how it tells all that."""

import json
import re
import shutil
import sqlite3
import ssl
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.live import Wire
from owlmetry_mcp.backends.live.looking import Look
from owlmetry_mcp.backends.live.looking import look as look_at_server
from owlmetry_mcp.backends.store import administration, looking
from owlmetry_mcp.backends.store.looking import CURRENT_VERSION
from owlmetry_mcp.cli.doctor import document
from owlmetry_mcp.doctor import stored
from owlmetry_mcp.doctor.examination import PROBES, examine
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.masking import masked, secrets_in
from owlmetry_mcp.doctor.served import told
from owlmetry_mcp.settings import CONFIG_FILE, Settings
from tests.durability.privileges import obeying_permissions
from tests.examined import Patient
from tests.faults.proxy import Exchange, faulty_proxy
from tests.shell import Shell
from tests.stdio import COMMAND
from tests.test_live import listening
from tests.test_scan import old_store
from tests.world import FIXTURE, SECRETS, FakeClock, HttpFace, World

MEBIBYTE = 1024 * 1024
AGENT = f"owl_agent_… ({len(SECRETS['agent'])} characters)"
KEY_IS_AGENTS = Finding("key.kind", "ok", f"{AGENT}, an agent key")
ANOTHER = "Set OWLMETRY_API_KEY to an agent key (owl_agent_…); `owlmetry-mcp keys create` makes one for a store."
SPACE = Finding("store.space", "ok", "931.3 GiB left on its disk")
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@pytest.fixture
def patient(tmp_path: Path, clock: FakeClock) -> Patient:
    (tmp_path / "home" / "project").mkdir(parents=True)
    return Patient(tmp_path / "home", clock)


@pytest.fixture
def stored_patient(patient: Patient, quiet_file: Path) -> Patient:
    """With a sound store."""
    shutil.copyfile(quiet_file, patient.home / "store.db")
    (patient.home / "store.db").chmod(0o600)
    patient.environment["OWLMETRY_STORE"] = str(patient.home / "store.db")
    return patient


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.state for finding in findings}


def by_subject(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings}


# The settings


def test_each_setting_is_told_with_where_it_came_from(patient: Patient) -> None:
    patient.environment |= {"OWLMETRY_BACKEND": "live", "OWLMETRY_READ_ONLY": "yes"}
    patient.environment["OWLMETRY_IMPORT_KEY"] = SECRETS["importer"]
    patient.flags |= {"call_timeout": "9.5", "tools": "whoami, merge"}
    file = patient.home / CONFIG_FILE
    file.parent.mkdir()
    file.write_text(json.dumps({"active_team": "x", "teams": {"x": {"api_key": SECRETS["agent"]}}}))
    said = {
        "backend": "live (from OWLMETRY_BACKEND)",
        "api_key": f"{AGENT} (from ~/{CONFIG_FILE})",
        "import_key": f"owl_import_… ({len(SECRETS['importer'])} characters) (from OWLMETRY_IMPORT_KEY)",
        "endpoint": "https://api.owlmetry.com (by default)",
        "team": "none (by default)",
        "connect_timeout": "5 s (by default)",
        "read_timeout": "15 s (by default)",
        "call_timeout": "9.5 s (from --call-timeout)",
        "project_id": "none (by default)",
        "agent_name": "none (by default)",
        "read_only": "true (from OWLMETRY_READ_ONLY)",
        "tools": "whoami, merge (from --tools)",
        "confirm": "auto (by default)",
        "max_result_bytes": "24000 (by default)",
        "log_level": "warning (by default)",
    }
    found = by_subject(patient.found("settings"))
    assert re.fullmatch(r"/.*store\.db \(by default\)", found.pop("settings.store").what)
    assert found == {f"settings.{name}": Finding(f"settings.{name}", "ok", what) for name, what in said.items()}


def test_every_wrong_setting_is_told_and_nothing_is_done_by_guesses(patient: Patient) -> None:
    patient.environment |= {
        "OWLMETRY_ENDPOINT": "nowhere",
        "OWLMETRY_API_KEY": SECRETS["agent"],
        "OWLMETRY_TOOLS": "fly",
        "OWLMETRY_LOG_LEVEL": "loud",
    }
    found = patient.found("settings", "store", "server", "round-trip")
    remedy = "Correct it, or leave it out."
    broken = [finding for finding in found if finding.state == "broken"]
    assert [(finding.subject, finding.remedy) for finding in broken] == [
        ("settings.endpoint", remedy),
        ("settings.log_level", remedy),
        ("settings.tools", remedy),
    ]
    assert broken[1].what == ('OWLMETRY_LOG_LEVEL: it must be one of debug, info, warning, error, critical, not "loud"')
    assert broken[2].what.startswith('OWLMETRY_TOOLS: there is no tool "fly"; there are triage_overview, ')
    assert found[-2:] == [
        Finding("server.reachable", "note", "not asked, as the settings are wrong", "Correct them first."),
        Finding("round-trip.stdio", "note", "not tried, as the settings are wrong", "Correct them first."),
    ]


def test_a_store_that_is_wrongly_named_is_not_looked_for_elsewhere(patient: Patient) -> None:
    patient.flags["store"] = ""
    assert patient.found("store") == [
        Finding("store.file", "note", "not looked at, as the settings are wrong", "Correct them first.")
    ]


# The store


def test_a_sound_store(stored_patient: Patient) -> None:
    path = stored_patient.home / "store.db"
    size = f"{path.stat().st_size / MEBIBYTE:.1f} MiB"
    assert stored_patient.found("store") == [
        Finding("store.file", "ok", f"~/store.db, {size}"),
        Finding("store.schema", "ok", f"version {CURRENT_VERSION}"),
        Finding("store.privacy", "ok", "its owner's alone"),
        Finding("store.integrity", "ok", "sound at a glance; `owlmetry-mcp check` verifies all of it"),
        SPACE,
    ]


def test_a_store_that_is_not_there_yet_is_not_made(patient: Patient) -> None:
    path = patient.home / "new" / "folder" / "store.db"
    patient.environment["OWLMETRY_STORE"] = str(path)
    assert patient.found("store") == [
        Finding("store.file", "note", "~/new/folder/store.db is not there yet; it is made on first use"),
        SPACE,
    ]
    assert not (patient.home / "new").exists()


def test_a_store_that_cannot_be_made_is_broken(patient: Patient) -> None:
    (patient.home / "file").touch()
    patient.environment["OWLMETRY_STORE"] = str(patient.home / "file" / "store.db")
    assert patient.found("store")[1:] == [
        Finding(
            "store.folder",
            "broken",
            "~/file cannot be written to, so that no store can be made there",
            "Name another file with --store or OWLMETRY_STORE.",
        )
    ]


def test_an_older_store_is_not_migrated(patient: Patient, clock: FakeClock) -> None:
    path = patient.home / "store.db"
    old_store(path, clock)
    path.chmod(0o600)
    patient.environment |= {"OWLMETRY_STORE": str(path), "OWLMETRY_API_KEY": SECRETS["agent"]}
    before = path.read_bytes()
    found = by_subject(patient.found("store"))
    assert found["store.schema"] == Finding(
        "store.schema",
        "note",
        f"version 1; what uses it next brings it to {CURRENT_VERSION}",
        "`owlmetry-mcp backup FILE` copies it before.",
    )
    assert [*found] == ["store.file", "store.schema", "store.privacy", "store.space", "key.kind"]
    assert path.read_bytes() == before


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_newer_store_is_broken(stored_patient: Patient) -> None:
    change(stored_patient.home / "store.db", "PRAGMA user_version = 99")
    what = f"The store ~/store.db is of version 99, newer than this owlmetry-mcp knows ({CURRENT_VERSION})"
    assert stored_patient.found("store") == [
        Finding("store.file", "broken", what, "It was left as it is; upgrade owlmetry-mcp."),
        SPACE,
    ]


def test_a_damaged_store_is_broken(stored_patient: Patient) -> None:
    path = stored_patient.home / "store.db"
    with closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'comments'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
    found = by_subject(stored_patient.found("store"))["store.integrity"]
    assert found.what.startswith("it is damaged: ")
    restoring = "`owlmetry-mcp backup --force ~/store.db --store COPY`"
    remedy = f"Restore a copy, if there is one: {restoring}. `owlmetry-mcp check` says more."
    assert (found.state, found.remedy) == ("broken", remedy)


def test_a_store_without_one_of_its_tables_is_broken(stored_patient: Patient) -> None:
    change(stored_patient.home / "store.db", "DROP TABLE comments")
    assert "the table comments is missing" in by_subject(stored_patient.found("store"))["store.integrity"].what


def test_what_is_no_store_is_broken(stored_patient: Patient) -> None:
    (stored_patient.home / "store.db").write_text("Dear diary")
    assert stored_patient.found("store")[0] == Finding(
        "store.file",
        "broken",
        "~/store.db is not a store of owlmetry-mcp; it was left as it is",
        "Name another file with --store or OWLMETRY_STORE.",
    )


def test_a_store_that_others_may_read_is_a_warning(stored_patient: Patient) -> None:
    stored_patient.home = stored_patient.home.rename(stored_patient.home.with_name("a home"))
    path = stored_patient.home / "store.db"
    stored_patient.environment["OWLMETRY_STORE"] = str(path)
    path.chmod(0o644)
    assert by_subject(stored_patient.found("store"))["store.privacy"] == Finding(
        "store.privacy",
        "warning",
        "others on this machine may use the file (644), and read what its tokens are signed with",
        "`chmod 600 '~/store.db'`; its log follows it.",
    )


def test_a_store_that_another_program_writes_to_all_the_time_is_a_warning(
    stored_patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(stored_patient.home / "store.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = by_subject(stored_patient.found("store"))
    assert found["store.writing"] == Finding(
        "store.writing",
        "warning",
        "another program is writing to it, and did not let go meanwhile",
        "If it is no ingest, import or prune, end that program.",
    )
    assert found["store.integrity"].state == "ok"


def test_a_store_that_another_program_keeps_for_itself_is_broken(
    stored_patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "WAIT_SECONDS", 0.05)
    with closing(sqlite3.connect(stored_patient.home / "store.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE teams SET name = 'mine'")
        found = stored_patient.found("store")
    assert found == [
        Finding(
            "store.file",
            "broken",
            "The store ~/store.db is locked by another program",
            "Wait until that program is done, or end it.",
        ),
        SPACE,
    ]


@pytest.mark.parametrize(
    ("mode", "subject", "what"),
    [
        (0o000, "store.file", "cannot be opened: Permission denied"),
        (0o400, "store.writing", "cannot be written to"),
    ],
)
def test_a_store_without_the_permissions_is_broken(stored_patient: Patient, mode: int, subject: str, what: str) -> None:
    path = stored_patient.home / "store.db"
    path.chmod(mode)
    done = subprocess.run(
        obeying_permissions(*COMMAND, "doctor", "--json", "--store", str(path), "--log-level", "loud"),
        capture_output=True, check=False, timeout=60, env={"HOME": str(stored_patient.home), "PATH": ""},
    )  # fmt: skip
    broken = {row["subject"]: row["what"] for row in json.loads(done.stdout)["findings"] if row["state"] == "broken"}
    assert [*broken] == ["settings.log_level", subject]
    assert broken[subject] == f"The store {path} {what}"
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("free_bytes", "state", "remedy"),
    [
        (5 * MEBIBYTE, "broken", "Make room: nothing more can be written."),
        (50 * MEBIBYTE, "warning", "Make room; `owlmetry-mcp prune` frees some within the store."),
        (500 * MEBIBYTE, "ok", ""),
    ],
)
def test_a_disk_that_is_full_or_nearly_so_is_told(patient: Patient, free_bytes: int, state: str, remedy: str) -> None:
    patient.free_bytes = free_bytes
    found = by_subject(patient.found("store"))["store.space"]
    assert (found.state, found.what, found.remedy) == (
        state,
        f"{free_bytes // MEBIBYTE}.0 MiB left on its disk",
        remedy,
    )


def test_a_large_store_is_not_waited_for(stored_patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored_patient.home / "store.db"
    change(path, "CREATE TABLE padding (row INTEGER PRIMARY KEY, text TEXT) STRICT")
    change(
        path,
        """
        WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 400000)
        INSERT INTO padding SELECT i, 'some text' FROM n
        """,
    )
    monkeypatch.setattr(stored, "_GLANCE_SECONDS", 0.001)
    assert by_subject(stored_patient.found("store"))["store.integrity"] == Finding(
        "store.integrity",
        "note",
        "it is too large to be looked through in 0 s",
        "`owlmetry-mcp check` verifies all of it.",
    )


# The key


def made(world: World, **columns: object) -> str:
    """The secret of a key like the agent's, but for some of its columns."""
    secret = SECRETS["agent"]
    given = ", ".join(f"{name} = :{name}" for name in columns)
    sql = f"UPDATE api_keys SET {given} WHERE name = 'Triage Agent'"  # noqa: S608 - from above
    world.store.write(lambda tx: tx.run(sql, columns))
    return secret


def of_the_key(patient: Patient, world: World, key: str) -> list[Finding]:
    patient.environment |= {"OWLMETRY_STORE": str(world.store.path), "OWLMETRY_API_KEY": key}
    return [finding for finding in patient.found("store") if finding.group == "key"]


def test_a_valid_key_is_told_by_name_team_and_permissions(patient: Patient, quiet_world: World) -> None:
    everything = json.dumps(administration.ALL_PERMISSIONS)
    assert of_the_key(patient, quiet_world, made(quiet_world, permissions=everything)) == [
        KEY_IS_AGENTS,
        Finding("key.valid", "ok", 'the agent key "Triage Agent" of the team "Night Owls"'),
        Finding("key.permissions", "ok", ", ".join(administration.ALL_PERMISSIONS)),
    ]


def test_what_a_key_may_not_do_is_told_by_the_tools_that_are_lacking(patient: Patient, quiet_world: World) -> None:
    writing = "update_status, merge, comment, edit_comment, delete_comment"
    remedy = "If an agent is to do that, give it a key that may."
    assert of_the_key(patient, quiet_world, SECRETS["reader"])[2:] == [
        Finding(
            "key.permissions",
            "note",
            "it lacks events:read, so that these are not offered: get_event, get_breadcrumbs",
            remedy,
        ),
        Finding("key.permissions", "note", f"it lacks issues:write, so that these are not offered: {writing}", remedy),
    ]


def test_a_key_that_may_not_read_issues_is_broken(patient: Patient, quiet_world: World) -> None:
    key = made(quiet_world, permissions='["projects:read", "issues:write"]')
    assert of_the_key(patient, quiet_world, key)[-1] == Finding(
        "key.permissions", "broken", "it lacks issues:read; it has projects:read, issues:write", ANOTHER
    )


def test_an_apps_key_is_broken(patient: Patient, quiet_world: World) -> None:
    found = of_the_key(patient, quiet_world, SECRETS["client"])
    what = f"owl_client_… ({len(SECRETS['client'])} characters) is an app's key, which sends events and cannot triage"
    assert found[0] == Finding("key.kind", "broken", what, ANOTHER)


def test_a_key_that_expires_soon_is_a_warning_and_an_expired_one_broken(patient: Patient, quiet_world: World) -> None:
    key = made(quiet_world, expires_at="2026-10-30T12:00:00.000Z")
    agent = 'the agent key "Triage Agent" of the team "Night Owls"'
    assert of_the_key(patient, quiet_world, key)[1] == Finding(
        "key.valid", "warning", f"{agent}, which expires on 2026-10-30", "Have another made."
    )
    patient.clock.advance(days=-90)
    assert of_the_key(patient, quiet_world, key)[1] == Finding("key.valid", "ok", f"{agent}, until 2026-10-30")
    patient.clock.advance(days=180)
    assert of_the_key(patient, quiet_world, key)[1:] == [
        Finding("key.valid", "broken", "API key expired", "`owlmetry-mcp keys create` makes another.")
    ]


def test_a_users_token_is_told_by_the_user(patient: Patient, quiet_world: World) -> None:
    token = quiet_world.credential("olga")
    kind, valid = of_the_key(patient, quiet_world, token)
    assert kind == Finding("key.kind", "ok", f"a token of {len(token)} characters, taken for a user's token")
    assert valid.state == "ok"
    assert re.fullmatch(r'it is the token of "Olga .*", in "Night Owls" as owner', valid.what)


# The live server


@pytest.fixture
def live_patient(patient: Patient, quiet_world: World, http_face: HttpFace) -> Patient:
    http_face.store = quiet_world.store
    patient.environment |= {"OWLMETRY_ENDPOINT": http_face.endpoint, "OWLMETRY_API_KEY": SECRETS["observer"]}
    return patient


def test_a_server_that_is_well(live_patient: Patient) -> None:
    found = live_patient.found("server")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+ answered in \d+ ms", found[0].what)
    assert states(found) == {
        "server.reachable": "ok",
        "server.tls": "ok",
        "server.clock": "warning",  # of a clock that stands still in another year
        "key.kind": "ok",
        "key.valid": "ok",
        "key.permissions": "note",
    }
    assert by_subject(found)["server.tls"].what == "not encrypted, and does not leave this machine"
    assert by_subject(found)["key.valid"].what == 'the agent key "Observer Agent" of the team "Night Owls"'


def test_a_key_that_a_server_refuses_is_broken_and_the_server_reached(live_patient: Patient) -> None:
    live_patient.environment["OWLMETRY_API_KEY"] = "owl_agent_5ca1ab1e0ddba11c0ffee15bad5eed99"
    found = by_subject(live_patient.found("server"))
    assert found["server.reachable"].state == "ok"
    assert found["key.valid"] == Finding("key.valid", "broken", "Invalid API key", "Check OWLMETRY_API_KEY.")


def test_a_server_that_is_not_there_is_broken(patient: Patient) -> None:
    patient.environment |= {"OWLMETRY_ENDPOINT": "http://127.0.0.1:1", "OWLMETRY_API_KEY": SECRETS["agent"]}
    assert patient.found("server") == [
        Finding(
            "server.reachable",
            "broken",
            "The Owlmetry server at 127.0.0.1:1 cannot be used now: All connection attempts failed",
            "Nothing was changed. Check OWLMETRY_ENDPOINT and the network, or try again later.",
        ),
        Finding("server.tls", "ok", "not encrypted, and does not leave this machine"),
        KEY_IS_AGENTS,
    ]


def test_a_server_in_the_clear_beyond_this_machine_is_a_warning(patient: Patient) -> None:
    patient.environment |= {"OWLMETRY_ENDPOINT": "http://0.0.0.0:1", "OWLMETRY_API_KEY": SECRETS["agent"]}
    assert by_subject(patient.found("server"))["server.tls"] == Finding(
        "server.tls",
        "warning",
        "what is sent is not encrypted, and whoever listens on the way reads the key",
        "Use an https address in OWLMETRY_ENDPOINT.",
    )


@pytest.mark.parametrize("seconds", [300.0, -300.0])
async def test_a_clock_that_goes_wrong_is_a_warning(live_patient: Patient, http_face: HttpFace, seconds: float) -> None:
    async def at_another_time(exchange: Exchange) -> None:
        date = (live_patient.clock() + timedelta(seconds=seconds)).strftime("%a, %d %b %Y %H:%M:%S GMT")
        answer = await exchange.forward()
        await exchange.answer(re.sub(rb"(?i)\r\ndate: [^\r]*", f"\r\ndate: {date}".encode(), answer))

    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as between:
        between.faults = [at_another_time]
        live_patient.environment["OWLMETRY_ENDPOINT"] = f"http://127.0.0.1:{between.port}"
        found = by_subject(await anyio.to_thread.run_sync(live_patient.found, "server"))
    said = "the server's is 300.5 s ahead of ours" if seconds > 0 else "the server's is 299.5 s behind ours"
    assert found["server.clock"] == Finding(
        "server.clock",
        "warning",
        f"{said}, give or take 0.5 s",
        "Set the clocks by NTP: keys expire, and events are taken in or refused, by the server's.",
    )


@contextmanager
def encrypted(directory: Path, ends: datetime) -> Iterator[tuple[str, ssl.SSLContext]]:
    """A server with a certificate of its own, and what trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "owl")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = directory / "certificate.pem"
    file.write_bytes(secret + certificate)

    async def whoami(_: Request) -> Response:
        return JSONResponse({"error": "Invalid API key"}, 401)

    with listening(whoami, file) as endpoint:
        yield endpoint, ssl.create_default_context(cadata=certificate.decode())


def test_a_certificate_that_nobody_vouches_for_is_broken_and_nothing_is_sent(patient: Patient, tmp_path: Path) -> None:
    with encrypted(tmp_path, FOREVER) as (endpoint, _):
        patient.environment |= {"OWLMETRY_ENDPOINT": endpoint, "OWLMETRY_API_KEY": SECRETS["agent"]}
        assert patient.found("server") == [
            Finding(
                "server.reachable",
                "broken",
                f"{endpoint} was not asked anything, as its certificate is not trusted",
                "See its certificate.",
            ),
            Finding(
                "server.tls",
                "broken",
                "the certificate is not trusted: self-signed certificate",
                "If it is your own, or your own authority's, have this machine's system trust it;"
                " else have whoever runs the server renew it, or name the server as it does.",
            ),
            KEY_IS_AGENTS,
        ]


@pytest.mark.parametrize(("days", "state"), [(10, "warning"), (60, "ok")])
async def test_a_certificate_that_ends_soon_is_a_warning(
    patient: Patient, tmp_path: Path, days: int, state: str
) -> None:
    ends = datetime.now(UTC) + timedelta(days=365)
    with encrypted(tmp_path, ends) as (endpoint, trusting):
        wire = Wire(endpoint, SECRETS["agent"], tls=trusting)
        seen: Look = await look_at_server(wire, patient.clock)
        await wire.aclose()
        patient.environment |= {"OWLMETRY_ENDPOINT": endpoint, "OWLMETRY_API_KEY": SECRETS["agent"]}
    patient.clock.instant = ends - timedelta(days=days, hours=1) + timedelta(hours=2)
    found = {finding.subject: finding for finding in told(patient.case(), SECRETS["agent"], seen)}
    assert (found["server.tls"].state, found["server.tls"].what) == (
        state,
        f"the certificate is trusted, for {days - 1} more days",
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Response("<html><title>\x1b[2J\u202eevil</title>", 502), "\\x1b[2J\\u202eevil"),
        (Response(status_code=302, headers={"location": "http://[::1"}), "redirects to what is no address"),
        (JSONResponse({"type": "api_key", "key_type": "\x1b[31m"}), "answers in a form that is not known"),
        (JSONResponse({"error": f"no key {SECRETS['agent']} \x07"}, 403), "no key [the key] \\x07"),
        (Response(b"\xff\x00", 200), "something that is not JSON"),
    ],
)
def test_a_servers_answer_steers_no_terminal_and_says_no_key(patient: Patient, answer: Response, said: str) -> None:
    async def hostile(_: Request) -> Response:
        return answer

    with listening(hostile) as endpoint:
        patient.environment |= {"OWLMETRY_ENDPOINT": endpoint, "OWLMETRY_API_KEY": SECRETS["agent"]}
        found = by_subject(patient.found("server"))
    assert found["server.reachable"].state == "broken"
    assert said in found["server.reachable"].what
    assert all(text.isprintable() for finding in found.values() for text in (finding.what, finding.remedy))


# The whole


def test_a_name_that_sounds_like_a_secrets_and_is_none_masks_no_path() -> None:
    environment = {"GIT_AUTHOR_NAME": "frederick", "GIT_AUTH_TOKEN": "hunter22", "OWLMETRY_API_KEY": "owls"}
    assert secrets_in(environment) == ["hunter22", "owls"]


def test_a_key_in_another_settings_place_is_masked(patient: Patient) -> None:
    patient.environment["OWLMETRY_PROJECT_ID"] = SECRETS["agent"]
    assert document(patient.case().loaded, [])["settings"]["project_id"]["value"] == "owl_agent_…"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl, or else", "Bearer eyJ…, or else"),
        ("cut eyJhbGciOiJIUzI1NiJ9.eyJzd", "cut eyJ…"),
        ('{"key":"owl_import_2a58ceee"}', '{"key":"owl_import_…"}'),
        ("it must begin with owl_agent_ or be owl_agent_…", "it must begin with owl_agent_ or be owl_agent_…"),
        ("hunter22 or hunter22hunter22", "[a secret of 8 characters] or [a secret of 16 characters]"),
        ("keys are short", "keys are short"),
    ],
)  # fmt: skip
def test_what_has_the_form_of_a_secret_is_masked_wherever_it_came_from(text: str, shown: str) -> None:
    assert masked(text, ["hunter22", "hunter22hunter22", "keys", ""]) == shown


def test_what_looks_and_fails_is_itself_a_finding_and_the_others_go_on(patient: Patient) -> None:
    def failing(_: object) -> Iterator[Finding]:
        yield Finding("store.file", "ok", "seen")
        raise ExceptionGroup("several", [ZeroDivisionError(f"\x1b of {SECRETS['agent']}")])

    found = examine(patient.case(), {"versions": PROBES["versions"], "store": failing})
    assert states(found) == {
        "versions.owlmetry-mcp": "ok",
        "versions.sdk": "ok",
        "versions.protocol": "ok",
        "versions.python": "ok",
        "versions.sqlite": "ok",
        "versions.platform": "ok",
        "store.file": "ok",
        "store.failed": "broken",
    }
    assert found[-1] == Finding(
        "store.failed",
        "broken",
        "it could not be looked at: ZeroDivisionError: \\x1b of owl_agent_…",
        "This is a fault of owlmetry-mcp; please report it.",
    )


def test_it_prints_a_line_for_each_finding_and_its_remedy_below(shell: Shell) -> None:
    printed = shell.run("doctor", "--log-level", "loud", code=1)
    assert printed.startswith("settings\n  broken   log_level         --log-level: it must be one of")
    assert f"\nversions\n  ok       owlmetry-mcp      {__version__}\n" in printed
    assert printed.endswith(
        "round-trip\n"
        "  note     stdio             not tried, as the settings are wrong\n"
        "           → Correct them first."
    )
    assert "\x1b" not in printed
    assert shell.errors == "owlmetry-mcp: broken, each with its remedy above: settings.log_level\n"
    assert not shell.path.exists()


def test_a_remedy_calls_us_as_we_can_be_called_here(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OWLMETRY_CONFIRM", "perhaps")
    monkeypatch.setenv("PATH", "/nowhere")
    command = Path(sysconfig.get_path("scripts"), "owlmetry-mcp")
    assert f"→ `{command} install CLIENT` adds it to one." in shell.run("doctor", code=1)
    monkeypatch.setenv("PATH", str(command.parent))
    assert "→ `owlmetry-mcp install CLIENT` adds it to one." in shell.run("doctor", code=1)


def test_as_json_it_is_one_document_and_all_is_well(imported: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWLMETRY_API_KEY", SECRETS["reader"])
    document = json.loads(imported.run("doctor", "--json"))
    assert [*document] == ["version", "state", "settings", "findings"]
    assert (document["version"], document["state"]) == (__version__, "note")
    assert [*document["settings"]] == [*Settings.__dataclass_fields__]
    assert document["settings"]["store"] == {"value": str(imported.path), "source": "flag", "name": "--store"}
    assert document["settings"]["api_key"] == {
        "value": f"owl_agent_… ({len(SECRETS['reader'])} characters)",
        "source": "environment",
        "name": "OWLMETRY_API_KEY",
    }
    assert document["settings"]["confirm"] == {"value": "auto", "source": "default", "name": ""}
    assert {tuple(row) for row in document["findings"]} == {("subject", "state", "what", "remedy")}
    (trip,) = (row for row in document["findings"] if row["subject"] == "round-trip.stdio")
    assert re.fullmatch(
        r"initialize \(MCP [\d-]+\), tools/list \(7 tools\), list_issues on the store: \d+\.\d s in all", trip["what"]
    )
    assert SECRETS["reader"] not in json.dumps(document)
    assert len(FIXTURE["api_keys"]) == imported.run("keys", "list").count("\n")
