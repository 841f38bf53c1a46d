"""`owlmetry-mcp log`: who did what in a store, as sentences and as a document."""

import io
import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from rich.console import Console

from owlmetry_mcp.backends.store.audit import ACTIONS, Line
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.cli.log_lines import log_table
from owlmetry_mcp.cli.terminal import Page
from owlmetry_mcp.issues import times
from tests.person import Person
from tests.test_issues_command import DUPLICATE, HOSTILE, SHOP, TIMEOUT, dump
from tests.test_issues_terminal import SGR
from tests.world import FIXTURE, ROOT, SYMBOLS, World

AGENT = "d731cba6"
USERS = {user["name"]: user["id"][:8] for user in FIXTURE["users"]}
BODY = (
    "All occurrences are on cellular, and none on Wi-Fi; so it may be the carrier's proxy, which closes what is idle."
)


@pytest.fixture
def person(recorded_world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("LOGNAME", "wanda")
    return Person(recorded_world, capsys, monkeypatch, None)


@pytest.fixture
def triaged(person: Person) -> Person:
    """A world in which much was done, a minute after each other."""
    anyio.run(_triage, person.world)
    return person


async def _triage(world: World) -> None:
    agent, mia, olga = (acting_as(world.store, world.credential(who)) for who in ("agent", "mia", "olga"))
    world.store.write(lambda tx: tx.run("DELETE FROM audit"))  # of the tokens
    at = (SHOP, TIMEOUT)
    await agent.update_status(*at, "in_progress")
    world.clock.advance(minutes=1)
    await agent.add_comment(*at, f"{BODY}\n\n{BODY}")
    world.clock.advance(minutes=1)
    comment = await mia.add_comment(*at, "No.")
    world.clock.advance(minutes=1)
    await mia.edit_comment(*at, comment.id, "Perhaps.")
    world.clock.advance(minutes=1)
    await olga.delete_comment(*at, comment.id)
    world.clock.advance(minutes=1)
    await agent.merge(*at, DUPLICATE)
    world.clock.advance(minutes=1)
    await agent.update_status(*at, "resolved", resolved_at_version="2.3.0")


TRAIL = """\
when                      who                                what
2026-10-21T12:06:00.000Z  Triage Agent (agent key d731cba6)  moved c64325f3 "Connection refused" from in_progress to resolved, fixed in 2.3.0
2026-10-21T12:05:00.000Z  Triage Agent (agent key d731cba6)  merged 942b9e8e "Connection refused by peer" into c64325f3 "Connection refused"
2026-10-21T12:04:00.000Z  Olga Owner (user OLGAOLGA)         deleted "Mia Member"'s comment on c64325f3 "Connection refused": "Perhaps."
2026-10-21T12:03:00.000Z  Mia Member (user MIAMIAMI)         edited their comment on c64325f3 "Connection refused": "Perhaps."
2026-10-21T12:02:00.000Z  Mia Member (user MIAMIAMI)         commented on c64325f3 "Connection refused": "No."
2026-10-21T12:01:00.000Z  Triage Agent (agent key d731cba6)  commented on c64325f3 "Connection refused": "All occurrences are on cellular, and none on Wi-Fi; so it may be the carrier's proxy, which closes what is idle.\\n\\nAll …"
2026-10-21T12:00:00.000Z  Triage Agent (agent key d731cba6)  moved c64325f3 "Connection refused" from new to in_progress
""".replace("OLGAOLGA", USERS["Olga Owner"]).replace("MIAMIAMI", USERS["Mia Member"])  # noqa: E501 - a line is a line


def test_the_trail_says_who_did_what_the_latest_first(triaged: Person) -> None:
    assert triaged.run("log") == TRAIL
    assert triaged.said == ""


def test_looking_at_the_trail_writes_nothing(triaged: Person) -> None:
    before = dump(triaged.world)
    triaged.run("log", "--json")
    assert dump(triaged.world) == before


def shown(printed: str) -> list[str]:
    """The first word of what was done, line by line."""
    return [line.partition(")  ")[2].split()[0] for line in printed.splitlines()[1:]]


EVERYTHING = ["moved", "merged", "deleted", "edited", "commented", "commented", "moved"]


@pytest.mark.parametrize(
    ("arguments", "done"),
    [
        (["--issue", TIMEOUT[:8].upper()], EVERYTHING),
        (["--issue", DUPLICATE], ["merged"]),
        (["--issue", SYMBOLS["i_claimed"]], []),
        (["--by", "mia member"], ["edited", "commented"]),
        (["--by", AGENT], ["moved", "merged", "commented", "moved"]),
        (["--by", "operator"], []),
        (["--action", "comment"], ["deleted", "edited", "commented", "commented"]),
        (["--action", "issue.merge", "--action", "comment.edit"], ["merged", "edited"]),
        (["--since", "2026-10-21T14:05+02:00"], ["moved", "merged"]),
        (["--by", "Olga Owner", "--action", "issue"], []),
        (["--limit", "2", "--action", "issue.status"], ["moved", "moved"]),
    ],
    ids=" ".join,
)
def test_the_trail_is_narrowed_to_what_is_asked_for(triaged: Person, arguments: list[str], done: list[str]) -> None:
    assert shown(triaged.run("log", *arguments)) == done
    assert triaged.said == ("" if done else "The trail has nothing of the kind.\n")


@pytest.mark.parametrize(("ago", "done"), [("90m", ["moved", "merged"]), ("2h", EVERYTHING), ("1w", EVERYTHING)])
def test_since_is_told_by_how_long_ago(triaged: Person, ago: str, done: list[str]) -> None:
    real = times.now()
    triaged.world.store.write(
        lambda tx: tx.run(
            "UPDATE audit SET at = iif(at >= '2026-10-21T12:05', ?, ?)",
            (times.to_text(real - timedelta(minutes=80)), times.to_text(real - timedelta(minutes=100))),
        )
    )
    assert shown(triaged.run("log", "--since", ago)) == done


def test_the_commands_that_go_on_show_the_rest_and_each_line_once(triaged: Person) -> None:
    lines = triaged.run("log", "--limit", "3").splitlines()[1:]
    counts = []
    while triaged.said:
        count, going_on = triaged.said.removesuffix("\n").split(" more: owlmetry-mcp ")
        counts.append(int(count))
        lines += triaged.run(*shlex.split(going_on)).splitlines()[1:]
    assert [line.split(")  ")[1] for line in lines] == [line.split(")  ")[1] for line in TRAIL.splitlines()[1:]]
    assert counts == [4, 1]


def test_the_document_has_the_trail_as_it_is_kept(triaged: Person) -> None:
    document = json.loads(triaged.run("log", "--limit", "1", "--json"))
    cursor = document.pop("cursor")
    assert document == {
        "entries": [
            {
                "at": "2026-10-21T12:06:00.000Z",
                "actor_type": "agent",
                "actor_id": "d731cba6" + document["entries"][0]["actor_id"][8:],
                "actor_name": "Triage Agent",
                "action": "issue.status",
                "subject_id": TIMEOUT,
                "detail": {
                    "before": "in_progress", "after": "resolved", "resolved_at_version": "2.3.0",
                    "title": "Connection refused",
                },
            }
        ],
        "has_more": True,
    }  # fmt: skip
    rest = json.loads(triaged.run("log", "--json", "--cursor", cursor))
    assert [entry["action"] for entry in rest["entries"]] == [
        "issue.merge", "comment.delete", "comment.edit", "comment.add", "comment.add", "issue.status",
    ]  # fmt: skip
    assert (rest["cursor"], rest["has_more"]) == (None, False)


def test_what_the_operator_sets_up_is_said_to_be_theirs_and_no_secret_is(person: Person) -> None:
    person.world.store.write(lambda tx: tx.run("DELETE FROM audit"))
    secret = person.run("keys", "create", "--name", "Night shift", "--read-only", "--expires", "30").strip()
    person.run("keys", "create", "--name", "SDK", "--type", "client", "--app", "Shop iOS")
    person.run("keys", "revoke", "SDK")
    person.run("projects", "add", "Till")
    person.run("apps", "add", "Till 2", "--platform", "web", "--project", "till")
    person.run("users", "add", "jo@example.com", "--name", "Jo", "--role", "admin")
    token = person.run("token", "jo@example.com", "--expires", "1").strip()
    printed = person.run("log")
    document = person.run("log", "--json")
    sentences = [re.sub(r"\([0-9a-f]{8}\)", "(ID)", line[26:]) for line in printed.splitlines()[1:]]
    until = json.loads(document)["entries"][-1]["detail"]["expires_at"][:10]
    assert sentences == [
        'operator  made a token for "Jo", valid for 1 days',
        'operator  made "Jo" admin of the team "Night Owls"',
        'operator  added the user "Jo" (ID)',
        'operator  added the app "Till 2" (ID)',
        'operator  added the project "Till" (ID)',
        'operator  revoked the key "SDK" (ID)',
        'operator  made the client key "SDK" (ID), which sends events',
        f'operator  made the agent key "Night shift" (ID), which reads, until {until}',
    ]
    for shown_to_a_person in (printed, document):
        assert secret[10:] not in shown_to_a_person
        assert token not in shown_to_a_person


def test_a_person_at_the_machine_is_in_the_trail_by_name(person: Person) -> None:
    person.world.store.write(lambda tx: tx.run("DELETE FROM audit"))
    person.run("issues", "status", TIMEOUT, "snoozed")
    (user_id,) = person.world.store.read(lambda tx: tx.one("SELECT id FROM users WHERE name = 'wanda'"))
    assert [re.split(" {2,}", line)[1:] for line in person.run("log").splitlines()[1:]] == [
        [f"wanda (user {user_id[:8]})", 'moved c64325f3 "Connection refused" from new to snoozed'],
        ["operator", 'made "wanda" owner of the team "Night Owls"'],
        ["operator", f'added the user "wanda" ({user_id[:8]})'],
    ]


ODD: dict[str, dict[str, Any]] = {
    "issue.status": {},
    "issue.merge": {"source": HOSTILE, "title": HOSTILE},
    "issue.recount": {"column": HOSTILE, "before": HOSTILE, "after": [HOSTILE]},
    "comment.add": {"issue_id": HOSTILE, "title": {"a": 1}, "body": HOSTILE * 50},
    "comment.edit": {"issue_id": None, "before": 3, "body": True},
    "comment.delete": {"author_name": HOSTILE},
    "api_key.add": {"name": HOSTILE, "key_type": HOSTILE, "permissions": 7, "expires_at": HOSTILE, "local": HOSTILE},
    "api_key.revoke": {"name": 12},
    "token.create": {"name": HOSTILE, "days": HOSTILE},
    "member.add": {"role": HOSTILE, "team": HOSTILE},
    "team.add": {"name": HOSTILE},
    HOSTILE: {HOSTILE: HOSTILE},
}


def test_whatever_an_import_brought_is_shown_and_does_nothing(person: Person) -> None:
    def work(tx: Any) -> None:
        tx.run("DELETE FROM audit")
        for action, detail in ODD.items():
            row = {"at": tx.now, "actor_type": "agent", "actor_id": HOSTILE, "actor_name": HOSTILE, "action": action}
            tx.insert("audit", {**row, "subject_id": HOSTILE, "detail": json.dumps(detail)})

    person.world.store.write(work)
    for arguments in ([], ["--json"], ["--issue", "abcdef01"], ["--by", HOSTILE]):
        out = person.run("log", *arguments) + person.said
        assert not set(out) & {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\u200b"}
    assert len(person.run("log").splitlines()) == len(ODD) + 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--since", "yesterday"],
            1,
            "--since must be a time such as 2026-10-21, 2026-10-21T12:00Z, 30m, 12h or 2d",
        ),
        (
            ["--action", "comment.like"],
            1,
            "--action must be one of issue.status, issue.merge, issue.recount",
        ),
        (["--issue", "nope"], 1, "--issue must be a UUID, or at least its first 8 characters"),
        (["--cursor", "x"], 1, "--cursor must be that of the log before"),
        (["--limit", "-1"], 2, "argument --limit: it must be a whole number, 1 or more"),
        (["--by", "\udcff"], 1, "--by must hold no NUL and no unpaired surrogates"),
    ],
    ids=lambda it: ascii(" ".join(it)) if isinstance(it, list) else "",
)
def test_what_cannot_be_asked_is_told(person: Person, arguments: list[str], code: int, said: str) -> None:
    assert person.run("log", *arguments, code=code) == ""
    assert said in person.said


