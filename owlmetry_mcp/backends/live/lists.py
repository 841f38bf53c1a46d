"""Walks through a server's lists of issues, page by page and bounded."""

from collections.abc import Callable, Mapping
from typing import Any

from owlmetry_mcp.backends.base import Progress
from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.memory import Memory
from owlmetry_mcp.backends.live.reads import Reads
from owlmetry_mcp.issues.models import Issue, IssuePage
from owlmetry_mcp.issues.parameters import MAX_LIMIT

MAX_PAGES = 10
"""A list. Of 200 each, they are 2,000 issues."""

Issues = Mapping[str, Issue]
"""By their ids, in the order that they were met in."""


class Lists:
    """The issues that one call reads from one list or several."""

    def __init__(self, reads: Reads, memory: Memory, progress: Progress) -> None:
        self._reads = reads
        self._memory = memory
        self._progress = progress
        self.seen: dict[str, Issue] = {}
        self.complete = True
        """Every list was walked to its end."""

    async def walk(
        self,
        path: str,
        query: Mapping[str, Any],
        is_enough: Callable[[Issues], bool] = lambda _: False,
        most_pages: int = MAX_PAGES,
    ) -> None:
        """Read a list to its end, to so many pages, until there is enough, or while time lasts.

        An issue met again is as it was last.
        """
        to_the_end = False
        with self._reads.while_time_lasts():
            to_the_end = await self._walk(path, query, is_enough, most_pages)
        self.complete = self.complete and to_the_end

    async def _walk(
        self, path: str, query: Mapping[str, Any], is_enough: Callable[[Issues], bool], most_pages: int
    ) -> bool:
        """Whether the end was reached."""
        cursor = None
        for _ in range(most_pages):
            asked = {**query, "cursor": cursor, "limit": MAX_LIMIT}
            page = checked(IssuePage, await self._reads.read(path, asked))
            self.seen |= {issue.id: issue for issue in page.issues}
            self._memory.show(page.issues)
            await self._progress(f"{len(self.seen)} issues read")
            if not page.has_more:
                return True
            cursor = page.cursor
            if cursor is None or is_enough(self.seen):
                break
        return False
