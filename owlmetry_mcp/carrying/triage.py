"""What was made of issues here, at their counterparts there: merges, then statuses and comments."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import carried
from owlmetry_mcp.backends.store.carried import Known, KnownComment
from owlmetry_mcp.backends.store.outgoing import OutgoingComment, OutgoingIssue
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying import comments, merges, statuses
from owlmetry_mcp.carrying.counterparts import Counterparts
from owlmetry_mcp.carrying.report import Outcome, Report
from owlmetry_mcp.carrying.statuses import Standing, Wish, standing
from owlmetry_mcp.issues.errors import (
    ConflictError,
    FateUnknownError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from owlmetry_mcp.issues.models import Comment, Issue

_OF_ONE = (InvalidInputError, NotFoundError, PermissionDeniedError, ConflictError, FateUnknownError)
"""What may be wrong with one thing and not with the next; anything else ends the run."""


class TriageCarrier:
    def __init__(  # noqa: PLR0913, PLR0917 - the two ends, and what is remembered
        self,
        store: Store,
        backend: Backend,
        endpoint: str,
        report: Report,
        known: dict[str, Known],
        known_comments: dict[int, KnownComment],
        *,
        dry_run: bool,
    ) -> None:
        self._store = store
        self._backend = backend
        self._endpoint = endpoint
        self._report = report
        self._known = known
        self._known_comments = known_comments
        self._dry_run = dry_run
        self._to_be_merged: set[str] = set()
        """The sources of merges that a dry run has found."""

    async def merge(self, issue: OutgoingIssue, target: Issue, source: Issue, pairs: Counterparts) -> Issue:
        """The target, with the source in it if that is sure to be wanted."""
        if why := merges.doubt(issue, target, source, pairs, self._known):
            self._report.add("merge", "not_carried", issue.id, source.id, why)
            return target
        with self._told("merge", issue.id, source.id):
            if not self._dry_run:
                target = await self._backend.merge(target.project_id, target.id, source.id)
                pairs.merged(target, source.id)
            else:
                self._to_be_merged.add(source.id)
            self._report.add("merge", "carried", issue.id, source.id)
        return target

    async def carry(self, there: Issue, pairs: Counterparts) -> None:
        """The status of an issue there, which may be several here, and the comments of those whose first one it is."""
        here = pairs.sharers(there.id)
        if not here or there.id in self._to_be_merged:
            return
        wishes = {Wish(Standing(issue.status, issue.resolved_at_version), issue.set_at) for issue in here}
        for issue in here[1:]:
            self._report.add("issue", "not_carried", issue.id, there.id, f"there it is one with {here[0].id[:8]}")
        if len({wish.standing for wish in wishes}) > 1:
            why = "they are one there, and here of different statuses"
            self._report.add("status", "not_carried", here[0].id, there.id, why)
        else:
            await self._move(here[0], max(wishes, key=lambda wish: wish.set_at or ""), there)
        await self._comment(there, [issue for issue in here if pairs.of(issue)[0].id == there.id], pairs)

    async def _move(self, issue: OutgoingIssue, wish: Wish, there: Issue) -> None:
        known = self._known.get(there.id)
        if standing(there) == wish.standing:
            if known or wish.standing.status != "new":
                await self._keep(there.id, wish.standing)
                self._report.add("status", "already_there", issue.id, there.id)
            return
        if why := statuses.objection(wish, known, there):
            self._report.add("status", "not_carried", issue.id, there.id, why)
            return
        way = statuses.path(standing(there), wish.standing)
        if way is None:
            self._report.add("status", "not_carried", issue.id, there.id, f"no move leads to {wish.standing.status}")
            return
        with self._told("status", issue.id, there.id):
            at = standing(there)
            for change in () if self._dry_run else way:
                to = statuses.step(at, change)
                await self._keep(there.id, at, to)
                moved = await self._backend.update_status(
                    there.project_id, there.id, change.status, resolved_at_version=change.resolved_at_version
                )
                at = standing(moved)
            await self._keep(there.id, at)
            self._report.add("status", "carried", issue.id, there.id)

    async def _keep(self, issue_there: str, at: Standing, sent: Standing | None = None) -> None:
        if not self._dry_run:
            self._known[issue_there] = await self._store.writing(
                lambda tx: carried.keep_status(tx, self._endpoint, issue_there, at, sent)
            )

    async def _comment(self, there: Issue, here: Sequence[OutgoingIssue], pairs: Counterparts) -> None:
        """Those that are on other issues there, which the same here are of as well, are left there."""
        written = sorted((it for issue in here for it in issue.comments), key=lambda it: (it.created_at, it.key))
        if not written:
            return
        places = {it.id: it for issue in here for it in pairs.of(issue)}
        found = [
            comment for it in places.values() for comment in await self._backend.list_comments(it.project_id, it.id)
        ]
        for comment in written:
            with self._told("comment", comment.id, None):
                await self._write(there, comment, found)

    async def _write(self, there: Issue, comment: OutgoingComment, found: Sequence[Comment]) -> None:
        intent = comments.intent(comment, self._known_comments.get(comment.key), found)
        result, wanted = intent.there, comments.text(comment)
        if intent.objection:
            self._report.add("comment", "not_carried", comment.id, result.id if result else None, intent.objection)
            return
        if self._dry_run:
            pass
        elif intent.deed == "add":
            result = await self._backend.add_comment(there.project_id, there.id, wanted)
        elif intent.deed == "edit" and result:
            try:
                result = await self._backend.edit_comment(there.project_id, result.issue_id, result.id, wanted)
            except PermissionDeniedError:
                why = "it was changed here, and there another key wrote it"
                self._report.add("comment", "not_carried", comment.id, result.id, why)
                return
        if intent.deed != "nothing" and result:
            await self._keep_comment(comment.key, KnownComment(result.id, comments.digest(wanted)))
        outcome: Outcome = "carried" if intent.deed in ("add", "edit") else "already_there"
        self._report.add("comment", outcome, comment.id, result.id if result else None)

    async def _keep_comment(self, comment: int, known: KnownComment) -> None:
        if not self._dry_run:
            await self._store.writing(lambda tx: carried.keep_comment(tx, self._endpoint, comment, known))

    @contextmanager
    def _told(self, what: str, here: str, there: str | None) -> Iterator[None]:
        """What goes wrong with one thing is told, and the next is gone on to."""
        try:
            yield
        except _OF_ONE as error:
            self._report.add(what, "failed", here, there, str(error))
