"""The issue scan beyond the recordings: bursts, cuts, order, statuses, counts, scans that meet or are interrupted."""

import json
import re
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from owlmetry_mcp.backends.store import access, file, first_start, intake, scan, schema, transactions
from owlmetry_mcp.backends.store.exporting import export_document
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.scan import Scanned
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.events import MAX_INGESTED
from owlmetry_mcp.issues.filters import IssueFilter
from owlmetry_mcp.issues.fingerprints import fingerprint
from tests.world import FIXTURE, SECRETS, SYMBOLS, FakeClock, World, tried

SHOP = SYMBOLS["shop"]
ELEVEN = datetime.fromisoformat("2026-10-21T11:00:00.000Z")
NOW = "2026-10-21T12:00:00.000Z"
CLIENTS = {"api": "client-api", "ios": "client"}

Row = dict[str, Any]


def session(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def at(seconds: float) -> str:
    """So long after eleven."""
    return times.to_text(ELEVEN + timedelta(seconds=seconds))


def error(seconds: float, message: str = "Boom", of: int = 1, **fields: Any) -> Row:
    return {"message": message, "level": "error", "session_id": session(of), "timestamp": at(seconds), **fields}


def request(seconds: float, path: str, of: int = 1) -> Row:
    attributes = {"_http_method": "GET", "_http_url": f"https://example.com{path}"}
    return error(seconds, "sdk:network_request", of, custom_attributes=attributes)


def take_in(tx: Transaction, rows: Sequence[Row], app: str = "api") -> None:
    """As a client sends them, without the scan."""
    for start in range(0, len(rows), MAX_INGESTED):
        sender = access.client(tx, access.credential(SECRETS[CLIENTS[app]]))
        batch = [*rows[start : start + MAX_INGESTED]]
        assert intake.ingest(tx, sender, batch, sender.bundle_id).accepted == len(batch)


def scan_in_batches(tx: Transaction, size: int = scan.BATCH) -> Scanned:
    return scan.scan_all(lambda work: work(tx)) if size == scan.BATCH else sum_of(batches_of(tx, size))


def batches_of(tx: Transaction, size: int) -> Iterator[Scanned]:
    while (done := scan.scan_batch(tx, size)).errors:
        yield done


def sum_of(parts: Iterable[Scanned]) -> Scanned:
    total = Scanned()
    for part in parts:
        total = total.plus(part)
    return total


_ISSUES = """
    SELECT i.key, a.name AS app, i.* FROM issues i JOIN apps a ON a.key = i.app
    ORDER BY i.first_seen_at, i.title, i.app, i.is_dev, i.last_seen_at
"""
_OF_ISSUE = {
    "fingerprints": "SELECT fingerprint FROM fingerprints WHERE issue = ? ORDER BY 1",
    "occurrences": """
        SELECT uuid_text(s.id), o.timestamp, o.user_id, o.app_version, json_extract(e.content, '$.message')
        FROM occurrences o JOIN sessions s ON s.key = o.session LEFT JOIN events e ON e.id = o.event_id
        WHERE o.issue = ? ORDER BY o.timestamp, s.id
    """,
    "notifications": "SELECT type, reason, created_at FROM notifications WHERE issue = ? ORDER BY key",
}
_MADE_UP = ("key", "id", "app", "moved", "project_id")


def found(tx: Transaction) -> list[Row]:
    """The issues in full, but for the ids that the store gave them, by when they were first seen."""
    cursor = tx.run(_ISSUES.replace("a.name AS app", "a.name AS app_name"))
    names = [column[0] for column in cursor.description]
    rows = []
    for values in cursor.fetchall():
        row = dict(zip(names, values, strict=True))
        key = row["key"]
        row |= {name: tx.all(sql, (key,)) for name, sql in _OF_ISSUE.items()}
        row["fingerprints"] = [value for (value,) in row["fingerprints"]]
        assert row["occurrence_count"] == len(row["occurrences"])
        rows.append({name: value for name, value in row.items() if name not in _MADE_UP})
    return rows


class Bench:
    """A store to send errors to and to scan."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store

    def send(self, *rows: Row, app: str = "api") -> None:
        self.store.write(lambda tx: take_in(tx, rows, app))

    def scan(self, *rows: Row, app: str = "api") -> Scanned:
        """Send and scan."""
        if rows:
            self.send(*rows, app=app)
        return scan.scan_all(self.store.write)

    def issues(self, *names: str) -> list[Any]:
        """These values of each issue; its one value, where there is one name."""
        rows = self.store.read(found)
        return [row[names[0]] if len(names) == 1 else tuple(row[name] for name in names) for row in rows]

    def kinds(self) -> list[tuple[str, set[str]]]:
        """Each issue's title, and the messages whose fingerprints it has."""
        sent = self.store.read(lambda tx: tx.all("SELECT DISTINCT json_extract(content, '$.message') FROM events"))
        by_fingerprint = {fingerprint(message, None, None): message for (message,) in sent}
        return [(row["title"], {by_fingerprint[it] for it in row["fingerprints"]}) for row in self.store.read(found)]

    def put(self, title: str, **columns: Any) -> None:
        """Give columns of the issues of that title other values."""
        update = f"UPDATE issues SET {', '.join(f'{column} = :{column}' for column in columns)} WHERE title = :title"  # noqa: S608
        self.store.write(lambda tx: tx.run(update, {**columns, "title": title}))

    async def move(self, title: str, status: str, version: str | None = None) -> None:
        """As an agent does."""
        (issue_id,) = self.store.read(lambda tx: tx.one("SELECT id FROM issues WHERE title = ?", (title,)))
        agent = self.world.acting_as("agent")
        await agent.update_status(SHOP, issue_id, status, resolved_at_version=version)


@pytest.fixture
def bench(quiet_world: World) -> Bench:
    return Bench(quiet_world)


# Bursts


@pytest.mark.parametrize(
    ("seconds", "titles"),
    [
        ([0, 5], [("a", {"a", "b"})]),
        ([0, 5.001], [("a", {"a"}), ("b", {"b"})]),
        ([0, 4, 8], [("a", {"a", "b"}), ("c", {"c"})]),
        ([0, 5, 5.001, 10.001, 10.002], [("a", {"a", "b"}), ("c", {"c", "d"}), ("e", {"e"})]),
        ([0, 0, 0], [("a", {"a", "b", "c"})]),
    ],
)
@pytest.mark.parametrize("size", [1, scan.BATCH])
def test_a_burst_lasts_five_seconds_from_its_first_error(
    bench: Bench, seconds: list[float], titles: list[tuple[str, set[str]]], size: int
) -> None:
    bench.send(*(error(second, message) for second, message in zip(seconds, "abcde", strict=False)))
    bench.store.write(lambda tx: scan_in_batches(tx, size))
    assert bench.kinds() == titles


def test_a_burst_is_of_one_session_one_app_and_one_mode(bench: Bench) -> None:
    bench.send(error(0, "a"), error(0.001, "b", of=2), error(0.002, "c", is_dev=True), error(0.003, "d"))
    bench.send(error(0.004, "e"), app="ios")
    assert bench.scan() == Scanned(errors=5, occurrences=4, opened=4)
    assert bench.kinds() == [("a", {"a", "d"}), ("b", {"b"}), ("c", {"c"}), ("e", {"e"})]
    assert bench.issues("title", "is_dev", "app_name") == [
        ("a", 0, "Shop API"),
        ("b", 0, "Shop API"),
        ("c", 1, "Shop API"),
        ("e", 0, "Shop iOS"),
    ]


def test_the_same_error_in_another_app_or_mode_is_another_issue(bench: Bench) -> None:
    bench.scan(error(0), error(1, is_dev=True))
    bench.scan(error(2), error(3, is_dev=True), app="ios")
    assert bench.issues("title", "is_dev", "app_name", "occurrence_count") == [
        ("Boom", 0, "Shop API", 1),
        ("Boom", 1, "Shop API", 1),
        ("Boom", 0, "Shop iOS", 1),
        ("Boom", 1, "Shop iOS", 1),
    ]


def test_a_burst_gives_what_it_has_of_unknown_to_the_oldest_known_issue_and_merges_none(bench: Bench) -> None:
    bench.scan(error(10, "younger"), error(0, "older", of=2), error(20, "youngest", of=3))
    scanned = bench.scan(
        error(60, "x", of=4), error(61, "younger", of=4), error(62, "older", of=4), error(63, "y", of=4)
    )
    assert scanned == Scanned(errors=4, occurrences=2)
    assert bench.kinds() == [("older", {"older", "x", "y"}), ("younger", {"younger"}), ("youngest", {"youngest"})]
    assert bench.issues("occurrence_count") == [2, 2, 1]


def test_the_oldest_is_the_one_that_was_seen_first_not_made_first(bench: Bench) -> None:
    bench.scan(error(30, "made first"))
    bench.scan(error(20, "seen first", of=2))
    bench.scan(error(60, "made first", of=3), error(61, "seen first", of=3), error(62, "x", of=3))
    assert bench.kinds() == [("seen first", {"seen first", "x"}), ("made first", {"made first"})]


def test_one_kind_many_times_in_a_burst_is_one_occurrence(bench: Bench) -> None:
    assert bench.scan(*(error(0, f"Try {number}") for number in range(50))) == Scanned(50, 1, 1)
    assert bench.issues("title", "occurrence_count") == [("Try 0", 1)]


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        (["metric:load", "step:pay", "Readable", "Later"], "Readable"),
        (["track:a", "step:b", "metric:c"], "track:a"),
        (["Metric:a", "b"], "Metric:a"),
        ([" metric:a", "b"], " metric:a"),
        (["metrics: down", "b"], "metrics: down"),
        (["sdk:network_request", "b"], "sdk:network_request"),
    ],
)
def test_an_issue_is_titled_by_its_bursts_first_readable_message(bench: Bench, messages: list[str], title: str) -> None:
    rows = [error(number / 10, message, source_module=f"m{number}") for number, message in enumerate(messages)]
    bench.scan(*rows)
    assert bench.issues("title", "source_module") == [(title, f"m{messages.index(title)}")]


