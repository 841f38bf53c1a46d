"""What a person can attach: the guide, a project's overview and an issue, each at a URI, in Markdown.

A URI may name a project by name or slug and cut ids, percent-encoded where need be, as the tools' arguments may.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import anyio
from mcp.shared.uri_template import UriTemplate
from mcp_types import Resource, ResourceTemplate

from owlmetry_mcp.asking.desk import Desk, unheard
from owlmetry_mcp.backends.base import Progress
from owlmetry_mcp.issues.errors import NotFoundError, OwlmetryError, PermissionDeniedError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Issue, Project
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.server.guide import guide
from owlmetry_mcp.server.options import Options

GUIDE_URI = "owlmetry://guide"
ISSUE_TEMPLATE = "owlmetry://projects/{project_id}/issues/{issue_id}"
MIME_TYPE = "text/markdown"
OVERVIEW_TEMPLATE = "owlmetry://projects/{project_id}/overview"

LISTING_SECONDS = 5.0
"""How long a list waits for the backend; what it has not told by then is not listed."""
MAX_PROJECTS = 50
MAX_ISSUES = 20
TITLE_LENGTH = 80
_UNCAPPED = 1_000_000_000

_ISSUE, _OVERVIEW = UriTemplate.parse(ISSUE_TEMPLATE), UriTemplate.parse(OVERVIEW_TEMPLATE)
_WORTH_A_LOOK: tuple[Status, ...] = ("regressed", "new")

TEMPLATES = (
    ResourceTemplate(
        name="issue",
        title="An issue",
        description="An issue with a summary of its occurrences, the latest of them, its comments and attachments",
        uri_template=ISSUE_TEMPLATE,
        mime_type=MIME_TYPE,
    ),
    ResourceTemplate(
        name="overview",
        title="A project's overview",
        description="Counts by status, what regressed, is new, is claimed or grows, and what to look at next",
        uri_template=OVERVIEW_TEMPLATE,
        mime_type=MIME_TYPE,
    ),
)


class Place(NamedTuple):
    """What a URI names: an issue, or the overview of a project."""

    project_id: str
    issue_id: str | None

    @property
    def uri(self) -> str:
        if self.issue_id is None:
            return _OVERVIEW.expand({"project_id": self.project_id})
        return _ISSUE.expand({"project_id": self.project_id, "issue_id": self.issue_id})


class Library:
    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._max_bytes = options.max_result_bytes

    async def listed(self) -> list[Resource]:
        """The guide, the projects' overviews, and the issues that are worth a look, as far as the backend tells."""
        projects: list[Resource] = []
        issues: list[Resource] = []
        with anyio.move_on_after(LISTING_SECONDS):
            try:
                projects += [_listed_overview(row) for row in (await self._projects())[:MAX_PROJECTS]]
                issues += [_listed_issue(row) for row in await self._issues()]
            except OwlmetryError:
                pass  # whoever reads one of those is told
        return [*_fitting([_LISTED_GUIDE, *projects, *issues], self._max_bytes)]

    async def _projects(self) -> list[Project]:
        """The configured one first."""
        try:
            projects = await self._desk.backend().list_projects()
        except PermissionDeniedError:
            return []
        configured = await self._desk.meant(None)
        return sorted(projects, key=lambda project: project.id != configured)

    async def _issues(self) -> list[Issue]:
        found: list[Issue] = []
        backend, project = self._desk.backend(), await self._desk.meant(None)
        for status in _WORTH_A_LOOK:
            room = MAX_ISSUES - len(found)
            if room:
                wanted = IssueFilter(status=status, data_mode="production")
                found += (await backend.list_team_issues(wanted, project_id=project, limit=room)).issues
        self._desk.remember(found)
        return found

    @staticmethod
    def is_watchable(uri: str) -> bool:
        """Whether it has the form of something that can change."""
        return _matched(uri) is not None

    async def place(self, uri: str, progress: Progress = unheard) -> Place:
        """What a URI names, by whole ids.

        Raises:
            NotFoundError: there is nothing of that form.
            OwlmetryError: as the desk and the backend raise them.
        """
        matched = _matched(uri)
        if matched is None:
            raise NotFoundError(
                f"No such resource: {shown(uri)}", f"There are {GUIDE_URI}, {OVERVIEW_TEMPLATE} and {ISSUE_TEMPLATE}."
            )
        project, issue = matched
        project_id = await self._desk.project(project)
        if issue is None:
            return Place(project_id, None)
        return Place(*await self._desk.issue(issue, project_id, progress=progress))

    async def read(self, uri: str, progress: Progress = unheard) -> str:
        """A resource as Markdown.

        Raises:
            OwlmetryError: as `place` and the backend raise them.
        """
        if uri == GUIDE_URI:
            return guide()
        text, _ = await self._rendered(await self.place(uri, progress), None, progress, self._max_bytes)
        return text

    async def content(self, place: Place) -> str:
        """What `read` gives, whole, without what differs from reading to reading though nothing has changed."""
        text, as_of = await self._rendered(place, "same", unheard, _UNCAPPED)
        return text.replace(as_of, "") if as_of else text

    async def _rendered(self, place: Place, marker: str | None, progress: Progress, max_bytes: int) -> tuple[str, str]:
        """The document, and the instant that stands in it."""
        from owlmetry_mcp.server import markdown, pages  # noqa: PLC0415 - a start needs none of it

        fence = markdown.MarkdownFence(marker)
        backend = self._desk.backend()
        if place.issue_id is None:
            overview = await backend.overview(place.project_id, progress)
            return markdown.overview_document(place.project_id, overview, max_bytes, fence), overview.as_of
        latest = pages.LATEST_OCCURRENCES
        found = await backend.examine(place.project_id, place.issue_id, latest=latest, progress=progress)
        self._desk.remember([found.issue])
        return markdown.issue_document(found, max_bytes, fence), ""


def _fitting(rows: Iterable[Resource], max_bytes: int) -> Iterator[Resource]:
    """As many from the first on as are within the cap."""
    for row in rows:
        max_bytes -= len(row.model_dump_json(by_alias=True, exclude_none=True)) + 1
        if max_bytes < 0:
            return
        yield row


def _matched(uri: str) -> tuple[str, str | None] | None:
    """The project and the issue that a URI names, decoded."""
    for template in (_ISSUE, _OVERVIEW):
        if (matched := template.match(uri)) is not None:
            issue = matched.get("issue_id")
            return str(matched["project_id"]), None if issue is None else str(issue)
    return None


_LISTED_GUIDE = Resource(
    name="guide",
    title="How to triage",
    description="The workflow of a triage, and the life of an issue",
    uri=GUIDE_URI,
    mime_type=MIME_TYPE,
)


def _listed_overview(row: Project) -> Resource:
    return Resource(
        name=f"overview-{row.id}",
        title=f"Overview of {quoted(row.name, TITLE_LENGTH)}",
        description="The state of the project: counts by status, and what to look at next",
        uri=Place(row.id, None).uri,
        mime_type=MIME_TYPE,
    )


def _listed_issue(row: Issue) -> Resource:
    return Resource(
        name=f"issue-{row.id}",
        title=f"Issue {quoted(row.title, TITLE_LENGTH)}",
        description=f"{row.status}, occurrences: {row.occurrence_count}, users: {row.unique_user_count}",
        uri=Place(row.project_id, row.id).uri,
        mime_type=MIME_TYPE,
    )
