"""OpenTelemetry's log records, as the collector's file exporter writes them: an ExportLogsServiceRequest a line.

The names are those of the OTLP/JSON encoding and of OpenTelemetry's semantic conventions. See docs/ingest.md.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic_core import from_json

from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.issues.times import to_text
from owlmetry_mcp.sources.found import LEVELS, Found, cut, cut_stack, own_or_derived_uuid, storable, uuid_from, uuid_of
from owlmetry_mcp.sources.lines import MAX_LINE_BYTES

Event = dict[str, Any]
Attributes = Mapping[str, str]
"""Values as text: what is no string, as compact JSON."""

_MAX_UINT64 = 2**64 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEVEL_OF_NUMBER = ((9, "debug"), (13, "info"), (17, "warn"), (25, "error"))
_DEVELOPMENT = ("development", "dev", "local", "test")
_TRACE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII | re.IGNORECASE)
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_SEVERITY = re.compile(r"SEVERITY_NUMBER_(TRACE|DEBUG|INFO|WARN|ERROR|FATAL)[2-4]?")

_FIELDS = (
    ("app_version", ("service.version",)),
    ("build_number", ("app.build_id",)),
    ("os_version", ("os.version",)),
    ("device_model", ("device.model.identifier", "device.model.name")),
    ("sdk_name", ("telemetry.sdk.name",)),
    ("sdk_version", ("telemetry.sdk.version",)),
)
"""Fields, and the resource's attributes that they are taken from: the first that is there."""
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")
_URLS = ("url.full", "http.url")
_METHODS = ("http.request.method", "http.method")
_USERS = ("user.id", "enduser.id")
_TOLD_ELSEWHERE = frozenset(
    ("exception.message", "exception.type", "exception.stacktrace", "code.namespace", "session.id", "log.record.uid")
    + (_URLS + _METHODS + _USERS)
)
"""A record's attributes that become fields, or attributes of other names."""


class _Fault(Exception):  # noqa: N818 - it is told as a fault, never raised to a caller
    pass


class _Source(NamedTuple):
    """What the records of a resource, or of a scope in it, have in common."""

    fields: Event
    attributes: Attributes
    digest: bytes
    scope_name: str = ""


def read(lines: Iterable[tuple[int, bytes]]) -> Iterator[Found]:
    """Every log record of every line, in their order."""
    for number, raw in lines:
        text = raw.decode(errors="replace").strip().removeprefix("\ufeff")
        if not text:
            continue
        if len(raw) > MAX_LINE_BYTES:
            yield Found(number, None, f"a line may have {MAX_LINE_BYTES:,} bytes at most; let the exporter batch less")
            continue
        try:
            request = from_json(text)
        except ValueError as error:
            yield Found(number, None, f"not valid JSON: {storable(str(error))}")
            continue
        if not isinstance(request, dict) or "resourceLogs" not in request:
            yield Found(number, None, 'no log records: a line must be an object with "resourceLogs", in OTLP/JSON')
            continue
        try:
            for found in _records(request):
                yield found._replace(line=number)
        except _Fault as fault:
            yield Found(number, None, f"{fault}; the rest of the line is passed over")


def _records(request: dict[str, Any]) -> Iterator[Found]:
    """
    Raises:
        _Fault: the records that follow cannot be reached.
    """
    place = 0
    for resource_logs in _objects("resourceLogs", request):
        resource = _of_resource(_object(resource_logs, "resource"))
        for scope_logs in _objects("scopeLogs", resource_logs):
            source = _of_scope(resource, _object(scope_logs, "scope"))
            for record in _list("logRecords", scope_logs):
                place += 1
                try:
                    yield Found(0, _event(record, source))
                except _Fault as fault:
                    yield Found(0, None, f"record {place}: {fault}")


def _of_resource(resource: dict[str, Any]) -> _Source:
    known = _attributes(resource)
    fields: Event = {field: cut(value) for field, names in _FIELDS if (value := _first(known, names))}
    if _first(known, _ENVIRONMENTS).strip().lower() in _DEVELOPMENT:
        fields["is_dev"] = True
    attributes = {"service.name": known["service.name"]} if "service.name" in known else {}
    return _Source(fields, attributes, _digest(_json(resource).encode()))


def _of_scope(resource: _Source, scope: dict[str, Any]) -> _Source:
    digest = _digest(resource.digest + _json(scope).encode())
    return resource._replace(digest=digest, scope_name=_text(scope.get("name")))


def _event(record: object, source: _Source) -> Event:
    """
    Raises:
        _Fault: it is no record, says nothing, or its time is none.
    """
    if not isinstance(record, dict):
        raise _Fault(f"must be an object, not {shown(record)}")
    attributes = _attributes(record)
    own_id = attributes.get("log.record.uid")
    event_id = own_or_derived_uuid(own_id) if own_id else uuid_from(_digest(source.digest + _json(record).encode()))
    body = _text(_plain(record.get("body"))).strip()
    message = _first(attributes, ("exception.message", "exception.type")) or body or _text(record.get("eventName"))
    message = message.strip()
    if not message:
        raise _Fault("must have a body, an eventName, or the attribute exception.message or exception.type")
    fields = {
        "message": message,
        "level": _level(record),
        "session_id": _session(record, attributes) or uuid_of(event_id),
        "client_event_id": event_id,
        "timestamp": _timestamp(record),
        "user_id": _first(attributes, _USERS),
        "source_module": _module(attributes) or source.scope_name,
    }
    custom = _custom(record, attributes, source.attributes)
    if body and body != message:
        custom["log_message"] = cut(body)
    event = source.fields | {field: cut(value) for field, value in fields.items() if value}
    return event | {"custom_attributes": custom} if custom else event


