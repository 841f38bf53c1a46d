"""What a tool answers as data: the API's shapes and names; rows without what is null, false or empty.

The tables of fields below say what each answer carries; the output schemas are made of the same tables.
"""

from collections.abc import Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from owlmetry_mcp.issues.events import STACK_ATTRIBUTE
from owlmetry_mcp.issues.models import (
    Attachment,
    Comment,
    Event,
    EventDetail,
    Issue,
    IssueDetail,
    IssuePage,
    KeyIdentity,
    Membership,
    Occurrence,
    Project,
    Team,
    User,
    UserIdentity,
)
from owlmetry_mcp.server.untrusted import visible

Data = dict[str, Any]

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

ISSUE_FIELDS = tuple(Issue.model_fields)
OCCURRENCE_FIELDS = tuple(name for name in Occurrence.model_fields if name not in ("issue_id", "created_at"))
COMMENT_FIELDS = tuple(Comment.model_fields)
LISTED_COMMENT_FIELDS = tuple(name for name in COMMENT_FIELDS if name not in ("issue_id", "updated_at"))
ATTACHMENT_FIELDS = tuple(name for name in Attachment.model_fields if name != "uploaded_at")
EVENT_FIELDS = (*(name for name in Event.model_fields if name not in ("client_event_id", "api_key_id")), "project_id")
"""Without the ids that stand nowhere else in what an agent sees."""
CRUMB_FIELDS = ("id", "timestamp", "level", "message", "source_module", "screen_name", "custom_attributes")
"""What tells the story; the rest is the same all session long, or is for get_event to show."""
PROJECT_FIELDS = tuple(name for name in Project.model_fields if name != "created_at")

_TITLE_LENGTH = 120
_CRUMB_ATTRIBUTES = 8


def issue_page(page: IssuePage) -> Data:
    rows = [_data(issue, LISTED_FIELDS) | {"title": visible(short_title(issue.title))} for issue in page.issues]
    return {"issues": rows} | _paging("", page.cursor)


def issue(found: Issue) -> Data:
    return _data(found, ISSUE_FIELDS)


def issue_detail(found: IssueDetail) -> Data:
    return (
        issue(found)
        | {"occurrences": [_data(row, OCCURRENCE_FIELDS) for row in found.occurrences]}
        | _paging("occurrence_", found.occurrence_cursor)
        | ({} if found.occurrences_seen is None else {"occurrences_seen": found.occurrences_seen})
        | comments(found.comments)
        | {"attachments": [_data(row, ATTACHMENT_FIELDS) for row in found.attachments]}
    )


def comment(found: Comment) -> Data:
    return _data(found, COMMENT_FIELDS)


def comments(found: Sequence[Comment]) -> Data:
    return {"comments": [_listed_comment(row) for row in found]}


def _listed_comment(row: Comment) -> Data:
    updated = {"updated_at": row.updated_at} if row.updated_at != row.created_at else {}
    return _data(row, LISTED_COMMENT_FIELDS) | updated


def event(found: EventDetail) -> Data:
    return _data(found, EVENT_FIELDS) | _pruned(
        {"attachments": [_data(row, ATTACHMENT_FIELDS) for row in found.attachments]}
    )


def breadcrumbs(found: Sequence[Event]) -> Data:
    return {"events": [_data(crumb(row), CRUMB_FIELDS) for row in found]}


def crumb(row: Event) -> Event:
    """An event among others: its message and its first 8 attributes, cut as titles are in lists; no stack trace."""
    attributes = [(name, text) for name, text in (row.custom_attributes or {}).items() if name != STACK_ATTRIBUTE]
    short = {short_title(name): short_title(text) for name, text in attributes[:_CRUMB_ATTRIBUTES]}
    return row.model_copy(update={"message": short_title(row.message), "custom_attributes": short})


def projects(found: Sequence[Project]) -> Data:
    return {"projects": [_data(row, PROJECT_FIELDS) for row in found]}


def identity(found: KeyIdentity | UserIdentity) -> Data:
    return _pruned(found.model_dump())


def short_title(title: str) -> str:
    """A title as lists show it: cut between words where it is over 120 characters."""
    if len(title) <= _TITLE_LENGTH:
        return title
    end = title.rfind(" ", 0, _TITLE_LENGTH + 1)
    return f"{title[: end if end > 0 else _TITLE_LENGTH]} …"


