"""What a tool answers as text: the same story as the structured answer, in a compact form for reading.

An issue or an event is a line that begins with its id. What strangers wrote stands in double quotes, or behind `>`.
"""

from collections.abc import Iterable, Mapping, Sequence

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
    Occurrence,
    Project,
    UserIdentity,
)
from owlmetry_mcp.server.structured import crumb, short_title
from owlmetry_mcp.server.untrusted import indented, quoted

_FINGERPRINT_LENGTH = 12  # enough to tell them apart; nothing takes one as an argument


def issue_page(page: IssuePage) -> str:
    if not page.issues:
        return "No issues match."
    more = f"\nThere are more: cursor={page.cursor}" if page.cursor else ""
    return "\n".join(map(_listed_issue, page.issues)) + more


def _listed_issue(issue: Issue) -> str:
    return _joined(
        f"{issue.id} {issue.status} {quoted(short_title(issue.title))}",
        issue.is_dev and "dev",
        _counts(issue),
        f"last {_instant(issue.last_seen_at)}{_in_version(issue.last_seen_app_version)}",
        issue.resolved_at_version and f"fixed in {quoted(issue.resolved_at_version)}",
        _place(issue),
    )


def issue(found: Issue) -> str:
    """One issue, with all that it says of itself."""
    return "\n".join(_issue_lines(found))


def _issue_lines(found: Issue) -> list[str]:
    first = f"first seen {_instant(found.first_seen_at)}{_in_version(found.first_seen_app_version)}"
    last = f"last {_instant(found.last_seen_at)}{_in_version(found.last_seen_app_version)}"
    lines = [
        f"{found.id} {found.status} {quoted(found.title)}",
        _joined(_place(found), found.is_dev and "dev", _counts(found), first, last, _sdk(found)),
        _joined(
            found.resolved_at_version and f"fixed in {quoted(found.resolved_at_version)}",
            found.snoozed_at and f"snoozed {_instant(found.snoozed_at)}",
            found.last_notified_at and f"notified {_instant(found.last_notified_at)}",
            f"created {_instant(found.created_at)}",
            f"updated {_instant(found.updated_at)}",
        ),
        f"project {found.project_id}, app {found.app_id}",
    ]
    if found.fingerprints:
        shortened = (fingerprint[:_FINGERPRINT_LENGTH] for fingerprint in found.fingerprints)
        lines.append(f"fingerprints {' '.join(map(quoted, shortened))}")
    return lines


def issue_detail(found: IssueDetail) -> str:
    lines = _issue_lines(found)
    if found.occurrences:
        seen = found.occurrences_seen
        reached = "" if seen in (None, found.occurrence_count) else f"; {seen} could be reached so far"
        lines.append(f"Occurrences, latest first ({len(found.occurrences)} of {found.occurrence_count}{reached}):")
        lines += map(_occurrence, found.occurrences)
    if found.occurrence_cursor:
        lines.append(f"There are more: occurrence_cursor={found.occurrence_cursor}")
    if found.comments:
        lines.append(f"Comments ({len(found.comments)}):")
        lines += map(_listed_comment, found.comments)
    if found.attachments:
        lines.append(f"Attachments, latest first ({len(found.attachments)}):")
        lines += map(_attachment, found.attachments)
    return "\n".join(lines)


def comment(found: Comment) -> str:
    return f"On issue {found.issue_id}:\n{_listed_comment(found)}"


def comments(found: Sequence[Comment]) -> str:
    return "\n".join(map(_listed_comment, found)) or "No comments."


def event(found: EventDetail) -> str:
    attributes = {**(found.custom_attributes or {})}
    stack = attributes.pop(STACK_ATTRIBUTE, None)
    lines = [
        f"{found.id} {found.level} {quoted(found.message)}",
        _joined(*_where(found), found.is_dev and "dev"),
        _joined(
            _labelled("version", found.app_version),
            _labelled("build", found.build_number),
            _labelled("environment", found.environment),
            _labelled("OS", found.os_version),
            _labelled("device", found.device_model),
            _labelled("SDK", found.sdk_name, found.sdk_version),
            _labelled("locale", found.locale),
            _labelled("prefers", found.preferred_language),
            _labelled("country", found.country_code),
        ),
        _joined(
            f"at {_to_the_millisecond(found.timestamp)}",
            f"received {_to_the_millisecond(found.received_at)}",
            _labelled("user", found.user_id),
            f"session {found.session_id}",
        ),
        f"project {found.project_id}, app {found.app_id}",
    ]
    if attributes:
        lines += ["Attributes:", *(f"- {part}" for part in _attributes(attributes))]
    if stack:
        lines += ["Stack trace:", indented(stack)]
    if found.attachments:
        lines += [f"Attachments ({len(found.attachments)}):", *map(_attachment, found.attachments)]
    return "\n".join(filter(None, lines))


