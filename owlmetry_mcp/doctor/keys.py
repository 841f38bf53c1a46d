"""The key: what kind it is, whether it is valid, and what it may do."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.masking import described
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.models import Identity, KeyIdentity, UserIdentity
from owlmetry_mcp.server.catalogue import CATALOGUE

_SOON = timedelta(days=14)
_ANOTHER = "Set OWLMETRY_API_KEY to an agent key (owl_agent_…); `owlmetry-mcp keys create` makes one for a store."
_SENDERS = {"owl_client_": "an app's key, which sends events", "owl_import_": "a key for importing events"}


def kind(secret: str) -> Iterator[Finding]:
    for prefix, what in _SENDERS.items():
        if secret.startswith(prefix):
            yield Finding("key.kind", "broken", f"{described(secret)} is {what} and cannot triage", _ANOTHER)
            return
    who = "an agent key" if secret.startswith("owl_agent_") else "taken for a user's token"
    yield Finding("key.kind", "ok", f"{described(secret)}, {who}")


def standing(who: Identity | OwlmetryError, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """What the backend says of it."""
    match who:
        case OwlmetryError():
            yield Finding("key.valid", "broken", who.message, who.hint or _ANOTHER)
        case UserIdentity():
            teams = ", ".join(f'"{team.name}" as {team.role}' for team in who.teams) or "no team"
            yield Finding("key.valid", "ok", f'it is the token of "{who.user.name}", in {teams}')
        case KeyIdentity():
            yield _valid(who, clock())
            yield from _permissions(who)


def _valid(who: KeyIdentity, now: datetime) -> Finding:
    name = f' "{who.name}"' if who.name else ""
    what = f'the {who.key_type} key{name} of the team "{who.team.name}"'
    if who.expires_at is None:
        return Finding("key.valid", "ok", what)
    ends = datetime.fromisoformat(who.expires_at)
    if ends - now > _SOON:
        return Finding("key.valid", "ok", f"{what}, until {who.expires_at[:10]}")
    return Finding("key.valid", "warning", f"{what}, which expires on {who.expires_at[:10]}", "Have another made.")


def _permissions(who: KeyIdentity) -> Iterator[Finding]:
    held = ", ".join(who.permissions) or "none"
    if "issues:read" not in who.permissions:
        yield Finding("key.permissions", "broken", f"it lacks issues:read; it has {held}", _ANOTHER)
        return
    missing: dict[str, list[str]] = {}
    for name, entry in CATALOGUE.items():
        if entry.permission and entry.permission not in who.permissions:
            missing.setdefault(entry.permission, []).append(name)
    if not missing:
        yield Finding("key.permissions", "ok", held)
    for permission, tools in missing.items():
        what = f"it lacks {permission}, so that these are not offered: {', '.join(tools)}"
        yield Finding("key.permissions", "note", what, "If an agent is to do that, give it a key that may.")
