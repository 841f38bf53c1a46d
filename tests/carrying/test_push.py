"""A push: a store's events, statuses, comments and merges at a server, once each."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from owlmetry_mcp.backends.store import access, administration, intake, retention
from owlmetry_mcp.backends.store.backend import StoreBackend, acting_as_local_agent
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, OwlmetryError, UnauthenticatedError
from owlmetry_mcp.issues.models import Ingested
from tests.carrying.ground import (
    HISTORY,
    Line,
    Unheard,
    event,
    held,
    issues_of,
    named,
    project_of,
    take_in,
    told,
    whys,
)
from tests.faults.proxy import Exchange, cut_before, faulty_proxy
from tests.world import SECRETS, SYMBOLS, FakeClock, HttpFace, World

HEAD = re.compile(r"^(.+) \((agent|user)\), \d{4}-\d\d-\d\d \d\d:\d\d UTC \[[0-9a-f]{8}\]:\n\n")
REGRESSED = "regressed is what a server's own scan alone makes of an issue; there it is new"
SHOP = SYMBOLS["shop"]


def as_carried(store: Store) -> dict[str, Any]:
    """What a server is to hold of a store: its comments begin with who wrote them, and nothing is regressed there."""
    state = held(store)
    for issue in state["issues"]:
        issue[1] = "new" if issue[1] == "regressed" else issue[1]
    return state


def as_written(server: Store) -> dict[str, Any]:
    """What a server holds, its comments as by who is named in front of them."""
    state = held(server)
    for issue in state["issues"]:
        comments = [(author, HEAD.match(body), body) for author, body in issue[7]]
        assert all(author == "Triage Agent" and head for author, head, _ in comments)
        issue[7] = [(head[1], body[head.end() :]) for _, head, body in comments if head]
    return state


async def test_all_that_a_server_can_hold_of_a_store_is_there_in_the_end(
    lived: Store, server: World, line: Line
) -> None:
    report = await line.pushed(lived)
    assert as_written(server.store) == as_carried(lived)
    assert told(report, "carried") == {"event": 13, "merge": 1, "status": 4, "comment": 3}
    assert told(report, "already_there") == {}
    assert whys(report) == [("comment", "they were deleted"), ("status", REGRESSED)]
    assert not report.failed


async def test_again_it_changes_nothing(lived: Store, server: World, line: Line) -> None:
    await line.pushed(lived)
    before = held(server.store)
    report = await line.pushed(lived, imports=False)
    assert held(server.store) == before
    assert told(report, "carried") == {}
    assert told(report, "already_there") == {"status": 4, "comment": 3}
    assert not report.failed


async def test_what_is_new_here_is_carried_later(lived: Store, server: World, line: Line, clock: FakeClock) -> None:
    await line.pushed(lived)
    agent = acting_as_local_agent(lived, "Night shift")
    project, found = await project_of(agent), await issues_of(agent)
    clock.advance(hours=1)
    await agent.update_status(project, found["Disk full"].id, "resolved", resolved_at_version="3.0")
    await agent.update_status(project, found["Payment failed"].id, "new")
    comment, _ = await agent.list_comments(project, found["Payment failed"].id)
    await agent.edit_comment(project, found["Payment failed"].id, comment.id, "It was the card.")
    take_in(lived, [event("Odd number", "eleven", "11:30:00"), event("Even number", "eleven", "11:40:00")])
    report = await line.pushed(lived)
    assert as_written(server.store) == as_carried(lived)
    assert told(report, "carried") == {"event": 2, "status": 2, "comment": 1}


async def test_without_its_memory_it_does_nothing_twice(lived: Store, server: World, line: Line) -> None:
    await line.pushed(lived)
    before = held(server.store)
    report = await line.pushed(lived, endpoint="https://the.same.under.another.name")
    assert held(server.store) == before
    assert told(report, "carried") == {}
    assert told(report, "already_there") == {"event": 13, "status": 4, "comment": 3}


async def test_what_was_changed_there_since_stays(lived: Store, server: World, line: Line, clock: FakeClock) -> None:
    await line.pushed(lived)
    person, agent = server.acting_as("olga"), acting_as_local_agent(lived, "Night shift")
    there, here, project = await issues_of(person, SHOP), await issues_of(agent), await project_of(agent)
    clock.advance(hours=1)
    for title, status in (("Disk full", "silenced"), ("Payment failed", "new"), ("Odd number", "in_progress")):
        await person.update_status(SHOP, there[title].id, status)
    (first, second), ours = await person.list_comments(SHOP, there["Payment failed"].id), server.acting_as("agent")
    await person.delete_comment(SHOP, there["Payment failed"].id, first.id)
    await ours.edit_comment(SHOP, there["Payment failed"].id, second.id, "Edited there.")
    for comment in await agent.list_comments(project, here["Payment failed"].id):
        writer = acting_as_local_agent(lived, comment.author_name)
        await writer.edit_comment(project, here["Payment failed"].id, comment.id, "Edited here.")
    await agent.update_status(project, here["Disk full"].id, "snoozed")
    before = held(server.store)
    report = await line.pushed(lived)
    assert held(server.store) == before
    assert whys(report) == [
        ("comment", "it was changed there as well, which stays"),
        ("comment", "it was deleted there"),
        ("comment", "they were deleted"),
        ("status", "it was moved there as well, to silenced, which stays; here it is snoozed"),
        ("status", "it was moved to in_progress there, and nothing has changed here since"),
        ("status", "it was moved to new there, and nothing has changed here since"),
        ("status", REGRESSED),
    ]
    assert not report.failed


async def test_events_without_a_client_event_id_are_known_when_they_come_again(
    store: Store, server: World, line: Line
) -> None:
    take_in(store, [event("Nameless", "one", client_event_id=None), event("Nameless", "two", client_event_id=None)])
    await line.pushed(store)
    report = await line.pushed(store, endpoint="https://the.same.under.another.name")
    assert told(report, "already_there") == {"event": 2}
    assert len(held(server.store)["events"]) == 2


async def test_batches_are_of_so_many_events_and_so_many_bytes(
    store: Store, server: World, http_face: HttpFace
) -> None:
    stack = {"_error_stack": "é" * 16_000}  # 32 kB each
    long = [event("Long", f"long {number}", custom_attributes=stack) for number in range(70)]
    take_in(store, [event("Short", f"short {number}", "09:00:00", "info") for number in range(1_100)] + long)
    sent: list[bytes] = []

    def look(request: bytes) -> bool:
        head, _, body = request.partition(b"\r\n\r\n")
        if head.startswith(b"POST /v1/import"):
            sent.append(gzip.decompress(body))
        return False

    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.applies, proxy.faults = look, [cut_before]
        line = Line(f"http://127.0.0.1:{proxy.port}")
        report = await line.pushed(store)
        await line.aclose()
    assert told(report, "carried") == {"event": 1_170}
    assert len(held(server.store)["events"]) == 1_170
    assert [len(json.loads(body)["events"]) for body in sent] == [1, 999, 131, 32, 7]
    assert 1_000_000 < max(len(body) for body in sent) <= 1024 * 1024


@pytest.mark.usefixtures("server")
async def test_what_a_server_does_not_take_is_named_with_its_reason(store: Store, line: Line) -> None:
    take_in(store, [event("Good", "one"), event("Good", "two", environment="backend")])
    (app,) = store.read(lambda tx: tx.one("SELECT id FROM apps"))
    at = "2026-10-20T10:00:00.000Z"
    more = {"id": named("long"), "app_id": app, "is_dev": False, "session_id": named("s"), "level": "info",
            "message": "x", "timestamp": at, "received_at": at}  # fmt: skip
    attributes = {str(number): "x" * 200_000 for number in range(6)}
    country = more | {"id": named("country"), "country_code": "AT"}
    attachment = {"id": named("a"), "app_id": app, "original_filename": "log", "content_type": "text/plain",
                  "size_bytes": 1, "created_at": at}  # fmt: skip
    document = {"events": [more | {"custom_attributes": attributes}, country], "attachments": [attachment],
                "pruned": [{"client_event_id": named("gone"), "app_id": app}]}  # fmt: skip
    store.write(lambda tx: import_document(tx, read_document(json.dumps(document))))
    report = await line.pushed(store)
    assert whys(report) == [
        ("attachment", "a store holds no attachments' bytes, only what they are called"),
        ("country", "no import takes an event's country"),
        ("event", 'environment "backend" is not allowed for apple apps (allowed: ios, ipados, macos, watchos)'),
        ("event", "it is longer than a server takes (1 MiB)"),
        ("event", "they were pruned here: only their ids are left"),
    ]
    assert told(report, "carried") == {"event": 2}
    assert not report.failed


@pytest.mark.usefixtures("server")
async def test_a_server_that_takes_nothing_is_not_sent_everything(store: Store, line: Line) -> None:
    take_in(store, [event("Bad", f"session {number}", environment="backend") for number in range(50)])
    report = await line.pushed(store)
    assert report.stopped == (
        "The server takes none of the first events. Is the import key that of an app of the same platform?"
    )
    assert told(report, "not_carried") == {"event": 20}


async def test_issues_without_events_are_named(lived: Store, server: World, line: Line) -> None:
    lived.write(lambda tx: retention.prune_batch(tx, "2027", 0))
    take_in(lived, [event("Fresh", "one")])
    report = await line.pushed(lived)
    assert told(report, "not_carried") == {"issue": 8, "event": 13, "comment": 1}
    assert [*await issues_of(server.acting_as("agent"), SHOP)] == ["Fresh"]


@pytest.mark.usefixtures("server")
async def test_keys_of_pruned_events_that_are_given_again_are_no_reason_to_leave_events_out(
    store: Store, line: Line
) -> None:
    take_in(store, HISTORY)
    await line.pushed(store)
    store.write(lambda tx: retention.prune_batch(tx, "2027", 0))
    take_in(store, [event("After", "the prune")])
    report = await line.pushed(store)
    assert told(report, "carried") == {"event": 1}


async def test_issues_that_are_one_there_are_told(store: Store, server: World, line: Line, clock: FakeClock) -> None:
    """Here they were seen far apart first, there in one session within a second."""
    take_in(store, [event("Cause", "apart"), event("Effect", "apart", "10:30:00")])
    together = [event("Cause", "together"), event("Effect", "together", "10:00:01")]
    take_in(server.store, together, SYMBOLS["ios"])
    agent = acting_as_local_agent(store, None)
    project, found = await project_of(agent), await issues_of(agent)
    clock.advance(minutes=1)
    await agent.update_status(project, found["Cause"].id, "silenced")
    for title in found:
        await agent.add_comment(project, found[title].id, f"Of {title}")
        clock.advance(minutes=1)
    report = await line.pushed(store)
    there = await issues_of(server.acting_as("agent"), SHOP)
    assert {title: (issue.status, issue.occurrence_count) for title, issue in there.items()} == {"Cause": ("new", 2)}
    comments = await server.acting_as("agent").list_comments(SHOP, there["Cause"].id)
    assert sorted(it.body.partition("\n\n")[2] for it in comments) == ["Of Cause", "Of Effect"]
    assert whys(report) == [
        ("issue", f"there it is one with {found['Cause'].id[:8]}"),
        ("status", "they are one there, and here of different statuses"),
    ]


async def test_issues_are_merged_there_only_where_that_is_sure(store: Store, server: World, line: Line) -> None:
    take_in(store, [event("Cause", "one"), event("Effect", "one", "10:00:01")])  # one issue here
    take_in(store, [event("Kept", "two"), event("Claimed", "three"), event("Wider", "four")])
    more = [event("Cause", "five"), event("Effect", "six"), event("Claimed", "seven"), event("Kept", "eight")]
    wider = [event("Wider", "nine"), event("Something else", "nine", "10:00:01")]
    take_in(server.store, more + wider, SYMBOLS["ios"])
    agent, person = acting_as_local_agent(store, None), server.acting_as("olga")
    project, found = await project_of(agent), await issues_of(agent)
    for title in ("Claimed", "Wider"):
        await agent.merge(project, found["Kept"].id, found[title].id)
    there = await issues_of(person, SHOP)
    await person.update_status(SHOP, there["Claimed"].id, "in_progress")
    await agent.add_comment(project, found["Kept"].id, "All one.")
    for carried in ({"comment": 1}, {}):
        report = await line.pushed(store)
        assert {*await issues_of(person, SHOP)} == {"Cause", "Effect", "Kept", "Claimed", "Wider"}
        assert whys(report) == [
            ("merge", "someone moved it to in_progress there, which a merge would lose"),
            ("merge", "the one there has more in it than was merged here"),
            ("merge", "the server holds them apart, and no one merged them here"),
            ("status", "it was moved to in_progress there, and nothing has changed here since"),
        ]
        assert {what: count for what, count in told(report, "carried").items() if what != "event"} == carried
        assert [len(await person.list_comments(SHOP, it.id)) for it in there.values() if it.title == "Kept"] == [1]
    assert not report.failed


class Later(StoreBackend):
    """Its issues are made by a scan that comes later, as a real server's."""

    async def import_events(self, events: object) -> Ingested:
        return await self._store.writing(
            lambda tx: intake.import_events(tx, access.importer(tx, self._credential), events)
        )