def breadcrumbs(found: Sequence[Event], event_id: str) -> str:
    """The events one a line, the one asked for marked."""
    return "\n".join(f"{_crumb(row)}{' <- this event' if row.id == event_id else ''}" for row in map(crumb, found))


def _crumb(row: Event) -> str:
    return _joined(
        f"{row.id} {_to_the_millisecond(row.timestamp)} {row.level} {quoted(row.message)}",
        *_where(row),
        *_attributes(row.custom_attributes or {}),
    )


def _where(row: Event) -> Sequence[str]:
    return _labelled("module", row.source_module), _labelled("screen", row.screen_name)


def _attributes(attributes: Mapping[str, str]) -> Iterable[str]:
    return (f"{quoted(name)}: {quoted(value)}" for name, value in attributes.items())


def projects(found: Sequence[Project]) -> str:
    lines = (f"{row.id} {quoted(row.name)} slug {quoted(row.slug)}, team {row.team_id}" for row in found)
    return "\n".join(lines) or "No projects."


def identity(found: KeyIdentity | UserIdentity) -> str:
    if isinstance(found, UserIdentity):
        teams = ", ".join(f"{team.role} of {quoted(team.name)} {team.id}" for team in found.teams)
        return f"User {quoted(found.user.name)} {quoted(found.user.email)} {found.user.id}: {teams or 'in no team'}"
    return _joined(
        f"{found.key_type} key {quoted(found.name or '')} {found.id or ''}".replace(' ""', "").rstrip(),
        f"team {quoted(found.team.name)} {found.team.id}",
        f"may {', '.join(found.permissions) or 'do nothing'}",
        found.expires_at and f"expires {_instant(found.expires_at)}",
    )


def _occurrence(row: Occurrence) -> str:
    said = (
        row.app_version,
        row.environment,
        f"{row.sdk_name or 'SDK'} {row.sdk_version or ''}" if row.sdk_name or row.sdk_version else None,
        row.country_code,
    )
    return _joined(
        f"- {_instant(row.timestamp)} {row.id}",
        *(quoted(part) for part in said if part),
        row.user_id and f"user {quoted(row.user_id)}",
        f"session {row.session_id}",
        row.event_id and f"event {row.event_id}",
    )


def _listed_comment(row: Comment) -> str:
    updated = f", updated {_instant(row.updated_at)}" if row.updated_at != row.created_at else ""
    author = f"{row.author_type} {quoted(row.author_name)} {row.author_id}"
    return f"- {row.id} by {author}, {_instant(row.created_at)}{updated}\n{indented(row.body)}"


def _attachment(row: Attachment) -> str:
    event = f", event {row.event_id}" if row.event_id else ""
    described = f"{quoted(row.original_filename)} {quoted(row.content_type)}"
    return f"- {row.id} {described}, {row.size_bytes} bytes, {_instant(row.created_at)}{event}"


def _counts(issue: Issue) -> str:
    return f"{_counted(issue.occurrence_count, 'occurrence')}, {_counted(issue.unique_user_count, 'user')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _place(issue: Issue) -> str:
    return "/".join(quoted(name) for name in (issue.project_name, issue.app_name, issue.source_module) if name)


def _sdk(issue: Issue) -> str | None:
    versions = [version for version in (issue.first_seen_sdk_version, issue.last_seen_sdk_version) if version]
    return f"SDK {' to '.join(map(quoted, dict.fromkeys(versions)))}" if versions else None


def _in_version(version: str | None) -> str:
    return f" in {quoted(version)}" if version else ""


def _instant(text: str) -> str:
    """To the minute: `2026-10-20 14:30Z`."""
    return f"{text[:10]} {text[11:16]}Z"


def _to_the_millisecond(text: str) -> str:
    return f"{text[:10]} {text[11:23]}Z"


def _labelled(label: str, *values: str | None) -> str:
    said = " ".join(quoted(value) for value in values if value)
    return said and f"{label} {said}"


def _joined(*parts: str | bool | None) -> str:
    return ", ".join(_present(parts))


def _present(parts: Iterable[str | bool | None]) -> Iterable[str]:
    return (part for part in parts if isinstance(part, str) and part)
