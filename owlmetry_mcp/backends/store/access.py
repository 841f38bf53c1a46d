"""Who is calling, and what they may do. Every operation asks here, inside its own transaction."""

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import NotFoundError, PermissionDeniedError, UnauthenticatedError
from owlmetry_mcp.issues.models import (
    AuthorType,
    Identity,
    KeyIdentity,
    KeyType,
    Membership,
    Platform,
    Role,
    Team,
    User,
    UserIdentity,
)

KEY_PREFIXES = ("owl_agent_", "owl_client_", "owl_import_")
_TOKEN_ALGORITHM = "HS256"  # noqa: S105 - the name of an algorithm
_TOKEN_REMEDY = "`owlmetry-mcp token EMAIL` makes a user's token; agents' keys begin with owl_agent_."  # noqa: S105


@dataclass(frozen=True, slots=True)
class Credential:
    """What a caller shows: a key's secret, of which only the digest is kept, a user's JWT, or nothing but the name of a
    local agent key or of a local user, which whoever can open the file may act as.
    """

    secret_sha256: str | None = None
    token: str | None = field(default=None, repr=False)
    local_name: str | None = None
    local_user: "LocalUser | None" = None


class LocalUser(NamedTuple):
    """Someone at the command line of the machine that the store is on."""

    name: str
    email: str


class NoLocalKeyError(Exception):
    """There is no local agent key of that name yet; it is for the caller to make one."""


def credential(shown: str) -> Credential:
    """A bearer's key or token. Whatever has no key's prefix is taken for a JWT."""
    if shown.startswith(KEY_PREFIXES):
        return Credential(secret_sha256=secret_sha256(shown))
    return Credential(token=shown)


def secret_sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Caller:
    type: AuthorType
    id: str
    name: str
    roles: dict[int, Role | None]
    """The teams that the caller is in, by key, with the role there; a key has none."""
    permissions: frozenset[str] | None
    """None: everything, as for users, of whom only the role is asked."""

    def require(self, permission: str) -> None:
        if self.permissions is not None and permission not in self.permissions:
            raise PermissionDeniedError(
                f"Missing permission: {permission}", "Ask for a key that has it; whoami shows what this one has."
            )

    def may_delete_others_comments(self, team: int) -> bool:
        return self.roles.get(team) in ("owner", "admin")


def authenticate(tx: Transaction, shown: Credential, permission: str) -> Caller:
    """
    Raises:
        UnauthenticatedError: the credential is unknown, revoked or expired.
        PermissionDeniedError: it lacks the permission.
        NoLocalKeyError: it is the name of a local agent key that there is not yet.
    """
    caller = _who(tx, shown)[1]
    caller.require(permission)
    return caller


class Sender(NamedTuple):
    """A client or import key, and the app that its events are of."""

    key: int
    app: int
    platform: Platform
    bundle_id: str | None


def client(tx: Transaction, shown: Credential) -> Sender:
    """
    Raises:
        UnauthenticatedError: the credential is unknown, revoked or expired.
        PermissionDeniedError: it lacks `events:write`, or is no client key.
    """
    authenticate(tx, shown, "events:write")
    return _sender(tx, shown, "client", "a client API key")


def importer(tx: Transaction, shown: Credential) -> Sender:
    """As `client`, of an import key."""
    identify(tx, shown)
    sender = _sender(tx, shown, "import", "an import API key")
    authenticate(tx, shown, "events:write")
    return sender


def _sender(tx: Transaction, shown: Credential, key_type: KeyType, wanted: str) -> Sender:
    row = tx.one(
        """
        SELECT k.key, a.key, a.platform, a.bundle_id FROM api_keys k JOIN apps a ON a.key = k.app
        WHERE k.secret_sha256 = ? AND k.key_type = ?
        """,
        (shown.secret_sha256, key_type),
    )
    if row is None:
        raise PermissionDeniedError(
            f"This endpoint requires {wanted} (owl_{key_type}_*)",
            f"`owlmetry-mcp keys create --type {key_type}` makes one for a store's app.",
        )
    return Sender(*row)


def identify(tx: Transaction, shown: Credential) -> Identity:
    """
    Raises:
        UnauthenticatedError, NoLocalKeyError: as `authenticate`.
    """
    return _who(tx, shown)[0]


def project_team(tx: Transaction, caller: Caller, project_id: str) -> tuple[int, int]:
    """The keys of a project and its team.

    Raises:
        NotFoundError: there is none, or it is another team's.
    """
    row = tx.one("SELECT key, team FROM projects WHERE id = ?", (project_id,))
    if row is None or row[1] not in caller.roles:
        raise NotFoundError("Project not found", "list_projects shows the projects there are.")
    return row[0], row[1]


def _who(tx: Transaction, shown: Credential) -> tuple[Identity, Caller]:
    if shown.local_user is not None:
        return _local_user(tx, shown.local_user)
    return _key(tx, shown) if shown.token is None else _user(tx, shown.token)