@pytest.fixture
async def late_line(server: World) -> AsyncIterator[Line]:
    face = HttpFace(lambda store, shown: Later(store, access.credential(shown)))
    face.store = server.store
    line = Line(face.endpoint)
    yield line
    await line.aclose()
    face.close()


async def test_it_waits_until_the_server_has_made_issues(lived: Store, server: World, late_line: Line) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            scan_all(server.store.write)

    watch = Unheard()
    report = await late_line.pushed(lived, wait_seconds=100.0, sleep=sleep, watch=watch)
    assert as_written(server.store) == as_carried(lived)
    assert not report.failed
    assert pauses == [0.0, 1.0, 2.0, 4.0]
    assert watch.said[-1] == "Waiting for the server to make issues of the events, up to 100 s …"


async def test_where_the_server_takes_longer_another_run_goes_on(lived: Store, server: World, late_line: Line) -> None:
    report = await late_line.pushed(lived, wait_seconds=100.0)
    assert told(report, "failed") == {"issue": 8}
    assert {*whys(report, "failed")} == {
        ("issue", "the server has not made an issue of its events yet; run this again in a while")
    }
    scan_all(server.store.write)
    report = await late_line.pushed(lived)
    assert as_written(server.store) == as_carried(lived)
    assert not report.failed


