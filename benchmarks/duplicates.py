"""How many of the duplicates among real software's messages are found, how much else, and how long that takes.

The messages are those of error catalogues, as apps and layers of them repeat, reword, wrap and shorten them, and those
that only look alike. Each is labelled with the problem that it tells of; what its sessions say is labelled likewise: a
problem that brings about another is another. Rules were tuned on the messages of some software alone, and are measured
on those of the rest too. The time is beside a floor of the same run: each title normalised, once; and the
whole call's is told, on a store with those issues and ten times as many occurrences.
"""

import asyncio
import json
import platform
import re
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from mcp import Client

from benchmarks import rows
from benchmarks.measured import Times, pin
from benchmarks.rows import Row
from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.evidence import Coincidence, DuplicateGroup
from owlmetry_mcp.issues.fingerprints import fingerprint, normalised
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.triage.duplicates import duplicates
from owlmetry_mcp.triage.wording import wording

HALVES = ("tuning", "held_out")
_FOLDER = Path(__file__).parent
_INSTANT = "2026-10-02T11:00:00.000Z"


@dataclass(frozen=True, slots=True)
class Labelled:
    """Some software's messages as the issues of one project."""

    issues: list[Issue]
    problems: dict[str, str]
    """The problem that an issue tells of, by the issue's id."""
    coincidences: list[Coincidence]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Of pairs of issues that are in one group."""

    right: int
    found: int
    true: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.found + self.true) if self.found + self.true else 1


def labelled(half: str) -> Labelled:
    rows = [row for row in _rows("messages") if row["half"] == half]
    coincidences = [
        Coincidence(issue_ids=_pair(*map(_id, row["ids"])), sessions=row["sessions"])
        for row in _rows("coincidences")
        if row["half"] == half
    ]
    return Labelled([_issue(row) for row in rows], {_id(row["id"]): row["problem"] for row in rows}, coincidences)


def accuracy(data: Labelled, groups: Iterable[DuplicateGroup]) -> Accuracy:
    found = {pair for group in groups for pair in _pairs(_ids(group))}
    alike: defaultdict[tuple[str, bool], list[str]] = defaultdict(list)
    for issue in data.issues:
        alike[data.problems[issue.id], issue.is_dev].append(issue.id)
    true = {pair for ids in alike.values() for pair in _pairs(ids)}
    return Accuracy(len(found & true), len(found), len(true))


def many(number: int) -> list[Issue]:
    """Issues made from the catalogue, most of them distinct: its messages again and again, each time with other words
    in place of all the longer ones, but for one message in ten.
    """
    rows = list(_rows("messages"))
    issues = []
    for place in range(number):
        turn, row = place // len(rows), rows[place % len(rows)]
        title = row["title"] if place % _REPEATED == 0 else _LONGER.sub(partial(_another, turn), row["title"])
        issues.append(_issue(row | {"id": f"{place:06}", "title": title, "source_module": f"part{turn}"}))
    return issues


_REPEATED = 10
_LONGER = re.compile("[a-z]{6,}")


def _another(turn: int, word: re.Match[str]) -> str:
    """A word of the same length, the same for every occurrence in a turn."""
    return "".join(chr(ord("a") + (ord(letter) - ord("a") + turn) % 26) for letter in word[0])


def _rows(name: str) -> Iterable[dict[str, Any]]:
    with (_FOLDER / f"{name}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def _id(name: str) -> str:
    """A UUID of its own for each name."""
    return str(uuid5(NAMESPACE_URL, name))


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _issue(row: dict[str, Any]) -> Issue:
    return Issue(
        id=_id(row["id"]),
        app_id=_id(row["app"]),
        project_id=_id("shop"),
        status="new",
        title=row["title"],
        source_module=row["source_module"],
        is_dev=row["is_dev"],
        occurrence_count=row["occurrences"],
        unique_user_count=1,
        resolved_at_version=None,
        first_seen_app_version=None,
        last_seen_app_version=None,
        first_seen_sdk_version=None,
        last_seen_sdk_version=None,
        first_seen_at=_INSTANT,
        last_seen_at=_INSTANT,
        last_notified_at=None,
        snoozed_at=None,
        created_at=_INSTANT,
        updated_at=_INSTANT,
        fingerprints=[fingerprint(row["title"], row["source_module"], row["app"])],
    )


def _ids(group: DuplicateGroup) -> list[str]:
    return [group.target.id, *(candidate.issue.id for candidate in group.candidates)]


def _pairs(ids: Iterable[str]) -> Iterable[tuple[str, str]]:
    return combinations(sorted(ids), 2)


def _show_accuracy() -> None:
    print(f"{'':16}{'by':16}{'precision':>10}{'recall':>10}{'F1':>10}{'pairs':>10}")
    for half in HALVES:
        data = labelled(half)
        for name, coincidences in (("wording", []), ("and sessions", data.coincidences)):
            of = accuracy(data, duplicates(data.issues, coincidences))
            figures = f"{of.precision:10.3f}{of.recall:10.3f}{of.f1:10.3f}{of.true:10}"
            print(f"{half.replace('_', ' '):16}{name:16}{figures}")
        problems = Counter(data.problems.values())
        repeated = sum(1 for count in problems.values() if count > 1)
        print(f"{'':16}{len(data.issues)} messages, {len(problems)} problems, {repeated} of them told more than once")


@dataclass(frozen=True, slots=True)
class Measured:
    issues: int
    titles: int
    mine: list[Times]
    floor: list[Times]
    """Each title normalised, once."""
    tool_ms: list[float]

    def ratios(self) -> tuple[float, float]:
        """By the clock on the wall, and by CPU time."""
        seconds, cpu_seconds = (
            median(own[place] / floor[place] for own, floor in zip(self.mine, self.floor, strict=True))
            for place in (0, 1)
        )
        return seconds, cpu_seconds

    def rows(self) -> Iterator[Row]:
        ms = 1000 * median(one.seconds for one in self.mine)
        yield Row(f"duplicates among {self.issues:,} issues / titles normalised", ms, "ms", ms / self.ratios()[0])
        yield Row("find_duplicates, the first time", self.tool_ms[0], "ms")
        yield Row("find_duplicates, then", median(self.tool_ms[1:] or self.tool_ms), "ms")


def measure(number: int, runs: int) -> Measured:
    issues = many(number)
    timed = [(_times(lambda: _anew(issues)), _times(lambda: _normalise(issues))) for _ in range(runs)]
    mine, floor = zip(*timed, strict=True)
    return Measured(number, len({one.title for one in issues}), [*mine], [*floor], _tool_ms(issues, runs))


def found() -> Iterator[Row]:
    """How well duplicates are found: the more, the better."""
    for half in HALVES:
        data = labelled(half)
        of = accuracy(data, duplicates(data.issues, data.coincidences))
        yield Row(f"duplicates of messages {half.replace('_', ' ')}, precision", of.precision, "")
        yield Row(f"duplicates of messages {half.replace('_', ' ')}, recall", of.recall, "")


def _show_times(measured: Measured) -> None:
    print(f"\n{measured.issues:,} issues, {measured.titles:,} titles")
    for name, times in (("duplicates", measured.mine), ("each title normalised once", measured.floor)):
        ms, cpu_ms = (1000 * median(one[place] for one in times) for place in (0, 1))
        print(f"{name} {ms:.0f} ms ({cpu_ms:.0f} ms CPU), best {1000 * min(times).seconds:.0f} ms")
    print("ratio {:.1f} ({:.1f} by CPU time)".format(*measured.ratios()))
    first, *others = measured.tool_ms
    print(f"find_duplicates {first:.0f} ms the first time, then {median(others or [first]):.0f} ms")


def _tool_ms(issues: Sequence[Issue], runs: int) -> list[float]:
    """The whole call, through a client: the issues and what their sessions say read from a store of its own."""
    with TemporaryDirectory() as folder, Store(Path(folder, "store.db"), fill=first_start.leave_empty) as store:
        content = read_document(json.dumps(_document(issues)))
        store.write(lambda tx: import_document(tx, content))
        timed = asyncio.run(_called(TriageServer(Desk(partial(acting_as_local_agent, store))), runs))
    return [1000 * one for one in timed]


async def _called(server: TriageServer, runs: int) -> list[float]:
    wording.cache_clear()
    timed = []
    async with Client(server) as client:
        for _ in range(runs):
            begun = time.perf_counter()
            result = await client.call_tool("find_duplicates", {})
            timed.append(time.perf_counter() - begun)
            if result.is_error:
                raise SystemExit(f"it was refused: {result.content}")
    return timed


def _document(issues: Sequence[Issue]) -> dict[str, Any]:
    """A store's document with these issues, each in 10 sessions of which every third is another's too."""
    named = {"name": "x", "slug": "x", "created_at": _INSTANT}
    project, team = _id("shop"), _id("team")
    apps = [{"id": app, "project_id": project, "platform": "backend", **named} for app in {it.app_id for it in issues}]
    occurrences = [
        {
            "id": _id(f"{issue.id} {number}"),
            "issue_id": issue.id,
            "session_id": _id(f"session {place // 2 if number % 3 == 0 else issue.id} {number}"),
            "timestamp": _INSTANT,
            "created_at": _INSTANT,
        }
        for place, issue in enumerate(issues)
        for number in range(10)
    ]
    return {
        "teams": [{"id": team, **named}],
        "projects": [{"id": project, "team_id": team, **named}],
        "apps": apps,
        "issues": [
            issue.model_dump(exclude={"fingerprints", "project_id", "app_name", "project_name"}) for issue in issues
        ],
        "occurrences": occurrences,
    }


def _anew(issues: Sequence[Issue]) -> None:
    """As for the first time: no title is remembered."""
    wording.cache_clear()
    duplicates(issues, [])


def _normalise(issues: Sequence[Issue]) -> None:
    for issue in issues:
        normalised(issue.title)


def _times(work: Callable[[], object]) -> Times:
    begun, cpu_begun = time.perf_counter(), time.process_time()
    work()
    return Times(time.perf_counter() - begun, time.process_time() - cpu_begun)


def main() -> None:
    parser = ArgumentParser("python -m benchmarks.duplicates", description=__doc__, allow_abbrev=False)
    parser.add_argument("--issues", type=int, default=10_000, metavar="N", help="how many to time (default: 10,000)")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="how often (default: 5)")
    rows.add_option(parser)
    asked = parser.parse_args()
    print(f"Python {platform.python_version()}, {pin()}, runs: {asked.runs}")
    _show_accuracy()
    measured = measure(asked.issues, asked.runs)
    _show_times(measured)
    rows.keep(asked, [*found(), *measured.rows()])


if __name__ == "__main__":
    main()
