"""One issue as a person reads it: what it is, all its occurrences together, the latest, what failed, what was said."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from owlmetry_mcp.cli.issue_tables import cells, place, status_text
from owlmetry_mcp.cli.terminal import Page, block, table, words
from owlmetry_mcp.issues.events import STACK_ATTRIBUTE
from owlmetry_mcp.issues.evidence import Breakdown, Examination, OccurrenceSummary
from owlmetry_mcp.issues.models import Comment, EventDetail, IssueDetail

LATEST = 10
_BAR = 24
_TRACE_HEAD, _TRACE_TAIL = 8, 16
"""Lines of a trace that are shown of a longer one: what it begins with, and what it ends with."""
_FINGERPRINT = 12
_ID = 8


class Failure:
    """The latest event of an issue, or why there is none to show."""

    def __init__(self, event: EventDetail | None = None, why_not: str = "") -> None:
        self.event = event
        self.why_not = why_not


def issue_page(page: Page, found: Examination, failure: Failure, *, whole_event: bool) -> Iterator[RenderableType]:
    issue = found.issue
    yield Text.assemble(status_text(issue.status), "  ", words(issue.title, "bold"))
    yield _set_in(cells(_facts(page, issue)))
    counted = found.summary.occurrences
    part = f", of which these are {counted:,}" if counted < issue.occurrence_count else ""
    yield from _section(_counted(issue.occurrence_count, "occurrence") + part, _summary(page, found.summary))
    if issue.occurrences:
        yield from _section("Latest occurrences", _occurrences(page, issue))
    yield from _event(page, failure, whole=whole_event)
    if issue.comments:
        yield from _section(f"Comments ({len(issue.comments)})")
        for comment in issue.comments:
            yield from _comment(page, comment)
    if issue.attachments:
        yield from _section(f"Attachments ({len(issue.attachments)})", _attachments(page, issue))


def _section(heading: str, *content: RenderableType) -> Iterator[RenderableType]:
    yield Text()
    yield Text(heading, "bold underline")
    yield from map(_set_in, content)


def _set_in(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2))


def _facts(page: Page, issue: IssueDetail) -> Sequence[tuple[str, str | Text | None]]:
    mode = "development" if issue.is_dev else "production"
    shown = " ".join(row[:_FINGERPRINT] for row in issue.fingerprints[:3])
    more = len(issue.fingerprints) - 3
    return [
        ("id", issue.id),
        ("in", Text.assemble(place(issue), ", " if issue.app_name else "", mode)),
        ("module", issue.source_module and words(issue.source_module)),
        ("seen by", _counted(issue.unique_user_count, "user")),
        ("first", _seen(page, issue.first_seen_at, issue.first_seen_app_version)),
        ("last", _seen(page, issue.last_seen_at, issue.last_seen_app_version)),
        ("fixed in", issue.resolved_at_version and words(issue.resolved_at_version, "green")),
        ("snoozed", issue.snoozed_at and _instant(page, issue.snoozed_at)),
        ("changed", _instant(page, issue.updated_at)),
        ("fingerprints", f"{shown} and {more} more" if more > 0 else shown),
    ]


def _seen(page: Page, instant: str, version: str | None) -> Text:
    at = Text(_instant(page, instant))
    return Text.assemble(at, " in ", words(version)) if version else at


def _instant(page: Page, instant: str) -> str:
    return f"{page.when(instant)} ({page.ago(instant)})" if page.is_terminal else instant


def _summary(page: Page, summary: OccurrenceSummary) -> RenderableType:
    rows: list[tuple[str, str | Text, str | Text, str | Text]] = []
    for name, found in (
        ("version", summary.app_versions), ("environment", summary.environments), ("country", summary.countries),
        ("day", summary.days),
    ):  # fmt: skip
        rows += _breakdown(page, name, found, summary.occurrences)
    if summary.occurrences and not rows:
        rows.append(("made of", _counted(summary.occurrences, "occurrence"), "", ""))
    return cells(rows)


def _breakdown(
    page: Page, name: str, found: Breakdown, of: int
) -> Iterator[tuple[str, str | Text, str | Text, str | Text]]:
    if [row.value for row in found.top] == [None]:  # none says it
        return
    for number, row in enumerate(found.top):
        bar = "█" * max(1, round(_BAR * row.occurrences / max(of, 1))) if page.is_terminal else ""
        value = Text("not said", "dim italic") if row.value is None else words(row.value)
        yield name if not number or not page.is_terminal else "", value, f"{row.occurrences:,}", Text(bar, "cyan")
    if found.others:
        yield "", Text(f"{found.others:,} more", "dim"), f"{found.others_count:,}", ""


def _occurrences(page: Page, issue: IssueDetail) -> RenderableType:
    shown = table("when", "version", "environment", "country", "user", "session")
    for row in issue.occurrences:
        shown.add_row(
            page.when(row.timestamp),
            *(words(it or "") for it in (row.app_version, row.environment, row.country_code, row.user_id)),
            row.session_id[:_ID],
        )
    for column in (shown.columns[0], shown.columns[-1]):
        column.no_wrap = True
    return shown


def _event(page: Page, failure: Failure, *, whole: bool) -> Iterator[RenderableType]:
    event = failure.event
    if event is None:
        if failure.why_not:
            yield from _section("Latest event", Text(failure.why_not, "dim"))
        return
    attributes = dict(event.custom_attributes or {})
    trace = attributes.pop(STACK_ATTRIBUTE, None)
    if trace is None and not whole:
        return
    yield from _section(f"Latest event, {page.when(event.timestamp)}", Text(event.id, "dim"))
    if whole:
        yield block(event.message, "bold")
        yield Padding(cells(_attributes(event) + [(name, words(value)) for name, value in attributes.items()]), (0, 4))
    if trace is not None:
        yield from _trace(trace.rstrip().split("\n"), whole=whole)


def _attributes(event: EventDetail) -> list[tuple[str, str | Text | None]]:
    fields = (
        "id", "level", "source_module", "screen_name", "app_version", "build_number", "environment", "os_version",
        "device_model", "locale", "country_code", "user_id", "session_id", "sdk_name", "sdk_version", "received_at",
    )  # fmt: skip
    return [(name, (value := getattr(event, name)) and words(value)) for name in fields]


def _trace(lines: Sequence[str], *, whole: bool) -> Iterator[RenderableType]:
    left_out = 0 if whole else len(lines) - _TRACE_HEAD - _TRACE_TAIL
    if left_out <= 1:
        yield block("\n".join(lines))
        return
    yield block("\n".join(lines[:_TRACE_HEAD]))
    yield block(f"… {left_out} lines more; --events shows all …", "dim italic")
    yield block("\n".join(lines[-_TRACE_TAIL:]))


def _comment(page: Page, comment: Comment) -> Iterator[RenderableType]:
    author = words(comment.author_name, "cyan" if comment.author_type == "agent" else "green")
    kind = f"agent key {comment.author_id[:_ID]}" if comment.author_type == "agent" else "person"
    edited = "" if comment.updated_at == comment.created_at else f", changed {page.when(comment.updated_at)}"
    yield _set_in(Text.assemble(author, (f" ({kind}), {page.when(comment.created_at)}{edited}", "dim")))
    yield block(comment.body)


def _attachments(page: Page, issue: IssueDetail) -> RenderableType:
    shown = table("when", "name", "type", "bytes", "event")
    for row in issue.attachments:
        name, kind = words(row.original_filename), words(row.content_type)
        shown.add_row(page.when(row.created_at), name, kind, f"{row.size_bytes:,}", (row.event_id or "")[:_ID])
    return shown


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
