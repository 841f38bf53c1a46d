"""What is offered while an argument is being typed, through a real MCP client."""

import uuid

import anyio
import pytest
from mcp import Client
from mcp_types import Completion, PromptReference, ResourceTemplateReference

from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.server import completions
from owlmetry_mcp.server.resources import ISSUE_TEMPLATE, OVERVIEW_TEMPLATE
from tests.documents import ERAS, OUT_OF_REACH, server_of, server_over, with_more_issues
from tests.test_live import answering
from tests.world import SYMBOLS, FakeClock, World, filled

SHOP, BLOG, TIMEOUT, DUPLICATE = SYMBOLS["shop"], SYMBOLS["blog"], SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"]
NOTHING = Completion(values=[], total=0, has_more=False)

Ref = PromptReference | ResourceTemplateReference
ISSUE, OVERVIEW = ResourceTemplateReference(uri=ISSUE_TEMPLATE), ResourceTemplateReference(uri=OVERVIEW_TEMPLATE)
TRIAGE, INVESTIGATE = PromptReference(name="triage"), PromptReference(name="investigate")
WEEKLY_REPORT = PromptReference(name="weekly_report")


async def completed(client: Client, ref: Ref, name: str, typed: str, **given: str) -> Completion:
    return (await client.complete(ref, {"name": name, "value": typed}, given or None)).completion


def whole(*values: str) -> Completion:
    return Completion(values=[*values], total=len(values), has_more=False)


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("ref", [TRIAGE, INVESTIGATE, WEEKLY_REPORT, ISSUE, OVERVIEW])
async def test_projects_are_offered_by_name_slug_or_the_beginning_of_an_id(
    either_world: World, mode: str, ref: Ref
) -> None:
    async with Client(server_of(either_world), mode=mode) as client:
        assert await completed(client, ref, "project_id", "") == whole(BLOG, SHOP)
        assert await completed(client, ref, "project_id", "sHo") == whole(SHOP)
        assert await completed(client, ref, "project_id", "LOG") == whole(BLOG)
        assert await completed(client, ref, "project_id", SHOP[:6].upper()) == whole(SHOP)
        assert await completed(client, ref, "project_id", "nonsense") == NOTHING


async def test_what_begins_so_comes_before_what_has_it_within(world: World) -> None:
    def rename(tx: Transaction) -> None:
        tx.run("UPDATE projects SET name = 'A workshop' WHERE id = ?", (BLOG,))

    world.store.write(rename)
    async with Client(server_of(world)) as client:
        assert await completed(client, TRIAGE, "project_id", "shop") == whole(SHOP, BLOG)


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("ref", [INVESTIGATE, ISSUE])
async def test_issues_are_offered_by_title_or_the_beginning_of_an_id_the_latest_first(
    either_world: World, mode: str, ref: Ref
) -> None:
    async with Client(server_of(either_world), mode=mode) as client:
        assert await completed(client, ref, "issue_id", "CONNECTION") == whole(DUPLICATE, TIMEOUT, SYMBOLS["i_busy"])
        assert await completed(client, ref, "issue_id", "by peer") == whole(DUPLICATE)
        assert await completed(client, ref, "issue_id", TIMEOUT[:9]) == whole(TIMEOUT)
        assert await completed(client, ref, "issue_id", TIMEOUT[9:13]) == NOTHING  # within an id, and no title


async def test_issues_are_of_the_project_given_or_the_configured_one_or_all(either_world: World) -> None:
    async with Client(server_of(either_world)) as client:
        everywhere = await completed(client, ISSUE, "issue_id", "")
        in_blog = await completed(client, ISSUE, "issue_id", "", project_id="blog")
        assert await completed(client, ISSUE, "issue_id", "connection", project_id=BLOG) == NOTHING
        assert await completed(client, ISSUE, "issue_id", "", project_id="nonsense") == NOTHING
    async with Client(server_of(either_world, project_id=BLOG)) as client:
        assert await completed(client, ISSUE, "issue_id", "") == in_blog
        in_shop = await completed(client, ISSUE, "issue_id", "", project_id=SHOP)
    assert {*in_blog.values} == {SYMBOLS["i_blog"], SYMBOLS["i_blog_dev"]}
    assert {*everywhere.values} == {*in_blog.values, *in_shop.values}
    assert everywhere.total == len(in_blog.values) + len(in_shop.values)


