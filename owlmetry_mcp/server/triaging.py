"""The tools that look at many issues at once: what matters, and what is the same twice."""

from collections.abc import Sequence
from typing import Annotated

import anyio.to_thread
from mcp.server.mcpserver import Context
from mcp_types import CallToolResult
from pydantic import Field

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Progress, one_call
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.evidence import Coincidence, Coverage, DuplicateGroup, Overview
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.arguments import Count, Cursor, ProjectId
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.overviews import OVERVIEW_BYTES, overview_answer
from owlmetry_mcp.server.pages import paging, place
from owlmetry_mcp.server.progress import progress

MAX_COMPARED = 10_000
"""Issues that duplicates are looked for among: the most recently seen."""

DEFAULT_GROUPS = 10
MEMBERS = (8, 3, 1)
"""How many duplicates are shown of a group among others, the likeliest; fewer where there is no room for more."""


class Triaging:
    """The tools as methods; their docstrings are what a model reads."""

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._max_bytes = options.max_result_bytes

    async def triage_overview(
        self,
        ctx: Context,
        project_id: Annotated[str | None, Field(description="Id, name or slug; without it, all projects")] = None,
    ) -> CallToolResult:
        """Start here: counts by status, what regressed, is new, is claimed or grows, and what to look at next."""
        found = await self._overview(project_id, progress(ctx))
        return overview_answer(found, min(OVERVIEW_BYTES, self._max_bytes)).result()

    async def _overview(self, project_id: str | None, heard: Progress) -> Overview:
        project = await self._desk.meant(project_id)
        found = await self._desk.backend().overview(project, heard)
        self._desk.remember([*found.regressed, *found.new, *found.growing, *(row.issue for row in found.claimed)])
        return found

    async def find_duplicates(
        self,
        ctx: Context,
        project_id: ProjectId = None,
        issue_id: Annotated[str | None, Field(description="Duplicates of this one alone")] = None,
        cursor: Cursor = None,
        limit: Annotated[Count, Field(description="Groups; of one issue, its duplicates")] = DEFAULT_GROUPS,
    ) -> CallToolResult:
        """Groups of issues that may be one, with evidence, a score (0 to 1), and which to keep as merge's target."""
        heard, begin = progress(ctx), place(cursor)
        issue = None
        if issue_id is not None:
            project, issue = await self._desk.issue(issue_id, project_id, progress=heard)
        else:
            project = await self._only_project(project_id)
        backend = self._desk.backend()
        with one_call(operations=2):
            coincidences = await backend.coincidences(project, issue, heard)
            compared = await backend.issues(project, IssueFilter(), MAX_COMPARED, heard)
            issues = [*compared.issues]
            if issue is not None and issue not in {row.id for row in issues}:
                issues.append(await backend.get_issue(project, issue, occurrence_limit=1))
        groups = await _duplicates(issues, coincidences.pairs, issue)
        self._desk.remember([row for group in groups[begin : begin + limit] for row in _members(group)])
        answer = Answer(self._max_bytes)
        if not groups:
            answer.add({"groups": []}, "No duplicates were found.")
        elif issue is None:
            following = begin + _add_groups(answer, groups[begin : begin + limit])
            _add_cursor(answer, following, len(groups), "groups")
        else:
            (group,) = groups
            following = begin + _add_group(answer, group, begin, limit)
            _add_cursor(answer, following, len(group.candidates), "duplicates")
        self._say_what_was_compared(answer, len(issues), coincidences.coverage, complete=compared.coverage.complete)
        return answer.result()

    async def _only_project(self, project_id: str | None) -> str:
        if meant := await self._desk.meant(project_id):
            return meant
        projects = await self._desk.backend().list_projects()
        if len(projects) == 1:
            return projects[0].id
        named = ", ".join(f"{row.id} {quoted(row.name)}" for row in projects[:DEFAULT_GROUPS])
        raise InvalidInputError(
            "project_id is required", f"Pass one of: {named}." if projects else "There is no project yet."
        )

    @staticmethod
    def _say_what_was_compared(answer: Answer, issues: int, shared: Coverage, *, complete: bool) -> None:
        some = "" if complete else "the most recently seen "
        wording = f"Wording compared of {some}{issues} issues"
        sessions = "all" if shared.complete else f"the most recently seen {shared.seen}"
        answer.add(
            {"compared": {"issues": issues, "complete": complete, "sessions_complete": shared.complete}},
            f"{wording}, sessions of {sessions}.",
        )


def _add_groups(answer: Answer, groups: Sequence[DuplicateGroup]) -> int:
    """As many groups as fit, each with as many members as leave it room; returns how many groups."""
    rows: list[Row] = []
    for group in groups:
        forms = (
            Row(structured.duplicate_group(group, most), text.duplicate_group(group, most, answer.fence))
            for most in MEMBERS
        )
        row = next((form for form in forms if len(answer.fitting([*rows, form])) > len(rows)), None)
        if row is None:
            break
        rows.append(row)
    return answer.rows("groups", rows)


def _add_group(answer: Answer, group: DuplicateGroup, begin: int, limit: int) -> int:
    """One group, with as many of its members from the `begin`th on as fit; returns how many."""
    for most in range(min(limit, len(group.candidates) - begin), 0, -1):
        page = group._replace(candidates=group.candidates[begin : begin + most])
        row = Row(structured.duplicate_group(page, most), text.duplicate_group(page, most, answer.fence))
        if answer.rows("groups", [row]):
            return most
    return answer.rows("groups", [])


def _add_cursor(answer: Answer, following: int, there_are: int, what: str) -> None:
    paging(answer, "cursor", str(following) if following < there_are else None)
    if following < there_are:
        answer.leave_out(f"{there_are - following} of {there_are} {what}; the cursor goes on with them")


async def _duplicates(issues: Sequence[Issue], pairs: Sequence[Coincidence], about: str | None) -> list[DuplicateGroup]:
    """In a thread, since it takes a while for many issues; the library it needs is loaded with the first call."""
    from owlmetry_mcp.triage.duplicates import duplicates  # noqa: PLC0415 - off the start-up path

    return await anyio.to_thread.run_sync(duplicates, issues, pairs, about)


def _members(group: DuplicateGroup) -> list[Issue]:
    return [group.target, *(row.issue for row in group.candidates)]
