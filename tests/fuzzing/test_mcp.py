"""Any arguments of tools and prompts, URIs and beginnings of words, through a real MCP client over a store."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client, MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.server.arguments import own_words
from owlmetry_mcp.server.catalogue import CATALOGUE, listed
from owlmetry_mcp.server.prompts import PROMPTS
from owlmetry_mcp.server.resources import ISSUE_TEMPLATE, OVERVIEW_TEMPLATE
from tests.agent import agent_of
from tests.documents import server_of
from tests.fuzzing.examples import EXAMPLES
from tests.fuzzing.hostile import ISSUES, RIGHT, TEXT, VALUE
from tests.fuzzing.sound import assert_sound
from tests.world import FIXTURE, SECRETS, SYMBOLS, World

BOILERPLATE = (
    "Traceback", "Error executing", "validation error", "pydantic", "input_value", "Internal", "Exception", "sqlite",
)  # fmt: skip
MOST_SECONDS = 20
MOST_TOLD = 4_000
"""Characters of an error."""
SESSION = SYMBOLS["ghost"]

OWN_COMMENTS = [
    {"issue_id": row["issue_id"], "comment_id": row["id"]}
    for row in FIXTURE["comments"]
    if row["author_name"] == "Triage Agent"
]


PARAMETERS = {tool.name: tool.input_schema for tool in listed()}


@pytest.fixture
def event_id(world: World) -> str:
    """An event that has come into the world."""

    async def put() -> str:
        event = {"message": "Boom", "level": "error", "session_id": SESSION}
        await acting_as(world.store, SECRETS["client"]).ingest([event], "com.example.shop")
        (found,) = (await world.acting_as("observer").list_events(EventFilter(SESSION))).events
        return found.id

    return asyncio.run(put())


@pytest.mark.parametrize("tool", CATALOGUE)
def test_any_arguments_of_a_tool_give_a_result_or_a_plain_refusal(world: World, event_id: str, tool: str) -> None:
    agent = agent_of(world, "observer" if CATALOGUE[tool].permission == "events:read" else "agent")

    @EXAMPLES
    @given(arguments_of(tool, event_id))
    def attempt(arguments: dict[str, Any]) -> None:
        async def call() -> None:
            result = await agent.answered(tool, arguments)
            if result.is_error:
                assert_plain(agent.whole_text, arguments)

        in_time(call)

    attempt()
    assert_sound(world.store)


def arguments_of(tool: str, event_id: str) -> st.SearchStrategy[dict[str, Any]]:
    """Right ones, as far as each by itself goes; those with a wrong one among them; wrong ones; and strange ones."""
    properties: dict[str, Any] = PARAMETERS[tool]["properties"]
    required = PARAMETERS[tool].get("required", ())
    fitting = {name: fit(name, schema) for name, schema in properties.items()} | (
        {"event_id": st.just(event_id)} if "event_id" in properties else {}
    )
    right = st.fixed_dictionaries(
        {name: fitting[name] for name in required},
        optional={name: fitting[name] for name in properties.keys() - {*required}},
    )
    if "comment_id" in properties:
        right = st.builds(dict.__or__, right, st.sampled_from(OWN_COMMENTS))
    if not properties:
        return right | st.dictionaries(TEXT, VALUE, max_size=2)
    wrong = st.sampled_from(sorted(properties)).flatmap(lambda name: st.fixed_dictionaries({name: VALUE}))
    wrongs = st.fixed_dictionaries({}, optional=dict.fromkeys(properties, VALUE))
    strange = st.dictionaries(TEXT, VALUE, max_size=2)
    return right | st.builds(dict.__or__, right, wrong) | wrongs | st.builds(dict.__or__, right, strange)


def fit(name: str, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What an argument of this name and schema may well be."""
    if name in RIGHT:
        return RIGHT[name]
    match schema["type"]:
        case "integer":
            return st.integers(1, 300)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(ISSUES, min_size=1, max_size=4)
        case _:
            return ISSUES if name.endswith("issue_id") else TEXT


PROMPT_ARGUMENTS = sorted({argument.name for prompt in PROMPTS.values() for argument in prompt.arguments or ()})
WORDS = TEXT | RIGHT["project_id"] | RIGHT["issue_id"] | RIGHT["status"]


@EXAMPLES
@given(
    st.sampled_from([*PROMPTS]) | TEXT,
    st.dictionaries(st.sampled_from(PROMPT_ARGUMENTS), WORDS) | st.dictionaries(TEXT, TEXT, max_size=2),
)
def test_any_prompt_is_given_or_plainly_refused(world: World, name: str, arguments: dict[str, str]) -> None:
    told(world, lambda client: client.get_prompt(name, arguments), {**arguments, "name": name})


PLACES = st.builds("owlmetry://projects/{}/issues/{}".format, WORDS.map(quote), WORDS.map(quote)) | st.builds(
    "owlmetry://projects/{}/overview".format, WORDS.map(quote)
)


@EXAMPLES
@given(PLACES | st.builds("owlmetry://{}".format, TEXT) | TEXT)
def test_any_resource_is_given_or_plainly_refused(world: World, uri: str) -> None:
    told(world, lambda client: client.read_resource(uri), {"uri": uri})


REFERENCES = [*(PromptReference(name=name) for name in (*PROMPTS, "none"))] + [
    ResourceTemplateReference(uri=uri) for uri in (ISSUE_TEMPLATE, OVERVIEW_TEMPLATE, "owlmetry://none")
]


@EXAMPLES
@given(st.sampled_from(REFERENCES), st.sampled_from(PROMPT_ARGUMENTS) | TEXT, WORDS, st.dictionaries(WORDS, WORDS))
def test_any_beginning_of_a_word_is_completed_or_plainly_refused(
    world: World, ref: PromptReference | ResourceTemplateReference, name: str, typed: str, given_before: dict[str, str]
) -> None:
    said = {"name": name, "value": typed, **given_before}
    told(world, lambda client: client.complete(ref, {"name": name, "value": typed}, given_before), said)


def told(world: World, ask: Callable[[Client], Awaitable[Any]], said: dict[str, Any]) -> None:
    """Ask for something that is given, or refused as the caller's mistake."""

    async def call() -> None:
        async with Client(server_of(world, None)) as client:
            try:
                await ask(client)
            except MCPError as error:
                assert error.code == INVALID_PARAMS  # noqa: PT017 - either way it is to end well
                assert_plain(error.message, said)

    in_time(call)


def in_time(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        with anyio.fail_after(MOST_SECONDS):
            await work()

    asyncio.run(bounded())


def assert_plain(text: str, said: dict[str, Any]) -> None:
    """The text tells of a mistake, in our words and what of the caller's own it quotes."""
    assert 0 < len(text) <= MOST_TOLD
    for words in (*own_words(said), *map(shown, said.values())):
        text = text.replace(words, "")
    for words in BOILERPLATE:
        assert words not in text
