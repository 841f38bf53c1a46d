"""Status moves, merges and comments: what each changes, who may, and that two callers never both win."""

import asyncio
import json
from itertools import product
from typing import Any

import pytest

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store.importing import import_document
from owlmetry_mcp.issues.errors import (
    ForbiddenMoveError,
    InvalidInputError,
    NotFoundError,
    OwlmetryError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue, Occurrence
from tests.conftest import FIXTURE, SYMBOLS, World

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


async def issue(backend: Backend, name: str, project: str = SHOP) -> Issue:
    detail = await backend.get_issue(project, SYMBOLS[name])
    return Issue.model_validate(detail.model_dump(include=set(Issue.model_fields)))


def put(world: World, name: str, **columns: Any) -> None:
    update = f"UPDATE issues SET {', '.join(f'{column} = :{column}' for column in columns)} WHERE id = :id"  # noqa: S608
    world.store.write(lambda tx: tx.run(update, {**columns, "id": SYMBOLS[name]}))


@pytest.mark.parametrize(("before", "after"), [*product(STATUSES, STATUSES)])
async def test_a_move_sets_and_clears_what_the_reference_says(world: World, before: str, after: str) -> None:
    snoozed_at = "2026-10-20T00:00:00.000Z" if before == "snoozed" else None
    put(world, "i_timeout", status=before, resolved_at_version="1.0.0", snoozed_at=snoozed_at)
    backend = world.acting_as("agent")
    unmoved = await issue(backend, "i_timeout")
    if after not in ALLOWED[before]:
        with pytest.raises(ForbiddenMoveError) as refusal:
            await backend.update_status(SHOP, unmoved.id, after, resolved_at_version="2.0.0")
        assert refusal.value.message == f"Cannot transition from '{before}' to '{after}'"
        assert set(refusal.value.hint.partition(": ")[2].strip(".").split(", ")) == ALLOWED[before]
        assert await issue(backend, "i_timeout") == unmoved
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
    assert await issue(backend, "i_timeout") == moved.model_copy(update={"app_name": "Shop iOS"})


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


# Merging


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
    put(world, "i_fixed", first_seen_app_version=None, first_seen_sdk_version="0.0.9")
    target, source = await issue(backend, "i_timeout"), await issue(backend, "i_fixed")
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
    before = await issue(backend, "i_silenced")
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
    assert met == sorted(met, key=lambda row: (row.timestamp, row.id), reverse=True)


# Comments


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


# Who may do what


OPERATIONS: dict[str, Any] = {
    "list_projects": lambda backend: backend.list_projects(),
    "list_issues": lambda backend: backend.list_issues(SHOP, IssueFilter()),
    "list_team_issues": lambda backend: backend.list_team_issues(IssueFilter()),
    "get_issue": lambda backend: backend.get_issue(SHOP, SYMBOLS["i_timeout"]),
    "list_comments": lambda backend: backend.list_comments(SHOP, SYMBOLS["i_timeout"]),
    "update_status": lambda backend: backend.update_status(SHOP, SYMBOLS["i_timeout"], "silenced"),
    "merge": lambda backend: backend.merge(SHOP, SYMBOLS["i_timeout"], SYMBOLS["i_timeout_dup"]),
    "add_comment": lambda backend: backend.add_comment(SHOP, SYMBOLS["i_timeout"], "x"),
    "edit_comment": lambda backend: backend.edit_comment(SHOP, SYMBOLS["i_timeout"], SYMBOLS["c_2"], "x"),
    "delete_comment": lambda backend: backend.delete_comment(SHOP, SYMBOLS["i_timeout"], SYMBOLS["c_2"]),
}
READS = ("list_projects", "list_issues", "list_team_issues", "get_issue", "list_comments")
NEEDED = dict.fromkeys(READS, "issues:read") | {"list_projects": "projects:read"}


@pytest.mark.parametrize(
    ("who", "operation"), [*product(["agent", "olga", "reader", "client", "foreign", "expired"], OPERATIONS)]
)
async def test_each_caller_may_what_its_key_or_team_lets_it(world: World, who: str, operation: str) -> None:
    attempt = OPERATIONS[operation](world.acting_as(who))
    if who == "expired":
        with pytest.raises(UnauthenticatedError, match="API key expired"):
            await attempt
    elif who == "client" or (who == "reader" and operation not in READS):
        needed = NEEDED.get(operation, "issues:write")
        with pytest.raises(PermissionDeniedError, match=f"Missing permission: {needed}"):
            await attempt
    elif who == "foreign" and operation not in ("list_projects", "list_team_issues"):
        with pytest.raises(NotFoundError, match="Project not found"):
            await attempt
    elif (who, operation) == ("olga", "edit_comment"):
        with pytest.raises(PermissionDeniedError, match="Only the original author"):
            await attempt
    else:
        await attempt


async def test_lists_show_the_callers_own_teams_alone(world: World) -> None:
    foreign = world.acting_as("foreign")
    assert [project.name for project in await foreign.list_projects()] == ["Foreign"]
    assert {issue.project_name for issue in (await foreign.list_team_issues(IssueFilter())).issues} == {"Foreign"}
    mia = world.acting_as("mia")
    assert [project.name for project in await mia.list_projects()] == ["Blog", "Foreign", "Shop"]
    assert {row.project_name for row in (await mia.list_team_issues(IssueFilter())).issues} == {
        "Blog",
        "Foreign",
        "Shop",
    }
    of_one = await mia.list_team_issues(IssueFilter(), team_id=SYMBOLS["team_b"])
    assert [row.id for row in of_one.issues] == [SYMBOLS["i_foreign"]]
    of_none = await world.acting_as("agent").list_team_issues(IssueFilter(), team_id=SYMBOLS["team_b"])
    assert (of_none.issues, of_none.cursor, of_none.has_more) == ([], None, False)


async def test_a_key_ends_at_its_instant_and_a_revoked_one_at_once(world: World) -> None:
    expiring = "UPDATE api_keys SET expires_at = '2026-10-21T12:00:01.000Z' WHERE name = 'Triage Agent'"
    world.store.write(lambda tx: tx.run(expiring))
    backend = world.acting_as("agent")
    await backend.whoami()
    world.clock.advance(seconds=1)
    with pytest.raises(UnauthenticatedError, match="API key expired"):
        await backend.whoami()
    other = world.acting_as("agent2")
    await other.whoami()
    world.store.write(lambda tx: tx.run("UPDATE api_keys SET revoked_at = ? WHERE name = 'Fixer Agent'", (tx.now,)))
    with pytest.raises(UnauthenticatedError, match="Invalid API key"):
        await other.whoami()


async def test_whoami_names_the_caller(world: World) -> None:
    key = await world.acting_as("reader").whoami()
    assert key.model_dump() == {
        "type": "api_key",
        "key_type": "agent",
        "id": next(row["id"] for row in FIXTURE["api_keys"] if row["alias"] == "reader"),
        "name": "Read-only Agent",
        "team": {"id": SYMBOLS["team_a"], "name": "Night Owls", "slug": "night-owls"},
        "permissions": ["issues:read", "projects:read"],
        "expires_at": None,
    }
    user = await world.acting_as("mia").whoami()
    assert user.model_dump() == {
        "type": "user",
        "user": {key: FIXTURE["users"][2][key] for key in ("id", "email", "name")},
        "teams": [
            {"id": SYMBOLS["team_a"], "name": "Night Owls", "slug": "night-owls", "role": "member"},
            {"id": SYMBOLS["team_b"], "name": "Other Team", "slug": "other-team", "role": "member"},
        ],
    }


async def test_every_change_is_in_the_audit_trail_under_its_author(world: World) -> None:
    where = (SHOP, SYMBOLS["i_timeout"])
    agent, mia = world.acting_as("agent"), world.acting_as("mia")
    await agent.update_status(*where, "in_progress")
    comment = await mia.add_comment(*where, "First.")
    await mia.edit_comment(*where, comment.id, "Second.")
    await mia.delete_comment(*where, comment.id)
    await agent.merge(*where, SYMBOLS["i_timeout_dup"])
    rows = world.store.read(lambda tx: tx.all("SELECT actor_name, action, subject_id, detail FROM audit ORDER BY key"))
    trail = [(name, action, subject, json.loads(detail)) for name, action, subject, detail in rows if name]
    assert trail[:4] == [
        ("Triage Agent", "issue.status", where[1], {"before": "new", "after": "in_progress"}),
        ("Mia Member", "comment.add", comment.id, {"issue_id": where[1]}),
        ("Mia Member", "comment.edit", comment.id, {"issue_id": where[1], "before": "First."}),
        ("Mia Member", "comment.delete", comment.id, {"issue_id": where[1]}),
    ]
    assert trail[4][:3] == ("Triage Agent", "issue.merge", where[1])
    assert trail[4][3]["source"]["id"] == SYMBOLS["i_timeout_dup"]


async def test_the_100_latest_attachments_are_shown(world: World) -> None:
    row = FIXTURE["attachments"][0]
    rows = [
        row | {"id": f"{number:08d}-0000-4000-8000-000000000000", "created_at": f"2026-10-19T00:00:00.{number:03d}Z"}
        for number in range(150)
    ]
    world.store.write(lambda tx: import_document(tx, json.dumps({"attachments": rows})))
    detail = await world.acting_as("agent").get_issue(*(SHOP, SYMBOLS["i_timeout"]))
    assert [attachment.id for attachment in detail.attachments] == [row["id"] for row in reversed(rows[50:])]