def test_a_network_errors_title_is_its_request(bench: Bench) -> None:
    bench.scan(error(0, "metric:http"), request(1, "/v1/users/7?x=1"), error(2, "Later"))
    bench.scan(request(60, "/v1/users/8", of=2))
    assert bench.issues("title", "occurrence_count") == [("Network error: GET example.com/v1/users/<n>", 2)]


# Cuts between scans


def test_a_burst_goes_on_in_the_next_scan(bench: Bench) -> None:
    assert bench.scan(error(0, "a")) == Scanned(1, 1, 1)
    assert bench.scan(error(5, "b")) == Scanned(1)
    assert bench.scan(error(5.001, "c")) == Scanned(1, 1, 1)
    assert bench.kinds() == [("a", {"a", "b"}), ("c", {"c"})]
    assert bench.issues("last_seen_at") == [at(5), at(5.001)]


def test_a_burst_of_the_next_scan_is_told_from_the_one_before_it_by_when_that_began(bench: Bench) -> None:
    bench.scan(error(0, "a"), error(4, "b"), error(8, "c"))
    bench.scan(error(9, "d"), error(13, "e"), error(13.5, "f"))
    assert bench.kinds() == [("a", {"a", "b"}), ("c", {"c", "d", "e"}), ("f", {"f"})]


