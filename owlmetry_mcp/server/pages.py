"""Answers that may be longer than their cap: what goes in first, and how the rest is reached."""

from collections.abc import Sequence

from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.evidence import OccurrenceSummary
from owlmetry_mcp.issues.models import Comment, IssueDetail
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.structured import READ

DEFAULT_LISTED = 20
"""Issues a page."""
LATEST_OCCURRENCES = 10
"""Of an issue that is shown with its summary."""
EXAMINATION_BYTES = 8_000
"""The cap of an issue's summary, whatever the setting: it is read for every issue."""
_MOST_DIGITS = 9


def paging(answer: Answer, name: str, cursor: str | None) -> None:
    """Say whether there is more, and how to ask for it."""
    has_more = name.replace("cursor", "has_more")
    if cursor is None:
        answer.add({has_more: False})
    else:
        answer.add({name: cursor, has_more: True}, f"There are more: {name}={cursor}")


def place(cursor: str | None) -> int:
    """The row that a cursor of ours names.

    Raises:
        InvalidInputError: it is none of ours.
    """
    if not cursor:
        return 0
    if cursor.isascii() and cursor.isdigit() and len(cursor) <= _MOST_DIGITS:
        return int(cursor)
    raise InvalidInputError(
        f"cursor must be the cursor of the page before, not {shown(cursor)}", "Leave it out for the first page."
    )


def issue_answer(
    found: IssueDetail, summary: OccurrenceSummary | None, max_bytes: int, *, rows_alone: bool = False
) -> Answer:
    """An issue with its occurrences, and the latest of its comments and attachments as far as there is room.

    Without a summary, the occurrences are what was asked for, and the issue itself is told as in a list.
    """
    answer = Answer(max_bytes)
    fence = answer.fence
    if summary:
        forms = (Row(structured.issue(found, it), "\n".join(text.issue_lines(found, it, fence))) for it in READ)
        say_what_is_cut(answer, answer.fullest(forms, share=0.5))
        lines = text.summary_lines(summary, found.occurrence_count, fence)
        row = Row({"summary": structured.summary(summary)}, "\n".join(lines))
        if answer.fullest([row, Row({}, "")]):
            answer.leave_out("the summary; a larger OWLMETRY_MAX_RESULT_BYTES has room for it")
    else:
        answer.add(structured.listed_issue(found), text.listed_issue(found, fence))
    comments = [] if rows_alone else found.comments
    attachments = [] if rows_alone else found.attachments
    heading = f"{occurrences_heading(found)}:"
    add_occurrences(answer, found, heading, share=0.6 if comments or attachments else 1.0)
    _page_occurrences(answer, found)
    if comments:
        add_latest_comments(answer, comments, f"Comments ({len(comments)}):")
    rows = [Row(structured.attachment(row), text.attachment(row, fence)) for row in attachments]
    if rows and (kept := answer.rows("attachments", rows, f"Attachments, latest first ({len(rows)}):")) < len(rows):
        answer.leave_out(f"{len(rows) - kept} of {len(rows)} attachments; get_event shows those of an event")
    return answer


def say_what_is_cut(answer: Answer, form: int) -> None:
    if form:
        answer.leave_out("the ends of its longest texts; a larger OWLMETRY_MAX_RESULT_BYTES has room for them")


def occurrences_heading(found: IssueDetail) -> str:
    reached = f"; {found.occurrences_seen} could be reached so far" if _is_incomplete(found) else ""
    return f"Occurrences, latest first ({len(found.occurrences)} of {found.occurrence_count}{reached})"


def add_occurrences(answer: Answer, found: IssueDetail, heading: str, share: float) -> int:
    """As many of the latest as fit into a share of the room; returns how many."""
    rows = [Row(structured.occurrence(row), text.occurrence(row, answer.fence)) for row in found.occurrences]
    return answer.rows("occurrences", rows, heading, share)


def _page_occurrences(answer: Answer, found: IssueDetail) -> None:
    kept, count = answer.shown("occurrences"), len(found.occurrences)
    if _is_incomplete(found):
        answer.add({"occurrences_seen": found.occurrences_seen})
    if kept == count:
        paging(answer, "occurrence_cursor", found.occurrence_cursor)
    else:
        answer.leave_out(f"{count - kept} of {count} occurrences; occurrence_limit={count} shows them")


def _is_incomplete(found: IssueDetail) -> bool:
    return found.occurrences_seen is not None and found.occurrences_seen != found.occurrence_count


def add_latest_comments(answer: Answer, comments: Sequence[Comment], heading: str) -> None:
    """As many of the latest comments as there is room for, in the order written."""
    kept = answer.fitting((_comment_row(answer, row) for row in reversed(comments)), heading, share=0.8)
    if kept:
        answer.add_rows("comments", kept[::-1], heading)
    if len(kept) < len(comments):
        answer.leave_out(f"{len(comments) - len(kept)} of {len(comments)} comments; list_comments shows all")


def add_comments(answer: Answer, comments: Sequence[Comment], cursor: str | None) -> None:
    """A page of comments. The cursor names the next one, and how much of it has been shown, where it is a long one.

    Raises:
        InvalidInputError: the cursor is none of ours, or its comment is gone.
    """
    rest, begun = _behind(comments, cursor)
    kept = answer.rows("comments", (_comment_row(answer, row) for row in rest))
    following = rest[kept].id if kept < len(rest) else None
    if rest and not kept:  # one that is longer than an answer is shown in parts
        end = _longest_part(answer, rest[0])
        part = rest[0].model_copy(update={"body": rest[0].body[:end]})
        answer.rows("comments", [_comment_row(answer, part)])
        following = f"{rest[0].id}:{begun + end}"
        answer.leave_out("the rest of that comment; the cursor goes on with it")
    if not comments:
        answer.add({}, "No comments.")
    if following:
        paging(answer, "cursor", following)


def _behind(comments: Sequence[Comment], cursor: str | None) -> tuple[Sequence[Comment], int]:
    """The comments from the cursor on, and how much of the first one has been shown."""
    if cursor is None:
        return comments, 0
    comment_id, _, offset = cursor.partition(":")
    begun = place(offset)
    for index, row in enumerate(comments):
        if row.id == comment_id:
            return [row.model_copy(update={"body": row.body[begun:]}), *comments[index + 1 :]], begun
    raise InvalidInputError(
        f"cursor must be the cursor of the page before, not {shown(cursor)}", "Leave it out for the first page."
    )


def _longest_part(answer: Answer, comment: Comment) -> int:
    """How much of a comment's body fits, to the end of a word where there is one in the second half of it."""
    fits, over = 1, min(len(comment.body), answer.max_bytes)
    while over - fits > 1:
        middle = (fits + over) // 2
        part = comment.model_copy(update={"body": comment.body[:middle]})
        if answer.fitting([_comment_row(answer, part)]):
            fits = middle
        else:
            over = middle
    end = max(comment.body.rfind(blank, fits // 2, fits) for blank in " \n") + 1
    return end or fits


def _comment_row(answer: Answer, row: Comment) -> Row:
    return Row(structured.listed_comment(row), text.comment_line(row, answer.fence))
