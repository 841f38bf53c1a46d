"""What the API's description says of each operation beyond its route and its answer's model."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from owlmetry_mcp.http.requests import MAX_BODY_SECONDS
from owlmetry_mcp.issues import events, parameters
from owlmetry_mcp.issues.lifecycle import MAX_VERSION_LENGTH, MOVES, STATUSES
from owlmetry_mcp.issues.models import (
    Comment,
    DataMode,
    Deleted,
    EventDetail,
    EventPage,
    Ingested,
    Issue,
    IssueDetail,
    IssuePage,
    KeyIdentity,
    Level,
    Order,
    Project,
    UserIdentity,
)
from owlmetry_mcp.rest import operations
from owlmetry_mcp.rest.requests import MAX_BODY_BYTES, MAX_IMPORT_BYTES

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
UUID: Schema = {"type": "string", "format": "uuid", "pattern": f"^{parameters.UUID.pattern}$"}

CALLERS = ("agentKey", "userToken")
ANY_CREDENTIAL = (*CALLERS, "clientKey", "importKey")


class Parameter(NamedTuple):
    name: str
    schema: Schema
    text: str
    required: bool = False


class Operation(NamedTuple):
    summary: str
    answer: Schema
    text: str = ""
    callers: tuple[str, ...] = CALLERS
    """The security schemes, any of which will do."""
    permission: str | None = None
    """What a key needs; users need none."""
    query: tuple[Parameter, ...] = ()
    body: Schema | None = None
    body_text: str = ""
    status: int = 200


def ref(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*required]}


def _list_of(model: type[BaseModel], name: str) -> Schema:
    return _object(name, **{name: {"type": "array", "items": ref(model)}})


def _optional(schema: Schema, text: str = "") -> Schema:
    """What may be null as well, which is as good as leaving it out."""
    return {"anyOf": [schema, {"type": "null"}]} | ({"description": text} if text else {})


def _limit(name: str = "limit") -> Parameter:
    schema = {"type": "integer", "minimum": 1, "default": parameters.DEFAULT_LIMIT}
    most = parameters.MAX_LIMIT
    return Parameter(name, schema, f"Items a page, from 1 to {most}; what is more is taken as {most}.")


def _cursor(name: str = "cursor") -> Parameter:
    return Parameter(name, TEXT, f"The `{name}` of the page before, as it came; left out for the first page.")


def _data_mode(default: DataMode) -> Parameter:
    schema = {"type": "string", "enum": [*get_args(DataMode)], "default": default}
    return Parameter("data_mode", schema, "What production builds reported, what development builds did, or both.")


def _issue_filter(default_mode: DataMode) -> tuple[Parameter, ...]:
    return (
        Parameter("status", {"type": "string", "enum": [*STATUSES]}, "Issues in this status alone."),
        Parameter("app_id", UUID, "Issues of this app alone."),
        Parameter("is_dev", {"type": "boolean"}, "Seen in development builds, or not. Goes before `data_mode`."),
        _data_mode(default_mode),
        _cursor(),
        _limit(),
    )


_BODY = _object(
    "body",
    body={
        "type": "string",
        "pattern": "\\S",
        "description": "Markdown, without NUL and unpaired surrogates. Blanks at its ends are taken off.",
    },
)
_STATUS_CHANGE = _object(
    "status",
    status={"type": "string", "enum": sorted({status for moves in MOVES.values() for status in moves})},
    resolved_at_version=_optional(
        TEXT,
        f"App version that holds the fix, of 1 to {MAX_VERSION_LENGTH} characters without blanks at its ends; required"
        " with `resolved`, passed over with any other status.",
    ),
)
_MOVES = "\n".join(f"| {status} | {', '.join(moves)} |" for status, moves in MOVES.items())
_EVENT = _object(
    *("message", "level", "session_id"),
    message={"type": "string", "minLength": 1, "maxLength": events.MAX_MESSAGE_LENGTH},
    level={"type": "string", "enum": [*events.LEVELS]},
    session_id=UUID,
    client_event_id=_optional(UUID, "The same one sent twice is one event."),
    timestamp=_optional(
        TEXT, "When it happened, ISO 8601, UTC where it names no offset; now, where it is left out."
    ),
    is_dev=_optional({"type": "boolean"}, "From a development build."),
    environment=_optional(
        {"type": "string", "enum": [name for names in events.ENVIRONMENTS.values() for name in names]},
        "One of those of the app's platform.",
    ),
    **{name: _optional(TEXT, f"Cut at {events.MAX_TEXT_LENGTH} characters.") for name in events.TEXTS},
    custom_attributes=_optional(
        {"type": "object", "additionalProperties": TEXT},
        f"At most {events.MAX_ATTRIBUTES} are kept; values are cut at {events.MAX_ATTRIBUTE_LENGTH} characters,"
        f" `{events.STACK_ATTRIBUTE}` at {events.MAX_STACK_LENGTH}.",
    ),
    attachments=_optional(
        {
            "type": "array",
            "maxItems": events.MAX_ATTACHMENTS,
            "items": _object(
                *("original_filename", "size_bytes"),
                original_filename={"type": "string", "minLength": 1},
                content_type=_optional(TEXT),
                size_bytes={"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
            ),
        },
        "What is known of files that came with it; the files themselves are not kept here.",
    ),
)  # fmt: skip
_ONE_BY_ONE = (
    "Events are checked one by one: what is wrong with one is told by its place in the batch, the rest is taken."
)


def _batch(most: int) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": {"$ref": "#/components/schemas/NewEvent"}}


def _body_text(most_bytes: int) -> str:
    return (
        f"At most {most_bytes // 2**20} MiB, which come within {MAX_BODY_SECONDS:.0f} seconds."
        " With `Content-Encoding: gzip` it is unpacked, and held to the same size before and after."
        " Further fields are passed over."
    )


_SMALL = _body_text(MAX_BODY_BYTES)

OWN_SCHEMAS: Mapping[str, Schema] = MappingProxyType(
    {
        "Error": _object("error", error={"type": "string", "description": "What is wrong, for a person to read."}),
        "NewEvent": _EVENT,
    }
)

OPERATIONS: Mapping[Callable[..., Any], Operation] = MappingProxyType(
    {
        operations.health: Operation(
            "Tell whether the server runs",
            _object("status", status={"const": "ok"}),
            "Needs no credentials, and does not look at the store.",
            callers=(),
        ),
        operations.describe: Operation(
            "Describe this API", {"type": "object"}, "This document. Needs no credentials.", callers=()
        ),
        operations.whoami: Operation(
            "Tell who a credential belongs to, and what it may do",
            {"oneOf": [ref(KeyIdentity), ref(UserIdentity)]},
            callers=ANY_CREDENTIAL,
        ),
        operations.list_projects: Operation(
            "List the projects of the caller's teams, by name",
            _list_of(Project, "projects"),
            permission="projects:read",
        ),
        operations.ingest: Operation(
            "Take in what an app's SDK reports",
            ref(Ingested),
            f"{_ONE_BY_ONE} Errors become issues at once. A timestamp may lie {events.MAX_AGE.days} days in the past"
            f" and {events.MAX_AHEAD.seconds // 60} minutes in the future.",
            callers=("clientKey",),
            permission="events:write",
            body=_object(
                "events",
                events=_batch(events.MAX_INGESTED),
                bundle_id=_optional(TEXT, "The app's; required where the app has one."),
            ),
            body_text=_SMALL,
        ),
        operations.import_events: Operation(
            "Take in events of any age",
            ref(Ingested),
            f"{_ONE_BY_ONE} One that is known by its `client_event_id` is put in the place of the known one.",
            callers=("importKey",),
            permission="events:write",
            body=_object("events", events=_batch(events.MAX_IMPORTED)),
            body_text=_body_text(MAX_IMPORT_BYTES),
        ),
        operations.list_events: Operation(
            "List the events of a session, newest first",
            ref(EventPage),
            permission="events:read",
            query=(
                Parameter("session_id", UUID, "The session.", required=True),
                Parameter("since", TEXT, "An instant, ISO 8601, UTC where it names no offset; nothing before it."),
                Parameter(
                    "level",
                    {"type": "array", "minItems": 1, "items": {"type": "string", "enum": [*get_args(Level)]}},
                    "One level or several, with commas between them.",
                ),
                _data_mode("production"),
                Parameter(
                    "order",
                    {"type": "string", "enum": [*get_args(Order)], "default": "desc"},
                    "By the events' timestamps.",
                ),
                _cursor(),
                _limit(),
            ),
        ),
        operations.get_event: Operation("Get one event in full", ref(EventDetail), permission="events:read"),
        operations.list_team_issues: Operation(
            "List the issues of all the caller's teams, most recently seen first",
            ref(IssuePage),
            "Each issue has a `project_name` besides.",
            permission="issues:read",
            query=(
                Parameter("team_id", UUID, "Issues of this team alone."),
                Parameter("project_id", UUID, "Issues of this project alone."),
                *_issue_filter("production"),
            ),
        ),
        operations.list_issues: Operation(
            "List the issues of a project, most recently seen first",
            ref(IssuePage),
            permission="issues:read",
            query=_issue_filter("all"),
        ),
        operations.get_issue: Operation(
            "Get one issue, with a page of its occurrences, its comments and its attachments",
            ref(IssueDetail),
            permission="issues:read",
            query=(_cursor("occurrence_cursor"), _limit("occurrence_limit")),
        ),
        operations.update_status: Operation(
            "Move an issue to another status",
            ref(Issue),
            "The answer has no `app_name`. The moves there are; only the scan for new errors makes an issue"
            f" regressed:\n\n| from | to |\n|---|---|\n{_MOVES}",
            permission="issues:write",
            body=_STATUS_CHANGE,
            body_text=_SMALL,
        ),
        operations.merge: Operation(
            "Move all that a source issue has to this issue, the target, and delete the source",
            ref(Issue),
            "Cannot be undone. Both are of one project. Of occurrences in the same session one is kept."
            " The answer has no `app_name`.",
            permission="issues:write",
            body=_object("source_issue_id", source_issue_id=UUID),
            body_text=_SMALL,
        ),
        operations.list_comments: Operation(
            "List an issue's comments in the order written",
            _list_of(Comment, "comments"),
            permission="issues:read",
        ),
        operations.add_comment: Operation(
            "Comment on an issue", ref(Comment), permission="issues:write", body=_BODY, body_text=_SMALL, status=201
        ),
        operations.edit_comment: Operation(
            "Change a comment of one's own", ref(Comment), permission="issues:write", body=_BODY, body_text=_SMALL
        ),
        operations.delete_comment: Operation(
            "Delete a comment of one's own; a team's admins and owners delete any",
            ref(Deleted),
            permission="issues:write",
        ),
    }
)
