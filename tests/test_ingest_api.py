"""`POST /v1/ingest` and `POST /v1/import` beyond the recordings: packed bodies, limits, keys, an event's fields."""

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import httpx2
import pytest

from owlmetry_mcp.backends.store import access, administration, intake
from owlmetry_mcp.backends.store.scan import Scanned, scan_all
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.filters import IssueFilter
from tests.world import QUIET, SECRETS, SYMBOLS, HttpFace, World

SESSION = "f8ac29d3-ea8f-538f-a4d5-3a607bd16e4f"
ONE, TWO = "0b530b59-26e7-4bc6-a9da-167f4066bd78", "b2566eaf-bbd5-59c7-aab2-8dde41800d85"
SHOP = SYMBOLS["shop"]
NOW = "2026-10-21T12:00:00.000Z"
MEBIBYTE = 1024 * 1024
EVENT = {"message": "Boom", "level": "error", "session_id": SESSION}

Row = dict[str, Any]

packed = partial(gzip.compress, mtime=0)
"""The same bytes every time, of which tests are named."""


@pytest.fixture
def http(quiet_world: World, http_face: HttpFace) -> Iterator[httpx2.Client]:
    http_face.store = quiet_world.store
    with httpx2.Client(base_url=http_face.endpoint) as client:
        yield client


def bearer(who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRETS.get(who, who)}"}


def ingest(http: httpx2.Client, *events: object, who: str = "client-api", **more: object) -> tuple[int, Row]:
    answer = http.post("/v1/ingest", headers=bearer(who), content=json.dumps({"events": [*events], **more}))
    return answer.status_code, answer.json()


def import_(http: httpx2.Client, *events: object, who: str = "importer") -> tuple[int, Row]:
    answer = http.post("/v1/import", headers=bearer(who), content=json.dumps({"events": [*events]}))
    return answer.status_code, answer.json()


def send(http: httpx2.Client, body: bytes, path: str = "/v1/ingest", **headers: str) -> tuple[int, Row]:
    who = "importer" if path == "/v1/import" else "client-api"
    answer = http.post(path, headers=bearer(who) | {"Content-Encoding": "gzip"} | headers, content=body)
    return answer.status_code, answer.json()


def kept(http: httpx2.Client, session: str = SESSION, **query: str) -> list[Row]:
    """The events of a session, oldest first."""
    query = {"session_id": session, "order": "asc", "data_mode": "all", "limit": "200", **query}
    answer = http.get("/v1/events", params=query, headers=bearer("observer"))
    assert answer.status_code == 200
    rows: list[Row] = answer.json()["events"]
    return rows


def messages(http: httpx2.Client) -> list[str]:
    return [row["message"] for row in kept(http)]


def issues(http: httpx2.Client) -> list[Row]:
    answer = http.get(f"/v1/projects/{SHOP}/issues", params={"data_mode": "all"}, headers=bearer("agent"))
    rows: list[Row] = answer.json()["issues"]
    return rows


BODY = json.dumps({"events": [EVENT]}).encode()
TAKEN = (200, {"accepted": 1, "rejected": 0})


@pytest.mark.parametrize(
    "packed",
    [
        packed(BODY),
        packed(BODY, compresslevel=0),
        b"".join(packed(BODY[at : at + 20]) for at in range(0, 140, 20)) + packed(BODY[140:]),
        packed(BODY) + packed(b""),
    ],
    ids=["one member", "stored", "many members", "an empty member"],
)
def test_a_packed_body_is_taken(http: httpx2.Client, packed: bytes) -> None:
    assert send(http, packed) == TAKEN
    assert messages(http) == ["Boom"]


def test_the_name_of_the_encoding_is_taken_in_any_case(http: httpx2.Client) -> None:
    assert send(http, packed(BODY), **{"Content-Encoding": "GZip"}) == TAKEN
    assert send(http, BODY, **{"Content-Encoding": "identity"}) == TAKEN


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (packed(BODY)[:-1], "Body is not valid gzip: it ends too early"),
        (packed(BODY)[:20], "Body is not valid gzip: it ends too early"),
        (packed(BODY)[:5], "Body is not valid gzip: it ends too early"),
        (BODY, "Body is not valid gzip: Error -3 while decompressing data"),
        (zlib.compress(BODY), "Body is not valid gzip: Error -3 while decompressing data"),
        (packed(BODY) + b"\0", "Body is not valid gzip: it ends too early"),
        (packed(BODY) + b"rest", "Body is not valid gzip: Error -3 while decompressing data"),
        (packed(BODY)[:-8] + bytes(8), "Body is not valid gzip: Error -3 while decompressing data"),
        (packed(b"{"), "Body is not valid JSON"),
        (packed(packed(BODY)), "Body is not valid JSON"),
        (b"", "Body is not valid gzip: it ends too early"),
        (packed(b"") * 9, "Body has too many gzip members; at most 8 are read"),
        (packed(b"") * 50_000, "Body has too many gzip members; at most 8 are read"),
    ],
)
def test_a_body_that_cannot_be_unpacked_is_told(http: httpx2.Client, body: bytes, said: str) -> None:
    status, answer = send(http, body)
    assert (status, answer["error"].startswith(said)) == (400, True), answer
    assert messages(http) == []


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip, br", "x-gzip", ""])
def test_a_body_packed_otherwise_is_refused(http: httpx2.Client, encoding: str) -> None:
    refused = (415, {"error": "Content-Encoding must be gzip or identity"})
    assert send(http, packed(BODY), **{"Content-Encoding": encoding}) == refused


