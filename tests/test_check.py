"""`owlmetry-mcp check`: what is wrong in a store, and the counts that it mends."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from owlmetry_mcp.backends.store import transactions
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.checking import checks
from owlmetry_mcp.backends.store.store import Store
from tests.shell import Shell
from tests.test_scan import old_store
from tests.test_stdio import served
from tests.world import FIXTURE, SECRETS, SYMBOLS, FakeClock

NAMES = (
    "integrity", "schema", "foreign_keys", "counts", "derived", "seen", "fingerprints", "attachments", "notifications",
    "queue", "moves",
)  # fmt: skip
ALL_OK = [f"ok {name}" for name in NAMES]
TIMEOUT = SYMBOLS["i_timeout"]


@pytest.fixture
def scanned(imported: Shell, tmp_path: Path) -> Shell:
    """The recorded world, and beside it an issue that a scan has opened: two occurrences of one user."""
    rows = [
        {
            "message": "Boom",
            "level": "error",
            "user_id": "ann",
            "session_id": f"0000000{number}-0000-4000-8000-000000000000",
            "timestamp": f"2026-10-21T10:0{number}:00.000Z",
        }
        for number in (1, 2)
    ]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    imported.run("ingest", str(file), "--app", "Shop API")
    return imported


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file, as another program opens it, which minds no references."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def change(path: Path, statements: str, **values: Any) -> None:
    with opened(path) as connection:
        for statement in statements.split(";"):
            assert connection.execute(statement, values).rowcount, statement


def ask(path: Path, sql: str, **values: Any) -> list[Any]:
    with opened(path) as connection:
        return connection.execute(sql, values).fetchall()


def put(path: Path, issue: str, **columns: Any) -> None:
    """Give columns of an issue other values."""
    for column, value in columns.items():
        change(path, f"UPDATE issues SET {column} = :value WHERE id = :issue", value=value, issue=issue)  # noqa: S608


def boom(path: Path) -> str:
    """The id of the issue that a scan has opened."""
    ((issue_id,),) = ask(path, "SELECT id FROM issues WHERE title = 'Boom'")
    return str(issue_id)


def found(shell: Shell, *flags: str, code: int = 1) -> list[str]:
    """The lines of what is not as it should be."""
    return [line for line in shell.run("check", *flags, code=code).splitlines() if not line.startswith("ok ")]


def test_a_sound_store_is_said_to_be_and_left_as_it_is(scanned: Shell) -> None:
    before = scanned.path.read_bytes()
    assert scanned.run("check").splitlines() == ALL_OK
    assert scanned.errors == f"The store {scanned.path} is sound.\n"
    assert scanned.run("check", "--repair").splitlines() == ALL_OK
    assert scanned.path.read_bytes() == before


async def test_a_store_that_triage_and_scans_have_worked_on_is_sound(scanned: Shell, tmp_path: Path) -> None:
    with Store(scanned.path) as store:
        await acting_as(store, SECRETS["agent"]).merge(SYMBOLS["shop"], TIMEOUT, boom(scanned.path))
    scanned.run("ingest", str(tmp_path / "events.jsonl"), "--app", "Shop API")
    scanned.run("prune", "--events-older-than", "0")
    assert scanned.run("check").splitlines() == ALL_OK


@pytest.mark.parametrize("count", ["occurrence_count", "unique_user_count"])
@pytest.mark.parametrize("kept", [0, 7])
def test_a_wrong_count_is_told_and_mended_under_a_line_of_the_audit(scanned: Shell, count: str, kept: int) -> None:
    issue, right = boom(scanned.path), 2 if count == "occurrence_count" else 1
    rows = ask(scanned.path, "SELECT * FROM issues ORDER BY key")
    put(scanned.path, issue, **{count: kept})
    wrong = f"wrong counts issue {issue}: {count} is {kept}, a recount makes it {right}"
    assert found(scanned) == [wrong]
    assert "is not sound: 1 wrong. `check --repair` mends the counts.\n" in scanned.errors
    assert found(scanned, "--repair", code=0) == [wrong, f"mended counts issue {issue}: {count} was {kept}, is {right}"]
    assert scanned.errors == f"Mended 1 counts.\nThe store {scanned.path} is sound.\n"
    assert ask(scanned.path, "SELECT * FROM issues ORDER BY key") == rows
    last = "SELECT actor_type, actor_id, action, subject_id, detail FROM audit ORDER BY key DESC LIMIT 1"
    detail = f'{{"column":"{count}","before":{kept},"after":{right}}}'
    assert ask(scanned.path, last) == [("operator", None, "issue.recount", issue, detail)]
    assert scanned.run("check").splitlines() == ALL_OK


def test_an_imported_issue_may_count_what_its_document_left_out(shell: Shell, tmp_path: Path) -> None:
    issue = next(row for row in FIXTURE["issues"] if row["id"] == TIMEOUT)
    document = FIXTURE | {
        "issues": [row if row is not issue else row | {"occurrence_count": 500} for row in FIXTURE["issues"]]
    }
    file = tmp_path / "partial.json"
    file.write_text(json.dumps(document))
    shell.run("import", str(file))
    before = shell.run("export", "-")
    (note,) = found(shell, "--repair", code=0)
    assert note.startswith(f"note counts issue {TIMEOUT}: occurrence_count is 500, a recount makes it ")
    assert note.endswith("; it was imported so, perhaps without all its occurrences")
    assert shell.run("export", "-") == before


def test_an_imported_issue_that_counts_fewer_than_it_has_is_wrong_and_mended(imported: Shell) -> None:
    put(imported.path, TIMEOUT, occurrence_count=1, unique_user_count=99)
    wrong, note = found(imported)
    assert wrong.startswith(f"wrong counts issue {TIMEOUT}: occurrence_count is 1, a recount makes it ")
    assert note.startswith(f"note counts issue {TIMEOUT}: unique_user_count is 99")
    imported.run("check", "--repair")
    counts = "SELECT occurrence_count > 1, unique_user_count FROM issues WHERE id = :id"
    assert ask(imported.path, counts, id=TIMEOUT) == [(1, 99)]


async def test_a_merge_makes_counts_that_can_be_held_against_a_recount(imported: Shell) -> None:
    put(imported.path, TIMEOUT, occurrence_count=500)
    assert found(imported, code=0)[0].startswith("note counts")
    with Store(imported.path) as store:
        await acting_as(store, SECRETS["agent"]).merge(SYMBOLS["shop"], TIMEOUT, SYMBOLS["i_timeout_dup"])
    assert imported.run("check").splitlines() == ALL_OK
    put(imported.path, TIMEOUT, occurrence_count=500)
    assert found(imported)[0].startswith("wrong counts")


def test_an_export_brings_what_tells_a_wrong_count_from_an_imported_one(scanned: Shell, tmp_path: Path) -> None:
    issue = boom(scanned.path)
    put(scanned.path, issue, occurrence_count=9)
    scanned.run("export", str(tmp_path / "export.json"))
    copy = Shell(tmp_path / "copy.db", scanned._capture)  # noqa: SLF001
    copy.run("import", str(tmp_path / "export.json"))
    assert found(copy) == [f"wrong counts issue {issue}: occurrence_count is 9, a recount makes it 2"]


def test_times_that_an_issues_occurrences_contradict_are_told_and_not_mended(scanned: Shell) -> None:
    issue = boom(scanned.path)
    first, last = "2026-10-21T10:01:00.000Z", "2026-10-21T10:02:00.000Z"
    put(scanned.path, issue, first_seen_at=last, last_seen_at=first)
    wrong = (
        f"wrong seen issue {issue}: first_seen_at is {last}, after its occurrence of {first};"
        f" last_seen_at is {first}, before its occurrence of {last};"
        f" first_seen_at is {last}, after last_seen_at, {first}"
    )
    assert found(scanned) == [wrong]
    assert "1 wrong. Restore a backup, or import an export into a new store, for the rest." in scanned.errors
    assert found(scanned, "--repair") == [wrong]
    assert ask(scanned.path, "SELECT first_seen_at FROM issues WHERE id = :id", id=issue) == [(last,)]


def test_an_issue_may_have_been_seen_before_and_after_its_occurrences(scanned: Shell) -> None:
    first, last = "2026-10-01T00:00:00.000Z", "2026-10-22T00:00:00.000Z"
    put(scanned.path, boom(scanned.path), first_seen_at=first, last_seen_at=last)
    assert scanned.run("check").splitlines() == ALL_OK


BROKEN = {
    "an issue without an app": (
        """
        UPDATE issue_counts SET issues = issues - 1
            WHERE is_dev = 0 AND status = 'new' AND app = (SELECT app FROM issues WHERE id = :issue);
        UPDATE issues SET app = 99 WHERE id = :issue
        """,
        ["wrong foreign_keys issue {issue}: its app is no key of apps"],
    ),
    "a fingerprint without an issue": (
        "UPDATE fingerprints SET issue = 99 WHERE fingerprint = :fingerprint",
        [
            "wrong foreign_keys a row of fingerprints: its issue is no key of issues",
            "wrong fingerprints fingerprint {fingerprint}: its issue is not there",
        ],
    ),
    "a fingerprint of another project": (
        "UPDATE fingerprints SET issue = (SELECT key FROM issues WHERE id = :other) WHERE fingerprint = :fingerprint",
        ["wrong fingerprints issue {other}: its fingerprint {fingerprint} is of another project's app"],
    ),
    "an attachment of another project": (
        "UPDATE attachments SET issue = (SELECT key FROM issues WHERE id = :other) WHERE id = :attachment",
        ["wrong attachments issue {other}: its attachment {attachment} is of another project's app"],
    ),
    "an occurrence without an issue": (
        "UPDATE occurrences SET issue = 99 WHERE key = 1",
        [
            "wrong foreign_keys {occurrence} of occurrences: its issue is no key of issues",
            "note counts issue {of_occurrence}: occurrence_count is {count}, a recount makes it {fewer}; {imported}",
        ],
    ),
    "a notification without an issue": (
        "UPDATE notifications SET issue = 99",
        [
            "wrong foreign_keys {notification} of notifications: its issue is no key of issues",
            "wrong notifications notification {notification}: its issue is not there",
        ],
    ),
    "an event that is not there in the queue": (
        "INSERT INTO unscanned VALUES (99)",
        [
            "wrong foreign_keys row 99 of unscanned: its event is no key of events",
            "wrong queue the queue of the scan holds event 99, which is not there",
            "note queue 1 error events have yet to be scanned; `owlmetry-mcp scan` does it",
        ],
    ),
    "an event that is no error in the queue": (
        "INSERT INTO unscanned VALUES (1); UPDATE events SET level = 'info' WHERE key = 1",
        [
            "wrong queue the queue of the scan holds event {event}, no error but info",
            "note queue 1 error events have yet to be scanned; `owlmetry-mcp scan` does it",
        ],
    ),
    "an issue that says it has moved": (
        "UPDATE issues SET moved = 3 WHERE id = :issue",
        ["wrong moves issue {issue}: moved is 3, and its last move is none"],
    ),
    "a move that its issue knows nothing of": (
        """
        UPDATE issues SET last_seen_at = '2026-10-22T00:00:00.000Z' WHERE id = :issue;
        UPDATE issues SET moved = 0 WHERE id = :issue
        """,
        ["wrong moves issue {issue}: moved is 0, and its last move is 1"],
    ),
    "a move behind one that was not": (
        """
        UPDATE issues SET last_seen_at = '2026-10-22T00:00:00.000Z' WHERE id = :issue;
        UPDATE issues SET last_seen_at = '2026-10-23T00:00:00.000Z' WHERE id = :issue;
        UPDATE issue_moves SET since = 7 WHERE move = 2
        """,
        ["wrong moves issue {issue}: its move 2 says it came behind 7, not behind 1"],
    ),
}


@pytest.mark.parametrize(("statements", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_told_by_its_id_and_not_mended(scanned: Shell, statements: str, expected: list[str]) -> None:
    known = known_of(scanned.path)
    change(scanned.path, statements, **known)
    before = scanned.path.read_bytes()
    assert found(scanned) == [line.format(**known) for line in expected]
    assert found(scanned, "--repair") == [line.format(**known) for line in expected]
    assert scanned.path.read_bytes() == before


def known_of(path: Path) -> dict[str, Any]:
    """What statements and lines name of a fresh `scanned`."""
    names = {
        "fingerprint": "(SELECT f.fingerprint FROM fingerprints f JOIN issues i ON i.key = f.issue WHERE i.id = :id)",
        "attachment": "(SELECT min(id) FROM attachments WHERE issue IS NOT NULL)",
        "occurrence": "hex(o.id)",
        "notification": "(SELECT hex(id) FROM notifications)",
        "event": "(SELECT hex(id) FROM events WHERE key = 1)",
        "of_occurrence": "i.id",
        "count": "i.occurrence_count",
        "fewer": "i.occurrence_count - 1",
    }
    of = "FROM occurrences o JOIN issues i ON i.key = o.issue WHERE o.key = 1"
    (row,) = ask(path, f"SELECT {', '.join(names.values())} {of}", id=TIMEOUT)
    known = dict(zip(names, row, strict=True))
    known |= {name: dashed(known[name]) for name in ("occurrence", "notification", "event")}
    imported = "it was imported so, perhaps without all its occurrences"
    return known | {"issue": TIMEOUT, "other": SYMBOLS["i_foreign"], "imported": imported}


def dashed(digits: str) -> str:
    low = digits.lower()
    return "-".join((low[:8], low[8:12], low[12:16], low[16:20], low[20:]))


def test_moves_that_are_forgotten_are_missed_by_no_one(scanned: Shell) -> None:
    change(scanned.path, "UPDATE issues SET last_seen_at = '2026-10-22T00:00:00.000Z'")
    change(scanned.path, "UPDATE issues SET last_seen_at = '2026-10-23T00:00:00.000Z' WHERE title = 'Boom'")
    change(scanned.path, "UPDATE sqlite_sequence SET seq = seq + 99998 WHERE name = 'issue_moves'")
    put(scanned.path, TIMEOUT, last_seen_at="2026-10-24T00:00:00.000Z")
    assert len(ask(scanned.path, "SELECT 1 FROM issue_moves")) == 2
    assert scanned.run("check").splitlines() == ALL_OK


def test_counts_are_mended_whatever_else_is_wrong_and_the_rest_is_said_to_be_left(scanned: Shell) -> None:
    put(scanned.path, boom(scanned.path), occurrence_count=0)
    put(scanned.path, TIMEOUT, app=99)
    found(scanned)
    assert "3 wrong. `check --repair` mends the counts. Restore a backup" in scanned.errors
    found(scanned, "--repair")
    assert "Mended 2 counts." in scanned.errors
    assert "1 wrong. Restore a backup" in scanned.errors
    assert ask(scanned.path, "SELECT occurrence_count FROM issues WHERE title = 'Boom'") == [(2,)]


async def test_what_is_kept_for_reads_is_told_and_made_anew(scanned: Shell) -> None:
    with Store(scanned.path) as store:
        agent = acting_as(store, SECRETS["agent"])
        await agent.update_status(SYMBOLS["shop"], TIMEOUT, "in_progress")
        comment = await agent.add_comment(SYMBOLS["shop"], TIMEOUT, "Mine")
        store.write(lambda tx: tx.run("INSERT INTO summaries SELECT key, 7, NULL FROM issues WHERE title = 'Boom'"))
    put(scanned.path, TIMEOUT, commented_at=None, status_set_at="2020-01-01T00:00:00.000Z")
    change(
        scanned.path,
        "UPDATE issue_counts SET issues = 9 WHERE status = 'in_progress' AND NOT is_dev"
        " AND app = (SELECT app FROM issues WHERE id = :id)",
        id=TIMEOUT,
    )
    ((app, there),) = ask(
        scanned.path,
        "SELECT a.id, (SELECT count(*) FROM issues WHERE app = a.key AND NOT is_dev AND status = 'in_progress')"
        " FROM issues i JOIN apps a ON a.key = i.app WHERE i.id = :id",
        id=TIMEOUT,
    )
    ((moved_at,),) = ask(scanned.path, "SELECT max(at) FROM audit WHERE action = 'issue.status'")
    assert found(scanned) == [
        f"wrong derived app {app}: 9 in_progress issues in production are counted, and there are {there}",
        f"wrong derived issue {TIMEOUT}: commented_at is None, and should be {comment.created_at}",
        f"wrong derived issue {TIMEOUT}: status_set_at is 2020-01-01T00:00:00.000Z, and should be {moved_at}",
        f"wrong derived issue {boom(scanned.path)}: its summary is not what its occurrences come to",
    ]
    change(scanned.path, "UPDATE summaries SET tallies = 'not what it was'")
    assert found(scanned, "--repair", code=0)[-1] == "mended derived what is kept for reads was made anew"
    assert scanned.run("check").splitlines() == ALL_OK


def test_no_count_of_a_damaged_store_is_mended(scanned: Shell) -> None:
    change(scanned.path, "UPDATE issues SET occurrence_count = 0 WHERE title = 'Boom'")
    with opened(scanned.path) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'issues_by_last_seen'")
    content = bytearray(scanned.path.read_bytes())
    content[(page - 1) * 8192 + 4000 : page * 8192] = b"\xa5" * 4192
    scanned.path.write_bytes(content)
    for flags in ((), ("--repair",)):
        lines = found(scanned, *flags)
        assert lines
        assert all(line.startswith("wrong integrity ") for line in lines)
        assert "is damaged. Restore it from a backup; nothing in it was changed." in scanned.errors
    assert scanned.path.read_bytes() == content


def test_a_store_that_lacks_a_table_or_a_trigger_is_damaged(scanned: Shell) -> None:
    with opened(scanned.path) as connection:
        connection.execute("DROP TABLE notifications")
        connection.execute("DROP TRIGGER issue_moved")
    assert found(scanned, "--repair") == [
        "wrong schema the index notifications_by_issue is missing",
        "wrong schema the table notifications is missing",
        "wrong schema the trigger issue_moved is missing",
    ]
    assert "Restore it from a backup" in scanned.errors


@pytest.mark.parametrize("length", [0, 60, 4096, 8192, 200_000])
def test_a_store_that_was_cut_short_is_told(scanned: Shell, length: int) -> None:
    content = scanned.path.read_bytes()[:length]
    scanned.path.write_bytes(content)
    scanned.run("check", code=1)
    assert "is damaged" in scanned.errors or "is not a store of owlmetry-mcp" in scanned.errors
    assert scanned.path.read_bytes() == content


def test_damage_anywhere_is_told_in_lines(scanned: Shell) -> None:
    sound = scanned.path.read_bytes()
    for page in range(len(sound) // 8192):
        for fill in (b"\0", b"\xff"):
            damaged = bytearray(sound)
            damaged[page * 8192 + 100 : (page + 1) * 8192] = fill * 8092
            scanned.path.write_bytes(damaged)
            with contextlib.suppress(AssertionError):  # a page that nothing stands on is none
                scanned.run("check", "--repair", code=0)
            assert scanned.errors.startswith(("owlmetry-mcp: The store ", "owlmetry-mcp: " + str(scanned.path), "The"))


def test_damage_that_sqlite_itself_quotes_is_told(scanned: Shell, tmp_path: Path) -> None:
    content = scanned.path.read_bytes()
    scanned.path.write_bytes(content.replace(b"CREATE TABLE comments", b"CREATE TABLE \xff\xff\xff\xff\xff \xff\xff"))
    for command in (("check",), ("backup", str(tmp_path / "copy.db")), ("projects", "list")):
        scanned.run(*command, code=1)
        assert f"The store {scanned.path} is damaged" in scanned.errors


def test_what_is_no_store_is_told_and_none_is_made(shell: Shell, tmp_path: Path) -> None:
    shell.run("check", code=1)
    assert f"The store {shell.path} cannot be opened: No such file or directory" in shell.errors
    assert not shell.path.exists()
    shell.path.write_text("no store")
    shell.run("check", code=1)
    assert "is not a store of owlmetry-mcp; it was left as it is" in shell.errors
    Shell(tmp_path, shell._capture).run("check", code=1)  # noqa: SLF001
    assert shell.path.read_text() == "no store"


def test_a_store_of_an_older_version_is_told_so_and_not_migrated(shell: Shell, clock: FakeClock) -> None:
    old_store(shell.path, clock)
    shell.run("check", "--repair", code=1)
    assert "is of version 1, older than this owlmetry-mcp's (4). It was left as it is." in shell.errors
    assert ask(shell.path, "PRAGMA user_version") == [(1,)]
    shell.run("projects", "list")
    shell.run("check")


def test_a_store_of_a_newer_version_is_told_so(scanned: Shell) -> None:
    with opened(scanned.path) as connection:
        connection.execute("PRAGMA user_version = 99")
    scanned.run("check", code=1)
    assert "is of version 99, newer than this owlmetry-mcp knows (4)" in scanned.errors


def test_a_store_that_another_program_locks_is_told(scanned: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "BUSY_TIMEOUT_SECONDS", 0.05)
    change(scanned.path, "UPDATE issues SET occurrence_count = 0 WHERE title = 'Boom'")
    with opened(scanned.path) as other:
        other.execute("BEGIN IMMEDIATE")
        assert len(found(scanned)) == 1  # to read, it need not wait for who writes
        found(scanned, "--repair")
        assert "is locked by another program" in scanned.errors
    with opened(scanned.path) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        found(scanned)
        assert "is locked by another program" in scanned.errors


async def test_a_server_shows_mended_counts_at_once(scanned: Shell) -> None:
    change(scanned.path, "UPDATE issues SET occurrence_count = 1 WHERE title = 'Boom'")
    issue = boom(scanned.path)

    async with Client(served(scanned.path, OWLMETRY_API_KEY=SECRETS["agent"])) as client:

        async def counted() -> int:
            answer = await client.call_tool("get_issue", {"issue_id": issue, "project_id": SYMBOLS["shop"]})
            assert answer.structured_content is not None
            number: int = answer.structured_content["occurrence_count"]
            return number

        assert await counted() == 1
        found(scanned, "--repair", code=0)
        assert await counted() == 2


def test_the_checks_are_those_that_are_named(scanned: Shell) -> None:
    with Store(scanned.path) as store:
        assert store.read(lambda tx: tuple(name for name, _ in checks(tx))) == NAMES
