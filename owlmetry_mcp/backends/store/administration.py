"""What the operator sets up: teams, users, projects, apps and keys. Whoever can open the file may; nothing is asked."""

import json
import re
import secrets
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from owlmetry_mcp.backends.store import audit
from owlmetry_mcp.backends.store.access import LocalUser, local_user_id, secret_sha256, sign_token, teams_of
from owlmetry_mcp.backends.store.transactions import Transaction, is_collision, json_text
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import ConflictError, InvalidInputError, NotFoundError
from owlmetry_mcp.issues.models import KeyType, Platform, Role
from owlmetry_mcp.issues.parameters import optional_text, shown, trimmed

READ_PERMISSIONS = ("issues:read", "events:read", "projects:read", "apps:read")
EVENT_PERMISSIONS = ("events:write",)
ALL_PERMISSIONS = ("issues:read", "issues:write", "events:read", "projects:read", "apps:read")
MAX_NAME_LENGTH = 100
LOCAL_AGENT_NAME = "Local agent"
LOCAL_USER_NAME = "Local user"
MAX_DAYS = 36_500


class Added(NamedTuple):
    key: int
    id: str
    name: str


def checked_name(value: str, what: str = "name") -> str:
    """
    Raises:
        InvalidInputError: the name is empty, over 100 characters, or has control characters in it.
    """
    name = trimmed(optional_text(what, value) or "")
    if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInputError(
            f"{what} must be 1 to {MAX_NAME_LENGTH} printable characters on one line, not {shown(value)}"
        )
    return name


def add_team(tx: Transaction, name: str) -> Added:
    return _add(tx, "team", {"name": checked_name(name), "slug": _slug(name)})


def add_project(tx: Transaction, team: int, name: str, slug: str | None = None) -> Added:
    """
    Raises:
        ConflictError: the team has a project with that slug.
    """
    if slug is not None and slug != _slug(slug):
        raise InvalidInputError(f"--slug must be small letters, digits and single hyphens, not {shown(slug)}")
    return _add(tx, "project", {"team": team, "name": checked_name(name), "slug": slug or _slug(name)})


def add_app(tx: Transaction, project: int, name: str, platform: Platform, bundle_id: str | None = None) -> Added:
    bundle = None if bundle_id is None else checked_name(bundle_id, "--bundle-id")
    return _add(tx, "app", {"project": project, "name": checked_name(name), "platform": platform, "bundle_id": bundle})


def add_user(tx: Transaction, team: int, email: str, name: str, role: Role) -> Added:
    """Make a user a member of a team; a user there is already, by the same address, joins it.

    Raises:
        ConflictError: the user is in the team already.
    """
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email) or not email.isprintable():
        raise InvalidInputError(f"EMAIL must be an address such as jane@example.com, not {shown(email)}")
    row = tx.one("SELECT key, id, name FROM users WHERE email = ?", (email,))
    user = Added(*row) if row else _add(tx, "user", {"email": email, "name": checked_name(name)})
    try:
        tx.run("INSERT INTO memberships (user, team, role) VALUES (?, ?, ?)", (user.key, team, role))
    except sqlite3.IntegrityError as error:
        if not is_collision(error):
            raise
        raise ConflictError(f"{email} is in the team already") from error
    (team_name,) = tx.one("SELECT name FROM teams WHERE key = ?", (team,))
    audit.record(tx, None, "member.add", user.id, role=role, name=user.name, team=team_name)
    return user


def find_team(tx: Transaction, wanted: str | None = None) -> Added:
    """The team with this id, slug or name; the first there is where none is named.

    Raises:
        NotFoundError: there is none, or several by that name.
    """
    return _find(tx, "teams", wanted)


def find_project(tx: Transaction, team: int, wanted: str | None = None) -> Added:
    """The team's project with this id, slug or name; the first there is where none is named.

    Raises:
        NotFoundError: there is none, or several by that name.
    """
    return _find(tx, "projects", wanted, f" AND team = {team:d}")


class App(NamedTuple):
    key: int
    id: str
    name: str
    platform: Platform
    team: int


