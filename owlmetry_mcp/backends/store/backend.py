"""The Backend protocol over an embedded store."""

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from owlmetry_mcp.backends.base import MOST_ISSUES, Progress
from owlmetry_mcp.backends.store import (
    access,
    administration,
    coincidences,
    comments,
    events,
    finding,
    issues,
    listing,
    summaries,
)
from owlmetry_mcp.backends.store.access import Caller, Credential
from owlmetry_mcp.backends.store.cursors import Cursor
from owlmetry_mcp.backends.store.overview import Glance
from owlmetry_mcp.backends.store.store import Store, Work
from owlmetry_mcp.backends.store.transactions import Transaction, listed
from owlmetry_mcp.issues import filters, parameters, times
from owlmetry_mcp.issues.errors import InvalidInputError, StoreError
from owlmetry_mcp.issues.evidence import Coincidences, Examination, FoundIssues, ManyIssues, Overview
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from owlmetry_mcp.issues.lifecycle import status_change
from owlmetry_mcp.issues.models import (
    App,
    Comment,
    Event,
    EventDetail,
    EventPage,
    Identity,
    Ingested,
    Issue,
    IssueDetail,
    IssuePage,
    Project,
)

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

READ, WRITE = "issues:read", "issues:write"
READ_EVENTS = "events:read"


def acting_as(store: Store, credential: str) -> "StoreBackend":
    """The store as the bearer of an agent key or a user's JWT. Whether it is valid, each operation finds."""
    return StoreBackend(store, access.credential(credential))


def acting_as_local_agent(store: Store, name: str | None) -> "StoreBackend":
    """The store as its local agent key of that name, made when it is first needed.

    The name is a client's own word: what of it cannot be a name is left out.
    """
    return StoreBackend(store, Credential(local_name=administration.local_agent_name(name)))


def acting_as_local_user(store: Store, login: str) -> "StoreBackend":
    """The store as a person at its machine, an owner of its first team; a user of that name is made by the first write
    that succeeds.
    """
    return StoreBackend(store, Credential(local_user=administration.local_user(login)))


class _Place(NamedTuple):
    """The keys of an issue and of what it is in."""

    team: int
    project: int
    issue: int


