"""What an event has to be, checked one by one: a bad one is refused with the API's words, and the others are taken.

Source: the facts about `POST /v1/ingest`, and a running server's answers to events that lack something. Where that
server fails (ids that are no UUIDs, values of other types), the event is refused like any other bad one.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.models import Level, Platform
from owlmetry_mcp.issues.parameters import optional_text, shown, uuid

MAX_INGESTED = 100
"""Events in a batch of an SDK's."""
MAX_IMPORTED = 1_000
MAX_MESSAGE_LENGTH = 2000
MAX_TEXT_LENGTH = 255
"""Of any other text, of which some stand in every row of a list; what is longer is cut."""
MAX_ATTRIBUTES = 200
"""What there is more is left out, the SDK's own last."""
MAX_NAME_LENGTH = 200
MAX_ATTRIBUTE_LENGTH = 200
MAX_STACK_LENGTH = 16_000
MAX_ATTACHMENTS = 20
STACK_ATTRIBUTE = "_error_stack"
BREADCRUMBS_AFTER = 5
"""Events that are shown behind the one whose breadcrumbs are asked for."""
MAX_AGE = timedelta(days=30)
MAX_AHEAD = timedelta(minutes=5)

LEVELS: tuple[Level, ...] = get_args(Level)
ENVIRONMENTS: Mapping[Platform, tuple[str, ...]] = MappingProxyType(
    {
        "apple": ("ios", "ipados", "macos", "watchos"),
        "android": ("android",),
        "web": ("web",),
        "backend": ("backend",),
    }
)
"""Where an app of each platform runs."""

_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT[01]\d:\d\d:\d\d\.\d{3}Z|\d{4}-\d\d-\d\dT2[0-3]:\d\d:\d\d\.\d{3}Z", re.ASCII)


class NewAttachment(NamedTuple):
    original_filename: str
    content_type: str
    size_bytes: int


TEXTS = (
    "source_module", "screen_name", "user_id", "os_version", "app_version", "sdk_name", "sdk_version", "device_model",
    "build_number", "locale", "preferred_language",
)  # fmt: skip
"""What an event may say besides, in words of its own."""


class NewEvent(NamedTuple):
    """An event that can be taken, its values as they are to be kept."""

    client_event_id: str | None
    session_id: str
    is_dev: bool
    level: Level
    timestamp: str
    content: dict[str, str]
    """`message`, and of `environment` and TEXTS what it says."""
    custom_attributes: dict[str, str] | None
    attachments: Sequence[NewAttachment]


class Terms(NamedTuple):
    """What events of an app are held against at an instant."""

    platform: Platform
    now: str
    latest: str
    earliest: str | None
    """None: of any age."""

    @classmethod
    def at(cls, now: str, platform: Platform, max_age: timedelta | None) -> "Terms":
        instant = datetime.fromisoformat(now)
        earliest = None if max_age is None else times.to_text(instant - max_age)
        return cls(platform, now, times.to_text(instant + MAX_AHEAD), earliest)


def checked(event: object, terms: Terms) -> NewEvent:
    """
    Raises:
        InvalidInputError: the event cannot be taken; the message says why.
    """
    get = (event if isinstance(event, dict) else {}).get
    message = get("message")
    if not isinstance(message, str) or not message:
        raise InvalidInputError("message is required and must be a string")
    level = get("level")
    if level not in LEVELS:
        raise InvalidInputError(f"level must be one of {', '.join(LEVELS)}")
    session_id = get("session_id")
    if not isinstance(session_id, str) or not session_id:
        raise InvalidInputError("session_id is required and must be a string")
    client_event_id, attributes, attachments = get("client_event_id"), get("custom_attributes"), get("attachments")
    is_dev, environment = get("is_dev"), get("environment")
    if is_dev is not None and not isinstance(is_dev, bool):
        raise InvalidInputError(f"is_dev must be true or false, not {shown(is_dev)}")
    if len(message) > MAX_MESSAGE_LENGTH:
        raise InvalidInputError(f"message must be at most {MAX_MESSAGE_LENGTH} characters")
    content = {"message": _text("message", message, MAX_MESSAGE_LENGTH)}
    if environment is not None:
        content["environment"] = _environment(environment, terms.platform)
    for name in TEXTS:
        if (value := get(name)) is not None and value != "":
            content[name] = _text(name, value)
    return NewEvent(
        None if client_event_id is None else uuid("client_event_id", client_event_id),
        uuid("session_id", session_id),
        is_dev is True,
        level,
        _timestamp(get("timestamp"), terms),
        content,
        None if attributes is None else _attributes(attributes),
        () if attachments is None else _attachments(attachments),
    )


