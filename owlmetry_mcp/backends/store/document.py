"""A whole store as one JSON document: its sections are lists of rows in the API's own field names, and what the API
never shows besides: users' memberships, keys' digests, deletions, the audit trail.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from owlmetry_mcp.backends.store.access import secret_sha256
from owlmetry_mcp.issues import parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import AuthorType, Fingerprint, KeyType, Level, Platform, Role


def _id(value: str) -> str:
    try:
        return parameters.uuid("an id", value)
    except InvalidInputError as error:
        raise ValueError(error.message) from error


def _text(value: str) -> str:
    try:
        parameters.optional_text("text", value)
    except InvalidInputError as error:
        raise ValueError(error.message) from error
    return value


Id = Annotated[str, AfterValidator(_id)]
Text = Annotated[str, AfterValidator(_text)]
Instant = Annotated[str, AfterValidator(times.canonical)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class Row(BaseModel):
    """Strict, so that a number is not taken for text; fields it does not know are kept aside, to be named."""

    model_config = ConfigDict(strict=True, extra="allow", defer_build=True)


class TeamRow(Row):
    id: Id
    name: Text
    slug: Text
    created_at: Instant | None = None


class MembershipRow(Row):
    team_id: Id
    role: Role


class UserRow(Row):
    id: Id
    email: Text
    name: Text
    memberships: list[MembershipRow] = []
    created_at: Instant | None = None


class ProjectRow(Row):
    id: Id
    team_id: Id
    name: Text
    slug: Text
    created_at: Instant | None = None


class AppRow(Row):
    id: Id
    team_id: Id | None = None
    project_id: Id
    name: Text
    platform: Platform
    bundle_id: Text | None = None
    created_at: Instant | None = None


class KeyRow(Row):
    """A key by its secret or the digest of it; a local agent key has neither."""

    id: Id
    team_id: Id
    app_id: Id | None = None
    key_type: KeyType
    name: Text
    secret: Text | None = None
    secret_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    permissions: list[Text]
    expires_at: Instant | None = None
    revoked_at: Instant | None = None
    created_at: Instant | None = None

    @model_validator(mode="after")
    def _secret_fits(self) -> "KeyRow":
        prefix = f"owl_{self.key_type}_"
        if self.key_type != "agent" and self.app_id is None:
            raise ValueError(f"a key of type {self.key_type} needs an app_id")
        if self.secret is None:
            if self.secret_sha256 is None and self.key_type != "agent":
                raise ValueError(f"a key of type {self.key_type} needs a secret or a secret_sha256")
        elif not self.secret.startswith(prefix):
            raise ValueError(f"the secret of a key of type {self.key_type} begins with {prefix}")
        elif self.secret_sha256 not in (None, secret_sha256(self.secret)):
            raise ValueError("secret and secret_sha256 are not of the same key; leave one out")
        return self


class IssueRow(Row):
    id: Id
    app_id: Id
    project_id: Id | None = None
    status: Status
    title: Text
    source_module: Text | None = None
    is_dev: bool
    occurrence_count: Count
    unique_user_count: Count
    resolved_at_version: Text | None = None
    first_seen_app_version: Text | None = None
    last_seen_app_version: Text | None = None
    first_seen_sdk_version: Text | None = None
    last_seen_sdk_version: Text | None = None
    first_seen_at: Instant
    last_seen_at: Instant
    last_notified_at: Instant | None = None
    snoozed_at: Instant | None = None
    created_at: Instant
    updated_at: Instant


class FingerprintRow(Row):
    fingerprint: Fingerprint
    app_id: Id
    is_dev: bool
    issue_id: Id


class OccurrenceRow(Row):
    id: Id
    issue_id: Id
    session_id: Id
    user_id: Text | None = None
    app_version: Text | None = None
    sdk_name: Text | None = None
    sdk_version: Text | None = None
    environment: Text | None = None
    event_id: Id | None = None
    country_code: Text | None = None
    timestamp: Instant
    created_at: Instant


class CommentRow(Row):
    id: Id
    issue_id: Id
    author_type: AuthorType
    author_id: Id
    author_name: Text
    body: Text
    created_at: Instant
    updated_at: Instant
    deleted_at: Instant | None = None


class EventRow(Row):
    id: Id
    app_id: Id
    is_dev: bool
    session_id: Id
    client_event_id: Id | None = None
    api_key_id: Id | None = None
    level: Level
    message: Text
    source_module: Text | None = None
    screen_name: Text | None = None
    user_id: Text | None = None
    environment: Text | None = None
    os_version: Text | None = None
    app_version: Text | None = None
    sdk_name: Text | None = None
    sdk_version: Text | None = None
    device_model: Text | None = None
    build_number: Text | None = None
    locale: Text | None = None
    preferred_language: Text | None = None
    country_code: Text | None = None
    custom_attributes: dict[Text, Text] | None = None
    timestamp: Instant
    received_at: Instant
    scanned: bool = False
    """Whether the document's issues are of it already."""
    burst_begun_at: Instant | None = None


class PrunedRow(Row):
    """An event that is gone, and still known."""

    client_event_id: Id
    app_id: Id


class NotificationRow(Row):
    id: Id
    type: Literal["issue.new"]
    reason: Literal["opened", "regressed", "reopened"]
    issue_id: Id
    created_at: Instant


class AttachmentRow(Row):
    id: Id
    project_id: Id | None = None
    app_id: Id
    issue_id: Id | None = None
    event_id: Id | None = None
    original_filename: Text
    content_type: Text
    size_bytes: Count
    uploaded_at: Instant | None = None
    created_at: Instant
    deleted_at: Instant | None = None


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value, allow_nan=False)  # raises ValueError
    return value


class AuditRow(Row):
    at: Instant
    actor_type: Literal["agent", "user", "operator"]
    actor_id: Text | None = None
    actor_name: Text | None = None
    action: Text
    subject_id: Text
    detail: Annotated[dict[str, Any], AfterValidator(_finite)]


class Document(Row):
    teams: list[TeamRow] = []
    users: list[UserRow] = []
    projects: list[ProjectRow] = []
    apps: list[AppRow] = []
    api_keys: list[KeyRow] = []
    issues: list[IssueRow] = []
    fingerprints: list[FingerprintRow] = []
    occurrences: list[OccurrenceRow] = []
    comments: list[CommentRow] = []
    attachments: list[AttachmentRow] = []
    events: list[EventRow] = []
    pruned: list[PrunedRow] = []
    notifications: list[NotificationRow] = []
    audit: list[AuditRow] = []


SECTIONS: Mapping[str, type[Row]] = {
    name: get_args(field.annotation)[0] for name, field in Document.model_fields.items()
}
"""In an order in which no row names one of a later section."""

BLOBS: Mapping[str, tuple[str, ...]] = {
    "occurrences": ("id", "event_id"),
    "events": ("id", "client_event_id"),
    "pruned": ("client_event_id",),
    "notifications": ("id",),
}
"""Ids of their own that large tables keep as 16 bytes."""