def padded(length: int) -> bytes:
    """A body of that many bytes."""
    return BODY + b" " * (length - len(BODY))


TOO_LARGE = (413, {"error": "Request body is too large"})


def test_a_body_may_have_a_mebibyte_packed_or_not(http: httpx2.Client) -> None:
    assert send(http, padded(MEBIBYTE), **{"Content-Encoding": "identity"}) == TAKEN
    assert send(http, padded(MEBIBYTE + 1), **{"Content-Encoding": "identity"}) == TOO_LARGE
    assert send(http, packed(padded(MEBIBYTE))) == TAKEN
    assert send(http, packed(padded(MEBIBYTE + 1))) == TOO_LARGE
    assert send(http, packed(BODY) + packed(b" " * (MEBIBYTE + 1 - len(BODY)))) == TOO_LARGE
    assert len(kept(http)) == 2


def test_a_body_that_unpacks_to_very_much_is_refused_without_unpacking_it(http: httpx2.Client) -> None:
    packing = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packing.compress(bytes(MEBIBYTE)) for _ in range(64)) + packing.flush()
    assert len(bomb) < MEBIBYTE
    assert send(http, bomb) == TOO_LARGE
    assert send(http, bomb, "/v1/import") == TOO_LARGE


def test_an_imports_body_may_have_sixteen_mebibytes(http: httpx2.Client) -> None:
    assert send(http, packed(padded(16 * MEBIBYTE)), "/v1/import")[0] == 200
    assert send(http, packed(padded(16 * MEBIBYTE + 1)), "/v1/import") == TOO_LARGE


def test_a_batch_holds_a_hundred_events_and_an_import_a_thousand(http: httpx2.Client) -> None:
    event = {**EVENT, "level": "info"}
    assert ingest(http, *[event] * 100) == (200, {"accepted": 100, "rejected": 0})
    assert ingest(http, *[event] * 101) == (400, {"error": "Maximum batch size is 100"})
    assert import_(http, *[event] * 1000) == (200, {"accepted": 1000, "updated": 0, "rejected": 0})
    assert import_(http, *[event] * 1001) == (400, {"error": "Maximum import batch size is 1000"})


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"1", b'{"events": null}', b'{"events": {}}', b'{"events": "x"}', b'{"events": []}']
)
@pytest.mark.parametrize("path", ["/v1/ingest", "/v1/import"])
def test_a_body_without_events_is_told(http: httpx2.Client, path: str, body: bytes) -> None:
    answer = send(http, body, path, **{"Content-Encoding": "identity"})
    assert answer == (400, {"error": "events array is required"})


@pytest.mark.parametrize(
    "body", [b"{", b"\xff", b"[" * 100_000, b'{"events": [' * 50_000, b'"\\ud83e" x', b'{"events": [NaN']
)
def test_a_body_that_is_no_json_is_told(http: httpx2.Client, body: bytes) -> None:
    status, answer = send(http, body, **{"Content-Encoding": "identity"})
    assert (status, answer["error"].partition(":")[0]) == (400, "Body is not valid JSON")


def keys(world: World) -> dict[str, str]:
    """Credentials that are none, by what is wrong with them."""
    app = world.store.read(lambda tx: administration.find_app(tx, "Shop API"))
    made = world.store.write(
        lambda tx: {
            name: administration.create_event_key(tx, app, name, "client", days=1) for name in ("revoked", "expired")
        }
    )
    world.store.write(lambda tx: administration.revoke_key(tx, "revoked"))
    world.clock.advance(days=1)
    return {name: secret for name, (_, secret) in made.items()} | {
        "unknown": "owl_client_00000000000000000000000000000000",
        "unknown import": "owl_import_00000000000000000000000000000000",
        "no token": "x.y.z",
    }


