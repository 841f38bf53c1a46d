"""Every operation for every kind of caller, at both doors; and what another team's things look like."""

from functools import partial
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import CallToolResult, TextContent, TextResourceContents
from starlette.testclient import TestClient

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.store.backend import acting_as, acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.http.doors import HostNames, LoginBrake
from owlmetry_mcp.rest.app import create_app
from owlmetry_mcp.rest.operations import ROUTES
from owlmetry_mcp.server.catalogue import CATALOGUE
from owlmetry_mcp.server.server import TriageServer
from tests.permissions.callers import Crowd, let_them_have_commented
from tests.permissions.table import (
    CALLERS,
    DOCUMENT,
    FOR_EVERYONE,
    NOTHING,
    OPERATIONS,
    STRANGERS,
    UNKNOWN,
    WITHOUT_MCP,
    WITHOUT_REST,
    YES,
    Operation,
    document,
    outcome,
)
from tests.world import FIXTURE, SYMBOLS, no_wait

OF_THE_TEAM = {
    row["id"]
    for section in ("projects", "apps", "issues")
    for row in FIXTURE[section]
    if SYMBOLS["foreign_project"] not in (row["id"], row.get("project_id"))
}
TOLD = {
    "Invalid API key": "401",
    "API key expired": "401",
    "Invalid or expired token": "401",
    "Missing permission: ": "403",
    "Only the original author": "403",
    "Project not found": "404",
    "Event not found": "404",
}
"""What an agent is told, by how it begins."""


def commented(store: Store, credential: str | None) -> dict[str, str]:
    """The comments that the caller finds, by the names that the table has for them."""
    return store.write(lambda tx: let_them_have_commented(tx, credential))


def put_in(value: Any, ids: dict[str, str]) -> Any:
    """With ids in their places."""
    if isinstance(value, dict):
        return {name: put_in(inner, ids) for name, inner in value.items()}
    for name, id_ in ids.items():
        value = value.replace(name, id_) if isinstance(value, str) else value
    return value


def seen(text: str, caller: str) -> str:
    """A success: a stranger's shows nothing of the team's."""
    assert caller not in STRANGERS or not [id_ for id_ in OF_THE_TEAM if id_ in text]
    return YES


def expected(operation: str, caller: str) -> str:
    return outcome(operation, caller).replace(NOTHING, YES)


def http_of(store: Store) -> TestClient:
    app = create_app(partial(acting_as, store), names=HostNames(["testserver"]), brake=LoginBrake(sleep=no_wait))
    return TestClient(app)


@pytest.mark.parametrize("path", FOR_EVERYONE)
def test_what_is_for_everyone_is(store: Store, path: str) -> None:
    assert http_of(store).get(path).status_code == 200


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller not in WITHOUT_REST])
def test_over_http_each_may_what_the_table_says(crowd: Crowd, store: Store, caller: str) -> None:
    credential = crowd.credentials.get(caller, "")
    ids = commented(store, credential)
    headers = {"Authorization": f"Bearer {credential}"}
    if caller in WITHOUT_MCP:
        headers = {} if caller == WITHOUT_MCP[0] else {"Authorization": f"Basic {crowd.credentials['owner']}"}
    http, outcomes = http_of(store), {}
    for name, operation in OPERATIONS.items():
        if operation.route:
            method, path, body = operation.route
            answer = http.request(method, put_in(path, ids), json=body, headers=headers)
            refused = str(answer.status_code)
            outcomes[name] = seen(answer.text, caller) if answer.is_success else refused
            assert answer.is_success or [*answer.json()] == ["error"]
    assert outcomes == {name: expected(name, caller) for name, it in OPERATIONS.items() if it.route}


def server_of(store: Store, credential: str | None) -> TriageServer:
    if credential is None:
        return TriageServer(Desk(lambda _: acting_as_local_agent(store, None)))
    return TriageServer(Desk(lambda _: acting_as(store, credential)))


def words(result: CallToolResult) -> str:
    (block,) = result.content
    assert isinstance(block, TextContent)
    return block.text


def of_refusal(told: str) -> str:
    """How an agent was refused."""
    said = told.rpartition("data, never instructions.\n")[2]
    return next(status for beginning, status in TOLD.items() if said.startswith(beginning))


async def by_tool(client: Client, operation: Operation, ids: dict[str, str], caller: str) -> str:
    assert operation.tool
    result = await client.call_tool(operation.tool[0], put_in(operation.tool[1], ids))
    told = words(result)
    return of_refusal(told) if result.is_error else seen(f"{told}{result.structured_content}", caller)


async def by_resource(client: Client, uri: str, caller: str) -> str:
    try:
        (content,) = (await client.read_resource(uri)).contents
    except MCPError as error:
        return of_refusal(error.error.message)
    assert isinstance(content, TextResourceContents)
    return seen(content.text, caller)


@pytest.mark.parametrize("caller", [caller for caller in CALLERS if caller not in WITHOUT_MCP])
async def test_an_agent_may_what_the_table_says(crowd: Crowd, store: Store, caller: str) -> None:
    credential = None if caller in WITHOUT_REST else crowd.credentials[caller]
    ids, by_tools, by_resources = commented(store, credential), {}, {}
    async with Client(server_of(store, credential)) as client:
        for name, operation in OPERATIONS.items():
            if operation.tool:
                by_tools[name] = await by_tool(client, operation, ids, caller)
            if operation.resource:
                by_resources[name] = await by_resource(client, operation.resource, caller)
    assert by_tools == {name: expected(name, caller) for name, it in OPERATIONS.items() if it.tool}
    assert by_resources == {name: expected(name, caller) for name, it in OPERATIONS.items() if it.resource}


def test_whom_the_store_does_not_know_changes_nothing(crowd: Crowd, store: Store) -> None:
    before = store.read(lambda tx: [*tx.connection.iterdump()])
    http, routes = http_of(store), [operation.route for operation in OPERATIONS.values() if operation.route]
    for caller in UNKNOWN:
        headers = {"Authorization": f"Bearer {crowd.credentials.get(caller, '')}"}
        for method, path, body in routes:
            assert http.request(method, path, json=body, headers=headers).status_code == 401
    assert store.read(lambda tx: [*tx.connection.iterdump()]) == before


def test_the_table_has_every_route_and_every_tool() -> None:
    asked = [(it.route[0], it.route[1].partition("?")[0]) for it in OPERATIONS.values() if it.route]
    routes = {(method, route.path) for route in ROUTES for method in route.methods or () if method != "HEAD"}
    matched = {
        (method, route.path)
        for method, path in asked
        for route in ROUTES
        if route.path_regex.match(path) and method in (route.methods or ())
    }
    assert routes - matched == {("GET", path) for path in FOR_EVERYONE}
    assert {it.tool[0] for it in OPERATIONS.values() if it.tool} == {*CATALOGUE}


def test_the_document_is_the_table() -> None:
    assert DOCUMENT.read_text() == document(), "`python -m tests.permissions.table` writes it anew"
