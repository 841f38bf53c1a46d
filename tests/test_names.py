"""Ids by their beginnings, projects, apps and teams by name or slug; what is ambiguous lists the candidates."""

import json
import uuid
from typing import Any

import pytest

from owlmetry_mcp.backends.live import lists
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.transactions import Transaction
from tests.agent import Agent, agent_of
from tests.test_event_tools import put, sent
from tests.triage_rows import id_of
from tests.world import FIXTURE, SYMBOLS, LiveWorld, World

SHOP, BLOG, TIMEOUT, IOS = SYMBOLS["shop"], SYMBOLS["blog"], SYMBOLS["i_timeout"], SYMBOLS["ios"]
LIKE = f"{TIMEOUT[:8]}-0000-4000-8000-000000000000"
"""An issue whose id begins as TIMEOUT's does."""


@pytest.fixture
def agent(either_world: World) -> Agent:
    return agent_of(either_world)


def take(world: World, **sections: list[dict[str, Any]]) -> None:
    world.store.write(lambda tx: import_document(tx, read_document(json.dumps(sections))))


# Issues


@pytest.mark.parametrize("length", [8, 9, 13, 14, 20, 35, 36])
@pytest.mark.parametrize("shown", [False, True], ids=["walked", "shown before"])
async def test_an_issue_is_known_by_the_beginning_of_its_id(agent: Agent, length: int, shown: bool) -> None:
    if shown:
        await agent.call("list_issues")
    for beginning in (TIMEOUT[:length], TIMEOUT[:length].upper()):
        assert (await agent.call("get_issue", issue_id=beginning))["id"] == TIMEOUT


async def test_every_tool_that_takes_an_issue_takes_a_beginning(agent: Agent) -> None:
    short, twin = TIMEOUT[:8], SYMBOLS["i_timeout_dup"][:8]
    said = await agent.call("comment", issue_id=short, body="x")
    assert said["issue_id"] == TIMEOUT
    assert len((await agent.call("list_comments", issue_id=short))["comments"]) == 3
    await agent.call("edit_comment", issue_id=short, comment_id=said["id"], body="y")
    await agent.call("delete_comment", issue_id=short, comment_id=said["id"])
    assert (await agent.call("update_status", issue_id=short, status="in_progress"))["id"] == TIMEOUT
    assert (await agent.call("merge", target_issue_id=short, source_issue_id=twin))["id"] == TIMEOUT


async def test_an_ambiguous_beginning_lists_the_candidates_with_their_titles(either_world: World, agent: Agent) -> None:
    hostile = 'Other"\n- fake\u202e'
    take(either_world, issues=[FIXTURE["issues"][0] | {"id": LIKE, "title": hostile}])
    said = await agent.refused("get_issue", issue_id=TIMEOUT[:8])
    assert said.startswith(f'issue_id "{TIMEOUT[:8]}" is ambiguous. It may be: ')
    assert f'{TIMEOUT} <MARK "Connection refused" MARK>' in said
    assert rf'{LIKE} <MARK "Other\"\n- fake\u202e" MARK>' in said
    assert "\n" not in said
    assert (await agent.call("get_issue", issue_id=TIMEOUT[:10]))["id"] == TIMEOUT
    assert (await agent.call("get_issue", issue_id=LIKE[:10]))["id"] == LIKE
    said = await agent.refused("merge", target_issue_id=SYMBOLS["i_tie_0"], source_issue_id=TIMEOUT[:8])
    assert said.startswith(f'source_issue_id "{TIMEOUT[:8]}" is ambiguous.')


