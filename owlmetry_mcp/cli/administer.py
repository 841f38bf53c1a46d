"""The commands that set up a store. What a script may want stands on standard output, all else on standard error."""

import sys
from argparse import Namespace

from rich.console import Console
from rich.table import Table

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.settings import Settings

_ID_WIDTH = 36


def create_key(parsed: Namespace, settings: Settings) -> None:
    is_agent = parsed.type == "agent"
    others = {"--app": parsed.app} if is_agent else {"--team": parsed.team, "--read-only": parsed.reads}
    if idle := [flag for flag, given in others.items() if given]:
        raise InvalidInputError(f"{idle[0]} says nothing of a key of type {parsed.type}", "Leave it out.")
    with Store(settings.store) as store:

        def work(tx: Transaction) -> tuple[administration.Added, str, str]:
            if is_agent:
                team = administration.find_team(tx, parsed.team)
                return *administration.create_agent_key(
                    tx, team.key, parsed.name, read_only=parsed.reads, days=parsed.expires
                ), f"in the team {team.name}"
            app = administration.find_app(tx, parsed.app)
            return *administration.create_event_key(
                tx, app, parsed.name, parsed.type, days=parsed.expires
            ), f"for the app {app.name}"

        key, secret, place = store.write(work)
    _tell(
        f"Made the {parsed.type} key {key.name} ({key.id}) {place}."
        " This is its secret; it is kept nowhere and cannot be shown again:"
    )
    print(secret)


def list_keys(_: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        keys = store.read(administration.list_keys)
    table = _table("id", "name", "team", "state", "may")
    for key in keys:
        table.add_row(key.id, key.name, key.team, _state(key), _may(key))
    show(table)


def _state(key: administration.Key) -> str:
    if key.revoked_at:
        return f"revoked {key.revoked_at[:10]}"
    if key.expires_at:
        return f"{'expired' if key.expired else 'until'} {key.expires_at[:10]}"
    return "local" if key.local else "valid"


def _may(key: administration.Key) -> str:
    if key.key_type != "agent":
        return f"{'send' if key.key_type == 'client' else 'import'} events of {key.app}"
    if "issues:write" in key.permissions:
        return "triage"
    return "read" if "issues:read" in key.permissions else ", ".join(key.permissions)


def revoke_key(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        key = store.write(lambda tx: administration.revoke_key(tx, parsed.key))
    _tell(f"Revoked the key {key.name} ({key.id}).")


def add_user(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:

        def work(tx: Transaction) -> tuple[administration.Added, administration.Added]:
            team = administration.find_team(tx, parsed.team)
            return administration.add_user(tx, team.key, parsed.email, parsed.name, parsed.role), team

        user, team = store.write(work)
    _tell(f"Added {user.name} to the team {team.name} as {parsed.role}.")
    print(user.id)


def token(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        print(store.write(lambda tx: administration.token(tx, parsed.email, parsed.expires)))


def add_project(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:

        def work(tx: Transaction) -> administration.Added:
            team = administration.find_team(tx, parsed.team)
            return administration.add_project(tx, team.key, parsed.name, parsed.slug)

        project = store.write(work)
    _tell(f"Added the project {project.name}.")
    print(project.id)


def list_projects(_: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        projects = store.read(administration.list_projects)
    table = _table("id", "project, apps", "team")
    for project in projects:
        table.add_row(project.id, f"{project.name} ({project.slug})", project.team)
        for app_id, name, platform in project.apps:
            table.add_row(app_id, f"  {name} ({platform})", "")
    show(table)


def add_app(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:

        def work(tx: Transaction) -> tuple[administration.Added, administration.Added]:
            team = administration.find_team(tx, parsed.team)
            project = administration.find_project(tx, team.key, parsed.project)
            return administration.add_app(tx, project.key, parsed.name, parsed.platform, parsed.bundle_id), project

        app, project = store.write(work)
    _tell(f"Added the app {app.name} to the project {project.name}.")
    print(app.id)


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True, min_width=_ID_WIDTH)
    for other in others:
        table.add_column(other, overflow="fold")
    return table


def show(table: Table) -> None:
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:  # in a file or a pipe, a row is a line, however long
        console = Console(markup=False, highlight=False, width=10_000)
    console.print(table)