def find_app(tx: Transaction, wanted: str | None = None) -> App:
    """The app with this id or name; the store's only one where none is named.

    Raises:
        NotFoundError: there is none, or several by that name, or several where none is named.
    """
    names = [name for (name,) in tx.all("SELECT name FROM apps ORDER BY key")]
    there = f"It has: {', '.join(names)}. " if names else ""
    found = _find(tx, "apps", wanted, hint=f"{there}`owlmetry-mcp apps add` adds one.")
    if wanted is None and len(names) > 1:
        raise NotFoundError("The store has several apps", f"Name one with --app: {', '.join(names)}.")
    platform, team = tx.one(
        "SELECT a.platform, p.team FROM apps a JOIN projects p ON p.key = a.project WHERE a.key = ?", (found.key,)
    )
    return App(*found, platform, team)


class Key(NamedTuple):
    """An API key as the operator sees it: everything but its secret, which the store does not know."""

    id: str
    name: str
    key_type: KeyType
    team: str
    permissions: list[str]
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    expired: bool
    local: bool
    """Made by the store for a client without a key; it has no secret."""
    app: str | None
    """Of a client or import key: whose events it sends."""


def create_agent_key(
    tx: Transaction, team: int, name: str, *, read_only: bool = False, days: int | None = None
) -> tuple[Added, str]:
    """A new key and its secret, which is kept nowhere."""
    permissions = READ_PERMISSIONS if read_only else ALL_PERMISSIONS
    return _create_key(tx, team, name, "agent", permissions, days)


def create_event_key(
    tx: Transaction, app: App, name: str, key_type: KeyType, *, days: int | None = None
) -> tuple[Added, str]:
    """A new client or import key, which sends an app's events and does nothing else, and its secret."""
    return _create_key(tx, app.team, name, key_type, EVENT_PERMISSIONS, days, app.key)


def _create_key(  # noqa: PLR0913, PLR0917 - what a key is made of
    tx: Transaction,
    team: int,
    name: str,
    key_type: KeyType,
    permissions: Sequence[str],
    days: int | None,
    app: int | None = None,
) -> tuple[Added, str]:
    secret = f"owl_{key_type}_{secrets.token_hex(16)}"
    row = {
        "team": team,
        "app": app,
        "key_type": key_type,
        "name": checked_name(name, "NAME"),
        "secret_sha256": secret_sha256(secret),
        "permissions": json_text(permissions),
        "expires_at": None if days is None else times.to_text(_in_days(tx, days)),
    }
    return _add(tx, "api_key", row), secret


def local_agent_name(wanted: str | None) -> str:
    """What of a client's name for itself can be a key's name."""
    return "".join(filter(str.isprintable, wanted or "")).strip()[:MAX_NAME_LENGTH] or LOCAL_AGENT_NAME


def make_local_agent_key(tx: Transaction, name: str) -> None:
    """The local agent key of that name in the store's first team, unless another process has made it."""
    row = {"team": find_team(tx).key, "key_type": "agent", "name": name, "permissions": json_text(ALL_PERMISSIONS)}
    with suppress(ConflictError):
        _add(tx, "api_key", row)


def local_user(login: str) -> LocalUser:
    """Whom a login name means: what of it can be a name, and an address that is made of it."""
    name = "".join(filter(str.isprintable, login)).strip()[:MAX_NAME_LENGTH] or LOCAL_USER_NAME
    return LocalUser(name, f"{re.sub(r'[@ ]+', '-', name)}@localhost")


def make_local_user(tx: Transaction, who: LocalUser) -> None:
    """The local user, an owner of the store's first team, unless there is one that is in a team."""
    row = tx.one("SELECT key FROM users WHERE email = ?", (who.email,))
    if row and teams_of(tx, row[0]):
        return
    if row is None:
        _add(tx, "user", {"email": who.email, "name": who.name}, local_user_id(tx, who))
    add_user(tx, find_team(tx).key, who.email, who.name, "owner")


def list_keys(tx: Transaction) -> list[Key]:
    rows = tx.all(
        """
        SELECT k.id, k.name, k.key_type, t.name, k.permissions, k.created_at, k.expires_at, k.revoked_at,
            coalesce(k.expires_at <= ?, 0), k.secret_sha256 IS NULL, a.name
        FROM api_keys k JOIN teams t ON t.key = k.team LEFT JOIN apps a ON a.key = k.app ORDER BY k.key
        """,
        (tx.now,),
    )
    return [Key._make((*row[:4], json.loads(row[4]), *row[5:])) for row in rows]


