"""How much of an overview is shown in few bytes: in the tool's answer, and in a document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp_types import TextContent

from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.issues.evidence import Coverage, Overview
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import Comment, Issue
from owlmetry_mcp.server import overviews
from owlmetry_mcp.server.answers import Row
from owlmetry_mcp.server.markdown import MarkdownFence, overview_document
from owlmetry_mcp.server.overviews import OVERVIEW_BYTES, overview_answer
from owlmetry_mcp.triage import overview
from owlmetry_mcp.triage.overview import Candidates
from tests.agent import agent_of
from tests.documents import read, server_of
from tests.triage_rows import add_issue, at
from tests.world import FIXTURE, ROOT, SYMBOLS, World

SHOP = SYMBOLS["shop"]
NOW = at()
SECTIONS = {"regressed": "regressed", "new": "new", "claimed": "in_progress", "growing": "silenced"}
"""With the status of their issues here."""

MESSAGES = [json.loads(line)["title"] for line in Path(ROOT, "benchmarks/messages.jsonl").read_text().splitlines()]
LONGEST = sorted(MESSAGES, key=len, reverse=True)[:20]
HOSTILE = {
    "of many bytes": "🦉" * 2_000,
    "unseen": "\U000e0041\u202e\u200b\x1b" * 500,
    "to be escaped": '\\"' * 1_000,
    "to be escaped, and of many bytes": '"é\\' * 600,
    "in code": "`" * 2_000,
    "blank": " " * 2_000,
}


def issue(number: int, status: str, title: str, **values: Any) -> Issue:
    row = FIXTURE["issues"][0] | {
        "id": f"{number:08x}-0000-4000-8000-000000000001", "project_id": SHOP, "status": status, "title": title,
        "occurrence_count": 123_456, "unique_user_count": 45_678, "last_seen_at": at(-number), "snoozed_at": None,
        "app_name": "Shop iOS", "project_name": None, "fingerprints": [], "is_dev": False, **values,
    }  # fmt: skip
    return Issue.model_validate(row)


def overview_of(
    titles: list[str], each: int = 5, more: int = 1_662, by: str = "Triage Agent", **values: Any
) -> Overview:
    """So many of each section, all of them candidates, and so many more of each status."""
    found = {
        name: [
            issue(5 * place + number, status, titles[(5 * place + number) % len(titles)], **values)
            for number in range(each)
        ]
        for place, (name, status) in enumerate(SECTIONS.items())
    }
    comment = FIXTURE["comments"][0] | {"author_name": by, "updated_at": NOW}
    said = [Comment.model_validate(comment | {"created_at": at(days=-9)})]
    candidates = Candidates(
        regressed=found["regressed"],
        new=found["new"],
        claimed=[overview.claim(it, said, by, at(days=-10)) for it in found["claimed"]],
        growing=found["growing"],
    )
    counts = dict.fromkeys(STATUSES, each + more)
    coverage = Coverage(seen=6 * (each + more), complete=True)
    return overview.overview(NOW, counts, {}, candidates, coverage, knows_silencing=True)


def bytes_of(data: object) -> int:
    """As compact JSON."""
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def answered(found: Overview, most: int = OVERVIEW_BYTES) -> tuple[dict[str, Any], str]:
    """Both forms of the tool's answer, which keep to the cap and tell the same."""
    result = overview_answer(found, most).result()
    data, (block,) = result.structured_content, result.content
    assert data is not None
    assert isinstance(block, TextContent)
    assert max(bytes_of(data), len(block.text.encode())) <= most
    shown = [row["id"] for name in ("next", *SECTIONS) for row in data.get(name, ())]
    assert re.findall(r"^- ([0-9a-f-]{36})", block.text, re.MULTILINE) == shown
    assert re.findall(r"^Left out: (.+)$", block.text, re.MULTILINE) == data.get("left_out", [])
    return data, block.text


def counts_of(data: dict[str, Any]) -> list[int]:
    return [len(data.get(name, ())) for name in SECTIONS]


