"""The Backend protocol over an Owlmetry server."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from owlmetry_mcp.backends.base import Progress
from owlmetry_mcp.backends.live import queries
from owlmetry_mcp.backends.live.answers import as_asked, checked, checked_list
from owlmetry_mcp.backends.live.comments import Comments
from owlmetry_mcp.backends.live.events import Events
from owlmetry_mcp.backends.live.identity import identify
from owlmetry_mcp.backends.live.memory import Memory
from owlmetry_mcp.backends.live.occurrences import Walk
from owlmetry_mcp.backends.live.triage import Triage
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.backends.live.writes import CannotTellError, carry_out, if_readable
from owlmetry_mcp.issues import filters, parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError
from owlmetry_mcp.issues.evidence import Coincidences, Examination, FoundIssues, ManyIssues, Overview
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.lifecycle import status_change
from owlmetry_mcp.issues.models import (
    App,
    Comment,
    Event,
    EventDetail,
    EventPage,
    Identity,
    Issue,
    IssueDetail,
    IssuePage,
    Project,
)

Result = TypeVar("Result")


class LiveBackend:
    """See `backends.base.Backend` for what each operation promises, and how this one keeps it in `writes`."""

    def __init__(self, wire: Wire, clock: Callable[[], datetime] = times.now) -> None:
        self._wire = wire
        self._comments = Comments(wire)
        self._memory = Memory()
        self._events = Events(wire, self._memory)
        self._triage = Triage(wire, self._comments, self._memory, clock)

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def whoami(self) -> Identity:
        return await identify(self._wire)

    async def list_projects(self) -> list[Project]:
        return checked_list(Project, "projects", await self._wire.read("/v1/projects"))

    async def list_issues(
        self, project_id: str, wanted: IssueFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> IssuePage:
        path = queries.issues_path(project_id)
        query = queries.issues(filters.checked(wanted, "all"), cursor, limit)
        return self._shown(checked(IssuePage, await self._wire.read(path, query)))

    async def list_team_issues(
        self,
        wanted: IssueFilter,
        *,
        team_id: str | None = None,
        project_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> IssuePage:
        query = queries.issues(filters.checked(wanted, "production"), cursor, limit) | {
            "team_id": parameters.optional_uuid("team_id", team_id),
            "project_id": parameters.optional_uuid("project_id", project_id),
        }
        return self._shown(checked(IssuePage, await self._wire.read("/v1/issues", query)))

    def _shown(self, page: IssuePage) -> IssuePage:
        self._memory.show(page.issues)
        return page

    async def get_issue(
        self,
        project_id: str,
        issue_id: str,
        *,
        occurrence_cursor: str | None = None,
        occurrence_limit: int | None = None,
    ) -> IssueDetail:
        path = queries.issue_path(project_id, issue_id)
        after = parameters.optional_uuid("occurrence_cursor", occurrence_cursor)
        count = parameters.limit("occurrence_limit", occurrence_limit)
        return self._shown_whole(await self._looked_up(path, Walk(self._wire, path).page(after, count)))

    async def _looked_up(self, path: str, reading: Awaitable[Result]) -> Result:
        """What is read of an issue, which is forgotten if it is not there."""
        try:
            return await reading
        except NotFoundError:
            self._memory.forget(path.rpartition("/")[2])
            raise

    def _shown_whole(self, detail: IssueDetail) -> IssueDetail:
        self._memory.show([detail])
        self._memory.show_events(row.event_id for row in detail.occurrences)
        return detail

    async def update_status(
        self, project_id: str, issue_id: str, status: str, *, resolved_at_version: str | None = None
    ) -> Issue:
        path, change = queries.issue_path(project_id, issue_id), status_change(status, resolved_at_version)
        body: dict[str, str] = {"status": change.status}
        if change.resolved_at_version is not None:
            body["resolved_at_version"] = change.resolved_at_version
        deadline = self._wire.deadline()
        before = await if_readable(self._read_issue(path, deadline))

        def is_done(issue: Issue) -> bool:
            versions = (change.resolved_at_version, issue.resolved_at_version)
            return issue.status == change.status and (change.status != "resolved" or versions[0] == versions[1])

        async def find(deadline: Deadline) -> Issue | None:
            now = await self._read_issue(path, deadline)
            if before and not is_done(before) and is_done(now):
                return now
            if before and (now.status, now.resolved_at_version) == (before.status, before.resolved_at_version):
                return None
            raise CannotTellError  # another has moved it since, before ours or after

        def understand(answer: Any) -> Issue:  # noqa: ANN401 - JSON
            changed = checked(Issue, answer)
            return as_asked(changed.id == path.rpartition("/")[2] and is_done(changed), changed)

        moved = await carry_out(
            self._wire, f"the status was set to {change.status}", "PATCH", path, body, understand, find, deadline
        )
        self._memory.show([moved])
        return moved

    async def merge(self, project_id: str, target_issue_id: str, source_issue_id: str) -> Issue:
        path = queries.issue_path(project_id, target_issue_id)
        if not source_issue_id:
            raise InvalidInputError("source_issue_id is required", "It names the issue to merge from.")
        source_path = queries.issue_path(project_id, source_issue_id, "source_issue_id")
        if source_path == path:
            raise InvalidInputError(
                "Cannot merge an issue into itself", "source_issue_id names the issue that is to be deleted."
            )
        deadline = self._wire.deadline()
        source = await if_readable(self._read_source(source_path, deadline))

        async def find(deadline: Deadline) -> Issue | None:
            try:
                await self._read_issue(source_path, deadline)
            except NotFoundError:
                merged = await self._read_issue(path, deadline)
                if source and {*source.fingerprints} <= {*merged.fingerprints}:
                    return merged
                raise CannotTellError from None  # another call may have merged it into another
            return None

        def understand(answer: Any) -> Issue:  # noqa: ANN401 - JSON
            merged = checked(Issue, answer)
            return as_asked(merged.id == path.rpartition("/")[2], merged)

        body = {"source_issue_id": source_path.rpartition("/")[2]}
        merged = await carry_out(
            self._wire, "the issues were merged", "POST", f"{path}/merge", body, understand, find, deadline
        )
        self._memory.forget(body["source_issue_id"])
        self._memory.show([merged])
        return merged

    async def _read_source(self, path: str, deadline: Deadline) -> Issue:
        """The source of a merge, whose fingerprints will show what became of it."""
        try:
            return await self._read_issue(path, deadline)
        except NotFoundError as error:
            raise NotFoundError(error.message.replace("Issue", "Source issue"), error.hint) from error

    async def list_comments(self, project_id: str, issue_id: str) -> list[Comment]:
        return await self._comments.of_issue(queries.issue_path(project_id, issue_id))

    async def add_comment(self, project_id: str, issue_id: str, body: str) -> Comment:
        return await self._comments.add(queries.issue_path(project_id, issue_id), body)

    async def edit_comment(self, project_id: str, issue_id: str, comment_id: str, body: str) -> Comment:
        return await self._comments.edit(queries.issue_path(project_id, issue_id), comment_id, body)

    async def delete_comment(self, project_id: str, issue_id: str, comment_id: str) -> None:
        await self._comments.delete(queries.issue_path(project_id, issue_id), comment_id)

    async def get_event(self, event_id: str) -> EventDetail:
        return await self._events.detail(event_id)

    async def list_events(
        self, wanted: EventFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> EventPage:
        return await self._events.page(wanted, cursor, limit)

    async def get_breadcrumbs(self, event_id: str, *, limit: int | None = None) -> list[Event]:
        return await self._events.breadcrumbs(event_id, limit)

    async def list_apps(self, progress: Progress) -> list[App]:
        return await self._triage.apps(progress)

    async def issues(
        self, project_id: str | None, wanted: IssueFilter, most: int, progress: Progress, *, since: str | None = None
    ) -> ManyIssues:
        return await self._triage.issues(project_id, wanted, most, progress, since)

    async def find_issues(
        self, prefix: str, progress: Progress, *, project_id: str | None = None, surely: bool = False
    ) -> FoundIssues:
        return await self._triage.find_issues(prefix, progress, project_id, surely=surely)

    async def find_events(self, prefix: str) -> list[str]:
        return self._triage.find_events(prefix)

    async def examine(self, project_id: str, issue_id: str, *, latest: int, progress: Progress) -> Examination:
        path, count = queries.issue_path(project_id, issue_id), parameters.limit("latest", latest)
        examined = await self._looked_up(path, Walk(self._wire, path).examination(count, progress))
        self._shown_whole(examined.issue)
        return examined

    async def whole_issue(self, project_id: str, issue_id: str) -> IssueDetail:
        """An issue with all occurrences that its pages show; `occurrences_seen` says how many these are."""
        path = queries.issue_path(project_id, issue_id)
        found = await Walk(self._wire, path).whole()
        return as_asked(found.id == path.rpartition("/")[2], found)

    async def overview(self, project_id: str | None, progress: Progress) -> Overview:
        return await self._triage.overview(project_id, progress)

    async def coincidences(self, project_id: str, issue_id: str | None, progress: Progress) -> Coincidences:
        return await self._triage.coincidences(project_id, issue_id, progress)

    async def version(self) -> str | None:
        return None

    async def _read_issue(self, path: str, deadline: Deadline) -> Issue:
        answer = await self._looked_up(path, self._wire.read(path, {"occurrence_limit": 1}, deadline))
        found = checked(Issue, answer)
        return found.model_copy(update={"app_name": None})
