"""What cannot be undone is asked about first, where the client can ask a person and the setting says so."""

from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from mcp import Client
from mcp.client import ClientRequestContext
from mcp_types import CallToolResult, ElicitRequestParams, ElicitResult, TextContent

from owlmetry_mcp.server.options import Confirm, Options
from owlmetry_mcp.server.server import TriageServer
from tests.agent import agent_of
from tests.faults.proxy import Exchange, faulty_proxy
from tests.test_offers import served
from tests.world import SECRETS, SYMBOLS, HttpFace, LiveWorld, World

SHOP, TIMEOUT, TWIN, GHOST = SYMBOLS["shop"], SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"], SYMBOLS["ghost"]
MERGE = {"target_issue_id": TIMEOUT, "source_issue_id": TWIN}
DELETE = {"issue_id": TIMEOUT, "comment_id": SYMBOLS["c_2"]}
ONLY_UNREAD = {"source_issue_ids": [SYMBOLS["i_tie_0"]]}
CALLS = [("merge", MERGE), ("delete_comment", DELETE)]
ERAS = ["legacy", "2026-07-28", "auto"]
YES = ElicitResult(action="accept", content={"confirm": True})
NOES = {
    "decline": ElicitResult(action="decline"),
    "cancel": ElicitResult(action="cancel"),
    "not confirmed": ElicitResult(action="accept", content={"confirm": False}),
}
UNCONFIRMED = "Nothing was changed: the person who was asked did not confirm it. Do not try again unasked."
UNABLE = "Nothing was changed: OWLMETRY_CONFIRM=always has a person confirm this, and this client cannot ask one."


class Person:
    """Who answers a client's questions, always the same."""

    def __init__(self, answer: ElicitResult | None) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        assert context
        self.asked.append(params.message)
        assert self.answer
        return self.answer

    async def calling(self, server: Any, mode: str, tool: str, arguments: dict[str, Any]) -> tuple[CallToolResult, str]:
        async with AsyncExitStack() as stack:
            callback = self if self.answer else None
            client = await stack.enter_async_context(Client(server, mode=mode, elicitation_callback=callback))
            result = await client.call_tool(tool, arguments)
        (block,) = result.content
        assert isinstance(block, TextContent)
        return result, block.text


def server_of(world: World, confirm: Confirm = "auto", who: str = "agent") -> TriageServer:
    return agent_of(world, who, options=Options(confirm=confirm)).server


async def state(world: World) -> tuple[bool, int]:
    """Whether the source is there, and how many comments the target has."""
    backend = world.acting_as("agent")
    issues = (await backend.find_issues(TWIN, unheard)).issues
    return bool(issues), len(await backend.list_comments(SHOP, TIMEOUT))


async def unheard(_: str) -> None:
    pass


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("confirm", ["auto", "always"])
async def test_a_person_who_says_yes_has_it_done(either_world: World, mode: str, confirm: Confirm) -> None:
    there, comments = await state(either_world)
    for (tool, arguments), after in zip(
        CALLS[::-1],
        [(there, comments - 1), (False, comments)],  # the source brings its comment
        strict=True,
    ):
        person = Person(YES)
        result, said = await person.calling(server_of(either_world, confirm), mode, tool, arguments)
        assert not result.is_error, said
        assert len(person.asked) == 1
        assert await state(either_world) == after


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize("answer", NOES)
@pytest.mark.parametrize(("tool", "arguments"), CALLS)
async def test_without_a_yes_nothing_is_changed(
    either_world: World, mode: str, answer: str, tool: str, arguments: dict[str, Any]
) -> None:
    before = await state(either_world)
    person = Person(NOES[answer])
    result, said = await person.calling(server_of(either_world), mode, tool, arguments)
    assert result.is_error
    assert said == UNCONFIRMED
    assert len(person.asked) == 1
    assert await state(either_world) == before


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(("tool", "arguments"), CALLS)
async def test_a_client_that_cannot_ask_does_it_unless_it_must(
    world: World, mode: str, tool: str, arguments: dict[str, Any]
) -> None:
    before = await state(world)
    result, said = await Person(None).calling(server_of(world, "always"), mode, tool, arguments)
    assert result.is_error
    assert said == UNABLE
    assert await state(world) == before
    result, said = await Person(None).calling(server_of(world, "auto"), mode, tool, arguments)
    assert not result.is_error, said
    assert await state(world) != before


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(("tool", "arguments"), CALLS)
@pytest.mark.parametrize("answer", [YES, None])
async def test_set_to_never_it_asks_no_one(
    world: World, mode: str, tool: str, arguments: dict[str, Any], answer: ElicitResult | None
) -> None:
    person = Person(answer)
    result, said = await person.calling(server_of(world, "never"), mode, tool, arguments)
    assert not result.is_error, said
    assert person.asked == []


async def test_the_question_names_what_it_is_about_visible_and_quoted(either_world: World) -> None:
    either_world.put("i_timeout_dup", title='Refused" into "x"?\nYes\u202e')
    person = Person(NOES["decline"])
    await person.calling(server_of(either_world), "auto", "merge", {**MERGE, "target_issue_id": TIMEOUT[:8]})
    await person.calling(server_of(either_world), "auto", "delete_comment", DELETE)
    merging, deleting = person.asked
    assert merging == (
        rf'Merge "Refused\" into \"x\"?\nYes\u202e" ({TWIN}) into "Connection refused" ({TIMEOUT})?'
        " What is merged is deleted. It cannot be undone."
    )
    assert deleting == (
        'Delete the comment by "Triage Agent": "All occurrences are on **cellular**."? It cannot be undone.'
    )


