"""Walks through a server's lists of issues, page by page and bounded."""

from collections.abc import Callable, Mapping
from typing import Any

from owlmetry_mcp.backends.base import Progress
from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.memory import Memory
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.issues.models import Issue, IssuePage
from owlmetry_mcp.issues.parameters import MAX_LIMIT

MAX_PAGES = 10
"""A list. Of 200 each, they are 2,000 issues."""

Issues = Mapping[str, Issue]
"""By their ids, in the order that they were met in."""


class Lists:
    """The issues that one call reads from one list or several."""

    def __init__(self, wire: Wire, memory: Memory, deadline: Deadline, progress: Progress) -> None:
        self._wire = wire
        self._memory = memory
        self._deadline = deadline
        self._progress = progress
        self.seen: dict[str, Issue] = {}
        self.complete = True
        """Every list was walked to its end."""

    async def walk(
        self, path: str, query: Mapping[str, Any], is_enough: Callable[[Issues], bool] = lambda _: False
    ) -> None:
        """Read a list to its end, to `MAX_PAGES`, or until there is enough. An issue met again is as it was last."""
        cursor = None
        for _ in range(MAX_PAGES):
            asked = {**query, "cursor": cursor, "limit": MAX_LIMIT}
            page = checked(IssuePage, await self._wire.read(path, asked, self._deadline))
            self.seen |= {issue.id: issue for issue in page.issues}
            self._memory.show(page.issues)
            await self._progress(f"{len(self.seen)} issues read")
            if not page.has_more:
                return
            cursor = page.cursor
            if cursor is None or is_enough(self.seen):
                break
        self.complete = False
