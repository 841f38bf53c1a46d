"""Status moves: what each sets and clears, and that two callers never both win."""

import asyncio
from itertools import product
from typing import Any

import pytest

from owlmetry_mcp.issues.errors import (
    ForbiddenMoveError,
    InvalidInputError,
)
from owlmetry_mcp.issues.models import Issue
from tests.contract.asking import issue_of
from tests.world import SYMBOLS, World

SHOP = SYMBOLS["shop"]
NOW = "2026-10-21T12:00:00.000Z"
STATUSES = ("new", "in_progress", "resolved", "silenced", "regressed", "snoozed")
ALLOWED = {
    "new": {"in_progress", "resolved", "silenced", "snoozed"},
    "in_progress": {"new", "resolved", "silenced", "snoozed"},
    "resolved": {"new", "silenced", "snoozed"},
    "regressed": {"in_progress", "resolved", "silenced", "snoozed"},
    "silenced": {"new", "in_progress", "resolved", "snoozed"},
    "snoozed": {"new", "in_progress", "resolved", "silenced"},
}
"""The reference's table of valid status transitions."""


@pytest.mark.parametrize(("before", "after"), [*product(STATUSES, STATUSES)])
async def test_a_move_sets_and_clears_what_the_reference_says(world: World, before: str, after: str) -> None:
    snoozed_at = "2026-10-20T00:00:00.000Z" if before == "snoozed" else None
    world.put("i_timeout", status=before, resolved_at_version="1.0.0", snoozed_at=snoozed_at)
    backend = world.acting_as("agent")
    unmoved = await issue_of(backend, "i_timeout")
    if after not in ALLOWED[before]:
        with pytest.raises(ForbiddenMoveError) as refusal:
            await backend.update_status(SHOP, unmoved.id, after, resolved_at_version="2.0.0")
        assert refusal.value.message == f"Cannot transition from '{before}' to '{after}'"
        assert set(refusal.value.hint.partition(": ")[2].strip(".").split(", ")) == ALLOWED[before]
        assert await issue_of(backend, "i_timeout") == unmoved
        return
    moved = await backend.update_status(SHOP, unmoved.id, after, resolved_at_version="2.0.0")
    version = {"resolved": "2.0.0", "silenced": "1.0.0", "snoozed": "1.0.0"}.get(after)
    expected = {
        "status": after,
        "resolved_at_version": version,
        "snoozed_at": NOW if after == "snoozed" else None,
        "updated_at": NOW,
        "app_name": None,
    }
    assert moved == unmoved.model_copy(update=expected)
    assert await issue_of(backend, "i_timeout") == moved.model_copy(update={"app_name": "Shop iOS"})


@pytest.mark.parametrize("version", [None, "", " \t\n\ufeff", "x" * 51, 2, ["1"], "1\0"])
async def test_resolving_needs_a_version_of_1_to_50_characters(world: World, version: Any) -> None:
    with pytest.raises(InvalidInputError, match="resolved_at_version"):
        await world.acting_as("agent").update_status(
            SHOP, SYMBOLS["i_timeout"], "resolved", resolved_at_version=version
        )


async def test_a_version_is_trimmed_and_may_have_50_characters(world: World) -> None:
    version = "1." + "0" * 48
    resolved = await world.acting_as("agent").update_status(
        SHOP, SYMBOLS["i_timeout"], "resolved", resolved_at_version=f"  {version}\u3000"
    )
    assert resolved.resolved_at_version == version


async def test_of_many_who_claim_an_issue_one_succeeds(world: World) -> None:
    backends = [world.acting_as(who) for who in ("agent", "agent2", "mia", "adam")] * 5
    claims = [backend.update_status(SHOP, SYMBOLS["i_timeout"], "in_progress") for backend in backends]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(isinstance(outcome, Issue) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, ForbiddenMoveError) for outcome in outcomes) == 19
