"""Events on their way to a server: in the order they came, in batches, each of which it says that it has."""

import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from pydantic_core import to_json

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import carried, outgoing
from owlmetry_mcp.backends.store.administration import App
from owlmetry_mcp.backends.store.carried import Place
from owlmetry_mcp.backends.store.outgoing import OutgoingEvent
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying.report import Report, Watch, short
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, UnavailableError
from owlmetry_mcp.issues.events import MAX_IMPORTED
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.issues.models import Event, Identity, Ingested
from owlmetry_mcp.issues.parameters import MAX_LIMIT

MAX_BATCH_BYTES = 1024 * 1024 - 1024
"""Of a body before it is packed; an Owlmetry server takes 1 MiB, and a little of that goes around the events."""
MAX_REFUSED = 20
"""If a server takes none of so many events, there is no point in sending it more."""
MAX_PAGES = 5
_LOOKS = (0.0, 1.0, 2.0, 4.0)
"""Seconds to wait before each look for an event that was taken in just now."""
_NAMESPACE = uuid.UUID("0b7a6f0e-2f0c-5d0e-9a53-6a4d1f3c8e21")

Sleep = Callable[[float], Awaitable[None]]


class Importer(Protocol):
    """An app's import key, at its server."""

    async def whoami(self) -> Identity: ...

    async def import_events(self, events: Sequence[Mapping[str, Any]]) -> Ingested: ...


class _Ready(NamedTuple):
    """An event as it is sent."""

    event: OutgoingEvent
    values: Mapping[str, Any]
    size_bytes: int

    @property
    def client_event_id(self) -> str:
        given: str = self.values["client_event_id"]
        return given