async def test_statuses_are_offered(either_world: World) -> None:
    async with Client(server_of(either_world)) as client:
        assert await completed(client, TRIAGE, "status", "") == whole(*STATUSES)
        assert await completed(client, TRIAGE, "status", "New") == whole("new")
        assert await completed(client, TRIAGE, "status", "re") == whole("resolved", "regressed", "in_progress")


@pytest.mark.parametrize("mode", ERAS)
async def test_the_versions_seen_are_offered_the_newest_first(either_world: World, mode: str) -> None:
    either_world.put("i_timeout", first_seen_app_version="2.10.0-beta", last_seen_app_version="2.10.0")
    either_world.put("i_busy", first_seen_app_version="2.9\u200b", last_seen_app_version='3"')
    async with Client(server_of(either_world), mode=mode) as client:
        in_shop = await completed(client, WEEKLY_REPORT, "app_version", "2", project_id="shop")
        in_blog = await completed(client, WEEKLY_REPORT, "app_version", "", project_id="blog")
        everywhere = await completed(client, WEEKLY_REPORT, "app_version", "")
    assert in_shop.values[:4] == ["2.10.0", "2.10.0-beta", "2.3.0", "2.2.0"]
    assert in_blog == whole("5.0.1")
    assert everywhere.values[0] == "5.0.1"
    assert not {"2.9\u200b", '3"'} & {*everywhere.values}


async def test_no_more_than_100_are_offered_and_how_many_there_are_is_told(
    empty_store: Store, clock: FakeClock
) -> None:
    filled(empty_store, with_more_issues(120, title="Out of paper"))
    async with Client(server_of(World(empty_store, clock))) as client:
        found = await completed(client, ISSUE, "issue_id", "paper")
    assert (len(found.values), found.total, found.has_more) == (100, 120, True)


async def test_of_more_than_200_issues_it_is_not_known_how_many_match(empty_store: Store, clock: FakeClock) -> None:
    filled(empty_store, with_more_issues(250, title="Out of paper", last_seen_at="2026-09-01T00:00:00.000Z"))
    async with Client(server_of(World(empty_store, clock))) as client:
        found = await completed(client, ISSUE, "issue_id", "refused")
    assert found == Completion(values=[DUPLICATE, TIMEOUT], total=None, has_more=True)


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        (PromptReference(name="nonsense"), "project_id"),
        (ResourceTemplateReference(uri="owlmetry://nonsense/{project_id}"), "project_id"),
        (OVERVIEW, "issue_id"),
        (TRIAGE, "app_version"),
        (INVESTIGATE, "nonsense"),
    ],
)
async def test_what_takes_no_such_argument_is_offered_nothing(world: World, ref: Ref, name: str) -> None:
    async with Client(server_of(world)) as client:
        assert await completed(client, ref, name, "") == NOTHING


async def test_a_key_that_may_read_nothing_is_offered_nothing(either_world: World) -> None:
    async with Client(server_of(either_world, "client")) as client:
        for name in ("project_id", "issue_id"):
            assert await completed(client, ISSUE, name, "") == NOTHING


async def test_without_a_backend_nothing_is_offered_and_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completions, "SECONDS", 0.05)
    for behaviour in OUT_OF_REACH:
        async with answering(behaviour) as backend, Client(server_over(backend)) as client:
            with anyio.fail_after(5):
                assert await completed(client, ISSUE, "project_id", "") == NOTHING
                assert await completed(client, ISSUE, "issue_id", "") == NOTHING
                assert await completed(client, WEEKLY_REPORT, "app_version", "") == NOTHING
                assert await completed(client, TRIAGE, "status", "new") == whole("new")


async def test_an_issue_that_was_offered_can_be_named_without_its_project(either_world: World) -> None:
    async with Client(server_of(either_world)) as client:
        (issue,) = (await completed(client, INVESTIGATE, "issue_id", "by peer")).values
        assert uuid.UUID(issue)
        assert (await client.get_prompt("investigate", {"issue_id": issue})).messages
