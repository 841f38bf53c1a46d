"""Several issues changed one after the other: all are named before any is changed, and none stops the others."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Backend, one_call
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.models import Comment, Issue

Done = TypeVar("Done")

Place = tuple[str, str]
"""The ids of an issue's project and of the issue."""


async def named(
    desk: Desk, wanted: Sequence[str], project: str | None, name: str = "issue_id"
) -> dict[str, Place | Exception]:
    """Each issue once, however often it is named, by its first name; or why that names none."""
    found: dict[str, Place | Exception] = {}
    with one_call(operations=1):
        for one in dict.fromkeys(wanted):
            try:
                place: Place | Exception = await desk.issue(one, project, name, surely=True)
            except OwlmetryError as error:
                place = error
            if place not in found.values():
                found[one] = place
    return found


async def each(
    places: Mapping[str, Place | Exception], change: Callable[[Place], Awaitable[Done]]
) -> dict[str, Done | Exception]:
    """What became of each: what `change` made of it, or what went wrong."""
    results: dict[str, Done | Exception] = {}
    for wanted, place in places.items():
        try:
            results[wanted] = place if isinstance(place, Exception) else await change(place)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are told
            results[wanted] = error
    return results


class Moved(NamedTuple):
    """An issue as it is after a move, and what became of the comment on it."""

    issue: Issue
    comment: Comment | None = None
    comment_error: OwlmetryError | None = None


class Move(NamedTuple):
    """A status for issues, and a comment on each that was moved."""

    status: str
    version: str | None
    body: str | None

    async def of(self, backend: Backend, place: Place) -> Moved:
        changed = await backend.update_status(*place, self.status, resolved_at_version=self.version)
        if self.body is None:
            return Moved(changed)
        try:
            return Moved(changed, await backend.add_comment(*place, self.body))
        except OwlmetryError as error:
            return Moved(changed, comment_error=error)