class ProjectWithApps(NamedTuple):
    id: str
    name: str
    slug: str
    team: str
    apps: list[tuple[str, str, str]]
    """(id, name, platform)."""


def list_projects(tx: Transaction) -> list[ProjectWithApps]:
    apps = "SELECT id, name, platform FROM apps WHERE project = ? ORDER BY key"
    projects = (
        "SELECT p.id, p.name, p.slug, t.name, p.key FROM projects p JOIN teams t ON t.key = p.team ORDER BY p.key"
    )
    return [
        ProjectWithApps(id_, name, slug, team, tx.all(apps, (key,))) for id_, name, slug, team, key in tx.all(projects)
    ]


def has_seen_errors(tx: Transaction) -> bool:
    """Whether there are issues, or events of which some may yet be made."""
    (seen,) = tx.one("SELECT EXISTS (SELECT 1 FROM issues) OR EXISTS (SELECT 1 FROM events)")
    return bool(seen)


def revoke_key(tx: Transaction, wanted: str) -> Added:
    """Revoke the key with this id or name, for good.

    Raises:
        NotFoundError: there is none that is not revoked, or several by that name.
    """
    key = _find(tx, "api_keys", wanted, " AND revoked_at IS NULL")
    tx.run("UPDATE api_keys SET revoked_at = ? WHERE key = ?", (tx.now, key.key))
    audit.record(tx, None, "api_key.revoke", key.id, name=key.name)
    return key


def token(tx: Transaction, email: str, days: int) -> str:
    """A user's JWT, valid for so many days.

    Raises:
        NotFoundError: the store has no such user.
    """
    row = tx.one("SELECT id, email, name FROM users WHERE email = ?", (optional_text("EMAIL", email),))
    if row is None:
        raise NotFoundError(f"No user {shown(email)}", "`owlmetry-mcp users add` adds one.")
    user_id, known_email, name = row
    issued_at = int(datetime.fromisoformat(tx.now).timestamp())
    expires_at = int(_in_days(tx, days).timestamp())
    audit.record(tx, None, "token.create", user_id, name=name, days=days)
    return sign_token(tx, user_id, known_email, issued_at, expires_at)


def _in_days(tx: Transaction, days: int) -> datetime:
    if not 1 <= days <= MAX_DAYS:
        raise InvalidInputError(f"DAYS must be a whole number from 1 to {MAX_DAYS}, not {days}")
    return datetime.fromisoformat(tx.now) + timedelta(days=days)


def _add(tx: Transaction, kind: str, row: Mapping[str, object], new_id: str | None = None) -> Added:
    new_id = new_id or str(uuid.uuid4())
    try:
        key = tx.insert(f"{kind}s", {"id": new_id, **row, "created_at": tx.now})
    except sqlite3.IntegrityError as error:
        if not is_collision(error):
            raise
        raise ConflictError(f"There is a {kind} {row.get('slug', row['name'])} already") from error
    name = str(row["name"])
    about = {column: row[column] for column in ("key_type", "platform", "expires_at") if row.get(column) is not None}
    if kind == "api_key":
        about["permissions"] = json.loads(str(row["permissions"]))
        about["local"] = "secret_sha256" not in row
    audit.record(tx, None, f"{kind}.add", new_id, name=name, **about)
    return Added(key, new_id, name)


def _find(tx: Transaction, table: str, wanted: str | None, condition: str = "", hint: str = "") -> Added:
    """By id, else by slug where the table has one, else by name."""
    what = table.removesuffix("s").replace("_", " ").replace("api key", "key")
    slug = "slug" if table in ("teams", "projects") else "NULL"
    rows = tx.all(
        f"""
        SELECT key, id, name FROM {table}
        WHERE (:wanted IS NULL OR id = lower(:wanted) OR {slug} = :wanted OR name = :wanted){condition} ORDER BY key
        """,  # noqa: S608 - names from this module
        {"wanted": optional_text(what, wanted)},
    )
    if not rows:
        raise NotFoundError(f"The store has no {what}{'' if wanted is None else ' ' + shown(wanted)}", hint)
    if wanted is not None and len(rows) > 1:
        raise NotFoundError(f"Several {what}s are named {shown(wanted)}", f"Use an id: {', '.join(r[1] for r in rows)}")
    return Added(*rows[0])


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return slug or str(uuid.uuid4())