def test_a_readable_title_may_come_in_the_next_scan(bench: Bench) -> None:
    bench.scan(error(0, "metric:load", source_module="Metrics"))
    assert bench.issues("title", "source_module") == [("metric:load", "Metrics")]
    bench.scan(error(1, "step:load", source_module="Steps"))
    bench.scan(error(2, "Loader threw", source_module="Loader"))
    bench.scan(error(3, "Too late", source_module="Other"))
    assert bench.issues("title", "source_module") == [("Loader threw", "Loader")]


def test_another_burst_does_not_change_a_title(bench: Bench) -> None:
    bench.scan(error(0, "metric:load"))
    bench.scan(error(10, "metric:load"), error(11, "Loader threw"))
    bench.scan(error(60, "metric:load", of=2), error(61, "Loader died", of=2))
    assert bench.kinds() == [("metric:load", {"metric:load", "Loader threw", "Loader died"})]


def test_an_earlier_error_that_comes_later_joins_the_burst_it_was_of(bench: Bench) -> None:
    bench.scan(error(3, "b", app_version="1.0"))
    assert bench.scan(error(0, "a", app_version="0.9")) == Scanned(1)
    assert bench.kinds() == [("b", {"a", "b"})]
    assert bench.issues("first_seen_at", "last_seen_at", "first_seen_app_version", "last_seen_app_version") == [
        (at(0), at(3), "0.9", "1.0")
    ]


def test_an_error_between_two_known_bursts_is_of_the_one_it_falls_in(bench: Bench) -> None:
    bench.scan(error(0, "a"), error(20, "b"))
    bench.scan(error(3, "c"), error(17, "d"), error(10, "e"))
    assert bench.kinds() == [("a", {"a", "c"}), ("e", {"e"}), ("b", {"b", "d"})]


def test_a_burst_in_a_session_of_very_many_errors_is_found_by_its_pause(bench: Bench) -> None:
    """More than are looked at again."""
    bench.scan(*(error(number * 0.01, "flood") for number in range(1_200)))
    bench.scan(error(60, "x"))
    bench.scan(error(61, "y"))
    assert bench.kinds() == [("flood", {"flood"}), ("x", {"x", "y"})]
    assert bench.issues("occurrence_count") == [1, 1]


# Statuses


@pytest.mark.parametrize(
    ("status", "version", "after", "version_after"),
    [
        ("resolved", "1.10", "regressed", None),
        ("resolved", "1.9.1", "regressed", None),
        ("resolved", "v1.9.0.1", "regressed", None),
        ("resolved", "1.9", "resolved", "1.9.0"),
        ("resolved", "1.9.0 (77)", "resolved", "1.9.0"),
        ("resolved", "1.9.0-beta", "resolved", "1.9.0"),
        ("resolved", "1.8", "resolved", "1.9.0"),
        ("resolved", None, "resolved", "1.9.0"),
        ("new", "2.0", "new", None),
        ("in_progress", "2.0", "in_progress", None),
        ("silenced", "2.0", "silenced", "1.9.0"),
        ("regressed", "2.0", "regressed", None),
    ],
)
def test_only_a_resolved_issue_regresses_and_only_in_a_newer_version(
    bench: Bench, status: str, version: str | None, after: str, version_after: str | None
) -> None:
    bench.scan(error(0, app_version="1.0"))
    bench.put("Boom", status=status, resolved_at_version=version_after or ("1.9.0" if status == "resolved" else None))
    scanned = bench.scan(error(60, of=2, **({"app_version": version} if version else {})))
    regressed = after == "regressed" != status
    assert scanned == Scanned(1, 1, 0, int(regressed), 0)
    assert bench.issues("status", "resolved_at_version") == [(after, version_after)]
    reasons = ["opened", "regressed"] if regressed else ["opened"]
    assert bench.issues("notifications") == [[("issue.new", reason, NOW) for reason in reasons]]


def test_an_issue_that_was_resolved_in_no_version_stays_so(bench: Bench) -> None:
    bench.scan(error(0, app_version="1.0"))
    bench.put("Boom", status="resolved", resolved_at_version=None)
    assert bench.scan(error(60, of=2, app_version="9.0")) == Scanned(1, 1)
    assert bench.issues("status") == ["resolved"]


def test_a_newer_version_in_a_session_that_is_counted_regresses_too(bench: Bench) -> None:
    bench.scan(error(0, app_version="1.0"))
    bench.put("Boom", status="resolved", resolved_at_version="1.0")
    assert bench.scan(error(60, app_version="1.0"), error(120, app_version="1.1")) == Scanned(2, 0, 0, 1, 0)
    assert bench.issues("status", "occurrence_count") == [("regressed", 1)]


async def test_a_snoozed_issue_wakes_on_a_new_occurrence_alone(bench: Bench) -> None:
    bench.scan(error(0))
    await bench.move("Boom", "resolved", "3.0")
    await bench.move("Boom", "snoozed")
    assert bench.issues("status", "snoozed_at", "resolved_at_version") == [("snoozed", NOW, "3.0")]
    bench.world.clock.advance(minutes=1)
    assert bench.scan(error(60), error(120)) == Scanned(2)
    assert bench.issues("status", "snoozed_at", "last_seen_at") == [("snoozed", NOW, at(120))]
    bench.world.clock.advance(minutes=1)
    assert bench.scan(error(180, of=2)) == Scanned(1, 1, 0, 0, 1)
    assert bench.issues("status", "snoozed_at", "resolved_at_version") == [("new", None, None)]
    later = "2026-10-21T12:02:00.000Z"
    assert bench.issues("notifications", "last_notified_at", "updated_at") == [
        ([("issue.new", "opened", NOW), ("issue.new", "reopened", later)], later, later)
    ]


