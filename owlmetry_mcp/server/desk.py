"""What the tools of one server share: the backend for the client at hand, and which project an issue is in."""

from collections.abc import Iterable

from owlmetry_mcp.backends.base import Backend, BackendOpener
from owlmetry_mcp.issues.errors import InvalidInputError, PermissionDeniedError
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.issues.parameters import uuid
from owlmetry_mcp.server.untrusted import quoted

MAX_REMEMBERED = 10_000
"""Issues whose projects are remembered; the oldest are forgotten first."""


class Desk:
    def __init__(self, open_backend: BackendOpener, project_id: str | None = None) -> None:
        self._open_backend = open_backend
        self.project_id = project_id
        """The project that is meant where none is named."""
        self._backends: dict[str | None, Backend] = {}
        self._projects: dict[str, str] = {}

    def backend(self, client_name: str | None) -> Backend:
        """The backend for a client that calls itself so: the same one each time."""
        if client_name not in self._backends:
            self._backends[client_name] = self._open_backend(client_name)
        return self._backends[client_name]

    def remember(self, issues: Iterable[Issue]) -> None:
        """Where issues are that an answer showed."""
        for issue in issues:
            self._projects[issue.id] = issue.project_id
        while len(self._projects) > MAX_REMEMBERED:
            del self._projects[next(iter(self._projects))]

    async def project_of(self, backend: Backend, issue_id: str, project_id: str | None) -> str:
        """The project named, else the configured one, else where an answer showed the issue, else the only one.

        Raises:
            InvalidInputError: there are several, and the error lists them; or the issue's id is no UUID.
        """
        known_issue = uuid("issue_id", issue_id)
        for known in (project_id, self.project_id, self._projects.get(known_issue)):
            if known is not None:
                return known
        try:
            projects = await backend.list_projects()
        except PermissionDeniedError as error:
            raise InvalidInputError(
                "project_id is required",
                "This key may not list projects: pass project_id, or set OWLMETRY_PROJECT_ID.",
            ) from error
        if len(projects) == 1:
            return projects[0].id
        named = ", ".join(f"{project.id} {quoted(project.name)}" for project in projects)
        raise InvalidInputError(
            "project_id is required", f"Pass one of: {named}." if projects else "There is no project yet."
        )
