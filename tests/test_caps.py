"""Every answer keeps to its cap, as text and as data, whatever there is to tell; and what it leaves out can be had."""

import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from owlmetry_mcp.backends.live import Timeouts
from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.quoting import visible
from owlmetry_mcp.server.options import Options
from tests.agent import Agent, agent_of
from tests.crowd import AT, ATTRIBUTES, BODY, EVENT, HEAVY, SESSION, STACK, TITLE, crowded, numbered
from tests.faults.proxy import Exchange, faulty_proxy
from tests.world import SYMBOLS, FakeClock, HttpFace, LiveWorld, World, acted_on

CAPS = (4_000, 8_000, 24_000)
SHOP, TIMEOUT = SYMBOLS["shop"], SYMBOLS["i_timeout"]
READS: dict[str, dict[str, Any]] = {
    "triage_overview": {},
    "list_issues": {"limit": 200},
    "get_issue": {"issue_id": HEAVY},
    "get_event": {"event_id": EVENT},
    "get_breadcrumbs": {"event_id": EVENT, "limit": 200},
    "list_comments": {"issue_id": HEAVY},
    "list_projects": {},
    "whoami": {},
}
LIMITS = {"triage_overview": 4_000, "get_issue": 8_000}
"""The tools that are asked first, and for every issue, have caps of their own."""


EVERYWHERE = pytest.mark.parametrize(
    ("crowd", "cap"), [*(("store", cap) for cap in CAPS), ("live", 4_000)], indirect=["crowd"]
)

WALKS = pytest.mark.parametrize(("crowd", "cap"), [("live", 24_000), ("few", 4_000)], indirect=["crowd"])
EVENT_WALKS = pytest.mark.parametrize(("crowd", "cap"), [("few", 24_000), ("few", 4_000)], indirect=["crowd"])


@pytest.fixture(scope="module")
def crowded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("crowd") / "store.db"
    with Store(path, FakeClock(), first_start.leave_empty) as store:
        crowded(store)
    return path