async def test_a_snoozed_issue_sleeps_through_what_happens_elsewhere(bench: Bench) -> None:
    bench.scan(error(0), error(1, of=2, is_dev=True))
    bench.put("Boom", status="snoozed", snoozed_at=NOW)
    bench.scan(error(60, "Other", of=3))
    bench.scan(error(60, of=4), app="ios")
    assert bench.issues("status") == ["snoozed", "snoozed", "new", "new"]
    assert bench.scan(error(70, of=5, is_dev=True)) == Scanned(1, 1, 0, 0, 1)
    assert bench.issues("is_dev", "status")[:2] == [(0, "snoozed"), (1, "new")]


async def test_a_silenced_issue_stays_silent_and_is_counted_on(bench: Bench) -> None:
    bench.scan(error(0, app_version="1.0", user_id="ann"))
    await bench.move("Boom", "silenced")
    assert bench.scan(error(60, of=2, app_version="2.0", user_id="bob")) == Scanned(1, 1)
    assert bench.issues(
        "status", "occurrence_count", "unique_user_count", "last_seen_app_version", "notifications", "last_notified_at"
    ) == [("silenced", 2, 2, "2.0", [("issue.new", "opened", NOW)], NOW)]


def test_an_issue_is_told_of_once_however_many_errors_it_takes(bench: Bench) -> None:
    assert bench.scan(error(0), error(60), error(120, of=2), error(180, is_dev=True)).opened == 2
    bench.world.clock.advance(minutes=5)
    bench.scan(error(240, of=3))
    bench.scan()
    assert bench.issues("notifications", "last_notified_at", "created_at", "updated_at") == [
        ([("issue.new", "opened", NOW)], NOW, NOW, "2026-10-21T12:05:00.000Z"),
        ([("issue.new", "opened", NOW)], NOW, NOW, NOW),
    ]


def test_a_scan_of_nothing_changes_nothing(bench: Bench) -> None:
    bench.scan(error(0), error(60, of=2))
    before = dump(bench.store)
    bench.world.clock.advance(minutes=5)
    assert bench.scan() == Scanned()
    assert dump(bench.store) == before


def dump(store: Store) -> str:
    return store.read(lambda tx: "".join(export_document(tx)))


# Sums, firsts and lasts


def test_first_and_last_versions_are_of_the_events_that_name_one(bench: Bench) -> None:
    names = ("first_seen_app_version", "last_seen_app_version", "first_seen_sdk_version", "last_seen_sdk_version")
    bench.scan(error(0))
    assert bench.issues(*names) == [(None, None, None, None)]
    bench.scan(error(60, of=2, app_version="2.0", sdk_version="0.2"))
    bench.scan(error(120, of=3))
    assert bench.issues(*names) == [("2.0", "2.0", "0.2", "0.2")]
    bench.scan(error(180, of=4, app_version="1.0"))
    assert bench.issues(*names) == [("2.0", "1.0", "0.2", "0.2")]
    bench.scan(error(-60, of=5))
    assert bench.issues(*names) == [("2.0", "1.0", "0.2", "0.2")]
    bench.scan(error(-120, of=6, app_version="0.5"))
    assert bench.issues(*names) == [("0.5", "1.0", "0.2", "0.2")]
    assert bench.issues("first_seen_at", "last_seen_at", "occurrence_count") == [(at(-120), at(180), 6)]


def test_errors_that_come_late_do_not_move_an_issue_up(bench: Bench) -> None:
    bench.scan(error(100, app_version="2.0"))
    bench.scan(error(50, of=2, app_version="3.0"))
    assert bench.issues("first_seen_at", "last_seen_at", "first_seen_app_version", "last_seen_app_version") == [
        (at(50), at(100), "3.0", "2.0")
    ]


