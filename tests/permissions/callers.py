"""Everyone who may come to a door, with what they show there."""

import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jwt

from owlmetry_mcp.backends.store import access, administration, first_start
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import UnauthenticatedError
from owlmetry_mcp.issues.models import KeyIdentity, KeyType
from tests.permissions.table import ANOTHERS, CLAIMED, EVENT, KEYS, OWN, SESSION
from tests.world import FIXTURE, SYMBOLS, FakeClock, filled

_EVENT = {
    "id": EVENT, "app_id": SYMBOLS["ios"], "is_dev": False, "session_id": SESSION, "level": "info",
    "message": "Tapped pay", "timestamp": "2026-10-20T12:00:00.000Z", "received_at": "2026-10-20T12:00:00.000Z",
}  # fmt: skip
FOREIGN_EVENT, FOREIGN_SESSION = (f"cccccc0{number}-0000-4000-8000-000000000000" for number in range(2))
FOREIGN_APP: str = next(row["id"] for row in FIXTURE["apps"] if row["project_id"] == SYMBOLS["foreign_project"])
"""An event of the other team's, its session and its app."""


class Crowd:
    """A store's file with the recorded world, an event in it, and everyone's credentials; to be copied."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "crowd.db"
        with Store(self._path, FakeClock(), first_start.leave_empty) as store:
            filled(store)
            self.credentials: dict[str, str] = store.write(_credentials)

    @contextmanager
    def copy(self, path: Path) -> Iterator[Store]:
        shutil.copyfile(self._path, path)
        with Store(path, FakeClock()) as store:
            yield store


def _credentials(tx: Transaction) -> dict[str, str]:
    foreign = _EVENT | {"id": FOREIGN_EVENT, "app_id": FOREIGN_APP, "session_id": FOREIGN_SESSION}
    import_document(tx, read_document(json.dumps({"events": [_EVENT, foreign]})))
    shown = _tokens(tx) | {
        "another scheme than Bearer": "",
        "an unknown key": "owl_agent_" + "0" * 32,
        "a revoked key": _key(tx, "Revoked", "Night Owls"),
        "an expired key": next(key["secret"] for key in FIXTURE["api_keys"] if key["alias"] == "expired"),
        "what is neither key nor token": "nonsense",
    }
    administration.revoke_key(tx, "Revoked")
    for name, permissions in KEYS.items():
        app = administration.find_app(tx, "Shop iOS")
        match name:
            case "client key" | "import key":
                kind: KeyType = "client" if name == "client key" else "import"
                _, shown[name] = administration.create_event_key(tx, app, name, kind)
            case "local agent key":
                continue
            case _:
                team = "Other Team" if name == "agent key of another team" else "Night Owls"
                shown[name] = _key(tx, name, team)
                tx.run("UPDATE api_keys SET permissions = ? WHERE name = ?", (json.dumps(permissions), name))
    return shown


def _key(tx: Transaction, name: str, team: str) -> str:
    return administration.create_agent_key(tx, administration.find_team(tx, team).key, name)[1]


def _tokens(tx: Transaction) -> dict[str, str]:
    (secret,) = tx.one("SELECT token_secret FROM store")
    other_team = administration.find_team(tx, "Other Team").key
    for name in ("strange", "removed", "teamless"):
        administration.add_user(tx, other_team, f"{name}@example.com", name, "member")
    owner = FIXTURE["users"][0]["id"]
    claims = {"sub": owner, "email": "olga@example.com", "exp": 4_000_000_000}
    shown = {
        "an expired token": jwt.encode(claims | {"exp": 1_700_000_000}, secret),
        "a token with alg none": jwt.encode(claims, "", algorithm="none"),
        "a token signed with another secret": jwt.encode(claims, "another secret of at least thirty-two bytes"),
        "a token signed by another algorithm": _signed_otherwise(claims, secret),
        "a token that never expires": jwt.encode({"sub": owner}, secret),
        "a token of a removed user": administration.token(tx, "removed@example.com", days=1),
        "owner": administration.token(tx, "olga@example.com", days=1),
        "admin": administration.token(tx, "adam@example.com", days=1),
        "member": administration.token(tx, "mia@example.com", days=1),
        "member of another team": administration.token(tx, "strange@example.com", days=1),
        "user in no team": administration.token(tx, "teamless@example.com", days=1),
    }
    for name in ("removed", "teamless"):
        tx.run("DELETE FROM memberships WHERE user = (SELECT key FROM users WHERE name = ?)", (name,))
    tx.run("DELETE FROM users WHERE name = 'removed'")
    return shown


def _signed_otherwise(claims: dict[str, object], secret: str) -> str:
    with warnings.catch_warnings(action="ignore", category=jwt.warnings.InsecureKeyLengthWarning):
        return jwt.encode(claims, secret, algorithm="HS512")


def let_them_have_commented(tx: Transaction, credential: str | None) -> dict[str, str]:
    """The ids of a comment of the caller's (without a credential, the local agent's), and of one of another's."""
    ids = {OWN: "aaaaaaaa-0000-4000-8000-000000000001", ANOTHERS: "aaaaaaaa-0000-4000-8000-000000000002"}
    (issue,) = tx.one("SELECT key FROM issues WHERE id = ?", (CLAIMED,))
    like = {"issue": issue, "body": "Mine.", "created_at": tx.now, "updated_at": tx.now, "deleted_at": None}
    nobody = {"author_type": "agent", "author_id": "bbbbbbbb-0000-4000-8000-000000000001", "author_name": "Nobody"}
    tx.insert("comments", like | nobody | _author(tx, credential) | {"id": ids[OWN]})
    tx.insert("comments", like | nobody | {"id": ids[ANOTHERS]})
    return ids


def _author(tx: Transaction, credential: str | None) -> dict[str, str]:
    """What a comment says of whoever shows that; nothing, if it is no one."""
    administration.make_local_agent_key(tx, administration.LOCAL_AGENT_NAME)
    local = access.Credential(local_name=administration.LOCAL_AGENT_NAME)
    try:
        who = access.identify(tx, local if credential is None else access.credential(credential))
    except UnauthenticatedError:
        return {}
    if isinstance(who, KeyIdentity):
        return {"author_type": "agent", "author_id": who.id or "", "author_name": who.name or ""}
    return {"author_type": "user", "author_id": who.user.id, "author_name": who.user.name}
