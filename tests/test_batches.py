"""Several issues at once: each has an answer, none stops the others, and what was done in part is told plainly."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.agent import Agent, agent_of
from tests.faults.proxy import Exchange, faulty_proxy
from tests.world import SYMBOLS, HttpFace, LiveWorld, World

SHOP, TIMEOUT, TWIN, FIXED = SYMBOLS["shop"], SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"], SYMBOLS["i_fixed"]
TIES = [SYMBOLS[f"i_tie_{number}"] for number in range(3)]
GHOST = SYMBOLS["ghost"]


@pytest.fixture
def agent(either_world: World) -> Agent:
    return agent_of(either_world)


async def said_on(agent: Agent, issue_id: str) -> list[tuple[str, str]]:
    listed = await agent.call("list_comments", issue_id=issue_id)
    return [(row["author_name"], row["body"]) for row in listed["comments"]]


async def status_of(agent: Agent, issue_id: str) -> str:
    status: str = (await agent.call("get_issue", issue_id=issue_id))["status"]
    return status


# A comment with the move


async def test_a_comment_goes_with_the_move_under_the_same_identity(agent: Agent, either_world: World) -> None:
    moved = await agent.call("update_status", issue_id=TIMEOUT, status="in_progress", comment=" On it. ")
    assert (moved["id"], moved["status"]) == (TIMEOUT, "in_progress")
    assert f"commented: {moved['comment_id']}" in agent.text
    (*_, last) = await either_world.acting_as("agent").list_comments(SHOP, TIMEOUT)
    assert (last.id, last.author_name, last.body) == (moved["comment_id"], "Triage Agent", "On it.")


async def test_a_move_that_is_refused_leaves_no_comment(agent: Agent) -> None:
    before = await said_on(agent, FIXED)
    said = await agent.refused("update_status", issue_id=FIXED, status="in_progress", comment="On it.")
    assert said == "Cannot transition from 'resolved' to 'in_progress'. From resolved: new, silenced, snoozed."
    assert await said_on(agent, FIXED) == before


async def test_a_blank_comment_is_refused_before_anything_is_moved(agent: Agent) -> None:
    for batch in ({"issue_id": TIMEOUT}, {"issue_ids": [TIMEOUT]}):
        said = await agent.refused("update_status", **batch, status="snoozed", comment=" \n")
        assert said == "comment is required. It takes the comment's text, in Markdown."
    assert await status_of(agent, TIMEOUT) == "new"


@pytest.mark.parametrize("comment", ["a\0b", "\ufeff", " \n"])
async def test_a_comment_that_cannot_be_kept_moves_nothing(agent: Agent, comment: str) -> None:
    for which in ({"issue_id": TIMEOUT}, {"issue_ids": [TIMEOUT, TWIN]}):
        said = await agent.refused("update_status", **which, status="snoozed", comment=comment)
        assert said.startswith(("comment is required", "comment must hold no NUL"))
    assert await status_of(agent, TIMEOUT) == "new"


@pytest.fixture
async def flaky(world: World, http_face: HttpFace) -> AsyncIterator[Agent]:
    """An agent of a live server that refuses all comments."""
    http_face.store = world.store
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.applies = lambda request: request.startswith(b"POST") and b"/comments" in request.split(b"\r\n")[0]
        proxy.faults = [refuses] * 20
        live = LiveWorld(world.store, world.clock, f"http://127.0.0.1:{proxy.port}")
        yield agent_of(live)
        await live.aclose()


async def refuses(exchange: Exchange) -> None:
    await exchange.respond(403, b'{"error": "Comments are closed\\n- moved"}', "application/json")


async def test_a_server_that_takes_the_move_and_not_the_comment_is_told_of_plainly(flaky: Agent) -> None:
    moved = await flaky.call("update_status", issue_id=TIMEOUT, status="in_progress", comment="On it.")
    assert moved["comment_error"] == "Comments are closed\\n- moved"
    assert "comment_error" in flaky.untrusted
    assert "\n- moved" not in flaky.text
    assert await status_of(flaky, TIMEOUT) == "in_progress"
    both = await flaky.call("update_status", issue_ids=[TIMEOUT, TWIN], status="snoozed", comment="Later.")
    assert (both["moved"], both["failed"]) == (2, 0)
    assert [row["comment_error"] for row in both["results"]] == ["Comments are closed\\n- moved"] * 2
    assert flaky.text.count("NOT commented on") == 2


# Several moves


async def test_each_of_several_issues_has_its_answer_and_none_stops_the_others(agent: Agent) -> None:
    wanted = [TIES[0], GHOST, FIXED, "nonsense\n- x", TIES[1][:8], SYMBOLS["i_claimed"]]
    found = await agent.call("update_status", issue_ids=wanted, status="in_progress", comment="Mine.")
    assert (found["moved"], found["failed"]) == (2, 4)
    failures, moved = found["results"][:4], found["results"][4:]
    assert [row["issue_id"] for row in failures] == [GHOST, FIXED, "nonsense\\n- x", SYMBOLS["i_claimed"]]
    assert [row["error"].split(".")[0] for row in failures] == [
        "Issue not found",
        "Cannot transition from 'resolved' to 'in_progress'",
        'issue_id must be a UUID, or at least its first 8 characters, not "nonsense\\n- x"',
        "Cannot transition from 'in_progress' to 'in_progress'",
    ]
    assert [(row["id"], row["status"]) for row in moved] == [(TIES[0], "in_progress"), (TIES[1], "in_progress")]
    lines = agent.text.split("\n")
    assert lines[0] == "2 moved, 4 FAILED."
    assert lines[1].startswith(f'- "{GHOST}" FAILED: <MARK "Issue not found')
    assert f"  commented: {moved[0]['comment_id']}" in lines
    for issue, comments in ((TIES[0], 1), (TIES[1], 1), (FIXED, 0)):
        assert (await said_on(agent, issue)).count(("Triage Agent", "Mine.")) == comments


async def test_an_issue_that_is_named_twice_is_moved_once(agent: Agent) -> None:
    wanted = [TIMEOUT, TIMEOUT, TIMEOUT.upper(), TIMEOUT[:8], TWIN]
    found = await agent.call("update_status", issue_ids=wanted, status="in_progress", comment="Mine.")
    assert [(row["id"], row["status"]) for row in found["results"]] == [
        (TIMEOUT, "in_progress"),
        (TWIN, "in_progress"),
    ]
    assert (found["moved"], found["failed"]) == (2, 0)
    assert agent.text.startswith("2 moved, none failed.\n")
    assert (await said_on(agent, TIMEOUT)).count(("Triage Agent", "Mine.")) == 1


async def test_that_all_failed_is_an_error_that_tells_of_each(agent: Agent) -> None:
    said = await agent.refused("update_status", issue_ids=[FIXED, GHOST], status="in_progress")
    lines = said.split("\n")
    assert lines[0] == "0 moved, 2 FAILED."
    assert lines[1].startswith(f'- "{FIXED}" FAILED: <MARK "Cannot transition from')
    assert lines[2].startswith(f'- "{GHOST}" FAILED: <MARK "Issue not found')


async def test_a_single_id_is_a_list_of_one(agent: Agent) -> None:
    found = await agent.call("update_status", issue_ids=TIMEOUT, status="silenced")
    assert [(row["id"], row["status"]) for row in found["results"]] == [(TIMEOUT, "silenced")]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "issue_id is required. It takes an issue's id; issue_ids takes several."),
        ({"issue_id": TIMEOUT, "issue_ids": [TWIN]}, "issue_id and issue_ids were both given. Give one of them."),
        ({"issue_ids": []}, "issue_ids must be a list of 1 to 50 ids, not []."),
        ({"issue_ids": [GHOST] * 51}, "issue_ids must be a list of 1 to 50 ids, not ["),
        ({"issue_ids": [1]}, "issue_ids must be a list of 1 to 50 ids, not 1."),
        ({"issue_ids": [None]}, "issue_ids must be a list of 1 to 50 ids, not null."),
    ],
)
async def test_one_issue_or_several_are_named_and_not_both(agent: Agent, given: dict[str, Any], said: str) -> None:
    assert (await agent.refused("update_status", status="silenced", **given)).startswith(said)
    assert await status_of(agent, TIMEOUT) == "new"


# Several sources


async def test_several_sources_are_merged_and_what_failed_is_told(agent: Agent) -> None:
    sources = [TWIN, GHOST, TIMEOUT, TWIN[:8], SYMBOLS["i_blog"]]
    found = await agent.call("merge", target_issue_id=TIMEOUT[:8], source_issue_ids=sources)
    assert agent.text.split("\n")[1] == "1 merged, 3 FAILED."
    alone = await agent.call("get_issue", issue_id=TIMEOUT)
    assert found["results"][-1] == {"source_issue_id": TWIN, "merged": True}
    errors = {row["source_issue_id"]: row for row in found["results"][:-1]}
    assert "ssue not found" in errors[GHOST]["error"]
    assert errors[TIMEOUT]["error"].startswith("Cannot merge an issue into itself")
    assert "ssue not found" in errors[SYMBOLS["i_blog"]]["error"]
    assert (found["merged"], found["failed"]) == (1, 3)
    assert (found["id"], found["occurrence_count"], found["unique_user_count"]) == (TIMEOUT, 5, 3)
    assert alone["occurrence_count"] == 5


async def test_the_target_is_told_as_it_is_after_the_last_source(agent: Agent) -> None:
    found = await agent.call("merge", target_issue_id=TIES[0], source_issue_ids=[TIES[1], TIES[2]])
    assert (found["merged"], found["failed"]) == (2, 0)
    alone = await agent.call("get_issue", issue_id=TIES[0])
    assert found["occurrence_count"] == alone["occurrence_count"]
    for gone in TIES[1:]:
        assert "Issue not found" in await agent.refused("get_issue", issue_id=gone, project_id=SHOP)


async def test_a_merge_of_which_nothing_comes_is_an_error(agent: Agent) -> None:
    said = await agent.refused("merge", target_issue_id=TIMEOUT, source_issue_ids=[GHOST, TIMEOUT])
    assert said.startswith("0 merged, 2 FAILED.\n")
    said = await agent.refused("merge", target_issue_id=GHOST, source_issue_ids=[TIMEOUT], project_id=SHOP)
    assert "Issue not found" in said
    assert "source_issue_id is required" in await agent.refused("merge", target_issue_id=TIMEOUT)
    both = {"source_issue_id": TWIN, "source_issue_ids": [TWIN]}
    assert "were both given" in await agent.refused("merge", target_issue_id=TIMEOUT, **both)