@pytest.mark.parametrize("mode", ERAS)
async def test_one_question_is_asked_for_several_sources_of_those_that_can_be_merged(
    either_world: World, mode: str
) -> None:
    sources = [TWIN, GHOST, TWIN[:8], TIMEOUT, SYMBOLS["i_tie_0"]]
    person = Person(YES)
    arguments = {"target_issue_id": TIMEOUT, "source_issue_ids": sources}
    result, said = await person.calling(server_of(either_world), mode, "merge", arguments)
    assert not result.is_error, said
    assert result.structured_content
    assert (result.structured_content["merged"], result.structured_content["failed"]) == (2, 2)
    (question,) = person.asked
    assert question.startswith(
        f'Merge "Connection refused by peer" ({TWIN}); "Tie breaker 0" ({SYMBOLS["i_tie_0"]}) into "Connection refused"'
    )


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("merge", {**MERGE, "source_issue_id": GHOST}, "ssue not found"),
        ("merge", {**MERGE, "target_issue_id": GHOST}, "ssue not found"),
        ("merge", {**MERGE, "target_issue_id": GHOST, "project_id": SHOP}, "ssue not found"),
        ("merge", {**MERGE, "source_issue_id": "nope"}, "source_issue_id must be a UUID"),
        ("merge", {**MERGE, "source_issue_id": TIMEOUT}, "Cannot merge an issue into itself"),
        ("merge", {**MERGE, "source_issue_ids": [TWIN]}, "were both given"),
        ("merge", {"target_issue_id": TIMEOUT, "source_issue_ids": [GHOST, TIMEOUT]}, "0 merged, 2 FAILED"),
        ("delete_comment", {**DELETE, "comment_id": GHOST}, "Comment not found"),
        ("delete_comment", {**DELETE, "comment_id": SYMBOLS["c_gone"]}, "Comment not found"),
        ("delete_comment", {**DELETE, "issue_id": GHOST}, "ssue not found"),
        ("delete_comment", {**DELETE, "comment_id": "12345678"}, "No comment_id begins with"),
    ],
)
async def test_no_one_is_asked_about_what_would_fail_anyway(
    either_world: World, mode: str, tool: str, arguments: dict[str, Any], said: str
) -> None:
    person = Person(YES)
    result, refusal = await person.calling(server_of(either_world), mode, tool, arguments)
    assert result.is_error
    assert said in refusal
    assert "Error executing" not in refusal
    assert person.asked == []


@pytest.mark.parametrize("mode", ERAS)
async def test_only_what_the_person_was_asked_about_is_merged(world: World, http_face: HttpFace, mode: str) -> None:
    """A server that cannot tell of a source when the question is put could do so when it is answered."""
    http_face.store = world.store
    unread = SYMBOLS["i_tie_0"].encode()
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as proxy:
        proxy.applies = lambda request: request.startswith(b"GET") and unread in request.split(b"\r\n")[0]
        proxy.faults = [refused] * 100
        live = LiveWorld(world.store, world.clock, f"http://127.0.0.1:{proxy.port}")
        person = Person(YES)
        arguments = {"target_issue_id": TIMEOUT, "source_issue_ids": [TWIN, SYMBOLS["i_tie_0"]]}
        result, said = await person.calling(server_of(live, "always"), mode, "merge", arguments)
        assert not result.is_error, said
        alone, _ = await person.calling(server_of(live, "always"), mode, "merge", {**arguments, **ONLY_UNREAD})
        await live.aclose()
    assert alone.is_error
    assert result.structured_content
    assert (result.structured_content["merged"], result.structured_content["failed"]) == (1, 1)
    (question,) = person.asked
    assert TWIN in question
    assert SYMBOLS["i_tie_0"] not in question
    titles = world.store.read(lambda tx: tx.all("SELECT title FROM issues WHERE id = ?", (SYMBOLS["i_tie_0"],)))
    assert titles == [("Tie breaker 0",)]


async def refused(exchange: Exchange) -> None:
    await exchange.respond(400, b'{"error": "Not now"}', "application/json")


async def test_no_one_is_asked_for_a_key_that_may_not_write(either_world: World) -> None:
    person = Person(YES)
    for tool, arguments in CALLS:
        result, said = await person.calling(server_of(either_world, who="reader"), "auto", tool, arguments)
        assert result.is_error
        assert said.startswith("Missing permission: issues:write.")
    assert person.asked == []


@pytest.mark.parametrize("mode", ERAS)
async def test_it_asks_over_standard_input_and_output(world: World, mode: str) -> None:
    process = served(world.store.path, OWLMETRY_API_KEY=SECRETS["agent"], OWLMETRY_CONFIRM="always")
    before = await state(world)
    no, yes = Person(NOES["decline"]), Person(YES)
    result, said = await no.calling(process, mode, *CALLS[0])
    assert (result.is_error, said) == (True, UNCONFIRMED)
    assert await state(world) == before
    result, said = await yes.calling(process, mode, *CALLS[0])
    assert not result.is_error, said
    assert (len(no.asked), len(yes.asked)) == (1, 1)
    assert not (await state(world))[0]