@pytest.mark.parametrize("path", ["/v1/ingest", "/v1/import"])
@pytest.mark.parametrize(
    ("which", "error"),
    [
        ("unknown", "Invalid API key"),
        ("unknown import", "Invalid API key"),
        ("revoked", "Invalid API key"),
        ("expired", "API key expired"),
        ("no token", "Invalid or expired token"),
    ],
)
def test_whoever_may_not_be_here_learns_nothing_of_the_body(
    quiet_world: World, http: httpx2.Client, path: str, which: str, error: str
) -> None:
    who = keys(quiet_world)[which]
    bodies = [(BODY, "identity"), (b"{", "identity"), (b"x", "gzip"), (b"x", "br"), (b" " * 17 * MEBIBYTE, "identity")]
    for body, encoding in bodies:
        answer = http.post(path, headers=bearer(who) | {"Content-Encoding": encoding}, content=body)
        assert (answer.status_code, answer.json()) == (401, {"error": error})
        assert answer.headers["www-authenticate"] == "Bearer"
    assert http.post(path, content=BODY).json() == {"error": "Missing authorization"}
    assert messages(http) == []


def test_a_key_that_is_no_longer_valid_takes_nothing_in(quiet_world: World, http: httpx2.Client) -> None:
    app = quiet_world.store.read(lambda tx: administration.find_app(tx, "Shop API"))
    _, secret = quiet_world.store.write(lambda tx: administration.create_event_key(tx, app, "x", "client", days=1))
    assert ingest(http, EVENT, who=secret) == TAKEN
    quiet_world.clock.advance(days=1, milliseconds=-1)
    assert ingest(http, EVENT, who=secret) == TAKEN
    quiet_world.clock.advance(milliseconds=1)
    assert ingest(http, EVENT, who=secret) == (401, {"error": "API key expired"})


WRONG_KEY_TYPE = {
    "/v1/ingest": "This endpoint requires a client API key (owl_client_*)",
    "/v1/import": "This endpoint requires an import API key (owl_import_*)",
}


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/v1/ingest", "importer"),
        ("/v1/ingest", "mia"),
        ("/v1/import", "client"),
        ("/v1/import", "agent"),
        ("/v1/import", "mia"),
    ],
)
def test_a_key_of_another_type_is_refused(quiet_world: World, http: httpx2.Client, path: str, who: str) -> None:
    answer = http.post(path, headers=bearer(quiet_world.credential(who)), content=BODY)
    assert (answer.status_code, answer.json()) == (403, {"error": WRONG_KEY_TYPE[path]})


def test_events_are_the_senders_apps_alone(http: httpx2.Client) -> None:
    assert ingest(http, EVENT, who="client-api", bundle_id="whatever") == TAKEN
    assert ingest(http, EVENT, who="client", bundle_id="com.example.shop") == TAKEN
    wrong = (403, {"error": "bundle_id does not match the app associated with this API key"})
    for bundle_id in ("com.example.SHOP", ["com.example.shop"], 7, True):
        assert ingest(http, EVENT, who="client", bundle_id=bundle_id) == wrong
    missing = (400, {"error": "bundle_id is required"})
    nothing: tuple[object, ...] = ("", None, 0, False, [])
    for no_id in nothing:
        assert ingest(http, EVENT, who="client", bundle_id=no_id) == missing
    assert [row["app_id"] for row in kept(http)] == [SYMBOLS["api"], SYMBOLS["ios"]]
    assert [row["api_key_id"] for row in kept(http)] == [
        key["id"] for alias in ("client-api", "client") for key in QUIET["api_keys"] if key["alias"] == alias
    ]


LONG = "x" * 2001
LONE, NUL = "half \ud83e", "a\0b"
UNSTORABLE = "must hold no NUL and no unpaired surrogates; leave those characters out"
TEXTS = (
    "source_module", "screen_name", "user_id", "os_version", "app_version", "sdk_name", "sdk_version", "device_model",
    "build_number", "locale", "preferred_language",
)  # fmt: skip
ATTACHMENT = {"original_filename": "a.log", "content_type": "text/plain", "size_bytes": 7}

