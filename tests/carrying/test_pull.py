"""A pull: a server's issues in a fresh store; and a push of what was done to them offline."""

import json
import re
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.checking import checks
from owlmetry_mcp.backends.store.exporting import export_document
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying.report import Report
from owlmetry_mcp.issues.errors import ConflictError, NotFoundError, PermissionDeniedError
from tests.carrying.ground import Line, event, held, issues_of, named, take_in, told, whys
from tests.faults.proxy import Exchange, Fault, faulty_proxy
from tests.world import FIXTURE, SYMBOLS, FakeClock, HttpFace, World

SHOP = SYMBOLS["shop"]
OF_THE_TEAM = [row for row in FIXTURE["apps"] if row["team_id"] == SYMBOLS["team_a"]]
BEYOND_ANSWERS = [
    ("attachments' bytes", "no answer of a server has any"),
    ("users, keys, the audit trail, deleted comments", "no answer of a server has any"),
]


@pytest.fixture
def full(server: World) -> World:
    """The server with the recorded issues, and the events of some of their sessions."""
    sections = ("issues", "fingerprints", "occurrences", "comments", "attachments")
    document = {section: FIXTURE[section] for section in sections}
    server.store.write(lambda tx: import_document(tx, read_document(json.dumps(document))))
    crumbs = [event("Tapped pay", "walk", "09:59:00", "info"), event("Paid twice", "walk", environment="ios")]
    take_in(server.store, [*crumbs, event("Seen by no name", "walk", "10:00:01", client_event_id=None)], "Shop iOS")
    return server


SECTIONS = ("issues", "fingerprints", "occurrences", "comments", "attachments", "events")
UNSAID = ("api_key_id", "deleted_at", "burst_begun_at")


def exported(store: Store) -> dict[str, Any]:
    """The rows of a team's issues and events, but for what no answer of a server says."""
    whole = json.loads("".join(store.read(lambda tx: [*export_document(tx)])))
    foreign = {SYMBOLS["i_foreign"]}
    return {
        section: sorted(
            (
                {name: value for name, value in row.items() if name not in UNSAID}
                for row in whole[section]
                if not row.get("deleted_at") and row.get("issue_id", row.get("id")) not in foreign
            ),
            key=json.dumps,
        )
        for section in SECTIONS
    }


async def test_issues_with_all_that_is_of_them_are_as_there(full: World, line: Line, store: Store) -> None:
    report = await line.pulled(store)
    here = exported(store)
    assert here == exported(full.store)
    assert told(report, "carried") == {
        "issue": len(here["issues"]),
        "occurrence": len(here["occurrences"]),
        "comment": len(here["comments"]),
        "attachment": len(here["attachments"]),
        "event": len(here["events"]),
    }
    assert whys(report) == BEYOND_ANSWERS
    assert not report.failed
    apps = store.read(lambda tx: tx.all("SELECT id, name, platform FROM apps ORDER BY name"))
    assert apps == sorted(((row["id"], row["name"], row["platform"]) for row in OF_THE_TEAM), key=itemgetter(1))
    assert store.read(lambda tx: [it for _, found in checks(tx) for it in found if it.kind == "wrong"]) == []


async def test_what_is_done_offline_is_carried_back_and_nothing_else(
    full: World, line: Line, store: Store, clock: FakeClock
) -> None:
    await line.pulled(store)
    before = exported(full.store)
    clock.advance(hours=1)
    agent = acting_as_local_agent(store, "Offline")
    ids = {name: SYMBOLS[f"i_{name}"] for name in ("claimed", "timeout", "timeout_dup", "regressed", "blog")}
    await agent.update_status(SHOP, ids["claimed"], "resolved", resolved_at_version="9.0")
    await agent.update_status(SHOP, ids["regressed"], "in_progress")
    await agent.update_status(SYMBOLS["blog"], ids["blog"], "silenced")
    await agent.add_comment(SHOP, ids["timeout"], "The proxy.")
    await agent.merge(SHOP, ids["timeout"], ids["timeout_dup"])
    planned = await line.pushed(store, imports=False, dry_run=True)
    report = await line.pushed(store, imports=False)
    assert told(report, "carried") == told(planned, "carried") == {"merge": 1, "status": 3, "comment": 1}
    assert whys(report) == whys(planned)
    assert not report.failed
    after = exported(full.store)
    changed = {row["id"]: row["status"] for row in after["issues"] if row not in before["issues"]}
    assert changed == {
        ids["claimed"]: "resolved", ids["regressed"]: "in_progress", ids["blog"]: "silenced", ids["timeout"]: "new"
    }  # fmt: skip
    (added,) = [row["body"] for row in after["comments"] if row["id"] not in {it["id"] for it in before["comments"]}]
    assert re.fullmatch(r"Offline \(agent\), 2026-10-21 13:00 UTC \[[0-9a-f]{8}\]:\n\nThe proxy\.", added)
    assert after["events"] == before["events"]
    again = await line.pushed(store, imports=False)
    assert exported(full.store) == after
    assert told(again, "carried") == {}