class StoreBackend:
    """See `backends.base.Tracker` for what each operation promises.

    Each is one transaction, in which first the caller is checked, then the parameters, then what they name.
    """

    def __init__(self, store: Store, credential: Credential) -> None:
        self._store = store
        self._credential = credential

    async def whoami(self) -> Identity:
        return await self._run(self._store.reading, lambda tx: access.identify(tx, self._credential))

    async def list_projects(self) -> list[Project]:
        def work(tx: Transaction, caller: Caller) -> list[Project]:
            rows = tx.all(
                f"""
                SELECT p.id, t.id, p.name, p.slug, p.created_at FROM projects p JOIN teams t ON t.key = p.team
                WHERE p.team IN ({listed(caller.roles)}) ORDER BY p.name, p.id
                """  # noqa: S608 - keys of ours
            )
            return [Project.model_validate(dict(zip(Project.model_fields, row, strict=True))) for row in rows]

        return await self._as_caller("projects:read", work)

    async def list_issues(
        self, project_id: str, wanted: IssueFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> IssuePage:
        def work(tx: Transaction, caller: Caller) -> IssuePage:
            project, _ = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
            apps = listing.apps_of_project(tx, project)
            begin, count = Cursor.parse(cursor), parameters.limit("limit", limit)
            return listing.page(tx, apps, filters.checked(wanted, "all"), begin, count, named=False)

        return await self._as_caller(READ, work)

    async def list_team_issues(
        self,
        wanted: IssueFilter,
        *,
        team_id: str | None = None,
        project_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> IssuePage:
        def work(tx: Transaction, caller: Caller) -> IssuePage:
            rows = tx.all(
                f"""
                SELECT a.key FROM apps a JOIN projects p ON p.key = a.project JOIN teams t ON t.key = p.team
                WHERE t.key IN ({listed(caller.roles)})
                    AND (:team_id IS NULL OR t.id = :team_id) AND (:project_id IS NULL OR p.id = :project_id)
                """,  # noqa: S608 - keys of ours
                {
                    "team_id": parameters.optional_uuid("team_id", team_id),
                    "project_id": parameters.optional_uuid("project_id", project_id),
                },
            )
            begin, count = Cursor.parse(cursor), parameters.limit("limit", limit)
            selection = filters.checked(wanted, "production")
            return listing.page(tx, [key for (key,) in rows], selection, begin, count, named=True)

        return await self._as_caller(READ, work)

    async def get_issue(
        self,
        project_id: str,
        issue_id: str,
        *,
        occurrence_cursor: str | None = None,
        occurrence_limit: int | None = None,
    ) -> IssueDetail:
        def work(tx: Transaction, _: Caller, at: _Place) -> IssueDetail:
            count = parameters.limit("occurrence_limit", occurrence_limit)
            return issues.detail(tx, at.issue, occurrence_cursor, count)

        return await self._at_issue(READ, project_id, issue_id, work)

    async def update_status(
        self, project_id: str, issue_id: str, status: str, *, resolved_at_version: str | None = None
    ) -> Issue:
        def work(tx: Transaction, caller: Caller, at: _Place) -> Issue:
            return issues.move(tx, caller, at.issue, status_change(status, resolved_at_version))

        return await self._at_issue(WRITE, project_id, issue_id, work)

    async def merge(self, project_id: str, target_issue_id: str, source_issue_id: str) -> Issue:
        def work(tx: Transaction, caller: Caller, at: _Place) -> Issue:
            if source_issue_id is None:
                raise InvalidInputError("source_issue_id is required", "It names the issue to merge from.")
            source_id = parameters.uuid("source_issue_id", source_issue_id)
            return issues.merge(tx, caller, at.project, at.issue, source_id)

        return await self._at_issue(WRITE, project_id, target_issue_id, work)

    async def list_comments(self, project_id: str, issue_id: str) -> list[Comment]:
        return await self._at_issue(READ, project_id, issue_id, lambda tx, _, at: comments.of_issue(tx, at.issue))

    async def add_comment(self, project_id: str, issue_id: str, body: str) -> Comment:
        def work(tx: Transaction, caller: Caller, at: _Place) -> Comment:
            return comments.add(tx, caller, at.issue, parameters.comment_body(body))

        return await self._at_issue(WRITE, project_id, issue_id, work)

    async def edit_comment(self, project_id: str, issue_id: str, comment_id: str, body: str) -> Comment:
        def work(tx: Transaction, caller: Caller, at: _Place) -> Comment:
            text = parameters.comment_body(body)
            return comments.edit(tx, caller, at.issue, parameters.uuid("comment_id", comment_id), text)

        return await self._at_issue(WRITE, project_id, issue_id, work)

    async def delete_comment(self, project_id: str, issue_id: str, comment_id: str) -> None:
        def work(tx: Transaction, caller: Caller, at: _Place) -> None:
            comments.delete(tx, caller, at.team, at.issue, parameters.uuid("comment_id", comment_id))

        return await self._at_issue(WRITE, project_id, issue_id, work)

    async def get_event(self, event_id: str) -> EventDetail:
        def work(tx: Transaction, caller: Caller) -> EventDetail:
            return events.get(tx, [*caller.roles], parameters.uuid("event_id", event_id))

        return await self._as_caller(READ_EVENTS, work)

    async def list_events(
        self, wanted: EventFilter, *, cursor: str | None = None, limit: int | None = None
    ) -> EventPage:
        def work(tx: Transaction, caller: Caller) -> EventPage:
            selection = filters.checked_events(wanted)
            return events.page(tx, [*caller.roles], selection, cursor, parameters.limit("limit", limit))

        return await self._as_caller(READ_EVENTS, work)

    async def get_breadcrumbs(self, event_id: str, *, limit: int | None = None) -> list[Event]:
        def work(tx: Transaction, caller: Caller) -> list[Event]:
            wanted = parameters.uuid("event_id", event_id)
            return events.breadcrumbs(tx, [*caller.roles], wanted, parameters.limit("limit", limit))

        return await self._as_caller(READ_EVENTS, work)

    async def list_apps(self, progress: Progress) -> list[App]:  # noqa: ARG002 - it takes a moment, as all that follow
        return await self._as_caller(READ, lambda tx, caller: finding.apps(tx, caller.roles))

    async def issues(
        self,
        project_id: str | None,
        wanted: IssueFilter,
        most: int,
        progress: Progress,  # noqa: ARG002
        *,
        since: str | None = None,
    ) -> ManyIssues:
        def work(tx: Transaction, caller: Caller) -> ManyIssues:
            count = parameters.count("most", most, MOST_ISSUES)
            begin = None if since is None else times.parameter("since", since)
            if project_id is None:
                apps, mode = listing.apps_of_teams(tx, caller.roles), filters.checked(wanted, "production")
            else:
                project, _ = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
                apps, mode = listing.apps_of_project(tx, project), filters.checked(wanted, "all")
            return listing.many(tx, apps, mode, count, begin, named=project_id is None)

        return await self._as_caller(READ, work)

    async def find_issues(
        self,
        prefix: str,
        progress: Progress,  # noqa: ARG002
        *,
        project_id: str | None = None,
        surely: bool = False,  # noqa: ARG002 - it always is
    ) -> FoundIssues:
        def work(tx: Transaction, caller: Caller) -> FoundIssues:
            begin = parameters.uuid_prefix("prefix", prefix)
            project = None
            if project_id is not None:
                project, _ = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
            return finding.issues(tx, caller.roles, begin, project)

        return await self._as_caller(READ, work)

    async def find_events(self, prefix: str) -> list[str]:
        def work(tx: Transaction, caller: Caller) -> list[str]:
            return finding.events(tx, caller.roles, parameters.uuid_prefix("prefix", prefix))

        return await self._as_caller(READ_EVENTS, work)

    async def examine(self, project_id: str, issue_id: str, *, latest: int, progress: Progress) -> Examination:  # noqa: ARG002
        def work(tx: Transaction, _: Caller, at: _Place) -> Examination:
            detail = issues.detail(tx, at.issue, None, parameters.limit("latest", latest))
            return Examination(issue=detail, summary=summaries.of_issue(tx, at.issue))

        return await self._at_issue(READ, project_id, issue_id, work)

    async def overview(self, project_id: str | None, progress: Progress) -> Overview:  # noqa: ARG002
        def work(tx: Transaction, caller: Caller) -> Overview:
            if project_id is None:
                return Glance(tx, listing.apps_of_teams(tx, caller.roles), (0,), named=True).overview()
            project, _ = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
            return Glance(tx, listing.apps_of_project(tx, project), (0, 1), named=False).overview()

        return await self._as_caller(READ, work)

    async def coincidences(self, project_id: str, issue_id: str | None, progress: Progress) -> Coincidences:  # noqa: ARG002
        def of_issue(tx: Transaction, _: Caller, at: _Place) -> Coincidences:
            return coincidences.of_issue(tx, at.project, at.issue)

        def of_project(tx: Transaction, caller: Caller) -> Coincidences:
            project, _ = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
            return coincidences.of_project(tx, project)

        if issue_id is None:
            return await self._as_caller(READ, of_project)
        return await self._at_issue(READ, project_id, issue_id, of_issue)

    async def version(self) -> str | None:
        return await self._store.version()

    async def ingest(self, events: object, bundle_id: object) -> Ingested:
        from owlmetry_mcp.backends.store import intake  # noqa: PLC0415 - agents send no events

        return await self._take_in(lambda tx: intake.ingest(tx, access.client(tx, self._credential), events, bundle_id))

    async def import_events(self, events: object) -> Ingested:
        from owlmetry_mcp.backends.store import intake  # noqa: PLC0415 - likewise

        return await self._take_in(lambda tx: intake.import_events(tx, access.importer(tx, self._credential), events))

    async def _take_in(self, work: Work[Ingested]) -> Ingested:
        """Take a batch in and scan what is new. The events are kept, even if they are still to be scanned."""
        from owlmetry_mcp.backends.store import scan  # noqa: PLC0415 - likewise

        ingested = await self._store.writing(work)
        try:
            while (await self._store.writing(scan.scan_batch)).errors:
                pass
        except StoreError as error:
            logger.warning("Events were taken in and not yet scanned; the next scan takes them: %s", error)
        return ingested

    async def _as_caller(self, permission: str, work: Callable[[Transaction, Caller], Result]) -> Result:
        def authenticated(tx: Transaction) -> Result:
            if permission == WRITE and self._credential.local_user is not None:
                administration.make_local_user(tx, self._credential.local_user)
            return work(tx, access.authenticate(tx, self._credential, permission))

        return await self._run(self._store.writing if permission == WRITE else self._store.reading, authenticated)

    async def _run(self, lane: Callable[[Work[Result]], Awaitable[Result]], work: Work[Result]) -> Result:
        try:
            return await lane(work)
        except access.NoLocalKeyError:
            name = self._credential.local_name or ""
            await self._store.writing(lambda tx: administration.make_local_agent_key(tx, name))
            return await lane(work)

    async def _at_issue(
        self, permission: str, project_id: str, issue_id: str, work: Callable[[Transaction, Caller, _Place], Result]
    ) -> Result:
        def located(tx: Transaction, caller: Caller) -> Result:
            project, team = access.project_team(tx, caller, parameters.uuid("project_id", project_id))
            issue = issues.find(tx, project, parameters.uuid("issue_id", issue_id))
            return work(tx, caller, _Place(team, project, issue))

        return await self._as_caller(permission, located)
