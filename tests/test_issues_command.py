"""`owlmetry-mcp issues`: what a person sees of issues and does with them, on either backend."""

import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Coroutine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import anyio
import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_user
from owlmetry_mcp.backends.store.events import take_in
from owlmetry_mcp.issues.events import Terms, checked
from owlmetry_mcp.issues.filters import IssueFilter
from tests.person import Person
from tests.world import SECRETS, SYMBOLS, HttpFace, LiveWorld, World

TIMEOUT, DUPLICATE, DEADLOCK = (SYMBOLS[name] for name in ("i_timeout", "i_timeout_dup", "i_claimed"))
SHOP = SYMBOLS["shop"]
HOSTILE = "\x1b[31mred\x1b]0;owned\x07 [bold]not bold[/bold] \u202egnp.exe \x9b2J\r\nid 12345678 resolved \u200b:smile:"
SHOWN = r"\x1b[31mred\x1b]0;owned\x07 [bold]not bold[/bold] \u202egnp.exe \x9b2J\r\nid 12345678 resolved \u200b:smile:"
SGR = re.compile(r"\x1b\[[0-9;]*m")

Result = TypeVar("Result")


@pytest.fixture(params=["store", "live"])
def person(
    request: pytest.FixtureRequest,
    recorded_world: World,
    http_face: HttpFace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Person:
    """Someone with an agent's key, to the store or to a server that serves it."""
    if request.param == "store":
        return Person(recorded_world, capsys, monkeypatch, "agent")
    http_face.store = recorded_world.store
    live = LiveWorld(recorded_world.store, recorded_world.clock, http_face.endpoint)
    return Person(live, capsys, monkeypatch, "agent")


@pytest.fixture
def local(recorded_world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Person:
    """Someone at the machine that the store is on, without a key."""
    monkeypatch.setenv("LOGNAME", "wanda")
    return Person(recorded_world, capsys, monkeypatch, None)


def asked(person: Person, question: Callable[[Backend], Coroutine[Any, Any, Result]]) -> Result:
    """What the store itself answers to the same key."""
    return anyio.run(question, acting_as(person.world.store, SECRETS["agent"]))


def issue(person: Person, issue_id: str = TIMEOUT) -> dict[str, Any]:
    found = asked(person, lambda it: it.get_issue(SHOP, issue_id))
    return found.model_dump(mode="json", exclude_unset=True)


def dump(world: World) -> list[str]:
    return world.store.read(lambda tx: [*tx.connection.iterdump()])


# Looking


LISTED = """\
id        status       title                                        occ.  users  last seen                 versions               app
942b9e8e  new          Connection refused by peer                      3      2  2026-10-20T15:00:00.000Z  2.1.0 to 2.2.0         Shop / Shop iOS
c64325f3  new          Connection refused                              4      2  2026-10-20T14:30:00.000Z  2.1.0 to 2.2.0         Shop / Shop iOS
13dd9783  new          TypeError: x is undefined                       2      2  2026-10-20T13:00:00.000Z  5.0.1                  Blog / Blog Web
1de4b2d9  in_progress  Deadlock detected in checkout                   2      1  2026-10-19T22:00:00.000Z  1.4.0                  Shop / Shop API
61b3b7ba  regressed    Image cache corrupt                             1      1  2026-10-18T05:00:00.000Z  2.2.0                  Shop / Shop iOS
0f7ef908  resolved     Index out of range in cart                      2      2  2026-10-12T06:00:00.000Z  1.9.0, fixed in 2.0.0  Shop / Shop iOS
5b93f806  snoozed      Upstream 503 from payments                      1      1  2026-10-09T04:00:00.000Z  1.3.0                  Shop / Shop API
61887416  silenced     Deprecated endpoint used                        1      1  2026-10-08T04:00:00.000Z  1.2.0, fixed in 1.1.0  Shop / Shop API
ea7adf7d  new          Pool exhausted: 50 of 50 connections in use   120     40  2026-10-07T23:30:00.023Z  1.0.0 to 1.1.0         Shop / Shop API
ffbfdf29  new          Tie breaker 0                                   0      0  2026-10-05T05:05:00.123Z                         Shop / Shop API
8588a6cf  new          Tie breaker 1                                   0      0  2026-10-05T05:05:00.123Z                         Shop / Shop API
56a7001d  new          Tie breaker 2                                   0      0  2026-10-05T05:05:00.123Z                         Shop / Shop API
"""  # noqa: E501 - a row is a line
PRODUCTION = "Production alone; --data-mode all shows what development builds met as well.\n"


def ids(printed: str) -> list[str]:
    return [line.split()[0] for line in printed.splitlines()[1:]]


def test_issues_are_listed_as_rows(person: Person) -> None:
    assert person.run("issues", "list") == LISTED
    assert person.said == PRODUCTION


@pytest.mark.parametrize(
    ("arguments", "listed"),
    [
        (["--project", "blog"], ["13dd9783", "20333106"]),
        (["--project", "BLOG", "--data-mode", "development"], ["20333106"]),
        (["--project", SYMBOLS["blog"][:8], "--status", "new"], ["13dd9783"]),
        (["--app", "shop api", "--status", "in_progress", "--status", "snoozed"], ["1de4b2d9", "5b93f806"]),
        (["--status", "regressed", "--all"], ["61b3b7ba"]),
        (["--all", "--status", "silenced", "--status", "resolved"], ["0f7ef908", "61887416"]),
    ],
    ids=" ".join,
)
def test_a_list_is_of_what_was_asked_for(person: Person, arguments: list[str], listed: list[str]) -> None:
    assert ids(person.run("issues", "list", *arguments)) == listed


def test_the_configured_project_is_meant_where_none_is_named(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWLMETRY_PROJECT_ID", "Blog")
    assert ids(person.run("issues", "list")) == ["13dd9783", "20333106"]
    assert person.said == ""


@pytest.mark.parametrize("statuses", [[], ["new"], ["new", "regressed", "resolved"]], ids=len)
def test_the_commands_that_go_on_show_the_rest_and_each_issue_once(person: Person, statuses: list[str]) -> None:
    flags = [word for status in statuses for word in ("--status", status)]
    command = ["issues", "list", "--project", "Shop", "--limit", "3", *flags]
    listed, more = [*ids(person.run(*command))], []
    while person.said:
        count, going_on = person.said.removesuffix("\n").split(" more: owlmetry-mcp ")
        more.append(int(count))
        listed += ids(person.run(*shlex.split(going_on)))
    whole = asked(person, lambda it: it.list_issues(SHOP, IssueFilter(), limit=200)).issues
    assert listed == [row.id[:8] for row in whole if not statuses or row.status in statuses]
    assert more == [*range(len(listed) - 3, 0, -3)]


def test_where_there_is_much_it_is_said_that_there_is_more(person: Person) -> None:
    rows = [{"id": f"{row:08x}{DEADLOCK[8:]}"} for row in range(205)]
    person.world.store.write(lambda tx: tx.connection.executemany(_COPY, rows))
    person.run("issues", "list", "--status", "in_progress", "--limit", "1")
    assert person.said.startswith("More than 200 more: owlmetry-mcp issues list --limit 1 --status in_progress")
    assert len(ids(person.run("issues", "list", "--status", "in_progress", "--all"))) == 206


_COPY = f"""
    INSERT INTO issues (id, app, status, title, is_dev, occurrence_count, unique_user_count, first_seen_at,
        last_seen_at, created_at, updated_at)
    SELECT :id, app, status, title, is_dev, 0, 0, first_seen_at, last_seen_at, created_at, updated_at FROM issues
    WHERE id = '{DEADLOCK}'
"""  # noqa: S608 - an id of the recorded world


def test_what_does_not_match_is_told(person: Person) -> None:
    assert person.run("issues", "list", "--project", "blog", "--status", "snoozed") == ""
    assert person.said == "No issues match.\n"


def test_the_document_of_a_list_is_the_apis(person: Person) -> None:
    document = json.loads(person.run("issues", "list", "--limit", "2", "--json"))
    page = asked(person, lambda it: it.list_team_issues(IssueFilter(), limit=2))
    assert document == page.model_dump(mode="json", exclude_unset=True)
    assert person.said == ""
    document = json.loads(
        person.run("issues", "list", "--all", "--json", "--status", "snoozed", "--status", "silenced")
    )
    assert [row["status"] for row in document["issues"]] == ["snoozed", "silenced"]
    assert (document["cursor"], document["has_more"]) == (None, False)


_TWO_STATUSES = ("--status", "snoozed", "--status", "silenced")
PAGE = """\
new  Connection refused
  id            c64325f3-6c07-5676-8135-602f26f65950
  in            Shop iOS, production
  module        NetworkService
  seen by       2 users
  first         2026-10-18T10:00:00.000Z in 2.1.0
  last          2026-10-20T14:30:00.000Z in 2.2.0
  changed       2026-10-20T14:30:00.000Z
  fingerprints  171a317ba026

4 occurrences
  version      2.1.0       2
  version      2.2.0       2
  environment  ios         3
  environment  ipados      1
  country      US          2
  country      DE          1
  country      not said    1
  day          2026-10-20  2
  day          2026-10-19  1
  day          2026-10-18  1

Latest occurrences
  when                      version  environment  country  user    session
  2026-10-20T14:30:00.000Z  2.2.0    ios                           88236041
  2026-10-20T08:00:00.000Z  2.2.0    ipados       US       user-1  bee6c823
  2026-10-19T09:00:00.000Z  2.1.0    ios          DE       user-2  79c5b940
  2026-10-18T10:00:00.000Z  2.1.0    ios          US       user-1  5e87a5ff

Latest event
  Missing permission: events:read. Ask for a key that has it.

Comments (2)
  Mia Member (person), 2026-10-19T12:00:00.000Z
    Seen after the 2.1.0 rollout.
  Triage Agent (agent key d731cba6), 2026-10-19T13:00:00.000Z
    All occurrences are on **cellular**.

Attachments (2)
  when                      name        type        bytes  event
  2026-10-18T10:01:00.000Z  screen.png  image/png   4,096  4b21e52e
  2026-10-18T10:00:00.000Z  crash.log   text/plain  2,048  e90bbfbe
"""


def test_an_issue_is_shown_with_all_that_is_known_of_it(person: Person) -> None:
    assert person.run("issues", "show", TIMEOUT[:8].upper()) == PAGE
    assert person.said == ""


def test_the_document_of_an_issue_is_the_apis_with_what_is_made_of_it(person: Person) -> None:
    document = json.loads(person.run("issues", "show", TIMEOUT, "--json"))
    summary, event = document.pop("summary"), document.pop("latest_event")
    assert document == issue(person)
    assert (summary["occurrences"], summary["days"]["top"][0]) == (4, {"value": "2026-10-20", "occurrences": 2})
    assert event is None


def failed(person: Person, trace: str, **attributes: str) -> None:
    """Give the issue's latest occurrence an event, and the person's key the right to read it."""
    session, event_id = issue(person)["occurrences"][0]["session_id"], "e1e1e1e1-0000-4000-8000-000000000001"

    def work(tx: Any) -> None:
        app = administration.find_app(tx, "Shop iOS")
        event = checked(
            {
                "level": "error", "message": "Connection refused", "session_id": session, "app_version": "2.2.0",
                "environment": "ios", "timestamp": tx.now, "custom_attributes": {"_error_stack": trace, **attributes},
            },
            Terms.at(tx.now, app.platform, None),
        )  # fmt: skip
        take_in(tx, app.key, None, [event])
        tx.run("UPDATE events SET id = uuid_blob(?), timestamp = '2026-10-20T14:30:00.000Z'", (event_id,))
        tx.run(
            "UPDATE occurrences SET event_id = uuid_blob(?) WHERE timestamp = '2026-10-20T14:30:00.000Z'", (event_id,)
        )
        rights = json.dumps(["issues:read", "issues:write", "events:read", "projects:read"])
        tx.run("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", (rights,))

    person.world.store.write(work)


def section(printed: str, heading: str) -> str:
    return printed.partition(f"\n{heading}")[2].partition("\n\n")[0]


def test_the_latest_events_trace_is_shown(person: Person) -> None:
    failed(person, "ConnectionError: refused\n\tat Socket.open (net.py:3)\n")
    assert section(person.run("issues", "show", TIMEOUT), "Latest event").splitlines() == [
        ", 2026-10-20T14:30:00.000Z",
        "  e1e1e1e1-0000-4000-8000-000000000001",
        "    ConnectionError: refused",
        "        at Socket.open (net.py:3)",
    ]


def test_a_long_trace_is_shown_by_its_ends_unless_events_are_asked_for(person: Person) -> None:
    lines = [f"frame {number}" for number in range(100)]
    failed(person, "\n".join(lines), _http_url="https://example.com/[red]x")
    shown = section(person.run("issues", "show", TIMEOUT), "Latest event").splitlines()[2:]
    assert shown == [
        f"    {line}" for line in (*lines[:8], "… 76 lines more; --events shows all …", *lines[-16:])
    ]  # fmt: skip
    whole = section(person.run("issues", "show", TIMEOUT, "--events"), "Latest event").splitlines()
    assert whole[-100:] == [f"    {line}" for line in lines]
    assert "    Connection refused" in whole
    assert any(re.fullmatch(r"    _http_url +https://example.com/\[red\]x", line) for line in whole)
    document = json.loads(person.run("issues", "show", TIMEOUT, "--json"))
    assert document["latest_event"]["custom_attributes"]["_error_stack"] == "\n".join(lines)


# Acting


def test_issues_are_moved_and_commented_on_and_none_stops_the_others(person: Person) -> None:
    printed = person.run(
        "issues", "status", TIMEOUT[:8], "aaaaaaaa", TIMEOUT, "nope", SYMBOLS["i_fixed"], DEADLOCK, "in_progress",
        "--comment", "Looking.", code=1,
    )  # fmt: skip
    assert printed == "c64325f3  in_progress  Connection refused; commented\n"
    assert person.said == (
        'owlmetry-mcp: "aaaaaaaa": No issue\'s id begins with aaaaaaaa. `owlmetry-mcp issues list` shows whole ids.\n'
        'owlmetry-mcp: "nope": ID must be a UUID, or at least its first 8 characters, not "nope"\n'
        f"owlmetry-mcp: \"{SYMBOLS['i_fixed']}\": Cannot transition from 'resolved' to 'in_progress'."
        " From resolved: new, silenced, snoozed.\n"
        f"owlmetry-mcp: \"{DEADLOCK}\": Cannot transition from 'in_progress' to 'in_progress'."
        " From in_progress: new, resolved, silenced, snoozed.\n"
        "owlmetry-mcp: 4 of 5 were not moved as asked\n"
    )
    assert issue(person)["status"] == "in_progress"
    assert [row["body"] for row in issue(person)["comments"]][2:] == ["Looking."]


def test_an_issue_is_resolved_with_a_version(person: Person) -> None:
    assert person.run("issues", "status", TIMEOUT, "resolved", code=1) == ""
    assert person.said.startswith("owlmetry-mcp: --version is required when resolving an issue.")
    printed = person.run("issues", "status", TIMEOUT, "resolved", "--version", "2.3.0")
    assert printed == "c64325f3  resolved  Connection refused (fixed in 2.3.0)\n"
    assert issue(person)["resolved_at_version"] == "2.3.0"


def test_the_document_of_moves_tells_of_each(person: Person) -> None:
    printed = person.run("issues", "status", TIMEOUT, "nope", "snoozed", "--comment", "Once.", "--json", code=1)
    moved, refused = json.loads(printed)["results"]
    now = issue(person)
    assert moved["issue_id"] == TIMEOUT
    assert moved["issue"].items() <= now.items()
    assert moved["issue"]["status"] == "snoozed"
    assert moved["comment"] == now["comments"][-1]
    assert refused == {
        "issue_id": "nope",
        "error": 'ID must be a UUID, or at least its first 8 characters, not "nope"',
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", TIMEOUT, "regressed"], 2, "invalid choice: 'regressed'"),
        (["status", TIMEOUT, "snoozed", "--comment", " "], 1, "--comment is required. It takes the comment's text"),
        (["status", TIMEOUT], 2, "the following arguments are required: STATUS"),
        (["merge", TIMEOUT, DUPLICATE], 2, "there is no terminal to ask on: say --yes"),
        (["merge", TIMEOUT, TIMEOUT, "--yes"], 1, "Cannot merge an issue into itself"),
        (
            ["merge", "nope", DUPLICATE, "--yes"],
            1,
            "TARGET must be a UUID, or at least its first 8 characters, not",
        ),
        (["merge", TIMEOUT, "nope", "--yes"], 1, "SOURCE must be a UUID, or at least its first 8 characters"),
        (["comment", TIMEOUT, "\n"], 1, "TEXT is required. It takes the comment's text, in Markdown."),
        (["comment", "ffffffff", "Hm"], 1, "No issue's id begins with ffffffff. `owlmetry-mcp issues list` shows"),
        (["show", "c64325f"], 1, "ID must be a UUID, or at least its first 8 characters"),
        (["list", "--project", "nope"], 1, "--project must be an id, the first 8 characters of one or more, a name or"),
        (["list", "--app", "nope"], 1, "--app must be an id, the first 8 characters of one or more, a name or a slug"),
        (["list", "--limit", "0"], 2, "argument --limit: it must be a whole number, 1 or more"),
        (["list", "--status", "open"], 2, "invalid choice: 'open'"),
        (["list", "--cursor", "nonsense"], 1, "cursor must be the cursor of the page before"),
        (
            ["list", "--status", "new", "--status", "snoozed", "--cursor", "x"],
            1,
            "--cursor must be that of a list",
        ),
        (["list", "--all", "--cursor", "x"], 2, "not allowed with argument"),
    ],
    ids=lambda it: " ".join(it[:3]) if isinstance(it, list) else "",
)
def test_what_cannot_be_done_is_told_in_a_line_and_changes_nothing(
    person: Person, arguments: list[str], code: int, said: str
) -> None:
    before = dump(person.world)
    assert person.run("issues", *arguments, code=code) == ""
    assert said in person.said
    assert dump(person.world) == before


def test_issues_are_merged_unasked_where_that_is_said(person: Person) -> None:
    printed = person.run("issues", "merge", TIMEOUT[:8], DUPLICATE, "aaaaaaaa", DUPLICATE[:8], "--yes", code=1)
    assert printed == "c64325f3  new  Connection refused\n"
    assert person.said.splitlines() == [
        "1 merged into it; it was seen 5 times.",
        'owlmetry-mcp: "aaaaaaaa": No issue\'s id begins with aaaaaaaa. `owlmetry-mcp issues list` shows whole ids.',
        "owlmetry-mcp: 1 of 2 were not merged as asked",
    ]
    person.run("issues", "show", DUPLICATE, code=1)
    assert "It may have been merged into another" in person.said


def test_the_document_of_a_merge_tells_of_each(person: Person) -> None:
    document = json.loads(person.run("issues", "merge", TIMEOUT, DUPLICATE, TIMEOUT, "--yes", "--json", code=1))
    assert document["target"].items() <= issue(person).items()
    assert document["results"] == [
        {"source_issue_id": DUPLICATE, "merged": True},
        {
            "source_issue_id": TIMEOUT,
            "error": "Cannot merge an issue into itself" + document["results"][1]["error"][33:],
        },
    ]


def test_a_comment_is_the_keys_own(person: Person) -> None:
    printed = person.run("issues", "comment", TIMEOUT, "Fixed **soon**.")
    said = issue(person)["comments"][-1]
    assert (said["author_type"], said["author_name"], said["body"]) == ("agent", "Triage Agent", "Fixed **soon**.")
    assert printed == f"{said['id']}\n"
    assert person.said == "Commented on c64325f3 as Triage Agent.\n"
    assert json.loads(person.run("issues", "comment", TIMEOUT, "Once more.", "--json")) == issue(person)["comments"][-1]


@pytest.mark.parametrize(("text", "code"), [(b"# Found\n\nIt is the \xf0\x9f\xa6\x89.\n", 0), (b"\xff", 1), (b"", 1)])
def test_a_comment_is_read_from_standard_input(
    person: Person, monkeypatch: pytest.MonkeyPatch, text: bytes, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    person.run("issues", "comment", TIMEOUT, "-", code=code)
    bodies = [row["body"] for row in issue(person)["comments"]][2:]
    assert bodies == ([text.decode().strip()] if code == 0 else [])


# A person at the store's machine


def test_without_a_key_a_person_acts_as_a_user_of_their_name(local: Person) -> None:
    local.run("issues", "comment", TIMEOUT, "Seen.")
    assert local.said == "Commented on c64325f3 as wanda.\n"
    local.run("issues", "status", TIMEOUT, "in_progress")
    said = issue(local)["comments"][-1]
    users = local.world.store.read(
        lambda tx: tx.all(
            """
            SELECT u.id, u.email, u.name, t.name, m.role
            FROM users u JOIN memberships m ON m.user = u.key JOIN teams t ON t.key = m.team WHERE u.name = 'wanda'
            """
        )
    )
    assert users == [(said["author_id"], "wanda@localhost", "wanda", "Night Owls", "owner")]
    assert (said["author_type"], said["author_name"]) == ("user", "wanda")
    assert "  wanda (person), " in local.run("issues", "show", TIMEOUT)


@pytest.mark.parametrize(
    "arguments", [["list"], ["list", "--all", "--json"], ["show", TIMEOUT], ["show", TIMEOUT, "--events", "--json"]]
)
def test_looking_writes_nothing(local: Person, arguments: list[str]) -> None:
    before = dump(local.world)
    assert local.run("issues", *arguments)
    assert dump(local.world) == before


def test_what_fails_leaves_no_user_behind(local: Person) -> None:
    before = dump(local.world)
    local.run("issues", "status", DEADLOCK, "in_progress", code=1)
    assert dump(local.world) == before


def test_a_person_who_was_added_is_the_one_at_the_machine(local: Person) -> None:
    local.run("users", "add", "Wanda@localhost", "--name", "Wanda B.", "--role", "member", "--team", "other-team")
    assert ids(local.run("issues", "list")) == [SYMBOLS["i_foreign"][:8]]
    local.run("issues", "comment", SYMBOLS["i_foreign"], "Mine.")
    assert local.said == f"Commented on {SYMBOLS['i_foreign'][:8]} as Wanda B..\n"


async def test_who_a_person_will_be_is_known_before_they_are_made(recorded_world: World) -> None:
    backend = acting_as_local_user(recorded_world.store, "wa nda@x")
    before = await backend.whoami()
    assert (await backend.add_comment(SHOP, TIMEOUT, "Hm.")).author_name == "wa nda@x"
    assert await backend.whoami() == before
    assert before.model_dump()["user"]["email"] == "wa-nda-x@localhost"


@pytest.mark.parametrize("logins", [("wanda", "Wanda"), ("wa nda", "wa@nda"), ("ünsal", "Ünsal"), ("x" * 300, "")])
async def test_logins_are_one_person_where_the_store_takes_their_addresses_for_one(
    recorded_world: World, logins: tuple[str, str]
) -> None:
    people = []
    for login in logins:
        backend = acting_as_local_user(recorded_world.store, login)
        comment = await backend.add_comment(SHOP, TIMEOUT, "Hm.")
        people.append((await backend.whoami()).model_dump()["user"])
        assert (comment.author_id, comment.author_name) == (people[-1]["id"], people[-1]["name"])
    users = recorded_world.store.read(lambda tx: tx.all("SELECT id FROM users WHERE email LIKE '%@localhost'"))
    assert {(person["id"],) for person in people} == {*users}
    assert (len(users) == 1) == (logins[0].isascii() and logins[1] != "")


async def test_a_person_who_is_in_no_team_any_more_is_made_an_owner_again(recorded_world: World) -> None:
    """Whoever can open the file can do as much."""
    store, backend = recorded_world.store, acting_as_local_user(recorded_world.store, "wanda")
    await backend.add_comment(SHOP, TIMEOUT, "Hm.")
    before = await backend.whoami()
    memberships = "SELECT team, role FROM memberships m JOIN users u ON u.key = m.user WHERE u.name = 'wanda'"
    rows = store.read(lambda tx: tx.all(memberships))
    store.write(lambda tx: tx.run("DELETE FROM memberships"))
    assert await backend.whoami() == before
    await backend.add_comment(SHOP, TIMEOUT, "Hm?")
    assert store.read(lambda tx: tx.all(memberships)) == rows


def test_there_is_no_store_to_be_looked_at(local: Person, tmp_path: Path) -> None:
    missing = tmp_path / "missing.db"
    assert local.run("issues", "list", "--store", str(missing), code=1) == ""
    assert local.said.startswith(f"owlmetry-mcp: There is no store {missing}. An agent's first start makes it,")
    assert not missing.exists()


# What strangers wrote


def spoil(person: Person) -> None:
    person.world.put(
        "i_timeout", title=HOSTILE, source_module=HOSTILE, first_seen_app_version=HOSTILE, last_seen_app_version=HOSTILE
    )
    person.world.put("i_timeout_dup", title=HOSTILE)

    def work(tx: Any) -> None:
        tx.run("UPDATE apps SET name = ?", (HOSTILE,))
        tx.run("UPDATE projects SET name = ?", (HOSTILE,))
        tx.run("UPDATE comments SET body = ?, author_name = ?", (HOSTILE, HOSTILE))
        tx.run("UPDATE api_keys SET name = ? WHERE name = 'Triage Agent'", (HOSTILE,))
        tx.run("UPDATE occurrences SET user_id = ?, app_version = ?, environment = ?", (HOSTILE, HOSTILE, HOSTILE))
        tx.run("UPDATE attachments SET original_filename = ?, content_type = ?", (HOSTILE, HOSTILE))

    person.world.store.write(work)


class _Refusing(BaseHTTPRequestHandler):
    """A server that refuses all in words of its own."""

    def do_GET(self) -> None:
        answer = json.dumps({"error": HOSTILE}).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None: ...


def test_what_a_server_says_does_nothing_to_the_terminal(local: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Refusing) as server:
        Thread(target=server.serve_forever).start()
        monkeypatch.setenv("OWLMETRY_BACKEND", "live")
        monkeypatch.setenv("OWLMETRY_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OWLMETRY_API_KEY", SECRETS["agent"])
        local.run("issues", "list", code=1)
        server.shutdown()
    assert local.said.startswith("owlmetry-mcp: \\x1b[31mred\\x1b]0;owned\\x07 [bold]not bold[/bold] ")
    assert not set(local.said) & {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\u200b"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"], ["list", "--json"], ["show", TIMEOUT], ["show", TIMEOUT, "--json"], ["list", "--project", "xxx"],
        ["list", "--app", "xxx"], ["status", TIMEOUT, "snoozed"], ["merge", TIMEOUT, DUPLICATE, "--yes"],
        ["comment", TIMEOUT, HOSTILE],
        ["comment", TIMEOUT, HOSTILE, "--json"],
    ],
    ids=lambda it: " ".join(it[:2]) if isinstance(it, list) else "",
)  # fmt: skip
def test_strangers_words_are_shown_and_do_nothing(person: Person, arguments: list[str]) -> None:
    spoil(person)
    code = 1 if {"--project", "--app"} & {*arguments} else 0
    out = person.run("issues", *arguments, code=code) + person.said
    assert not set(out) & {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\u200b"}
    if not code:
        assert (json.dumps(HOSTILE) if "--json" in arguments else SHOWN) in out
