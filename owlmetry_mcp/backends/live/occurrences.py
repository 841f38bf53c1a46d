"""An issue's occurrences from a server whose own cursor loses and repeats rows behind the first page.

Its first page is right. Those behind it are fetched in the largest pages there are, each row is kept once, and how many
were seen is told. The cursor given on is the id of the last occurrence shown, which holds its place whatever page of
the server's it came on.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from owlmetry_mcp.backends.base import Progress
from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.reads import Reads
from owlmetry_mcp.backends.live.wire import Wire
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.evidence import Examination
from owlmetry_mcp.issues.models import IssueDetail, Occurrence
from owlmetry_mcp.issues.parameters import MAX_LIMIT
from owlmetry_mcp.triage.occurrences import summarized

MAX_PAGES = 50
"""So many of 200 are fetched for a page far down; what lies behind them is out of reach."""


EXAMINED_PAGES = 10
"""So many of 200 are fetched for a summary."""


WHOLE_PAGES = 1_000
"""So many of 200 are fetched of an issue that is wanted whole."""


async def unheard(_: str) -> None:
    """Progress that no one is told."""


class Walk:
    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path

    async def page(self, after: str | None, count: int) -> IssueDetail:
        """The issue with `count` occurrences behind the one with the id `after`.

        Raises:
            InvalidInputError: the server shows no occurrence `after`.
        """
        reads = Reads(self._wire, partial=False)
        if after is None and count < MAX_LIMIT and (first := await self._first(reads, count)):
            return first
        walked = await self._walk(reads, MAX_PAGES, lambda seen: _enough(seen, after, count))
        return walked.shown(after, count)

    async def _first(self, reads: Reads, count: int) -> IssueDetail | None:
        """The first page, by one request for no more than it shows and one row behind it; None where that row is of the
        same instant as the last shown, so that the next page could not tell which of that instant have been shown.
        """
        found = await self._fetch(reads, None, count + 1)
        rows = sorted(found.occurrences, key=_latest, reverse=True)
        if len(rows) <= count:
            if found.occurrence_has_more:
                return None
            return _Walked(found, rows, has_more=False).shown(None, count)
        if rows[count].timestamp == rows[count - 1].timestamp:
            return None
        return _Walked(found, rows, has_more=True).shown(None, count).model_copy(update={"occurrences_seen": None})

    async def examination(self, latest: int, progress: Progress) -> Examination:
        """The issue with its `latest` occurrences, and what the pages show of all, while time lasts."""
        walked = await self._walk(Reads(self._wire, partial=True), EXAMINED_PAGES, lambda _: False, progress)
        return Examination(issue=walked.shown(None, latest), summary=summarized(walked.rows))

    async def whole(self) -> IssueDetail:
        """The issue with all the occurrences that its pages show, for whoever has time: each page may take a call's."""
        detail = first = await self._fetch(self._patient(), None, MAX_LIMIT)
        seen = {row.id: row for row in first.occurrences}
        for _ in range(min(2 * first.occurrence_count // MAX_LIMIT, WHOLE_PAGES)):
            if not detail.occurrence_has_more:
                break
            detail = await self._fetch(self._patient(), detail.occurrence_cursor, MAX_LIMIT)
            seen |= {row.id: row for row in detail.occurrences if row.id not in seen}
        rows = sorted(seen.values(), key=_latest, reverse=True)
        return _Walked(first, rows, has_more=False).shown(None, len(rows))

    def _patient(self) -> Reads:
        return Reads(self._wire, partial=False)

    async def _walk(
        self,
        reads: Reads,
        most_pages: int,
        is_enough: Callable[[Mapping[str, Occurrence]], bool],
        progress: Progress = unheard,
    ) -> "_Walked":
        first = detail = await self._fetch(reads, None, MAX_LIMIT)
        seen = {row.id: row for row in first.occurrences}
        await progress(f"{len(seen)} occurrences read")
        pages = 1
        with reads.while_time_lasts():
            while detail.occurrence_has_more and pages < most_pages and not is_enough(seen):
                detail = await self._fetch(reads, detail.occurrence_cursor, MAX_LIMIT)
                pages += 1
                seen |= {row.id: row for row in detail.occurrences if row.id not in seen}
                await progress(f"{len(seen)} occurrences read")
        rows = sorted(seen.values(), key=_latest, reverse=True)
        return _Walked(first, rows, detail.occurrence_has_more and pages < MAX_PAGES)

    async def _fetch(self, reads: Reads, cursor: str | None, limit: int) -> IssueDetail:
        query = {"occurrence_cursor": cursor, "occurrence_limit": limit}
        return checked(IssueDetail, await reads.read(self._path, query))


class _Walked(NamedTuple):
    issue: IssueDetail
    rows: list[Occurrence]
    """All that were seen, latest first."""
    has_more: bool
    """Behind them, within reach."""

    def shown(self, after: str | None, count: int) -> IssueDetail:
        begin = _place(self.rows, after)
        shown = self.rows[begin : begin + count]
        has_more = begin + count < len(self.rows) or self.has_more
        update: dict[str, Any] = {
            "occurrences": shown,
            "occurrence_has_more": has_more and bool(shown),
            "occurrence_cursor": shown[-1].id if has_more and shown else None,
            "occurrences_seen": len(self.rows),
        }
        return self.issue.model_copy(update=update)


def _latest(row: Occurrence) -> tuple[str, str]:
    return row.timestamp, row.id


def _enough(seen: Mapping[str, Occurrence], after: str | None, count: int) -> bool:
    """Whether the rows seen hold the page wanted, and one more, which shows that there is more."""
    if after is None:
        return len(seen) > count
    return after in seen and list(seen).index(after) + count + 1 < len(seen)


def _place(rows: list[Occurrence], after: str | None) -> int:
    if after is None:
        return 0
    for index, row in enumerate(rows):
        if row.id == after:
            return index + 1
    raise InvalidInputError(
        "occurrence_cursor must be the occurrence_cursor of this issue's page before",
        "The server no longer shows that occurrence; leave the cursor out for the first page.",
    )
