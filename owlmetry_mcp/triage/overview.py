"""The state of a project at a glance: which of its issues to show, in which order, and what to look at next.

A backend brings candidates, of each section at least the first `SHOWN` by the section's order; what is shown of them,
and what is suggested, is decided here. Production comes before development everywhere. Ids settle what is even
otherwise, so that every backend shows the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.evidence import Claim, Coverage, Overview, Suggestion
from owlmetry_mcp.issues.lifecycle import STATUSES, Status
from owlmetry_mcp.issues.models import Comment, Issue

SHOWN = 5
"""Issues a section."""
SUGGESTED = 3
RECENT = timedelta(days=7)
"""Put aside, and seen so lately, an issue is growing. Left untouched for longer, a claim is stale."""
MANY_USERS = 10
"""Hit by so many, an issue that was put aside is suggested nevertheless."""
PUT_ASIDE: tuple[Status, ...] = ("silenced", "snoozed")

Counts = dict[Status, int]


class Candidates(NamedTuple):
    """Issues for each section; none stands in two."""

    regressed: Iterable[Issue]
    new: Iterable[Issue]
    claimed: Iterable[Claim]
    growing: Iterable[Issue]
    """Those that are growing; see `is_growing`."""


def overview(  # noqa: PLR0913 - what an overview is made of
    as_of: str,
    production: Counts,
    development: Counts,
    found: Candidates,
    coverage: Coverage,
    *,
    knows_silencing: bool,
) -> Overview:
    """The overview of an instant. An issue that may have been silenced after it was last seen is not suggested."""
    regressed = sorted(found.regressed, key=weight, reverse=True)[:SHOWN]
    new = sorted(found.new, key=weight, reverse=True)[:SHOWN]
    claimed = sorted(found.claimed, key=touched)[:SHOWN]
    growing = sorted(found.growing, key=_seen, reverse=True)[:SHOWN]
    suggestions = [
        *(Suggestion(issue=issue, reason="regressed") for issue in regressed),
        *(Suggestion(issue=issue, reason="new") for issue in new[:1]),
        *(Suggestion(issue=it.issue, reason="stale_claim") for it in claimed if _touched_at(it) <= recent_since(as_of)),
        *(
            Suggestion(issue=issue, reason="growing")
            for issue in sorted(growing, key=weight, reverse=True)
            if issue.unique_user_count >= MANY_USERS and (knows_silencing or issue.snoozed_at)
        ),
    ]
    suggested = [it for it in suggestions if not it.issue.is_dev] or suggestions
    return Overview(
        as_of=as_of,
        production=production,
        development=development,
        regressed=regressed,
        new=new,
        claimed=claimed,
        growing=growing,
        next=suggested[:SUGGESTED],
        coverage=coverage,
    )


def counts(issues: Iterable[Issue]) -> Counts:
    """Issues by status, in the order of the statuses."""
    found = Counter(issue.status for issue in issues)
    return {status: found[status] for status in STATUSES if found[status]}


def claim(issue: Issue, comments: Sequence[Comment], by: str | None = None, since: str | None = None) -> Claim:
    """An issue in progress, with the last of its comments; of no one known, since its last change."""
    last = max(comments, key=lambda comment: comment.created_at, default=None)
    return Claim(
        issue=issue,
        by=by,
        since=since or issue.updated_at,
        last_comment_by=last.author_name if last else None,
        last_comment_at=last.created_at if last else None,
    )


def weight(issue: Issue) -> tuple[bool, int, int, str, str]:
    """What hits most users comes first, then what has most occurrences, then the latest; in reverse, for sorting."""
    users, occurrences = issue.unique_user_count, issue.occurrence_count
    return not issue.is_dev, users, occurrences, issue.last_seen_at, issue.id


def touched(it: Claim) -> tuple[bool, str, str]:
    """What nobody has touched for longest comes first: neither claimed nor commented on since."""
    return it.issue.is_dev, _touched_at(it), it.issue.id


def recent_since(as_of: str) -> str:
    return times.to_text(datetime.fromisoformat(as_of) - RECENT)


def _touched_at(it: Claim) -> str:
    """When its holder last did something: what is merely seen again is not touched."""
    return max(it.since, it.last_comment_at or "")


def is_growing(issue: Issue, as_of: str) -> bool:
    """Whether it was put aside, and is seen nevertheless: lately, and after it was snoozed.

    When it was silenced, an issue does not say.
    """
    after = max(recent_since(as_of), issue.snoozed_at or "")
    return issue.status in PUT_ASIDE and issue.last_seen_at >= after


def _seen(issue: Issue) -> tuple[bool, str, str]:
    return not issue.is_dev, issue.last_seen_at, issue.id
