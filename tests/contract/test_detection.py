"""What a real server's issue scan made of events, made again by the store: however they come, and however cut."""

import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from owlmetry_mcp.backends.store import access, intake, scan
from owlmetry_mcp.backends.store.exporting import export_document
from owlmetry_mcp.backends.store.scan import Scanned, scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.models import Ingested, IssueDetail
from tests.shell import Shell
from tests.world import SECRETS, SYMBOLS, HttpFace, World, recording

CASES = recording("detection.json")["cases"]
IDS = [case["name"] for case in CASES]
APPS = {"client": "Shop iOS", "client-api": "Shop API"}
SHOP = SYMBOLS["shop"]

Row = dict[str, Any]
Ingest = Callable[[Row, list[Row]], Awaitable[Row]]
Cut = Callable[[int, list[Row]], list[list[Row]]]
"""A step's events, by its place in the case, as the portions they come in."""

EVENT_STEPS = [
    (case, place, len(step["events"]))
    for case in CASES
    for place, step in enumerate(case["steps"])
    if step["do"] == "ingest"
]
CUTS = [(case, place, at) for case, place, count in EVENT_STEPS for at in range(1, count)]


def whole(_: int, events: list[Row]) -> list[list[Row]]:
    return [events]


def one_by_one(_: int, events: list[Row]) -> list[list[Row]]:
    return [[event] for event in events]


async def play(
    case: Row, world: World, ingest: Ingest, now: datetime, *, cut: Cut = whole, has_scanned: bool = True
) -> None:
    """Go through a case's steps; `ingest` sends events, and with `has_scanned` leaves nothing to scan."""
    for place, step in enumerate(case["steps"]):
        match step["do"]:
            case "ingest":
                answers = [await ingest(step, portion) for portion in cut(place, sent(step["events"], now))]
                totals = {name: sum(answer[name] for answer in answers) for name in step["answer"]}
                assert totals == step["answer"]
            case "scan":
                scanned = scan_all(world.store.write)
                assert not has_scanned or scanned == Scanned()
                assert await issues(world, now) == in_order(step["issues"])
            case "status":
                agent = world.acting_as("agent")
                issue_id = await named(world, step["title"])
                await agent.update_status(SHOP, issue_id, **step["body"])
            case "merge":
                target, source = await named(world, step["target"]), await named(world, step["source"])
                await world.acting_as("agent").merge(SHOP, target, source)


def sent(events: Sequence[Row], now: datetime) -> list[Row]:
    return [
        {name: value for name, value in event.items() if name != "ago_ms"}
        | {"timestamp": times.to_text(now - timedelta(milliseconds=event["ago_ms"]))}
        for event in events
    ]


async def details(world: World) -> list[IssueDetail]:
    agent = world.acting_as("agent")
    page = await agent.list_issues(SHOP, IssueFilter(data_mode="all"), limit=200)
    assert not page.has_more
    return [await agent.get_issue(SHOP, issue.id, occurrence_limit=200) for issue in page.issues]


async def named(world: World, title: str) -> str:
    (issue_id,) = [issue.id for issue in await details(world) if issue.title == title]
    return issue_id


async def issues(world: World, now: datetime) -> list[Row]:
    """The whole list, as the recordings have it."""
    return in_order([as_recorded(issue, now) for issue in await details(world)])


def as_recorded(issue: IssueDetail, now: datetime) -> Row:
    kept = (
        "title", "source_module", "status", "is_dev", "app_name", "occurrence_count", "unique_user_count",
        "resolved_at_version", "first_seen_app_version", "last_seen_app_version", "first_seen_sdk_version",
        "last_seen_sdk_version",
    )  # fmt: skip
    assert issue.occurrence_count == len(issue.occurrences)
    return issue.model_dump(include={*kept}) | {
        "snoozed": issue.snoozed_at is not None,
        "first_seen_ago_ms": ago_ms(issue.first_seen_at, now),
        "last_seen_ago_ms": ago_ms(issue.last_seen_at, now),
        "fingerprints": sorted(issue.fingerprints),
        "sessions": sorted(occurrence.session_id for occurrence in issue.occurrences),
    }


def ago_ms(instant: str, now: datetime) -> int:
    return round((now - datetime.fromisoformat(instant)) / timedelta(milliseconds=1))


def in_order(rows: Sequence[Row]) -> list[Row]:
    rows = [row | {"fingerprints": sorted(row["fingerprints"]), "sessions": sorted(row["sessions"])} for row in rows]
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


@pytest.fixture
def post(quiet_world: World, http_face: HttpFace) -> Iterator[Ingest]:
    """Sends events as an app's SDK does."""
    http_face.store = quiet_world.store
    with httpx2.Client(base_url=http_face.endpoint) as client:

        async def post(step: Row, events: list[Row]) -> Row:
            answer = client.post(
                "/v1/ingest",
                headers={"Authorization": f"Bearer {SECRETS[step['as']]}"},
                json={"bundle_id": step["bundle_id"], "events": events},
            )
            assert answer.status_code == step["status"]
            body: Row = answer.json()
            return body

        yield post