def test_a_user_counts_once_over_the_portions_of_a_scan(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PORTION", 1)
    rows = [error(0, user_id="ann"), error(60, of=2, user_id="ann"), error(120, of=3, user_id="bob")]
    assert bench.scan(*rows) == Scanned(3, 3, 1)
    assert bench.issues("unique_user_count") == [2]


def test_a_scan_of_very_many_issues_goes_on_in_further_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PORTION", 2)
    monkeypatch.setattr(scan, "MAX_ISSUES", 3)
    rows = [error(60 * number, f"kind {letter}", of=number) for number, letter in enumerate("abcdefghij", 1)]
    bench.send(*rows)
    assert bench.store.write(scan.scan_batch) == Scanned(4, 4, 4)
    assert bench.scan() == Scanned(6, 6, 6)
    assert bench.issues("title") == [row["message"] for row in rows]


def test_a_user_counts_once_over_sessions_batches_and_scans(bench: Bench) -> None:
    bench.send(
        error(0, user_id="ann"), error(60, of=2, user_id="ann"), error(120, of=3), error(180, of=4, user_id="bob")
    )
    bench.store.write(lambda tx: scan_in_batches(tx, 1))
    assert bench.issues("occurrence_count", "unique_user_count") == [(4, 2)]
    bench.scan(error(240, of=5, user_id="ann"), error(300, of=6, user_id="eve"), error(360, of=7, user_id="eve"))
    bench.scan(error(420, of=1, user_id="max"))
    assert bench.issues("occurrence_count", "unique_user_count") == [(7, 3)]
    bench.scan(error(480, "Other", of=8, user_id="ann"))
    assert bench.issues("title", "unique_user_count") == [("Boom", 3), ("Other", 1)]


def test_an_occurrence_has_what_its_sessions_first_error_says(bench: Bench) -> None:
    first: Row = {
        "user_id": "ann",
        "app_version": "1.0",
        "sdk_name": "sdk",
        "sdk_version": "0.1",
        "environment": "backend",
    }
    second: Row = dict.fromkeys(first, "other") | {"environment": "backend"}
    bench.send(error(1, **second), error(0, **first))
    bench.scan()
    bench.scan(error(60, **second))
    columns = [*first, "timestamp", "created_at", "country_code"]
    rows = bench.store.read(lambda tx: tx.all(f"SELECT {', '.join(columns)} FROM occurrences"))  # noqa: S608
    assert rows == [(*first.values(), at(0), NOW, None)]
    of_event = "SELECT e.timestamp FROM occurrences o JOIN events e ON e.id = o.event_id"
    assert bench.store.read(lambda tx: tx.all(of_event)) == [(at(0),)]


def test_a_session_may_be_in_two_apps(bench: Bench) -> None:
    bench.scan(error(0))
    bench.scan(error(1), app="ios")
    bench.scan(error(2))
    bench.scan(error(3), app="ios")
    assert bench.issues("app_name", "occurrence_count", "last_seen_at") == [
        ("Shop API", 1, at(2)),
        ("Shop iOS", 1, at(3)),
    ]


async def test_after_a_merge_a_session_of_both_counts_once(bench: Bench) -> None:
    bench.scan(error(0, "a"), error(60, "b"), error(120, "b", of=2, user_id="ann"))
    agent = bench.world.acting_as("agent")
    a, b = bench.store.read(lambda tx: tx.all("SELECT id FROM issues ORDER BY title"))
    await agent.merge(SHOP, a[0], b[0])
    bench.scan(error(180, "b"), error(240, "b", of=3, user_id="ann"), error(300, "a", of=2))
    assert bench.kinds() == [("a", {"a", "b"})]
    assert bench.issues("occurrence_count", "unique_user_count", "last_seen_at") == [(3, 1, at(300))]
    assert bench.issues("notifications") == [[("issue.new", "opened", NOW)] * 2]


# Two scans at once, and scans that are interrupted


MANY = [error(number * 10, f"Kind {'abcdefghij'[number % 10]}", of=number // 3) for number in range(300)]


def test_two_stores_scanning_at_once_do_the_work_once(bench: Bench) -> None:
    bench.send(*MANY)
    expected = tried(bench.store, lambda tx: (scan_in_batches(tx), found(tx)))
    barrier, done = threading.Barrier(2), list[Scanned]()

    def work() -> None:
        with Store(bench.store.path, bench.world.clock) as store:
            barrier.wait(30)
            while (scanned := store.write(lambda tx: scan.scan_batch(tx, 7))).errors:
                done.append(scanned)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert (sum_of(done), bench.store.read(found)) == expected


def test_two_processes_scanning_at_once_do_the_work_once(bench: Bench) -> None:
    bench.send(*MANY)
    scanned, expected = tried(bench.store, lambda tx: (scan_in_batches(tx), found(tx)))
    command = [sys.executable, "-m", "owlmetry_mcp", "scan", "--store", str(bench.store.path)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    counts = [[int(number) for number in re.findall(r"\d+", text)] for text in told]
    opened, regressed, reopened, occurrences, errors = (
        sum(column) for column in zip(*(row or [0] * 5 for row in counts), strict=True)
    )
    assert Scanned(errors, occurrences, opened, regressed, reopened) == scanned
    made_at = ("created_at", "updated_at", "last_notified_at", "notifications")
    assert [without(row, made_at) for row in bench.store.read(found)] == [without(row, made_at) for row in expected]


def without(row: Row, names: Iterable[str]) -> Row:
    return {name: value for name, value in row.items() if name not in names}


def test_a_scan_that_is_interrupted_leaves_everything_to_the_next(bench: Bench) -> None:
    bench.scan(error(0), error(60, "Other", of=2))
    bench.put("Boom", status="snoozed", snoozed_at=NOW)
    bench.put("Other", status="resolved", resolved_at_version="1.0")
    bench.send(error(120, of=3), error(180, "Other", of=4, app_version="2.0"), *MANY)
    before = dump(bench.store)
    expected = tried(bench.store, lambda tx: (scan_in_batches(tx), found(tx)))

    def interrupted(tx: Transaction) -> None:
        scan.scan_batch(tx, 250)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.store.write(interrupted)
    assert dump(bench.store) == before
    assert (bench.scan(), bench.store.read(found)) == expected


# Any errors at all


MESSAGES = ["a", "b", "c", "metric:m", "step:s", "d 1", "d 2"]
USERS = [None, "ann", "bob"]
VERSIONS = ["1.0", "1.9", "1.10", "2.0"]

EVENTS = st.lists(
    st.tuples(
        st.integers(1, 4_000),  # milliseconds since the one before
        st.sampled_from(MESSAGES),
        st.integers(1, 3),
        st.sampled_from(USERS),
        st.sampled_from(VERSIONS),
        st.integers(0, 9).map(lambda number: number == 0),
    ),
    max_size=25,
)
SIZES = st.lists(st.integers(1, 25), min_size=1, max_size=25)
THOROUGH = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def as_rows(drawn: Sequence[tuple[int, str, int, str | None, str, bool]]) -> list[Row]:
    """Errors in the order they happened, no two at once."""
    elapsed, rows = 0, []
    for pause, message, of, user, version, is_dev in drawn:
        elapsed += pause
        rows.append(error(elapsed / 1000, message, of, user_id=user, app_version=version, is_dev=is_dev))
    return rows


class Expected:
    """The rules, as they read, over all errors at once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.owners: dict[tuple[bool, str], int] = {}
        self.of_issue: defaultdict[int, list[Row]] = defaultdict(list)
        self.titles: dict[int, str] = {}
        for burst in bursts(rows):
            self._take(burst)

    def _take(self, burst: list[Row]) -> None:
        kinds = [(row["is_dev"], fingerprint(row["message"], None, None)) for row in burst]
        known = {self.owners[kind] for kind in kinds if kind in self.owners}
        oldest = min(known, key=lambda issue: self.of_issue[issue][0]["timestamp"], default=len(self.titles))
        if not known:
            readable = [row["message"] for row in burst if not row["message"].startswith(("metric:", "step:"))]
            self.titles[oldest] = [*readable, burst[0]["message"]][0]
        for kind, row in zip(kinds, burst, strict=True):
            issue = self.owners.setdefault(kind, oldest)
            self.of_issue[issue] = sorted([*self.of_issue[issue], row], key=lambda row: str(row["timestamp"]))

    def issues(self) -> list[Row]:
        rows = []
        for issue, errors in self.of_issue.items():
            occurrences: dict[str, Row] = {}
            for row in errors:
                occurrences.setdefault(row["session_id"], row)
            rows.append(
                {
                    "title": self.titles[issue],
                    "is_dev": int(errors[0]["is_dev"]),
                    "occurrence_count": len(occurrences),
                    "unique_user_count": len({row["user_id"] for row in occurrences.values()} - {None}),
                    "first_seen_at": errors[0]["timestamp"],
                    "last_seen_at": errors[-1]["timestamp"],
                    "first_seen_app_version": errors[0]["app_version"],
                    "last_seen_app_version": errors[-1]["app_version"],
                    "fingerprints": sorted(kind for (_, kind), owner in self.owners.items() if owner == issue),
                    "occurrences": [
                        (of, row["timestamp"], row["user_id"], row["app_version"], row["message"])
                        for of, row in occurrences.items()
                    ],
                }
            )
        return sorted(rows, key=lambda row: str(row["first_seen_at"]))


def bursts(rows: Sequence[Row]) -> list[list[Row]]:
    found: list[list[Row]] = []
    latest: dict[tuple[str, bool], list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row["timestamp"])):
        burst = latest.get((row["session_id"], row["is_dev"]))
        if burst is None or instant(row) - instant(burst[0]) > timedelta(seconds=5):
            burst = latest[row["session_id"], row["is_dev"]] = []
            found.append(burst)
        burst.append(row)
    return found


def instant(row: Row) -> datetime:
    return datetime.fromisoformat(row["timestamp"])


def scanned(tx: Transaction, portions: Sequence[Sequence[Row]], size: int = scan.BATCH) -> list[Row]:
    """The issues, after portions of errors that come and are scanned one after another."""
    for portion in portions:
        take_in(tx, portion)
        scan_in_batches(tx, size)
    return found(tx)


def test_any_errors_become_the_issues_that_the_rules_make_of_them_in_whatever_order_they_come(bench: Bench) -> None:
    @THOROUGH
    @given(EVENTS.map(as_rows), st.randoms(use_true_random=False))
    def attempt(rows: list[Row], random: Any) -> None:
        expected = Expected(rows).issues()
        shuffled = random.sample(rows, len(rows))
        for order in (rows, shuffled):
            issues = tried(bench.store, partial(scanned, portions=[order]))
            assert [{name: row[name] for name in expected[0]} for row in issues] == expected

    attempt()


def test_any_errors_become_the_same_issues_in_batches_of_any_size(bench: Bench) -> None:
    @THOROUGH
    @given(EVENTS.map(as_rows), st.sampled_from([1, 2, 7]))
    def attempt(rows: list[Row], size: int) -> None:
        whole = tried(bench.store, lambda tx: scanned(tx, [rows]))
        assert tried(bench.store, lambda tx: scanned(tx, [rows], size)) == whole

    attempt()


def test_any_errors_become_the_same_issues_in_scans_between_any_bursts(bench: Bench) -> None:
    @THOROUGH
    @given(EVENTS.map(as_rows), SIZES)
    def attempt(rows: list[Row], sizes: list[int]) -> None:
        parts = [[row for burst in part for row in burst] for part in cut(bursts(rows), sizes)]
        whole = tried(bench.store, lambda tx: scanned(tx, [rows]))
        assert tried(bench.store, lambda tx: scanned(tx, parts)) == whole

    attempt()


def cut(items: Sequence[Any], sizes: Sequence[int]) -> list[Sequence[Any]]:
    """The items in portions of these sizes, and the rest in one."""
    ends = [0]
    for size in sizes:
        ends.append(min(ends[-1] + size, len(items)))
    return [items[begin:end] for begin, end in pairwise([*ends, len(items)]) if begin < end]


FAMILIES = st.lists(
    st.tuples(
        st.integers(1, 3_000),
        st.sampled_from(["a", "metric:b", "c"]),
        st.integers(0, 2),  # of the session of that family
        st.sampled_from(["", " x", " y", " z"]),
        st.sampled_from(USERS),
        st.sampled_from(VERSIONS),
    ),
    max_size=25,
)


def led(drawn: Sequence[tuple[int, str, int, str, str | None, str]]) -> list[Row]:
    """Errors of which each session's bursts begin with the same kind, so that no cut leaves them another issue."""
    elapsed, rows = 0.0, list[Row]()
    begun: dict[int, float] = {}
    for pause, family, index, kind, user, version in drawn:
        elapsed += pause / 1000
        of = 10 * ("a", "metric:b", "c").index(family) + index
        if elapsed - begun.get(of, -100.0) > 5.0:
            begun[of], kind = elapsed, ""  # noqa: PLW2901 - the first of a burst
        rows.append(error(elapsed, f"{family}{kind}", of, user_id=user, app_version=version))
    return rows


def test_errors_become_the_same_issues_wherever_scans_cut_their_bursts(bench: Bench) -> None:
    @THOROUGH
    @given(FAMILIES.map(led), SIZES, st.sampled_from([1, 2, scan.BATCH]))
    def attempt(rows: list[Row], sizes: list[int], size: int) -> None:
        whole = tried(bench.store, lambda tx: scanned(tx, [rows]))
        assert tried(bench.store, lambda tx: scanned(tx, cut(rows, sizes), size)) == whole

    attempt()


STATUSES = st.sampled_from(["new", "in_progress", "resolved", "silenced", "snoozed", "regressed"])


def test_any_statuses_become_the_same_in_batches_of_any_size(bench: Bench) -> None:
    """Errors of issues that people have been at, of whom each is told once what has come of them."""

    @THOROUGH
    @given(EVENTS.map(as_rows), st.lists(STATUSES, min_size=7, max_size=7), st.sampled_from([1, 2, 7]))
    def attempt(rows: list[Row], statuses: list[str], size: int) -> None:
        def work(tx: Transaction, size: int) -> list[Row]:
            before = [error(-600 - 10 * index, it, 50 + index, app_version="0.1") for index, it in enumerate(MESSAGES)]
            scanned(tx, [before])
            for key, status in enumerate(statuses, start=1):
                version = "1.9" if status in ("resolved", "silenced", "snoozed") else None
                snoozed_at = tx.now if status == "snoozed" else None
                tx.run(
                    "UPDATE issues SET status = ?, resolved_at_version = ?, snoozed_at = ? WHERE key = ?",
                    (status, version, snoozed_at, key),
                )
            return scanned(tx, [rows], size)

        whole = tried(bench.store, lambda tx: work(tx, scan.BATCH))
        assert tried(bench.store, lambda tx: work(tx, size)) == whole
        for row in whole:
            reasons = [reason for _, reason, _ in row["notifications"]]
            assert reasons in (["opened"], ["opened", "regressed"], ["opened", "reopened"])
            assert (row["snoozed_at"] is not None) == (row["status"] == "snoozed")

    attempt()


# Lists, while a scan moves what they show


async def pages(world: World, limit: int) -> AsyncIterator[list[str]]:
    agent, cursor = world.acting_as("agent"), None
    while True:
        page = await agent.list_issues(SHOP, IssueFilter(data_mode="all"), cursor=cursor, limit=limit)
        yield [issue.id for issue in page.issues]
        if not (cursor := page.cursor):
            return


async def listed(world: World, limit: int = 200) -> list[str]:
    return [issue_id async for page in pages(world, limit) for issue_id in page]


async def seen_anew(bench: Bench, page: int) -> None:
    """Every issue, by turns: to the top, all in one scan."""
    bench.scan(*(error(1_000 + 60 * page + kind, kind_of(kind), 100 + page) for kind in range(page % 2, 12, 2)))


async def seen_earlier(bench: Bench, page: int) -> None:
    """Up the list, and not past where the walk is."""
    bench.scan(error(5 * page + 1, kind_of(page), 100 + page))


async def opened(bench: Bench, page: int) -> None:
    """New ones, at the top and in the midst of what is still to come."""
    bench.scan(error(2_000 + page, f"Fresh {'abcdefghijkl'[page]}", 200 + page))


async def seen_twice(bench: Bench, page: int) -> None:
    await seen_anew(bench, page)
    await seen_anew(bench, page + 20)


def kind_of(number: int) -> str:
    return f"Kind {'abcdefghijkl'[number]}"


@pytest.mark.parametrize("change", [seen_anew, seen_earlier, opened, seen_twice])
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_a_walk_meets_every_issue_once_while_scans_move_them(
    bench: Bench, change: Callable[[Bench, int], Any], limit: int
) -> None:
    bench.scan(*(error(10 * number, kind_of(number), number) for number in range(12)))
    everything = await listed(bench.world)
    met: list[str] = []
    number = 0
    async for page in pages(bench.world, limit):
        met += page
        if number < 12:
            await change(bench, number)
        number += 1
    assert [issue_id for issue_id in met if issue_id in everything] == everything
    assert len({*met}) == len(met)
    assert {*await listed(bench.world, 3)} >= {*everything}


# A store's events in another file


def test_an_export_keeps_events_and_what_is_yet_to_be_made_of_them(bench: Bench, tmp_path: Path) -> None:
    attachment = {"original_filename": "a.log", "content_type": "text/plain", "size_bytes": 7}
    bench.scan(error(0, "metric:a"), error(60, "b", of=2, user_id="ann", attachments=[attachment]))
    bench.send(
        error(1, "Readable", custom_attributes={"_error_type": "E", "ü": '"\\\n🦉'}, client_event_id=session(99)),
        error(61, "c", of=2, attachments=[attachment]),
        {**error(62, "only info", of=2), "level": "info"},
        error(120, "d", of=3, user_id="ann"),
    )
    document = dump(bench.store)
    with Store(tmp_path / "copy.db", bench.world.clock, first_start.leave_empty) as copy:
        copy.write(lambda tx: import_document(tx, read_document(document)))
        assert json.loads(dump(copy)) == json.loads(document)
        scans = [scan.scan_all(store.write) for store in (bench.store, copy)]
        assert scans[0] == scans[1] == Scanned(errors=3, occurrences=1, opened=1)
        assert copy.read(found) == bench.store.read(found)
        of_issues = "SELECT count(*), count(issue) FROM attachments"
        assert copy.read(lambda tx: tx.one(of_issues)) == (2, 2)
        assert [row["title"] for row in copy.read(found)] == ["Readable", "b", "d"]


def old_store(path: Path, clock: FakeClock) -> None:
    """A store as the first version left it, with the recorded world."""
    tables = {
        "teams": ("id", "name", "slug"),
        "projects": ("id", "team_id", "name", "slug"),
        "apps": ("id", "project_id", "name", "platform", "bundle_id"),
        "issues": tuple(name for name in FIXTURE["issues"][0] if name != "project_id"),
        "fingerprints": tuple(FIXTURE["fingerprints"][0]),
        "occurrences": tuple(FIXTURE["occurrences"][0]),
    }
    references = {"team_id": "teams", "project_id": "projects", "app_id": "apps", "issue_id": "issues"}
    with closing(transactions.connect(made_empty(path))) as connection:
        connection.execute(f"PRAGMA application_id = {file.APPLICATION_ID}")
        with transactions.transaction(connection, path, clock, writing=True) as tx:
            for statement in file._statements(schema.MIGRATIONS[0]):  # noqa: SLF001 - as the store itself does
                tx.run(statement)
            tx.run("PRAGMA user_version = 1")
            tx.insert("store", {"one": 1, "token_secret": "s", "created_at": tx.now})
            keys: dict[str, int] = {}
            for table, names in tables.items():
                for row in FIXTURE[table]:
                    values = {
                        name.removesuffix("_id") if name in references else name: keys[row[name]]
                        if name in references
                        else row[name]
                        for name in names
                    }
                    if table in ("teams", "projects", "apps"):
                        values["created_at"] = tx.now
                    key = tx.insert(table, values)
                    keys[row.get("id", "")] = key
        connection.execute("PRAGMA journal_mode = WAL")


def made_empty(path: Path) -> Path:
    path.touch()
    return path


def test_a_store_of_the_first_version_keeps_all_its_occurrences_and_sessions(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "old.db"
    old_store(path, clock)
    for _ in range(2):
        with Store(path, clock) as store:
            assert store.read(lambda tx: tx.one("PRAGMA user_version")) == (len(schema.MIGRATIONS),)
            assert json.loads(dump(store))["occurrences"] == FIXTURE["occurrences"]
            assert (
                store.read(lambda tx: tx.one("SELECT count(*), count(DISTINCT id) FROM sessions"))
                == (len({row["session_id"] for row in FIXTURE["occurrences"]}),) * 2
            )
            assert store.read(lambda tx: tx.all("PRAGMA foreign_key_check")) == []
            assert store.read(lambda tx: tx.one("PRAGMA integrity_check")) == ("ok",)


def shape(tx: Transaction) -> list[Any]:
    return tx.all("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2")


def test_a_store_of_the_first_version_is_migrated_to_what_a_new_one_is(tmp_path: Path, clock: FakeClock) -> None:
    old_store(tmp_path / "old.db", clock)
    shapes = []
    for name in ("old.db", "new.db"):
        with Store(tmp_path / name, clock, first_start.leave_empty) as store:
            shapes.append(store.read(shape))
    assert shapes[0] == shapes[1]
    assert "occurrences_1" not in str(shapes)


def test_a_migrated_store_scans_on_in_the_sessions_it_knows(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "old.db"
    old_store(path, clock)
    occurrence = FIXTURE["occurrences"][0]
    (issue,) = [row for row in FIXTURE["issues"] if row["id"] == occurrence["issue_id"]]
    (known, *_) = [row["fingerprint"] for row in FIXTURE["fingerprints"] if row["issue_id"] == issue["id"]]
    real = fingerprint(issue["title"], issue["source_module"], None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE fingerprints SET fingerprint = ? WHERE fingerprint = ?", (real, known))
    with Store(path, clock) as store:
        # An error whose fingerprint is the issue's, in a session that the issue has had.
        document = {
            "events": [
                error(0, issue["title"])
                | {
                    "id": session(1),
                    "app_id": issue["app_id"],
                    "is_dev": issue["is_dev"],
                    "session_id": occurrence["session_id"],
                    "received_at": NOW,
                    "source_module": issue["source_module"],
                }
            ]
        }
        store.write(lambda tx: import_document(tx, read_document(json.dumps(document))))
        assert scan.scan_all(store.write) == Scanned(errors=1)
        seen = "SELECT last_seen_at, occurrence_count FROM issues WHERE id = ?"
        assert store.read(lambda tx: tx.one(seen, (issue["id"],))) == (at(0), issue["occurrence_count"])


def test_the_schema_of_the_first_version_is_what_sqlite_itself_reads(tmp_path: Path, clock: FakeClock) -> None:
    old_store(tmp_path / "old.db", clock)
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        (count,) = connection.execute("SELECT count(session_id) FROM occurrences").fetchone()
    assert count == len(FIXTURE["occurrences"])
