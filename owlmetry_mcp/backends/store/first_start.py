"""What a new store begins with, so that nothing has to be set up: a team, a project and an app."""

from owlmetry_mcp.backends.store.transactions import Transaction

TEAM, PROJECT, APP = "My team", "My project", "My app"


def fill(tx: Transaction) -> None:
    from owlmetry_mcp.backends.store import administration  # noqa: PLC0415 - only a new store needs it

    team = administration.add_team(tx, TEAM)
    project = administration.add_project(tx, team.key, PROJECT)
    administration.add_app(tx, project.key, APP, "backend")
    tx.run("UPDATE store SET first_team = ?", (team.key,))


def leave_empty(_: Transaction) -> None:
    """For a store that an import is going to fill."""


def give_way(tx: Transaction) -> None:
    """Take the first start's rows out again, if nothing has been done with them, for an import that brings its own.

    Local agent keys go too; each is made anew, in the team that is then the first, when its agent next acts.
    """
    (team,) = tx.one("SELECT first_team FROM store")
    if team is None or not _untouched(tx):
        return
    for table in ("api_keys", "apps", "projects", "teams", "audit"):
        tx.run(f"DELETE FROM {table}")  # noqa: S608 - names from above


def is_fresh(tx: Transaction) -> bool:
    """Whether the store has nothing, or nothing but a first start's rows, which give way to what has teams."""
    (team,), (teams,) = tx.one("SELECT first_team FROM store"), tx.one("SELECT count(*) FROM teams")
    return _untouched(tx) and (team is not None or not teams)


def _untouched(tx: Transaction) -> bool:
    """Whether there is nothing but one team, one project, one app and local keys that have written nothing."""
    (touched,) = tx.one(
        """
        SELECT (SELECT count(*) FROM teams) > 1 OR (SELECT count(*) FROM projects) > 1
            OR (SELECT count(*) FROM apps) > 1 OR EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM issues)
            OR EXISTS (SELECT 1 FROM events)
            OR EXISTS (SELECT 1 FROM api_keys WHERE secret_sha256 IS NOT NULL OR revoked_at IS NOT NULL)
        """
    )
    return not touched