def _data(resource: BaseModel, fields: Sequence[str]) -> Data:
    return _pruned({name: getattr(resource, name) for name in fields})


def _pruned(values: Data) -> Data:
    """Without what says nothing: null, false and what is empty; counts stay, at zero too."""
    return {
        name: _shown(value)
        for name, value in values.items()
        if value is not None and value is not False and value not in ([], {})
    }


def _shown(value: object) -> object:
    """The value with all text in it made visible."""
    match value:
        case str():
            return visible(value)
        case list():
            return [_shown(inner) for inner in value]
        case dict():
            return {visible(name): inner for name, inner in _pruned(value).items()}
        case _:
            return value


def _paging(prefix: str, cursor: str | None) -> Data:
    has_more = {f"{prefix}has_more": cursor is not None}
    return {f"{prefix}cursor": cursor} | has_more if cursor else has_more


# The output schemas.

_PAGING: Data = {"cursor": {"type": "string"}, "has_more": {"type": "boolean"}}
_OCCURRENCE_PAGING: Data = {f"occurrence_{name}": schema for name, schema in _PAGING.items()}


def _schema(model: type[BaseModel], fields: Sequence[str], **more: Data) -> Data:
    """An object with these fields of a model, and more that may be there."""
    properties = {name: _type(model.model_fields[name].annotation) for name in fields}
    required = [name for name in fields if _always_there(model.model_fields[name].annotation)]
    return {"type": "object", "properties": {**properties, **more}, "required": required}


def _always_there(annotation: object) -> bool:
    return annotation is not bool and NoneType not in get_args(annotation) and get_origin(annotation) is not list


def _type(annotation: Any) -> Data:  # noqa: ANN401 - annotations have no type in common
    kinds = {kind for kind in get_args(annotation) if kind is not NoneType}
    if get_origin(annotation) is Literal:
        return {"type": "string"}
    if get_origin(annotation) is list:
        (kind,) = kinds
        return _array(_type(kind))
    (kind,) = kinds or {annotation}
    if get_origin(kind) is dict:
        return {"type": "object"}
    return {"type": {str: "string", int: "integer", bool: "boolean"}[kind]}


def _array(items: Data) -> Data:
    return {"type": "array", "items": items}


def _object(required: str, **properties: Data) -> Data:
    return {"type": "object", "properties": properties, "required": [required]}


_LISTED_COMMENTS = _array(_schema(Comment, LISTED_COMMENT_FIELDS, updated_at={"type": "string"}))
ISSUE = _schema(Issue, ISSUE_FIELDS)
ISSUE_PAGE = _object("issues", issues=_array(_schema(Issue, LISTED_FIELDS)), **_PAGING)
ISSUE_DETAIL = _schema(
    Issue,
    ISSUE_FIELDS,
    occurrences=_array(_schema(Occurrence, OCCURRENCE_FIELDS)),
    **_OCCURRENCE_PAGING,
    occurrences_seen={"type": "integer"},
    comments=_LISTED_COMMENTS,
    attachments=_array(_schema(Attachment, ATTACHMENT_FIELDS)),
)
COMMENT = _schema(Comment, COMMENT_FIELDS)
COMMENTS = _object("comments", comments=_LISTED_COMMENTS)
DELETED = _object("deleted", deleted={"type": "boolean"})
EVENT = _schema(EventDetail, EVENT_FIELDS, attachments=_array(_schema(Attachment, ATTACHMENT_FIELDS)))
BREADCRUMBS = _object("events", events=_array(_schema(Event, CRUMB_FIELDS)))
PROJECTS = _object("projects", projects=_array(_schema(Project, PROJECT_FIELDS)))
IDENTITY = _object(
    "type",
    type={"type": "string"},
    key_type={"type": "string"},
    id={"type": "string"},
    name={"type": "string"},
    team=_schema(Team, tuple(Team.model_fields)),
    permissions=_array({"type": "string"}),
    expires_at={"type": "string"},
    user=_schema(User, tuple(User.model_fields)),
    teams=_array(_schema(Membership, tuple(Membership.model_fields))),
)
