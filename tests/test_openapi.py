"""The API's description at /openapi.json: it says what there is, and all of it."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]  # it comes without types

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.rest.operations import ROUTES
from tests.described import DOCUMENT, assert_described, operation
from tests.world import FIXTURE, SECRETS, SYMBOLS, HttpFace, World

OPERATIONS = [
    (method.upper(), path, described)
    for path, operations in DOCUMENT["paths"].items()
    for method, described in operations.items()
]
NEEDING = [
    (method, path, scheme, permission)
    for method, path, described in OPERATIONS
    for scheme, permissions in (described["security"] or [{}])[0].items()
    for permission in permissions
]
ISSUE = f"/v1/projects/{SYMBOLS['shop']}/issues/{SYMBOLS['i_timeout']}"


@pytest.fixture
def http(world: World, http_face: HttpFace) -> Iterator[httpx2.Client]:
    http_face.store = world.store
    with httpx2.Client(base_url=http_face.endpoint) as client:
        yield client


def filled(path: str) -> str:
    """A path with ids of what is there, but for events, of which there are none."""
    ids = {"project_id": "shop", "issue_id": "i_timeout", "comment_id": "c_2", "event_id": "ghost"}
    return path.format_map({name: SYMBOLS[symbol] for name, symbol in ids.items()})


def test_anyone_may_read_it(http: httpx2.Client) -> None:
    answer = http.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, "application/json", DOCUMENT)


def test_every_route_is_described_and_nothing_else() -> None:
    routes = {(method, route.path) for route in ROUTES for method in route.methods or () if method != "HEAD"}
    assert {(method, path) for method, path, _ in OPERATIONS} == routes
    assert len({described["operationId"] for *_, described in OPERATIONS}) == len(routes)


def test_its_schemas_are_schemas() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_it_says_what_the_models_and_the_checks_of_parameters_say() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["Issue"]["properties"].keys() == Issue.model_fields.keys()
    assert schemas["Issue"]["properties"]["occurrence_count"]["description"] == "Sessions it was seen in."
    assert schemas["EventDetail"]["properties"]["received_at"] == schemas["Event"]["properties"]["received_at"]
    assert (
        schemas["EventDetail"]["properties"]["timestamp"]["description"] == "When it happened, by the sender's clock."
    )
    assert "description" not in schemas["Team"]
    (limit,) = (it for it in operation("GET", "/v1/issues")["parameters"] if it["name"] == "limit")
    assert limit["schema"]["default"] == parameters.DEFAULT_LIMIT
    assert limit["description"] == "Items a page, from 1 to 200; what is more is taken as 200."


def test_an_answer_that_is_not_described_is_seen(http: httpx2.Client) -> None:
    issue = http.get(ISSUE, headers={"Authorization": f"Bearer {SECRETS['agent']}"}).json()
    assert_described("GET", ISSUE, 200, issue)
    wrongs: list[dict[str, Any]] = [{"status": "closed"}, {"comments": [{}]}, {"last_seen_at": None}]
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            assert_described("GET", ISSUE, 200, issue | wrong)
    with pytest.raises(KeyError):
        assert_described("GET", ISSUE, 409, {"error": "x"})


def test_whoever_shows_nothing_is_told_so_where_something_is_needed(http: httpx2.Client) -> None:
    for method, path, described in OPERATIONS:
        answer = http.request(method, filled(path))
        assert answer.status_code == (401 if described["security"] else 200), path
        assert_described(method, path, answer.status_code, answer.json())


def test_the_permission_that_it_names_is_the_one_that_is_needed(http: httpx2.Client, world: World) -> None:
    aliases = {"agentKey": "agent", "clientKey": "client", "importKey": "importer"}

    def ask_with(permissions: set[str]) -> httpx2.Response:
        update = "UPDATE api_keys SET permissions = ? WHERE id = ?"
        world.store.write(lambda tx: tx.run(update, (json.dumps([*permissions]), key["id"])))
        return http.request(method, filled(path), headers={"Authorization": f"Bearer {key['secret']}"})

    for method, path, scheme, permission in NEEDING:
        (key,) = (row for row in FIXTURE["api_keys"] if row["alias"] == aliases[scheme])
        refused = ask_with({*administration.ALL_PERMISSIONS, *administration.EVENT_PERMISSIONS} - {permission})
        assert (refused.status_code, refused.json()) == (403, {"error": f"Missing permission: {permission}"})
        allowed = ask_with({permission})
        assert "Missing permission" not in allowed.text
        assert "requires" not in allowed.text
        for answer in (refused, allowed):
            assert_described(method, path, answer.status_code, answer.json())