@pytest.fixture
def read_in(shell: Shell, tmp_path: Path) -> Ingest:
    """Writes events to a file and has the command read it."""
    count = 0

    async def read_in(step: Row, events: list[Row]) -> Row:
        nonlocal count
        count += 1
        file = tmp_path / f"{count}.jsonl"
        file.write_text("".join(json.dumps(event) + "\n" for event in events))
        ingest_file(shell, file, APPS[step["as"]])
        first = shell.errors.removeprefix(f"{file}: ")
        return {"accepted": int(first.partition(" ")[0]), "rejected": 0}

    return read_in


def ingest_file(shell: Shell, file: Path, app: str) -> None:
    assert shell.run("ingest", str(file), "--app", app) == ""
    assert "bad" not in shell.errors


def dump(store: Store) -> str:
    """All that a store holds."""
    return store.read(lambda tx: "".join(export_document(tx)))


def just_now() -> datetime:
    return datetime.fromisoformat(times.to_text(datetime.now(UTC)))


@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_events_over_http_become_the_issues_that_the_server_made_of_them(
    quiet_world: World, post: Ingest, case: Row
) -> None:
    await play(case, quiet_world, post, quiet_world.clock.instant)


@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_events_over_http_become_the_same_issues_one_by_one(quiet_world: World, post: Ingest, case: Row) -> None:
    await play(case, quiet_world, post, quiet_world.clock.instant, cut=one_by_one)


@pytest.mark.parametrize(("case", "place", "at"), CUTS, ids=[f"{case['name']}, {at}" for case, _, at in CUTS])
async def test_events_over_http_become_the_same_issues_wherever_they_are_cut(
    quiet_world: World, post: Ingest, case: Row, place: int, at: int
) -> None:
    def cut(step: int, events: list[Row]) -> list[list[Row]]:
        return [events[:at], events[at:]] if step == place else [events]

    await play(case, quiet_world, post, quiet_world.clock.instant, cut=cut)


@pytest.mark.parametrize("cut", [whole, one_by_one])
@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_events_from_files_become_the_same_issues(
    quiet_world: World, read_in: Ingest, case: Row, cut: Cut
) -> None:
    await play(case, quiet_world, read_in, just_now(), cut=cut)


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_events_become_the_same_issues_scanned_in_small_batches(quiet_world: World, case: Row, size: int) -> None:
    async def ingest(step: Row, events: list[Row]) -> Row:
        def work(tx: Transaction) -> Ingested:
            return intake.ingest(
                tx, access.client(tx, access.credential(SECRETS[step["as"]])), events, step["bundle_id"]
            )

        ingested: Row = quiet_world.store.write(work).model_dump()
        while quiet_world.store.write(lambda tx: scan.scan_batch(tx, size)).errors:
            pass
        return ingested

    await play(case, quiet_world, ingest, quiet_world.clock.instant)


@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_the_same_files_again_change_nothing(
    quiet_world: World, read_in: Ingest, case: Row, shell: Shell, tmp_path: Path
) -> None:
    await play(case, quiet_world, read_in, just_now())
    before = dump(quiet_world.store)
    steps = [step for step in case["steps"] if step["do"] == "ingest"]
    for number, step in enumerate(steps, start=1):
        ingest_file(shell, tmp_path / f"{number}.jsonl", APPS[step["as"]])
        assert ": 0 new events, " in shell.errors
        assert "There was nothing to scan" in shell.errors
    assert dump(quiet_world.store) == before


@pytest.mark.parametrize("case", CASES, ids=IDS)
async def test_the_same_events_sent_again_change_nothing(quiet_world: World, post: Ingest, case: Row) -> None:
    requests: list[tuple[Row, list[Row]]] = []

    async def post_named(step: Row, events: list[Row]) -> Row:
        """Each with an id, as the SDKs send them."""
        first = sum(len(batch) for _, batch in requests) + 1
        batch = [
            {"client_event_id": f"{first + index:08x}-0000-4000-8000-000000000000"} | event
            for index, event in enumerate(events)
        ]
        requests.append((step, batch))
        return await post(step, batch)

    await play(case, quiet_world, post_named, quiet_world.clock.instant)
    before = dump(quiet_world.store)
    quiet_world.clock.advance(minutes=1)
    for step, batch in requests:
        assert await post(step, batch) == {"accepted": 0, "rejected": 0}
    assert dump(quiet_world.store) == before


def test_every_case_ends_in_a_scan() -> None:
    assert [case["steps"][-1]["do"] for case in CASES] == ["scan"] * len(CASES)
    assert len(CUTS) == sum(count - 1 for *_, count in EVENT_STEPS)
