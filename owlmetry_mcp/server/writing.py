"""The tools that write, under the caller's own identity. Those that take several issues stop for none of them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, NamedTuple, Protocol, cast

from mcp.server.mcpserver import Context, Elicit, ElicitationResult, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult
from pydantic import Field

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.errors import InvalidInputError, OwlmetryError
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Comment, Issue, KeyIdentity
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Data, Row
from owlmetry_mcp.server.arguments import Body, Ids, IssueId, ProjectId
from owlmetry_mcp.server.confirming import NOT_ASKED, Confirmation, asks, question, require
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.untrusted import on_a_line, quoted, short

_MOST_QUOTED = 300
_LEAST_QUOTED = 60
_LONGEST_ID = 60

Named = tuple[str, str] | OwlmetryError
"""The ids of an issue's project and of the issue, or why there are none."""


class Server(Protocol):
    """What a question to the person needs of the server."""

    desk: Desk
    options: Options


def _asked(ctx: Context) -> Server:
    return cast(Server, ctx.mcp_server)


async def confirm_merge(
    ctx: Context,
    target_issue_id: str,
    source_issue_id: str | None,
    source_issue_ids: list[str] | None,
    project_id: str | None,
) -> Confirmation | Elicit[Confirmation]:
    server = _asked(ctx)
    if not asks(ctx, server.options.confirm):
        return NOT_ASKED
    desk, backend = server.desk, server.desk.backend()
    wanted = _one_or_several("source_issue_id", source_issue_id, source_issue_ids)
    project, target = await desk.issue(target_issue_id, project_id, "target_issue_id")
    kept = await backend.get_issue(project, target, occurrence_limit=1)
    named: dict[str, str] = {}
    for source in wanted:
        # One of several that cannot be merged stops none of the others, and is not asked about.
        with suppress(OwlmetryError):
            _, id_ = await desk.issue(source, project, "source_issue_id")
            if id_ != target:
                found = await backend.get_issue(project, id_, occurrence_limit=1)
                named[id_] = f"{quoted(found.title, _longest(len(wanted)))} ({id_})"
    if not named or not await _may_write(backend):
        return NOT_ASKED  # the call says why not
    into = f"{quoted(kept.title, _MOST_QUOTED)} ({target})"
    return question(f"Merge {'; '.join(named.values())} into {into}? What is merged is deleted. It cannot be undone.")


async def confirm_delete(
    ctx: Context, issue_id: str, comment_id: str, project_id: str | None
) -> Confirmation | Elicit[Confirmation]:
    server = _asked(ctx)
    if not asks(ctx, server.options.confirm):
        return NOT_ASKED
    project, issue = await server.desk.issue(issue_id, project_id)
    wanted = await server.desk.comment(project, issue, comment_id)
    comments = await server.desk.backend().list_comments(project, issue)
    said = [f"{quoted(row.author_name)}: {quoted(row.body, _MOST_QUOTED)}" for row in comments if row.id == wanted]
    if not said or not await _may_write(server.desk.backend()):
        return NOT_ASKED  # the call says why not
    return question(f"Delete the comment by {said[0]}? It cannot be undone.")


async def _may_write(backend: Backend) -> bool:
    identity = await backend.whoami()
    return not isinstance(identity, KeyIdentity) or "issues:write" in identity.permissions


