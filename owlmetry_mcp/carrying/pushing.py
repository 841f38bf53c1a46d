"""A store's events, and what was made of them, into a live Owlmetry server.

It can be cut anywhere and run again. What the server shows decides what is still to be done; what is remembered of
earlier runs only tells what was done by them from what others have done since.
"""

from collections.abc import Sequence
from typing import NamedTuple

import anyio

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import carried, outgoing
from owlmetry_mcp.backends.store.administration import App
from owlmetry_mcp.backends.store.carried import Place
from owlmetry_mcp.backends.store.outgoing import OutgoingIssue
from owlmetry_mcp.backends.store.scan import scan_batch
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying.counterparts import Counterparts
from owlmetry_mcp.carrying.events import EventCarrier, Importer, Sleep
from owlmetry_mcp.carrying.lists import all_issues
from owlmetry_mcp.carrying.report import Report, Watch, short
from owlmetry_mcp.carrying.triage import TriageCarrier
from owlmetry_mcp.issues.errors import (
    InvalidInputError,
    OwlmetryError,
    PermissionDeniedError,
)
from owlmetry_mcp.issues.models import Identity, Team, UserIdentity

NEEDED = ("issues:read", "issues:write", "events:read")
"""Of the agent key: without the last it could not be seen which app the import key is of."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Terms(NamedTuple):
    """How a push is to be done."""

    endpoint: str
    app: str | None
    """By id or name; None: the store's only one."""
    wait_seconds: float
    """For the server to make issues of the events."""
    dry_run: bool = False