def total_of(data: dict[str, Any], status: str) -> int:
    return sum(int(data.get(mode, {}).get(status, 0)) for mode in ("production", "development"))


def counts_in(document: str) -> list[int]:
    """Issues under each heading but the first."""
    return [len(re.findall(r"^- ", part, re.MULTILINE)) for part in re.split(r"^## .+$", document, flags=re.MULTILINE)][
        2:
    ]


# What is shown


async def test_of_ten_thousand_issues_every_section_is_shown_and_the_rest_is_counted(world: World) -> None:
    rows = [
        FIXTURE["issues"][0]
        | {"id": f"{number:08x}-0000-4000-8000-000000000001", "app_id": SYMBOLS["api"], "is_dev": False}
        | {"status": STATUSES[number % len(STATUSES)], "title": MESSAGES[number % len(MESSAGES)]}
        | {"last_seen_at": at(-number), "snoozed_at": None, "unique_user_count": 1_000 + number % 50}
        for number in range(10_000)
    ]
    world.store.write(lambda tx: import_document(tx, read_document(json.dumps({"issues": rows}))))
    agent = agent_of(world)
    found = await agent.call("triage_overview", project_id=SHOP)
    assert min(counts_of(found)) >= 2
    assert sum(counts_of(found)) >= 10
    size = bytes_of(agent.structured)
    assert OVERVIEW_BYTES * 0.9 < size <= OVERVIEW_BYTES
    assert len(agent.whole_text.encode()) <= OVERVIEW_BYTES
    for name, status in SECTIONS.items():
        if name != "growing":
            left = f"{total_of(found, status) - len(found[name]):,} more {status}: list_issues with status={status}"
            assert left in found["left_out"]
            assert f"Left out: {left}" in agent.text
    assert found["left_out"][-1].endswith(" more growing: list_issues with status=silenced or status=snoozed")
    async with Client(server_of(world)) as client:
        document = await read(client, f"owlmetry://projects/{SHOP}/overview")
    assert counts_in(document) == [5, 5, 5, 5]
    assert f"Left out: {total_of(found, 'regressed') - 5:,} more regressed: list_issues" in document


@pytest.mark.parametrize("project", [None, "The shop for the whole family"])
def test_the_longest_titles_of_real_software_leave_room_for_every_section(project: str | None) -> None:
    version = "2.3.1-beta.4+build.5120"
    named: dict[str, Any] = {"resolved_at_version": version, "last_seen_app_version": version, "project_name": project}
    data, _ = answered(overview_of(LONGEST, by="claude-code on a laptop", **named))
    assert min(counts_of(data)) >= 2
    assert len(data["next"]) == 3
    document = overview_document(None, overview_of(LONGEST, **named), OVERVIEW_BYTES, MarkdownFence())
    assert len(document.encode()) <= OVERVIEW_BYTES
    assert min(counts_in(document)) >= 2


@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE)
def test_whatever_strangers_write_every_section_shows_one_and_the_cap_is_kept(words: str) -> None:
    name = words[:255]
    named: dict[str, Any] = {"resolved_at_version": name, "last_seen_app_version": name, "project_name": name}
    found = overview_of([words], by=name, **named)
    data, _ = answered(found)
    assert min(counts_of(data)) >= 1
    document = overview_document(None, found, OVERVIEW_BYTES, MarkdownFence())
    assert len(document.encode()) <= OVERVIEW_BYTES
    assert min(counts_in(document)) >= 1


@pytest.mark.parametrize("most", [1_000, 1_500, 2_000])
def test_a_document_of_few_bytes_shows_what_to_look_at_next_first(most: int) -> None:
    document = overview_document(SHOP, overview_of(LONGEST), most, MarkdownFence())
    assert len(document.encode()) <= most
    assert "## Look at next\n" in document


def test_rows_are_shown_in_turns_by_priority() -> None:
    data, _ = answered(overview_of(LONGEST))
    counts = counts_of(data)
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1


