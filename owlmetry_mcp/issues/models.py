"""The API's resources. Ids are UUIDs in lower case; `…_at` and `timestamp` are instants as `times` writes them.

Source of the fields: the API reference ("Issues"), and the answers of a running server, which add the app
versions to issues and `app_user_id` to occurrences.
"""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

from owlmetry_mcp.issues.lifecycle import Status

DataMode = Literal["production", "development", "all"]
Role = Literal["owner", "admin", "member"]
AuthorType = Literal["agent", "user"]
KeyType = Literal["agent", "client", "import"]
Platform = Literal["apple", "android", "web", "backend"]
Level = Literal["info", "debug", "warn", "error"]
Order = Literal["asc", "desc"]

# A server's answers are held to these: what stands in them unquoted can be nothing but what it is.
_HEX = "[0-9a-fA-F]"
Id = Annotated[str, StringConstraints(pattern=rf"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$")]
Instant = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}[0-9:.]{0,16}(Z|[+-][0-9:]{2,5})$")
]
Cursor = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,300}$")]
Fingerprint = Annotated[str, StringConstraints(pattern=rf"^{_HEX}{{1,128}}$")]


class Resource(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)

    @classmethod
    def trusted(cls, values: Mapping[str, Any]) -> Self:
        """One of values that are known to be right, as of a store's own rows; what is not among them has its default.

        What `model_construct` does, without its look at every field of every one: it takes a sixth of the time.
        """
        fields = {**values}
        for name, default in _defaults(cls).items():
            fields.setdefault(name, default)
        made = cls.__new__(cls)
        object.__setattr__(made, "__dict__", fields)
        object.__setattr__(made, "__pydantic_fields_set__", {*values})
        object.__setattr__(made, "__pydantic_extra__", None)
        object.__setattr__(made, "__pydantic_private__", None)
        return made


@cache
def _defaults(kind: type[Resource]) -> dict[str, Any]:
    return {name: field.default for name, field in kind.model_fields.items() if not field.is_required()}


class Issue(Resource):
    """Errors with the same fingerprints, as one thing to be dealt with."""

    id: Id
    app_id: Id
    project_id: Id
    status: Status
    title: str
    source_module: str | None
    is_dev: bool
    """Seen in development builds; an issue is either a development or a production one."""
    occurrence_count: int
    """Sessions it was seen in."""
    unique_user_count: int
    resolved_at_version: str | None
    """App version that holds the fix; a newer one that shows the error again makes the issue regressed."""
    first_seen_app_version: str | None
    last_seen_app_version: str | None
    first_seen_sdk_version: str | None
    last_seen_sdk_version: str | None
    first_seen_at: Instant
    last_seen_at: Instant
    last_notified_at: Instant | None
    snoozed_at: Instant | None
    created_at: Instant
    updated_at: Instant
    fingerprints: list[Fingerprint]
    """SHA-256 hex digests, in no order."""
    app_name: str | None = None
    """Missing in the answers to a status change and a merge."""
    project_name: str | None = None
    """In a team-level list only."""


class IssuePage(Resource):
    issues: list[Issue]
    """Most recently seen first."""
    cursor: Cursor | None
    """Opaque; gives the next page. None on the last one."""
    has_more: bool


class Occurrence(Resource):
    """A session in which an issue was seen."""

    id: Id
    issue_id: Id
    session_id: Id
    user_id: str | None
    app_user_id: str | None = None
    app_version: str | None
    sdk_name: str | None
    sdk_version: str | None
    environment: str | None
    event_id: Id | None
    country_code: str | None
    timestamp: Instant
    created_at: Instant


class Comment(Resource):
    id: Id
    issue_id: Id
    author_type: AuthorType
    author_id: Id
    """The agent key's id, or the user's."""
    author_name: str
    body: str
    """Markdown."""
    created_at: Instant
    updated_at: Instant


class Deleted(Resource):
    deleted: bool


class Attachment(Resource):
    id: Id
    event_id: Id | None
    original_filename: str
    content_type: str
    size_bytes: int
    uploaded_at: Instant | None
    created_at: Instant


class Event(Resource):
    """Something that an app's SDK reported in a session; errors are what issues are made of."""

    id: Id
    app_id: Id
    client_event_id: str | None
    """Given by whoever sent it: the same one twice is one event."""
    session_id: Id
    user_id: str | None
    api_key_id: Id | None
    """The client or import key it came with; None if it came from a file."""
    level: Level
    source_module: str | None
    message: str
    screen_name: str | None
    custom_attributes: dict[str, str] | None
    """Those of the SDK's own making begin with `_`: `_error_type`, `_error_stack`, `_http_url`, …"""
    environment: str | None
    os_version: str | None
    app_version: str | None
    sdk_name: str | None
    sdk_version: str | None
    device_model: str | None
    build_number: str | None
    locale: str | None
    preferred_language: str | None
    country_code: str | None
    is_dev: bool
    timestamp: Instant
    """When it happened, by the sender's clock."""
    received_at: Instant


class EventDetail(Event):
    project_id: Id
    attachments: list[Attachment]


class EventPage(Resource):
    events: list[Event]
    cursor: Cursor | None
    """Opaque; gives the next page. None on the last one."""
    has_more: bool


class RejectedEvent(Resource):
    index: int
    """Its place in the batch, from 0."""
    message: str


class Ingested(Resource):
    """What became of a batch of events."""

    accepted: int
    """New ones; those known already count neither here nor below."""
    updated: int | None = None
    """Known ones that an import brought again; missing in the answer to an ingest."""
    rejected: int
    errors: list[RejectedEvent] | None = None
    """Missing where there are none."""


class IssueDetail(Issue):
    occurrences: list[Occurrence]
    """A page of them, most recent first."""
    occurrence_cursor: Cursor | None
    occurrence_has_more: bool
    occurrences_seen: int | None = None
    """Set where a server's paging loses occurrences: how many of `occurrence_count` could be reached so far."""
    comments: list[Comment]
    """All that are not deleted, in the order written."""
    attachments: list[Attachment]
    """The 100 most recent that are not deleted, most recent first."""


class Project(Resource):
    id: Id
    team_id: Id
    name: str
    slug: str
    created_at: Instant


class App(Resource):
    id: Id
    project_id: Id
    name: str
    bundle_id: str | None = None
    """Missing where the backend does not tell."""


class Team(Resource):
    id: Id
    name: str
    slug: str


class Membership(Team):
    role: Role


class User(Resource):
    id: Id
    email: str
    name: str


class KeyIdentity(Resource):
    """An API key, as `whoami` names it."""

    type: Literal["api_key"] = "api_key"
    key_type: KeyType
    id: Id | None = None
    """Missing in a live server's answer, as is the name."""
    name: str | None = None
    team: Team
    permissions: list[str]
    expires_at: Instant | None = None


class UserIdentity(Resource):
    """A user, as `whoami` names them. What a user may do follows from the role in each team."""

    type: Literal["user"] = "user"
    user: User
    teams: list[Membership]


Identity = KeyIdentity | UserIdentity
