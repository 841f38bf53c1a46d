"""What became of each of several issues, told plainly: the failures first, and none of them unsaid."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult

from owlmetry_mcp.asking.batches import Moved
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.quoting import on_a_line, quoted, short
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row

logger = logging.getLogger(__name__)

_MOST_QUOTED = 300
_LONGEST_ID = 60
_UNFORESEEN = "It failed in a way that was not foreseen; whether it was done is not known. Look with get_issue."


class Outcome(NamedTuple):
    """What became of one of several issues, in full and in brief."""

    full: Row
    brief: Row
    failed: bool = False


def changed(answer: Answer, issue: Issue, said: Mapping[str, Any]) -> Row:
    """An issue as it is now, and what became of the comment on it."""
    data = {**structured.changed_issue(issue), **said}
    return Row(data, "\n".join([text.changed_issue(issue, answer.fence), *_comment_lines(answer, said)]))


def moved(answer: Answer, issue: Issue, said: Mapping[str, Any]) -> Outcome:
    data = {"id": issue.id, "status": issue.status, **said}
    brief = Row(data, "\n".join([f"- {issue.id} {issue.status}", *_comment_lines(answer, said)]))
    return Outcome(changed(answer, issue, said), brief)


def merged(source_id: str) -> Outcome:
    row = Row({"source_issue_id": source_id, "merged": True}, f"- {source_id} merged")
    return Outcome(row, row)


def failed(answer: Answer, wanted: str, error: Exception, name: str) -> Outcome:
    """Of an error that is not ours, the log has the whole."""
    if not isinstance(error, OwlmetryError):
        logger.error("One of several issues failed", exc_info=error)
    why = comment_error(error) if isinstance(error, OwlmetryError) else _UNFORESEEN
    shown = short(on_a_line(wanted), _LONGEST_ID)
    words = answer.fence.around(quoted(why, _MOST_QUOTED))
    row = Row({name: shown, "error": why}, f"- {quoted(shown, _LONGEST_ID)} FAILED: {words}")
    return Outcome(row, row, failed=True)


def commented(moved: Moved) -> dict[str, str]:
    """What became of the comment, if there was to be one."""
    if moved.comment_error is not None:
        return {"comment_error": comment_error(moved.comment_error)}
    return {} if moved.comment is None else {"comment_id": moved.comment.id}


def comment_error(error: OwlmetryError) -> str:
    return short(on_a_line(str(error)), _MOST_QUOTED)


def _comment_lines(answer: Answer, said: Mapping[str, Any]) -> list[str]:
    words = []
    if "comment_id" in said:
        words.append(f"  commented: {said['comment_id']}")
    if "comment_error" in said:
        error = answer.fence.around(quoted(said["comment_error"], _MOST_QUOTED))
        words.append(f"  The issue was changed, but NOT commented on: {error}")
    return words


def partly(answer: Answer, outcomes: Sequence[Outcome], done: str) -> CallToolResult:
    """
    Raises:
        ToolError: all of them failed.
    """
    failures = sum(it.failed for it in outcomes)
    succeeded = len(outcomes) - failures
    answer.add(
        {done: succeeded, "failed": failures},
        f"{succeeded} {done}, {failures} FAILED." if failures else f"{succeeded} {done}, none failed.",
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
