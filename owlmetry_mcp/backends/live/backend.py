"""The Backend protocol over an Owlmetry server."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from owlmetry_mcp.backends.live import queries
from owlmetry_mcp.backends.live.answers import as_asked, checked, checked_list
from owlmetry_mcp.backends.live.events import Events
from owlmetry_mcp.backends.live.occurrences import Walk
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.backends.live.writes import CannotTellError, Write
from owlmetry_mcp.issues import filters, parameters
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.lifecycle import status_change
from owlmetry_mcp.issues.models import (
    Comment,
    Deleted,
    Event,
    EventDetail,
    EventPage,
    Identity,
    Issue,
    IssueDetail,
    IssuePage,
    KeyIdentity,
    Project,
    UserIdentity,
)

Result = TypeVar("Result")

MAX_REMEMBERED_COMMENTS = 1_000


class LiveBackend:
    """See `backends.base.Backend` for what each operation promises, and how this one keeps it in `writes`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._events = Events(wire)
        self._author_id: str | None = None
        """The id that our comments carry, once an answer has shown it."""
        self._answered: dict[str, None] = {}
        """Comments that earlier calls are known to have added."""

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def whoami(self) -> Identity:
        return await self._identify()

    async def _identify(self, deadline: Deadline | None = None) -> Identity:
        answer = await self._wire.read("/v1/auth/whoami", None, deadline)
        is_user = isinstance(answer, dict) and answer.get("type") == "user"
        return checked(UserIdentity, answer) if is_user else checked(KeyIdentity, answer)

    async def list_projects(self) -> list[Project]:
        return checked_list(Project, "projects", await self._wire.read("/v1/projects"))

    async def list_issues(
        self, project_id: str, wanted: IssueFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> IssuePage:
        project_id = parameters.uuid("project_id", project_id)
        query = queries.issues(filters.checked(wanted, "all"), cursor, limit)
        return checked(IssuePage, await self._wire.read(f"/v1/projects/{project_id}/issues", query))

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
        return checked(IssuePage, await self._wire.read("/v1/issues", query))

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
        return await Walk(self._wire, path).page(after, parameters.limit("occurrence_limit", occurrence_limit))

    async def update_status(
        self, project_id: str, issue_id: str, status: str, *, resolved_at_version: str | None = None
    ) -> Issue:
        path, change = queries.issue_path(project_id, issue_id), status_change(status, resolved_at_version)
        body: dict[str, str] = {"status": change.status}
        if change.resolved_at_version is not None:
            body["resolved_at_version"] = change.resolved_at_version
        deadline = self._wire.deadline()
        before = await self._if_readable(self._read_issue(path, deadline))

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

        return await self._write(
            f"the status was set to {change.status}", "PATCH", path, body, understand, find, deadline
        )

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
        source = await self._if_readable(self._read_source(source_path, deadline))

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
        return await self._write("the issues were merged", "POST", f"{path}/merge", body, understand, find, deadline)

    async def _read_source(self, path: str, deadline: Deadline) -> Issue:
        """The source of a merge, whose fingerprints will show what became of it."""
        try:
            return await self._read_issue(path, deadline)
        except NotFoundError as error:
            raise NotFoundError(error.message.replace("Issue", "Source issue"), error.hint) from error

    @staticmethod
    async def _if_readable(reading: Awaitable[Result]) -> Result | None:
        """What is there before a write, to tell afterwards what it did; None to a key that may read nothing."""
        try:
            return await reading
        except PermissionDeniedError:
            return None

    async def list_comments(self, project_id: str, issue_id: str) -> list[Comment]:
        return await self._read_comments(queries.issue_path(project_id, issue_id))

    async def add_comment(self, project_id: str, issue_id: str, body: str) -> Comment:
        path, text = queries.issue_path(project_id, issue_id), parameters.comment_body(body)
        deadline = self._wire.deadline()
        before = await self._if_readable(self._read_comments(path, deadline))
        known = None if before is None else {comment.id for comment in before}

        async def find(deadline: Deadline) -> Comment | None:
            if known is None:
                raise CannotTellError
            return await self._find_comment(path, text, known, deadline)

        def understand(answer: Any) -> Comment:  # noqa: ANN401 - JSON
            added = checked(Comment, answer)
            return as_asked(added.body == text and added.issue_id == path.rpartition("/")[2], added)

        added = await self._write(
            "the comment was added", "POST", f"{path}/comments", {"body": text}, understand, find, deadline,
            repeatable=False,
        )  # fmt: skip
        self._remember(added)
        return added

    async def edit_comment(self, project_id: str, issue_id: str, comment_id: str, body: str) -> Comment:
        path, text = queries.issue_path(project_id, issue_id), parameters.comment_body(body)
        wanted_id = parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> Comment | None:
            comments = await self._read_comments(path, deadline)
            return next((comment for comment in comments if (comment.id, comment.body) == (wanted_id, text)), None)

        def understand(answer: Any) -> Comment:  # noqa: ANN401 - JSON
            edited = checked(Comment, answer)
            return as_asked((edited.id, edited.body) == (wanted_id, text), edited)

        comment_path = f"{path}/comments/{wanted_id}"
        return await self._write("the comment was changed", "PATCH", comment_path, {"body": text}, understand, find)

    async def delete_comment(self, project_id: str, issue_id: str, comment_id: str) -> None:
        path, wanted_id = queries.issue_path(project_id, issue_id), parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> Deleted | None:
            comments = await self._read_comments(path, deadline)
            return None if wanted_id in (comment.id for comment in comments) else Deleted(deleted=True)

        def understand(answer: Any) -> Deleted:  # noqa: ANN401 - JSON
            done = checked(Deleted, answer)
            return as_asked(done.deleted, done)

        comment_path = f"{path}/comments/{wanted_id}"
        await self._write("the comment was deleted", "DELETE", comment_path, None, understand, find)

    async def get_event(self, event_id: str) -> EventDetail:
        return await self._events.detail(event_id)

    async def list_events(
        self, wanted: EventFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> EventPage:
        return await self._events.page(wanted, cursor, limit)

    async def get_breadcrumbs(self, event_id: str, *, limit: int | None = None) -> list[Event]:
        return await self._events.breadcrumbs(event_id, limit)

    async def _write(  # noqa: PLR0913, PLR0917 - what a write is made of
        self,
        what: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        understand: Callable[[Any], Result],
        find: Callable[[Deadline], Awaitable[Result | None]],
        deadline: Deadline | None = None,
        *,
        repeatable: bool = True,
    ) -> Result:
        async def send(deadline: Deadline) -> Any:  # noqa: ANN401 - JSON
            return await self._wire.attempt(method, path, body=body, deadline=deadline)

        write = Write(self._wire, what, send, understand, find, repeatable=repeatable)
        return await write.carry_out(deadline or self._wire.deadline())

    async def _read_issue(self, path: str, deadline: Deadline) -> Issue:
        answer = await self._wire.read(path, {"occurrence_limit": 1}, deadline)
        found = checked(Issue, answer)
        return found.model_copy(update={"app_name": None})

    async def _read_comments(self, path: str, deadline: Deadline | None = None) -> list[Comment]:
        return checked_list(Comment, "comments", await self._wire.read(f"{path}/comments", None, deadline))

    async def _find_comment(self, path: str, text: str, known: set[str], deadline: Deadline) -> Comment | None:
        """The comment of ours with this body that was not there before, and that no other call has answered with.

        Raises:
            CannotTellError: there is one that may be ours or another's, since who we are is not known.
        """
        if self._author_id is None:
            identity = await self._identify(deadline)
            self._author_id = identity.user.id if isinstance(identity, UserIdentity) else identity.id
        comments = await self._read_comments(path, deadline)
        # From here to the end nothing waits, so that of two calls with the same words each finds its own.
        taken = known | self._answered.keys()
        fresh = [comment for comment in comments if comment.body == text and comment.id not in taken]
        if fresh and self._author_id is None:
            raise CannotTellError
        ours = next((comment for comment in fresh if comment.author_id == self._author_id), None)
        if ours:
            self._remember(ours)
        return ours

    def _remember(self, comment: Comment) -> None:
        self._author_id = comment.author_id
        self._answered[comment.id] = None
        while len(self._answered) > MAX_REMEMBERED_COMMENTS:
            del self._answered[next(iter(self._answered))]