class EventCarrier:
    def __init__(  # noqa: PLR0913, PLR0917 - the two ends and who watches
        self,
        store: Store,
        endpoint: str,
        importer: Importer,
        backend: Backend,
        report: Report,
        watch: Watch,
        sleep: Sleep,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._importer = importer
        self._backend = backend
        self._report = report
        self._watch = watch
        self._sleep = sleep

    async def carry(self, app: App, place: Place | None) -> Place:
        """Send what the server does not have of the app, and return where it went.

        Raises:
            InvalidInputError: the import key is of another app than the one that earlier events went to; or the server
                takes none of the events.
        """
        after = place.event if place else 0
        total = await self._store.reading(lambda tx: outgoing.count_events(tx, app, after))
        self._watch.begin(f"events of {app.name}", total)
        there, done = None, 0
        while found := await self._next(app, after):
            waiting = [_ready(event) for event in found]
            if there is None:
                there = await self._found_out(waiting, place)
                await self._keep(app, there)
                waiting = [it for it in waiting if it.event.key > there.event]
            for batch in _batches(waiting):
                await self._send(batch)
                there = there._replace(event=batch[-1].event.key)
                await self._keep(app, there)
            after, done = found[-1].key, done + len(found)
            self._watch.show(done)
        if there is None:
            raise InvalidInputError("There are no events to send")  # the caller has counted some
        return there

    async def _next(self, app: App, after: int) -> list[OutgoingEvent]:
        return await self._store.reading(lambda tx: outgoing.events(tx, app, after, MAX_IMPORTED))

    async def _keep(self, app: App, there: Place) -> None:
        await self._store.writing(lambda tx: carried.keep_place(tx, self._endpoint, app.key, there))

    async def _found_out(self, waiting: Sequence[_Ready], place: Place | None) -> Place:
        """Which app the import key is of: no answer says so, but an event that was sent can be looked up."""
        for tried, it in enumerate(waiting):
            if tried == MAX_REFUSED:
                break
            before = await self._places(it)
            if not await self._send([it]):
                continue
            for pause in _LOOKS:
                await self._sleep(pause)
                if after := await self._places(it):
                    break
            else:
                raise UnavailableError(
                    f"The server took the event {it.event.id} and does not show it", "Try again later."
                )
            return _agreed(before, after, it, place)
        raise InvalidInputError(
            "The server takes none of the first events", "Is the import key that of an app of the same platform?"
        )

    async def _places(self, it: _Ready) -> dict[str, Place]:
        """The apps that have an event, by their ids."""
        found: dict[str, Place] = {}
        wanted = EventFilter(it.event.session_id, _just_before(it.event.timestamp), data_mode="all", order="asc")
        cursor = None
        for _ in range(MAX_PAGES):
            page = await self._backend.list_events(wanted, cursor=cursor, limit=MAX_LIMIT)
            for event in page.events:
                if it.event.id == event.id or it.client_event_id == _client_event_id(event):
                    detail = await self._backend.get_event(event.id)
                    found[event.app_id] = Place(event.app_id, detail.project_id, it.event.key)
            if not page.has_more or any(event.timestamp > it.event.timestamp for event in page.events):
                break
            cursor = page.cursor
        return found

    async def _send(self, batch: Sequence[_Ready]) -> int:
        """How many of them the server has now."""
        there = await self._there_by_id(batch)
        self._report.add("event", "already_there", count=len(there))
        sendable = []
        for it in batch:
            if it.size_bytes > MAX_BATCH_BYTES:
                self._report.add("event", "not_carried", it.event.id, why="it is longer than a server takes (1 MiB)")
            elif it.event.key not in there:
                sendable.append(it)
        return len(there) + (await self._import(sendable) if sendable else 0)

    async def _import(self, batch: Sequence[_Ready]) -> int:
        answer = await self._importer.import_events([it.values for it in batch])
        known, errors = answer.updated or 0, answer.errors or []
        self._report.add("event", "carried", count=answer.accepted)
        self._report.add("event", "already_there", count=known)
        for error in errors:
            refused = batch[error.index].event.id if 0 <= error.index < len(batch) else None
            self._report.add("event", "not_carried", refused, why=error.message.partition(": ")[2] or error.message)
        unnamed = max(answer.rejected - len(errors), 0)
        self._report.add("event", "not_carried", why="the server refused it", count=unnamed)
        return answer.accepted + known

    async def _there_by_id(self, batch: Sequence[_Ready]) -> set[int]:
        """The keys of those without a `client_event_id` that the server has under their own id: they came from there.

        They came in one go, so that where neither the first nor the last is one, none is.
        """
        nameless = [it for it in batch if it.event.client_event_id is None]
        if nameless and (await self._has(nameless[0]) or await self._has(nameless[-1])):
            return {it.event.key for it in nameless if await self._has(it)}
        return set()

    async def _has(self, it: _Ready) -> bool:
        try:
            await self._backend.get_event(it.event.id)
        except NotFoundError:
            return False
        return True


def _agreed(before: Mapping[str, Place], after: Mapping[str, Place], it: _Ready, place: Place | None) -> Place:
    """The app that the event went to, of those that have it now: the one that is new, or the only one."""
    fresh = {app_id: there for app_id, there in after.items() if app_id not in before} or after
    if place is not None:
        if place.app_id in fresh:
            return fresh[place.app_id]
        raise InvalidInputError(
            f"The events of this app were carried to the app {short(place.app_id)} of that server, and the import key"
            f" is that of {', '.join(str(short(app_id)) for app_id in fresh)}",
            f"One event went there ({it.event.id}), and no other. Take the import key of {short(place.app_id)}.",
        )
    if len(fresh) > 1:
        raise InvalidInputError(
            f"Several apps of that server have the event {it.event.id}, so that it cannot be told which one the"
            " import key is of",
            f"They are {', '.join(str(short(app_id)) for app_id in fresh)}.",
        )
    return next(iter(fresh.values()))


def _client_event_id(event: Event) -> str | None:
    return event.client_event_id and event.client_event_id.lower()


def _just_before(timestamp: str) -> str:
    try:
        return times.to_text(datetime.fromisoformat(timestamp) - timedelta(milliseconds=1))
    except OverflowError:
        return timestamp  # in the year 1


def _ready(event: OutgoingEvent) -> _Ready:
    """With an id that it is known by; the same one each time, where it has none."""
    client_event_id = event.client_event_id or str(uuid.uuid5(_NAMESPACE, event.id))
    values = {**event.values, "client_event_id": client_event_id}
    return _Ready(event, values, len(to_json(values)) + 1)


def _batches(ready: Sequence[_Ready]) -> Iterator[list[_Ready]]:
    """As many at a time as fit into a body, at least one."""
    batch: list[_Ready] = []
    size_bytes = 0
    for it in ready:
        if batch and size_bytes + it.size_bytes > MAX_BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
        batch.append(it)
        size_bytes += it.size_bytes
    if batch:
        yield batch
