"""The demo's small world: an online bookshop with a handful of errors, as a document that a store imports."""

import hashlib
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from owlmetry_mcp.issues import times

PROJECT = "Bookshop"
_SPACE = uuid.UUID("5d0c2f6e-4f0a-4a55-9d0c-6a1c7b0f2a11")


class Example(NamedTuple):
    title: str
    module: str
    app: str
    version: str
    seen_hours_ago: Sequence[float]
    """One occurrence each, each in a session of its own."""
    users: int
    status: str = "new"
    resolved_at_version: str | None = None
    is_dev: bool = False


EXAMPLES = (
    Example("Payment declined: gateway timed out", "CheckoutService", "Shop API", "4.2.0", (1, 2, 2.5, 5, 9, 26), 5),
    Example("Gateway timed out while charging card", "PaymentClient", "Shop API", "4.2.0", (1, 2, 8), 2),
    Example("Index out of range: cart has 0 items", "CartView", "Shop iOS", "3.1.0", (3, 30, 170), 3, "regressed"),
    Example("Cover image failed to decode", "CoverCache", "Shop iOS", "3.1.0", (6, 50), 2, "in_progress"),
    Example("Search index unavailable", "SearchService", "Shop API", "4.1.0", (200, 220), 1, "resolved", "4.1.1"),
    Example("Preview renderer crashed", "PreviewPane", "Shop iOS", "3.2.0-beta", (0.5,), 1, is_dev=True),
)


def document(now: datetime) -> dict[str, list[dict[str, Any]]]:
    """The bookshop as it is at `now`: its errors have been seen in the hours before."""
    team = {"id": _id("team"), "name": "Bookshop team", "slug": "bookshop-team"}
    project = {"id": _id("project"), "team_id": team["id"], "name": PROJECT, "slug": "bookshop"}
    apps = [
        {"id": _id(name), "project_id": project["id"], "name": name, "platform": platform}
        for name, platform in (("Shop API", "backend"), ("Shop iOS", "apple"))
    ]
    return {
        "teams": [team],
        "projects": [project],
        "apps": apps,
        "issues": [_issue(example, now) for example in EXAMPLES],
        "fingerprints": [_fingerprint(example) for example in EXAMPLES],
        "occurrences": [row for example in EXAMPLES for row in _occurrences(example, now)],
    }


def _id(name: str) -> str:
    return str(uuid.uuid5(_SPACE, name))


def _issue(example: Example, now: datetime) -> dict[str, Any]:
    first, last = (times.to_text(now - timedelta(hours=pick(example.seen_hours_ago))) for pick in (max, min))
    return {
        "id": _id(example.title),
        "app_id": _id(example.app),
        "status": example.status,
        "title": example.title,
        "source_module": example.module,
        "is_dev": example.is_dev,
        "occurrence_count": len(example.seen_hours_ago),
        "unique_user_count": example.users,
        "resolved_at_version": example.resolved_at_version,
        "first_seen_app_version": example.version,
        "last_seen_app_version": example.version,
        "first_seen_at": first,
        "last_seen_at": last,
        "created_at": first,
        "updated_at": last,
    }


def _fingerprint(example: Example) -> dict[str, Any]:
    return {
        "fingerprint": hashlib.sha256(f"{example.module}:{example.title.lower()}".encode()).hexdigest(),
        "app_id": _id(example.app),
        "is_dev": example.is_dev,
        "issue_id": _id(example.title),
    }


def _occurrences(example: Example, now: datetime) -> list[dict[str, Any]]:
    rows = []
    for index, hours in enumerate(example.seen_hours_ago):
        at = times.to_text(now - timedelta(hours=hours))
        rows.append(
            {
                "id": _id(f"{example.title} {index}"),
                "issue_id": _id(example.title),
                "session_id": _id(f"session {example.app} {hours}"),
                "user_id": f"reader-{index % example.users + 1}",
                "app_version": example.version,
                "environment": "ios" if example.app == "Shop iOS" else "backend",
                "event_id": _id(f"event {example.title} {index}"),
                "timestamp": at,
                "created_at": at,
            }
        )
    return rows
