"""The demo's small world: an online bookshop whose apps have reported errors, and what has been done about some."""

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from owlmetry_mcp.backends.store import administration, events
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.scan import scan_batch
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.events import Terms, checked
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import Platform

TEAM, PROJECT = "Bookshop team", "Bookshop"
_SPACE = uuid.UUID("5d0c2f6e-4f0a-4a55-9d0c-6a1c7b0f2a11")


APPS: tuple[tuple[str, Platform], ...] = (("Shop API", "backend"), ("Shop iOS", "apple"))


class Fault(NamedTuple):
    """An error that has been seen before, in so many sessions, each with a user."""

    message: str
    module: str
    app: str
    version: str
    hours_ago: Sequence[float]
    users: int
    stack: str = ""
    seconds_in: float = 4.0
    """How long a session had lasted."""
    is_dev: bool = False


_STACK = """\
GatewayTimeout: no answer within 5.0 s
  at PaymentClient.charge (payment_client.py:88)
  at CheckoutService.pay (checkout.py:41)
  at POST /orders/{id}/pay"""

BEFORE = (
    Fault("Index out of range: cart has 0 items", "CartView", "Shop iOS", "3.0.0", (170, 150), 2),
    Fault("Search index unavailable", "SearchService", "Shop API", "4.1.0", (220, 200), 1),
    Fault("Cover image failed to decode", "CoverCache", "Shop iOS", "3.1.0", (50, 6), 2),
)
"""Seen before anyone did anything."""
DONE: dict[str, tuple[Status, str | None]] = {
    "Index out of range: cart has 0 items": ("resolved", "3.0.2"),
    "Search index unavailable": ("resolved", "4.1.1"),
    "Cover image failed to decode": ("in_progress", None),
}
"""What was done then."""
_DECLINED = ("Payment declined: gateway timed out", "CheckoutService", "Shop API", "4.2.0")
_TIMED_OUT = ("Gateway timed out while charging card", "PaymentClient", "Shop API", "4.2.0")
APART = (Fault(*_DECLINED, (26,), 1, _STACK), Fault(*_TIMED_OUT, (12,), 1))
"""Seen after that, in sessions of their own; so two issues, of what is one fault."""
SINCE = (
    Fault(*_DECLINED, (9, 5, 2.5, 2, 1), 5, _STACK),
    Fault(*_TIMED_OUT, (9, 5, 2, 1), 5, seconds_in=6.5),
    Fault("Index out of range: cart has 0 items", "CartView", "Shop iOS", "3.1.0", (3,), 1),
    Fault("Preview renderer crashed", "PreviewPane", "Shop iOS", "3.2.0-beta", (0.5,), 1, is_dev=True),
)
"""Seen since."""


async def happen(store: Store) -> None:
    """Let the bookshop's apps report their errors, and its people do what they did, as it would have been until now."""
    _report(store, BEFORE)
    people = acting_as_local_agent(store, "Bookshop team")
    for found in (await people.list_team_issues(IssueFilter())).issues:
        status, version = DONE[found.title]
        await people.update_status(found.project_id, found.id, status, resolved_at_version=version)
    _report(store, APART)
    _report(store, SINCE)


def set_up(tx: Transaction) -> None:
    """A new store's first rows."""
    add_project(tx, administration.add_team(tx, TEAM).key, PROJECT)


def add_project(tx: Transaction, team_key: int, name: str) -> None:
    project = administration.add_project(tx, team_key, name)
    for app, platform in APPS:
        administration.add_app(tx, project.key, app, platform)


def _report(store: Store, faults: Sequence[Fault]) -> None:
    def work(tx: Transaction) -> None:
        for name, platform in APPS:
            terms = Terms.at(tx.now, platform, None)
            reported = [checked(event, terms) for event in _events(faults, name, datetime.fromisoformat(tx.now))]
            events.take_in(tx, administration.find_app(tx, name).key, None, reported)
        scan_batch(tx)

    store.write(work)


def _events(faults: Sequence[Fault], app: str, now: datetime) -> Iterator[dict[str, Any]]:
    for fault in faults:
        for index, hours in enumerate(fault.hours_ago if fault.app == app else ()):
            common = {
                "session_id": str(uuid.uuid5(_SPACE, f"{app} {hours}")),
                "user_id": f"reader-{index % fault.users + 1}",
                "app_version": fault.version,
                "environment": "ios" if app == "Shop iOS" else "backend",
                "is_dev": fault.is_dev,
            }
            begun = now - timedelta(hours=hours)
            if fault.stack:
                yield common | _event(begun, "info", "Order placed", "OrderService")
                yield common | _event(begun + timedelta(seconds=2), "info", "Payment begun", "CheckoutService")
            error = common | _event(begun + timedelta(seconds=fault.seconds_in), "error", fault.message, fault.module)
            yield error | ({"custom_attributes": {"_error_stack": fault.stack}} if fault.stack else {})


def _event(at: datetime, level: str, message: str, module: str) -> dict[str, Any]:
    return {"timestamp": times.to_text(at), "level": level, "message": message, "source_module": module}
