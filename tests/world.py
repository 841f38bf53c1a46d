"""The recorded world: two teams with their issues, in a store, and a clock that moves when it is told to."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from owlmetry_mcp.backends.base import Backend, Tracker
from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.backend import acting_as
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Result, Store, Work
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli.http_protocol import Http
from owlmetry_mcp.http.doors import LoginBrake
from owlmetry_mcp.http.listener import listen
from owlmetry_mcp.rest.app import create_app

ROOT = Path(__file__).parent.parent
_SHARED = ROOT.parent / "shared" / "contract"
_KEPT = Path(__file__).parent / "contract" / "recordings"


def recording(name: str) -> dict[str, Any]:
    """A recording: the newest there is beside the checkout, else the one kept with the tests."""
    path = _SHARED / name if (_SHARED / name).exists() else _KEPT / name
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


FIXTURE = recording("fixture.json")
QUIET: dict[str, Any] = FIXTURE | {
    section: [] for section in ("issues", "fingerprints", "occurrences", "comments", "attachments")
}
"""The recorded world before anything has gone wrong."""
SYMBOLS: dict[str, str] = recording("issues-api.json")["symbols"] | recording("events-api.json")["symbols"]
SECRETS: dict[str, str] = {key["alias"]: key["secret"] for key in FIXTURE["api_keys"]}


class FakeClock:
    def __init__(self) -> None:
        self.instant = datetime(2026, 10, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, **by: float) -> None:
        self.instant += timedelta(**by)


class World:
    """The recorded world in a store, and everyone in it, who act on it directly."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock

    def credential(self, who: str) -> str:
        """The secret of the key with this alias, or a token for the user with this first name."""
        if who in SECRETS:
            return SECRETS[who]
        email: str = next(user["email"] for user in FIXTURE["users"] if user["name"].lower().startswith(who))
        return self.store.write(lambda tx: administration.token(tx, email, days=1))

    def acting_as(self, who: str) -> Backend:
        return self.acting_with(self.credential(who))

    def acting_with(self, credential: str) -> Backend:
        return acting_as(self.store, credential)

    def put(self, name: str, **columns: Any) -> None:
        """Give columns of the issue of that name other values."""
        update = f"UPDATE issues SET {', '.join(f'{column} = :{column}' for column in columns)} WHERE id = :id"  # noqa: S608
        self.store.write(lambda tx: tx.run(update, {**columns, "id": SYMBOLS[name]}))


class LiveWorld(World):
    """The same, but they act over HTTP: live backend, socket, REST face, store."""

    def __init__(self, store: Store, clock: FakeClock, endpoint: str, timeouts: Timeouts | None = None) -> None:
        super().__init__(store, clock)
        self.endpoint = endpoint
        self._timeouts = timeouts
        self._backends: dict[str, LiveBackend] = {}

    def acting_with(self, credential: str) -> Backend:
        if credential not in self._backends:
            self._backends[credential] = LiveBackend(Wire(self.endpoint, credential, self._timeouts), self.clock)
        return self._backends[credential]

    async def aclose(self) -> None:
        for backend in self._backends.values():
            await backend.aclose()


def filled(store: Store, document: dict[str, Any] = FIXTURE) -> None:
    """Put the recorded world into an empty store."""
    store.write(lambda tx: import_document(tx, read_document(json.dumps(document))))


class _Undo(Exception):  # noqa: N818 - no error: the way out of a transaction that is to leave nothing
    pass


def tried(store: Store, work: Work[Result]) -> Result:
    """What `work` makes of the store, which stays as it was."""
    results: list[Result] = []

    def undone(tx: Transaction) -> None:
        results.append(work(tx))
        raise _Undo

    with suppress(_Undo):
        store.write(undone)
    return results[0]


class HttpFace:
    """The REST face on a socket of this machine, over whatever store it is given at the time."""

    def __init__(self, opener: Callable[[Store, str], Tracker] = acting_as) -> None:
        self.store: Store | None = None
        self._opener = opener
        self._listener = listen("127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        app = create_app(self._acting_as, brake=LoginBrake(sleep=no_wait))
        config = uvicorn.Config(
            app, http=Http, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    def _acting_as(self, credential: str) -> Tracker:
        assert self.store
        return self._opener(self.store, credential)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@asynccontextmanager
async def acted_on(store: Store, clock: FakeClock, face: HttpFace, target: str) -> AsyncIterator[World]:
    """A store's world, acted on over HTTP where the target is `live`, and in the store itself otherwise."""
    if target != "live":
        yield World(store, clock)
        return
    face.store = store
    world = LiveWorld(store, clock, face.endpoint)
    yield world
    await world.aclose()


async def no_wait(_: float) -> None:
    """Instead of a sleep."""
