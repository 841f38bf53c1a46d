"""Cursors: a place in a list's order, in text that callers pass back as they got it."""

import re
from typing import NamedTuple

from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.parameters import shown

_INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FORM = re.compile(rf"({_INSTANT})_({_UUID})(?:_(\d{{1,18}}))?", re.ASCII)


class Cursor(NamedTuple):
    """The last row of a page: the next page begins behind it, newest first, then by id from high to low."""

    at: str
    id: str
    begun: int | None = None
    """For issues: the move after which the walk through the pages began (see `issue_moves`)."""

    def text(self) -> str:
        return "_".join((self.at, self.id) if self.begun is None else (self.at, self.id, str(self.begun)))


def issue_cursor(text: object) -> Cursor | None:
    return _parse("cursor", text, of_issues=True)


def occurrence_cursor(text: object) -> Cursor | None:
    return _parse("occurrence_cursor", text, of_issues=False)


def _parse(name: str, text: object, *, of_issues: bool) -> Cursor | None:
    if text is None:
        return None
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    if form is None or (form[3] is not None) != of_issues:
        raise InvalidInputError(
            f"{name} must be the {name} of the page before, not {shown(text)}", "Leave it out for the first page."
        )
    return Cursor(form[1], form[2], int(form[3]) if of_issues else None)
