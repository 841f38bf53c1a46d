"""The last 7 days of a project, or of all that the caller sees, in production: as far as a bounded walk of lists tells.

The API says of an issue when it was first and last seen and last changed, not when it was resolved or regressed; the
headings claim no more than that.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from owlmetry_mcp.backends.base import Backend, Progress
from owlmetry_mcp.issues import times, versions
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.server import text
from owlmetry_mcp.server.answers import Answer
from owlmetry_mcp.server.markdown import MarkdownFence, section, whole
from owlmetry_mcp.server.structured import OVERVIEW

WEEK = timedelta(days=7)
MOST_READ = 1_000
"""Issues of either kind: the most recently seen."""
MOST_FREQUENT = 10
_SECTION_SHARE = 0.4
"""Of the room that is left: none takes it all."""
_VERSION_LENGTH = 40


class Walk(NamedTuple):
    issues: Sequence[Issue]
    complete: bool
    """Whether those are all that were looked for."""
    read: int
    """Among so many they were looked for: the most recently seen."""


class Week(NamedTuple):
    since: str
    until: str
    seen: Walk
    """The issues that were seen in it, the latest first."""
    resolved: Walk
    """Those that are resolved and were last changed in it."""


async def week_until(now: str, backend: Backend, project_id: str | None, progress: Progress) -> Week:
    since = times.to_text(datetime.fromisoformat(now) - WEEK)
    seen = await backend.issues(project_id, _of(None), MOST_READ, progress, since=since)
    resolved = await backend.issues(project_id, _of("resolved"), MOST_READ, progress)
    fixed = [row for row in resolved.issues if row.updated_at >= since]
    return Week(
        since,
        now,
        Walk(seen.issues, seen.coverage.complete, seen.coverage.seen),
        Walk(fixed, resolved.coverage.complete, resolved.coverage.seen),
    )


def _of(status: Status | None) -> IssueFilter:
    return IssueFilter(status=status, data_mode="production")


def of_version(week: Week, version: str) -> Week:
    """What of it was first or last seen in that app version, or is resolved in it."""

    def concerns(row: Issue) -> bool:
        named = (row.first_seen_app_version, row.last_seen_app_version, row.resolved_at_version)
        return any(versions.compare(name, version) == 0 for name in named if name)

    return week._replace(
        seen=week.seen._replace(issues=[row for row in week.seen.issues if concerns(row)]),
        resolved=week.resolved._replace(issues=[row for row in week.resolved.issues if concerns(row)]),
    )


def week_document(week: Week, version: str | None, max_bytes: int, fence: MarkdownFence) -> str:
    answer = Answer(max_bytes, fence, text_alone=True)
    answer.add({}, f"# The week from {week.since} to {week.until}\n", "Production alone. What was covered:\n")
    if version is not None:
        named = fence.around(quoted(version, _VERSION_LENGTH))
        answer.add({}, f"- only issues first or last seen in, or resolved in, version {named}")
    seen, resolved = week.seen, week.resolved
    answer.add({}, f"- {_all_or(seen, 'issues')} that were seen in it: {len(seen.issues)}")
    answer.add({}, f"- {_all_or(resolved, 'resolved issues')}: {len(resolved.issues)} of them last changed in it")
    first_seen = [row for row in seen.issues if row.first_seen_at >= week.since]
    regressed = [row for row in seen.issues if row.status == "regressed"]
    frequent = sorted(seen.issues, key=lambda row: (row.occurrence_count, row.unique_user_count), reverse=True)
    for heading, issues in (
        ("First seen in it", first_seen),
        ("Regressed, and seen in it", regressed),
        ("Resolved, and last changed in it", resolved.issues),
        ("Most frequent of those seen in it, by all their occurrences, earlier ones too", frequent[:MOST_FREQUENT]),
    ):
        if issues:
            lines = [text.overview_issue(row, OVERVIEW[0], fence) for row in issues]
            section(answer, f"{heading} ({len(lines)})", lines, "issues", share=_SECTION_SHARE)
        else:
            answer.add({}, f"\n## {heading}\n", "none")
    return whole(answer)


def _all_or(walk: Walk, what: str) -> str:
    return f"all {what}" if walk.complete else f"of {what}, those among the {walk.read} most recently seen"
