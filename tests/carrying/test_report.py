"""Why a run ended before its end is told with what helps: another run only where that may come further."""

import pytest

from owlmetry_mcp.carrying.report import Report
from owlmetry_mcp.issues.errors import FateUnknownError, InvalidInputError, OwlmetryError, UnavailableError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnavailableError("It is down", "Nothing was changed. Check the network."),
         "It is down. Check the network. Run it again: it goes on where it was."),
        (UnavailableError("It is down"), "It is down. Run it again: it goes on where it was."),
        (FateUnknownError("It is not known", "Look before you try again: it may have been done."),
         "It is not known. Run it again: it goes on where it was."),
        (InvalidInputError("It takes none", "Is it the right key?"), "It takes none. Is it the right key?"),
    ],
)  # fmt: skip
def test_why_it_stopped_comes_with_what_helps(error: OwlmetryError, told: str) -> None:
    report = Report()
    report.stop(error)
    assert report.stopped == told
    assert report.failed