class Push:
    def __init__(  # noqa: PLR0913 - the two ends, and who watches
        self,
        store: Store,
        backend: Backend,
        importer: Importer | None,
        terms: Terms,
        watch: Watch,
        *,
        sleep: Sleep = anyio.sleep,
    ) -> None:
        self._store = store
        self._backend = backend
        self._importer = importer
        self._terms = terms
        self._watch = watch
        self._sleep = sleep
        self.report = Report()

    async def run(self) -> Report:
        """
        Raises:
            OwlmetryError: nothing was sent. What goes wrong later is in the report.
        """
        teams = await self._admitted(await self._backend.whoami())
        while not self._terms.dry_run and (await self._store.writing(scan_batch)).errors:
            pass
        apps = await self._store.reading(lambda tx: outgoing.apps(tx, self._terms.endpoint, self._terms.app))
        places = [await self._place(app) for app in apps]
        waiting = [await self._waiting(app, place) for app, place in zip(apps, places, strict=True)]
        target = await self._importing(teams) if any(waiting) else None
        for app, place, count in zip(apps, places, waiting, strict=True):
            self._watch.say(
                f"{app.name} ({short(app.id)}): {_mapped(place, target, count)}, at {self._terms.endpoint}."
            )
        try:
            for app, place, count in zip(apps, places, waiting, strict=True):
                await self._carry(app, place, count)
        except OwlmetryError as error:
            self.report.stop(error)
        return self.report

    async def _admitted(self, identity: Identity) -> Sequence[Team]:
        """The teams that the agent key may work in.

        Raises:
            PermissionDeniedError: it is no agent key, or lacks a permission.
        """
        if isinstance(identity, UserIdentity):
            return identity.teams
        if identity.key_type != "agent":
            raise PermissionDeniedError(
                f"OWLMETRY_API_KEY must be an agent key, and is of the type {identity.key_type}"
            )
        if lacking := [name for name in NEEDED if name not in identity.permissions]:
            raise PermissionDeniedError(
                f"The key in OWLMETRY_API_KEY lacks {', '.join(lacking)}", f"A push needs {', '.join(NEEDED)}."
            )
        return [identity.team]

    async def _place(self, app: App) -> Place | None:
        return await self._store.reading(lambda tx: carried.place(tx, self._terms.endpoint, app.key))

    async def _waiting(self, app: App, place: Place | None) -> int:
        after = place.event if place else 0
        return await self._store.reading(lambda tx: outgoing.count_events(tx, app, after))

    async def _importing(self, teams: Sequence[Team]) -> str:
        """The app that the import key is of, as far as it can be told; a server may tell such a key nothing of itself.

        Raises:
            InvalidInputError: there is no such key, or it is another team's than the agent key.
        """
        if self._importer is None:
            raise InvalidInputError(
                "There are events to carry, and no import key to send them with",
                "Set OWLMETRY_IMPORT_KEY to an import key (owl_import_…) of the app they are to go to.",
            )
        target = "the app that the import key is of"
        try:
            identity = await self._importer.whoami()
        except PermissionDeniedError:
            return target
        if isinstance(identity, UserIdentity) or identity.key_type != "import":
            raise PermissionDeniedError("OWLMETRY_IMPORT_KEY must be an import key (owl_import_…)")
        if identity.team.id not in {team.id for team in teams}:
            raise InvalidInputError(
                f"The import key is of the team {identity.team.name}, in which the agent key sees nothing",
                "Take two keys of the same team.",
            )
        return f"{target}, in the team {identity.team.name}"

    async def _carry(self, app: App, place: Place | None, waiting: int) -> None:
        dry = self._terms.dry_run
        if waiting and dry:
            self.report.add("event", "carried", count=waiting)
        elif waiting and self._importer:
            sender = EventCarrier(
                self._store, self._terms.endpoint, self._importer, self._backend, self.report, self._watch, self._sleep
            )
            place = await sender.carry(app, place)
            where = f"the app {short(place.app_id)} in the project {short(place.project_id)}"
            self._watch.say(f"The events of {app.name} are in {where}.")
        here = await self._store.reading(lambda tx: outgoing.issues(tx, app))
        if place is None:
            self._unplaced(here, waiting)
        else:
            pairs = await self._paired(here, place, wait=bool(waiting) and not dry)
            await self._carry_triage(app, pairs)
        self._tell_rest(await self._store.reading(lambda tx: outgoing.rest(tx, app)))

    def _unplaced(self, here: Sequence[OutgoingIssue], waiting: int) -> None:
        """Nothing was carried yet, and nothing is now: what would be can be told as far as this end goes."""
        for issue in here:
            if not waiting or not issue.sessions:
                self.report.add("issue", "not_carried", issue.id, why=_NO_EVENTS)
                continue
            if issue.status not in ("new", "regressed"):
                self.report.add("status", "carried", issue.id)
            self.report.add("comment", "carried", issue.id, count=len(issue.comments))
            if issue.merged:
                self.report.add("merge", "carried", issue.id)

    async def _paired(self, here: Sequence[OutgoingIssue], place: Place, *, wait: bool) -> Counterparts:
        """The issues there and here, once the server has made issues of the events, or the time for that is up."""
        places = await self._store.reading(lambda tx: carried.places(tx, self._terms.endpoint))
        apps = {app_id: it.app_id for app_id, it in places.items()}
        pause, left = _FIRST_PAUSE_SECONDS, self._terms.wait_seconds if wait else 0.0
        while True:
            pairs = Counterparts(here, await all_issues(self._backend, place.project_id), apps)
            if left <= 0 or all(_is_scanned(issue, pairs) for issue in here):
                return pairs
            if pause == _FIRST_PAUSE_SECONDS:
                self._watch.say(f"Waiting for the server to make issues of the events, up to {left:.0f} s …")
            await self._sleep(min(pause, left))
            left -= pause
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def _carry_triage(self, app: App, pairs: Counterparts) -> None:
        known = await self._store.reading(lambda tx: carried.statuses(tx, self._terms.endpoint))
        comments = await self._store.reading(lambda tx: carried.comments(tx, self._terms.endpoint))
        endpoint, dry = self._terms.endpoint, self._terms.dry_run
        triage = TriageCarrier(self._store, self._backend, endpoint, self.report, known, comments, dry_run=dry)
        self._watch.begin(f"issues of {app.name}", len(pairs.here))
        for done, issue in enumerate(pairs.here, 1):
            there = pairs.of(issue)
            if not there:
                self._missing(issue)
            if elsewhere := pairs.elsewhere(issue):
                names = ", ".join(sorted(str(short(app_id)) for app_id in elsewhere))
                why = f"a part of it is of the app {names} here: push that too, then this again"
                self.report.add("merge", "not_carried", issue.id, there[0].id if there else None, why)
            for source in there[1:]:
                there[0] = await triage.merge(issue, there[0], source, pairs)
            self._watch.show(done)
        self._watch.begin(f"triage of {app.name}", len(pairs.there))
        for done, issue_there in enumerate([*pairs.there.values()], 1):
            await triage.carry(issue_there, pairs)
            self._watch.show(done)

    def _missing(self, issue: OutgoingIssue) -> None:
        if issue.sessions:
            why = "the server has not made an issue of its events yet; run this again in a while"
            self.report.add("issue", "failed", issue.id, why=why)
        else:
            self.report.add("issue", "not_carried", issue.id, why=_NO_EVENTS)

    def _tell_rest(self, rest: outgoing.Rest) -> None:
        for what, count, why in (
            ("event", rest.pruned, "they were pruned here: only their ids are left"),
            ("attachment", rest.attachments, "a store holds no attachments' bytes, only what they are called"),
            ("comment", rest.deleted_comments, "they were deleted"),
            ("country", rest.countries, "no import takes an event's country"),
        ):
            self.report.add(what, "not_carried", why=why, count=count)


_NO_EVENTS = "a server makes issues of events alone, and none of its events are here"


def _is_scanned(issue: OutgoingIssue, pairs: Counterparts) -> bool:
    return sum(it.occurrence_count for it in pairs.of(issue)) >= issue.sessions


def _mapped(place: Place | None, target: str | None, waiting: int) -> str:
    events = f"{waiting:,} events"
    if place:
        where = f"to the app {short(place.app_id)} of the project {short(place.project_id)}"
        return f"{events} and its issues' triage, {where}"
    if target:
        return f"{events} and its issues' triage, to {target}"
    return "it has no events, and was never carried"
