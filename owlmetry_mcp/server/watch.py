"""Telling clients that what they listen to has changed, whoever changed it.

In the newer era of the protocol a client listens by `subscriptions/listen`, for as long as that request is open; in
the older one it asks by `resources/subscribe` and is notified on its connection. Either way it hears the URI that it
named, while what is read again is what that URI named at first: an issue's id outlives the names it was found by.

Where the backend can tell that something may have changed, it is asked often, and documents are read again only then;
where it cannot, they are read again now and then. After a write through this server they are read again at once.
"""

import hashlib
import logging
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

import anyio
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourceUpdated, SubscriptionBus
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
)

from owlmetry_mcp.asking.desk import CLIENT_NAME, Desk
from owlmetry_mcp.issues.errors import (
    InvalidInputError,
    NotFoundError,
    OwlmetryError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from owlmetry_mcp.server.resources import Library, Place

logger = logging.getLogger(__name__)

MAX_WATCHED = 200
"""URIs at a time: each of them is read again after each change."""
FIRST_LOOK_SECONDS = 5.0
"""How long a client that begins to listen waits until it is known how things stand."""

_NOTHING = b""
"""Instead of the digest of what is not there, or not for this caller."""


class Intervals(NamedTuple):
    ask_seconds: float = 0.5
    """Between questions whether anything may have changed."""
    reread_seconds: float = 20.0
    """Between readings, where that cannot be told."""


class _Watched:
    """A URI as a client named it, and how things stood when it was last read."""

    def __init__(self, client: str | None, uri: str) -> None:
        self.client = client
        self.uri = uri
        self.place: Place | None = None
        """None until it could be told what the URI names."""
        self.digest: bytes | None = None
        """None until it could be read."""
        self.streams = 0
        """Open streams of the newer era that listen to it."""
        self.sessions: list[ServerSession] = []
        """Of the older era."""


class _Told(NamedTuple):
    """What a backend last said of its version, and when everything was last read."""

    version: str | None
    read_at: float


class Watch:
    """What the clients of one lifespan of the server listen to."""

    def __init__(self, desk: Desk, library: Library, bus: SubscriptionBus, intervals: Intervals) -> None:
        self._desk = desk
        self._library = library
        self._bus = bus
        self._intervals = intervals
        self._watched: dict[tuple[str | None, str], _Watched] = {}
        self._told: dict[str | None, _Told] = {}
        self._begun = 0
        """How many times clients have begun to listen to something."""
        self._wake = anyio.Event()
        self._is_written = False
        self._has_complained = False

    def written(self) -> None:
        """Something was written through this server: look at once."""
        self._is_written = True
        self._wake.set()

    async def run(self) -> None:
        """Look for changes until cancelled; while nobody listens, only wait."""
        while True:
            self._wake = anyio.Event()
            seconds = await self._look()
            with anyio.move_on_after(seconds):
                await self._wake.wait()

    async def _look(self) -> float:
        """Tell what has changed; returns in how many seconds to look again."""
        is_written, self._is_written = self._is_written, False
        clients = {entry.client for entry in self._watched.values()}
        self._told = {client: told for client, told in self._told.items() if client in clients}
        seconds = [await self._look_as(client, is_written=is_written) for client in clients]
        return min(seconds, default=math.inf)

    async def _look_as(self, client: str | None, *, is_written: bool) -> float:
        with _acting_for(client):
            try:
                return await self._look_now(client, is_written=is_written)
            except OwlmetryError as error:
                self._complain(error)
                return self._intervals.ask_seconds
            except Exception as error:  # noqa: BLE001 - whatever it is, the clients' other requests go on
                self._complain(error)
                return self._intervals.reread_seconds

    async def _look_now(self, client: str | None, *, is_written: bool) -> float:
        """
        Raises:
            OwlmetryError: the backend cannot tell its version.
        """
        begun, now = self._begun, anyio.current_time()
        version = await self._desk.backend().version()
        told = self._told.get(client)
        if told is None or is_written or self._is_due(told, version, now):
            is_whole = await self._read_again(client)
            if begun != self._begun:  # what was begun meanwhile may have missed what this version tells of
                self._told.pop(client, None)
            elif is_whole or version is None:
                self._told[client] = _Told(version, now)
        return self._intervals.reread_seconds if version is None else self._intervals.ask_seconds

    def _is_due(self, told: _Told, version: str | None, now: float) -> bool:
        if version is None:
            return now - told.read_at >= self._intervals.reread_seconds
        return told.version != version

    async def _read_again(self, client: str | None) -> bool:
        """Tell what has changed of what a client listens to; returns whether all of it could be read."""
        unread = 0
        for entry in [entry for entry in self._watched.values() if entry.client == client]:
            before = entry.digest
            unread += not await self._read(entry)
            if entry.digest != before:
                await self._tell(entry)
        return not unread

    async def _read(self, entry: _Watched) -> bool:
        """See how an entry stands; returns whether that could be found out."""
        try:
            entry.place = entry.place or await self._library.place(entry.uri)
            content = await self._library.content(entry.place)
        except (InvalidInputError, NotFoundError, PermissionDeniedError, UnauthenticatedError):
            entry.digest = _NOTHING
        except OwlmetryError as error:
            self._complain(error)
            return False
        else:
            entry.digest = hashlib.sha256(content.encode()).digest()
        return True

    async def _tell(self, entry: _Watched) -> None:
        if entry.streams:
            await self._bus.publish(ResourceUpdated(uri=entry.uri))
        for session in entry.sessions:
            await session.send_resource_updated(entry.uri)

    def _complain(self, error: Exception) -> None:
        """Once aloud: what cannot be read now is asked for again and again."""
        level = logging.DEBUG if self._has_complained else logging.INFO
        self._has_complained = True
        trace = None if isinstance(error, OwlmetryError) else error
        logger.log(level, "What clients listen to could not be read, and is tried again: %s", error, exc_info=trace)

    async def _begin(self, uris: Iterable[str]) -> list[_Watched]:
        """Have these URIs watched. It returns when it is known how they stand: what changes after that is told.

        Raises:
            MCPError: they would be too many.
        """
        client = CLIENT_NAME.get()
        fresh = {uri: _Watched(client, uri) for uri in uris if self._library.is_watchable(uri)}
        if len(self._watched.keys() | {(client, uri) for uri in fresh}) > MAX_WATCHED:
            raise MCPError(INVALID_PARAMS, f"At most {MAX_WATCHED} resources can be listened to at a time.")
        told = None
        with anyio.move_on_after(FIRST_LOOK_SECONDS):
            told = await self._now_told(client)
            for entry in fresh.values():
                await self._read(entry)
        is_certain = self._told.get(client) is told
        entries = [self._watched.setdefault((client, uri), entry) for uri, entry in fresh.items()]
        for entry in entries:
            if entry.digest != fresh[entry.uri].digest:  # it changed, and those who listen to it are still to be told
                entry.digest = None
                is_certain = False
        if not is_certain:  # what changed while these were read may have been looked for without them
            self._told.pop(client, None)
        self._begun += 1
        self._wake.set()
        return entries

    async def _now_told(self, client: str | None) -> _Told | None:
        """What a backend has told of its version; if nothing yet, what it tells now."""
        if client not in self._told:
            try:
                self._told[client] = _Told(await self._desk.backend().version(), anyio.current_time())
            except OwlmetryError as error:
                self._complain(error)
        return self._told.get(client)

    def _end(self, entries: Iterable[_Watched]) -> None:
        for entry in entries:
            if not entry.streams and not entry.sessions:
                self._watched.pop((entry.client, entry.uri), None)

    @asynccontextmanager
    async def listening(self, uris: Iterable[str]) -> AsyncIterator[None]:
        """Have these URIs watched for a stream of the newer era.

        Raises:
            MCPError: they would be too many.
        """
        entries = await self._begin(uris)
        for entry in entries:
            entry.streams += 1
        try:
            yield
        finally:
            for entry in entries:
                entry.streams -= 1
            self._end(entries)

    async def subscribe(self, session: ServerSession, uri: str) -> None:
        """Have a URI watched for a session of the older era.

        Raises:
            MCPError: they would be too many.
        """
        for entry in await self._begin([uri]):
            if not any(_is_same(session, other) for other in entry.sessions):
                entry.sessions.append(session)

    def unsubscribe(self, session: ServerSession, uri: str) -> None:
        entries = [entry for entry in self._watched.values() if entry.uri == uri]
        for entry in entries:
            entry.sessions = [other for other in entry.sessions if not _is_same(session, other)]
        self._end(entries)


def _is_same(session: ServerSession, other: ServerSession) -> bool:
    """Whether they are of one connection: each request has a session of its own, but what the client said of itself
    when it connected is one object.
    """
    return session.client_params is other.client_params


@contextmanager
def _acting_for(client: str | None) -> Iterator[None]:
    token = CLIENT_NAME.set(client)
    try:
        yield
    finally:
        CLIENT_NAME.reset(token)


@asynccontextmanager
async def running(watch: Watch) -> AsyncIterator[Watch]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch.run)
        yield watch
        tasks.cancel_scope.cancel()
