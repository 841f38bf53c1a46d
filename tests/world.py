"""The recorded world: two teams with their issues, in a store, and a clock that moves when it is told to."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.backend import StoreBackend, acting_as
from owlmetry_mcp.backends.store.store import Store

ROOT = Path(__file__).parent.parent
_SHARED = ROOT.parent / "shared" / "contract"
_KEPT = Path(__file__).parent / "contract" / "recordings"


def recording(name: str) -> dict[str, Any]:
    """A recording: the newest there is beside the checkout, else the one kept with the tests."""
    path = _SHARED / name if (_SHARED / name).exists() else _KEPT / name
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


FIXTURE = recording("fixture.json")
SYMBOLS: dict[str, str] = recording("issues-api.json")["symbols"]
SECRETS: dict[str, str] = {key["alias"]: key["secret"] for key in FIXTURE["api_keys"]}


class FakeClock:
    def __init__(self) -> None:
        self.instant = datetime(2026, 10, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **by: float) -> None:
        self.instant += timedelta(**by)


class World:
    """The recorded world in a store, and everyone in it."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock

    def credential(self, who: str) -> str:
        """The secret of the key with this alias, or a token for the user with this first name."""
        if who in SECRETS:
            return SECRETS[who]
        email: str = next(user["email"] for user in FIXTURE["users"] if user["name"].lower().startswith(who))
        return self.store.write(lambda tx: administration.token(tx, email, days=1))

    def acting_as(self, who: str) -> StoreBackend:
        return acting_as(self.store, self.credential(who))

    def put(self, name: str, **columns: Any) -> None:
        """Give columns of the issue of that name other values."""
        update = f"UPDATE issues SET {', '.join(f'{column} = :{column}' for column in columns)} WHERE id = :id"  # noqa: S608
        self.store.write(lambda tx: tx.run(update, {**columns, "id": SYMBOLS[name]}))
