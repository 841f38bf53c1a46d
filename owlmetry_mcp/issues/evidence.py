"""What is made of issues and their occurrences for a triage: none of it the API's own, all of it countable again."""

from typing import Literal, NamedTuple

from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue, IssueDetail


class Tally(NamedTuple):
    value: str | None
    """None: the occurrences that do not say."""
    occurrences: int


class Breakdown(NamedTuple):
    """Occurrences by one of their values."""

    top: list[Tally]
    others: int = 0
    """How many more values there are."""
    others_count: int = 0
    """The occurrences with those."""


class OccurrenceSummary(NamedTuple):
    """What is known of an issue's occurrences together."""

    occurrences: int
    """How many it is made of; `occurrence_count` says how many there are."""
    sessions: int
    users: int
    first_at: str | None
    last_at: str | None
    app_versions: Breakdown
    """The most frequent first, as environments and countries."""
    environments: Breakdown
    countries: Breakdown
    days: Breakdown
    """By day (UTC, `2026-10-21`), the latest first."""


class Examination(NamedTuple):
    issue: IssueDetail
    """With its latest occurrences."""
    summary: OccurrenceSummary


class Claim(NamedTuple):
    """An issue in progress, and whose it is."""

    issue: Issue
    by: str | None
    """The name of who moved it there; None where the backend does not know."""
    since: str
    """When; where `by` is None, the issue's last change of any kind."""
    last_comment_by: str | None
    last_comment_at: str | None


Reason = Literal["regressed", "new", "stale_claim", "growing"]


class Suggestion(NamedTuple):
    """An issue to look at next."""

    issue: Issue
    reason: Reason


class Coverage(NamedTuple):
    """How much of what there is an answer is based on."""

    seen: int
    """Issues that were looked at."""
    complete: bool


class Overview(NamedTuple):
    """The state of a project, or of all that the caller sees. Lists hold few issues, those that matter most first."""

    as_of: str
    production: dict[Status, int]
    """Issues by status; a status without any is not there."""
    development: dict[Status, int]
    regressed: list[Issue]
    new: list[Issue]
    """Those that hit most users first."""
    claimed: list[Claim]
    """The longest untouched first."""
    growing: list[Issue]
    """Silenced or snoozed, and seen in the last 7 days nevertheless; the most recently seen first."""
    next: list[Suggestion]
    coverage: Coverage


class Coincidence(NamedTuple):
    """Two issues that were seen in the same sessions, within seconds of each other."""

    issue_ids: tuple[str, str]
    """In order."""
    sessions: int


class Coincidences(NamedTuple):
    pairs: list[Coincidence]
    coverage: Coverage


EvidenceKind = Literal["same_message", "same_sessions", "similar_wording"]


class Evidence(NamedTuple):
    kind: EvidenceKind
    sessions: int | None = None
    """Of same_sessions: in how many both were seen."""
    similarity: float | None = None
    """Of similar_wording: 0 to 1."""


class DuplicateCandidate(NamedTuple):
    issue: Issue
    score: float
    """How likely it is the target's duplicate, 0 to 1."""
    evidence: list[Evidence]
    """What speaks for it: that it is like the target, or like another of the group."""


TargetReason = Literal["claimed", "open", "most_occurrences", "first_seen", "clearest_title"]


class DuplicateGroup(NamedTuple):
    """Issues that may be one."""

    target: Issue
    """The one to keep."""
    target_reasons: list[TargetReason]
    candidates: list[DuplicateCandidate]
    """The likeliest first."""
    score: float


class ManyIssues(NamedTuple):
    issues: list[Issue]
    """Most recently seen first."""
    coverage: Coverage


class FoundIssues(NamedTuple):
    """Issues whose ids begin alike."""

    issues: list[Issue]
    """A few of them, where there are many."""
    coverage: Coverage
