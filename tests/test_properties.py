"""Whatever text or JSON comes in, what goes out is an answer or one of our errors."""

import asyncio
import json
import re
from functools import partial
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from owlmetry_mcp.backends.base import Backend, Tracker
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.importing import read_document
from owlmetry_mcp.http.doors import HostNames, LoginBrake
from owlmetry_mcp.issues.errors import InvalidInputError, OwlmetryError
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.quoting import quoted, visible
from owlmetry_mcp.rest.app import create_app
from owlmetry_mcp.server.untrusted import Fence
from tests.world import FIXTURE, SECRETS, SYMBOLS, World, no_wait

SHOP, TIMEOUT, COMMENT = SYMBOLS["shop"], SYMBOLS["i_timeout"], SYMBOLS["c_2"]

TEXT = st.text(st.characters(codec=None, categories=None), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from([SHOP, TIMEOUT, COMMENT, SYMBOLS["ghost"], "new", "resolved", "all", "", "1"])
VALUE = KNOWN | JSON
QUIET = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))

OPERATIONS: list[Any] = [
    lambda to, it: to.list_issues(it[0], IssueFilter(it[1], it[2], it[3]), cursor=it[1], limit=it[2]),
    lambda to, it: to.list_issues(SHOP, IssueFilter(*it)),
    lambda to, it: to.list_team_issues(IssueFilter(it[0]), team_id=it[1], project_id=it[2], cursor=it[3]),
    lambda to, it: to.get_issue(SHOP, it[0], occurrence_cursor=it[1], occurrence_limit=it[2]),
    lambda to, it: to.get_issue(SHOP, TIMEOUT, occurrence_cursor=it[0]),
    lambda to, it: to.update_status(SHOP, TIMEOUT, it[0], resolved_at_version=it[1]),
    lambda to, it: to.merge(SHOP, TIMEOUT, it[0]),
    lambda to, it: to.add_comment(SHOP, TIMEOUT, it[0]),
    lambda to, it: to.edit_comment(SHOP, TIMEOUT, it[0], it[1]),
    lambda to, it: to.delete_comment(SHOP, it[0], it[1]),
]
READS_OF_EVENTS: list[Any] = [
    lambda to, it: to.get_event(it[0]),
    lambda to, it: to.list_events(EventFilter(*it), cursor=it[0], limit=it[1]),
    lambda to, it: to.list_events(EventFilter(SHOP), cursor=it[0], limit=it[1]),
    lambda to, it: to.get_breadcrumbs(it[0], limit=it[1]),
]
"""Each is given four values of any kind."""


@pytest.mark.parametrize(
    ("who", "operation"), [*product(["agent"], OPERATIONS), *product(["observer"], READS_OF_EVENTS)]
)
def test_any_parameters_give_an_answer_or_one_of_our_errors(world: World, who: str, operation: Any) -> None:
    backend: Backend = world.acting_as(who)

    @QUIET
    @given(st.tuples(VALUE, VALUE, VALUE, VALUE))
    def attempt(values: tuple[Any, ...]) -> None:
        async def ask() -> None:
            try:
                await operation(backend, values)
            except OwlmetryError as error:
                assert error.status in (400, 404)  # noqa: PT017 - either way it is to end well

        asyncio.run(ask())

    attempt()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", f"/v1/projects/{SHOP}/issues/{TIMEOUT}"),
        ("POST", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/merge"),
        ("POST", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/comments"),
        ("PATCH", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/comments/{COMMENT}"),
    ],
)
def test_any_body_gives_an_answer_of_the_apis(world: World, method: str, path: str) -> None:
    http = TestClient(
        create_app(partial(acting_as, world.store), names=HostNames(["testserver"]), brake=LoginBrake(sleep=no_wait))
    )
    headers = {"Authorization": f"Bearer {SECRETS['agent']}"}
    names = ("status", "resolved_at_version", "body", "source_issue_id")
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUE))
    bodies = (fields | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50)

    @QUIET
    @given(bodies)
    def attempt(body: bytes) -> None:
        answer = http.request(method, path, content=body, headers=headers)
        assert answer.status_code in (200, 201, 400, 404)
        assert ("error" in answer.json()) == (answer.status_code >= 400)

    attempt()


@QUIET
@given(st.text(max_size=30), st.text(max_size=30))
def test_any_query_gives_an_answer_of_the_apis(name: str, value: str) -> None:
    def nobody(_: str) -> Tracker:
        raise InvalidInputError("nobody is asked")

    http = TestClient(create_app(nobody, names=HostNames(["testserver"])))
    query = {name: value, "limit": value}
    answer = http.get("/v1/issues", params=query, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 400


def test_any_import_document_is_taken_or_refused_with_a_place() -> None:
    sections = ["teams", "users", "api_keys", "issues", "comments", "audit"]

    @QUIET
    @given(st.sampled_from(sections), st.data())
    def attempt(section: str, data: st.DataObject) -> None:
        row = dict((FIXTURE.get(section) or [{"at": "2026-10-21T00:00:00Z", "detail": {}}])[0])
        field = data.draw(st.sampled_from(sorted(row)))
        document = json.dumps({section: [row | {field: data.draw(JSON)}]})
        try:
            read_document(document)
        except InvalidInputError as error:
            assert error.message.startswith((f"{section}[0]", "Invalid JSON"))  # noqa: PT017 - as above

    attempt()


@QUIET
@given(TEXT)
def test_any_strangers_words_stay_on_their_line_and_in_their_quotes(words: str) -> None:
    line = quoted(words)
    assert len(line.splitlines()) == 1
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', line)
    assert all(part.startswith("> ") for part in Fence().block(words).splitlines()[1:-1])
    assert visible(visible(words)) == visible(words)
