"""What a tool answers as text: the same story as the structured answer, in a compact form for reading.

An issue or an event is a line that begins with its id. What strangers wrote stands quoted within the answer's fence.
"""

from collections.abc import Iterable, Sequence

from owlmetry_mcp.issues.evidence import Claim, DuplicateCandidate, DuplicateGroup, Evidence, OccurrenceSummary
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
from owlmetry_mcp.issues.quoting import LONGEST_ESCAPE, quoted
from owlmetry_mcp.server.structured import (
    LISTED,
    NAME_LENGTH,
    SHOWN_FINGERPRINTS,
    Lengths,
    counted,
    crumb_attributes,
)
from owlmetry_mcp.server.untrusted import Fence

_FINGERPRINT_LENGTH = 12  # enough to tell them apart; nothing takes one as an argument


def listed_issue(row: Issue, fence: Fence) -> str:
    """An issue on a line; the instant is when it was last seen."""
    return _joined(
        f"{row.id} {row.status} {_counts(row)}",
        row.is_dev and "dev",
        _instant(row.last_seen_at),
        fence.around(
            _joined(
                f"{quoted(row.title, LISTED.long)}{_in_version(row.last_seen_app_version, LISTED)}",
                _fixed(row, LISTED),
                _place(row, LISTED),
            )
        ),
    )


def overview_issue(row: Issue, lengths: Lengths, fence: Fence) -> str:
    return _joined(
        f"- {row.id} {row.status} {_counts(row)}",
        row.is_dev and "dev",
        f"last {_instant(row.last_seen_at)}",
        fence.around(
            _joined(
                f"{quoted(row.title, lengths.long)}{_in_version(row.last_seen_app_version, lengths)}",
                _fixed(row, lengths),
                row.project_name and quoted(row.project_name, lengths.field),
            )
        ),
    )


def issue_lines(found: Issue, lengths: Lengths, fence: Fence) -> list[str]:
    """One issue, with all that it says of itself."""
    first = f"first seen {_instant(found.first_seen_at)}"
    last = f"last {_instant(found.last_seen_at)}"
    lines = [
        _joined(f"{found.id} {found.status}", found.is_dev and "dev", _counts(found), first, last),
        fence.around(
            _joined(
                quoted(found.title, lengths.long),
                _place(found, lengths),
                _labelled("first in", found.first_seen_app_version, most=lengths.field),
                _labelled("last in", found.last_seen_app_version, most=lengths.field),
                _fixed(found, lengths),
                _sdk(found, lengths),
            )
        ),
        _joined(
            found.snoozed_at and f"snoozed {_instant(found.snoozed_at)}",
            found.last_notified_at and f"notified {_instant(found.last_notified_at)}",
            f"created {_instant(found.created_at)}",
            f"updated {_instant(found.updated_at)}",
        ),
        f"project {found.project_id}, app {found.app_id}",
    ]
    if found.fingerprints:
        shown = [row[:_FINGERPRINT_LENGTH] for row in found.fingerprints[:SHOWN_FINGERPRINTS]]
        more = len(found.fingerprints) - len(shown)
        lines.append(f"fingerprints {' '.join(shown)}{f' and {more} more' if more else ''}")
    return lines


def changed_issue(found: Issue, fence: Fence) -> str:
    return _joined(
        f"{found.id} {found.status} {_counts(found)}",
        found.snoozed_at and f"snoozed {_instant(found.snoozed_at)}",
        f"seen {_instant(found.first_seen_at)} to {_instant(found.last_seen_at)}",
        f"updated {_instant(found.updated_at)}",
        fence.around(
            _joined(
                quoted(found.title, LISTED.long),
                _fixed(found, LISTED),
            )
        ),
    )


def occurrence(row: Occurrence, fence: Fence) -> str:
    of = f"event {row.event_id}" if row.event_id else f"session {row.session_id}"
    version = row.app_version and quoted(row.app_version, LISTED.field)
    words = _joined(version, _labelled("user", row.user_id, most=LISTED.field))
    return _present_joined(f"- {_instant(row.timestamp)} {of}", fence.around(words))