@pytest.fixture
def crowded_store(crowded_file: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """One of its own for a test, which may write to it."""
    path = tmp_path / "store.db"
    shutil.copyfile(crowded_file, path)
    with Store(path, clock) as store:
        yield store


@pytest.fixture
async def crowd(
    request: pytest.FixtureRequest, crowded_store: Store, clock: FakeClock, http_face: HttpFace
) -> AsyncIterator[World]:
    if request.param == "few":
        crowded_store.write(thinned)
    async with acted_on(crowded_store, clock, http_face, request.param) as world:
        yield world


def thinned(tx: Transaction) -> None:
    """As many as take a few pages of the smallest size."""
    tx.run("DELETE FROM issues WHERE id LIKE '%-000000000001' AND id NOT LIKE '0000000_-%'")
    tx.run("DELETE FROM projects WHERE id LIKE '%-000000000004' AND id NOT LIKE '0000000_-%'")
    tx.run("DELETE FROM comments WHERE id LIKE '%-000000000002' AND id NOT LIKE '0000000_-%'")
    tx.run("UPDATE comments SET body = ? WHERE id = ?", (BODY[:9_000], numbered(2, 3)))
    tx.run("DELETE FROM attachments WHERE id LIKE '%-000000000003' AND id NOT LIKE '0000000_-%'")
    issue = "(SELECT key FROM issues WHERE id = ?)"
    tx.run(f"DELETE FROM occurrences WHERE issue = {issue} AND key % 10", (TIMEOUT,))  # noqa: S608
    few = {name: ATTRIBUTES[name] for name in [*ATTRIBUTES][:5]} | {"_error_stack": STACK[-3_000:]}
    tx.run("UPDATE events SET custom_attributes = ?", (json.dumps(few),))


def capped(world: World, cap: int) -> Agent:
    return agent_of(world, options=Options(max_result_bytes=cap))


def within(agent: Agent, cap: int) -> None:
    assert len(agent.whole_text.encode()) <= cap
    assert len(json.dumps(agent.structured, ensure_ascii=False, separators=(",", ":")).encode()) <= cap


async def told(agent: Agent, cap: int, tool: str, **arguments: Any) -> dict[str, Any]:
    """The answer, which keeps to its cap, and in whose text stands each sentence on what was left out."""
    answer = await agent.call(tool, **arguments)
    within(agent, cap)
    assert [line[10:] for line in agent.text.split("\n") if line.startswith("Left out: ")] == answer.get("left_out", [])
    return answer


async def pages(agent: Agent, cap: int, tool: str, name: str = "cursor", **arguments: Any) -> list[dict[str, Any]]:
    """All pages of it, following the cursors, of which none comes twice."""
    met = [await told(agent, cap, tool, **arguments)]
    cursors: set[str] = set()
    while cursor := met[-1].get(name):
        assert cursor not in cursors
        assert f"{name}={cursor}" in agent.text
        cursors.add(cursor)
        met.append(await told(agent, cap, tool, **arguments, **{name: cursor}))
    return met


@EVERYWHERE
async def test_whatever_there_is_to_read_an_answer_keeps_to_its_cap(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    for tool, arguments in READS.items():
        await told(agent, min(cap, LIMITS.get(tool, cap)), tool, **arguments)
    await told(agent, cap, "get_issue", issue_id=HEAVY, occurrence_limit=200)
    await told(agent, min(cap, 8_000), "get_issue", issue_id=numbered(1, 7))


@pytest.mark.parametrize("crowd", ["store", "live"], indirect=True)
async def test_an_issue_with_a_hundred_thousand_occurrences_is_summed_up_in_8_kb(crowd: World) -> None:
    agent = agent_of(crowd)
    found = await told(agent, 8_000, "get_issue", issue_id=HEAVY)
    assert found["occurrence_count"] == 100_000
    assert found["more_fingerprints"] == 498
    assert "and 498 more" in agent.text
    assert found["summary"]["users"] >= (5_000 if type(crowd) is World else 200)
    assert found["occurrences"]
    assert any("comments; list_comments shows all" in what for what in found["left_out"])
    assert any("attachments" in what for what in found["left_out"])


@EVERYWHERE
async def test_whatever_is_written_the_answer_keeps_to_its_cap(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    wanted = [numbered(1, number) for number in range(50)]
    await told(agent, cap, "update_status", issue_id=wanted[1], status="new", comment=BODY)
    await told(agent, cap, "update_status", issue_ids=wanted, status="silenced", comment="é" * 9_000)
    said = await told(agent, cap, "comment", issue_id=HEAVY, body=BODY)
    assert "body" not in said
    assert said["left_out"] == ["the comment's body, which is kept as it was sent"]
    await told(agent, cap, "edit_comment", issue_id=HEAVY, comment_id=said["id"], body=BODY[:-1])
    await told(agent, cap, "merge", target_issue_id=HEAVY, source_issue_ids=wanted[:10])
    await told(agent, cap, "merge", target_issue_id=HEAVY, source_issue_id=wanted[10])
    await told(agent, cap, "delete_comment", issue_id=HEAVY, comment_id=said["id"])


@EVERYWHERE
async def test_what_is_refused_keeps_to_its_cap(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    for tool, arguments in (
        ("list_issues", {"project_id": TITLE}),
        ("list_issues", {"app_id": TITLE * 20}),
        ("list_issues", {"cursor": TITLE * 20}),
        ("list_issues", {"project_id": "0000000"}),
        ("get_issue", {"issue_id": numbered(1, 7), "project_id": TITLE}),
        ("get_issue", {"issue_id": TITLE * 20}),
        ("edit_comment", {"issue_id": HEAVY, "comment_id": numbered(2, 1), "body": "x"}),
        ("update_status", {"issue_ids": [f"{TITLE[:300]}{number}" for number in range(50)], "status": "new"}),
        ("merge", {"target_issue_id": HEAVY, "source_issue_ids": [numbered(9, number) for number in range(50)]}),
        (TITLE * 20, {}),
        ("whoami", {TITLE * 3 + str(number): 1 for number in range(100)}),
    ):
        await agent.refused(tool, **arguments)
        assert len(agent.whole_text.encode()) <= cap


# Nothing is lost


@WALKS
async def test_the_cursors_reach_every_issue_once(crowd: World, cap: int) -> None:
    met = await pages(capped(crowd, cap), cap, "list_issues", project_id=SHOP, limit=200)
    ids = [row["id"] for page in met for row in page["issues"]]
    rows = crowd.store.read(
        lambda tx: tx.all(
            "SELECT id FROM issues WHERE app IN (SELECT key FROM apps WHERE project ="
            " (SELECT key FROM projects WHERE id = ?))",
            (SHOP,),
        )
    )
    assert len(ids) == len(set(ids))
    assert {*ids} == {row[0] for row in rows}


@WALKS
async def test_the_cursors_reach_every_occurrence_once(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    met = await pages(
        agent, cap, "get_issue", "occurrence_cursor", issue_id=TIMEOUT, project_id=SHOP, occurrence_limit=200
    )
    ids = [row["event_id"] for page in met for row in page["occurrences"]]
    (count,) = crowd.store.read(
        lambda tx: tx.one(
            "SELECT count(*) FROM occurrences WHERE issue = (SELECT key FROM issues WHERE id = ?)", (TIMEOUT,)
        )
    )
    assert len(ids) == len(set(ids)) == count >= 30


@WALKS
async def test_the_cursors_reach_every_character_of_every_comment(crowd: World, cap: int) -> None:
    bodies: dict[str, str] = {}
    texts: list[str] = []
    agent = capped(crowd, cap)
    arguments: dict[str, Any] = {"issue_id": HEAVY, "project_id": SHOP}
    while True:
        page = await told(agent, cap, "list_comments", **arguments)
        for row in page["comments"]:
            bodies[row["id"]] = bodies.get(row["id"], "") + row["body"]
        texts += re.findall(r"^> (.*)$", agent.text, re.MULTILINE)
        if not page.get("has_more"):
            break
        arguments["cursor"] = page["cursor"]
    rows = crowd.store.read(
        lambda tx: tx.all(
            "SELECT id, body FROM comments WHERE issue = (SELECT key FROM issues WHERE id = ?) ORDER BY key", (HEAVY,)
        )
    )
    expected = {id_: visible(body) for id_, body in rows}
    assert len(expected) >= 10
    assert bodies == expected
    assert "".join(texts) == "".join(expected.values())


@EVENT_WALKS
async def test_the_cursors_reach_every_attribute_stack_line_and_attachment(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    values: dict[str, str] = {}
    ids: list[str] = []
    for page in await pages(agent, cap, "get_event", event_id=EVENT):
        for name, value in page.get("custom_attributes", {}).items():
            values[name] = values.get(name, "") + value
        ids += [row["id"] for row in page.get("attachments", ())]
    found = await crowd.acting_as("observer").get_event(EVENT)
    attributes = {**(found.custom_attributes or {})}
    assert values.pop("_error_stack") == visible(attributes.pop("_error_stack"))
    assert sorted(values.values()) == sorted(map(visible, attributes.values()))
    assert len(ids) == len(set(ids)) == len(found.attachments) >= 10


@WALKS
async def test_the_cursors_reach_every_project_once(crowd: World, cap: int) -> None:
    met = await pages(capped(crowd, cap), cap, "list_projects")
    ids = [row["id"] for page in met for row in page["projects"]]
    known = await crowd.acting_as("agent").list_projects()
    assert len(ids) == len(set(ids)) == len(known) >= 12


@EVENT_WALKS
async def test_the_hints_lead_back_to_the_first_event_of_a_session(crowd: World, cap: int) -> None:
    agent = capped(crowd, cap)
    met: set[str] = set()
    asked: list[str] = []
    event = EVENT
    while event not in asked:
        asked.append(event)
        found = await told(agent, cap, "get_breadcrumbs", event_id=event, limit=20)
        shown = [row["id"] for row in found["events"]]
        assert event in shown
        met |= {*shown}
        earlier = re.findall(r"earlier events; get_breadcrumbs of (\S+) shows them", agent.text)
        event = earlier[0] if earlier else shown[0]
    assert met == {EVENT, *(numbered(5, number) for number in range(60))}


# Whatever it holds

AWKWARD = st.text(
    st.sampled_from('ab \n\t"\\é失🦉\u202e\u200b\U000e0041\x1b<>`#*-'), min_size=1, max_size=300
)  # NUL and unpaired surrogates alone are not kept by a store


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(AWKWARD, min_size=1, max_size=12),
    st.dictionaries(AWKWARD, AWKWARD, max_size=20),
    st.integers(1, 30),
    st.sampled_from(CAPS),
)
async def test_words_of_any_kind_and_length_fit_and_are_all_told(
    quiet_world: World, words: list[str], attributes: dict[str, str], times: int, cap: int
) -> None:
    stack = "\n".join(word * times for word in words)
    told_attributes = {**attributes, "_error_stack": stack}

    def put(tx: Any) -> None:
        tx.run("DELETE FROM events")
        tx.run("DELETE FROM sessions")
        tx.run("INSERT INTO sessions (key, id) VALUES (1, uuid_blob(?))", (SYMBOLS["ghost"],))
        tx.run(
            """INSERT INTO events (id, app, is_dev, session, level, timestamp, received_at, content, custom_attributes)
               VALUES (uuid_blob(?), (SELECT min(key) FROM apps), 0, 1, 'error', :at, :at, ?, ?)""".replace(
                ":at", "'2026-10-20T12:00:00.000Z'"
            ),
            (EVENT, json.dumps({"message": (words[0] * times)[:2000]}), json.dumps(told_attributes)),
        )

    quiet_world.store.write(put)
    agent = agent_of(quiet_world, "observer", options=Options(max_result_bytes=cap))
    parts: dict[str, str] = {}
    for page in await pages(agent, cap, "get_event", event_id=EVENT):
        for name, value in page["custom_attributes"].items():
            parts[name] = parts.get(name, "") + value
    assert parts.pop("_error_stack", "") == visible(stack)
    assert sorted(parts.values()) == sorted(map(visible, attributes.values()))


# A server that lies

LONG = "x\n- y " * 60_000
LIES: dict[str, Any] = {
    "a title of great length": {"title": LONG},
    "names of great length": {
        "source_module": LONG,
        "app_name": LONG,
        "project_name": LONG,
        "name": LONG,
        "slug": LONG,
    },
    "versions of great length": {"resolved_at_version": LONG, "last_seen_app_version": LONG, "app_version": LONG},
    "a user of great length": {"user_id": LONG, "author_name": LONG, "email": LONG},
    "a comment of great length": {"body": LONG},
    "files of great length": {"original_filename": LONG, "content_type": LONG},
    "fingerprints of great length": {"fingerprints": [LONG] * 2},
    "a message of great length": {"message": LONG, "screen_name": LONG, "locale": LONG},
    "attributes of great length": {"custom_attributes": {LONG: LONG, "_error_stack": LONG}},
    "permissions of great length": {"permissions": [LONG, *(f"{number}" for number in range(10_000))]},
    "an id that is none": {"id": "x\n- forged resolved"},
    "a long id": {"id": LONG, "issue_id": LONG, "event_id": LONG},
    "a session that is none": {"session_id": 'x" <- this event\n'},
    "an instant that is none": {"last_seen_at": "2026\n- y", "timestamp": "\n- y", "created_at": "\n- y"},
    "a cursor of great length": {"cursor": LONG, "occurrence_cursor": LONG, "has_more": True},
    "a cursor on two lines": {"cursor": "x\n- y", "occurrence_cursor": "x\n- y", "occurrence_has_more": True},
    "a count that is text": {"occurrence_count": "\n- y"},
    "an error of great length": {"error": LONG},
}


def lied(value: Any, lie: dict[str, Any]) -> Any:
    """The answer, with the lie in place of each field of its name."""
    match value:
        case dict():
            return {name: lie[name] if name in lie else lied(inner, lie) for name, inner in value.items()}
        case list():
            return [lied(inner, lie) for inner in value]
        case _:
            return value


@pytest.mark.parametrize("lie", LIES)
async def test_what_a_lying_server_says_neither_exceeds_the_cap_nor_breaks_out(
    world: World, http_face: HttpFace, lie: str
) -> None:
    http_face.store = world.store
    world.store.write(everything_is_permitted)
    world.store.write(crumbs)
    lying = LIES[lie]

    async def lies(exchange: Exchange) -> None:
        head, _, body = (await exchange.forward()).partition(b"\r\n\r\n")
        status = 403 if "error" in lying else int(head.split()[1])
        said = lying if "error" in lying else lied(json.loads(body), lying)
        await exchange.respond(status, json.dumps(said).encode(), "application/json")

    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.faults = [lies] * 10_000
        live = LiveWorld(world.store, world.clock, f"http://127.0.0.1:{proxy.port}", Timeouts(read=2.0, call=2.0))
        agent = agent_of(live, options=Options(max_result_bytes=4_000))
        for tool, arguments in LIED_TO.items():
            result = await agent.answered(tool, arguments)
            within(agent, 4_000)
            assert "Error executing" not in agent.text
            assert not re.search("^(- y|- forged|x$)", agent.text, re.MULTILINE), agent.text
            assert result.is_error or agent.structured
        await live.aclose()


LIED_TO: dict[str, dict[str, Any]] = {
    "triage_overview": {},
    "list_issues": {},
    "get_issue": {"issue_id": TIMEOUT, "project_id": SHOP},
    "list_comments": {"issue_id": TIMEOUT, "project_id": SHOP},
    "get_event": {"event_id": EVENT},
    "get_breadcrumbs": {"event_id": EVENT},
    "list_projects": {},
    "whoami": {},
    "comment": {"issue_id": TIMEOUT, "project_id": SHOP, "body": "x"},
    "update_status": {"issue_ids": [TIMEOUT], "project_id": SHOP, "status": "silenced", "comment": "x"},
}


def everything_is_permitted(tx: Transaction) -> None:
    everything = json.dumps(["issues:read", "issues:write", "events:read", "projects:read"])
    tx.run("UPDATE api_keys SET permissions = ? WHERE key_type = 'agent'", (everything,))


def crumbs(tx: Transaction) -> None:
    event = {
        "id": EVENT, "app_id": SYMBOLS["ios"], "is_dev": False, "session_id": SESSION, "level": "error",
        "message": "x", "timestamp": AT, "received_at": AT, "screen_name": "x", "locale": "x", "user_id": "x",
        "custom_attributes": {"a": "b"},
    }  # fmt: skip
    import_document(tx, read_document(json.dumps({"events": [event]})))