REFUSED: list[tuple[str, Any, str]] = [
    *(("message", value, "message is required and must be a string") for value in (None, "", 7, ["x"], {"x": 1})),
    ("message", LONG, "message must be at most 2000 characters"),
    ("message", LONE, f"message {UNSTORABLE}"),
    ("message", NUL, f"message {UNSTORABLE}"),
    *(
        ("level", value, "level must be one of info, debug, warn, error")
        for value in (None, "", "Error", "fatal", 3, ["error"], {"error": 1})
    ),
    *(("session_id", value, "session_id is required and must be a string") for value in (None, "", 7, [SESSION])),
    (
        "session_id",
        "nope",
        'session_id must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not "nope"',
    ),
    (
        "client_event_id",
        "",
        'client_event_id must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not ""',
    ),
    ("client_event_id", 7, "client_event_id must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not 7"),
    ("is_dev", "true", 'is_dev must be true or false, not "true"'),
    ("is_dev", 1, "is_dev must be true or false, not 1"),
    ("environment", "ios", 'environment "ios" is not allowed for backend apps (allowed: backend)'),
    ("environment", "", 'environment "" is not allowed for backend apps (allowed: backend)'),
    ("environment", ["backend"], 'environment ["backend"] is not allowed for backend apps (allowed: backend)'),
    *((name, 7, f"{name} must be a string, not 7") for name in TEXTS),
    *((name, value, f"{name} {UNSTORABLE}") for name in TEXTS for value in (NUL, LONE)),
    ("custom_attributes", "x", 'custom_attributes must be an object of strings, not "x"'),
    ("custom_attributes", [1], "custom_attributes must be an object of strings, not [1]"),
    ("custom_attributes", {"a": 1}, 'custom_attributes must hold strings alone; "a" is 1'),
    ("custom_attributes", {"a": None}, 'custom_attributes must hold strings alone; "a" is null'),
    ("custom_attributes", {"a": {"b": "c"}}, 'custom_attributes must hold strings alone; "a" is {"b": "c"}'),
    ("custom_attributes", {"a": NUL}, f"custom_attributes {UNSTORABLE}"),
    ("custom_attributes", {"a": LONE}, f"custom_attributes {UNSTORABLE}"),
    ("custom_attributes", {NUL: "a"}, f"custom_attributes {UNSTORABLE}"),
    ("custom_attributes", {LONE: "a"}, f"custom_attributes {UNSTORABLE}"),
    *(
        ("timestamp", value, "timestamp must be a valid ISO 8601 date")
        for value in (
            "", "now", "yesterday", 1_790_000_000, True, "2026-10-21T25:00:00Z", "2026-02-30", "2026-13-01T00:00:00Z",
            NUL, LONE, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-10-21T12:00:00.000z" * 2, [NOW],
        )
    ),
    ("attachments", {}, "attachments must be a list of at most 20 objects"),
    ("attachments", [ATTACHMENT] * 21, "attachments must be a list of at most 20 objects"),
    ("attachments", [1], "attachments.original_filename is required and must be a string"),
    (
        "attachments",
        [ATTACHMENT | {"original_filename": ""}],
        "attachments.original_filename is required and must be a string",
    ),
    ("attachments", [ATTACHMENT | {"original_filename": 7}], "attachments.original_filename must be a string, not 7"),
    ("attachments", [ATTACHMENT | {"original_filename": NUL}], f"attachments.original_filename {UNSTORABLE}"),
    ("attachments", [ATTACHMENT | {"content_type": 7}], "attachments.content_type must be a string, not 7"),
    ("attachments", [ATTACHMENT | {"content_type": False}], "attachments.content_type must be a string, not false"),
    *(
        (
            "attachments",
            [ATTACHMENT | {"size_bytes": value}],
            "attachments.size_bytes is required and must be a whole number, 0 or more",
        )
        for value in (None, -1, 1.5, "7", True, 2**63)
    ),
]  # fmt: skip


@pytest.mark.parametrize("name", dict.fromkeys(name for name, *_ in REFUSED))
def test_events_that_cannot_be_taken_are_told_by_their_places_and_the_others_are_taken(
    http: httpx2.Client, name: str
) -> None:
    refused = [(value, said) for refused_name, value, said in REFUSED if refused_name == name]
    events = [
        {**EVENT, "message": "before"},
        *({**EVENT, name: value} for value, _ in refused),
        {**EVENT, "message": "after"},
    ]
    errors = [
        {"index": index, "message": f"events[{index}]: {said}"} for index, (_, said) in enumerate(refused, start=1)
    ]
    told = {"rejected": len(errors), "errors": errors}
    assert ingest(http, *events) == (200, {"accepted": 2, **told})
    assert messages(http) == ["before", "after"]
    if name != "environment":  # which the import key's app may have
        assert import_(http, *events) == (200, {"accepted": 2, "updated": 0, **told})
    assert sorted(row["message"] for row in kept(http)) in (["after", "before"], ["after", "after", "before", "before"])


@pytest.mark.parametrize("event", [None, 7, "x", [], {}])
def test_what_is_no_event_lacks_a_message(http: httpx2.Client, event: Any) -> None:
    errors = [{"index": 0, "message": "events[0]: message is required and must be a string"}]
    assert ingest(http, event) == (200, {"accepted": 0, "rejected": 1, "errors": errors})