async def test_a_dry_run_says_what_would_be_carried_and_carries_nothing(
    lived: Store, server: World, line: Line, clock: FakeClock
) -> None:
    before = held(server.store)
    watch = Unheard()
    report = await line.pushed(lived, dry_run=True, watch=watch)
    assert told(report, "carried") == {"event": 13, "status": 4, "comment": 3, "merge": 1}
    assert held(server.store) == before
    (said,) = watch.said
    where = "to the app that the import key is of, in the team Night Owls, at https://owl.example.com."
    assert re.fullmatch(rf"My app \([0-9a-f]{{8}}\): 13 events and its issues' triage, {where}", said)
    await line.pushed(lived)
    agent = acting_as_local_agent(lived, "Night shift")
    clock.advance(hours=1)
    odd = (await issues_of(agent))["Odd number"].id
    await agent.update_status(await project_of(agent), odd, "silenced")
    await agent.add_comment(await project_of(agent), odd, "Never mind.")
    before = held(server.store)
    report = await line.pushed(lived, dry_run=True)
    assert told(report, "carried") == {"status": 1, "comment": 1}
    assert held(server.store) == before


@pytest.mark.parametrize(
    ("statement", "values", "why"),
    [
        ("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", '["issues:read"]',
         "The key in OWLMETRY_API_KEY lacks issues:write, events:read"),
        ("UPDATE api_keys SET team = (SELECT key FROM teams WHERE slug <> ?) WHERE name = 'iOS Import Key'",
         "night-owls", "The import key is of the team Other Team, in which the agent key sees nothing"),
        ("UPDATE api_keys SET key_type = ? WHERE name = 'iOS Import Key'", "client",
         "OWLMETRY_IMPORT_KEY must be an import key"),
        ("UPDATE api_keys SET key_type = ? WHERE name = 'Triage Agent'", "client",
         "OWLMETRY_API_KEY must be an agent key, and is of the type client"),
    ],
)  # fmt: skip
async def test_keys_that_will_not_do_are_refused_before_anything_is_sent(
    lived: Store, server: World, line: Line, statement: str, values: str, why: str
) -> None:
    server.store.write(lambda tx: tx.run(statement, (values,)))
    with pytest.raises(OwlmetryError, match=why):
        await line.pushed(lived)
    assert held(server.store) == {"issues": [], "events": []}