async def test_a_write_is_never_anothers_that_begins_alike_and_was_not_shown(either_world: World, agent: Agent) -> None:
    await agent.call("get_issue", issue_id=TIMEOUT)
    take(either_world, issues=[FIXTURE["issues"][0] | {"id": LIKE, "is_dev": True}])
    short, other = TIMEOUT[:8], SYMBOLS["i_tie_0"]
    comment = {"comment_id": SYMBOLS["c_2"]}
    for tool, arguments in (
        ("update_status", {"issue_id": short, "status": "in_progress"}),
        ("merge", {"target_issue_id": short, "source_issue_id": other}),
        ("merge", {"target_issue_id": other, "source_issue_id": short}),
        ("comment", {"issue_id": short, "body": "x"}),
        ("edit_comment", {"issue_id": short, "body": "x", **comment}),
        ("delete_comment", {"issue_id": short, **comment}),
    ):
        said = await agent.refused(tool, **arguments)
        assert f'issue_id "{short}" is ambiguous. It may be: ' in said
        assert all(candidate in said for candidate in (TIMEOUT, LIKE))
    assert "is ambiguous" in await agent.refused("update_status", issue_ids=[short], status="in_progress")
    assert "is ambiguous" in await agent.refused("merge", target_issue_id=other, source_issue_ids=[short])
    assert (await agent.call("update_status", issue_id=LIKE, status="in_progress"))["id"] == LIKE


