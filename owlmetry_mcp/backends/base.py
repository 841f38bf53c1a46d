"""The Backend protocol: an issue tracker, opened for one credential and acting as it."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from owlmetry_mcp.issues.evidence import Coincidences, Examination, FoundIssues, ManyIssues, Overview
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.models import (
    App,
    Comment,
    Event,
    EventDetail,
    EventPage,
    Identity,
    Ingested,
    Issue,
    IssueDetail,
    IssuePage,
    Project,
)

Progress = Callable[[str], Awaitable[None]]
"""Told what has been read so far, by an operation that may have to ask a server many times."""

MOST_ISSUES = 10_000
"""That `Backend.issues` reads."""


class Call:
    """What a call is made of: so many operations that may take long, one after the other."""

    def __init__(self, operations: int) -> None:
        self._to_come = operations
        self.began: dict[object, float] = {}
        """When, by the clock of each that keeps one."""
        self.known: set[object] = set()
        """What is known whole since then, of those that read it."""

    def share(self) -> float:
        """How much of the time that is left the operation may take that begins now: as much as each of the rest."""
        share = 1 / max(self._to_come, 1)
        self._to_come -= 1
        return share


CALL: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call at hand; None: each operation is a call of its own."""


@contextmanager
def one_call(operations: int) -> Iterator[None]:
    """The operations inside share one call's time; what one leaves of its share, those behind it have."""
    token = CALL.set(Call(operations))
    try:
        yield
    finally:
        CALL.reset(token)


