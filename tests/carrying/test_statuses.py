"""Which moves lead where, and which changes of two sides stand."""

from itertools import product

import pytest

from owlmetry_mcp.backends.store.carried import Known
from owlmetry_mcp.carrying.statuses import Standing, Wish, objection, path, step
from owlmetry_mcp.issues.lifecycle import MOVES, STATUSES, Status
from owlmetry_mcp.issues.models import Issue
from tests.world import FIXTURE

VERSIONS = (None, "1.0", "2.0")
KEEPING = ("resolved", "silenced", "snoozed")
"""The statuses in which a version may be remembered; resolved never is without one."""
STANDINGS = [
    Standing(status, version)
    for status, version in product(STATUSES, VERSIONS)
    if (version is None or status in KEEPING) and (status, version) != ("resolved", None)
]


@pytest.mark.parametrize("before", STANDINGS, ids=str)
@pytest.mark.parametrize("after", STANDINGS, ids=str)
def test_allowed_moves_lead_from_any_standing_to_any_but_regressed(before: Standing, after: Standing) -> None:
    way = path(before, after)
    if after.status == "regressed" and before != after:
        assert way is None
        return
    assert way is not None
    assert len(way) <= 3
    at = before
    for change in way:
        assert change.status in MOVES[at.status]
        at = step(at, change)
    assert at == after


def test_no_move_leads_to_a_version_that_no_server_takes() -> None:
    assert path(Standing("new", None), Standing("resolved", "9" * 51)) is None
    assert path(Standing("new", None), Standing("resolved", None)) is None


def issue(status: Status, version: str | None = None, seen: str = "10:00") -> Issue:
    row = FIXTURE["issues"][0] | {"status": status, "resolved_at_version": version, "fingerprints": []}
    row |= {"last_seen_at": f"2026-10-20T{seen}:00.000Z", "project_id": row["app_id"]}
    missing = dict.fromkeys(Issue.model_fields) | {"created_at": row["last_seen_at"], "updated_at": row["last_seen_at"]}
    return Issue.model_validate(missing | row)


def known(status: Status, version: str | None = None, sent: Standing | None = None, at: str = "11:00") -> Known:
    move = sent or (None, None)
    return Known(status, version, move[0], move[1], f"2026-10-20T{at}:00.000Z")


def wish(status: Status, version: str | None = None, set_at: str | None = "12:00") -> Wish:
    return Wish(Standing(status, version), set_at and f"2026-10-20T{set_at}:00.000Z")


NEW, FIXED, SNOOZED = Standing("new", None), Standing("resolved", "1.0"), Standing("snoozed", None)


@pytest.mark.parametrize(
    ("here", "remembered", "there", "stays"),
    [
        # What was never carried goes to what no one has touched there.
        (wish(*FIXED), None, issue(*NEW), None),
        (wish(*FIXED), None, issue("in_progress"), "it was moved there as well, to in_progress"),
        (wish(*NEW), None, issue("in_progress"), "it was moved to in_progress there"),
        # Where one side has changed since, that change stands.
        (wish(*FIXED), known("in_progress"), issue("in_progress"), None),
        (wish("in_progress", set_at="10:30"), known("in_progress"), issue(*FIXED), "it was moved to resolved"),
        (wish("in_progress", set_at=None), known("in_progress"), issue("new"), "it was moved to new there"),
        # Where both have, the server's does.
        (wish(*FIXED), known("in_progress"), issue("silenced"), "it was moved there as well, to silenced"),
        (wish("resolved", "2.0"), known(*FIXED), issue(*FIXED), None),
        # A move that was begun is ours, whether it arrived or not.
        (wish("silenced", "1.0"), known("new", sent=FIXED), issue(*FIXED), None),
        (wish("silenced", "1.0"), known("new", sent=FIXED), issue(*NEW), None),
        (wish("silenced", "1.0"), known("new", sent=FIXED), issue("resolved", "3.0"), "it was moved there as well"),
        # What the scan there did stands, unless it was decided upon here after the issue was last seen there.
        (wish(*SNOOZED, set_at="12:00"), known("snoozed", at="11:00"), issue("new", seen="11:30"), None),
        (wish(*SNOOZED, set_at="12:00"), known("snoozed", at="11:00"), issue("new", seen="12:30"), "it was moved"),
        (wish(*SNOOZED, set_at="10:30"), known("snoozed", at="11:00"), issue("new"), "it was moved to new"),
        (wish("resolved", "2.0"), known(*FIXED), issue("regressed", seen="11:30"), None),
        (wish("resolved", "2.0"), known(*FIXED), issue("regressed", seen="12:30"), "it was moved there"),
        (wish("resolved", "2.0", None), known(*FIXED), issue("regressed"), "it was moved there as well"),
        (wish("regressed", None, None), known(*FIXED), issue(*FIXED), "regressed is what a server's own scan"),
    ],
)  # fmt: skip
def test_of_two_changes_one_stands(here: Wish, remembered: Known | None, there: Issue, stays: str | None) -> None:
    said = objection(here, remembered, there)
    assert said is None if stays is None else (said or "").startswith(stays)