async def test_a_server_that_tells_an_import_key_nothing_of_itself_is_sent_events_nevertheless(
    lived: Store, server: World, http_face: HttpFace
) -> None:
    async def forbidden(exchange: Exchange) -> None:
        await exchange.respond(403, b'{"error": "Forbidden"}', "application/json")

    watch = Unheard()
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.applies = lambda request: b"/whoami" in request and SECRETS["importer"].encode() in request
        proxy.faults = [forbidden]
        line = Line(f"http://127.0.0.1:{proxy.port}")
        await line.pushed(lived, watch=watch)
        await line.aclose()
    assert watch.said[0].endswith("to the app that the import key is of, at https://owl.example.com.")
    assert as_written(server.store) == as_carried(lived)


async def test_events_need_an_import_key(lived: Store, server: World, line: Line) -> None:
    with pytest.raises(InvalidInputError, match="There are events to carry, and no import key"):
        await line.pushed(lived, imports=False)
    assert held(server.store) == {"issues": [], "events": []}


async def test_an_import_key_of_another_app_than_before_is_told_after_one_event(
    lived: Store, server: World, line: Line
) -> None:
    await line.pushed(lived)
    take_in(lived, [event("New", "new"), event("Newer", "newer")])
    blog = (SYMBOLS["web"],)
    server.store.write(
        lambda tx: tx.run(
            "UPDATE api_keys SET app = (SELECT key FROM apps WHERE id = ?) WHERE key_type = 'import'", blog
        )
    )
    report = await line.pushed(lived)
    assert report.stopped.startswith("The events of this app were carried to the app cc8e5f08 of that server")
    assert "the import key is that of 9bee0c65" in report.stopped
    assert len(held(server.store)["events"]) == 14