def _custom(record: dict[str, Any], attributes: Attributes, common: Attributes) -> dict[str, str]:
    custom = {name: value for name, value in attributes.items() if name not in _TOLD_ELSEWHERE} | {
        **common,
        "trace_id": _id(record.get("traceId")),
        "span_id": _id(record.get("spanId")),
        "_http_url": _first(attributes, _URLS),
        "_http_method": _first(attributes, _METHODS),
        "_error_type": attributes.get("exception.type") or attributes.get("_error_type", ""),
    }
    stack = attributes.get("exception.stacktrace") or attributes.get("_error_stack", "")
    texts = {cut(name): cut(value) for name, value in custom.items() if value}
    return texts | {"_error_stack": cut_stack(stack)} if stack else texts


def _level(record: dict[str, Any]) -> str:
    """By the number, which protobuf's JSON may also write as its name; else by the text."""
    number, name = record.get("severityNumber"), _text(record.get("severityText"))
    if isinstance(number, str) and (named := _SEVERITY.fullmatch(number)):
        number, name = 0, named[1]
    number = _whole(number) or 0
    known = next((level for end, level in _LEVEL_OF_NUMBER if 0 < number < end), None)
    return known or LEVELS.get(name.strip().upper(), "info")


def _session(record: dict[str, Any], attributes: Attributes) -> str:
    if session := attributes.get("session.id"):
        return own_or_derived_uuid(session)
    trace = record.get("traceId")
    if isinstance(trace, str) and _TRACE_ID.fullmatch(trace) and _id(trace):
        return uuid_from(bytes.fromhex(trace))
    return ""


def _timestamp(record: dict[str, Any]) -> str:
    """
    Raises:
        _Fault: a time is no number of nanoseconds.
    """
    times = [_nanoseconds(name, record.get(name)) for name in ("timeUnixNano", "observedTimeUnixNano")]
    known = next(filter(None, times), 0)
    return to_text(_EPOCH + timedelta(microseconds=known // 1000)) if known else ""


def _nanoseconds(name: str, value: object) -> int:
    """0 where it is unknown."""
    if value is None or value == "":
        return 0
    number = _whole(value)
    if number is None:
        raise _Fault(f"{name} must be nanoseconds since 1970, from 0 to {_MAX_UINT64}, not {shown(value)}")
    return number


def _whole(value: object) -> int | None:
    """A number from 0 up to 64 bits, which JSON may hold as text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_UINT64:
        return int(value)
    return None


def _module(attributes: Attributes) -> str:
    return attributes.get("code.namespace") or attributes.get("code.function.name", "").rpartition(".")[0]


def _id(value: object) -> str:
    """A trace's or span's id; empty where it is none, which is also written as zeros."""
    return storable(value) if isinstance(value, str) and value.strip("0") else ""


def _attributes(owner: dict[str, Any]) -> dict[str, str]:
    """Those that have a name and a value; an attribute that is malformed is as good as missing."""
    pairs = owner.get("attributes")
    if not isinstance(pairs, list):
        return {}
    texts = {storable(pair["key"]): _text(_plain(pair.get("value"))) for pair in pairs if _is_pair(pair)}
    return {name: text for name, text in texts.items() if name.strip() and text.strip()}


def _plain(value: object) -> object:
    """An AnyValue as plain JSON. The parser's limit on nesting bounds this one's, too."""
    plain: object = None
    match value:
        case {"stringValue": str(text)} | {"bytesValue": str(text)}:
            plain = text
        case {"boolValue": bool(flag)}:
            plain = flag
        case {"intValue": str(digits)} if _DIGITS.fullmatch(digits):
            plain = int(digits)
        case {"intValue": (int() | float() | str()) as number} | {"doubleValue": (int() | float() | str()) as number}:
            plain = number
        case {"arrayValue": {"values": list(values)}}:
            plain = [_plain(item) for item in values]
        case {"kvlistValue": {"values": list(pairs)}}:
            plain = {pair["key"]: _plain(pair.get("value")) for pair in pairs if _is_pair(pair)}
        case {"arrayValue": _}:
            plain = []
        case {"kvlistValue": _}:
            plain = {}
    return plain


def _is_pair(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("key"), str)


def _text(value: object) -> str:
    if value is None:
        return ""
    return storable(value if isinstance(value, str) else _json(value, ascii_only=False))


def _json(value: object, *, ascii_only: bool = True) -> str:
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"), sort_keys=ascii_only)


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _first(attributes: Attributes, names: Iterable[str]) -> str:
    return next((attributes[name] for name in names if name in attributes), "")


def _list(name: str, owner: dict[str, Any]) -> list[Any]:
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _Fault(f"{name} must be a list, not {shown(value)}")
    return value


def _objects(name: str, owner: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for value in _list(name, owner):
        if not isinstance(value, dict):
            raise _Fault(f"{name} must hold objects, not {shown(value)}")
        yield value


def _object(owner: dict[str, Any], name: str) -> dict[str, Any]:
    value = owner.get(name)
    return value if isinstance(value, dict) else {}
