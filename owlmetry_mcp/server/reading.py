"""The tools that read: each calls one operation of the backend and says the answer twice, as data and as text."""

from dataclasses import replace
from typing import Annotated

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import DataMode, IssueDetail, IssuePage, UserIdentity
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.arguments import Count, Cursor, EventId, IssueId, ProjectId
from owlmetry_mcp.server.event_pages import add_parts, crumbs_answer
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.pages import (
    DEFAULT_LISTED,
    EXAMINATION_BYTES,
    LATEST_OCCURRENCES,
    add_comments,
    issue_answer,
    paging,
    place,
    say_what_is_cut,
)
from owlmetry_mcp.server.progress import progress
from owlmetry_mcp.server.structured import READ

DEFAULT_CRUMBS = 20

Limit = Annotated[Count, Field(description="Items a page, at most 200")]


class Reading:
    """The tools as methods; their docstrings are what a model reads."""

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._max_bytes = options.max_result_bytes

    async def list_issues(  # noqa: PLR0913, PLR0917 - the API's filters; the SDK passes all by name
        self,
        project_id: Annotated[str | None, Field(description="Id, name or slug; without it, all projects")] = None,
        team_id: str | None = None,
        status: Status | None = None,
        app_id: Annotated[str | None, Field(description="Id or name")] = None,
        is_dev: Annotated[bool | None, Field(description="Takes precedence over data_mode")] = None,
        data_mode: Annotated[
            DataMode | None, Field(description="Default: all for one project, production across projects")
        ] = None,
        cursor: Cursor = None,
        limit: Limit = DEFAULT_LISTED,
    ) -> CallToolResult:
        """Issues, most recently seen first."""
        desk, backend = self._desk, self._desk.backend()
        project = await desk.meant(project_id)
        team = None if team_id is None else await desk.team(team_id)
        app = None if app_id is None else await desk.app(app_id, project)
        wanted = IssueFilter(status=status, app_id=app, is_dev=is_dev, data_mode=data_mode)
        if project is not None and team is not None and data_mode is None:
            wanted = replace(wanted, data_mode="all")  # as for one project

        async def ask(count: int) -> IssuePage:
            if project is not None and team is None:
                return await backend.list_issues(project, wanted, cursor=cursor, limit=count)
            return await backend.list_team_issues(wanted, team_id=team, project_id=project, cursor=cursor, limit=count)

        page = await ask(limit)
        asked = len(page.issues)
        while True:
            answer = Answer(self._max_bytes)
            rows = [Row(structured.listed_issue(row), text.listed_issue(row, answer.fence)) for row in page.issues]
            kept = answer.rows("issues", rows)
            if kept == len(rows):
                break
            page = await ask(kept)  # so that the cursor goes on behind what is shown
        if len(page.issues) < asked:
            answer.leave_out(f"{asked - len(page.issues)} of the {asked} asked for; the cursor goes on with them")
        if not page.issues:
            answer.add({}, "No issues match.")
        paging(answer, "cursor", page.cursor)
        desk.remember(page.issues)
        return answer.result()

    async def get_issue(
        self,
        ctx: Context,
        issue_id: IssueId,
        occurrence_limit: Annotated[
            Count | None, Field(description="Occurrences a page, at most 200, instead of the summary")
        ] = None,
        occurrence_cursor: Cursor = None,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """One issue: a summary of all its occurrences, the latest ten, its comments, its attachments."""
        heard = progress(ctx)
        project, issue = await self._desk.issue(issue_id, project_id, progress=heard)
        if occurrence_limit is not None or occurrence_cursor is not None:
            return await self._occurrences(project, issue, occurrence_cursor, occurrence_limit or LATEST_OCCURRENCES)
        found = await self._desk.backend().examine(project, issue, latest=LATEST_OCCURRENCES, progress=heard)
        self._desk.remember([found.issue])
        return issue_answer(found.issue, found.summary, min(self._max_bytes, EXAMINATION_BYTES)).result()

    async def _occurrences(self, project: str, issue: str, cursor: str | None, limit: int) -> CallToolResult:
        async def ask(count: int) -> IssueDetail:
            return await self._desk.backend().get_issue(
                project, issue, occurrence_cursor=cursor, occurrence_limit=count
            )

        found = await ask(limit)
        asked = len(found.occurrences)
        rows_alone = cursor is not None
        while True:
            answer = issue_answer(found, None, self._max_bytes, rows_alone=rows_alone)
            kept = answer.shown("occurrences")
            if kept == len(found.occurrences):
                break
            rows_alone = rows_alone or not kept
            found = await ask(kept or asked)
        if kept < asked:
            answer.leave_out(f"{asked - kept} of the {asked} occurrences asked for; the cursor goes on with them")
        self._desk.remember([found])
        return answer.result()

    async def get_event(self, event_id: EventId, cursor: Cursor = None) -> CallToolResult:
        """One event in full: its attributes and stack trace. Occurrences name their event_id."""
        found = await self._desk.backend().get_event(await self._desk.event(event_id))
        answer = Answer(self._max_bytes)
        if begin := place(cursor):
            answer.add({"id": found.id}, f"{found.id} goes on:")
        else:
            lines = ((it, [*filter(None, text.event_lines(found, it, answer.fence))]) for it in READ)
            forms = (Row(structured.event(found, it), "\n".join(said)) for it, said in lines)
            say_what_is_cut(answer, answer.fullest(forms, share=0.5))
        add_parts(answer, found, begin)
        return answer.result()

    async def get_breadcrumbs(
        self,
        event_id: EventId,
        limit: Annotated[Count, Field(description="Events up to it, at most 200")] = DEFAULT_CRUMBS,
    ) -> CallToolResult:
        """What led to an event: its session's events up to it, and a few after, oldest first."""
        event = await self._desk.event(event_id)
        found = await self._desk.backend().get_breadcrumbs(event, limit=limit)
        return crumbs_answer(found, event, self._max_bytes).result()

    async def list_comments(
        self, issue_id: IssueId, cursor: Cursor = None, project_id: ProjectId = None
    ) -> CallToolResult:
        """An issue's comments, in the order written."""
        project, issue = await self._desk.issue(issue_id, project_id)
        found = await self._desk.backend().list_comments(project, issue)
        answer = Answer(self._max_bytes)
        add_comments(answer, found, cursor)
        return answer.result()

    async def list_projects(self, cursor: Cursor = None) -> CallToolResult:
        """The projects you can see."""
        found = await self._desk.backend().list_projects()
        answer = Answer(self._max_bytes)
        begin = place(cursor)
        rows = [Row(structured.project(row), text.project(row, answer.fence)) for row in found[begin:]]
        kept = answer.rows("projects", rows)
        if not found:
            answer.add({}, "No projects.")
        if kept < len(rows):
            paging(answer, "cursor", str(begin + kept))
        return answer.result()

    async def whoami(self) -> CallToolResult:
        """Who you act as, and what you may do."""
        found = await self._desk.backend().whoami()
        answer = Answer(self._max_bytes)
        forms = (
            Row(
                structured.identity(found, permissions=said),
                "\n".join(text.identity_lines(found, answer.fence, permissions=said)),
            )
            for said in (True, False)
        )
        if answer.fullest(forms):
            answer.leave_out("the permissions; a larger OWLMETRY_MAX_RESULT_BYTES has room for them")
        if isinstance(found, UserIdentity):
            rows = [Row(structured.team(row), text.team(row, answer.fence)) for row in found.teams]
            if (kept := answer.rows("teams", rows)) < len(rows):
                answer.leave_out(f"{len(rows) - kept} of {len(rows)} teams; list_issues takes any by name or slug")
        return answer.result()
