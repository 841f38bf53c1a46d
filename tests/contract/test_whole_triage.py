"""A scripted agent takes the recorded world from the first look to a report, through a real client."""

from typing import Any

from mcp_types import TextContent

from owlmetry_mcp.backends.store.transactions import json_text
from tests.agent import Agent, agent_of
from tests.world import SYMBOLS, World

MOST_CALLS = 25
MOST_BYTES = 60_000
SURE = 0.5


class Counted:
    """An agent, and what it has read: each answer's text and data."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.calls = 0
        self.read_bytes = 0

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = await self._agent.call(tool, **arguments)
        self.calls += 1
        self.read_bytes += len(self._agent.text.encode()) + len(json_text(answer).encode())
        return answer

    async def prompt(self, name: str, **arguments: str) -> str:
        async with self._agent.connected() as client:
            messages = (await client.get_prompt(name, arguments)).messages
        words = "".join(message.content.text for message in messages if isinstance(message.content, TextContent))
        self.calls += 1
        self.read_bytes += len(words.encode())
        return words


async def test_from_the_first_call_to_nothing_new(world: World) -> None:
    agent = Counted(agent_of(world))

    # What is there?
    overview = await agent.call("triage_overview")
    first = overview["next"][0]["id"]
    projects = (await agent.call("list_projects"))["projects"]
    assert [row["name"] for row in projects] == ["Blog", "Shop"]

    # Duplicates first, so that nothing is worked on twice.
    merged = 0
    for project in projects:
        for group in (await agent.call("find_duplicates", project_id=project["slug"]))["groups"]:
            sources = [row["id"] for row in group["duplicates"] if row["score"] >= SURE]
            if sources:
                done = await agent.call("merge", target_issue_id=group["target"]["id"], source_issue_ids=sources)
                assert (done["merged"], done["failed"]) == (len(sources), 0)
                merged += done["merged"]
    assert merged

    # Regressions are claimed, with the evidence.
    regressed = (await agent.call("list_issues", status="regressed", data_mode="all"))["issues"]
    assert first in [row["id"] for row in regressed]
    for row in regressed:
        found = await agent.call("get_issue", issue_id=row["id"][:8])
        versions = ", ".join(found["summary"].get("app_versions", {"none": 0}))
        evidence = (
            f"Seen again in {versions}, though {found.get('resolved_at_version', 'the fix')} was to hold the fix."
        )
        claimed = await agent.call("update_status", issue_id=row["id"][:8], status="in_progress", comment=evidence)
        assert claimed["status"] == "in_progress"
        assert claimed["comment_id"]

    # What is new: the one that hits most users is claimed, the rest put aside until it is seen again.
    new = (await agent.call("list_issues", status="new", data_mode="all", limit=200))["issues"]
    worst, *rest = sorted(new, key=lambda row: -row["unique_user_count"])
    await agent.call("get_issue", issue_id=worst["id"])
    await agent.call("update_status", issue_id=worst["id"], status="in_progress", comment="Hits most users; on it.")
    put_aside = await agent.call(
        "update_status",
        issue_ids=[row["id"] for row in rest],
        status="snoozed",
        comment="Rare so far; it comes back by itself when it is seen again.",
    )
    assert (put_aside["moved"], put_aside["failed"]) == (len(rest), 0)

    # The report, from the week's data.
    week = await agent.prompt("weekly_report", project_id="shop")
    assert "Image cache corrupt" in week
    report = f"Weekly report: {merged} merged, {len(regressed)} regressions claimed, {len(new)} new ones dealt with."
    written = await agent.call("comment", issue_id=first, body=report)
    assert written["author_name"] == "Triage Agent"

    # Nothing is left undone.
    after = await agent.call("triage_overview")
    assert not {"new", "regressed"} & after["production"].keys()
    assert (await agent.call("list_issues", status="new", data_mode="all"))["issues"] == []
    assert first in [row["id"] for row in after["claimed"]]
    assert SYMBOLS["i_timeout_dup"] not in [row["id"] for row in (await agent.call("list_issues", limit=200))["issues"]]
    assert agent.calls <= MOST_CALLS
    assert agent.read_bytes <= MOST_BYTES
