"""Any request that the API's description allows, and many that it does not, put to the REST face on a socket."""

import json
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import httpx2
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from requests import Session
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from owlmetry_mcp.issues.parameters import UUID
from owlmetry_mcp.rest import openapi
from tests.fuzzing.examples import EXAMPLES
from tests.fuzzing.hostile import CURSORS
from tests.fuzzing.sound import assert_sound
from tests.world import FIXTURE, SECRETS, SYMBOLS, HttpFace, World

SHOP = SYMBOLS["shop"]
BUNDLE = "com.example.shop"
EVENT = {"message": "Boom", "level": "error", "session_id": SYMBOLS["ghost"]}
IDS: dict[str, list[str]] = {
    "project_id": [SHOP],
    "team_id": [FIXTURE["teams"][0]["id"]],
    "app_id": [row["id"] for row in FIXTURE["apps"] if row["project_id"] == SHOP],
    "issue_id": [row["id"] for row in FIXTURE["issues"] if row["project_id"] == SHOP],
    "session_id": [EVENT["session_id"]],
}
IDS["source_issue_id"] = IDS["issue_id"]
COMMENTS = {row["id"]: row["issue_id"] for row in FIXTURE["comments"] if row["issue_id"] in IDS["issue_id"]}
"""Those of the shop, with their issues."""

NOT_CHECKED: list[Any] = [positive_data_acceptance]
"""What a cursor or a version may be, and which moves there are, no schema says."""

Case = schemathesis.Case[Any]

schema = schemathesis.openapi.from_dict(json.loads(openapi.document()))


@pytest.fixture
def session(world: World, http_face: HttpFace, caplog: pytest.LogCaptureFixture) -> Iterator[Session]:
    """A connection to the recorded world, in which an event has come; all that is asked leaves it whole, and the log
    empty.
    """
    http_face.store = world.store
    body = {"bundle_id": BUNDLE, "events": [EVENT]}
    sent = httpx2.post(f"{http_face.endpoint}/v1/ingest", json=body, headers=authorization("client"))
    assert sent.json() == {"accepted": 1, "rejected": 0}
    with Session() as session:
        yield session
    assert caplog.messages == []
    assert_sound(world.store)


def authorization(who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS[who]}"}


@schema.parametrize()
@EXAMPLES
def test_any_request_is_answered_as_described(case: Case, session: Session, http_face: HttpFace) -> None:
    put(case, session, http_face)


ANY_CASE = st.one_of([it.ok().as_strategy() for it in schema.get_all_operations() if isinstance(it, Ok)])


@EXAMPLES
@given(st.lists(ANY_CASE, min_size=2, max_size=12))
def test_any_requests_one_after_another_are_answered_as_described(
    session: Session, http_face: HttpFace, cases: list[Case]
) -> None:
    for case in cases:
        put(case, session, http_face)


def put(case: Case, session: Session, face: HttpFace) -> None:
    """Send the case, to what is there, and hold the answer against the description."""
    aim(case, session, face)
    headers = authorization(sender(case))
    response = case.call(face.endpoint, session=session, headers=headers, timeout=20)
    # Of a batch each event is checked by itself, and what is wrong with it stands in the answer.
    excluded = [*NOT_CHECKED, negative_data_rejection] if rejects_events(response) else NOT_CHECKED
    again = {"session": session, "base_url": face.endpoint}
    case.validate_response(response, headers=headers, excluded_checks=excluded, transport_kwargs=again)


def rejects_events(response: Response) -> bool:
    return response.status_code == 200 and bool(response.json().get("rejected"))


def sender(case: Case) -> str:
    """The alias of a key that may do this."""
    ((scheme, permissions),) = next(iter(case.operation.definition.raw["security"]), {"agentKey": []}).items()
    return {"clientKey": "client", "importKey": "importer"}.get(scheme) or (
        "observer" if permissions == ["events:read"] else "agent"
    )


def aim(case: Case, session: Session, face: HttpFace) -> None:
    """Put ids of what there is in the place of most made-up ones."""
    path, body = case.path_parameters, case.body
    for values in (path, case.query, body if isinstance(body, dict) else {}):
        for name in values.keys() & IDS.keys():
            values[name] = aimed(values[name], IDS[name])
    for name in case.query.keys() & {"cursor", "occurrence_cursor"}:
        case.query[name] = CURSORS[crc32(repr(case.query[name]).encode()) % len(CURSORS)]
    if "comment_id" in path:
        path["comment_id"] = aimed(path["comment_id"], [*COMMENTS])
        path["issue_id"] = COMMENTS.get(path["comment_id"], path["issue_id"])
    if "event_id" in path:
        path["event_id"] = aimed(path["event_id"], event_ids(session, face))
    if isinstance(body, dict) and isinstance(body.get("bundle_id"), str):
        body["bundle_id"] = BUNDLE


def aimed(value: Any, known: list[str]) -> Any:
    """Three of four ids become known ones, the same always the same."""
    if not isinstance(value, str) or not UUID.fullmatch(value):
        return value
    number = crc32(value.encode())
    return known[number // 4 % len(known)] if number % 4 else value


def event_ids(session: Session, face: HttpFace) -> list[str]:
    query = {"session_id": EVENT["session_id"]}
    answer = session.get(f"{face.endpoint}/v1/events", params=query, headers=authorization("observer"), timeout=20)
    return [row["id"] for row in answer.json()["events"]]
