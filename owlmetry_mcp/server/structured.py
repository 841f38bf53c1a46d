"""What a tool answers as data: the API's names and values; rows without what is null, false or empty.

The tables of fields say what each answer carries; `schemas` are made of the same tables.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from owlmetry_mcp.issues.events import STACK_ATTRIBUTE
from owlmetry_mcp.issues.evidence import Breakdown, Claim, DuplicateCandidate, DuplicateGroup, OccurrenceSummary
from owlmetry_mcp.issues.models import (
    Attachment,
    Comment,
    Event,
    EventDetail,
    Issue,
    KeyIdentity,
    Membership,
    Occurrence,
    Project,
    UserIdentity,
)
from owlmetry_mcp.issues.quoting import short, visible
from owlmetry_mcp.server.answers import Data
from owlmetry_mcp.server.untrusted import FIELDS

LISTED_FIELDS = (
    "id",
    "status",
    "title",
    "source_module",
    "is_dev",
    "occurrence_count",
    "unique_user_count",
    "resolved_at_version",
    "last_seen_at",
    "last_seen_app_version",
    "app_name",
    "project_name",
)
"""What it takes to choose among issues; get_issue has the rest."""

ISSUE_FIELDS = tuple(name for name in Issue.model_fields if name not in ("project_name", "fingerprints"))
CHANGED_FIELDS = (
    "id", "status", "title", "resolved_at_version", "snoozed_at", "occurrence_count", "unique_user_count",
    "first_seen_at", "last_seen_at", "updated_at",
)  # fmt: skip
"""What a status change or a merge may have changed, and what it is called."""
OVERVIEW_FIELDS = (
    "id", "status", "title", "is_dev", "occurrence_count", "unique_user_count", "resolved_at_version", "last_seen_at",
    "last_seen_app_version", "project_name",
)  # fmt: skip
DUPLICATE_FIELDS = (
    "id", "status", "title", "source_module", "is_dev", "occurrence_count", "last_seen_at", "app_name",
)  # fmt: skip
OCCURRENCE_FIELDS = ("timestamp", "event_id", "session_id", "user_id", "app_version")
"""What tells one from the others; the summary counts the rest, and get_event shows all."""
COMMENT_FIELDS = tuple(Comment.model_fields)
LISTED_COMMENT_FIELDS = tuple(name for name in COMMENT_FIELDS if name not in ("issue_id", "updated_at"))
ATTACHMENT_FIELDS = tuple(name for name in Attachment.model_fields if name != "uploaded_at")
EVENT_FIELDS = tuple(
    name for name in Event.model_fields if name not in ("client_event_id", "api_key_id", "custom_attributes")
)
"""Without the ids that stand nowhere else in what an agent sees. The attributes are rows of their own."""
CRUMB_FIELDS = ("id", "timestamp", "level", "message", "source_module", "screen_name", "custom_attributes")
"""What tells the story; the rest is the same all session long, or is for get_event to show."""
PROJECT_FIELDS = tuple(name for name in Project.model_fields if name != "created_at")


class Lengths(NamedTuple):
    """How many characters of a text are shown; see `untrusted.short`."""

    long: int
    """Of a title or a message."""
    field: int
    """Of any other, but for what comes in parts."""


WHOLE = Lengths(2000, 255)
"""As long as the store keeps them."""
READ = (WHOLE, Lengths(500, 80), Lengths(120, 40))
"""For one issue or event: the first that leaves room for the rest."""
LISTED = Lengths(100, 80)
OVERVIEW = (Lengths(80, 40), Lengths(60, 40), Lengths(40, 40))
"""Of an issue among those of an overview: the first that leaves room for all, or the last."""
NAME_LENGTH = 100
_CRUMB_ATTRIBUTES = 8
SHOWN_FINGERPRINTS = 3
_VERSION_LENGTH = 40
UNSAID = "(not said)"
_LONG_TEXTS = ("title", "message")


def listed_issue(found: Issue) -> Data:
    return _data(found, LISTED_FIELDS, LISTED)


def overview_issue(found: Issue, lengths: Lengths) -> Data:
    return _data(found, OVERVIEW_FIELDS, lengths)


def issue(found: Issue, lengths: Lengths) -> Data:
    """All that an issue says of itself."""
    fingerprints = found.fingerprints[:SHOWN_FINGERPRINTS]
    more = len(found.fingerprints) - len(fingerprints)
    said = {"fingerprints": fingerprints, "more_fingerprints": more or None}
    return _data(found, ISSUE_FIELDS, lengths) | pruned(said)


def changed_issue(found: Issue) -> Data:
    return _data(found, CHANGED_FIELDS, LISTED)


def occurrence(row: Occurrence) -> Data:
    """An occurrence; of its session, only where there is no event to ask for."""
    fields = [name for name in OCCURRENCE_FIELDS if name != "session_id" or row.event_id is None]
    return _data(row, fields, LISTED)


def summary(found: OccurrenceSummary) -> Data:
    breakdowns = {name: getattr(found, name) for name in ("app_versions", "environments", "countries", "days")}
    return pruned(
        {
            "occurrences": found.occurrences,
            "sessions": found.sessions,
            "users": found.users,
            "first_at": found.first_at,
            "last_at": found.last_at,
            **{name: counted(breakdown) for name, breakdown in breakdowns.items()},
            "others": {name: row.others_count for name, row in breakdowns.items() if row.others},
        }
    )


def counted(breakdown: Breakdown) -> dict[str, int]:
    """Occurrences by value."""
    tallies: dict[str, int] = {}
    for row in breakdown.top:
        value = UNSAID if row.value is None else short(visible(row.value), _VERSION_LENGTH)
        tallies[value] = tallies.get(value, 0) + row.occurrences
    return tallies


def claim(found: Claim, lengths: Lengths) -> Data:
    said = {
        "claimed_by": found.by,
        "claimed_at" if found.by else "updated_at": found.since,
        "last_comment_by": found.last_comment_by,
        "last_comment_at": found.last_comment_at,
    }
    fields = ("id", "title", "is_dev", "unique_user_count", "project_name")
    return _data(found.issue, fields, lengths) | pruned(said, lengths.field)


def duplicate_group(found: DuplicateGroup, most: int) -> Data:
    """A group with so many of its duplicates, and how many more there are."""
    more = len(found.candidates) - most
    return {
        "score": round(found.score, 2),
        "target": _data(found.target, DUPLICATE_FIELDS, LISTED),
        "keep_because": [*found.target_reasons],
        "duplicates": [duplicate(row) for row in found.candidates[:most]],
        **({"more_duplicates": more} if more > 0 else {}),
    }


def duplicate(row: DuplicateCandidate) -> Data:
    evidence = [pruned(part._asdict()) for part in row.evidence]
    return _data(row.issue, DUPLICATE_FIELDS, LISTED) | {"score": round(row.score, 2), "evidence": evidence}


def comment(found: Comment) -> Data:
    return _comment(found, COMMENT_FIELDS)


def listed_comment(row: Comment) -> Data:
    updated = ("updated_at",) if row.updated_at != row.created_at else ()
    return _comment(row, (*LISTED_COMMENT_FIELDS, *updated))


def comment_head(row: Comment) -> Data:
    return _comment(row, [name for name in COMMENT_FIELDS if name != "body"])


def _comment(row: Comment, fields: Sequence[str]) -> Data:
    """The body whole."""
    return {
        name: visible(row.body) if name == "body" else short(visible(getattr(row, name)), NAME_LENGTH)
        for name in fields
    }


def attachment(row: Attachment) -> Data:
    return _data(row, ATTACHMENT_FIELDS, WHOLE)


def event(found: EventDetail, lengths: Lengths) -> Data:
    return _data(found, (*EVENT_FIELDS, "project_id"), lengths)


def crumb(row: Event, *, attributes: bool = True) -> Data:
    data = _data(row, CRUMB_FIELDS, LISTED)
    said = [(name, short(visible(text), LISTED.long)) for name, text in crumb_attributes(row)] if attributes else []
    return data | ({"custom_attributes": named(said, LISTED.long)} if said else {})


def crumb_attributes(row: Event) -> Sequence[tuple[str, str]]:
    """The first 8 attributes of an event among others; no stack trace."""
    attributes = [(name, text) for name, text in (row.custom_attributes or {}).items() if name != STACK_ATTRIBUTE]
    return attributes[:_CRUMB_ATTRIBUTES]


def named(attributes: Iterable[tuple[str, Any]], most: int) -> Data:
    """By their names as they are shown, numbered where two would be shown alike."""
    data: Data = {}
    for name, value in attributes:
        shown = alone = short(visible(name), most)
        number = 1
        while shown in data:
            number += 1
            shown = f"{alone} ({number})"
        data[shown] = value
    return data


def project(row: Project) -> Data:
    return _data(row, PROJECT_FIELDS, WHOLE)


def team(row: Membership) -> Data:
    return _data(row, tuple(Membership.model_fields), WHOLE)


def identity(found: KeyIdentity | UserIdentity, *, permissions: bool = True) -> Data:
    return pruned(found.model_dump(exclude={"teams"} | (set() if permissions else {"permissions"})), NAME_LENGTH)


def _data(resource: BaseModel, fields: Sequence[str], lengths: Lengths) -> Data:
    """These fields of a resource that say something, none of them longer than it may be; objects of strangers' making
    are left out.
    """
    data: Data = {}
    for name in fields:
        value = getattr(resource, name)
        if name not in FIELDS:  # numbers, and words of the API's own
            if value is not None and value is not False:
                data[name] = value
        elif isinstance(value, str):
            most = lengths.long if name in _LONG_TEXTS else lengths.field
            data[name] = short(visible(value[: most + 1]), most)
    return data


def pruned(values: Data, most: int | None = None) -> Data:
    """Without what says nothing: null, false and what is empty; counts stay, at zero too. All text is made visible,
    and cut to `most` characters.
    """
    return {
        name: _shown(value, most)
        for name, value in values.items()
        if value is not None and value is not False and value not in ([], {})
    }


def _shown(value: object, most: int | None) -> Any:  # noqa: ANN401 - JSON
    match value:
        case str():
            return visible(value) if most is None else short(visible(value[: most + 1]), most)
        case list():
            return [_shown(inner, most) for inner in value]
        case dict():
            return {visible(name): inner for name, inner in pruned(value, most).items()}
        case _:
            return value
