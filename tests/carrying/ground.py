"""A store with a history, a server for it to be carried to, and what both hold in the end."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.live import LiveBackend, Timeouts, Wire
from owlmetry_mcp.backends.live.importing import Importer
from owlmetry_mcp.backends.store import administration, events
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.carrying import pulling, pushing
from owlmetry_mcp.carrying.events import Sleep
from owlmetry_mcp.carrying.report import Outcome, Report
from owlmetry_mcp.issues.events import Terms, checked
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Issue
from tests.world import SECRETS, FakeClock, no_wait

ENDPOINT = "https://owl.example.com"
"""What the server is remembered by, wherever it listens in a test."""
TIMEOUTS = Timeouts(connect=2.0, read=5.0, call=10.0)
NAMESPACE = uuid.UUID(int=7)


class Unheard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, line: str) -> None:
        self.said.append(line)

    def begin(self, what: str, total: int) -> None: ...

    def show(self, done: int) -> None: ...


def named(name: str) -> str:
    """The same id for the same name."""
    return str(uuid.uuid5(NAMESPACE, name))


def event(message: str, session: str, at: str = "10:00:00", level: str = "error", **values: Any) -> dict[str, Any]:
    return {
        "message": message, "level": level, "session_id": named(session), "source_module": "shop",
        "timestamp": f"2026-10-20T{at}.000Z", "client_event_id": named(f"{message} {session} {at}"), **values,
    }  # fmt: skip


def take_in(store: Store, found: Sequence[dict[str, Any]], app: str | None = None) -> None:
    """Take events into the app, and scan them."""

    def work(tx: Transaction) -> None:
        into = administration.find_app(tx, app)
        terms = Terms.at(tx.now, into.platform, None)
        events.take_in(tx, into.key, None, [checked(it, terms) for it in found])

    store.write(work)
    scan_all(store.write)


async def project_of(backend: Backend) -> str:
    return (await backend.list_projects())[0].id


async def issues_of(backend: Backend, project_id: str | None = None) -> dict[str, Issue]:
    """By their titles."""
    page = await backend.list_issues(project_id or await project_of(backend), IssueFilter(), limit=200)
    return {issue.title: issue for issue in page.issues}


HISTORY = [
    event("App started", "one", "09:59:00", "info", country_code="AT"),
    event("Payment failed", "one", user_id="ann", app_version="1.0"),
    event("Payment failed", "two", "10:01:00", user_id="bob", app_version="1.1"),
    event("Disk full", "three", app_version="1.0"),
    event("Host refused", "four"),
    event("Connection refused", "five"),
    event("Connection refused", "four", "10:20:00"),
    event("Low battery", "six", is_dev=True),
    event("Bad token", "seven", app_version="1.0"),
    event("Odd number", "eight"),
    event("Old news", "nine"),
    event("Out of memory", "ten"),
]


async def live_through(store: Store, clock: FakeClock) -> None:
    """The events, and what agents make of their issues."""
    take_in(store, HISTORY)
    agent, other = (acting_as_local_agent(store, name) for name in ("Night shift", "Day shift"))
    project, found = await project_of(agent), await issues_of(agent)

    async def move(title: str, *statuses: str, version: str | None = None) -> None:
        for status in statuses:
            clock.advance(minutes=1)
            at = version if status == "resolved" else None
            await agent.update_status(project, found[title].id, status, resolved_at_version=at)

    await move("Payment failed", "in_progress", "resolved", version="2.0")
    await move("Disk full", "in_progress")
    await move("Low battery", "snoozed")
    await move("Bad token", "resolved", version="1.0")
    await move("Old news", "resolved", "silenced", version="1.5")
    for body, writer in (("It is the card.", agent), ("No, the bank.", other), ("Both.\n\n- really", agent)):
        clock.advance(minutes=1)
        comment = await writer.add_comment(project, found["Payment failed"].id, body)
    await agent.delete_comment(project, found["Payment failed"].id, comment.id)
    await other.add_comment(project, found["Connection refused"].id, "Same as the other?")
    clock.advance(minutes=1)
    await agent.merge(project, found["Host refused"].id, found["Connection refused"].id)
    clock.advance(minutes=1)
    take_in(store, [event("Bad token", "late", "11:00:00", app_version="2.0")])  # which makes it regressed


def allow_all(tx: Transaction) -> None:
    may = json.dumps(administration.ALL_PERMISSIONS)
    tx.run("UPDATE api_keys SET permissions = ? WHERE name = 'Triage Agent'", (may,))


class Line:
    """To a server, wherever it listens; a push or a pull at a time, each as a process of its own would do it,
    but over connections that are kept between them.
    """

    def __init__(self, address: str) -> None:
        self._wires = {key: Wire(address, SECRETS[key], TIMEOUTS, sleep=no_wait) for key in ("agent", "importer")}

    async def aclose(self) -> None:
        for wire in self._wires.values():
            await wire.aclose()

    async def pushed(
        self,
        store: Store,
        *,
        imports: bool = True,
        watch: Unheard | None = None,
        sleep: Sleep = no_wait,
        **terms: Any,
    ) -> Report:
        how = pushing.Terms(**({"endpoint": ENDPOINT, "app": None, "wait_seconds": 0.0} | terms))
        importer = Importer(self._wires["importer"]) if imports else None
        backend = LiveBackend(self._wires["agent"])
        return await pushing.Push(store, backend, importer, how, watch or Unheard(), sleep=sleep).run()

    async def pulled(self, store: Store, **terms: Any) -> Report:
        how = pulling.Terms(**({"endpoint": ENDPOINT, "project": None, "events_since": None} | terms))
        return await pulling.Pull(store, LiveBackend(self._wires["agent"]), how, Unheard()).run()


def told(report: Report, outcome: Outcome) -> dict[str, int]:
    return {what: count for (what, of), count in report.counts.items() if of == outcome}


def whys(report: Report, outcome: Outcome = "not_carried") -> list[tuple[str, str]]:
    return sorted((line.what, line.why) for line in report.lines if line.outcome == outcome)


def held(store: Store) -> dict[str, Any]:
    """All that a store holds of issues and events, without ids that it made up."""

    def work(tx: Transaction) -> dict[str, Any]:
        issues = tx.all(
            "SELECT key, title, status, resolved_at_version, is_dev, occurrence_count, unique_user_count FROM issues"
        )
        return {
            "issues": sorted(
                [
                    *values,
                    sorted(it for (it,) in tx.all("SELECT fingerprint FROM fingerprints WHERE issue = ?", (key,))),
                    tx.all(
                        "SELECT author_name, body FROM comments WHERE issue = ? AND deleted_at IS NULL ORDER BY key",
                        (key,),
                    ),
                    sorted(
                        tx.all(
                            """
                            SELECT uuid_text(s.id), o.user_id, o.app_version, o.timestamp
                            FROM occurrences o JOIN sessions s ON s.key = o.session WHERE o.issue = ?
                            """,
                            (key,),
                        ),
                        key=str,
                    ),
                ]
                for key, *values in issues
            ),
            "events": sorted(
                tx.all(
                    """
                    SELECT uuid_text(e.client_event_id), uuid_text(s.id), level, is_dev, timestamp, content,
                        custom_attributes FROM events e JOIN sessions s ON s.key = e.session
                    """
                ),
                key=str,
            ),
        }

    return store.read(work)
