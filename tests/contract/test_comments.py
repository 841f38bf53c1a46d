"""Comments and attachments: kept as written, and changed by whom they may be."""

import json
from typing import Any

import pytest

from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.issues.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from tests.world import FIXTURE, SYMBOLS, World

SHOP = SYMBOLS["shop"]


async def test_comments_of_one_instant_stand_in_the_order_written(world: World) -> None:
    backend = world.acting_as("agent")
    bodies = [f"finding {number}" for number in range(20)]
    for body in bodies:
        await backend.add_comment(SHOP, SYMBOLS["i_busy"], body)
    assert [comment.body for comment in await backend.list_comments(SHOP, SYMBOLS["i_busy"])] == bodies


@pytest.mark.parametrize("body", ["🦉 *über*\nzwei", "x" * 100_000, "'; DROP TABLE comments; --", "\u202e \x01 \u200b"])
async def test_a_comment_is_kept_as_it_was_written(world: World, body: str) -> None:
    backend = world.acting_as("agent")
    added = await backend.add_comment(SHOP, SYMBOLS["i_timeout"], f" {body}\n")
    assert added.body == body
    assert (await backend.list_comments(SHOP, SYMBOLS["i_timeout"]))[-1] == added


@pytest.mark.parametrize("body", [None, "", " \n\t\u2028\ufeff", 5, ["text"], "NUL \0", "half a \ud83e"])
async def test_a_body_that_is_no_text_is_refused(world: World, body: Any) -> None:
    with pytest.raises(InvalidInputError, match="body"):
        await world.acting_as("agent").add_comment(SHOP, SYMBOLS["i_timeout"], body)


@pytest.mark.parametrize(
    ("who", "may_edit", "may_delete"),
    [
        ("agent", True, True),
        ("agent2", False, False),
        ("mia", False, False),
        ("adam", False, True),
        ("olga", False, True),
    ],
)
async def test_the_author_edits_and_the_author_an_admin_or_owner_deletes(
    world: World, who: str, *, may_edit: bool, may_delete: bool
) -> None:
    backend, where = world.acting_as(who), (SHOP, SYMBOLS["i_timeout"], SYMBOLS["c_2"])
    world.clock.advance(minutes=5)
    if may_edit:
        edited = await backend.edit_comment(*where, "Edited.")
        assert (edited.body, edited.author_name) == ("Edited.", "Triage Agent")
        assert (edited.created_at, edited.updated_at) == ("2026-10-19T13:00:00.000Z", "2026-10-21T12:05:00.000Z")
    else:
        with pytest.raises(PermissionDeniedError, match="Only the original author can edit this comment"):
            await backend.edit_comment(*where, "Edited.")
    if may_delete:
        await backend.delete_comment(*where)
        with pytest.raises(NotFoundError, match="Comment not found"):
            await backend.delete_comment(*where)
    else:
        with pytest.raises(PermissionDeniedError, match="Only the original author or a team admin can delete"):
            await backend.delete_comment(*where)


async def test_an_admin_of_another_team_is_no_admin_here(world: World) -> None:
    """Mia is a member of both teams; made owner of the other, she is still a member here."""
    raised = "UPDATE memberships SET role = 'owner' WHERE team = 2"
    world.store.write(lambda tx: tx.run(raised))
    mia = world.acting_as("mia")
    await mia.delete_comment(SYMBOLS["foreign_project"], SYMBOLS["i_foreign"], SYMBOLS["c_foreign"])
    with pytest.raises(PermissionDeniedError):
        await mia.delete_comment(SHOP, SYMBOLS["i_timeout"], SYMBOLS["c_2"])


@pytest.mark.parametrize(
    ("issue_name", "comment"), [("i_timeout_dup", "c_2"), ("i_timeout", "c_gone"), ("i_timeout", "c_foreign")]
)
async def test_a_comment_is_found_on_its_own_issue_alone(world: World, issue_name: str, comment: str) -> None:
    where = (SHOP, SYMBOLS[issue_name], SYMBOLS[comment])
    with pytest.raises(NotFoundError, match="Comment not found"):
        await world.acting_as("olga").edit_comment(*where, "x")
    with pytest.raises(NotFoundError, match="Comment not found"):
        await world.acting_as("olga").delete_comment(*where)


async def test_the_100_latest_attachments_are_shown(world: World) -> None:
    row = FIXTURE["attachments"][0]
    rows = [
        row | {"id": f"{number:08d}-0000-4000-8000-000000000000", "created_at": f"2026-10-19T00:00:00.{number:03d}Z"}
        for number in range(150)
    ]
    world.store.write(lambda tx: import_document(tx, read_document(json.dumps({"attachments": rows}))))
    detail = await world.acting_as("agent").get_issue(*(SHOP, SYMBOLS["i_timeout"]))
    assert [attachment.id for attachment in detail.attachments] == [row["id"] for row in reversed(rows[50:])]
