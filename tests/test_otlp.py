"""OpenTelemetry's log records as events."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from owlmetry_mcp.sources.found import Found
from owlmetry_mcp.sources.otlp_json import read

TRACE = "5b8efff798038103d269b633813fc60c"
SESSION = "f8ac29d3-ea8f-538f-a4d5-3a607bd16e4f"
STACK = 'Traceback (most recent call last):\n  File "/app/shop/checkout.py", line 3, in pay\nValueError: no card'


def attributes(**values: Any) -> list[dict[str, Any]]:
    """Names with `__` for dots; texts, or AnyValues as they are."""
    return [
        {"key": name.replace("__", "."), "value": {"stringValue": value} if isinstance(value, str) else value}
        for name, value in values.items()
    ]


def line(*records: Any, scope: str = "shop.checkout", **resource: Any) -> bytes:
    scopes = [{"scope": {"name": scope}, "logRecords": [*records]}]
    request = {"resourceLogs": [{"resource": {"attributes": attributes(**resource)}, "scopeLogs": scopes}]}
    return json.dumps(request).encode()


def found_in(*lines: bytes) -> list[Found]:
    return list(read(enumerate(lines, 1)))


def event_of(record: dict[str, Any], **resource: Any) -> dict[str, Any]:
    (found,) = found_in(line(record, **resource))
    assert found.fault == ""
    assert found.event
    return found.event


def body(text: str = "Payment failed", **fields: Any) -> dict[str, Any]:
    return {"body": {"stringValue": text}, **fields}


def test_an_exception_becomes_an_error_event() -> None:
    record = {
        "timeUnixNano": "1795420271123456789",
        "observedTimeUnixNano": "1795420272000000000",
        "severityNumber": 17,
        "severityText": "ERROR",
        "body": {"stringValue": "Order 17 failed"},
        "attributes": attributes(
            exception__message="no card",
            exception__type="ValueError",
            exception__stacktrace=STACK,
            code__function__name="shop.checkout.pay",
            session__id=SESSION.upper(),
            user__id="user-1",
            log__record__uid="0E61B24C-F35B-5925-8BB4-67CF7D071A54",
            url__full="https://shop.example/orders/17",
            http__request__method="POST",
            order={"intValue": "17"},
            retried={"boolValue": False},
            basket={"arrayValue": {"values": [{"stringValue": "äpple"}, {"doubleValue": 1.5}, {}]}},
            address={"kvlistValue": {"values": [{"key": "city", "value": {"stringValue": "Ulm"}}]}},
            nothing={},
        ),
        "traceId": TRACE,
        "spanId": "eee19b7ec3c1b174",
    }
    resource = {
        "service.name": "shop",
        "service.version": "2.1.0",
        "os.version": "18.1",
        "device.model.identifier": "iPhone15,2",
        "device.model.name": "iPhone 15",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.30.0",
        "app.build_id": "42",
        "deployment.environment.name": "Development",
        "host.name": "web-1",
    }
    assert event_of(record, **resource) == {
        "message": "no card",
        "level": "error",
        "session_id": SESSION,
        "client_event_id": "0e61b24c-f35b-5925-8bb4-67cf7d071a54",
        "timestamp": "2026-11-23T07:51:11.123Z",
        "user_id": "user-1",
        "source_module": "shop.checkout",
        "app_version": "2.1.0",
        "build_number": "42",
        "os_version": "18.1",
        "device_model": "iPhone15,2",
        "sdk_name": "opentelemetry",
        "sdk_version": "1.30.0",
        "is_dev": True,
        "custom_attributes": {
            "code.function.name": "shop.checkout.pay",
            "order": "17",
            "retried": "false",
            "basket": '["äpple",1.5,null]',
            "address": '{"city":"Ulm"}',
            "service.name": "shop",
            "trace_id": TRACE,
            "span_id": "eee19b7ec3c1b174",
            "_http_url": "https://shop.example/orders/17",
            "_http_method": "POST",
            "_error_type": "ValueError",
            "_error_stack": STACK,
            "log_message": "Order 17 failed",
        },
    }


def test_a_bare_record_is_an_event_with_ids_of_its_own() -> None:
    event = event_of(body())
    assert {str(uuid.UUID(event.pop(name))) for name in ("session_id", "client_event_id")}
    assert event == {"message": "Payment failed", "level": "info", "source_module": "shop.checkout"}


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        *[({"severityNumber": number}, "debug") for number in (1, 4, 5, 8)],
        *[({"severityNumber": number}, "info") for number in (9, 12)],
        *[({"severityNumber": number}, "warn") for number in (13, 16)],
        *[({"severityNumber": number}, "error") for number in (17, 20, 21, 24)],
        ({"severityNumber": 13, "severityText": "ERROR"}, "warn"),
        ({"severityNumber": "17"}, "error"),
        ({"severityNumber": "SEVERITY_NUMBER_WARN3"}, "warn"),
        ({"severityNumber": "SEVERITY_NUMBER_UNSPECIFIED", "severityText": "fatal"}, "error"),
        ({"severityNumber": 0, "severityText": " Warning "}, "warn"),
        ({"severityNumber": 25, "severityText": "Trace"}, "debug"),
        ({"severityText": "odd"}, "info"),
        ({"severityNumber": [], "severityText": {}}, "info"),
        ({}, "info"),
    ],
)
def test_the_level_is_the_severity(fields: dict[str, Any], level: str) -> None:
    assert event_of(body(**fields))["level"] == level


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (body(attributes=attributes(exception__message=" gone ", exception__type="IOError")), "gone"),
        (body(attributes=attributes(exception__message="", exception__type="IOError")), "IOError"),
        (body("\n x \n", eventName="device.crash"), "x"),
        ({"body": {"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}}, '{"a":1}'),
        ({"body": {"intValue": "5"}}, "5"),
        ({"body": {"arrayValue": {}}}, "[]"),
        (body(" ", eventName="device.crash"), "device.crash"),
        (body("x" * 2001), "x" * 1999 + "…"),
        (body("a\0b"), "a\ufffdb"),
    ],
)
def test_the_message_is_the_exceptions_or_the_body_or_the_events_name(record: dict[str, Any], message: str) -> None:
    assert event_of(record)["message"] == message


@pytest.mark.parametrize(
    ("values", "source_module"),
    [
        ({"code__namespace": "shop.old", "code__function__name": "shop.new.pay"}, "shop.old"),
        ({"code__function__name": "shop.new.pay"}, "shop.new"),
        ({"code__function__name": "pay"}, "shop.checkout"),
        ({}, "shop.checkout"),
    ],
)
def test_the_source_module_is_the_codes_or_the_scopes(values: dict[str, str], source_module: str) -> None:
    assert event_of(body(attributes=attributes(**values)))["source_module"] == source_module


def test_a_session_is_named_or_the_trace_or_the_records_own() -> None:
    def session(uid: str, **fields: Any) -> str:
        own = attributes(log__record__uid=uid, **fields.pop("attributes", {}))
        return str(event_of(body(attributes=own, **fields))["session_id"])

    assert session("a", attributes={"session__id": SESSION}, traceId=TRACE) == SESSION
    assert session("a", attributes={"session__id": "s1"}) == session("b", attributes={"session__id": "s1"})
    assert session("a", traceId=TRACE.upper()) == session("b", traceId=TRACE) == str(uuid.UUID(TRACE))
    for none in ("0" * 32, "", "5b8efff7", None, 5):
        assert session("a", traceId=none) == session("a")
        assert session("a", traceId=none) != session("b", traceId=none)


@pytest.mark.parametrize(
    ("fields", "timestamp"),
    [
        ({"timeUnixNano": "0", "observedTimeUnixNano": "1795420271123456789"}, "2026-11-23T07:51:11.123Z"),
        ({"timeUnixNano": 1795420271123456789}, "2026-11-23T07:51:11.123Z"),
        ({"timeUnixNano": 1.5e18}, "2017-07-14T02:40:00.000Z"),
        ({"timeUnixNano": str(2**64 - 1)}, "2554-07-21T23:34:33.709Z"),
        ({"timeUnixNano": "", "observedTimeUnixNano": None}, None),
        ({}, None),
    ],
)
def test_the_timestamp_is_the_events_or_the_observers(fields: dict[str, Any], timestamp: str | None) -> None:
    assert event_of(body(**fields)).get("timestamp") == timestamp


@pytest.mark.parametrize(
    ("name", "is_dev"), [("dev", True), ("local", True), ("TEST", True), ("production", None), ("staging", None)]
)
def test_development_is_told_from_the_environment(name: str, is_dev: bool | None) -> None:
    assert event_of(body(), **{"deployment.environment": name}).get("is_dev") == is_dev
    assert event_of(body(), **{"deployment.environment.name": name}).get("is_dev") == is_dev


def test_older_names_of_attributes_are_known() -> None:
    values = {"http__url": "https://x", "http__method": "GET", "enduser__id": "ann"}
    event = event_of(body(attributes=attributes(**values)), **{"device.model.name": "Pixel"})
    assert (event["user_id"], event["device_model"]) == ("ann", "Pixel")
    assert event["custom_attributes"] == {"_http_url": "https://x", "_http_method": "GET"}


def test_a_long_stack_keeps_its_beginning_and_its_end() -> None:
    stack = "java.lang.IllegalStateException: x\n" + "\tat y\n" * 5000 + "Caused by: z"
    event = event_of(body(attributes=attributes(exception__stacktrace=stack, long="v" * 3000)))
    kept = event["custom_attributes"]["_error_stack"]
    assert len(kept) == 16_000
    assert kept.startswith("java.lang.IllegalStateException: x\n\tat y\n")
    assert kept.endswith("\tat y\nCaused by: z")
    assert event["custom_attributes"]["long"] == "v" * 1999 + "…"


def test_a_record_keeps_its_id_however_it_was_batched() -> None:
    one, two = body("one", timeUnixNano="1"), body("two", timeUnixNano="1")
    together = [found.event and found.event["client_event_id"] for found in found_in(line(one, two))]
    apart = [event_of(dict(reversed(record.items())))["client_event_id"] for record in (one, two)]
    assert together == apart
    assert len(set(together)) == 2
    assert event_of(one, **{"service.name": "other"})["client_event_id"] not in together
    (other,) = found_in(line(one, scope="other"))
    assert other.event
    assert other.event["client_event_id"] not in together


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"{", "not valid JSON: EOF while parsing an object at line 1 column 1"),
        (b"\xff", "not valid JSON: expected value at line 1 column 1"),
        (b"[" * 5000, "not valid JSON: recursion limit exceeded at line 1 column 202"),
        (b"[]", 'no log records: a line must be an object with "resourceLogs", in OTLP/JSON'),
        (b'{"resourceSpans":[]}', 'no log records: a line must be an object with "resourceLogs", in OTLP/JSON'),
        (b'{"resourceLogs":{}}', "resourceLogs must be a list, not {}; the rest of the line is passed over"),
        (b'{"resourceLogs":[1]}', "resourceLogs must hold objects, not 1; the rest of the line is passed over"),
        (
            b'{"resourceLogs":[{"scopeLogs":[{"logRecords":"x"}]}]}',
            'logRecords must be a list, not "x"; the rest of the line is passed over',
        ),
        (b" " * 2**24 + b"{}", "a line may have 16,777,216 bytes at most; let the exporter batch less"),
    ],
    ids=lambda value: value[:30],
)
def test_a_line_that_holds_no_records_is_a_fault(raw: bytes, fault: str) -> None:
    assert found_in(b"", raw, b" \r\n") == [Found(2, None, fault)]


def test_a_bad_record_leaves_the_others() -> None:
    bad = [5, {}, body(timeUnixNano="-1"), body(observedTimeUnixNano="18446744073709551616"), body(timeUnixNano=True)]
    span = "from 0 to 18446744073709551615"
    found = found_in(line(body("good"), *bad, body("better")) + b"\n", line(body("best")))
    assert [each.line for each in found] == [1] * 7 + [2]
    assert [each.event and each.event["message"] for each in found] == ["good", *[None] * 5, "better", "best"]
    assert [each.fault for each in found][1:6] == [
        "record 2: must be an object, not 5",
        "record 3: must have a body, an eventName, or the attribute exception.message or exception.type",
        f'record 4: timeUnixNano must be nanoseconds since 1970, {span}, not "-1"',
        f'record 5: observedTimeUnixNano must be nanoseconds since 1970, {span}, not "18446744073709551616"',
        f"record 6: timeUnixNano must be nanoseconds since 1970, {span}, not true",
    ]


def test_missing_parts_are_as_good_as_empty() -> None:
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [body()]}, {}]}, {"scopeLogs": None}]}
    (found,) = found_in(b"\xef\xbb\xbf" + json.dumps(request).encode())
    assert found.event
    assert found.event["message"] == "Payment failed"
    assert "source_module" not in found.event
    assert found_in(b'{"resourceLogs":[]}') == []


def test_malformed_attributes_are_as_good_as_missing() -> None:
    odd: list[Any] = [5, {}, {"key": 1, "value": {}}, {"key": "a"}, {"key": "b", "value": 1}, *attributes(c="d")]
    assert event_of(body(attributes=odd))["custom_attributes"] == {"c": "d"}
    assert "custom_attributes" not in event_of(body(attributes={"c": "d"}))


TEXT = st.text(st.characters(codec="utf-8"), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
ANY_VALUE = st.recursive(
    st.dictionaries(st.sampled_from(["stringValue", "intValue", "boolValue", "doubleValue", "bytesValue"]), JSON),
    lambda inner: st.fixed_dictionaries({"arrayValue": st.fixed_dictionaries({"values": st.lists(inner, max_size=3)})}),
    max_leaves=4,
)
NAMES = st.sampled_from(
    [
        *("exception.message", "exception.type", "exception.stacktrace", "code.namespace", "code.function.name"),
        *("session.id", "user.id", "url.full", "log.record.uid", "_error_stack"),
        *("service.name", "service.version", "deployment.environment"),
    ]
)
ATTRIBUTE = st.fixed_dictionaries({"key": NAMES | JSON, "value": ANY_VALUE | JSON})
NUMBER = st.integers(0, 2**64).map(str) | st.integers(0, 25) | JSON
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "timeUnixNano": NUMBER,
        "observedTimeUnixNano": NUMBER,
        "severityNumber": NUMBER,
        "severityText": JSON,
        "body": ANY_VALUE | JSON,
        "eventName": JSON,
        "attributes": st.lists(ATTRIBUTE, max_size=4) | JSON,
        "traceId": st.just(TRACE) | JSON,
        "spanId": JSON,
    },
)
RESOURCE = st.fixed_dictionaries({"attributes": st.lists(ATTRIBUTE, max_size=4) | JSON})
SCOPE = st.fixed_dictionaries({"name": JSON})
SCOPE_LOGS = st.fixed_dictionaries({"scope": SCOPE | JSON, "logRecords": st.lists(RECORD | JSON, max_size=3) | JSON})
RESOURCE_LOGS = st.fixed_dictionaries(
    {"resource": RESOURCE | JSON, "scopeLogs": st.lists(SCOPE_LOGS | JSON, max_size=2)}
)
REQUEST = st.fixed_dictionaries({"resourceLogs": st.lists(RESOURCE_LOGS | JSON, max_size=2)})
LINES = st.lists((REQUEST | JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=30), max_size=3)


@settings(deadline=None, max_examples=300)
@given(LINES)
def test_whatever_is_read_gives_events_within_their_limits(lines: list[bytes]) -> None:
    found = found_in(*lines)
    assert repr(found) == repr(found_in(*lines))
    for each in found:
        assert (each.event is None) == bool(each.fault)
        if each.event:
            check(each.event)
    ids = {each.event["client_event_id"] for each in found if each.event}
    assert ids == {each.event["client_event_id"] for each in found_in(*lines, *lines) if each.event}


def check(event: dict[str, Any]) -> None:
    texts = {**event, **event.get("custom_attributes", {})}
    texts.pop("custom_attributes", None)
    assert texts.pop("is_dev", True) is True
    assert len(texts.pop("_error_stack", "")) <= 16_000
    assert all(isinstance(text, str) and 1 <= len(text) <= 2000 for text in texts.values())
    assert event["level"] in ("info", "debug", "warn", "error")
    assert {str(uuid.UUID(event[name])) for name in ("session_id", "client_event_id")}
    str(event).encode()
    assert "\0" not in "".join([*texts, *texts.values()])
