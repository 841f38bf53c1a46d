"""The last 7 days of a project, or of all that the caller sees, in production: as far as a bounded walk of lists tells.

The API says of an issue when it was first and last seen and last changed, not when it was resolved or regressed; the
headings claim no more than that.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues import times, versions
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.parameters import MAX_LIMIT
from owlmetry_mcp.server import text
from owlmetry_mcp.server.answers import Answer
from owlmetry_mcp.server.markdown import MarkdownFence, section, whole
from owlmetry_mcp.server.structured import OVERVIEW
from owlmetry_mcp.server.untrusted import quoted

WEEK = timedelta(days=7)
MAX_PAGES = 5
"""Of 200 issues, a walk."""
MOST_FREQUENT = 10
_SECTION_SHARE = 0.4
"""Of the room that is left: none takes it all."""
_VERSION_LENGTH = 40


class Walk(NamedTuple):
    issues: Sequence[Issue]
    complete: bool
    """Whether those are all that were looked for."""


class Week(NamedTuple):
    since: str
    until: str
    seen: Walk
    """The issues that were seen in it, the latest first."""
    resolved: Walk
    """Those that are resolved and were last changed in it."""


async def week_until(now: str, backend: Backend, project_id: str | None) -> Week:
    since = times.to_text(datetime.fromisoformat(now) - WEEK)
    seen = await _walk(backend, project_id, None, since)
    resolved = await _walk(backend, project_id, "resolved", "")
    fixed = [row for row in resolved.issues if row.updated_at >= since]
    return Week(since, now, seen, Walk(fixed, resolved.complete))


async def _walk(backend: Backend, project_id: str | None, status: Status | None, since: str) -> Walk:
    """Issues last seen since then, page by page."""
    wanted = IssueFilter(status=status, data_mode="production")
    issues: dict[str, Issue] = {}
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await backend.list_team_issues(wanted, project_id=project_id, cursor=cursor, limit=MAX_LIMIT)
        issues |= {row.id: row for row in page.issues if row.last_seen_at >= since}
        cursor = page.cursor
        if cursor is None or page.issues[-1].last_seen_at < since:
            return Walk([*issues.values()], complete=True)
    return Walk([*issues.values()], complete=False)


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
    return f"all {what}" if walk.complete else f"of {what}, those among the {MAX_PAGES * MAX_LIMIT} most recently seen"
