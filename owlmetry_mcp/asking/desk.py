"""What faces share: the backend for whoever asks, and what is meant where an id is not whole.

Ids may be given as unique beginnings of at least 8 characters; projects, apps and teams by name or slug too.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import NamedTuple

from owlmetry_mcp.backends.base import Backend, BackendOpener, Progress
from owlmetry_mcp.issues import parameters
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from owlmetry_mcp.issues.evidence import FoundIssues
from owlmetry_mcp.issues.models import Issue, KeyIdentity
from owlmetry_mcp.issues.parameters import UUID, shown
from owlmetry_mcp.issues.quoting import quoted

CLIENT_NAME: ContextVar[str | None] = ContextVar("client_name", default=None)
"""What the client whose request is being served calls itself."""

MAX_REMEMBERED = 10_000
"""Issues whose projects are remembered; the oldest are forgotten first."""

_LEAST_PREFIX = 8
_MOST_NAMED = 10
_NO_SLUG = re.compile(r"[^a-z0-9]+")


class Named(NamedTuple):
    """Something that has names besides its id."""

    id: str
    name: str
    slug: str


async def unheard(_: str) -> None:
    """Progress that no one is told."""


class Desk:
    def __init__(self, open_backend: BackendOpener, project_id: str | None = None) -> None:
        self._open_backend = open_backend
        self._configured = project_id
        """The project that is meant where none is named; as the setting has it, until it is first asked for."""
        self._backends: dict[str | None, Backend] = {}
        self._projects: dict[str, str] = {}

    def backend(self) -> Backend:
        """The backend for the client at hand: the same one each time."""
        client = CLIENT_NAME.get()
        if client not in self._backends:
            self._backends[client] = self._open_backend(client)
        return self._backends[client]

    def remember(self, issues: Iterable[Issue]) -> None:
        """Where issues are that an answer showed."""
        for issue in issues:
            self._projects[issue.id] = issue.project_id
        while len(self._projects) > MAX_REMEMBERED:
            del self._projects[next(iter(self._projects))]

    async def issue(
        self,
        issue_id: str,
        project: str | None = None,
        name: str = "issue_id",
        progress: Progress = unheard,
        *,
        surely: bool = False,
    ) -> tuple[str, str]:
        """The ids of an issue's project and of the issue.

        The project is the one named, else where an answer showed the issue, else the configured one, else the only
        one, else the one in which it is found. What is to be changed is meant `surely`: by its whole id, or by a
        beginning of which it is certain that no other has it.

        Raises:
            InvalidInputError: it is neither an id nor the beginning of one, or of several issues', or perhaps of
                another's; or its project cannot be told, and the error lists those there are.
            NotFoundError: no issue's id begins so.
        """
        beginning = parameters.uuid_prefix(name, issue_id)
        project_id = None if project is None else await self.project(project)
        if UUID.fullmatch(beginning):
            return project_id or await self._project_of(beginning, progress), beginning
        found = await self._begin_so(beginning, project_id, progress, surely=surely)
        candidates = [f"{row.id} {quoted(row.title, 60)}" for row in found.issues]
        looked = "" if found.coverage.complete else f" among the {found.coverage.seen} last seen"
        if not candidates:
            raise NotFoundError(f"No issue's id begins with {beginning}{looked}", "list_issues shows whole ids.")
        if len(candidates) > 1:
            raise _ambiguous(name, issue_id, candidates)
        if surely and looked:
            raise InvalidInputError(
                f"{name} {shown(issue_id)} may be another's too: it is one issue's{looked}, and there are more",
                f"Give the whole id: {candidates[0]}.",
            )
        self.remember(found.issues)
        return found.issues[0].project_id, found.issues[0].id

    async def _begin_so(self, beginning: str, project: str | None, progress: Progress, *, surely: bool) -> FoundIssues:
        """In the project that is named, else in the configured one, and if it has none, in all."""
        configured = await self.meant(None)
        within = [project] if project else [configured, None] if configured else [None]
        for place in within:
            found = await self.backend().find_issues(beginning, progress, project_id=place, surely=surely)
            if found.issues:
                break
        return found

    async def _project_of(self, issue_id: str, progress: Progress) -> str:
        if known := self._projects.get(issue_id) or await self.meant(None):
            return known
        backend = self.backend()
        try:
            projects = await backend.list_projects()
        except PermissionDeniedError:
            projects = []
        if len(projects) == 1:
            return projects[0].id
        found = await backend.find_issues(issue_id, progress)
        if found.issues:
            self.remember(found.issues)
            return found.issues[0].project_id
        if found.coverage.complete:
            raise NotFoundError(
                "Issue not found", "It may have been merged into another; list_issues shows what there is."
            )
        named = ", ".join(f"{project.id} {quoted(project.name)}" for project in projects[:_MOST_NAMED])
        raise InvalidInputError(
            f"project_id is required: the issue is not among the {found.coverage.seen} last seen",
            f"Pass one of: {named}." if projects else "Pass the project's id, or set OWLMETRY_PROJECT_ID.",
        )

    async def meant(self, project: str | None) -> str | None:
        """The id of the project named, else of the configured one, if there is one."""
        if project is not None:
            return await self.project(project)
        if self._configured is not None:
            self._configured = await self.project(self._configured, "OWLMETRY_PROJECT_ID")
        return self._configured

    async def project(self, text: str, name: str = "project_id") -> str:
        """
        Raises:
            InvalidInputError: it is no project's id, name or slug, nor the beginning of one's id; or of several.
        """
        if UUID.fullmatch(text):
            return text.lower()
        rows = await self.backend().list_projects()
        return _picked(name, text, [Named(row.id, row.name, row.slug) for row in rows], "list_projects shows them.")

    async def app(self, text: str, project_id: str | None, progress: Progress = unheard) -> str:
        """As `project`, of an app; in one project, if it is named."""
        if UUID.fullmatch(text):
            return text.lower()
        rows = await self.backend().list_apps(progress)
        inside = [Named(row.id, row.name, _slug(row.name)) for row in rows if project_id in (None, row.project_id)]
        return _picked("app_id", text, inside, "list_issues shows the apps' names.")

    async def team(self, text: str) -> str:
        """As `project`, of a team of the caller's."""
        if UUID.fullmatch(text):
            return text.lower()
        identity = await self.backend().whoami()
        teams = [identity.team] if isinstance(identity, KeyIdentity) else identity.teams
        return _picked("team_id", text, [Named(row.id, row.name, row.slug) for row in teams], "whoami shows them.")

    async def event(self, text: str) -> str:
        """As `issue`, of an event."""
        beginning = parameters.uuid_prefix("event_id", text)
        if UUID.fullmatch(beginning):
            return beginning
        return _only("event_id", text, await self.backend().find_events(beginning), "get_issue names events.")

    async def comment(self, project_id: str, issue_id: str, text: str) -> str:
        """As `issue`, of a comment on an issue."""
        beginning = parameters.uuid_prefix("comment_id", text)
        if UUID.fullmatch(beginning):
            return beginning
        comments = await self.backend().list_comments(project_id, issue_id)
        alike = [row.id for row in comments if row.id.startswith(beginning)]
        return _only("comment_id", text, alike, "list_comments shows them.")