def test_titles_are_cut_shorter_before_a_row_is_left_out() -> None:
    few, _ = answered(overview_of(["word " * 50], each=1, more=0))
    assert len(few["new"][0]["title"]) == len("word " * 16 + "…")
    assert "left_out" not in few
    many, _ = answered(overview_of(["word " * 50], each=3, more=0))
    assert len(many["new"][0]["title"]) <= len("word " * 12 + "…")


# What is said to be left out


def test_what_is_left_out_is_counted_against_all_there_is() -> None:
    data, text = answered(overview_of(["x"], each=5, more=1_662))
    regressed, *others, growing = data["left_out"]
    assert regressed == f"{1_667 - len(data['regressed']):,} more regressed: list_issues with status=regressed"
    assert [re.sub("^[0-9,]+ ", "", said) for said in others] == [
        "more new: list_issues with status=new",
        "more in_progress: list_issues with status=in_progress",
    ]
    dropped = 5 - len(data["growing"])
    assert growing == f"at least {dropped} more growing: list_issues with status=silenced or status=snoozed"
    assert f"\nLeft out: {regressed}\n" in text


def test_where_the_first_of_each_fit_the_others_are_said_to_be_there_in_a_document_too() -> None:
    found = overview_of(["x"], each=5, more=7)
    document = overview_document(SHOP, found, 24_000, MarkdownFence())
    assert counts_in(document) == [5, 5, 5, 5]
    assert re.findall(r"^Left out: (.+)$", document, re.MULTILINE) == [
        "7 more regressed: list_issues with status=regressed",
        "7 more new: list_issues with status=new",
        "7 more in_progress: list_issues with status=in_progress",
        "perhaps more growing: list_issues with status=silenced or status=snoozed",
    ]


def test_of_few_nothing_is_left_out() -> None:
    data, text = answered(overview_of(["x"], each=1, more=0))
    assert "left_out" not in data
    assert "Left out" not in text


def test_where_not_all_was_counted_the_rest_is_at_least_so_many() -> None:
    found = overview_of(["x"], each=1, more=1)
    data, _ = answered(found._replace(coverage=Coverage(seen=12, complete=False)))
    assert data["left_out"][0] == "at least 1 more regressed: list_issues with status=regressed"
    assert len(data["left_out"]) == 3


async def test_both_modes_are_counted_where_both_are_covered(world: World) -> None:
    for number in range(8):
        add_issue(world.store, number, status="regressed", is_dev=number % 2)
    agent = agent_of(world)
    found = await agent.call("triage_overview", project_id=SHOP)
    total = total_of(found, "regressed")
    assert f"{total - len(found['regressed'])} more regressed: list_issues with status=regressed" in found["left_out"]
    listed = await agent.call("list_issues", project_id=SHOP, status="regressed", limit=50)
    assert len(listed["issues"]) == total


async def test_across_projects_production_alone_is_counted(world: World) -> None:
    for number in range(8):
        add_issue(world.store, number, status="regressed", is_dev=number % 2)
    agent = agent_of(world)
    found = await agent.call("triage_overview")
    listed = await agent.call("list_issues", status="regressed", limit=50)
    assert len(listed["issues"]) == found["production"]["regressed"]
    left = found["production"]["regressed"] - len(found["regressed"])
    assert [said for said in found.get("left_out", ()) if "regressed" in said] == (
        [f"{left} more regressed: list_issues with status=regressed"] if left else []
    )


def test_behind_a_row_that_does_not_fit_shorter_ones_of_other_sections_are_shown() -> None:
    costs = {"next": 1, "long": 3, "short": 1}
    sections = [overviews.Section(name, name, [Row({}, name)] * 3) for name in costs]

    def fits(kept: overviews.Kept) -> bool:
        return sum(costs[name] * rows for name, rows in kept.items()) <= 9

    assert overviews._kept(sections, fits) == {"next": 3, "long": 1, "short": 3}  # noqa: SLF001 - in small numbers
