"""What a triage needs and the API does not have, made of what a server lists, up to a bound.

How far that went, the answer's `coverage` says: where it is not complete, a bound was met, or time was up.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from owlmetry_mcp.backends.base import CALL, MOST_ISSUES, Progress
from owlmetry_mcp.backends.live import queries
from owlmetry_mcp.backends.live.answers import as_asked, checked, instant
from owlmetry_mcp.backends.live.comments import Comments
from owlmetry_mcp.backends.live.lists import Issues, Lists
from owlmetry_mcp.backends.live.memory import Memory
from owlmetry_mcp.backends.live.reads import Reads
from owlmetry_mcp.backends.live.wire import Wire
from owlmetry_mcp.backends.together import of_each
from owlmetry_mcp.issues import filters, parameters, times
from owlmetry_mcp.issues.errors import NotFoundError
from owlmetry_mcp.issues.evidence import Claim, Coincidences, Coverage, FoundIssues, ManyIssues, Overview
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.lifecycle import Status
from owlmetry_mcp.issues.models import App, Issue, IssueDetail
from owlmetry_mcp.triage import coincidences, overview
from owlmetry_mcp.triage.coincidences import Sighting
from owlmetry_mcp.triage.overview import SHOWN, Candidates

MAX_FOUND = 10
MAX_CLAIMS = 20
"""Whose comments are read: as long as one of those to come may have been left untouched for longer."""
MAX_OTHERS = 20
"""Issues that one is held against."""
MAX_COMPARED = 30
"""Issues of a project that are held against each other."""

_EVERYWHERE = "/v1/issues"
_WHOLE = 36
_STATUSES: tuple[Status, ...] = ("regressed", "new", "in_progress", "silenced", "snoozed", "resolved")


class Triage:
    def __init__(self, wire: Wire, comments: Comments, memory: Memory, clock: Callable[[], datetime]) -> None:
        self._wire = wire
        self._comments = comments
        self._memory = memory
        self._clock = clock

    async def apps(self, progress: Progress) -> list[App]:
        """Those that have issues among the 2,000 most recently seen. One without a name goes by its id."""
        lists = Lists(Reads(self._wire, partial=False), self._memory, progress)
        await lists.walk(_EVERYWHERE, {"data_mode": "all"})
        apps = {
            issue.app_id: App(id=issue.app_id, project_id=issue.project_id, name=issue.app_name or issue.app_id)
            for issue in lists.seen.values()
        }
        return sorted(apps.values(), key=lambda app: (app.name, app.id))

    async def issues(
        self, project_id: str | None, wanted: IssueFilter, most: int, progress: Progress, since: str | None
    ) -> ManyIssues:
        asked = queries.selected(filters.checked(wanted, "production" if project_id is None else "all"))
        count = parameters.count("most", most, MOST_ISSUES)
        begin = "" if since is None else times.parameter("since", since)

        def is_enough(seen: Issues) -> bool:
            return len(seen) >= count or any(issue.last_seen_at < begin for issue in seen.values())

        lists = self._lists(progress)
        await lists.walk(_list_of(project_id), asked, is_enough, math.ceil(count / parameters.MAX_LIMIT))
        recent = [issue for issue in lists.seen.values() if issue.last_seen_at >= begin]
        complete = len(recent) <= count and (lists.complete or len(recent) < len(lists.seen))
        shown = recent[:count]
        return ManyIssues(issues=shown, coverage=Coverage(seen=len(shown), complete=complete))

    async def find_issues(
        self, prefix: str, progress: Progress, project_id: str | None, *, surely: bool
    ) -> FoundIssues:
        """An issue that answers have shown is found as they did, without a request.

        To find one surely, its list is walked; once in a call, whose issues are named together.
        """
        wanted, project = parameters.uuid_prefix("prefix", prefix), parameters.optional_uuid("project_id", project_id)
        path = _list_of(project)
        known = [row for row in self._memory.issues(wanted) if project in (None, row.project_id)]
        is_whole = len(wanted) == _WHOLE
        call, place = CALL.get(), (self, path)
        is_sure = is_whole or (call is not None and place in call.known)
        if len(known) == 1 and (is_sure or not surely):
            return FoundIssues(issues=known, coverage=Coverage(seen=1, complete=is_sure))
        lists = self._lists(progress)
        await lists.walk(path, {"data_mode": "all"}, lambda seen: is_whole and wanted in seen)
        if lists.complete and call:
            call.known.add(place)
        found = {issue_id: issue for issue_id, issue in lists.seen.items() if issue_id.startswith(wanted)}
        complete = lists.complete or (is_whole and wanted in found)
        if not complete:  # what lies behind the bound may still be there, as it was
            found = {issue.id: issue for issue in known} | found
        issues = sorted(found.values(), key=lambda issue: issue.id)[:MAX_FOUND]
        return FoundIssues(issues=issues, coverage=Coverage(seen=len(lists.seen), complete=complete))

    def find_events(self, prefix: str) -> list[str]:
        return sorted(self._memory.events(parameters.uuid_prefix("prefix", prefix)))[:MAX_FOUND]

    async def overview(self, project_id: str | None, progress: Progress) -> Overview:
        """Status by status, so that a bound that is met leaves out the rest of that status alone."""
        path, mode = _list_of(project_id), "production" if project_id is None else "all"
        as_of = times.to_text(self._clock())
        reads = Reads(self._wire, partial=True)
        lists = Lists(reads, self._memory, progress)
        await of_each(_STATUSES, lambda status: lists.walk(path, {"status": status, "data_mode": mode}))
        seen = [*lists.seen.values()]
        reads.next_part()
        claims, settled = await self._claims((issue for issue in seen if issue.status == "in_progress"), reads)
        found = Candidates(
            regressed=[issue for issue in seen if issue.status == "regressed"],
            new=[issue for issue in seen if issue.status == "new"],
            claimed=claims,
            growing=[issue for issue in seen if overview.is_growing(issue, as_of)],
        )
        production = overview.counts(issue for issue in seen if not issue.is_dev)
        development = overview.counts(issue for issue in seen if issue.is_dev)
        coverage = Coverage(seen=len(seen), complete=lists.complete and settled)
        return overview.overview(as_of, production, development, found, coverage, knows_silencing=False)

    async def _claims(self, issues: Iterable[Issue], reads: Reads) -> tuple[list[Claim], bool]:
        """Those that were left untouched for longest, and whether that is certain; while time lasts.

        A comment can only make a claim younger: so they are read from the longest unchanged on, until enough claims
        are older than any of the rest can be.
        """
        waiting = sorted((overview.claim(issue, ()) for issue in issues), key=overview.touched)
        claims: list[Claim] = []
        with reads.while_time_lasts():
            for claim in waiting[:MAX_CLAIMS]:
                if len(claims) >= SHOWN and overview.touched(claims[SHOWN - 1]) < overview.touched(claim):
                    return claims, True
                path = queries.issue_path(claim.issue.project_id, claim.issue.id)
                try:
                    comments = await self._comments.of_issue(path, reads.deadline)
                except NotFoundError:  # merged into another meanwhile
                    continue
                claims.append(overview.claim(claim.issue, comments))
                claims.sort(key=overview.touched)
        return claims, reads.complete and len(waiting) <= MAX_CLAIMS

    async def coincidences(self, project_id: str, issue_id: str | None, progress: Progress) -> Coincidences:
        reads = Reads(self._wire, partial=True)
        lists = Lists(reads, self._memory, progress)
        readings = _Readings(reads, self._memory, progress)
        path = queries.issues_path(project_id)
        if issue_id is None:
            await lists.walk(path, {"data_mode": "all"}, lambda seen: len(_unresolved(seen.values())) >= MAX_COMPARED)
            compared = _unresolved(lists.seen.values())[:MAX_COMPARED]
            reads.next_part()
            await readings.read(compared)
        else:
            target = await readings.read_one(project_id, parameters.uuid("issue_id", issue_id))
            mode = "development" if target.is_dev else "production"
            await lists.walk(path, {"data_mode": mode}, lambda seen: len(seen) > MAX_OTHERS)
            others = [issue for issue in lists.seen.values() if issue.id != target.id]
            reads.next_part()
            await readings.read(others[:MAX_OTHERS])
        found = coincidences.met(readings.sightings, issue_id and issue_id.lower())
        complete = (
            lists.complete
            and readings.complete
            and reads.complete
            and found.complete
            and lists.seen.keys() <= readings.issues
        )
        coverage = Coverage(seen=len(readings.issues), complete=complete)
        return Coincidences(pairs=coincidences.most(found.sessions), coverage=coverage)

    def _lists(self, progress: Progress) -> Lists:
        return Lists(Reads(self._wire, partial=True), self._memory, progress)


def _list_of(project_id: str | None) -> str:
    return _EVERYWHERE if project_id is None else queries.issues_path(project_id)


def _unresolved(issues: Iterable[Issue]) -> list[Issue]:
    return [issue for issue in issues if issue.status != "resolved"]


class _Readings:
    """The latest 200 occurrences of issues, as many as one request gives."""

    def __init__(self, reads: Reads, memory: Memory, progress: Progress) -> None:
        self._reads = reads
        self._memory = memory
        self._progress = progress
        self.issues: set[str] = set()
        self.sightings: list[Sighting] = []
        self.complete = True
        """No issue had more."""

    async def read(self, issues: Sequence[Issue]) -> None:
        """While time lasts. One that was merged into another meanwhile has none."""

        async def ask(issue: Issue) -> None:
            with self._reads.while_time_lasts():
                try:
                    await self.read_one(issue.project_id, issue.id)
                except NotFoundError:
                    self._memory.forget(issue.id)
                    self.issues.add(issue.id)

        await of_each(issues, ask)

    async def read_one(self, project_id: str, issue_id: str) -> IssueDetail:
        path, query = queries.issue_path(project_id, issue_id), {"occurrence_limit": parameters.MAX_LIMIT}
        detail = checked(IssueDetail, await self._reads.read(path, query))
        as_asked(detail.id == issue_id, detail)
        self._memory.show([detail])
        self._memory.show_events(row.event_id for row in detail.occurrences)
        rows = {row.session_id: row for row in detail.occurrences}
        self.sightings += [
            ((row.session_id, detail.is_dev), times.to_text(instant(row.timestamp)), issue_id) for row in rows.values()
        ]
        self.issues.add(issue_id)
        self.complete = self.complete and not detail.occurrence_has_more
        await self._progress(f"the occurrences of {len(self.issues)} issues read")
        return detail