async def test_comments_that_were_deleted_there_since_do_not_come_back(full: World, line: Line, store: Store) -> None:
    await line.pulled(store)
    person, issue = full.acting_as("olga"), SYMBOLS["i_timeout"]
    for comment in await person.list_comments(SHOP, issue):
        await person.delete_comment(SHOP, issue, comment.id)
    report = await line.pushed(store, imports=False)
    assert await person.list_comments(SHOP, issue) == []
    assert ("comment", "it was deleted there") in whys(report)
    assert told(report, "carried") == {}


async def test_of_events_only_those_are_carried_back_that_came_offline(full: World, line: Line, store: Store) -> None:
    await line.pulled(store)
    take_in(store, [event("Offline", "train", environment="ios")], "Shop iOS")
    with pytest.raises(NotFoundError, match="The store has several apps"):
        await line.pushed(store)
    report = await line.pushed(store, app="Shop iOS")
    assert {what: count for what, count in told(report, "carried").items() if what == "event"} == {"event": 1}
    assert "event" not in told(report, "already_there")
    assert len(exported(full.store)["events"]) == 4


async def test_a_copy_that_knows_of_no_pull_sends_no_event_twice(
    full: World, line: Line, store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    await line.pulled(store)
    document = "".join(store.read(lambda tx: [*export_document(tx)]))
    before = exported(full.store)
    with Store(tmp_path / "copy.db", clock) as copy:
        copy.write(lambda tx: import_document(tx, read_document(document)))
        report = await line.pushed(copy, app="Shop iOS")
    assert not report.failed
    assert told(report, "carried") == {}
    assert exported(full.store) == before


async def test_only_a_fresh_store_is_filled(full: World, line: Line, store: Store) -> None:
    take_in(store, [event("Mine", "one")])
    before = held(store)
    with pytest.raises(ConflictError, match="The store is not fresh: it has issues"):
        await line.pulled(store)
    assert held(store) == before
    assert full


@pytest.mark.usefixtures("full")
async def test_a_whole_pull_is_not_repeated(line: Line, store: Store) -> None:
    await line.pulled(store)
    with pytest.raises(ConflictError, match="The store was pulled from there on 2026-10-21, whole"):
        await line.pulled(store)


async def test_one_project_may_be_named(full: World, line: Line, store: Store) -> None:
    with pytest.raises(NotFoundError, match=r"The server has no projects of that name\. It has blog, shop\."):
        await line.pulled(store, project="Nope")
    await line.pulled(store, project="blog")
    (project,) = await acting_as_local_agent(store, None).list_projects()
    assert project.id == SYMBOLS["blog"]
    there = await issues_of(full.acting_as("agent"), SYMBOLS["blog"])
    assert await issues_of(acting_as_local_agent(store, None)) == there


async def test_of_sessions_before_an_instant_no_events_are_fetched(full: World, line: Line, store: Store) -> None:
    report = await line.pulled(store, events_since="2026-10-20T12:00:00.000Z")
    assert exported(store)["events"] == []
    assert ("session", "they were before 2026-10-20T12:00:00.000Z") in whys(report)
    assert exported(store)["issues"] == exported(full.store)["issues"]


async def test_without_the_permission_to_read_events_there_are_none(full: World, line: Line, store: Store) -> None:
    may = json.dumps(["issues:read", "projects:read"])
    full.store.write(lambda tx: tx.run("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", (may,)))
    report = await line.pulled(store)
    assert exported(store) == exported(full.store) | {"events": []}
    assert whys(report) == sorted([*BEYOND_ANSWERS, ("event", "the key lacks events:read")])
    less = json.dumps(["issues:read"])
    full.store.write(lambda tx: tx.run("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", (less,)))
    with pytest.raises(PermissionDeniedError, match="The key in OWLMETRY_API_KEY lacks projects:read"):
        await line.pulled(store)


# Answers that no honest server gives.

Change = Callable[[Any], Any]


def answering(change: Change) -> Fault:
    """A fault that answers what the server does, but for a change to its JSON."""

    async def fault(exchange: Exchange) -> None:
        exchange.request = exchange.request.replace(b"cursor=again&", b"")
        _, _, body = (await exchange.forward()).partition(b"\r\n\r\n")
        await exchange.respond(200, json.dumps(change(json.loads(body))).encode(), "application/json")

    return fault


async def lied_to(http_face: HttpFace, store: Store, path: str, change: Change) -> Report:
    """A pull, some of whose answers are changed; events are asked for only where it is about them."""
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.applies = lambda request: re.match(f"GET {path}".encode(), request) is not None
        proxy.faults = [answering(change)] * 500
        line = Line(f"http://127.0.0.1:{proxy.port}")
        try:
            return await line.pulled(store, events_since=None if path == SESSION else "2030-01-01T00:00:00.000Z")
        finally:
            await line.aclose()


ISSUE, LISTED, SESSION = r"/v1/projects/[^/]+/issues/", r"/v1/projects/[^/]+/issues\?", "/v1/events"


def every(row: dict[str, Any]) -> Change:
    """Every issue of a list so, or a detail."""
    return lambda answer: answer | ({"issues": [it | row for it in answer["issues"]]} if "issues" in answer else row)


@pytest.mark.parametrize(
    ("path", "change", "stopped"),
    [
        (ISSUE, every({"id": SYMBOLS["ghost"]}), "the server's answer is not of what was asked for"),
        (LISTED, every({"id": "../../etc/passwd"}), "the server's answer has issues.*id"),
        (LISTED, every({"app_id": "'; DROP TABLE apps"}), "the server's answer has issues.*app_id"),
        (LISTED, every({"project_id": SYMBOLS["ghost"]}), "there is no project"),
        (LISTED, every({"app_name": "\0"}), "must hold no NUL"),
        ("/v1/projects ", lambda said: {"projects": [it | {"team_id": SYMBOLS["ghost"]} for it in said["projects"]]},
         "The server lists projects of teams that it does not name"),
        (SESSION, lambda answer: answer | {"events": "none"}, "the server's answer has events"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("full")
async def test_what_no_server_says_ends_a_pull(
    http_face: HttpFace, store: Store, path: str, change: Change, stopped: str
) -> None:
    report = await lied_to(http_face, store, path, change)
    assert re.search(stopped, report.stopped)
    assert report.failed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (every({"title": "\0"}), "issues.0..title: text must hold no NUL"),
        (every({"occurrence_count": -1}), "issues.0..occurrence_count"),
        (every({"occurrence_count": 10**30}), "issues.0..occurrence_count"),
        (every({"app_id": SYMBOLS["ghost"]}), "the server says it is of another app than before"),
        (every({"created_at": "2026-99-99T10:00:00.000Z"}), "issues.0..created_at"),
    ],
)
@pytest.mark.usefixtures("full")
async def test_an_issue_that_cannot_be_kept_is_left_out(
    http_face: HttpFace, store: Store, change: Change, why: str
) -> None:
    left = SYMBOLS["i_claimed"]
    report = await lied_to(http_face, store, ISSUE + left, change)
    assert [re.search(why, said) is not None for what, said in whys(report) if what == "issue"] == [True]
    assert len(exported(store)["issues"]) == 14
    assert not report.failed


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (LISTED, lambda answer: answer | {"has_more": True, "cursor": "again"}),
        (ISSUE, lambda said: said | {name: said[name] * 3 for name in ("occurrences", "comments", "fingerprints")}),
        (SESSION, lambda answer: answer | {"events": answer["events"] * 2}),
        (SESSION, lambda answer: answer | {"events": [*answer["events"], *(
            it | {"id": named(it["id"])} for it in answer["events"] if it["client_event_id"]
        )]}),
    ],
)  # fmt: skip
async def test_what_a_server_says_twice_is_kept_once(
    full: World, http_face: HttpFace, store: Store, path: str, change: Change
) -> None:
    report = await lied_to(http_face, store, path, change)
    there = exported(full.store)
    assert exported(store) == (there if path == SESSION else there | {"events": []})
    assert not report.failed
