"""An issue's occurrences from a server whose own cursor loses and repeats rows behind the first page.

They are fetched in the largest pages there are, each row is kept once, and how many were seen is told. The cursor given
on is the id of the last occurrence shown, which holds its place whatever page of the server's it came on.
"""

from typing import Any

from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.models import IssueDetail, Occurrence
from owlmetry_mcp.issues.parameters import MAX_LIMIT

MAX_PAGES = 50
"""So many of 200 are fetched for a page far down; what lies behind them is out of reach."""


class Walk:
    def __init__(self, wire: Wire, path: str) -> None:
        self._wire = wire
        self._path = path

    async def page(self, after: str | None, count: int) -> IssueDetail:
        """The issue with `count` occurrences behind the one with the id `after`.

        Raises:
            InvalidInputError: the server shows no occurrence `after`.
        """
        deadline = self._wire.deadline()
        detail = await self._fetch(None, deadline)
        first = detail
        seen = {row.id: row for row in first.occurrences}
        pages = 1
        while detail.occurrence_has_more and pages < MAX_PAGES and not _enough(seen, after, count):
            detail = await self._fetch(detail.occurrence_cursor, deadline)
            pages += 1
            seen |= {row.id: row for row in detail.occurrences if row.id not in seen}
        rows = sorted(seen.values(), key=lambda row: (row.timestamp, row.id), reverse=True)
        begin = _place(rows, after)
        shown = rows[begin : begin + count]
        has_more = begin + count < len(rows) or (detail.occurrence_has_more and pages < MAX_PAGES)
        update: dict[str, Any] = {
            "occurrences": shown,
            "occurrence_has_more": has_more and bool(shown),
            "occurrence_cursor": shown[-1].id if has_more and shown else None,
            "occurrences_seen": len(rows),
        }
        return first.model_copy(update=update)

    async def _fetch(self, cursor: str | None, deadline: Deadline) -> IssueDetail:
        query = {"occurrence_cursor": cursor, "occurrence_limit": MAX_LIMIT}
        return checked(IssueDetail, await self._wire.read(self._path, query, deadline))


def _enough(seen: dict[str, Occurrence], after: str | None, count: int) -> bool:
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