def test_a_live_server_has_no_trail_to_show(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWLMETRY_BACKEND", "live")
    assert person.run("log", code=2) == ""
    assert person.said.startswith("owlmetry-mcp: an Owlmetry server's API does not give out its audit trail;")
    assert "--store" in person.said


def test_every_action_that_is_recorded_is_one_that_can_be_asked_for(triaged: Person) -> None:
    person_made = {row["action"] for row in json.loads(triaged.run("log", "--json"))["entries"]}
    source = "".join(path.read_text() for path in (ROOT / "owlmetry_mcp" / "backends" / "store").glob("*.py"))
    written = {*re.findall(r'audit\.record\(\s*tx, \w+, "(\w+\.\w+)"', source), "issue.status"}
    assert person_made | written <= {*ACTIONS}
    assert {action.partition(".")[0] for action in ACTIONS} == {
        "issue", "comment", "api_key", "token", "team", "project", "app", "user", "member",
    }  # fmt: skip


# On a terminal


@pytest.mark.parametrize(
    ("width", "drawn"),
    [
        (
            120,
            """\
when              who                                what
2026-10-21 12:00  Triage Agent (agent key d731cba6)  commented on c64325f3 "Connection refused": "It is the proxy."
2026-10-21 11:59  operator                           made the local agent key "claude-code" (aaaaaaaa), which triages
""",
        ),
        (
            80,
            """\
when              who                   what
2026-10-21 12:00  Triage Agent          commented on c64325f3 "Connection
                  (agent key d731cba6)  refused": "It is the proxy."
2026-10-21 11:59  operator              made the local agent key "claude-code"
                                        (aaaaaaaa), which triages
""",
        ),
    ],
)
@pytest.mark.usefixtures("utc")
def test_the_trail_keeps_to_the_terminals_width(width: int, drawn: str) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    page = Page(console, datetime(2026, 10, 21, 13, tzinfo=UTC))
    said = {"issue_id": TIMEOUT, "title": "Connection refused", "body": "It is the proxy."}
    made = {"name": "claude-code", "local": True, "permissions": ["issues:read", "issues:write"]}
    lines = [
        Line(2, "2026-10-21T12:00:00.000Z", "agent", f"{AGENT}-0000", "Triage Agent", "comment.add", "c", said),
        Line(1, "2026-10-21T11:59:00.000Z", "operator", None, None, "api_key.add", "aaaaaaaa-0000", made),
    ]
    page.print(log_table(page, lines))
    assert "".join(f"{line.rstrip()}\n" for line in SGR.sub("", file.getvalue()).splitlines()) == drawn
