"""The tools that write, under the caller's own identity. Those that take several issues stop for none of them."""

from collections.abc import Sequence
from typing import Annotated

from mcp.server.mcpserver import ElicitationResult, Resolve
from mcp_types import CallToolResult
from pydantic import Field

from owlmetry_mcp.asking import batches
from owlmetry_mcp.asking.batches import Move
from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Comment, Issue
from owlmetry_mcp.server import outcomes, structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.arguments import Body, Ids, IssueId, ProjectId
from owlmetry_mcp.server.confirming import (
    Confirmation,
    Deletion,
    Merge,
    confirm_deletion,
    confirm_merge,
    one_or_several,
    planned_deletion,
    planned_merge,
    require,
)
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.outcomes import Outcome


class Writing:
    """The tools as methods; their docstrings are what a model reads."""

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._max_bytes = options.max_result_bytes

    async def update_status(  # noqa: PLR0913, PLR0917 - the SDK passes all by name
        self,
        status: Annotated[Status, Field(description="regressed is set by the scan alone")],
        issue_id: str | None = None,
        issue_ids: Annotated[Ids, Field(description="Several instead of one, at most 50")] = None,
        resolved_at_version: Annotated[
            str | None, Field(description="App version with the fix; required for resolved")
        ] = None,
        comment: Annotated[str | None, Field(description="Posted on each issue that was moved")] = None,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """Move issues along their life. To claim one, move it to in_progress: of two agents who try, one is refused."""
        body = None if comment is None else parameters.comment_body(comment, "comment")
        one_or_several("issue_id", issue_id, issue_ids)
        move = Move(status, resolved_at_version, body)
        if issue_id is not None:
            place = await self._desk.issue(issue_id, project_id, surely=True)
            moved = await move.of(self._desk.backend(), place)
            answer = Answer(self._max_bytes)
            row = outcomes.changed(answer, moved.issue, outcomes.commented(moved))
            answer.add(row.data, row.text)
            return answer.result()
        return await self._each(issue_ids or (), project_id, move)

    async def _each(self, issue_ids: Sequence[str], project_id: str | None, move: Move) -> CallToolResult:
        """Each with an answer of its own."""
        answer = Answer(self._max_bytes)
        places = await batches.named(self._desk, issue_ids, project_id)
        found = await batches.each(places, lambda place: move.of(self._desk.backend(), place))
        results = [
            outcomes.failed(answer, wanted, it, "issue_id")
            if isinstance(it, Exception)
            else outcomes.moved(answer, it.issue, outcomes.commented(it))
            for wanted, it in found.items()
        ]
        return outcomes.partly(answer, results, "moved")

    async def merge(  # noqa: PLR0913, PLR0917 - the SDK passes all by name
        self,
        plan: Annotated[Merge, Resolve(planned_merge)],
        confirmed: Annotated[ElicitationResult[Confirmation], Resolve(confirm_merge)],
        target_issue_id: Annotated[str, Field(description="Survives")],  # noqa: ARG002 - the plan is made of them
        source_issue_id: Annotated[str | None, Field(description="Is deleted")] = None,
        source_issue_ids: Annotated[Ids, Field(description="Several instead of one, at most 50")] = None,
        project_id: ProjectId = None,  # noqa: ARG002 - likewise
    ) -> CallToolResult:
        """Merge duplicates: all of a source moves to the target, and the source is deleted. Cannot be undone."""
        require(confirmed)
        backend = self._desk.backend()
        answer = Answer(self._max_bytes)
        merged: Issue | None = None
        results: list[Outcome] = []
        for wanted, error in plan.failures.items():
            if source_issue_id is not None:
                raise error
            results.append(outcomes.failed(answer, wanted, error, "source_issue_id"))
        for wanted, source in plan.sources.items():
            try:
                merged = await backend.merge(plan.project_id, plan.target_id, source)
                results.append(outcomes.merged(source))
            except Exception as error:  # whatever it is, the others are told
                if source_issue_id is not None:
                    raise
                results.append(outcomes.failed(answer, wanted, error, "source_issue_id"))
        if merged:
            row = outcomes.changed(answer, merged, {})
            answer.add(row.data, row.text)
        return outcomes.partly(answer, results, "merged") if source_issue_ids is not None else answer.result()

    async def comment(self, issue_id: IssueId, body: Body, project_id: ProjectId = None) -> CallToolResult:
        """Comment on an issue under your own identity."""
        project, issue = await self._desk.issue(issue_id, project_id, surely=True)
        added = await self._desk.backend().add_comment(project, issue, body)
        return self._said(added)

    async def edit_comment(
        self, issue_id: IssueId, comment_id: str, body: Body, project_id: ProjectId = None
    ) -> CallToolResult:
        """Replace the body of a comment of your own."""
        project, issue = await self._desk.issue(issue_id, project_id, surely=True)
        wanted = await self._desk.comment(project, issue, comment_id)
        edited = await self._desk.backend().edit_comment(project, issue, wanted, body)
        return self._said(edited)

    def _said(self, said: Comment) -> CallToolResult:
        answer = Answer(self._max_bytes)
        whole = Row(structured.comment(said), f"On issue {said.issue_id}:\n{text.comment_line(said, answer.fence)}")
        if answer.fitting([whole]):
            answer.add(whole.data, whole.text)
        else:
            words = text.comment_head(said, answer.fence)
            answer.add(structured.comment_head(said), f"On issue {said.issue_id}:", words)
            answer.leave_out("the comment's body, which is kept as it was sent")
        return answer.result()

    async def delete_comment(
        self,
        plan: Annotated[Deletion, Resolve(planned_deletion)],
        confirmed: Annotated[ElicitationResult[Confirmation], Resolve(confirm_deletion)],
        issue_id: IssueId,  # noqa: ARG002 - the plan is made of them
        comment_id: str,  # noqa: ARG002 - likewise
        project_id: ProjectId = None,  # noqa: ARG002 - likewise
    ) -> CallToolResult:
        """Delete a comment of your own; a team's admins and owners may delete any."""
        require(confirmed)
        await self._desk.backend().delete_comment(plan.project_id, plan.issue_id, plan.comment_id)
        answer = Answer(self._max_bytes)
        answer.add({"deleted": True}, f"Deleted comment {plan.comment_id}.")
        return answer.result()
