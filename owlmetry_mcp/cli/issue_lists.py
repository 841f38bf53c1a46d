"""Issues of several statuses in one list, the most recently seen first, page by page; and how many more there are."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from owlmetry_mcp.backends.base import Backend, Progress
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue, IssuePage
from owlmetry_mcp.issues.parameters import DEFAULT_LIMIT, MAX_LIMIT, shown

Status = str | None
"""None: any."""


class More(NamedTuple):
    """How many issues follow a page."""

    at_least: int
    exactly: bool


class Issues:
    """What a list is of: the API lists one status or all, so that of several, each has pages of its own behind it."""

    def __init__(self, backend: Backend, project: str | None, wanted: IssueFilter, statuses: Sequence[str]) -> None:
        self._backend = backend
        self._project = project
        self._wanted = wanted
        self._statuses: Sequence[Status] = [*dict.fromkeys(statuses)] or [None]

    async def page(self, limit: int | None, cursor: str | None) -> IssuePage:
        count = min(limit or DEFAULT_LIMIT, MAX_LIMIT)
        begins = self._begins(cursor)
        pages = {status: await self._ask(status, begin, count) for status, begin in begins.items()}
        kept = self._latest([issue for page in pages.values() for issue in page.issues])[:count]
        kept_ids = {issue.id for issue in kept}
        following: dict[Status, str | None] = {}
        for status, page in pages.items():
            taken = sum(issue.id in kept_ids for issue in page.issues)
            if taken == len(page.issues):
                if page.has_more:
                    following[status] = page.cursor
            elif taken:
                following[status] = (await self._ask(status, begins[status], taken)).cursor
            else:
                following[status] = begins[status]
        return IssuePage(issues=kept, cursor=self._text(following), has_more=bool(following))

    async def all(self, heard: Progress) -> IssuePage:
        found: list[Issue] = []
        for status in self._statuses:
            cursor, met = None, set[str | None]()
            while cursor not in met:  # a server that sends in circles is not followed
                met.add(cursor)
                page = await self._ask(status, cursor, MAX_LIMIT)
                found += page.issues
                await heard(f"{len(found):,} issues …")
                if not page.has_more:
                    break
                cursor = page.cursor
        return IssuePage(issues=self._latest(found), cursor=None, has_more=False)

    async def more(self, cursor: str) -> More:
        """What follows, as far as one page of each tells."""
        pages = [await self._ask(status, begin, MAX_LIMIT) for status, begin in self._begins(cursor).items()]
        return More(sum(len(page.issues) for page in pages), exactly=not any(page.has_more for page in pages))

    async def _ask(self, status: Status, cursor: str | None, limit: int) -> IssuePage:
        wanted = replace(self._wanted, status=status)
        if self._project is not None:
            return await self._backend.list_issues(self._project, wanted, cursor=cursor, limit=limit)
        return await self._backend.list_team_issues(wanted, cursor=cursor, limit=limit)

    def _latest(self, issues: Sequence[Issue]) -> list[Issue]:
        """In the order that the backend has of one status, or in one of several."""
        once = {issue.id: issue for issue in issues}.values()
        if len(self._statuses) == 1:
            return [*once]
        return sorted(once, key=lambda it: (it.last_seen_at, it.id), reverse=True)

    # The cursor of a list of one status is the API's own. That of several names where each goes on, and leaves out
    # those that have ended.

    def _text(self, following: dict[Status, str | None]) -> str | None:
        if not following:
            return None
        if len(self._statuses) == 1:
            return following[self._statuses[0]]
        return base64.urlsafe_b64encode(json.dumps(following, separators=(",", ":")).encode()).decode()

    def _begins(self, cursor: str | None) -> dict[Status, str | None]:
        if cursor is None or len(self._statuses) == 1:
            return dict.fromkeys(self._statuses, cursor)
        try:
            begins = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
            if all(it is None or isinstance(it, str) for it in begins.values()) and {*begins} <= {*self._statuses}:
                return dict(begins)
        except (binascii.Error, ValueError, AttributeError):
            pass
        raise InvalidInputError(
            f"--cursor must be that of a list of the same statuses, not {shown(cursor)}",
            "Leave it out for the first page.",
        )