class Backend(Protocol):
    """Every operation of the issues API, as the caller that the backend was opened for.

    Shapes are those of `issues.models`; ids are UUIDs, limits count items a page (1 or more, above 200 taken as
    200, 50 where none is named), cursors are opaque and come from the page before.

    Every operation may raise
        InvalidInputError: a parameter it cannot take, named with what it takes;
        UnauthenticatedError: the credential is wrong, revoked or expired;
        PermissionDeniedError: the credential lacks `issues:read`, `issues:write` or `projects:read`;
        NotFoundError: no such project, issue or comment, or one of a team that the caller is not in;
        StoreError: the backend itself cannot be used now.
    An operation that raises has changed nothing, and what one returns is there to stay.

    Source: the API reference ("Issues"), and a running server's answers where it is silent.
    """

    async def whoami(self) -> Identity: ...

    async def list_projects(self) -> list[Project]:
        """All projects of the caller's teams, by name. Needs `projects:read`."""
        ...

    async def list_issues(
        self, project_id: str, wanted: IssueFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> IssuePage:
        """A project's issues, most recently seen first; development and production unless the filter says which.

        Walking the pages shows every issue that stays in the selection exactly once, whatever changes meanwhile.
        """
        ...

    async def list_team_issues(
        self,
        wanted: IssueFilter,
        *,
        team_id: str | None = None,
        project_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> IssuePage:
        """The issues of all projects of the caller's teams, with their projects' names.

        Production alone unless the filter says otherwise. A team or project that the caller is not in has no issues
        here.
        """
        ...

    async def get_issue(
        self,
        project_id: str,
        issue_id: str,
        *,
        occurrence_cursor: str | None = None,
        occurrence_limit: int | None = None,
    ) -> IssueDetail: ...

    async def update_status(
        self, project_id: str, issue_id: str, status: str, *, resolved_at_version: str | None = None
    ) -> Issue:
        """Move an issue. Of two callers who make the same move at once, one gets a ForbiddenMoveError.

        Raises:
            ForbiddenMoveError: the lifecycle has no such move from where the issue is.
        """
        ...

    async def merge(self, project_id: str, target_issue_id: str, source_issue_id: str) -> Issue:
        """Move everything of the source to the target, delete the source, and return the target. Cannot be undone."""
        ...

    async def list_comments(self, project_id: str, issue_id: str) -> list[Comment]:
        """In the order written, deleted ones left out."""
        ...

    async def add_comment(self, project_id: str, issue_id: str, body: str) -> Comment:
        """Comment as the caller. Blanks around the body are taken off."""
        ...

    async def edit_comment(self, project_id: str, issue_id: str, comment_id: str, body: str) -> Comment:
        """
        Raises:
            PermissionDeniedError: the caller is not the comment's author.
        """
        ...

    async def delete_comment(self, project_id: str, issue_id: str, comment_id: str) -> None:
        """
        Raises:
            PermissionDeniedError: the caller is neither the author nor an admin or owner of the team.
        """
        ...

    async def get_event(self, event_id: str) -> EventDetail:
        """An event, as an occurrence names it. Needs `events:read`, as the next two do."""
        ...

    async def list_events(
        self, wanted: EventFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> EventPage:
        """A session's events, latest first unless the filter says otherwise; production alone likewise."""
        ...

    async def get_breadcrumbs(self, event_id: str, *, limit: int | None = None) -> list[Event]:
        """What led to an event: the latest `limit` events of its session and its mode up to it, the event itself among
        them, in the order they happened; and up to 5 that came after it.
        """
        ...

    # What the API does not have, and a triage needs. The embedded store counts; a live server is asked for what it
    # lists, up to a bound, and within one call's time: when that is up, the answer is made of what was read until then.
    # How far that went, the answer's `coverage` says, or of an examination, its summary.

    async def list_apps(self, progress: Progress) -> list[App]:
        """The apps of all projects of the caller's teams, by name; of a live server, those with issues."""
        ...

    async def issues(
        self, project_id: str | None, wanted: IssueFilter, most: int, progress: Progress, *, since: str | None = None
    ) -> ManyIssues:
        """The most recently seen, up to so many, above 10,000 taken as that; since an instant, if it is named.

        As `list_issues` lists a project's and, without one, `list_team_issues` those of all.
        """
        ...

    async def find_issues(
        self, prefix: str, progress: Progress, *, project_id: str | None = None, surely: bool = False
    ) -> FoundIssues:
        """The issues, of one project or of all, in both modes, whose ids begin so: 8 to 36 characters of a UUID, in any
        case.

        A live server's issue that answers have shown is found as they did, though another might begin so; unless it is
        to be found `surely`.

        Raises:
            InvalidInputError: it is no such beginning.
        """
        ...

    async def find_events(self, prefix: str) -> list[str]:
        """The ids of at most 10 events that begin so; of a live server, of those that answers have shown."""
        ...

    async def examine(self, project_id: str, issue_id: str, *, latest: int, progress: Progress) -> Examination:
        """An issue with its `latest` occurrences and a summary of all; of a live server, of those its pages show."""
        ...

    async def overview(self, project_id: str | None, progress: Progress) -> Overview:
        """Of one project, in both modes; without it, of all projects of the caller's teams, production alone."""
        ...

    async def coincidences(self, project_id: str, issue_id: str | None, progress: Progress) -> Coincidences:
        """Which of a project's issues were seen in the same sessions within 5 seconds of each other, development and
        production apart; of one issue, or of all. The most sessions first, at most 10,000 pairs.
        """
        ...

    async def version(self) -> str | None:
        """A text that is another one whenever anything may have changed, whoever changed it, since it was last asked
        for. None: this cannot be told, look. It asks for no permission, since it says nothing of what changed.
        """
        ...


class Intake(Protocol):
    """What takes in an app's events, as the client or import key that it was opened for.

    Raises, besides what every operation of a Backend may:
        InvalidInputError: no events, or too many; one that cannot be taken is told in the result, and the rest kept.
        PermissionDeniedError: the credential is no such key, or is another app's.

    Source: a running server's answers to `POST /v1/ingest` and `POST /v1/import`.
    """

    async def ingest(self, events: object, bundle_id: object) -> Ingested:
        """Up to 100 events of the last 30 days. Those known by their `client_event_id` stay as they are."""
        ...

    async def import_events(self, events: object) -> Ingested:
        """Up to 1,000 events of any age. Those known by their `client_event_id` are replaced."""
        ...


class Tracker(Backend, Intake, Protocol):
    """An issue tracker whole: what agents ask of it, and what feeds it."""


BackendOpener = Callable[[str | None], Backend]
"""Opens the backend for a client that calls itself so (None: it gave no name), which names the local agent key."""
