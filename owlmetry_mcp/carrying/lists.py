"""A server's list of issues, walked to its end."""

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.errors import UnavailableError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.parameters import MAX_LIMIT

MAX_PAGES = 1_000


async def all_issues(backend: Backend, project_id: str) -> list[Issue]:
    """All of a project, development and production, the oldest first.

    Raises:
        UnavailableError: there is no end to them.
    """
    found: dict[str, Issue] = {}
    cursor = None
    for _ in range(MAX_PAGES):
        page = await backend.list_issues(project_id, IssueFilter(), cursor=cursor, limit=MAX_LIMIT)
        new = {issue.id: issue for issue in page.issues if issue.id not in found}
        found |= new
        if not page.has_more or page.cursor is None or not new:
            return sorted(found.values(), key=lambda issue: (issue.created_at, issue.id))
        cursor = page.cursor
    raise UnavailableError(f"The server lists more issues than can be looked through ({len(found):,})")
