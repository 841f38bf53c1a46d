"""What a call of a tool costs beside a call of one that does nothing, in the same process, over the same pipe.

Calls of the two alternate, so that a machine that is busier at times shows in both. Ratios are of medians. How a call
grows with the store is told by the same calls of two servers, on stores of few issues and of many.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any, Self

from benchmarks import alone, rows, shop, stores
from benchmarks.agents import NOTHING, Agent
from benchmarks.rows import Row
from benchmarks.shop import BUSIEST, PROJECT, Size

LISTED = 50
FAR_PAGE = 400
_GROWTH = 1.3
_NO_MORE = 1.05
"""But for noise."""
_WARM = 3
_SLOW_RUNS = 5

Timed = Callable[[], float]
"""A call; what it took in seconds."""


@dataclass(frozen=True, slots=True)
class Sizes(alone.Sizes):
    few: Size
    many: Size

    def of(self, issues: int) -> Self:
        store, few = shop.of(issues), shop.of(issues // 2)
        return replace(self, store=store, few=few, many=store)


SMALL = Sizes(Size(10_000, 200_000), 100, Size(1_000, 20_000), Size(10_000, 200_000))
FULL = Sizes(Size(100_000, 2_000_000), 300, Size(10_000, 200_000), Size(1_000_000, 2_000_000))


def measure(sizes: Sizes, folder: Path) -> Iterator[Row]:
    with _asked(sizes.store, folder) as asked:
        yield from _beside_nothing(asked, sizes.runs)
    with _asked(sizes.few, folder) as few, _asked(sizes.many, folder) as many:
        yield from _growth(few, many, sizes.runs)


class _Asked:
    """A server on a store of its own, asked what agents ask."""

    def __init__(self, agent: Agent, size: Size) -> None:
        self._agent = agent
        self.size = size
        self._others = cycle(range(2, size.issues + 1))
        common = [row["id"] for row in self._page(status=shop.COMMON)["issues"]]
        self._moves = cycle([(issue, status) for status in ("silenced", shop.COMMON) for issue in common])
        self.pages = min(FAR_PAGE, size.issues // LISTED)
        self._cursor = self._walk(self.pages)
        self._event: str = agent.call("get_issue", issue_id=BUSIEST)["occurrences"][0]["event_id"]

    def nothing(self) -> float:
        return self._timed(NOTHING)

    def listed(self) -> float:
        return self._list()

    def common(self) -> float:
        return self._list(status=shop.COMMON)

    def rare(self) -> float:
        return self._list(status=shop.RARE)

    def far_page(self) -> float:
        return self._list(cursor=self._cursor)

    def busiest(self) -> float:
        return self._timed("get_issue", issue_id=BUSIEST, project_id=PROJECT)

    def its_occurrences(self) -> float:
        return self._timed("get_issue", issue_id=BUSIEST, project_id=PROJECT, occurrence_limit=LISTED)

    def comment(self) -> float:
        issue = next(self._others)
        return self._timed("comment", issue_id=shop.issue_id(issue), project_id=PROJECT, body=f"It is number {issue}.")

    def overview(self) -> float:
        return self._timed("triage_overview", project_id=PROJECT)

    def move(self) -> float:
        issue, status = next(self._moves)
        return self._timed("update_status", issue_id=issue, project_id=PROJECT, status=status)

    def event(self) -> float:
        return self._timed("get_event", event_id=self._event)

    def breadcrumbs(self) -> float:
        return self._timed("get_breadcrumbs", event_id=self._event)

    def duplicates(self) -> float:
        return self._timed("find_duplicates", project_id=PROJECT)

    def duplicates_of_one(self) -> float:
        return self._timed("find_duplicates", project_id=PROJECT, issue_id=BUSIEST)

    def _timed(self, tool: str, **arguments: object) -> float:
        return self._agent.timed(tool, **arguments)[0]

    def _list(self, **arguments: object) -> float:
        seconds, answer = self._agent.timed("list_issues", project_id=PROJECT, limit=LISTED, **arguments)
        if len(answer["issues"]) != LISTED:
            raise SystemExit(f"a list of {len(answer['issues'])} issues, not {LISTED}: {arguments}")
        return seconds

    def _page(self, **arguments: object) -> dict[str, Any]:
        return self._agent.call("list_issues", project_id=PROJECT, limit=LISTED, **arguments)

    def _walk(self, to: int) -> str:
        """The cursor of that page."""
        cursor: str | None = None
        for _ in range(1, to):
            page = self._page(**({"cursor": cursor} if cursor else {}))
            cursor = page["cursor"]
        return cursor or ""


@contextmanager
def _asked(size: Size, folder: Path) -> Iterator[_Asked]:
    with stores.copy(size, folder) as store, Agent(store, "benchmarks.beside_nothing") as agent:
        yield _Asked(agent, size)


def _beside_nothing(asked: _Asked, runs: int) -> Iterator[Row]:
    of = f"of {asked.size.issues:,} issues"
    slow = min(runs, _SLOW_RUNS)
    beside_nothing: tuple[tuple[str, Timed, float | None, int], ...] = (
        (f"list_issues, {LISTED} {of}", asked.listed, 2.5, runs),
        (f"list_issues, {LISTED} of a common status", asked.common, 2.5, runs),
        (f"list_issues, {LISTED} of a rare status", asked.rare, 2.5, runs),
        ("get_issue, the busiest, its evidence", asked.busiest, 2, runs),
        ("comment, durably", asked.comment, 2.5, runs),
        ("triage_overview", asked.overview, 4, runs),
        (f"get_issue, the busiest, {LISTED} occurrences", asked.its_occurrences, None, runs),
        ("update_status", asked.move, None, runs),
        ("get_event", asked.event, None, runs),
        ("get_breadcrumbs", asked.breadcrumbs, None, runs),
        ("find_duplicates of one issue", asked.duplicates_of_one, None, slow),
        ("find_duplicates", asked.duplicates, None, slow),
    )
    yield _compared("list_issues, of a rare status / of a common one", asked.rare, asked.common, _NO_MORE, runs)
    yield _compared(f"list_issues, page {asked.pages} / the first", asked.far_page, asked.listed, 1.6, runs)
    for what, call, limit, count in beside_nothing:
        yield _compared(what, call, asked.nothing, limit, count)


def _growth(few: _Asked, many: _Asked, runs: int) -> Iterator[Row]:
    pairs: tuple[tuple[str, Timed, Timed], ...] = (
        ("nothing", many.nothing, few.nothing),
        (f"list_issues, {LISTED}", many.listed, few.listed),
        (f"list_issues, {LISTED} of a rare status", many.rare, few.rare),
        ("list_issues, a page far down", many.far_page, few.far_page),
        ("get_issue, the busiest, its evidence", many.busiest, few.busiest),
        ("comment, durably", many.comment, few.comment),
        ("triage_overview", many.overview, few.overview),
    )
    at = f" at {many.size.issues:,} / {few.size.issues:,}"
    for what, at_many, at_few in pairs:
        yield _compared(what + at, at_many, at_few, _GROWTH, runs)


def _compared(what: str, ours: Timed, floor: Timed, limit: float | None, runs: int) -> Row:
    """Medians of the two, called in turn."""
    for _ in range(min(runs, _WARM)):
        floor(), ours()
    return rows.compared(what, [(floor(), ours()) for _ in range(runs)], limit)


def main() -> None:
    alone.run("calls", __doc__, SMALL, FULL, measure)


if __name__ == "__main__":
    main()
