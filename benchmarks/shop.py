"""The project that stores to measure on hold: whose issues they are, by name and number, the same in all of them."""

from hashlib import md5
from typing import NamedTuple
from uuid import UUID

from owlmetry_mcp.backends.store import administration
from owlmetry_mcp.backends.store.access import secret_sha256
from owlmetry_mcp.backends.store.transactions import Transaction, json_text

SECRET = f"owl_agent_{'5' * 32}"  # of a key that these stores alone have
AGENT = "Night shift"
COMMON, RARE = "new", "regressed"
MEAN = 20
"""How often an issue is hit, on average."""
_RARE_IN = 1000
_LEAST_RARE = 60
"""More than a page of them, in a small store too."""
_SHARES = ((COMMON, 600), ("resolved", 850), ("silenced", 940), ("snoozed", 990), ("in_progress", 1000))
"""Of the other statuses: up to which of a thousand."""
APPS = (
    ("Shop iOS", "apple"),
    ("Shop Android", "android"),
    ("Shop web", "web"),
    ("API", "backend"),
    ("Jobs", "backend"),
)


class Size(NamedTuple):
    issues: int
    occurrences: int


def uuid(name: str) -> str:
    """A UUID of its own for each name."""
    return str(UUID(bytes=md5(name.encode(), usedforsecurity=False).digest(), version=4))


def of(issues: int) -> Size:
    return Size(issues, issues * MEAN)


def issue_id(key: int) -> str:
    return uuid(f"issue {key}")


PROJECT, BUSIEST = uuid("project"), issue_id(1)


def status_of(issue: int, issues: int) -> str:
    """Where an issue of so many stands, by its key."""
    step = max(2, min(_RARE_IN, issues // _LEAST_RARE))
    if issue % step == 0:
        return RARE
    place = 0 if issue == 1 else issue * 7919 % 1000
    return next(status for status, up_to in _SHARES if place < up_to)


def add_project(tx: Transaction) -> None:
    named = {"created_at": tx.now}
    team = tx.insert("teams", {"id": uuid("team"), "name": "Night Owls", "slug": "night-owls", **named})
    row = {"id": PROJECT, "team": team, "name": "Shop", "slug": "shop", **named}
    project = tx.insert("projects", row)
    for name, platform in APPS:
        tx.insert("apps", {"id": uuid(name), "project": project, "name": name, "platform": platform, **named})
    tx.insert(
        "api_keys",
        {
            "id": uuid("agent"),
            "team": team,
            "key_type": "agent",
            "name": AGENT,
            "secret_sha256": secret_sha256(SECRET),
            "permissions": json_text(administration.ALL_PERMISSIONS),
            **named,
        },
    )
