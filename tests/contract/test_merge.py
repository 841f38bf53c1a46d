"""Merges: what arrives at the target, and that one that cannot be changes nothing."""

import pytest

from owlmetry_mcp.issues.errors import (
    NotFoundError,
    OwlmetryError,
)
from owlmetry_mcp.issues.models import Occurrence
from tests.contract.asking import issue_of
from tests.world import FIXTURE, SYMBOLS, World

SHOP = SYMBOLS["shop"]
NOW = "2026-10-21T12:00:00.000Z"


def rows_of(world: World, table: str, issue_id: str) -> list[str]:
    query = f"SELECT r.id FROM {table} r JOIN issues i ON i.key = r.issue WHERE i.id = ? ORDER BY r.key"  # noqa: S608
    return [row[0] for row in world.store.read(lambda tx: tx.all(query, (issue_id,)))]


async def test_a_merge_moves_all_that_the_source_has_deleted_things_too(world: World) -> None:
    """The target is the one without attachments, so that the source's can be seen to arrive."""
    backend = world.acting_as("agent")
    target, source = SYMBOLS["i_timeout_dup"], SYMBOLS["i_timeout"]
    comments = rows_of(world, "comments", target) + rows_of(world, "comments", source)
    attachments = rows_of(world, "attachments", source)
    merged = await backend.merge(SHOP, target, source)
    assert sorted(rows_of(world, "comments", target)) == sorted(comments)
    assert rows_of(world, "attachments", target) == attachments
    assert len(attachments) == 3
    detail = await backend.get_issue(SHOP, target)
    assert {attachment.original_filename for attachment in detail.attachments} == {"crash.log", "screen.png"}
    assert [comment.author_name for comment in detail.comments] == ["Mia Member", "Triage Agent", "Fixer Agent"]
    assert len(merged.fingerprints) == 2
    assert world.store.read(lambda tx: tx.one("SELECT count(*) FROM occurrences")) == (len(FIXTURE["occurrences"]) - 2,)
    with pytest.raises(NotFoundError, match="Issue not found"):
        await backend.get_issue(SHOP, source)


async def test_of_a_session_in_both_issues_the_targets_occurrence_stays(world: World) -> None:
    backend = world.acting_as("agent")
    target, source = SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"]
    before = (await backend.get_issue(SHOP, target)).occurrences
    arriving = (await backend.get_issue(SHOP, source)).occurrences
    taken = {row.session_id for row in before}
    expected = before + [row.model_copy(update={"issue_id": target}) for row in arriving if row.session_id not in taken]
    await backend.merge(SHOP, target, source)
    after = (await backend.get_issue(SHOP, target)).occurrences
    assert after == sorted(expected, key=lambda row: (row.timestamp, row.id), reverse=True)


async def test_a_merge_counts_again_and_takes_the_first_and_last_of_both(world: World) -> None:
    backend = world.acting_as("agent")
    world.put("i_fixed", first_seen_app_version=None, first_seen_sdk_version="0.0.9")
    target, source = await issue_of(backend, "i_timeout"), await issue_of(backend, "i_fixed")
    merged = await backend.merge(SHOP, target.id, source.id)
    expected = {
        "occurrence_count": 6,
        "unique_user_count": 4,
        "first_seen_at": source.first_seen_at,
        "first_seen_app_version": target.first_seen_app_version,
        "first_seen_sdk_version": "0.0.9",
        "updated_at": NOW,
        "app_name": None,
        "fingerprints": merged.fingerprints,
    }
    assert merged == target.model_copy(update=expected)
    assert set(merged.fingerprints) == {*target.fingerprints, *source.fingerprints}


async def test_the_target_of_a_merge_keeps_its_status(world: World) -> None:
    backend = world.acting_as("agent")
    before = await issue_of(backend, "i_silenced")
    merged = await backend.merge(SHOP, before.id, SYMBOLS["i_regressed"])
    assert (merged.status, merged.resolved_at_version) == ("silenced", before.resolved_at_version)


@pytest.mark.parametrize(
    ("project", "target", "source", "status", "message"),
    [
        ("shop", "i_timeout", "i_timeout", 400, "Cannot merge an issue into itself"),
        ("shop", "i_timeout", "ghost", 404, "Source issue not found"),
        ("shop", "i_timeout", "i_blog", 404, "Source issue not found"),
        ("shop", "i_timeout", "i_foreign", 404, "Source issue not found"),
        ("shop", "i_blog", "i_timeout", 404, "Issue not found"),
        ("shop", "ghost", "i_timeout", 404, "Issue not found"),
        ("foreign_project", "i_foreign", "i_timeout", 404, "Project not found"),
    ],
)
async def test_a_merge_that_cannot_be_changes_nothing(
    world: World, project: str, target: str, source: str, status: int, message: str
) -> None:
    before = world.store.read(lambda tx: list(tx.connection.iterdump()))
    with pytest.raises(OwlmetryError) as refusal:
        await world.acting_as("agent").merge(SYMBOLS[project], SYMBOLS[target], SYMBOLS[source])
    assert (refusal.value.status, refusal.value.message) == (status, message)
    assert world.store.read(lambda tx: list(tx.connection.iterdump())) == before


async def test_occurrence_pages_of_a_merged_issue_hold_each_once(world: World) -> None:
    backend = world.acting_as("agent")
    target = SYMBOLS["i_busy"]
    await backend.merge(SHOP, target, SYMBOLS["i_claimed"])
    met: list[Occurrence] = []
    cursor = None
    while True:
        page = await backend.get_issue(SHOP, target, occurrence_cursor=cursor, occurrence_limit=7)
        met += page.occurrences
        if not (cursor := page.occurrence_cursor):
            break
    assert len(met) == len({row.id for row in met}) == page.occurrence_count == 122
    assert met == sorted(met, key=lambda row: row.timestamp, reverse=True)
