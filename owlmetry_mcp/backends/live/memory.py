"""What a server's answers have shown, so that the first characters of an id are enough to name a thing again."""

from collections.abc import Iterable
from typing import Any

from owlmetry_mcp.issues.models import Issue

MAX_ISSUES = 5_000
MAX_EVENTS = 20_000
"""Ids. Of either, what was shown longest ago is forgotten first."""

_NAMES = ("app_name", "project_name")  # not every answer has them


class Memory:
    def __init__(self) -> None:
        self._issues: dict[str, Issue] = {}
        self._events: dict[str, None] = {}

    def show(self, issues: Iterable[Issue]) -> None:
        for issue in issues:
            before = self._issues.pop(issue.id, None)
            self._issues[issue.id] = _without_contents(issue, before)
        _shorten(self._issues, MAX_ISSUES)

    def forget(self, issue_id: str) -> None:
        self._issues.pop(issue_id, None)

    def show_events(self, event_ids: Iterable[str | None]) -> None:
        for event_id in event_ids:
            if event_id is not None:
                self._events.pop(event_id, None)
                self._events[event_id] = None
        _shorten(self._events, MAX_EVENTS)

    def issues(self, prefix: str) -> list[Issue]:
        """As they were when they were last shown."""
        return [issue for issue_id, issue in self._issues.items() if issue_id.startswith(prefix)]

    def events(self, prefix: str) -> list[str]:
        return [event_id for event_id in self._events if event_id.startswith(prefix)]


def _without_contents(issue: Issue, before: Issue | None) -> Issue:
    """The issue alone, without what a detail has besides, with the names that an earlier answer had."""
    values: dict[str, Any] = {name: getattr(issue, name) for name in Issue.model_fields}
    for name in _NAMES:
        values[name] = values[name] or getattr(before, name, None)
    return Issue.model_construct(**values)


def _shorten(shown: dict[str, Any], most: int) -> None:
    while len(shown) > most:
        del shown[next(iter(shown))]