def test_half_a_character_as_it_is_written_in_json_costs_its_event_alone(http: httpx2.Client) -> None:
    """As an SDK in JavaScript cuts a text in the midst of one."""
    halves = [b"\\ud83e", b"\\uD83E", b"\\udd89", b"\\ud83e\\u0041"]
    events = [
        json.dumps(EVENT).encode().replace(b"Boom", text)
        for text in (*halves, b"whole \\ud83e\\udd89", "plain 🦉".encode())
    ]
    status, answer = send(http, b'{"events": [' + b", ".join(events) + b"]}", **{"Content-Encoding": "identity"})
    errors = [{"index": index, "message": f"events[{index}]: message {UNSTORABLE}"} for index in range(len(halves))]
    assert (status, answer) == (200, {"accepted": 2, "rejected": 4, "errors": errors})
    assert messages(http) == ["whole 🦉", "plain 🦉"]


def at(**ago: float) -> str:
    return times.to_text(datetime.fromisoformat(NOW) - timedelta(**ago))


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (None, NOW),
        (at(days=30), at(days=30)),
        (at(minutes=-5), at(minutes=-5)),
        ("2026-10-21T13:30:00.123456+02:00", "2026-10-21T11:30:00.123Z"),
        ("2026-10-21T11:30:00Z", "2026-10-21T11:30:00.000Z"),
        ("2026-10-21T11:30:00", "2026-10-21T11:30:00.000Z"),
        ("2026-10-21 11:30", "2026-10-21T11:30:00.000Z"),
        ("2026-10-21", "2026-10-21T00:00:00.000Z"),
        ("2026-10-21T07:00:00.5-04:30", "2026-10-21T11:30:00.500Z"),
    ],
)
def test_a_timestamp_is_kept_in_utc(http: httpx2.Client, timestamp: str | None, expected: str) -> None:
    assert ingest(http, {**EVENT, "timestamp": timestamp}) == TAKEN
    (row,) = kept(http)
    assert (row["timestamp"], row["received_at"]) == (expected, NOW)
    (issue,) = issues(http)
    assert (issue["first_seen_at"], issue["last_seen_at"], issue["created_at"]) == (expected, expected, NOW)


def test_an_event_without_a_timestamp_happens_now(http: httpx2.Client) -> None:
    assert ingest(http, EVENT) == TAKEN
    assert [row["timestamp"] for row in kept(http)] == [NOW]


@pytest.mark.parametrize(
    ("timestamp", "said", "by_import"),
    [
        (at(days=30, milliseconds=1), "timestamp cannot be more than 30 days in the past", True),
        ("0001-01-01T00:00:00Z", "timestamp cannot be more than 30 days in the past", True),
        (at(minutes=-5, milliseconds=-1), "timestamp cannot be more than 5 minutes in the future", False),
        ("9999-12-31T23:59:59.999Z", "timestamp cannot be more than 5 minutes in the future", False),
    ],
)
def test_an_event_is_not_too_old_nor_ahead_and_an_imported_one_may_be_old(
    http: httpx2.Client, timestamp: str, said: str, by_import: bool
) -> None:
    refused = {"rejected": 1, "errors": [{"index": 0, "message": f"events[0]: {said}"}]}
    event = {**EVENT, "timestamp": timestamp}
    assert ingest(http, event) == (200, {"accepted": 0, **refused})
    taken = {"accepted": 1, "updated": 0, "rejected": 0}
    assert import_(http, event) == (200, taken if by_import else {"accepted": 0, "updated": 0, **refused})


FULL = {
    "client_event_id": ONE,
    "session_id": SESSION,
    "level": "error",
    "message": "Payment failed",
    "environment": "backend",
    **{name: f"its {name}" for name in TEXTS},
    "is_dev": True,
    "timestamp": "2026-10-21T11:00:00.000Z",
    "custom_attributes": {"_error_type": "PaymentError", "amount": "42", "": "empty", "ü": "🦉"},
}


def test_an_event_is_kept_with_all_that_it_says(http: httpx2.Client) -> None:
    assert ingest(http, FULL | {"session_id": SESSION.upper(), "client_event_id": ONE.upper()}) == TAKEN
    (row,) = kept(http)
    (key,) = [key["id"] for key in QUIET["api_keys"] if key["alias"] == "client-api"]
    assert row == FULL | {
        "id": row["id"],
        "app_id": SYMBOLS["api"],
        "api_key_id": key,
        "received_at": NOW,
        "country_code": None,
    }
    alone = http.get(f"/v1/events/{row['id']}", headers=bearer("observer")).json()
    assert alone == row | {"project_id": SHOP, "attachments": []}


