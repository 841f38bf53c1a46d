"""A list's cursor: a place in its order, in text that callers pass back as they got it."""

import re
from typing import NamedTuple, Self

from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.parameters import shown

_FORM = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_(\d{1,18})", re.ASCII
)


class Cursor(NamedTuple):
    """The last issue of a page: the next page begins behind it, newest first, then by id from high to low."""

    at: str
    id: str
    begun: int
    """The move after which the walk through the pages began (see `issue_moves` in the schema)."""

    def text(self) -> str:
        return f"{self.at}_{self.id}_{self.begun}"

    @classmethod
    def parse(cls, text: object) -> Self | None:
        """
        Raises:
            InvalidInputError: the text is no cursor of a list.
        """
        if text is None:
            return None
        form = _FORM.fullmatch(text) if isinstance(text, str) else None
        if form is None:
            raise InvalidInputError(
                f"cursor must be the cursor of the page before, not {shown(text)}", "Leave it out for the first page."
            )
        return cls(form[1], form[2], int(form[3]))