def summary_lines(found: OccurrenceSummary, total: int, fence: Fence) -> list[str]:
    counted_of = f"{found.occurrences} of {total}" if found.occurrences != total else f"all {total}"
    lines = [
        _joined(
            f"Summary of {counted_of} occurrences: {_counted(found.sessions, 'session')}",
            _counted(found.users, "user"),
            found.first_at and found.last_at and f"{_instant(found.first_at)} to {_instant(found.last_at)}",
        )
    ]
    for label, breakdown in (
        ("versions", found.app_versions), ("environments", found.environments), ("countries", found.countries),
    ):  # fmt: skip
        if breakdown.top:
            values = ", ".join(f"{quoted(value)} {count}" for value, count in counted(breakdown).items())
            lines.append(f"{label} {fence.around(values)}{_others(breakdown.others, breakdown.others_count)}")
    if found.days.top:
        days = ", ".join(f"{value} {count}" for value, count in counted(found.days).items())
        lines.append(f"days {days}{_others(found.days.others, found.days.others_count)}")
    return lines


def _others(others: int, count: int) -> str:
    return f" and {others} more with {count}" if others else ""


def claim(found: Claim, lengths: Lengths, fence: Fence) -> str:
    said = _joined(
        quoted(found.issue.title, lengths.long),
        _labelled("claimed by", found.by, most=lengths.field),
        _labelled("last comment by", found.last_comment_by, most=lengths.field),
        found.issue.project_name and quoted(found.issue.project_name, lengths.field),
    )
    return _joined(
        f"- {found.issue.id}",
        found.issue.is_dev and "dev",
        f"{'claimed' if found.by else 'last changed'} {_instant(found.since)}",
        found.last_comment_at and f"last comment {_instant(found.last_comment_at)}",
        fence.around(said),
    )


def duplicate_group(found: DuplicateGroup, most: int, fence: Fence) -> str:
    reasons = ", ".join(reason.replace("_", " ") for reason in found.target_reasons)
    keep = f"Keep{f' ({reasons})' if reasons else ''}: {_duplicate(found.target, fence)}"
    more = len(found.candidates) - most
    rest = [f"- {more} more; find_duplicates with issue_id={found.target.id} shows them"] if more > 0 else []
    return "\n".join([keep, *(_candidate(row, fence) for row in found.candidates[:most]), *rest])


def _candidate(row: DuplicateCandidate, fence: Fence) -> str:
    evidence = ", ".join(map(_evidence, row.evidence))
    return f"- {row.score:.2f} ({evidence}) {_duplicate(row.issue, fence)}"


def _evidence(part: Evidence) -> str:
    match part.kind:
        case "same_sessions":
            return f"same {_counted(part.sessions or 0, 'session')}"
        case "similar_wording":
            return f"wording {part.similarity or 0:.2f}"
        case _:
            return "same message"


def _duplicate(row: Issue, fence: Fence) -> str:
    words = fence.around(_joined(quoted(row.title, LISTED.long), _place(row, LISTED)))
    return _joined(
        f"{row.id} {row.status} {_counted(row.occurrence_count, 'occurrence')}",
        row.is_dev and "dev",
        f"last {_instant(row.last_seen_at)}",
        words,
    )


def event_lines(found: EventDetail, lengths: Lengths, fence: Fence) -> list[str]:
    """One event, but for its attributes."""
    labels = (
        ("version", found.app_version), ("build", found.build_number), ("environment", found.environment),
        ("OS", found.os_version), ("device", found.device_model), ("SDK", found.sdk_name, found.sdk_version),
        ("locale", found.locale), ("prefers", found.preferred_language), ("country", found.country_code),
        ("user", found.user_id),
    )  # fmt: skip
    return [
        _joined(
            f"{found.id} {found.level} at {_to_the_millisecond(found.timestamp)}",
            f"received {_to_the_millisecond(found.received_at)}",
            found.is_dev and "dev",
        ),
        fence.around(_joined(quoted(found.message, lengths.long), *_where(found, lengths))),
        fence.around(_joined(*(_labelled(label, *values, most=lengths.field) for label, *values in labels))),
        f"session {found.session_id}, project {found.project_id}, app {found.app_id}",
    ]


def attribute(name: str, value: str, fence: Fence, *, goes_on: bool = False) -> str:
    """An attribute, or the rest of one whose beginning another answer showed; the value whole."""
    words = fence.around(f"{quoted(name)}: {quoted(value, len(value) * LONGEST_ESCAPE)}")
    return f"- goes on: {words}" if goes_on else f"- {words}"