def test_what_an_event_leaves_out_or_leaves_empty_is_null(http: httpx2.Client) -> None:
    empty: Row = dict.fromkeys(TEXTS, "") | {
        "environment": None,
        "custom_attributes": {},
        "attachments": [],
        "is_dev": None,
    }
    assert ingest(
        http, EVENT | {"message": "1"}, EVENT | {"message": "2"} | empty, EVENT | {"message": "3", "shoe": 43}
    ) == (
        200,
        {"accepted": 3, "rejected": 0},
    )
    for row in kept(http):
        said = {name: value for name, value in row.items() if value is not None}
        assert {*said} == {
            "id", "app_id", "session_id", "api_key_id", "level", "message", "is_dev", "timestamp", "received_at",
        }  # fmt: skip
        assert said["is_dev"] is False


def test_what_is_too_long_is_cut_but_for_the_message(http: httpx2.Client) -> None:
    attributes = {"_error_stack": "s" * 16_001, "long": "🦉" * 201, "fits": "f" * 200, "_error_type": "t" * 300}
    texts = dict.fromkeys(TEXTS, "y" * 256)
    named = {"n" * 201: "name"}
    assert ingest(http, EVENT | texts | {"message": "m" * 2000, "custom_attributes": attributes | named}) == TAKEN
    (row,) = kept(http)
    assert row["custom_attributes"] == {
        "_error_stack": "s" * 16_000,
        "long": "🦉" * 200,
        "fits": "f" * 200,
        "_error_type": "t" * 200,
        "n" * 200: "name",
    }
    assert {name: row[name] for name in TEXTS} == dict.fromkeys(TEXTS, "y" * 255)
    assert row["message"] == "m" * 2000


def test_of_very_many_attributes_two_hundred_are_kept_the_sdks_own_before_others(http: httpx2.Client) -> None:
    attributes = {f"{number}": "x" for number in range(250)} | {"_error_type": "E"}
    assert ingest(http, EVENT | {"custom_attributes": attributes}) == TAKEN
    (row,) = kept(http)
    assert row["custom_attributes"] == {"_error_type": "E"} | {f"{number}": "x" for number in range(199)}


def test_the_same_event_counts_once_in_a_batch_and_across_batches(http: httpx2.Client) -> None:
    named = EVENT | {"client_event_id": ONE}
    assert ingest(http, named, named | {"message": "other"}, named | {"client_event_id": ONE.upper()}) == TAKEN
    assert ingest(http, named | {"message": "later"}) == (200, {"accepted": 0, "rejected": 0})
    assert ingest(http, EVENT, EVENT) == (200, {"accepted": 2, "rejected": 0})
    assert messages(http) == ["Boom"] * 3


def test_the_same_id_in_two_apps_is_two_events(http: httpx2.Client) -> None:
    named = EVENT | {"client_event_id": ONE}
    assert ingest(http, named) == TAKEN
    assert ingest(http, named, who="client", bundle_id="com.example.shop") == TAKEN
    assert len(kept(http)) == 2


def test_an_event_imported_again_has_its_new_content_and_its_old_id(quiet_world: World, http: httpx2.Client) -> None:
    first = FULL | {"environment": "ios", "level": "info"}
    assert import_(http, first) == (200, {"accepted": 1, "updated": 0, "rejected": 0})
    (before,) = kept(http)
    quiet_world.clock.advance(hours=1)
    second = EVENT | {"client_event_id": ONE, "message": "New", "level": "warn", "timestamp": "2020-01-01T00:00:00Z"}
    assert import_(http, second) == (200, {"accepted": 0, "updated": 1, "rejected": 0})
    (after,) = kept(http)
    assert after == dict.fromkeys(before) | {
        "id": before["id"],
        "app_id": SYMBOLS["ios"],
        "client_event_id": ONE,
        "session_id": SESSION,
        "api_key_id": before["api_key_id"],
        "level": "warn",
        "message": "New",
        "is_dev": False,
        "timestamp": "2020-01-01T00:00:00.000Z",
        "received_at": NOW,
    }


def test_of_an_event_that_an_import_holds_twice_the_last_is_kept(http: httpx2.Client) -> None:
    rows = [EVENT | {"client_event_id": ONE, "level": "info", "message": text} for text in ("one", "two", "three")]
    other = EVENT | {"client_event_id": TWO, "level": "info", "message": "other"}
    assert import_(http, *rows, other) == (200, {"accepted": 2, "updated": 2, "rejected": 0})
    assert sorted(messages(http)) == ["other", "three"]


def test_an_event_that_an_import_makes_an_error_becomes_an_issue_at_last(http: httpx2.Client) -> None:
    row = EVENT | {"client_event_id": ONE, "timestamp": "2026-01-01T00:00:00.000Z"}
    import_(http, row | {"level": "info"})
    assert issues(http) == []
    import_(http, row)
    (issue,) = issues(http)
    assert (issue["title"], issue["occurrence_count"], issue["first_seen_at"]) == ("Boom", 1, row["timestamp"])
    import_(http, row | {"message": "Never mind", "level": "info"})
    import_(http, row)
    assert issues(http) == [issue]


