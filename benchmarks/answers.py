"""How many bytes an agent reads, beside the bytes of the API's own answer to the same question.

Everything is asked through a real MCP client. The API's answer is measured as compact JSON, what a tool answers as
compact JSON and as text, each alone, since hosts show a model the one or the other. Sizes do not vary between runs.
"""

import asyncio
import json
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from mcp import Client
from mcp_types import TextContent
from pydantic import BaseModel

from benchmarks import rows
from benchmarks.rows import Row
from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.backend import acting_as_local_agent
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.fingerprints import fingerprint
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.server.overviews import OVERVIEW_BYTES
from owlmetry_mcp.server.server import TriageServer

FIXTURE = Path(__file__).parent.parent / "tests" / "contract" / "recordings" / "fixture.json"
MESSAGES = Path(__file__).parent / "messages.jsonl"
NOW = datetime(2026, 10, 21, 12, tzinfo=UTC)
PROJECT, APP, OFTEN = (str(UUID(int=number)) for number in (1, 2, 3))
LISTED = 50
OF_EACH_STATUS = 10
FIXED_IN = {"regressed": "2.2.0", "resolved": "2.4.0"}


@dataclass(frozen=True, slots=True)
class Measured:
    """An answer's bytes, and the most that they may be: of the API's bytes, or in all."""

    what: str
    data: int
    text: int
    most_data: float
    most_text: float
    api: int | None = None

    def line(self) -> str:
        return f"{self.what:44}{self._api:>9}{self._of(self.data, self.most_data)}{self._of(self.text, self.most_text)}"

    @property
    def _api(self) -> str:
        return f"{self.api:,}" if self.api else ""

    def _of(self, size: int, most: float) -> str:
        share = f"{size / self.api:.1%} of {most:.0%}" if self.api else f"of {most:,.0f}"
        return f"{size:>9,}  {share:14}{'' if size <= most * (self.api or 1) else 'OVER'}"

    def rows(self) -> Iterator[Row]:
        yield Row(f"{self.what}, as data", self.data, "B", self.api, self.most_data)
        yield Row(f"{self.what}, as text", self.text, "B", self.api, self.most_text)

    @property
    def within(self) -> bool:
        return max(self.data / self.most_data, self.text / self.most_text) <= (self.api or 1)


def main() -> int:
    parser = ArgumentParser("python -m benchmarks.answers", description=__doc__)
    parser.add_argument("--occurrences", type=int, default=100_000, help="of the largest issue (default: 100000)")
    rows.add_option(parser)
    asked = parser.parse_args()
    measured = measure(asked.occurrences)
    print(f"{'bytes of':44}{'the API':>9}{'data':>9}{'':16}{'text':>9}")
    for row in measured:
        print(row.line())
    rows.keep(asked, [part for row in measured for part in row.rows()])
    return 0 if all(row.within for row in measured) else 1


def measure(occurrences: int) -> list[Measured]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measured(Path(folder), occurrences))


async def _measured(folder: Path, occurrences: int) -> list[Measured]:
    measured: list[Measured] = []
    for name, document, most in (("recorded", _recorded(), 500), ("made up", _made_up(500), 500)):
        with _filled(folder / f"{name}.db", document) as store:
            measured += await _Asked(store, name).lists()
            if name == "made up":
                measured += await _Asked(store, name).details(most)
    with _filled(folder / "full.db", _full()) as store:
        measured += await _Asked(store, "full").overviews()
    with _filled(folder / "large.db", _made_up(occurrences)) as store:
        measured.append(await _Asked(store, "made up").summary(occurrences))
    return measured


def _recorded() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FIXTURE.read_text())
    return document


def _made_up(occurrences: int) -> dict[str, Any]:
    """A project whose issues have the titles of real software, one of them with so many occurrences."""
    created_at = times.to_text(NOW - timedelta(days=30))
    team = {"id": str(UUID(int=4)), "name": "Night Owls", "slug": "night-owls", "created_at": created_at}
    project = {"id": PROJECT, "team_id": team["id"], "name": "Shop", "slug": "shop", "created_at": created_at}
    app = {"id": APP, "project_id": PROJECT, "name": "Shop iOS", "platform": "apple", "created_at": created_at}
    lines = [json.loads(line) for line in MESSAGES.read_text().splitlines()]
    production = [line for line in lines if not line.get("is_dev")][: LISTED + 10]
    issues = [_issue(number, line, occurrences if number == 0 else 3) for number, line in enumerate(production)]
    return {
        "teams": [team],
        "projects": [project],
        "apps": [app],
        "issues": issues,
        "fingerprints": [
            {
                "app_id": APP,
                "is_dev": False,
                "issue_id": row["id"],
                "fingerprint": fingerprint(row["title"], row["id"], None),
            }
            for row in issues
        ],
        "occurrences": [_occurrence(number) for number in range(occurrences)],
    }


