"""A live Owlmetry server's issues, into a fresh store: to work offline, and to carry back with a push what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from pydantic_core import to_json

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import pulled
from owlmetry_mcp.backends.store.importing import read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.together import of_each
from owlmetry_mcp.carrying.lists import all_issues
from owlmetry_mcp.carrying.report import Report, Watch
from owlmetry_mcp.issues.errors import (
    InvalidInputError,
    NotFoundError,
    OwlmetryError,
    PermissionDeniedError,
    UnavailableError,
)
from owlmetry_mcp.issues.filters import EventFilter
from owlmetry_mcp.issues.models import Event, Identity, Issue, IssueDetail, Project, Team, UserIdentity
from owlmetry_mcp.issues.parameters import MAX_LIMIT, UUID

NEEDED = ("issues:read", "projects:read")
READ_EVENTS = "events:read"
MAX_SESSION_PAGES = 25
"""So many of 200 events are fetched of a session."""
_UNKNOWN_PLATFORM = "backend"
_OF_THE_API = frozenset({"fingerprints", "app_name", "project_name"})

Values = dict[str, Any]


class Origin(Backend, Protocol):
    async def whole_issue(self, project_id: str, issue_id: str) -> IssueDetail:
        """With all occurrences that can be had."""
        ...


class Terms(NamedTuple):
    endpoint: str
    project: str | None
    """By id, slug or name; None: all."""
    events_since: str | None
    """Of sessions that were seen last before, no events are fetched."""


@dataclass
class _Sessions:
    """Sessions whose events have been asked for."""

    asked: set[str] = field(default_factory=set)
    apps: set[str] = field(default_factory=set)
    """The apps that the store has."""


class Pull:
    def __init__(self, store: Store, backend: Origin, terms: Terms, watch: Watch) -> None:
        self._store = store
        self._backend = backend
        self._terms = terms
        self._watch = watch
        self._sessions = _Sessions()
        self._reads_events = True
        self.report = Report()

    async def run(self) -> Report:
        """
        Raises:
            OwlmetryError: nothing was pulled. What goes wrong later is in the report.
        """
        teams = self._admitted(await self._backend.whoami())
        projects = self._wanted(await self._backend.list_projects())
        here = await self._store.writing(lambda tx: pulled.begin(tx, self._terms.endpoint))
        try:
            await self._pull(teams, projects, here)
        except OwlmetryError as error:
            self.report.stop(error)
        return self.report

    def _admitted(self, identity: Identity) -> Sequence[Team]:
        if isinstance(identity, UserIdentity):
            return identity.teams
        if lacking := [name for name in NEEDED if name not in identity.permissions]:
            raise PermissionDeniedError(
                f"The key in OWLMETRY_API_KEY lacks {', '.join(lacking)}", f"A pull needs {', '.join(NEEDED)}."
            )
        self._reads_events = READ_EVENTS in identity.permissions
        return [identity.team]

    def _wanted(self, projects: Sequence[Project]) -> Sequence[Project]:
        wanted = self._terms.project
        if wanted is None:
            return projects
        found = [it for it in projects if wanted in (it.id, it.slug, it.name)]
        if len(found) != 1:
            known = ", ".join(it.slug for it in projects) or "none"
            raise NotFoundError(f"The server has {len(found) or 'no'} projects of that name", f"It has {known}.")
        return found

    async def _pull(self, teams: Sequence[Team], projects: Sequence[Project], here: set[str]) -> None:
        issues = [issue for project in projects for issue in await all_issues(self._backend, project.id)]
        apps = {issue.app_id: issue for issue in issues}
        self._sessions.apps = {*apps}
        if foreign := {it.team_id for it in projects} - {team.id for team in teams}:
            raise UnavailableError(f"The server lists projects of teams that it does not name ({len(foreign)})")
        await self._keep({
            "teams": [{"id": team.id, "name": team.name, "slug": team.slug} for team in teams],
            "projects": [project.model_dump() for project in projects],
            "apps": [_app(issue) for issue in apps.values()],
        })  # fmt: skip
        self.report.add("issue", "already_there", count=len(here))
        missing = [issue for issue in issues if issue.id.lower() not in here]
        self._watch.begin("issues", len(missing))
        for done, issue in enumerate(missing, 1):
            await self._pull_issue(issue)
            self._watch.show(done)
        unknown = await self._store.writing(lambda tx: pulled.end(tx, self._terms.endpoint))
        for name in unknown:
            why = f"no event says what {name} runs on; it was taken for an app of the platform {_UNKNOWN_PLATFORM}"
            self.report.add("platform", "not_carried", why=why)
        if not self._reads_events:
            self.report.add("event", "not_carried", why=f"the key lacks {READ_EVENTS}")
        why = "no answer of a server has any"
        for what in ("users, keys, the audit trail, deleted comments", "attachments' bytes"):
            self.report.add(what, "not_carried", why=why)

    async def _pull_issue(self, listed: Issue) -> None:
        try:
            issue = await self._backend.whole_issue(listed.project_id, listed.id)
        except NotFoundError:
            self.report.add("issue", "not_carried", None, listed.id, "it was merged into another meanwhile")
            return
        if issue.app_id not in self._sessions.apps:
            self.report.add("issue", "not_carried", None, listed.id, "the server says it is of another app than before")
            return
        events = await self._events(issue) if self._reads_events else []
        try:
            added = await self._keep(_rows(issue, events))
        except InvalidInputError as error:
            self.report.add(
                "issue", "not_carried", None, issue.id, f"what the server says of it cannot be kept: {error}"
            )
            return
        self.report.add("issue", "carried", issue.id, issue.id)
        for section in ("occurrences", "comments", "attachments", "events"):
            self.report.add(section.removesuffix("s"), "carried", count=added[section])
        lost = issue.occurrence_count - added["occurrences"]
        why = f"the server counts {issue.occurrence_count:,} and shows {added['occurrences']:,}"
        self.report.add("occurrence", "not_carried", None, issue.id, why, count=max(lost, 0))
        lost = len(issue.fingerprints) - added["fingerprints"]
        self.report.add("fingerprint", "not_carried", None, issue.id, "another issue has it, too", count=max(lost, 0))

    async def _keep(self, document: Mapping[str, Any]) -> Mapping[str, int]:
        checked = read_document(to_json(document))
        return await self._store.writing(lambda tx: pulled.keep(tx, self._terms.endpoint, checked))

    async def _events(self, issue: IssueDetail) -> list[Values]:
        """What happened in the sessions that it was seen in, as far as they have not been asked for."""
        since = self._terms.events_since or ""
        rows = {row.session_id: row for row in issue.occurrences if row.timestamp >= since}
        sessions = [session_id for session_id in rows if session_id not in self._sessions.asked]
        self._sessions.asked.update(sessions)
        found = [event for events in await of_each(sessions, self._session) for event in events]
        known = [event for event in found if event.app_id in self._sessions.apps]
        why = "they are of apps without issues, of which a server tells nothing"
        self.report.add("event", "not_carried", why=why, count=len(found) - len(known))
        skipped = sum(row.timestamp < since for row in issue.occurrences)
        self.report.add("session", "not_carried", None, issue.id, f"they were before {since}", count=skipped)
        return [_event(event) for event in known]

    async def _session(self, session_id: str) -> list[Event]:
        found: dict[str, Event] = {}
        wanted, cursor = EventFilter(session_id, data_mode="all", order="asc"), None
        for _ in range(MAX_SESSION_PAGES):
            page = await self._backend.list_events(wanted, cursor=cursor, limit=MAX_LIMIT)
            found |= {event.id: event for event in page.events if event.session_id == session_id}
            if not page.has_more or page.cursor is None:
                break
            cursor = page.cursor
        else:
            why = f"the session has more than {len(found):,}"
            self.report.add("event", "not_carried", None, session_id, why)
        return [*found.values()]


def _app(issue: Issue) -> Values:
    name = issue.app_name or issue.app_id
    return {"id": issue.app_id, "project_id": issue.project_id, "name": name, "platform": _UNKNOWN_PLATFORM}


def _rows(issue: IssueDetail, events: Sequence[Values]) -> Values:
    """An issue with all that is of it, as a document has it."""
    own = {"issue_id": issue.id}
    kept = {name: getattr(issue, name) for name in Issue.model_fields if name not in _OF_THE_API}
    place = {"app_id": issue.app_id, "is_dev": issue.is_dev}
    return {
        "issues": [kept],
        "fingerprints": [place | own | {"fingerprint": it} for it in issue.fingerprints],
        "occurrences": [row.model_dump(exclude={"app_user_id"}) | own for row in issue.occurrences],
        "comments": [row.model_dump() | own for row in issue.comments],
        "attachments": [row.model_dump() | own | {"app_id": issue.app_id} for row in issue.attachments],
        "events": events,
    }


def _event(event: Event) -> Values:
    given = event.client_event_id
    name = given if given and UUID.fullmatch(given) else None
    return event.model_dump(exclude={"api_key_id"}) | {"client_event_id": name, "scanned": True}
