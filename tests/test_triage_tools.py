"""The tools that look at many issues at once, through a real MCP client, over both backends."""

import subprocess
import sys

import pytest

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.live import Timeouts
from owlmetry_mcp.backends.store.transactions import json_text
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.server import TriageServer
from tests.agent import Agent, agent_of
from tests.test_live import answering
from tests.test_triage_live import SlowServer, issue
from tests.triage_rows import Seen, add_issue, add_occurrences, at
from tests.world import ROOT, SYMBOLS, LiveWorld, World

SHOP, TIMEOUT, TWIN = SYMBOLS["shop"], SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"]


async def test_duplicates_come_with_evidence_a_score_and_which_to_keep(either_world: World) -> None:
    agent = agent_of(either_world)
    found = await agent.call("find_duplicates", project_id="shop", issue_id=TWIN[:8])
    (group,) = found["groups"]
    assert (group["target"]["id"], group["keep_because"]) == (
        TIMEOUT,
        ["most_occurrences", "first_seen", "clearest_title"],
    )
    (twin,) = group["duplicates"]
    assert (twin["id"], twin["title"], twin["source_module"]) == (TWIN, "Connection refused by peer", "NetworkService")
    assert twin["score"] == group["score"] == 0.52
    assert twin["evidence"] == [{"kind": "similar_wording", "similarity": 0.82}]
    assert agent.untrusted >= {"title", "source_module", "app_name"}
    assert agent.text.startswith(f"Keep (most occurrences, first seen, clearest title): {TIMEOUT} new 4 occurrences")
    assert f"\n- 0.52 (wording 0.82) {TWIN} new 3 occurrences" in agent.text


async def test_issues_that_were_seen_in_the_same_seconds_of_the_same_sessions_may_be_one(either_world: World) -> None:
    store = either_world.store
    one, other = (add_issue(store, number, title=title) for number, title in ((1, "Cart is gone"), (2, "No basket")))
    add_occurrences(store, [Seen(one, session, at(session)) for session in range(10)])
    add_occurrences(store, [Seen(other, session, at(session + 3)) for session in range(8)])
    agent = agent_of(either_world)
    (group,) = (await agent.call("find_duplicates", issue_id=other))["groups"]
    assert (group["target"]["id"], [row["id"] for row in group["duplicates"]]) == (one, [other])
    assert group["duplicates"][0]["evidence"] == [{"kind": "same_sessions", "sessions": 8}]
    assert "(same 8 sessions)" in agent.text


async def test_development_and_production_are_never_one(either_world: World) -> None:
    add_issue(either_world.store, 1, title="The printer is on fire", is_dev=1)
    add_issue(either_world.store, 2, title="The printer is on fire", is_dev=0)
    agent = agent_of(either_world)
    groups = (await agent.call("find_duplicates", project_id=SHOP))["groups"]
    assert "The printer is on fire" not in json_text(groups)


async def test_an_answer_says_what_was_compared(either_world: World) -> None:
    found = await agent_of(either_world).call("find_duplicates", project_id=SHOP)
    (overview, *_) = [await agent_of(either_world).call("list_issues", project_id=SHOP, limit=200)]
    live = isinstance(either_world, LiveWorld)  # where resolved issues are not read for their sessions
    compared = {"issues": len(overview["issues"]), "complete": True, "sessions_complete": not live}
    assert found["compared"] == compared


async def test_a_server_too_slow_to_tell_all_in_time_is_compared_as_far_as_it_told() -> None:
    server = SlowServer([issue(number, title="The printer is on fire") for number in range(2_500)], 0.4)
    server.occurrences = {}
    async with answering(server.answer, Timeouts(call=4), server.clock) as backend:
        agent = Agent(TriageServer(Desk(lambda _: backend)), "test-client")
        found = await agent.call("find_duplicates", project_id=SHOP)
    assert server.now < 4
    some = found["compared"]["issues"]
    assert 200 <= some <= 1_000
    assert found["compared"] == {"issues": some, "complete": False, "sessions_complete": False}
    assert f"Wording compared of the most recently seen {some} issues, sessions of the most recently seen" in agent.text
    assert found["groups"]


