"""What can stand where a prompt's or a resource's argument is being typed: ids by names and titles, statuses, versions.

A completion is a convenience: what the backend cannot tell, or not soon, is not offered, and nothing is an error.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

import anyio
from mcp.server.context import ServerRequestContext
from mcp_types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.issues import versions
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import IssuePage
from owlmetry_mcp.issues.parameters import MAX_LIMIT
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.server.prompts import PROMPTS
from owlmetry_mcp.server.resources import ISSUE_TEMPLATE, OVERVIEW_TEMPLATE

MAX_VALUES = 100
"""The protocol's bound."""
SECONDS = 5.0
"""How long the backend may take."""

_PROJECT, _ISSUE = "project_id", "issue_id"
_TEMPLATE_ARGUMENTS = {ISSUE_TEMPLATE: (_PROJECT, _ISSUE), OVERVIEW_TEMPLATE: (_PROJECT,)}

Candidate = tuple[str, Sequence[str]]
"""A value, and the names that it goes by."""


class Completions:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def complete(self, _: ServerRequestContext[Any, Any], params: CompleteRequestParams) -> CompleteResult:
        return CompleteResult(completion=await self._completion(params))

    async def _completion(self, params: CompleteRequestParams) -> Completion:
        given = (params.context and params.context.arguments) or {}
        if params.argument.name in _arguments(params.ref):
            with anyio.move_on_after(SECONDS):
                try:
                    return await self._completed(params.argument.name, params.argument.value.strip(), given)
                except OwlmetryError:
                    pass  # whoever goes on without it is told
        return Completion(values=[], total=0, has_more=False)

    async def _completed(self, name: str, typed: str, given: Mapping[str, str]) -> Completion:
        if name == "status":
            return _matching([(status, (status,)) for status in STATUSES], typed)
        if name == _PROJECT:
            projects = await self._desk.backend().list_projects()
            return _matching([(row.id, (row.name, row.slug)) for row in projects], typed)
        page = await self._latest_issues(given.get(_PROJECT))
        if name == _ISSUE:
            self._desk.remember(page.issues)
            return _matching([(row.id, (row.title,)) for row in page.issues], typed, complete=not page.has_more)
        return _matching([(it, (it,)) for it in _versions(page)], typed, complete=not page.has_more)

    async def _latest_issues(self, project: str | None) -> IssuePage:
        """The 200 most recently seen: of the project given, else the configured one, else all."""
        backend = self._desk.backend()
        project_id = await self._desk.meant(project or None)
        if project_id is not None:
            return await backend.list_issues(project_id, IssueFilter(), limit=MAX_LIMIT)
        return await backend.list_team_issues(IssueFilter(data_mode="all"), limit=MAX_LIMIT)


def _arguments(ref: PromptReference | ResourceTemplateReference) -> Sequence[str]:
    if isinstance(ref, ResourceTemplateReference):
        return _TEMPLATE_ARGUMENTS.get(ref.uri, ())
    prompt = PROMPTS.get(ref.name)
    return [row.name for row in (prompt.arguments or ())] if prompt else ()


def _matching(candidates: Iterable[Candidate], typed: str, *, complete: bool = True) -> Completion:
    """The values of which they or a name begin with what is typed, then those with a name that has it within.

    Not `complete`: there may be more candidates than these, so how many match is not known.
    """
    wanted = typed.casefold()
    beginning: list[str] = []
    within: list[str] = []
    for value, names in candidates:
        folded = [name.casefold() for name in names]
        if any(name.startswith(wanted) for name in (value, *folded)):
            beginning.append(value)
        elif any(wanted in name for name in folded):
            within.append(value)
    values = [*beginning, *within]
    return Completion(
        values=values[:MAX_VALUES],
        total=len(values) if complete else None,
        has_more=len(values) > MAX_VALUES or not complete,
    )


def _versions(page: IssuePage) -> list[str]:
    """The app versions that issues were seen in, the newest first; none with characters that nobody could see."""
    seen = {version for version in _seen(page) if version and quoted(version) == f'"{version}"'}
    return sorted(sorted(seen), key=cmp_to_key(versions.compare), reverse=True)


def _seen(page: IssuePage) -> Iterator[str | None]:
    for issue in page.issues:
        yield issue.first_seen_app_version
        yield issue.last_seen_app_version