def _text(name: str, value: object, longest: int = MAX_TEXT_LENGTH) -> str:
    """The text, if it can be kept; of most, two looks tell that it can."""
    if not isinstance(value, str):
        raise InvalidInputError(f"{name} must be a string, not {shown(value)}")
    if "\0" in value or not value.isascii():
        optional_text(name, value)
    return value if len(value) <= longest else value[:longest]


def _environment(value: object, platform: Platform) -> str:
    allowed = ENVIRONMENTS[platform]
    if isinstance(value, str) and value in allowed:
        return value
    raise InvalidInputError(
        f"environment {shown(value)} is not allowed for {platform} apps (allowed: {', '.join(allowed)})"
    )


def _timestamp(value: object, terms: Terms) -> str:
    """In the API's own form, in which most are already; UTC where no offset is named."""
    if value is None:
        return terms.now
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        canonical = isinstance(value, str) and _CANONICAL.fullmatch(value)
        text = value if canonical else instant and times.to_text(instant.replace(tzinfo=instant.tzinfo or UTC))
    except (ValueError, OverflowError):
        text = None
    if not isinstance(text, str):
        raise InvalidInputError("timestamp must be a valid ISO 8601 date")
    if text > terms.latest:
        raise InvalidInputError("timestamp cannot be more than 5 minutes in the future")
    if terms.earliest is not None and text < terms.earliest:
        raise InvalidInputError("timestamp cannot be more than 30 days in the past")
    return text


def _attributes(value: object) -> dict[str, str] | None:
    if not isinstance(value, dict):
        raise InvalidInputError(f"custom_attributes must be an object of strings, not {shown(value)}")
    for name, inner in value.items():
        if not isinstance(inner, str):
            raise InvalidInputError(f"custom_attributes must hold strings alone; {shown(name)} is {shown(inner)}")
    names = list(value)
    if len(names) > MAX_ATTRIBUTES:
        names.sort(key=lambda name: not name.startswith("_"))
    what = "custom_attributes"
    return {
        _text(what, name, MAX_NAME_LENGTH): _text(
            what, value[name], MAX_STACK_LENGTH if name == STACK_ATTRIBUTE else MAX_ATTRIBUTE_LENGTH
        )
        for name in names[:MAX_ATTRIBUTES]
    } or None


def _attachments(value: object) -> Sequence[NewAttachment]:
    if not isinstance(value, list) or len(value) > MAX_ATTACHMENTS:
        raise InvalidInputError(f"attachments must be a list of at most {MAX_ATTACHMENTS} objects")
    return [_attachment(row) for row in value]


def _attachment(row: Any) -> NewAttachment:  # noqa: ANN401 - JSON
    get = (row if isinstance(row, dict) else {}).get
    filename, content_type, size_bytes = get("original_filename"), get("content_type"), get("size_bytes")
    if not filename:
        raise InvalidInputError("attachments.original_filename is required and must be a string")
    if isinstance(size_bytes, bool) or not isinstance(size_bytes, int) or not 0 <= size_bytes < 2**63:
        raise InvalidInputError("attachments.size_bytes is required and must be a whole number, 0 or more")
    return NewAttachment(
        _text("attachments.original_filename", filename),
        _text("attachments.content_type", "application/octet-stream" if content_type in (None, "") else content_type),
        size_bytes,
    )
