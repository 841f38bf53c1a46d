"""Events of a server, and what led to one.

A server lists a session's events since an instant, oldest first. So they are asked for since shortly before the event,
then, while those are too few, since longer before it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from owlmetry_mcp.backends.live import queries
from owlmetry_mcp.backends.live.answers import as_asked, checked, instant
from owlmetry_mcp.backends.live.memory import Memory
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.issues import parameters, times
from owlmetry_mcp.issues.events import BREADCRUMBS_AFTER
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.issues.models import Event, EventDetail, EventPage

WINDOWS = (timedelta(seconds=10), timedelta(minutes=3), timedelta(hours=1), timedelta(hours=24))
"""Each about twenty times the one before: where one holds too much to be walked, the one before holds enough."""

MAX_PAGES = 5
"""So many of 200 are fetched of a window. Where the event lies behind them, the narrower window's events are kept."""


class Events:
    def __init__(self, wire: Wire, memory: Memory) -> None:
        self._wire = wire
        self._memory = memory

    async def detail(self, event_id: str) -> EventDetail:
        path = queries.event_path(event_id)
        found = checked(EventDetail, await self._wire.read(path))
        as_asked(found.id == path.rpartition("/")[2], found)
        self._memory.show_events([found.id])
        return found

    async def page(self, wanted: EventFilter, cursor: str | None, limit: int | None) -> EventPage:
        found = await self._fetch(queries.events(wanted, cursor, limit))
        self._memory.show_events(event.id for event in found.events)
        return found

    async def breadcrumbs(self, event_id: str, limit: int | None) -> list[Event]:
        """Of the event's session, no more than the last 24 hours before it."""
        path, count = queries.event_path(event_id), parameters.limit("limit", limit)
        deadline = self._wire.deadline()
        event = checked(Event, await self._wire.read(path, None, deadline))
        trail = [as_asked(event.id == path.rpartition("/")[2], event)]
        for window in WINDOWS:
            wider = await self._trail(event, window, deadline)
            if wider is None:
                break
            trail = wider
            if _place(trail, event) >= count:
                break
        place = _place(trail, event)
        shown = trail[max(place - count, 0) : place + BREADCRUMBS_AFTER]
        self._memory.show_events(row.id for row in shown)
        return shown

    async def _trail(self, event: Event, window: timedelta, deadline: Deadline) -> list[Event] | None:
        """The session from so long before the event to some events after it; None where that is too much."""
        query: dict[str, Any] = {
            "session_id": event.session_id,
            "since": _before(event, window),
            "data_mode": "all",
            "order": "asc",
            "limit": parameters.MAX_LIMIT,
        }
        seen: dict[str, Event] = {}
        for _ in range(MAX_PAGES):
            page = await self._fetch(query, deadline)
            seen |= {row.id: row for row in page.events if _is_beside(event, row)}
            trail = sorted((seen if event.id in seen else seen | {event.id: event}).values(), key=_when)
            after = len(trail) - _place(trail, event)
            if after >= BREADCRUMBS_AFTER or not page.has_more or page.cursor is None:
                return trail
            query["cursor"] = page.cursor
        return trail if event.id in seen or after else None

    async def _fetch(self, query: Mapping[str, Any], deadline: Deadline | None = None) -> EventPage:
        return checked(EventPage, await self._wire.read("/v1/events", query, deadline))


def _is_beside(event: Event, other: Event) -> bool:
    return (other.session_id, other.is_dev) == (event.session_id, event.is_dev)


def _when(event: Event) -> str:
    return event.timestamp


def _place(trail: Sequence[Event], event: Event) -> int:
    """How many there are up to the event, itself counted."""
    return next(count for count, row in enumerate(trail, 1) if row.id == event.id)


def _before(event: Event, window: timedelta) -> str:
    try:
        return times.to_text(instant(event.timestamp) - window)
    except OverflowError:
        return event.timestamp  # in the year 1