def _key(tx: Transaction, shown: Credential) -> tuple[KeyIdentity, Caller]:
    row = tx.one(
        """
        SELECT k.id, k.name, k.key_type, k.permissions, k.expires_at, k.revoked_at, t.key, t.id, t.name, t.slug,
            k.secret_sha256
        FROM api_keys k JOIN teams t ON t.key = k.team
        WHERE k.secret_sha256 = :secret_sha256
            OR (k.name = :local_name AND k.secret_sha256 IS NULL AND k.team = (SELECT min(key) FROM teams))
        """,
        {"secret_sha256": shown.secret_sha256, "local_name": shown.local_name},
    )
    # Found by its digest, of which no timing tells the key; and compared once more, in constant time.
    if row and shown.secret_sha256 is not None and not hmac.compare_digest(row[-1], shown.secret_sha256):
        row = None
    if row is None and shown.local_name is not None:
        raise NoLocalKeyError
    if row is None:
        raise UnauthenticatedError(
            "Invalid API key", "Check OWLMETRY_API_KEY; `owlmetry-mcp keys list` shows the keys of a store."
        )
    key_id, name, key_type, permissions, expires_at, revoked_at, team, team_id, team_name, slug, _ = row
    if revoked_at is not None:
        raise UnauthenticatedError("Invalid API key", "It was revoked; `owlmetry-mcp keys create` makes another.")
    if expires_at is not None and expires_at <= tx.now:
        raise UnauthenticatedError("API key expired", "`owlmetry-mcp keys create` makes another.")
    granted = json.loads(permissions)
    identity = KeyIdentity(
        type="api_key",
        key_type=key_type,
        id=key_id,
        name=name,
        team=Team(id=team_id, name=team_name, slug=slug),
        permissions=granted,
        expires_at=expires_at,
    )
    return identity, Caller("agent", key_id, name, {team: None}, frozenset(granted))


def _user(tx: Transaction, token: str) -> tuple[UserIdentity, Caller]:
    row = tx.one("SELECT key, id, email, name FROM users WHERE id = ?", (_subject(tx, token),))
    if row is None:
        raise UnauthenticatedError("Invalid or expired token", "Its user is no longer in the store.")
    key, *columns = row
    return _member(_user_of(columns), teams_of(tx, key))


def _local_user(tx: Transaction, who: LocalUser) -> tuple[UserIdentity, Caller]:
    """As the user with that address; before there is one, as what the first write will make."""
    row = tx.one("SELECT key, id, email, name FROM users WHERE email = ?", (who.email,))
    key, *columns = row or (None, local_user_id(tx, who), who.email, who.name)
    return _member(_user_of(columns), teams_of(tx, key) or first_team(tx))


def local_user_id(tx: Transaction, who: LocalUser) -> str:
    """The same for the same address in the same store."""
    (team_id,) = tx.one("SELECT id FROM teams ORDER BY key LIMIT 1") or (str(uuid.NAMESPACE_DNS),)
    return str(uuid.uuid5(uuid.UUID(team_id), who.email))


def teams_of(tx: Transaction, user: int | None) -> list[Any]:
    """What a user is a member of: the team's key, id, name and slug, and the role there."""
    return tx.all(
        """
        SELECT t.key, t.id, t.name, t.slug, m.role
        FROM memberships m JOIN teams t ON t.key = m.team WHERE m.user = ? ORDER BY t.key
        """,
        (user,),
    )


def first_team(tx: Transaction) -> list[Any]:
    """As `teams_of`, of someone who owns the store's first team and is in no other."""
    return tx.all("SELECT key, id, name, slug, 'owner' FROM teams ORDER BY key LIMIT 1")


def _user_of(columns: Sequence[str]) -> User:
    return User(**dict(zip(("id", "email", "name"), columns, strict=True)))


def _member(user: User, teams: Sequence[Any]) -> tuple[UserIdentity, Caller]:
    identity = UserIdentity(
        type="user",
        user=user,
        teams=[Membership(id=id_, name=team_name, slug=slug, role=role) for _, id_, team_name, slug, role in teams],
    )
    return identity, Caller("user", user.id, user.name, {key: role for key, *_, role in teams}, None)


def _subject(tx: Transaction, token: str) -> str:
    """The user's id in a JWT of this store's own."""
    import jwt  # noqa: PLC0415 - agents come with keys; only users' tokens need it

    (secret,) = tx.one("SELECT token_secret FROM store")
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=[_TOKEN_ALGORITHM],
            # The transaction's instant decides about expiry, below, and not the library's clock.
            options={"require": ["sub", "exp"], "verify_exp": False, "verify_iat": False},
        )
        expired = float(claims["exp"]) <= datetime.fromisoformat(tx.now).timestamp()
    except (jwt.InvalidTokenError, UnicodeEncodeError, TypeError, ValueError, RecursionError) as error:
        raise UnauthenticatedError("Invalid or expired token", _TOKEN_REMEDY) from error
    if expired:
        raise UnauthenticatedError("Invalid or expired token", _TOKEN_REMEDY)
    subject: str = claims["sub"]
    return subject


def secret_for(tx: Transaction, purpose: str) -> bytes:
    """A secret that all who use this store have, and no one else; for one purpose alone."""
    (secret,) = tx.one("SELECT token_secret FROM store")
    return hmac.digest(secret.encode(), purpose.encode(), "sha256")


def sign_token(tx: Transaction, user_id: str, email: str, issued_at: int, expires_at: int) -> str:
    """A user's JWT, valid between two instants in seconds since 1970."""
    import jwt  # noqa: PLC0415 - as above

    (secret,) = tx.one("SELECT token_secret FROM store")
    claims = {"sub": user_id, "email": email, "iat": issued_at, "exp": expires_at}
    return jwt.encode(claims, secret, algorithm=_TOKEN_ALGORITHM)
