"""The output schemas: which fields an answer may carry, of which types, and which are always there."""

from collections.abc import Sequence
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from owlmetry_mcp.issues.models import (
    Comment,
    Event,
    EventDetail,
    Issue,
    Occurrence,
    Project,
)
from owlmetry_mcp.server import structured
from owlmetry_mcp.server.answers import Data

STRING: Data = {"type": "string"}
INTEGER: Data = {"type": "integer"}
BOOLEAN: Data = {"type": "boolean"}
OBJECT: Data = {"type": "object"}


def _array(items: Data) -> Data:
    return {"type": "array", "items": items}


_STRINGS = _array(STRING)
_PAGING: Data = {"cursor": STRING, "has_more": BOOLEAN}
_ALWAYS: Data = {"left_out": _STRINGS, "untrusted": _STRINGS}


def _answer(schema: Data, *required: str, **more: Data) -> Data:
    """An object with these properties too, and with what every answer may have."""
    properties = {**schema.get("properties", {}), **more, **_ALWAYS}
    return {"type": "object", "properties": properties, "required": list(required)}


def _row(model: type[BaseModel], fields: Sequence[str]) -> Data:
    """An object with these fields of a model."""
    properties = {name: _type(model.model_fields[name].annotation) for name in fields}
    return {"type": "object", "properties": properties}


def _type(annotation: Any) -> Data:  # noqa: ANN401 - annotations have no type in common
    if get_origin(annotation) is Annotated:
        return _type(get_args(annotation)[0])
    kinds = {kind for kind in get_args(annotation) if kind is not NoneType}
    if get_origin(annotation) is Literal:
        return STRING
    if get_origin(annotation) is list:
        (kind,) = kinds
        return _array(_type(kind))
    (kind,) = kinds or {annotation}
    if get_origin(kind) is dict:
        return OBJECT
    return {str: STRING, int: INTEGER, bool: BOOLEAN}.get(kind) or _type(kind)


_LISTED_COMMENTS = _array(_row(Comment, (*structured.LISTED_COMMENT_FIELDS, "updated_at")))
_CHANGED = _row(Issue, structured.CHANGED_FIELDS)
_BATCH: Data = {"failed": INTEGER, "results": _array(OBJECT)}

ISSUE_PAGE = _answer({}, "issues", issues=_array(_row(Issue, structured.LISTED_FIELDS)), **_PAGING)
ISSUE_DETAIL = _answer(
    _row(Issue, structured.ISSUE_FIELDS),
    "id",
    fingerprints=_STRINGS,
    more_fingerprints=INTEGER,
    summary=OBJECT,
    occurrences=_array(_row(Occurrence, structured.OCCURRENCE_FIELDS)),
    occurrence_cursor=STRING,
    occurrence_has_more=BOOLEAN,
    occurrences_seen=INTEGER,
    comments=_array(OBJECT),
    attachments=_array(OBJECT),
)
MOVED = _answer(_CHANGED, comment_id=STRING, comment_error=STRING, moved=INTEGER, **_BATCH)
MERGED = _answer(_CHANGED, merged=INTEGER, **_BATCH)
COMMENT = _answer(_row(Comment, structured.COMMENT_FIELDS), "id")
COMMENTS = _answer({}, "comments", comments=_LISTED_COMMENTS, **_PAGING)
DELETED = _answer({}, "deleted", deleted=BOOLEAN)
EVENT = _answer(
    _row(EventDetail, (*structured.EVENT_FIELDS, "project_id", "custom_attributes")),
    "id",
    attachments=_array(OBJECT),
    **_PAGING,
)
BREADCRUMBS = _answer({}, "events", events=_array(_row(Event, structured.CRUMB_FIELDS)))
PROJECTS = _answer({}, "projects", projects=_array(_row(Project, structured.PROJECT_FIELDS)), **_PAGING)
IDENTITY = _answer(
    {},
    "type",
    type=STRING,
    key_type=STRING,
    id=STRING,
    name=STRING,
    team=OBJECT,
    permissions=_STRINGS,
    expires_at=STRING,
    user=OBJECT,
    teams=_array(OBJECT),
)
OVERVIEW = _answer(
    {},
    "production",
    as_of=STRING,
    production=OBJECT,
    development=OBJECT,
    covered=OBJECT,
    **{name: _array(OBJECT) for name in ("next", "regressed", "new", "claimed", "growing")},
)
DUPLICATES = _answer({}, "groups", groups=_array(OBJECT), compared=OBJECT, **_PAGING)