def _full() -> dict[str, Any]:
    """A project with so many issues of each status, whose titles are the longest of real software."""
    document = _made_up(0)
    lines = [json.loads(line) for line in MESSAGES.read_text().splitlines()]
    longest = sorted(lines, key=lambda line: len(line["title"]), reverse=True)[: len(STATUSES) * OF_EACH_STATUS]
    document["issues"] = [
        _issue(number, line, 12_345) | {"status": status, "resolved_at_version": FIXED_IN.get(status)}
        for number, line in enumerate(longest)
        for status in [STATUSES[number % len(STATUSES)]]
    ]
    document["fingerprints"] = []
    document["occurrences"] = []
    document["comments"] = [
        {
            "id": str(UUID(int=2000 + number)),
            "issue_id": issue["id"],
            "author_type": "agent",
            "author_id": str(UUID(int=8)),
            "author_name": "claude-code on a laptop",
            "body": "On it.",
            "created_at": times.to_text(NOW - timedelta(days=1)),
            "updated_at": times.to_text(NOW - timedelta(days=1)),
        }
        for number, issue in enumerate(document["issues"])
        if issue["status"] == "in_progress"
    ]
    return document


def _issue(number: int, line: Mapping[str, Any], occurrences: int) -> dict[str, Any]:
    seen_at = times.to_text(NOW - timedelta(hours=number))
    return {
        "id": OFTEN if number == 0 else str(UUID(int=1000 + number)),
        "app_id": APP,
        "status": "new",
        "title": line["title"],
        "source_module": line.get("source_module"),
        "is_dev": False,
        "occurrence_count": occurrences,
        "unique_user_count": min(occurrences, 100),
        "resolved_at_version": None,
        "first_seen_app_version": "2.1.0",
        "last_seen_app_version": "2.3.1",
        "first_seen_sdk_version": "0.1.2",
        "last_seen_sdk_version": "0.1.4",
        "first_seen_at": times.to_text(NOW - timedelta(days=20)),
        "last_seen_at": seen_at,
        "last_notified_at": None,
        "snoozed_at": None,
        "created_at": times.to_text(NOW - timedelta(days=20)),
        "updated_at": seen_at,
    }


def _occurrence(number: int) -> dict[str, Any]:
    at = times.to_text(NOW - timedelta(seconds=17 * number))
    return {
        "id": str(UUID(int=(5 << 100) + number * 7919)),
        "issue_id": OFTEN,
        "session_id": str(UUID(int=(6 << 100) + number * 7919)),
        "user_id": f"user-{number % 100}",
        "app_version": f"2.{number % 3}.{number % 7}",
        "sdk_name": "owlmetry-swift",
        "sdk_version": "0.1.4",
        "environment": ("ios", "ipados")[number % 2],
        "event_id": str(UUID(int=(7 << 100) + number * 7919)),
        "country_code": ("DE", "US", "NO", "JP")[number % 4],
        "timestamp": at,
        "created_at": at,
    }


def _filled(path: Path, document: dict[str, Any]) -> Store:
    store = Store(path, lambda: NOW, first_start.leave_empty)
    content = read_document(json.dumps(document))
    store.write(lambda tx: import_document(tx, content))
    return store


class _Asked:
    """The API and the tools of one store, asked the same."""

    def __init__(self, store: Store, name: str) -> None:
        self._backend: Backend = acting_as_local_agent(store, "benchmark")
        self._server = TriageServer(Desk(lambda _: self._backend))
        self._name = name

    async def lists(self) -> list[Measured]:
        project = (await self._backend.list_projects())[-1].id
        page = await self._backend.list_issues(project, IssueFilter(), limit=LISTED)
        data, text = await self._tool("list_issues", project_id=project, limit=LISTED)
        what = f"a list of {len(page.issues)} issues, {self._name}"
        tools = await self._tools()
        return [
            Measured(what, data, text, 0.40, 0.25, api=_size(page)),
            await self._overview(f"the overview, {self._name}", project_id=project),
            Measured("tools/list, every tool", tools, tools, 16_000, 16_000),
        ]

    async def overviews(self) -> list[Measured]:
        return [
            await self._overview("the overview of a full project", project_id=PROJECT),
            await self._overview("the overview of all projects, full"),
        ]

    async def _overview(self, what: str, **arguments: str) -> Measured:
        return Measured(what, *await self._tool("triage_overview", **arguments), OVERVIEW_BYTES, OVERVIEW_BYTES)

    async def details(self, occurrences: int) -> list[Measured]:
        found = await self._backend.get_issue(PROJECT, OFTEN, occurrence_limit=LISTED)
        data, text = await self._tool("get_issue", issue_id=OFTEN, occurrence_limit=LISTED)
        what = f"{LISTED} occurrences of {occurrences:,}"
        return [Measured(what, data, text, 1 / 3, 1 / 3, api=_size(found)), await self.summary(occurrences)]

    async def summary(self, occurrences: int) -> Measured:
        return Measured(
            f"an issue with {occurrences:,} occurrences", *await self._tool("get_issue", issue_id=OFTEN), 8_000, 8_000
        )

    async def _tool(self, name: str, **arguments: Any) -> tuple[int, int]:  # noqa: ANN401 - JSON
        async with Client(self._server) as client:
            result = await client.call_tool(name, arguments)
        (block,) = result.content
        if result.is_error or not isinstance(block, TextContent):
            raise SystemExit(f"{name} was refused: {block}")
        return _size(result.structured_content), len(block.text.encode())

    async def _tools(self) -> int:
        async with Client(self._server) as client:
            tools = (await client.list_tools()).tools
        return _size([tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools])


def _size(answer: object) -> int:
    """As compact JSON."""
    plain = answer.model_dump(mode="json", exclude_unset=True) if isinstance(answer, BaseModel) else answer
    return len(json.dumps(plain, separators=(",", ":"), ensure_ascii=False).encode())


if __name__ == "__main__":
    sys.exit(main())
