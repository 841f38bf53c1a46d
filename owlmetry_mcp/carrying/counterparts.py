"""Which issues of a server are which of this store's: those with the same fingerprint in the same app and mode.

There a fingerprint is one issue's alone, here as there, and both make it of an error alike.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from owlmetry_mcp.backends.store.outgoing import Mark, OutgoingIssue
from owlmetry_mcp.issues.models import Issue


class Counterparts:
    def __init__(self, here: Sequence[OutgoingIssue], there: Iterable[Issue], apps: Mapping[str, str]) -> None:
        """`apps` has the ids of the apps there, by their ids here."""
        self.here = here
        self.there = {issue.id: issue for issue in there}
        self._apps = apps
        self._by_mark: defaultdict[Mark, list[str]] = defaultdict(list)
        self._sharers: defaultdict[str, list[OutgoingIssue]] = defaultdict(list)
        self._match()

    def _match(self) -> None:
        self._by_mark.clear()
        for issue in self.there.values():
            for fingerprint in issue.fingerprints:
                self._by_mark[Mark(issue.app_id, issue.is_dev, fingerprint)].append(issue.id)
        self._sharers.clear()
        for issue_here in self.here:
            for issue in self.of(issue_here):
                self._sharers[issue.id].append(issue_here)

    def of(self, issue: OutgoingIssue) -> list[Issue]:
        """The one that has most of the issue's own fingerprints first, which no merge brought it."""
        own: defaultdict[str, int] = defaultdict(int)
        for mark in issue.marks:
            if mark.app_id in self._apps:
                for issue_id in self._by_mark.get(mark._replace(app_id=self._apps[mark.app_id]), ()):
                    own[issue_id] += mark.fingerprint not in issue.merged
        found = [self.there[issue_id] for issue_id in own]
        return sorted(found, key=lambda it: (-own[it.id], it.created_at, it.id))

    def sharers(self, issue_id: str) -> list[OutgoingIssue]:
        """The issues here that one there is of."""
        return self._sharers[issue_id]

    def elsewhere(self, issue: OutgoingIssue) -> set[str]:
        """The apps here, by their ids, that parts of the issue are of and that have not been carried."""
        return {mark.app_id for mark in issue.marks if mark.app_id not in self._apps}

    def merged(self, target: Issue, source_id: str) -> None:
        """Take note of a merge that was made there."""
        del self.there[source_id]
        self.there[target.id] = target
        self._match()

    def moved(self, issue: Issue) -> None:
        self.there[issue.id] = issue
