"""What a real server answered, asked again of every backend."""

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import OwlmetryError
from tests.contract.asking import ask, bearer
from tests.described import assert_described
from tests.world import SYMBOLS, FakeClock, HttpFace, World, recording
from tests.world import filled as filled_store

CASES = [case for name in ("issues-api.json", "events-api.json") for case in recording(name)["cases"]]
MADE_UP = {
    "<uuid>": re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"),
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "<cursor>": re.compile(r".+"),
}
PROJECT_KEYS = ("id", "team_id", "name", "slug", "created_at")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_a_recorded_request_is_answered_as_the_server_did(world: World, case: dict[str, Any]) -> None:
    await hold(case, lambda step, names: answered(world, step, names))


async def hold(
    case: dict[str, Any], ask_step: Callable[[dict[str, Any], dict[str, str]], Awaitable[tuple[int, Any]]]
) -> None:
    """Ask each step of a case, and hold the answer against the recorded one."""
    names = dict(SYMBOLS)
    for step in case["steps"]:
        status, answer = await ask_step(step, names)
        if case.get("note") == "bad input":
            assert status == 400
            assert any(parameter in answer["error"] for parameter in parameters_of(step)), answer
        elif case.get("note") == "bad event":
            bad = range(len(step["body"]["events"]))
            assert (status, answer["accepted"], answer["rejected"]) == (200, 0, len(bad))
            assert [row["index"] for row in answer["errors"]] == [*bad]
        else:
            assert (status, answer) == (step["status"], Like(step["answer"]))
        names |= {name: at(answer, path) for name, path in step.get("save", {}).items()}


def at(answer: Any, path: str) -> Any:
    """The value at a path such as `events.2.id`."""
    for part in path.split("."):
        answer = answer[int(part) if isinstance(answer, list) else part]
    return answer


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_a_recorded_request_is_answered_over_http(
    recorded_world: World, http_face: HttpFace, case: dict[str, Any]
) -> None:
    """As it was sent, with nothing of ours on the caller's side, and as the API's description has it."""

    async def ask_raw(step: dict[str, Any], names: dict[str, str]) -> tuple[int, Any]:
        who, body = step["as"], filled(step.get("body"), names)
        named = who is not None and " " not in who
        authorization = f"Bearer {recorded_world.credential(who)}" if named else who
        async with httpx2.AsyncClient(base_url=http_face.endpoint) as client:
            answer = await client.request(
                step["method"],
                filled(step["path"], names),
                headers={"Authorization": authorization} if authorization else {},
                content=body.encode() if isinstance(body, str) else json.dumps(body).encode() if body else None,
            )
        assert_described(step["method"], filled(step["path"], names), answer.status_code, answer.json())
        return answer.status_code, answer.json()

    http_face.store = recorded_world.store
    await hold(case, ask_raw)


@pytest.fixture
def recorded_world(empty_store: Store, clock: FakeClock) -> World:
    filled_store(empty_store)
    return World(empty_store, clock)


async def answered(world: World, step: dict[str, Any], names: dict[str, str]) -> tuple[int, Any]:
    who = step["as"]
    try:
        named = who is not None and " " not in who
        credential = world.credential(who) if named else bearer(who)
        backend = acting_as(world.store, credential) if takes_in(step) else world.acting_with(credential)
        return await ask(backend, step["method"], filled(step["path"], names), filled(step.get("body"), names))
    except OwlmetryError as error:
        return error.status, {"error": error.message}


def takes_in(step: dict[str, Any]) -> bool:
    """Whether the step sends events: no agent does, so no live backend either."""
    return step["path"] in ("/v1/ingest", "/v1/import")


def filled(value: Any, names: dict[str, str]) -> Any:
    """The value with names in braces replaced."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda match: names[match[1]], value)
    if isinstance(value, dict):
        return {key: filled(inner, names) for key, inner in value.items()}
    return value


def parameters_of(step: dict[str, Any]) -> list[str]:
    """The parameters that a request with bad input may be refused for."""
    _, _, query = step["path"].partition("?")
    body = step.get("body")
    named = [pair.partition("=")[0] for pair in query.split("&") if pair]
    return named + list(body if isinstance(body, dict) else ()) or ["issue_id", "project_id", "comment_id", "status"]


class Like:
    """Equal to what says the same: made-up values of their form, further keys allowed, fingerprints in any order."""

    def __init__(self, recorded: Any) -> None:
        self.recorded = recorded

    def __eq__(self, answer: object) -> bool:
        return alike(self.recorded, answer, "")

    __hash__ = None  # type: ignore[assignment]  # compared only

    def __repr__(self) -> str:
        return repr(self.recorded)


def alike(recorded: Any, answer: Any, name: str) -> bool:
    if isinstance(recorded, str) and recorded in MADE_UP:
        return isinstance(answer, str) and bool(MADE_UP[recorded].fullmatch(answer))
    if isinstance(recorded, dict) and isinstance(answer, dict):
        keys = PROJECT_KEYS if name == "projects" else recorded
        return all(key in answer and alike(recorded[key], answer[key], key) for key in keys)
    if isinstance(recorded, list) and isinstance(answer, list):
        if name == "fingerprints":
            return sorted(recorded) == sorted(answer)
        return len(recorded) == len(answer) and all(map(alike, recorded, answer, [name] * len(answer)))
    return bool(recorded == answer and type(recorded) is type(answer))


def test_a_difference_in_a_recorded_answer_is_seen() -> None:
    recorded = {"id": "<uuid>", "title": "A", "fingerprints": ["a", "b"], "cursor": "<cursor>"}
    answer = {"id": SYMBOLS["shop"], "title": "A", "fingerprints": ["b", "a"], "cursor": "x", "more": 1}
    assert answer == Like(recorded)
    for wrong in ({"id": "1"}, {"title": "B"}, {"fingerprints": ["a"]}, {"cursor": None}):
        assert answer | wrong != Like(recorded)
