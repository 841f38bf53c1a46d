"""Events in answers that may be longer than their cap: all parts of one, and the story that led to it."""

from collections.abc import Sequence
from typing import NamedTuple

from owlmetry_mcp.issues.events import STACK_ATTRIBUTE
from owlmetry_mcp.issues.models import Attachment, Event, EventDetail
from owlmetry_mcp.issues.quoting import LONGEST_ESCAPE, visible
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.pages import paging
from owlmetry_mcp.server.structured import WHOLE

_PIECE_LENGTH = 400


def crumbs_answer(found: Sequence[Event], asked_for: str, max_bytes: int) -> Answer:
    """The event asked for before all, then the latest of those that led to it, then those that came after it."""
    answer = Answer(max_bytes)
    at = next((place for place, row in enumerate(found) if row.id == asked_for), len(found) - 1)
    bare = bool(found) and not answer.fitting([_crumb_row(answer, found[at], asked_for, bare=False)])
    back = answer.fitting(_crumb_row(answer, row, asked_for, bare=bare) for row in found[: at + 1][::-1])
    begin = at + 1 - len(back)
    rows = [_crumb_row(answer, row, asked_for, bare=bare) for row in found[begin : None if begin == 0 else at + 1]]
    end = begin + answer.rows("events", rows)
    if bare:
        answer.leave_out("the events' attributes; get_event shows an event's")
    if begin:
        answer.leave_out(f"{begin} earlier events; get_breadcrumbs of {found[begin - 1].id} shows them")
    if end < len(found):
        answer.leave_out(f"{len(found) - end} later events; get_breadcrumbs of {found[end].id} shows them")
    return answer


def _crumb_row(answer: Answer, row: Event, asked_for: str, *, bare: bool) -> Row:
    line = text.crumb(row, asked_for, answer.fence, attributes=not bare)
    return Row(structured.crumb(row, attributes=not bare), line)


class Part(NamedTuple):
    """A piece of an event: of its stack trace, of an attribute (a long one has several), or an attachment."""

    stack: str = ""
    name: str = ""
    """The attribute's, as it is shown."""
    raw_name: str = ""
    value: str = ""
    goes_on: bool = False
    """It is not the attribute's first."""
    attachment: Attachment | None = None


def add_parts(answer: Answer, found: EventDetail, begin: int) -> None:
    """The stack trace, the other attributes and the attachments; from the `begin`th part of them on."""
    parts = _parts(found)
    rows = answer.fitting((_row(answer, part) for part in parts[begin:]), share=0.95)
    end = begin + len(rows)
    stack = "".join(part.stack for part in parts[begin:end])
    attributes: dict[str, Part] = {}
    for part in parts[begin:end]:
        if part.name:
            before = attributes.get(part.name)
            attributes[part.name] = before._replace(value=before.value + part.value) if before else part
    said = {STACK_ATTRIBUTE: stack} if stack else {}
    said |= {name: visible(part.value) for name, part in attributes.items()}
    if said:
        answer.add({"custom_attributes": said})
    if stack:
        answer.add({}, "Stack trace:", answer.fence.block(stack.removesuffix("\n")))
    if attributes:
        answer.add({}, "Attributes:", *(_row(answer, part).text for part in attributes.values()))
    if attachments := [row for row, part in zip(rows, parts[begin:end], strict=True) if part.attachment]:
        answer.add_rows("attachments", attachments, f"Attachments ({len(found.attachments)}):")
    if end < len(parts):
        answer.leave_out(
            f"{len(parts) - end} of {len(parts)} parts of its stack trace, attributes and attachments;"
            " the cursor goes on with them"
        )
        paging(answer, "cursor", str(end))


def _parts(found: EventDetail) -> Sequence[Part]:
    attributes = {**(found.custom_attributes or {})}
    stack = visible(attributes.pop(STACK_ATTRIBUTE, ""))
    pairs = [(name, (name, value)) for name, value in attributes.items()]
    return [
        *(Part(stack=piece) for line in stack.splitlines(keepends=True) for piece in _cut(line)),
        *(
            Part(name=name, raw_name=raw_name, value=piece, goes_on=place > 0)
            for name, (raw_name, value) in structured.named(pairs, WHOLE.field).items()
            for place, piece in enumerate(_cut(value))
        ),
        *(Part(attachment=row) for row in found.attachments),
    ]


def _row(answer: Answer, part: Part) -> Row:
    if part.attachment:
        return Row(structured.attachment(part.attachment), text.attachment(part.attachment, answer.fence))
    if part.stack:
        return Row(part.stack, f"> {part.stack}")
    line = text.attribute(part.raw_name, part.value, answer.fence, goes_on=part.goes_on)
    return Row({part.name: visible(part.value)}, line)


def _cut(words: str) -> Sequence[str]:
    """The text in pieces that are short as they are shown."""
    length = _PIECE_LENGTH if visible(words) == words else _PIECE_LENGTH // LONGEST_ESCAPE
    return [words[begin : begin + length] for begin in range(0, len(words), length)] or [""]