def crumb(row: Event, asked_for: str, fence: Fence, *, attributes: bool = True) -> str:
    """An event on a line; the one asked for is marked."""
    said = _attributes(crumb_attributes(row)) if attributes else ()
    words = _joined(quoted(row.message, LISTED.long), *_where(row, LISTED), *said)
    line = f"{row.id} {_to_the_millisecond(row.timestamp)} {row.level} {fence.around(words)}"
    return f"{line} <- this event" if row.id == asked_for else line


def _where(row: Event, lengths: Lengths) -> Sequence[str]:
    return (
        _labelled("module", row.source_module, most=lengths.field),
        _labelled("screen", row.screen_name, most=lengths.field),
    )


def _attributes(attributes: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (f"{quoted(name, LISTED.long)}: {quoted(value, LISTED.long)}" for name, value in attributes)


def project(row: Project, fence: Fence) -> str:
    return f"{row.id} {fence.around(f'{quoted(row.name)}, slug {quoted(row.slug)}')}, team {row.team_id}"


def team(row: Membership, fence: Fence) -> str:
    return f"- {row.role} of team {row.id} {fence.around(f'{quoted(row.name)}, slug {quoted(row.slug)}')}"


def identity_lines(found: KeyIdentity | UserIdentity, fence: Fence, *, permissions: bool = True) -> list[str]:
    if isinstance(found, UserIdentity):
        words = fence.around(f"{quoted(found.user.name, NAME_LENGTH)}, {quoted(found.user.email, NAME_LENGTH)}")
        return [f"user {found.user.id} {words}"]
    team = fence.around(
        _joined(
            _labelled("named", found.name, most=NAME_LENGTH),
            f"team {quoted(found.team.name, NAME_LENGTH)}, slug {quoted(found.team.slug, NAME_LENGTH)}",
        )
    )
    held = ", ".join(quoted(name, NAME_LENGTH) for name in found.permissions) or "do nothing"
    return [
        _present_joined(f"{found.key_type} key", found.id, team, f"team {found.team.id}"),
        _joined(permissions and f"may {held}", found.expires_at and f"expires {_instant(found.expires_at)}"),
    ]


def comment_line(row: Comment, fence: Fence) -> str:
    return f"{comment_head(row, fence)}\n{fence.block(row.body)}"


def comment_head(row: Comment, fence: Fence) -> str:
    updated = f", updated {_instant(row.updated_at)}" if row.updated_at != row.created_at else ""
    author = f"{row.author_type} {row.author_id}"
    named = fence.around(quoted(row.author_name, NAME_LENGTH))
    return f"- {row.id} by {author} {named}, {_instant(row.created_at)}{updated}"


def attachment(row: Attachment, fence: Fence) -> str:
    event = f", event {row.event_id}" if row.event_id else ""
    described = fence.around(f"{quoted(row.original_filename)} {quoted(row.content_type)}")
    return f"- {row.id} {described}, {row.size_bytes} bytes, {_instant(row.created_at)}{event}"


def _counts(issue: Issue) -> str:
    return f"{issue.occurrence_count} occ., {_counted(issue.unique_user_count, 'user')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _place(issue: Issue, lengths: Lengths) -> str:
    names = (issue.project_name, issue.app_name, issue.source_module)
    return "/".join(quoted(name, lengths.field) for name in names if name)


def _sdk(issue: Issue, lengths: Lengths) -> str | None:
    versions = [version for version in (issue.first_seen_sdk_version, issue.last_seen_sdk_version) if version]
    shown = " to ".join(quoted(version, lengths.field) for version in dict.fromkeys(versions))
    return shown and f"SDK {shown}"


def _in_version(version: str | None, lengths: Lengths) -> str:
    return f" in {quoted(version, lengths.field)}" if version else ""


def _fixed(issue: Issue, lengths: Lengths) -> str | None:
    return issue.resolved_at_version and f"fixed in {quoted(issue.resolved_at_version, lengths.field)}"


def _instant(text: str) -> str:
    """To the minute: `2026-10-20 14:30Z`."""
    return f"{text[:10]} {text[11:16]}Z"


def _to_the_millisecond(text: str) -> str:
    return f"{text[:10]} {text[11:23]}Z"


def _labelled(label: str, *values: str | None, most: int) -> str:
    said = " ".join(quoted(value, most) for value in values if value)
    return said and f"{label} {said}"


def _joined(*parts: str | bool | None) -> str:
    return ", ".join([part for part in parts if part and part is not True])


def _present_joined(*parts: str | bool | None) -> str:
    return " ".join([part for part in parts if part and part is not True])