def test_an_ingest_does_not_change_an_event_that_is_there(http: httpx2.Client) -> None:
    row = EVENT | {"client_event_id": ONE, "level": "info"}
    ingest(http, row)
    before = kept(http)
    assert ingest(http, row | {"level": "error"}) == (200, {"accepted": 0, "rejected": 0})
    assert (kept(http), issues(http)) == (before, [])


def test_an_events_attachments_are_its_issues_too(http: httpx2.Client) -> None:
    files = [ATTACHMENT, {"original_filename": "core", "size_bytes": 0}]
    assert (
        ingest(http, EVENT | {"attachments": files}, EVENT | {"level": "info", "attachments": [ATTACHMENT]})[0] == 200
    )
    error, info = kept(http)
    shown = http.get(f"/v1/events/{error['id']}", headers=bearer("observer")).json()["attachments"]
    common = {"event_id": error["id"], "created_at": NOW, "uploaded_at": None}
    assert sorted(shown, key=lambda row: row["size_bytes"]) == [
        {"id": shown_id(shown, "core"), "original_filename": "core", "content_type": "application/octet-stream"}
        | {"size_bytes": 0, **common},
        {"id": shown_id(shown, "a.log"), **ATTACHMENT, **common},
    ]
    (issue,) = issues(http)
    detail = http.get(f"/v1/projects/{SHOP}/issues/{issue['id']}", headers=bearer("agent")).json()
    assert detail["attachments"] == shown
    (lone,) = http.get(f"/v1/events/{info['id']}", headers=bearer("observer")).json()["attachments"]
    assert lone["original_filename"] == "a.log"


def shown_id(attachments: list[Row], filename: str) -> str:
    (found,) = [row["id"] for row in attachments if row["original_filename"] == filename]
    assert isinstance(found, str)
    return found


def test_an_event_sent_again_has_each_attachment_once(http: httpx2.Client) -> None:
    row = EVENT | {"client_event_id": ONE, "attachments": [ATTACHMENT]}
    for _ in range(2):
        ingest(http, row)
        import_(http, row)
    ours, theirs = kept(http)
    for event in (ours, theirs):
        shown = http.get(f"/v1/events/{event['id']}", headers=bearer("observer")).json()["attachments"]
        assert [attachment["original_filename"] for attachment in shown] == ["a.log"]


def test_an_attachment_that_an_import_brings_later_is_its_events_issues_too(http: httpx2.Client) -> None:
    row = EVENT | {"client_event_id": ONE}
    import_(http, row)
    (issue,) = issues(http)
    import_(http, row | {"attachments": [ATTACHMENT]})
    assert issues(http) == [issue]
    detail = http.get(f"/v1/projects/{SHOP}/issues/{issue['id']}", headers=bearer("agent")).json()
    (event,) = kept(http)
    assert [(it["original_filename"], it["event_id"]) for it in detail["attachments"]] == [("a.log", event["id"])]


def test_an_event_has_twenty_attachments_at_most_however_often_it_is_imported(http: httpx2.Client) -> None:
    files = [ATTACHMENT | {"original_filename": f"{number}.log"} for number in range(30)]
    for some in (files[:20], files[10:]):
        assert import_(http, EVENT | {"client_event_id": ONE, "attachments": some})[0] == 200
    (event,) = kept(http)
    shown = http.get(f"/v1/events/{event['id']}", headers=bearer("observer")).json()["attachments"]
    assert {row["original_filename"] for row in shown} == {row["original_filename"] for row in files[:20]}


def test_an_error_that_an_import_moves_in_time_is_of_another_burst(http: httpx2.Client) -> None:
    moved = EVENT | {"client_event_id": ONE, "message": "Moved", "timestamp": at(seconds=598)}
    import_(http, EVENT | {"timestamp": at(seconds=600)}, moved)
    import_(http, moved | {"timestamp": at(seconds=497)})
    import_(http, EVENT | {"message": "Of its burst", "timestamp": at(seconds=496)})
    assert [row["title"] for row in issues(http)] == ["Boom"]


def test_an_error_that_an_import_calls_off_before_a_scan_becomes_no_issue(quiet_world: World) -> None:
    def work(tx: Transaction) -> None:
        importer = access.importer(tx, access.credential(SECRETS["importer"]))
        row = EVENT | {"client_event_id": ONE}
        intake.import_events(tx, importer, [row])
        intake.import_events(tx, importer, [row | {"level": "info"}])

    quiet_world.store.write(work)
    assert scan_all(quiet_world.store.write) == Scanned()
    assert quiet_world.store.read(lambda tx: tx.all("SELECT title FROM issues")) == []