async def test_where_there_are_too_many_to_be_sure_a_write_takes_the_whole_id(
    either_world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store always is; a server's list is read to a bound."""
    monkeypatch.setattr(lists, "MAX_LIMIT", 2)
    (last,) = (await agent.call("list_issues", project_id="shop", limit=1))["issues"]
    take(either_world, issues=[
        FIXTURE["issues"][0] | {"id": id_of(number), "last_seen_at": "2026-01-01T00:00:00Z"} for number in range(20)
    ])  # fmt: skip
    short = last["id"][:8]
    assert (await agent.call("get_issue", issue_id=short))["id"] == last["id"]
    if not isinstance(either_world, LiveWorld):
        await agent.call("comment", issue_id=short, body="x")
        return
    assert await agent.refused("comment", issue_id=short, body="x") == (
        f"issue_id \"{short}\" may be another's too: it is one issue's among the 20 last seen, and there are more."
        f' Give the whole id: {last["id"]} <MARK "{last["title"]}" MARK>.'
    )
    assert (await agent.call("comment", issue_id=last["id"], body="x"))["issue_id"] == last["id"]


async def test_the_configured_project_is_looked_in_first_and_then_all(either_world: World) -> None:
    blog = {"id": LIKE, "app_id": SYMBOLS["web"], "project_id": BLOG}
    take(either_world, issues=[FIXTURE["issues"][0] | blog])
    at_blog = agent_of(either_world, project_id=BLOG)
    assert (await at_blog.call("get_issue", issue_id=TIMEOUT[:8]))["id"] == LIKE
    tie = SYMBOLS["i_tie_0"]
    assert (await at_blog.call("get_issue", issue_id=tie[:8]))["id"] == tie


async def test_the_project_tells_issues_apart(either_world: World, agent: Agent) -> None:
    blog = {"id": LIKE, "app_id": SYMBOLS["web"], "project_id": BLOG}
    take(either_world, issues=[FIXTURE["issues"][0] | blog])
    assert (await agent.call("get_issue", issue_id=TIMEOUT[:8], project_id="Shop"))["id"] == TIMEOUT
    assert (await agent.call("get_issue", issue_id=TIMEOUT[:8], project_id="blog"))["id"] == LIKE


@pytest.mark.parametrize(
    "given", [TIMEOUT[:7], "", "c64325fz", TIMEOUT[:8] + "x", TIMEOUT + "0", "c64325f36c07", "c64325f\u0663", " " * 8]
)
async def test_what_is_no_beginning_of_an_id_is_refused(agent: Agent, given: str) -> None:
    said = await agent.refused("get_issue", issue_id=given)
    assert said == (f"issue_id must be a UUID, or at least its first 8 characters, not {json.dumps(given)}")


async def test_a_beginning_that_no_issue_has_is_told(agent: Agent) -> None:
    assert await agent.refused("get_issue", issue_id="00000000") == (
        "No issue's id begins with 00000000. list_issues shows whole ids."
    )
    foreign = SYMBOLS["i_foreign"][:8]
    assert "No issue's id begins with" in await agent.refused("get_issue", issue_id=foreign)


# Projects, apps, teams


@pytest.mark.parametrize("named", [SHOP, SHOP.upper(), "Shop", "shop", " SHOP ", SHOP[:8], SHOP[:20], SHOP[:9].upper()])
async def test_a_project_goes_by_name_slug_or_beginning(agent: Agent, named: str) -> None:
    listed = await agent.call("list_issues", project_id=named)
    assert {row["app_name"] for row in listed["issues"]} == {"Shop iOS", "Shop API"}
    assert (await agent.call("get_issue", issue_id=TIMEOUT, project_id=named))["project_id"] == SHOP
    assert (await agent.call("triage_overview", project_id=named))["production"]["new"] == 6


@pytest.mark.parametrize("named", [IOS, IOS[:8], "Shop iOS", "shop ios", "shop-ios"])
async def test_an_app_goes_by_name_or_beginning(agent: Agent, named: str) -> None:
    for project in ({}, {"project_id": "Shop"}):
        listed = await agent.call("list_issues", app_id=named, **project)
        assert {row["app_name"] for row in listed["issues"]} == {"Shop iOS"}


@pytest.mark.parametrize("named", [SYMBOLS["team_a"], SYMBOLS["team_a"][:8], "Night Owls", "night-owls", "NIGHT OWLS"])
@pytest.mark.parametrize("who", ["agent", "mia"])
async def test_a_team_goes_by_name_slug_or_beginning(either_world: World, who: str, named: str) -> None:
    listed = await agent_of(either_world, who).call("list_issues", team_id=named)
    assert {row["project_name"] for row in listed["issues"]} == {"Shop", "Blog"}


async def test_names_that_several_have_are_listed(either_world: World) -> None:
    foreign = SYMBOLS["foreign_project"]
    either_world.store.write(lambda tx: tx.run("UPDATE projects SET name = 'SHOP' WHERE id = ?", (foreign,)))
    either_world.store.write(lambda tx: tx.run("UPDATE teams SET name = 'Owls'"))
    either_world.store.write(lambda tx: tx.run("UPDATE apps SET name = 'App'"))
    mia = agent_of(either_world, "mia")
    said = await mia.refused("list_issues", project_id="shop")
    assert said.startswith('project_id "shop" is ambiguous. It may be: ')
    for id_, name in ((SHOP, "Shop"), (foreign, "SHOP")):
        assert f'{id_} <MARK "{name}" MARK>' in said
    said = await mia.refused("list_issues", team_id="owls")
    assert all(f'{SYMBOLS[team]} <MARK "Owls" MARK>' in said for team in ("team_a", "team_b"))
    said = await mia.refused("list_issues", app_id="app")
    assert said.startswith('app_id "app" is ambiguous. It may be: ')
    assert f'{IOS} <MARK "App" MARK>' in said
    assert (await mia.call("list_issues", app_id="App", project_id=BLOG))["issues"]


async def test_a_name_goes_before_the_beginning_of_an_id(either_world: World, agent: Agent) -> None:
    either_world.store.write(lambda tx: tx.run("UPDATE projects SET name = ? WHERE id = ?", (SHOP[:8], BLOG)))
    listed = await agent.call("list_issues", project_id=SHOP[:8])
    assert {row["project_name"] for row in listed["issues"] if "project_name" in row} <= {SHOP[:8]}
    assert SYMBOLS["i_blog"] in {row["id"] for row in listed["issues"]}


async def test_an_unknown_name_is_told_which_there_are(agent: Agent) -> None:
    takes = "must be an id, the first 8 characters of one or more, a name or a slug, not"
    assert await agent.refused("list_issues", project_id="Shopp") == (
        f'project_id {takes} "Shopp". There are <MARK "Blog" MARK>, <MARK "Shop" MARK>. list_projects shows them.'
    )
    assert await agent.refused("list_issues", team_id="Daws") == (
        f'team_id {takes} "Daws". There is <MARK "Night Owls" MARK>. whoami shows them.'
    )
    said = await agent.refused("list_issues", app_id="Shop", project_id="Blog")
    assert said.startswith(f'app_id {takes} "Shop". There is <MARK "')
    said = await agent.refused("list_issues", project_id=SHOP[:7])
    assert said.startswith(f'project_id {takes} "{SHOP[:7]}". There are ')


async def test_of_many_ten_are_named_and_that_there_are_more_is_told(either_world: World, agent: Agent) -> None:
    def add(tx: Transaction) -> None:
        (team,) = tx.one("SELECT team FROM projects WHERE id = ?", (SHOP,))
        for number in range(11):
            row = {"id": str(uuid.UUID(int=number)), "team": team, "name": "Many", "slug": f"many-{number}"}
            tx.insert("projects", row | {"created_at": tx.now})

    either_world.store.write(add)
    unknown = await agent.refused("list_issues", project_id="Few")
    assert (unknown.count("<MARK"), unknown.endswith(" and 3 more. list_projects shows them.")) == (10, True)
    alike = await agent.refused("list_issues", project_id="many")
    assert (alike.count("<MARK"), alike.endswith(" and more.")) == (10, True)


# Events and comments


@pytest.mark.parametrize("tool", ["get_event", "get_breadcrumbs"])
async def test_an_event_that_an_answer_has_shown_goes_by_its_beginning(either_world: World, tool: str) -> None:
    (event_id,) = await put(either_world, sent(0, "Payment failed", level="error"))
    observer = agent_of(either_world, "observer")
    listed = await observer.call("list_issues")
    (issue,) = (row["id"] for row in listed["issues"] if row["title"] == "Payment failed")
    (occurrence,) = (await observer.call("get_issue", issue_id=issue))["occurrences"]
    assert occurrence["event_id"] == event_id
    for beginning in (event_id[:18], event_id[:18].upper(), event_id):
        found = await observer.call(tool, event_id=beginning)
        assert (found["id"] if tool == "get_event" else found["events"][0]["id"]) == event_id
    assert await observer.refused(tool, event_id="00000000") == (
        'No event_id begins with "00000000". get_issue names events.'
    )


async def test_events_that_begin_alike_are_listed(world: World) -> None:
    first, second = await put(world, sent(0, "one"), sent(1, "two"))
    observer = agent_of(world, "observer")
    said = await observer.refused("get_event", event_id=first[:8])
    assert said == f'event_id "{first[:8]}" is ambiguous. It may be: {first}; {second}.'


async def test_a_comment_goes_by_its_beginning(either_world: World, agent: Agent) -> None:
    comment = SYMBOLS["c_2"]
    edited = await agent.call("edit_comment", issue_id=TIMEOUT, comment_id=comment[:8].upper(), body="x")
    assert edited["id"] == comment
    like = f"{comment[:8]}-0000-4000-8000-000000000000"
    take(either_world, comments=[FIXTURE["comments"][1] | {"id": like}])
    said = await agent.refused("delete_comment", issue_id=TIMEOUT, comment_id=comment[:8])
    assert said == f'comment_id "{comment[:8]}" is ambiguous. It may be: {comment}; {like}.'
    await agent.call("delete_comment", issue_id=TIMEOUT, comment_id=comment[:10])
    assert "No comment_id begins with" in await agent.refused(
        "delete_comment", issue_id=TIMEOUT, comment_id=SYMBOLS["c_gone"][:8]
    )


@pytest.mark.parametrize("configured", ["shop", "Shop", SHOP[:8]])
async def test_the_configured_project_may_go_by_its_name(either_world: World, configured: str) -> None:
    agent = agent_of(either_world, project_id=configured)
    assert {row["app_name"] for row in (await agent.call("list_issues"))["issues"]} == {"Shop iOS", "Shop API"}
    assert (await agent.call("get_issue", issue_id=TIMEOUT[:8]))["project_id"] == SHOP
    assert "development" in await agent.call("triage_overview")


async def test_a_configured_project_that_there_is_not_is_told_of_by_its_setting(either_world: World) -> None:
    said = await agent_of(either_world, project_id="nowhere").refused("list_issues")
    assert said.startswith(
        "OWLMETRY_PROJECT_ID must be an id, the first 8 characters of one or more, a name or a slug,"
    )
