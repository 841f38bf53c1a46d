"""Whether an issue of a server is to be moved, and by which moves. What was changed there since is not undone."""

from collections import deque
from typing import NamedTuple

from owlmetry_mcp.backends.store.carried import Known
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.lifecycle import MOVES, State, Status, StatusChange, moved, status_change
from owlmetry_mcp.issues.models import Issue

_BY_THE_SCAN = {("snoozed", "new"), ("resolved", "regressed")}
"""Moves that a server makes by itself, when an issue is seen again."""


class Standing(NamedTuple):
    """A status with what is remembered of a resolution."""

    status: Status
    version: str | None


class Wish(NamedTuple):
    """How an issue is here."""

    standing: Standing
    set_at: str | None
    """When someone here moved it there; None: nobody did."""


def standing(issue: Issue) -> Standing:
    return Standing(issue.status, issue.resolved_at_version)


def objection(wish: Wish, known: Known | None, there: Issue) -> str | None:
    """Why it stays as it is there; None: it is to be moved. The two are not alike.

    What was alike last is compared with both: where only one has changed since, that change stands; where both have,
    the server's, unless it is one that its scan made of an issue that was not seen again since it was moved here.
    """
    now, base = standing(there), Standing("new", None) if known is None else _base(known, there)
    is_changed_here = wish.standing != base or (known and wish.set_at is not None and wish.set_at > known.at)
    if wish.standing.status == "regressed":
        return f"regressed is what a server's own scan alone makes of an issue; there it is {_told(now)}"
    if not is_changed_here:
        return f"it was moved to {_told(now)} there, and nothing has changed here since"
    if now == base:
        return None
    is_decided_later = wish.set_at is not None and wish.set_at > there.last_seen_at
    if known and (base.status, now.status) in _BY_THE_SCAN and is_decided_later:
        return None
    return f"it was moved there as well, to {_told(now)}, which stays; here it is {_told(wish.standing)}"


def _base(known: Known, there: Issue) -> Standing:
    sent = known.sent_status and Standing(known.sent_status, known.sent_version)
    return sent if sent == standing(there) else Standing(known.status, known.resolved_at_version)


def _told(it: Standing) -> str:
    return f"{it.status} in {it.version}" if it.status == "resolved" and it.version else it.status


def path(before: Standing, after: Standing) -> list[StatusChange] | None:
    """The fewest allowed moves from one to the other; None where there are none."""
    try:
        resolving = [status_change("resolved", after.version)] if after.version else []
    except InvalidInputError:  # a version that no server takes, as an import may have brought
        return None
    ways: deque[tuple[Standing, list[StatusChange]]] = deque([(before, [])])
    seen = {before}
    while ways:
        at, way = ways.popleft()
        if at == after:
            return way
        for change in (
            *(StatusChange(status, None) for status in MOVES[at.status] if status != "resolved"),
            *resolving,
        ):
            if change.status in MOVES[at.status] and (to := step(at, change)) not in seen:
                seen.add(to)
                ways.append((to, [*way, change]))
    return None


def step(at: Standing, change: StatusChange) -> Standing:
    state = moved(State(at.status, at.version, None), change, "")
    return Standing(state.status, state.resolved_at_version)
