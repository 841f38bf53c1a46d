"""The state of projects at a glance: what is shown of it in few bytes, to a tool's caller as in a document.

Every section that has issues shows one before any shows a second, then they take turns; titles are cut shorter before a
row is dropped. What fits is found by laying it out and measuring that: there are few rows, and nothing is reserved for
what is not said.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from owlmetry_mcp.issues.evidence import Overview, Reason
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.server import structured, text
from owlmetry_mcp.server.answers import Answer, Row
from owlmetry_mcp.server.structured import OVERVIEW, Lengths
from owlmetry_mcp.server.untrusted import Fence
from owlmetry_mcp.triage.overview import PUT_ASIDE, SHOWN

OVERVIEW_BYTES = 4_000
"""The cap of an overview, whatever the setting: it is read first, and often."""

REASONS: Mapping[Reason, str] = {
    "regressed": "fixed once, and seen again in a newer version",
    "new": "new, and hits most users",
    "stale_claim": "claimed, and untouched for a week",
    "growing": "put aside, and still seen",
}

_STATUSES: Mapping[str, Status] = {"regressed": "regressed", "new": "new", "claimed": "in_progress"}
"""Of the sections that show all issues of a status, the first of them."""

Laid = TypeVar("Laid")
Kept = Mapping[str, int]
"""How many rows of each section."""


class Section(NamedTuple):
    name: str
    heading: str
    rows: Sequence[Row]


class Glance(NamedTuple):
    """What is shown of an overview."""

    state: Sequence[Row]
    sections: Sequence[Section]
    """Those that have rows."""
    left_out: Sequence[str]


def overview_answer(found: Overview, max_bytes: int) -> Answer:
    fence = Fence()

    def laid_out(glance: Glance) -> Answer:
        answer = Answer(max_bytes, fence)
        answer.put({"as_of": found.as_of}, f"As of {found.as_of}")
        for row in glance.state:
            answer.put(row.data, row.text)
        answer.put({"next": []})  # which tells, too, that there is nothing
        for section in glance.sections:
            data = {section.name: [row.data for row in section.rows]}
            answer.put(data, f"{section.heading}:", *(row.text for row in section.rows))
        for what in glance.left_out:
            answer.leave_out(what)
        return answer

    return fullest(found, fence, laid_out, lambda answer: answer.size() <= max_bytes)


def fullest(found: Overview, fence: Fence, laid_out: Callable[[Glance], Laid], fits: Callable[[Laid], bool]) -> Laid:
    """The overview with as many rows as fit, and with titles as long as so many rows allow."""
    state = _state(found)

    def shown(sections: Sequence[Section], kept: Kept) -> Laid:
        parts = [section._replace(rows=section.rows[: kept[section.name]]) for section in sections]
        return laid_out(Glance(state, [part for part in parts if part.rows], [*_left_out(found, kept)]))

    shortest, *longer = reversed(OVERVIEW)
    sections = _sections(found, shortest, fence)
    kept: Kept = {section.name: len(section.rows) for section in sections}
    laid = shown(sections, kept)
    if not fits(laid):
        kept = _kept(sections, lambda kept: fits(shown(sections, kept)))
        laid = shown(sections, kept)
    for lengths in longer:
        if not fits(wider := shown(_sections(found, lengths, fence), kept)):
            break
        laid = wider
    return laid


def _kept(sections: Sequence[Section], fits: Callable[[Kept], bool]) -> Kept:
    """As many rows as fit: what to look at next, then one of each section in turn; none behind one that does not."""
    suggested, *others = sections
    turns = [section.name for turn in range(SHOWN) for section in others if turn < len(section.rows)]
    names = [suggested.name] * len(suggested.rows) + turns

    def first(count: int) -> dict[str, int]:
        return {section.name: names[:count].count(section.name) for section in sections}

    # To lay an overview out takes long, so where the first row is that does not fit is found by halving.
    count = bisect_left(range(1, len(names)), 1, key=lambda count: not fits(first(count)))
    kept, full = first(count), {*names[count : count + 1]}
    for name in names[count + 1 :]:
        more = kept | {name: kept[name] + 1}
        if name not in full and fits(more):
            kept = more
        else:
            full.add(name)
    return kept


def _state(found: Overview) -> list[Row]:
    """How many issues there are, and of how many that is known."""
    rows = [
        Row({name: counts}, f"{name}: {', '.join(f'{count} {of}' for of, count in counts.items()) or 'no issues'}")
        for name, counts in (("production", found.production), ("development", found.development))
        if counts or name == "production"
    ]
    if not found.coverage.complete:
        seen = found.coverage.seen
        said = f"Of the {seen} issues most recently seen; there are more, so counts are lower bounds."
        rows.append(Row({"covered": {"issues": seen, "complete": False}}, said))
    return rows


def _sections(found: Overview, lengths: Lengths, fence: Fence) -> list[Section]:
    """What to look at next, then the others by priority."""

    def rows(issues: Sequence[Issue]) -> list[Row]:
        return [Row(structured.overview_issue(it, lengths), text.overview_issue(it, lengths, fence)) for it in issues]

    reasons = [(it.issue.id, REASONS[it.reason]) for it in found.next]
    claims = [Row(structured.claim(it, lengths), text.claim(it, lengths, fence)) for it in found.claimed]
    return [
        Section("next", "Look at next", [Row({"id": of, "reason": why}, f"- {of}: {why}") for of, why in reasons]),
        Section("regressed", "Regressed", rows(found.regressed)),
        Section("new", "New, most users first", rows(found.new)),
        Section("claimed", "In progress, longest untouched first", claims),
        Section("growing", "Silenced or snoozed, yet seen in the last 7 days", rows(found.growing)),
    ]


def _left_out(found: Overview, kept: Kept) -> Iterator[str]:
    """What there is besides, of all that is known to be there, and how to get it."""
    if rest := len(found.next) - kept["next"]:
        yield f"{rest} more to look at next: triage_overview shows them"
    at_least = "" if found.coverage.complete else "at least "
    for name, status in _STATUSES.items():
        total = found.production.get(status, 0) + found.development.get(status, 0)
        if total > kept[name]:
            yield f"{at_least}{total - kept[name]:,} more {status}: list_issues with status={status}"
    dropped = len(found.growing) - kept["growing"]
    may_be_more = len(found.growing) >= SHOWN  # how many grow is not counted
    if dropped or may_be_more:
        how_many = f"{'at least ' if may_be_more else at_least}{dropped}" if dropped else "perhaps"
        asked = " or ".join(f"status={status}" for status in PUT_ASIDE)
        yield f"{how_many} more growing: list_issues with {asked}"