async def test_without_a_project_the_error_lists_those_there_are(either_world: World) -> None:
    said = await agent_of(either_world).refused("find_duplicates")
    assert said.startswith("project_id is required. Pass one of: ")
    assert SHOP in said


@pytest.mark.parametrize("cap", [4_000, 24_000])
async def test_however_long_the_names_every_duplicate_of_an_issue_can_be_reached(world: World, cap: int) -> None:
    words = " ".join(["Überlauf", "beim", "Drucken", "💥"] * 60)
    for number in range(60):
        add_issue(world.store, number, title=words, source_module=f"{number}" + "\u202e" * 200)
    agent = agent_of(world, options=Options(max_result_bytes=cap))
    met: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        found = await agent.call("find_duplicates", issue_id="00000003", limit=40, **cursor)
        assert max(len(json_text(found).encode()), len(agent.text.encode())) <= cap
        (group,) = found["groups"]
        met += [row["id"] for row in group["duplicates"]]
        if not found["has_more"]:
            break
        cursor = {"cursor": found["cursor"]}
    assert len(met) == len({*met, group["target"]["id"]}) - 1 == 59


@pytest.mark.parametrize("cap", [4_000, 24_000])
async def test_every_group_can_be_reached_however_large_those_before_it(world: World, cap: int) -> None:
    titles = ("The printer is on fire", "Cart total overflowed", "Session token vanished", "Backup disk unplugged")
    for number in range(80):
        add_issue(world.store, number, title=titles[number % 4], source_module=f"module {number} " + "é" * 90)
    agent = agent_of(world, options=Options(max_result_bytes=cap))
    met: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        found = await agent.call("find_duplicates", project_id=SHOP, **cursor)
        met += [group["target"]["title"] for group in found["groups"]]
        for group in found["groups"]:
            if group["target"]["title"] in titles:
                assert len(group["duplicates"]) + group["more_duplicates"] == 19
        if not found["has_more"]:
            break
        cursor = {"cursor": found["cursor"]}
    assert sorted(title for title in met if title in titles) == sorted(titles)


@pytest.mark.parametrize("about", [{"issue_id": TIMEOUT}, {"project_id": SHOP}])
async def test_behind_the_last_duplicate_there_is_an_empty_page(world: World, about: dict[str, str]) -> None:
    agent = agent_of(world)
    first = await agent.call("find_duplicates", **about)
    assert first["groups"]
    assert await agent.call("find_duplicates", cursor="99", **about) == first | {"groups": []}


async def test_what_a_walk_has_read_is_told_to_a_client_that_asks(either_world: World) -> None:
    heard: list[tuple[float, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's form
        heard.append((progress, message))

    async with agent_of(either_world).connected() as client:
        await client.call_tool("triage_overview", {"project_id": SHOP}, progress_callback=hear)
    assert [step for step, _ in heard] == [*range(1, len(heard) + 1)]
    if isinstance(either_world, LiveWorld):
        assert heard
        assert all("issues" in (message or "") for _, message in heard)


async def test_an_overview_says_who_claimed_what_and_since_when(either_world: World) -> None:
    agent = agent_of(either_world)
    await agent.call("update_status", issue_id=TIMEOUT, status="in_progress", comment="On it.")
    claimed = {row["id"]: row for row in (await agent.call("triage_overview"))["claimed"]}[TIMEOUT]
    assert (claimed["last_comment_by"], claimed["last_comment_at"]) == ("Triage Agent", "2026-10-21T12:00:00.000Z")
    if isinstance(either_world, LiveWorld):  # a server does not tell whose move it was
        assert ("claimed_by" not in claimed, claimed["updated_at"]) == (True, "2026-10-21T12:00:00.000Z")
    else:
        assert (claimed["claimed_by"], claimed["claimed_at"]) == ("Triage Agent", "2026-10-21T12:00:00.000Z")


def test_the_server_starts_without_what_only_duplicates_need() -> None:
    program = "import sys, owlmetry_mcp.cli.serve; sys.exit('rapidfuzz' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
