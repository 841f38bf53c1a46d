"""What agents do all day, over MCP and over HTTP alike: at random, but the same every time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, Self

from benchmarks import shop
from benchmarks.agents import NOTHING, Agent, RefusedError
from benchmarks.rest import ISSUES, Connection
from benchmarks.shop import BUSIEST, PROJECT

BODY = "From agent "
"""How the comments of all of them begin."""
_LISTED = 50
_OFTEN = 0.1
"""How often it is the busiest issue that is read."""
_BEGINNING = 13
"""Of an id, in characters."""
_WEIGHTS = (30, 30, 15, 5, 12, 8)
"""Of lists, issues, overviews, beginnings of ids, comments and moves, in a hundred calls."""


class Asker(Protocol):
    """What agents ask of a face; each returns what it took in seconds."""

    def nothing(self) -> float: ...
    def list(self, status: str | None) -> float: ...
    def get(self, issue: str) -> float: ...
    def overview(self) -> float: ...
    def find(self, beginning: str) -> float: ...
    def comment(self, issue: str, body: str) -> float: ...
    def move(self, issue: str, status: str) -> float: ...


@dataclass(frozen=True, slots=True)
class OverMcp:
    agent: Agent

    def nothing(self) -> float:
        return self._timed(NOTHING)

    def list(self, status: str | None) -> float:
        return self._timed("list_issues", project_id=PROJECT, limit=_LISTED, status=status)

    def get(self, issue: str) -> float:
        return self._timed("get_issue", issue_id=issue, project_id=PROJECT)

    def overview(self) -> float:
        return self._timed("triage_overview", project_id=PROJECT)

    def find(self, beginning: str) -> float:
        return self._timed("get_issue", issue_id=beginning, project_id=PROJECT)

    def comment(self, issue: str, body: str) -> float:
        return self._timed("comment", issue_id=issue, project_id=PROJECT, body=body)

    def move(self, issue: str, status: str) -> float:
        return self._timed("update_status", issue_id=issue, project_id=PROJECT, status=status)

    def _timed(self, tool: str, **arguments: object) -> float:
        return self.agent.timed(tool, **arguments)[0]


@dataclass(frozen=True, slots=True)
class OverRest:
    """What the API has no route for is asked as the live backend asks it: in lists."""

    connection: Connection

    def nothing(self) -> float:
        return self._timed("GET", "/health")

    def list(self, status: str | None) -> float:
        return self._timed("GET", f"{ISSUES}?limit={_LISTED}{f'&status={status}' if status else ''}")

    def get(self, issue: str) -> float:
        return self._timed("GET", f"{ISSUES}/{issue}")

    def overview(self) -> float:
        return self.list(shop.RARE)

    def find(self, beginning: str) -> float:  # noqa: ARG002 - the API does not find by beginnings
        return self._timed("GET", f"/v1/issues?limit={_LISTED}")

    def comment(self, issue: str, body: str) -> float:
        return self._timed("POST", f"{ISSUES}/{issue}/comments", {"body": body})

    def move(self, issue: str, status: str) -> float:
        return self._timed("PATCH", f"{ISSUES}/{issue}", {"status": status})

    def _timed(self, method: str, path: str, body: object = None) -> float:
        return self.connection.timed(method, path, body)[0]


@dataclass(slots=True)
class Agenda:
    """What one agent does, and what came of it. No two move the same issue."""

    number: int
    agents: int
    issues: int
    took: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    comments: int = 0
    moves: int = 0
    moved: dict[str, str] = field(default_factory=dict)

    def mixed(self, asker: Asker, goes_on: Callable[[], bool]) -> Self:
        random = Random(self.number)
        calls = (self._list, self._get, self._overview, self._find, self._comment, self._move)
        return self._repeat(lambda: random.choices(calls, _WEIGHTS)[0](asker, random), goes_on)

    def reading(self, asker: Asker, goes_on: Callable[[], bool]) -> Self:
        random = Random(self.number)
        return self._repeat(lambda: random.choice((self._list, self._get))(asker, random), goes_on)

    def writing(self, asker: Asker, goes_on: Callable[[], bool]) -> Self:
        random = Random(self.number)
        return self._repeat(lambda: random.choice((self._comment, self._move))(asker, random), goes_on)

    def nothing(self, asker: Asker, goes_on: Callable[[], bool]) -> Self:
        return self._repeat(asker.nothing, goes_on)

    def _repeat(self, call: Callable[[], float], goes_on: Callable[[], bool]) -> Self:
        while goes_on():
            try:
                self.took.append(call())
            except RefusedError as error:
                self.refused.append(str(error))
        return self

    def _list(self, asker: Asker, random: Random) -> float:
        return asker.list(random.choice((None, shop.COMMON, shop.RARE)))

    def _get(self, asker: Asker, random: Random) -> float:
        return asker.get(BUSIEST if random.random() < _OFTEN else self._any(random))

    def _overview(self, asker: Asker, _: Random) -> float:
        return asker.overview()

    def _find(self, asker: Asker, random: Random) -> float:
        return asker.find(self._any(random)[:_BEGINNING])

    def _comment(self, asker: Asker, random: Random) -> float:
        took = asker.comment(self._any(random), f"{BODY}{self.number}: {self.comments + 1}.")
        self.comments += 1
        return took

    def _move(self, asker: Asker, random: Random) -> float:
        key = random.randrange(self.issues // self.agents) * self.agents + self.number + 1
        issue = shop.issue_id(key)
        before = self.moved.get(issue) or shop.status_of(key, self.issues)
        after = shop.COMMON if before == "silenced" else "silenced"
        took = asker.move(issue, after)
        self.moves += 1
        self.moved[issue] = after
        return took

    def _any(self, random: Random) -> str:
        return shop.issue_id(random.randint(1, self.issues))
