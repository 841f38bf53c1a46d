"""Which tools a client is offered: those that the key and the settings allow, and no others."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp_types import TextContent

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.server import server
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.server import INSTRUCTIONS, TriageServer
from tests.agent import Agent, agent_of
from tests.faults.proxy import FaultyProxy, faulty_proxy, never_answered
from tests.world import SECRETS, SYMBOLS, World, no_wait

ALL = [*CATALOGUE]
EVENTS = {"get_event", "get_breadcrumbs"}
WRITES = {"update_status", "merge", "comment", "edit_comment", "delete_comment"}
COMMAND = [sys.executable, "-m", "owlmetry_mcp"]


def without(*names: str) -> list[str]:
    return [name for name in ALL if name not in names]


async def offered(agent: Agent) -> list[str]:
    async with agent.connected() as client:
        return [tool.name for tool in (await client.list_tools()).tools]


def permit(world: World, *permissions: str) -> None:
    world.store.write(lambda tx: tx.run("UPDATE api_keys SET permissions = ?", (json.dumps(permissions),)))


# The key


@pytest.mark.parametrize(
    ("who", "listed"),
    [
        ("agent", without(*EVENTS)),
        ("reader", without(*EVENTS, *WRITES)),
        ("observer", without(*WRITES)),
        ("mia", ALL),
        ("olga", ALL),
    ],
)
async def test_a_key_is_offered_what_it_can_use_and_a_user_all(
    either_world: World, who: str, listed: list[str]
) -> None:
    assert await offered(agent_of(either_world, who)) == listed


@pytest.mark.parametrize(
    ("permissions", "listed"),
    [
        ((), ["whoami"]),
        (("projects:read",), ["list_projects", "whoami"]),
        (("issues:read", "events:read"), without("list_projects", *WRITES)),
        (("issues:write",), [*(name for name in ALL if name in WRITES), "whoami"]),
        (("issues:read", "issues:write", "events:read", "projects:read", "what:ever"), ALL),
    ],
)
async def test_each_permission_brings_its_tools(
    either_world: World, permissions: tuple[str, ...], listed: list[str]
) -> None:
    permit(either_world, *permissions)
    assert await offered(agent_of(either_world)) == listed


async def test_a_key_that_is_not_known_is_offered_all_and_told_when_it_calls(either_world: World) -> None:
    agent = agent_of(either_world, "expired")
    assert await offered(agent) == ALL
    assert (await agent.refused("list_issues")).startswith("API key expired")


async def test_a_call_is_held_against_what_the_key_may_do_now(either_world: World) -> None:
    agent = agent_of(either_world, "reader")
    assert "comment" not in await offered(agent)
    said = await agent.refused("comment", issue_id=SYMBOLS["i_timeout"], body="x")
    assert said.startswith("Missing permission: issues:write. ")
    permit(either_world, "issues:read", "issues:write", "projects:read")
    assert (await agent.call("comment", issue_id=SYMBOLS["i_timeout"], body="x"))["body"] == "x"


# The settings


@pytest.mark.parametrize(
    ("who", "options", "listed"),
    [
        ("mia", Options(read_only=True), without(*WRITES)),
        ("agent", Options(read_only=True), without(*WRITES, *EVENTS)),
        ("mia", Options(tools=frozenset({"comment", "whoami"})), ["comment", "whoami"]),
        ("reader", Options(tools=frozenset({"comment", "whoami"})), ["whoami"]),
        ("mia", Options(read_only=True, tools=frozenset({"comment", "get_issue"})), ["get_issue"]),
        ("reader", Options(tools=frozenset({"comment"})), []),
    ],
)
async def test_the_settings_narrow_what_the_key_allows(
    either_world: World, who: str, options: Options, listed: list[str]
) -> None:
    assert await offered(agent_of(either_world, who, options=options)) == listed


async def test_a_tool_that_the_settings_leave_out_is_refused_plainly(world: World) -> None:
    reads = agent_of(world, options=Options(read_only=True))
    arguments = {"issue_id": SYMBOLS["i_timeout"], "status": "silenced"}
    assert await reads.refused("update_status", **arguments) == (
        f"update_status cannot be used: this server only reads. There are {', '.join(without(*WRITES))}."
    )
    few = agent_of(world, options=Options(tools=frozenset({"whoami", "comment"})))
    assert await few.refused("update_status", **arguments) == (
        "update_status cannot be used: this server is set not to offer it. There are comment, whoami."
    )
    assert await few.refused("who") == 'Unknown tool "who". Did you mean whoami? There are comment, whoami.'
    both = agent_of(world, options=Options(read_only=True, tools=frozenset({"whoami", "comment"})))
    assert await both.refused("comment", issue_id="x", body="x") == (
        "comment cannot be used: this server only reads. There are whoami."
    )
    assert (await world.acting_as("agent").get_issue(SYMBOLS["shop"], SYMBOLS["i_timeout"])).status == "new"


# A server that cannot be asked


def agent_at(endpoint: str) -> tuple[Agent, LiveBackend]:
    live = LiveBackend(Wire(endpoint, SECRETS["reader"], Timeouts(connect=1), sleep=no_wait))
    return Agent(TriageServer(Desk(lambda _: live)), "test"), live


@pytest.fixture
async def proxy(world: World) -> AsyncIterator[FaultyProxy]:
    assert world
    async with faulty_proxy(0) as between:
        yield between


async def test_a_server_that_refuses_connections_has_its_tools_listed(proxy: FaultyProxy) -> None:
    await proxy.refuse()
    agent, live = agent_at(f"http://127.0.0.1:{proxy.port}")
    assert await offered(agent) == ALL
    assert "cannot be used now" in await agent.refused("whoami")
    await live.aclose()


async def test_a_server_that_never_answers_has_its_tools_listed_within_the_bound(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server.PERMISSIONS_SECONDS <= 5
    monkeypatch.setattr(server, "PERMISSIONS_SECONDS", 0.2)
    proxy.faults = [never_answered] * 5
    agent, live = agent_at(f"http://127.0.0.1:{proxy.port}")
    with anyio.fail_after(3):
        assert await offered(agent) == ALL
    await live.aclose()


# As a process


def served(store: Path, *flags: str, **environment: str) -> StdioServerParameters:
    command, *arguments = COMMAND
    return StdioServerParameters(command=command, args=[*arguments, "--store", str(store), *flags], env=environment)


@pytest.mark.parametrize(
    ("flags", "environment", "listed"),
    [
        (["--read-only"], {}, without(*WRITES)),
        ([], {"OWLMETRY_READ_ONLY": "true"}, without(*WRITES)),
        (["--tools", "get_issue, comment"], {}, ["get_issue", "comment"]),
        ([], {"OWLMETRY_TOOLS": "comment,whoami"}, ["comment", "whoami"]),
        (["--tools", "whoami,comment", "--read-only"], {"OWLMETRY_TOOLS": "merge"}, ["whoami"]),
        ([], {"OWLMETRY_API_KEY": SECRETS["reader"]}, without(*WRITES, *EVENTS)),
    ],
)
async def test_the_settings_are_flags_and_variables(
    world: World, flags: list[str], environment: dict[str, str], listed: list[str]
) -> None:
    async with Client(served(world.store.path, *flags, **environment)) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == listed
        result = await client.call_tool("merge", {"target_issue_id": SYMBOLS["i_timeout"]})
    assert result.is_error
    (block,) = result.content
    assert isinstance(block, TextContent)
    if "OWLMETRY_API_KEY" not in environment:
        assert block.text.startswith("merge cannot be used: this server ")


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        (["--tools", "get_issue,nonsense"], {}, 'there is no tool "nonsense"; there are triage_overview, list_issues,'),
        ([], {"OWLMETRY_TOOLS": "x,y"}, 'there is no tool "x"'),
        (["--tools", " , "], {}, "--tools: it must name tools"),
        ([], {"OWLMETRY_READ_ONLY": "maybe"}, "OWLMETRY_READ_ONLY: "),
        ([], {"OWLMETRY_CONFIRM": "sometimes"}, "OWLMETRY_CONFIRM: it must be one of auto, always, never"),
    ],
)
def test_settings_that_name_no_tool_end_it_before_it_starts(
    tmp_path: Path, flags: list[str], environment: dict[str, str], said: str
) -> None:
    store = tmp_path / "store.db"
    done = subprocess.run(
        [*COMMAND, "--store", str(store), *flags],
        input=b"", capture_output=True, check=False, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not store.exists()


async def test_the_instructions_and_prompts_name_no_tool_that_there_is_not_without_saying_so(world: World) -> None:
    agent = agent_of(world, "mia", options=Options(read_only=True))
    async with agent.connected() as client:
        prompt = (await client.get_prompt("investigate", {"issue_id": SYMBOLS["i_timeout"]})).messages[0].content
        instructions = client.instructions
    said = "Where one of them is called for, tell the person instead."
    assert instructions
    assert f"Not to be had here: update_status, merge, comment. {said}" in instructions
    assert isinstance(prompt, TextContent)
    assert f"Not to be had here: update_status, comment. {said}" in prompt.text
    async with agent_of(world, "mia").connected() as client:
        assert client.instructions == INSTRUCTIONS