async def test_an_import_key_that_is_no_longer_valid_is_named(lived: Store, server: World, line: Line) -> None:
    server.store.write(lambda tx: tx.run("UPDATE api_keys SET revoked_at = ? WHERE key_type = 'import'", (tx.now,)))
    with pytest.raises(UnauthenticatedError) as refused:
        await line.pushed(lived)
    assert str(refused.value) == "Invalid API key. Check OWLMETRY_IMPORT_KEY."


def add_app(tx: Transaction) -> None:
    administration.add_app(tx, administration.find_project(tx, administration.find_team(tx).key).key, "Web", "web")


@pytest.mark.usefixtures("server")
async def test_an_app_with_nothing_to_carry_need_not_be_told_from_others(lived: Store, line: Line) -> None:
    lived.write(add_app)
    assert told(await line.pushed(lived), "carried")["event"] == 13


async def test_one_of_several_apps_is_named(lived: Store, server: World, line: Line) -> None:
    lived.write(add_app)
    take_in(lived, [event("Script error", "page")], "Web")
    with pytest.raises(NotFoundError, match="The store has several apps"):
        await line.pushed(lived)
    report = await line.pushed(lived, app="My app")
    assert told(report, "carried")["event"] == 13
    assert "Script error" not in await issues_of(server.acting_as("agent"), SHOP)