def _longest(titles: int) -> int:
    """How long each of them may be in a question that a person is to read."""
    return max(_MOST_QUOTED // titles, _LEAST_QUOTED)


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
        if comment is not None and not comment.strip():
            raise InvalidInputError("comment must not be blank", "Leave it out to post none.")
        backend = self._desk.backend()

        async def move(project: str, issue: str) -> tuple[Issue, dict[str, Any]]:
            changed = await backend.update_status(project, issue, status, resolved_at_version=resolved_at_version)
            if comment is None:
                return changed, {}
            try:
                added = await backend.add_comment(project, issue, comment)
            except OwlmetryError as error:
                return changed, {"comment_error": short(on_a_line(str(error)), _MOST_QUOTED)}
            return changed, {"comment_id": added.id}

        if issue_ids is None:
            (wanted,) = _one_or_several("issue_id", issue_id, None)
            project, issue = await self._desk.issue(wanted, project_id)
            return self._moved(*await move(project, issue))
        _one_or_several("issue_id", issue_id, issue_ids)
        return await self._each(issue_ids, project_id, move)

    def _moved(self, changed: Issue, said: dict[str, Any]) -> CallToolResult:
        answer = Answer(self._max_bytes)
        row = _changed(answer, changed, said)
        answer.add(row.data, row.text)
        return answer.result()

    async def _each(
        self,
        issue_ids: Sequence[str],
        project_id: str | None,
        move: Callable[[str, str], Awaitable[tuple[Issue, dict[str, Any]]]],
    ) -> CallToolResult:
        """One after the other, each with an answer of its own."""
        answer = Answer(self._max_bytes)
        outcomes: list[Outcome] = []
        for wanted, named in (await self._named("issue_id", issue_ids, project_id)).items():
            try:
                changed, said = await move(*_issue(named))
                brief = _row(
                    answer,
                    {"id": changed.id, "status": changed.status, **said},
                    f"- {changed.id} {changed.status}",
                    said,
                )
                outcomes.append(Outcome(_changed(answer, changed, said), brief))
            except OwlmetryError as error:
                outcomes.append(_failed(answer, wanted, error, "issue_id"))
        return _partly(answer, outcomes, "moved")

    async def _named(self, name: str, ids: Sequence[str], project_id: str | None) -> Mapping[str, Named]:
        """The issues that are meant, each once, however often it is named; or why none is."""
        named: dict[str, Named] = {}
        for wanted in dict.fromkeys(ids):
            try:
                found: Named = await self._desk.issue(wanted, project_id, name)
            except OwlmetryError as error:
                found = error
            if found not in named.values():
                named[wanted] = found
        return named

    async def merge(
        self,
        confirmed: Annotated[ElicitationResult[Confirmation], Resolve(confirm_merge)],
        target_issue_id: Annotated[str, Field(description="Survives")],
        source_issue_id: Annotated[str | None, Field(description="Is deleted")] = None,
        source_issue_ids: Annotated[Ids, Field(description="Several instead of one, at most 50")] = None,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """Merge duplicates: all of a source moves to the target, and the source is deleted. Cannot be undone."""
        require(confirmed)
        sources = _one_or_several("source_issue_id", source_issue_id, source_issue_ids)
        backend = self._desk.backend()
        project, target = await self._desk.issue(target_issue_id, project_id, "target_issue_id")
        answer = Answer(self._max_bytes)
        if source_issue_ids is None:
            _, source = await self._desk.issue(sources[0], project, "source_issue_id")
            row = _changed(answer, await backend.merge(project, target, source), {})
            answer.add(row.data, row.text)
            return answer.result()
        merged: Issue | None = None
        outcomes: list[Outcome] = []
        for wanted, named in (await self._named("source_issue_id", sources, project)).items():
            try:
                _, source = _issue(named)
                merged = await backend.merge(project, target, source)
                row = Row({"source_issue_id": source, "merged": True}, f"- {source} merged")
                outcomes.append(Outcome(row, row))
            except OwlmetryError as error:
                outcomes.append(_failed(answer, wanted, error, "source_issue_id"))
        if merged:
            row = _changed(answer, merged, {})
            answer.add(row.data, row.text)
        return _partly(answer, outcomes, "merged")

    async def comment(self, issue_id: IssueId, body: Body, project_id: ProjectId = None) -> CallToolResult:
        """Comment on an issue under your own identity."""
        project, issue = await self._desk.issue(issue_id, project_id)
        added = await self._desk.backend().add_comment(project, issue, body)
        return self._said(added)

    async def edit_comment(
        self, issue_id: IssueId, comment_id: str, body: Body, project_id: ProjectId = None
    ) -> CallToolResult:
        """Replace the body of a comment of your own."""
        project, issue = await self._desk.issue(issue_id, project_id)
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
        confirmed: Annotated[ElicitationResult[Confirmation], Resolve(confirm_delete)],
        issue_id: IssueId,
        comment_id: str,
        project_id: ProjectId = None,
    ) -> CallToolResult:
        """Delete a comment of your own; a team's admins and owners may delete any."""
        require(confirmed)
        project, issue = await self._desk.issue(issue_id, project_id)
        wanted = await self._desk.comment(project, issue, comment_id)
        await self._desk.backend().delete_comment(project, issue, wanted)
        answer = Answer(self._max_bytes)
        answer.add({"deleted": True}, f"Deleted comment {wanted}.")
        return answer.result()


def _one_or_several(name: str, one: str | None, several: Sequence[str] | None) -> Sequence[str]:
    """
    Raises:
        InvalidInputError: neither is given, or both.
    """
    if one is not None and several is not None:
        raise InvalidInputError(f"{name} and {name}s were both given", "Give one of them.")
    if one is not None:
        return [one]
    if several is not None:
        return several
    raise InvalidInputError(f"{name} is required", f"It takes an issue's id; {name}s takes several.")


def _issue(named: Named) -> tuple[str, str]:
    if isinstance(named, OwlmetryError):
        raise named
    return named


class Outcome(NamedTuple):
    """What became of one of several issues, in full and in brief."""

    full: Row
    brief: Row
    failed: bool = False


def _changed(answer: Answer, changed: Issue, said: Mapping[str, Any]) -> Row:
    return _row(answer, {**structured.changed_issue(changed), **said}, text.changed_issue(changed, answer.fence), said)


def _row(answer: Answer, data: Data, line: str, said: Mapping[str, Any]) -> Row:
    words = [line]
    if "comment_id" in said:
        words.append(f"  commented: {said['comment_id']}")
    if "comment_error" in said:
        error = answer.fence.around(quoted(said["comment_error"], _MOST_QUOTED))
        words.append(f"  The issue was changed, but NOT commented on: {error}")
    return Row(data, "\n".join(words))


def _failed(answer: Answer, wanted: str, error: OwlmetryError, name: str) -> Outcome:
    why = short(on_a_line(str(error)), _MOST_QUOTED)
    shown = short(on_a_line(wanted), _LONGEST_ID)
    words = answer.fence.around(quoted(why, _MOST_QUOTED))
    row = Row({name: shown, "error": why}, f"- {quoted(shown, _LONGEST_ID)} FAILED: {words}")
    return Outcome(row, row, failed=True)


def _partly(answer: Answer, outcomes: Sequence[Outcome], done: str) -> CallToolResult:
    """What became of each, the failures first; an error if all of them failed."""
    failed = sum(it.failed for it in outcomes)
    succeeded = len(outcomes) - failed
    answer.add(
        {done: succeeded, "failed": failed},
        f"{succeeded} {done}, {failed} FAILED." if failed else f"All {succeeded} {done}.",
    )
    failures_first = sorted(outcomes, key=lambda it: not it.failed)
    rows = [it.full for it in failures_first]
    if len(answer.fitting(rows)) < len(rows):
        rows = [it.brief for it in failures_first]
    if (kept := answer.rows("results", rows)) < len(rows):
        unsaid = sum(it.failed for it in failures_first[kept:])
        answer.leave_out(
            f"{len(rows) - kept} of {len(rows)} results, {unsaid} of them failed; list_issues shows how they stand"
        )
    if not succeeded:
        raise ToolError(answer.text())
    return answer.result()