def test_the_end_of_a_day_is_refused_or_the_beginning_of_the_next(http: httpx2.Client) -> None:
    """Python takes it from 3.14 on."""
    ingest(http, {**EVENT, "timestamp": "2026-10-20T24:00:00.000Z"})
    assert [row["timestamp"] for row in kept(http)] in ([], ["2026-10-21T00:00:00.000Z"])


def test_an_event_of_another_team_is_not_found(quiet_world: World, http: httpx2.Client) -> None:
    app = quiet_world.store.read(lambda tx: administration.find_app(tx, "Foreign API"))
    _, secret = quiet_world.store.write(lambda tx: administration.create_event_key(tx, app, "theirs", "client"))
    assert ingest(http, EVENT, who=secret) == TAKEN
    (row,) = quiet_world.store.read(lambda tx: tx.all("SELECT uuid_text(id) FROM events"))
    for event_id in (row[0], SYMBOLS["ghost"]):
        answer = http.get(f"/v1/events/{event_id}", headers=bearer("observer"))
        assert (answer.status_code, answer.json()) == (404, {"error": "Event not found"})
    assert kept(http) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "session_id is required"),
        ("session_id=", 'session_id must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not ""'),
        ("session_id=1", 'session_id must be a UUID such as 0b530b59-26e7-4bc6-a9da-167f4066bd78, not "1"'),
        ("since=", 'since must be an instant such as 2026-10-21T12:00:00Z, not ""'),
        ("since=1h", 'since must be an instant such as 2026-10-21T12:00:00Z, not "1h"'),
        ("since=0001-01-01T00:00:00%2B23:59", "since must be an instant such as 2026-10-21T12:00:00Z"),
        ("order=up", 'order must be one of asc, desc, not "up"'),
        ("level=", 'level must be one of info, debug, warn, error, not ""'),
        ("level=error,,warn", 'level must be one of info, debug, warn, error, not ""'),
        ("level=fatal", 'level must be one of info, debug, warn, error, not "fatal"'),
        ("data_mode=dev", 'data_mode must be one of production, development, all, not "dev"'),
        ("cursor=", 'cursor must be the cursor of the page before, not ""'),
        ("cursor=2026-10-21T12:00:00.000Z_x", "cursor must be the cursor of the page before"),
        ("cursor=2026-10-21T12:00:00.000Z_9999999999999999999", "cursor must be the cursor of the page before"),
        ("limit=0", "limit must be a whole number from 1 to 200, not 0"),
        ("limit=-5", "limit must be a whole number from 1 to 200, not -5"),
        ("limit=ten", 'limit must be a whole number from 1 to 200, not "ten"'),
    ],
)
def test_a_wrong_question_for_events_is_told(http: httpx2.Client, query: str, said: str) -> None:
    named = query if query.startswith("session_id") or not query else f"session_id={SESSION}&{query}"
    answer = http.get(f"/v1/events?{named}", headers=bearer("observer"))
    assert (answer.status_code, answer.json()["error"][: len(said)]) == (400, said)


@pytest.mark.parametrize("event_id", ["x", "1", "%00", SESSION[:-1]])
def test_an_id_that_is_none_is_told(http: httpx2.Client, event_id: str) -> None:
    answer = http.get(f"/v1/events/{event_id}", headers=bearer("observer"))
    assert (answer.status_code, answer.json()["error"].partition(" such")[0]) == (400, "event_id must be a UUID")


def test_pages_of_events_of_one_instant_hold_each_once(http: httpx2.Client) -> None:
    ingest(http, *({**EVENT, "message": str(number)} for number in range(50)))
    for order in ("asc", "desc"):
        met: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"session_id": SESSION, "order": order, "limit": "7", **cursor}
            page = http.get("/v1/events", params=query, headers=bearer("observer")).json()
            met += [row["message"] for row in page["events"]]
            assert page["has_more"] == (page["cursor"] is not None)
            if not page["has_more"]:
                break
            cursor = {"cursor": page["cursor"]}
        numbers = [str(number) for number in range(50)]
        assert met == (numbers if order == "asc" else numbers[::-1])


async def test_what_is_ingested_is_scanned_at_once(quiet_world: World, http: httpx2.Client) -> None:
    assert ingest(http, EVENT) == TAKEN
    (issue,) = (await quiet_world.acting_as("agent").list_issues(SHOP, IssueFilter())).issues
    assert (issue.title, issue.status, issue.last_notified_at) == ("Boom", "new", NOW)
    assert quiet_world.store.read(lambda tx: tx.all("SELECT event FROM unscanned")) == []
