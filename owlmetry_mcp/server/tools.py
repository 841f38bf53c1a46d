"""The tools: what an agent can ask and do. Each calls one operation of the backend and says the answer twice, as
structured content and as text, since some hosts show the model only the one and some only the other.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BeforeValidator, Field

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import DataMode
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.arguments import no_flag, slimmed
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.structured import Data

DEFAULT_LISTED = 20
DEFAULT_OCCURRENCES = 10
DEFAULT_CRUMBS = 20

IssueId = Annotated[str, Field(description="The issue's UUID")]
EventId = Annotated[str, Field(description="The event's UUID")]
CommentId = Annotated[str, Field(description="The comment's UUID")]
ProjectId = Annotated[str | None, Field(description="Needed only when the server cannot tell the issue's project")]
Body = Annotated[str, Field(description="Markdown")]
Count = Annotated[int, Field(ge=1), BeforeValidator(no_flag)]
Limit = Annotated[Count, Field(description="Items a page, at most 200")]


class Tools:
    """The tools as methods; their docstrings are what a model reads."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list_issues(  # noqa: PLR0913, PLR0917 - the API's filters; the SDK passes all by name
        self,
        ctx: Context,
        project_id: Annotated[str | None, Field(description="One project; without it, all of them")] = None,
        team_id: str | None = None,
        status: Status | None = None,
        app_id: str | None = None,
        is_dev: Annotated[bool | None, Field(description="Takes precedence over data_mode")] = None,
        data_mode: Annotated[
            DataMode | None, Field(description="Default: all for one project, production across projects")
        ] = None,
        cursor: Annotated[str | None, Field(description="From the page before")] = None,
        limit: Limit = DEFAULT_LISTED,
    ) -> CallToolResult:
        """Issues, most recently seen first."""
        backend = self._backend(ctx)
        wanted = IssueFilter(status=status, app_id=app_id, is_dev=is_dev, data_mode=data_mode)
        project_id = self._desk.project_id if project_id is None else project_id
        if project_id is not None and team_id is None:
            page = await backend.list_issues(project_id, wanted, cursor=cursor, limit=limit)
        else:
            if project_id is not None and data_mode is None:
                wanted = replace(wanted, data_mode="all")  # as for one project
            page = await backend.list_team_issues(
                wanted, team_id=team_id, project_id=project_id, cursor=cursor, limit=limit
            )
        self._desk.remember(page.issues)
        return _answer(structured.issue_page(page), text.issue_page(page))

    async def get_issue(
        self,
        ctx: Context,
        issue_id: IssueId,
        occurrence_cursor: Annotated[str | None, Field(description="From the page before")] = None,
        occurrence_limit: Limit = DEFAULT_OCCURRENCES,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """One issue in full: its latest occurrences, its comments, its attachments."""
        backend, project = await self._at(ctx, issue_id, project_id)
        found = await backend.get_issue(
            project, issue_id, occurrence_cursor=occurrence_cursor, occurrence_limit=occurrence_limit
        )
        self._desk.remember([found])
        return _answer(structured.issue_detail(found), text.issue_detail(found))

    async def get_event(self, ctx: Context, event_id: EventId) -> CallToolResult:
        """One event in full: its attributes and stack trace. Occurrences name their event_id."""
        found = await self._backend(ctx).get_event(event_id)
        return _answer(structured.event(found), text.event(found))

    async def get_breadcrumbs(
        self,
        ctx: Context,
        event_id: EventId,
        limit: Annotated[Count, Field(description="Events up to it, at most 200")] = DEFAULT_CRUMBS,
    ) -> CallToolResult:
        """What led to an event: its session's events up to it, and a few after, oldest first."""
        found = await self._backend(ctx).get_breadcrumbs(event_id, limit=limit)
        return _answer(structured.breadcrumbs(found), text.breadcrumbs(found, event_id.lower()))

    async def update_status(
        self,
        ctx: Context,
        issue_id: IssueId,
        status: Annotated[Status, Field(description="regressed is set by the scan alone")],
        resolved_at_version: Annotated[
            str | None, Field(description="App version with the fix; required for resolved, at most 50 characters")
        ] = None,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """Move an issue along its life. To claim one, move it to in_progress: of two agents who try, one is refused."""
        backend, project = await self._at(ctx, issue_id, project_id)
        changed = await backend.update_status(project, issue_id, status, resolved_at_version=resolved_at_version)
        return _answer(structured.issue(changed), text.issue(changed))

    async def merge(
        self,
        ctx: Context,
        target_issue_id: Annotated[str, Field(description="Survives")],
        source_issue_id: Annotated[str, Field(description="Is deleted")],
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """Merge a duplicate: all of the source moves to the target, and the source is deleted. Cannot be undone."""
        backend, project = await self._at(ctx, target_issue_id, project_id)
        merged = await backend.merge(project, target_issue_id, source_issue_id)
        return _answer(structured.issue(merged), text.issue(merged))

    async def comment(
        self, ctx: Context, issue_id: IssueId, body: Body, project_id: ProjectId = None
    ) -> CallToolResult:
        """Comment on an issue under your own identity."""
        backend, project = await self._at(ctx, issue_id, project_id)
        added = await backend.add_comment(project, issue_id, body)
        return _answer(structured.comment(added), text.comment(added))

    async def list_comments(self, ctx: Context, issue_id: IssueId, project_id: ProjectId = None) -> CallToolResult:
        """An issue's comments, in the order written."""
        backend, project = await self._at(ctx, issue_id, project_id)
        found = await backend.list_comments(project, issue_id)
        return _answer(structured.comments(found), text.comments(found))

    async def edit_comment(
        self, ctx: Context, issue_id: IssueId, comment_id: CommentId, body: Body, project_id: ProjectId = None
    ) -> CallToolResult:
        """Replace the body of a comment of your own."""
        backend, project = await self._at(ctx, issue_id, project_id)
        edited = await backend.edit_comment(project, issue_id, comment_id, body)
        return _answer(structured.comment(edited), text.comment(edited))

    async def delete_comment(
        self, ctx: Context, issue_id: IssueId, comment_id: CommentId, project_id: ProjectId = None
    ) -> CallToolResult:
        """Delete a comment of your own; a team's admins and owners may delete any."""
        backend, project = await self._at(ctx, issue_id, project_id)
        await backend.delete_comment(project, issue_id, comment_id)
        return _answer({"deleted": True}, f"Deleted comment {comment_id}.")

    async def list_projects(self, ctx: Context) -> CallToolResult:
        """The projects you can see."""
        found = await self._backend(ctx).list_projects()
        return _answer(structured.projects(found), text.projects(found))

    async def whoami(self, ctx: Context) -> CallToolResult:
        """Who you act as, and what you may do."""
        found = await self._backend(ctx).whoami()
        return _answer(structured.identity(found), text.identity(found))

    def _backend(self, ctx: Context) -> Backend:
        client = ctx.session.client_params
        return self._desk.backend(client.client_info.name if client else None)

    async def _at(self, ctx: Context, issue_id: str, project_id: str | None) -> tuple[Backend, str]:
        backend = self._backend(ctx)
        return backend, await self._desk.project_of(backend, issue_id, project_id)


def _answer(data: Data, words: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=words)], structured_content=data)


_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def _writes(*, destructive: bool, idempotent: bool) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=False, destructive_hint=destructive, idempotent_hint=idempotent, open_world_hint=False
    )


