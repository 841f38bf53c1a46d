"""Who may do what: permissions, roles, teams, expiry, and the trail of it all."""

import json
from itertools import product
from typing import Any
from uuid import UUID

import jwt
import pytest

from owlmetry_mcp.backends.store.administration import ALL_PERMISSIONS
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import (
    NotFoundError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import KeyIdentity
from tests.world import FIXTURE, SYMBOLS, World

SHOP = SYMBOLS["shop"]


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


async def test_a_token_ends_at_its_instant_and_is_good_for_its_store_alone(world: World) -> None:
    mia = world.acting_as("mia")
    await mia.whoami()
    world.clock.advance(days=1)
    with pytest.raises(UnauthenticatedError, match="Invalid or expired token"):
        await mia.whoami()
    claims = {"sub": FIXTURE["users"][0]["id"], "email": "olga@example.com", "exp": 4_000_000_000}
    unsigned = jwt.encode(claims, "", algorithm="none")
    foreign = jwt.encode(claims, "another secret of at least thirty-two bytes", algorithm="HS256")
    (secret,) = world.store.read(lambda tx: tx.one("SELECT token_secret FROM store"))
    lasting = jwt.encode({"sub": claims["sub"]}, secret, algorithm="HS256")
    for token in (unsigned, foreign, lasting, "x", "a.b.c", f"{'[' * 5000}.x.y"):
        with pytest.raises(UnauthenticatedError, match="Invalid or expired token"):
            await world.acting_with(token).whoami()


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
    title = (await agent.get_issue(*where)).title
    about = {"issue_id": where[1], "title": title}
    trail = [(name, action, subject, json.loads(detail)) for name, action, subject, detail in rows if name]
    assert trail[:4] == [
        ("Triage Agent", "issue.status", where[1], {"before": "new", "after": "in_progress", "title": title}),
        ("Mia Member", "comment.add", comment.id, {**about, "body": "First."}),
        ("Mia Member", "comment.edit", comment.id, {**about, "before": "First.", "body": "Second."}),
        ("Mia Member", "comment.delete", comment.id, {**about, "body": "Second."}),
    ]
    assert trail[4][:3] == ("Triage Agent", "issue.merge", where[1])
    assert trail[4][3]["source"]["id"] == SYMBOLS["i_timeout_dup"]
    assert trail[4][3]["title"] == title


async def test_a_local_agent_is_none_of_those_who_bear_its_name(world_store: Store) -> None:
    """Neither who has a key of that name, nor the local agent of another team."""
    teams = world_store.read(lambda tx: [team for (team,) in tx.all("SELECT key FROM teams ORDER BY key")])
    of_another = {"team": teams[1], "key_type": "agent", "name": "cursor", "permissions": "[]"}
    row = of_another | {"id": str(UUID(int=1)), "created_at": "2026-10-21T12:00:00.000Z"}
    world_store.write(lambda tx: tx.insert("api_keys", row))
    others = {key["id"]: key["name"] for key in FIXTURE["api_keys"]} | {row["id"]: "cursor"}
    for name in others.values():
        me = await acting_as_local_agent(world_store, name).whoami()
        assert isinstance(me, KeyIdentity)
        assert me.id not in others
        assert (me.name, me.team.id, me.permissions) == (name, FIXTURE["teams"][0]["id"], [*ALL_PERMISSIONS])
