"""The Backend protocol over an Owlmetry server."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from owlmetry_mcp.backends.live.answers import checked, checked_list
from owlmetry_mcp.backends.live.occurrences import Walk
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.backends.live.writes import Write
from owlmetry_mcp.issues import filters, parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from owlmetry_mcp.issues.filters import IssueFilter, Selection
from owlmetry_mcp.issues.lifecycle import status_change
from owlmetry_mcp.issues.models import (
    Comment,
    Identity,
    Issue,
    IssueDetail,
    IssuePage,
    KeyIdentity,
    Project,
    UserIdentity,
)

Result = TypeVar("Result")

CLOCK_TOLERANCE = timedelta(seconds=2)
"""How much earlier than our call a comment of it may seem to be: the server tells its time to the second."""
MAX_REMEMBERED_COMMENTS = 1_000


class LiveBackend:
    """See `backends.base.Backend` for what each operation promises, and how this one keeps it in `writes`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
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
        query = _list_query(filters.checked(wanted, "all"), cursor, limit)
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
        query = _list_query(filters.checked(wanted, "production"), cursor, limit) | {
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
        path = _issue_path(project_id, issue_id)
        after = parameters.optional_uuid("occurrence_cursor", occurrence_cursor)
        return await Walk(self._wire, path).page(after, parameters.limit("occurrence_limit", occurrence_limit))

    async def update_status(
        self, project_id: str, issue_id: str, status: str, *, resolved_at_version: str | None = None
    ) -> Issue:
        path, change = _issue_path(project_id, issue_id), status_change(status, resolved_at_version)
        body: dict[str, str] = {"status": change.status}
        if change.resolved_at_version is not None:
            body["resolved_at_version"] = change.resolved_at_version

        async def find(deadline: Deadline) -> Issue | None:
            found = await self._read_issue(path, deadline)
            as_wanted = found.status == change.status
            if change.status == "resolved":
                as_wanted = as_wanted and found.resolved_at_version == change.resolved_at_version
            return found if as_wanted else None

        return await self._write(
            f"the status was set to {change.status}", "PATCH", path, body, lambda it: checked(Issue, it), find
        )

    async def merge(self, project_id: str, target_issue_id: str, source_issue_id: str) -> Issue:
        path = _issue_path(project_id, target_issue_id)
        if not source_issue_id:
            raise InvalidInputError("source_issue_id is required", "It names the issue to merge from.")
        source_path = _issue_path(project_id, source_issue_id, "source_issue_id")
        if source_path == path:
            raise InvalidInputError(
                "Cannot merge an issue into itself", "source_issue_id names the issue that is to be deleted."
            )
        deadline = self._wire.deadline()
        source = await self._read_source(source_path, deadline)

        async def find(deadline: Deadline) -> Issue | None:
            try:
                await self._read_issue(source_path, deadline)
            except NotFoundError:
                merged = await self._read_issue(path, deadline)
                # Gone into this target, unless another call was faster and merged it into another.
                return merged if source and {*source.fingerprints} <= {*merged.fingerprints} else None
            return None

        body = {"source_issue_id": source_path.rpartition("/")[2]}
        return await self._write(
            "the issues were merged", "POST", f"{path}/merge", body, lambda it: checked(Issue, it), find, deadline
        )

    async def _read_source(self, path: str, deadline: Deadline) -> Issue | None:
        """The source of a merge, whose fingerprints will show what became of it; None to a key that reads nothing."""
        try:
            return await self._read_issue(path, deadline)
        except PermissionDeniedError:
            return None
        except NotFoundError as error:
            raise NotFoundError(error.message.replace("Issue", "Source issue"), error.hint) from error

    async def list_comments(self, project_id: str, issue_id: str) -> list[Comment]:
        return await self._read_comments(_issue_path(project_id, issue_id))

    async def add_comment(self, project_id: str, issue_id: str, body: str) -> Comment:
        path, text = _issue_path(project_id, issue_id), parameters.comment_body(body)
        began = datetime.now(UTC)

        async def find(deadline: Deadline) -> Comment | None:
            return await self._find_comment(path, text, began, deadline)

        added = await self._write(
            "the comment was added", "POST", f"{path}/comments", {"body": text},
            lambda it: checked(Comment, it), find, repeatable=False,
        )  # fmt: skip
        self._remember(added)
        return added

    async def edit_comment(self, project_id: str, issue_id: str, comment_id: str, body: str) -> Comment:
        path, text = _issue_path(project_id, issue_id), parameters.comment_body(body)
        wanted_id = parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> Comment | None:
            comments = await self._read_comments(path, deadline)
            return next((comment for comment in comments if (comment.id, comment.body) == (wanted_id, text)), None)

        return await self._write(
            "the comment was changed", "PATCH", f"{path}/comments/{wanted_id}", {"body": text},
            lambda it: checked(Comment, it), find,
        )  # fmt: skip

    async def delete_comment(self, project_id: str, issue_id: str, comment_id: str) -> None:
        path, wanted_id = _issue_path(project_id, issue_id), parameters.uuid("comment_id", comment_id)

        async def find(deadline: Deadline) -> bool | None:
            comments = await self._read_comments(path, deadline)
            return None if wanted_id in (comment.id for comment in comments) else True

        await self._write(
            "the comment was deleted", "DELETE", f"{path}/comments/{wanted_id}", None, lambda _: True, find
        )

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

    async def _find_comment(self, path: str, text: str, began: datetime, deadline: Deadline) -> Comment | None:
        """A comment of ours with this body since the call began, that no earlier call is known to have added.

        Raises:
            UnavailableError: several agents wrote it meanwhile, and which is ours is not known.
        """
        comments = await self._read_comments(path, deadline)
        since = times.to_text(began + timedelta(seconds=self._wire.server_ahead_seconds) - CLOCK_TOLERANCE)
        fresh = [
            comment
            for comment in comments
            if comment.body == text and comment.created_at >= since and comment.id not in self._answered
        ]
        if fresh and self._author_id is None:
            identity = await self._identify(deadline)
            self._author_id = identity.user.id if isinstance(identity, UserIdentity) else identity.id
        ours = [comment for comment in fresh if self._author_id in (None, comment.author_id)]
        if len({comment.author_id for comment in ours}) > 1:
            raise InvalidInputError("others wrote the same at the same time, and which comment is ours is not known")
        return ours[0] if ours else None

    def _remember(self, comment: Comment) -> None:
        self._author_id = comment.author_id
        self._answered[comment.id] = None
        while len(self._answered) > MAX_REMEMBERED_COMMENTS:
            del self._answered[next(iter(self._answered))]


def _issue_path(project_id: str, issue_id: str, name: str = "issue_id") -> str:
    return f"/v1/projects/{parameters.uuid('project_id', project_id)}/issues/{parameters.uuid(name, issue_id)}"


def _list_query(selection: Selection, cursor: str | None, limit: int | None) -> dict[str, Any]:
    """A selection as the server takes it: by data_mode, since the team-level route passes over is_dev."""
    mode = "all" if selection.is_dev is None else "development" if selection.is_dev else "production"
    return {
        "status": selection.status,
        "app_id": selection.app_id,
        "data_mode": mode,
        "cursor": parameters.optional_text("cursor", cursor),
        "limit": parameters.limit("limit", limit),
    }