def registered(desk: Desk) -> list[Tool]:
    """The tools as the SDK takes them, with schemas that refuse unknown arguments and carry no padding."""
    tools = Tools(desk)
    return [
        _tool(tools.list_issues, "List issues", _READS, structured.ISSUE_PAGE),
        _tool(tools.get_issue, "Read an issue", _READS, structured.ISSUE_DETAIL),
        _tool(tools.get_event, "Read an event", _READS, structured.EVENT),
        _tool(tools.get_breadcrumbs, "Read what led to an event", _READS, structured.BREADCRUMBS),
        _tool(tools.update_status, "Change status", _writes(destructive=False, idempotent=True), structured.ISSUE),
        _tool(tools.merge, "Merge issues", _writes(destructive=True, idempotent=True), structured.ISSUE),
        _tool(tools.comment, "Comment", _writes(destructive=False, idempotent=False), structured.COMMENT),
        _tool(tools.list_comments, "List comments", _READS, structured.COMMENTS),
        _tool(tools.edit_comment, "Edit a comment", _writes(destructive=True, idempotent=True), structured.COMMENT),
        _tool(tools.delete_comment, "Delete a comment", _writes(destructive=True, idempotent=True), structured.DELETED),
        _tool(tools.list_projects, "List projects", _READS, structured.PROJECTS),
        _tool(tools.whoami, "Who am I", _READS, structured.IDENTITY),
    ]


def _tool(method: Callable[..., Any], title: str, annotations: ToolAnnotations, output_schema: Data) -> Tool:
    tool = Tool.from_function(method, title=title, annotations=annotations)
    tool.parameters = slimmed(tool.parameters)
    tool.fn_metadata.output_schema = output_schema
    return tool