def _picked(name: str, text: str, known: Sequence[Named], remedy: str) -> str:
    """The id of the one that is called so; its whole name or slug goes before the beginning of an id."""
    wanted = text.strip().casefold()
    tests: Sequence[Callable[[Named], bool]] = (
        lambda row: wanted in (row.id, row.name.casefold(), row.slug.casefold()),
        lambda row: len(wanted) >= _LEAST_PREFIX and row.id.startswith(wanted),
    )
    for test in tests:
        alike = [row for row in known if test(row)]
        if len(alike) == 1:
            return alike[0].id
        if alike:
            raise _ambiguous(name, text, [f"{row.id} {quoted(row.name, 60)}" for row in alike])
    named = ", ".join(quoted(row.name, 60) for row in known[:_MOST_NAMED])
    there_is = f"There {'is' if len(known) == 1 else 'are'} {named}" if known else "There is none"
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise InvalidInputError(
        f"{name} must be an id, the first {_LEAST_PREFIX} characters of one or more, a name or a slug,"
        f" not {shown(text)}",
        f"{there_is}{more}. {remedy}",
    )


def _only(name: str, text: str, ids: Sequence[str], remedy: str) -> str:
    if not ids:
        raise NotFoundError(f"No {name} begins with {shown(text)}", remedy)
    if len(ids) > 1:
        raise _ambiguous(name, text, ids)
    return ids[0]


def _ambiguous(name: str, text: str, candidates: Sequence[str]) -> InvalidInputError:
    named = "; ".join(candidates[:_MOST_NAMED])
    more = " and more" if len(candidates) > _MOST_NAMED else ""
    return InvalidInputError(f"{name} {shown(text)} is ambiguous", f"It may be: {named}{more}.")


def _slug(name: str) -> str:
    return _NO_SLUG.sub("-", name.lower()).strip("-")
