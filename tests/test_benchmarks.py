"""The benchmarks run; what they measure is nothing to assert."""

import json
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import events, filling, shop
from benchmarks.events import Shape
from benchmarks.shop import Size
from owlmetry_mcp.issues.events import Terms, checked
from owlmetry_mcp.issues.fingerprints import fingerprint
from tests.world import ROOT

TABLE = """\
Python N, SQLite N, on W, runs: N
an empty file, start-up alone: N s, N s CPU, peak N MB

N events, N fingerprints, N events a session
events/s best CPU µs/event
ingest N N N
fingerprinting N N N
inserts N N N
time of ingest / of both floors: N (N by CPU time)
peak N MB, store N MB

a scan of nothing new, N events stored
in an open store N ms
as a process N ms over a start-up of N ms
"""


DUPLICATES_TABLE = """\
Python N, on W, runs: N
 by precision recall F1 pairs
tuning wording N N N N
tuning and sessions N N N N
 N messages, N problems, N of them told more than once
held out wording N N N N
held out and sessions N N N N
 N messages, N problems, N of them told more than once

N issues, N titles
duplicates N ms (N ms CPU), best N ms
each title normalised once N ms (N ms CPU), best N ms
ratio N (N by CPU time)
find_duplicates N ms the first time, then N ms
"""


def test_the_ingest_benchmark_prints_its_table() -> None:
    command = [sys.executable, "-m", "benchmarks.ingest", "--events", "300", "--fingerprints", "20", "--runs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert without_numbers(done.stdout).replace("\n ", "\n") == TABLE


def test_the_duplicates_benchmark_prints_its_table() -> None:
    command = [sys.executable, "-m", "benchmarks.duplicates", "--issues", "30", "--runs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert without_numbers(done.stdout) == DUPLICATES_TABLE


STARTUP_TABLE = """\
Python N, on W, runs: N

 first tools/list exit peak tools
owlmetry-mcp N ms N ms N MB N
a bare server N ms N ms N MB N
ratio Nx Nx Nx
"""


def test_the_startup_benchmark_prints_its_table() -> None:
    command = [sys.executable, "-m", "benchmarks.startup", "--runs", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert without_numbers(re.sub(r"[\d.]+x", "Nx", done.stdout)) == STARTUP_TABLE


CALLS = [
    ("list_issues, of a rare status / of a common one", "ms", True, 1.05),
    ("list_issues, page N / the first", "ms", True, 1.6),
    ("list_issues, N of N issues", "ms", True, 2.5),
    ("list_issues, N of a common status", "ms", True, 2.5),
    ("list_issues, N of a rare status", "ms", True, 2.5),
    ("get_issue, the busiest, its evidence", "ms", True, 2),
    ("comment, durably", "ms", True, 2.5),
    ("triage_overview", "ms", True, 4),
    ("get_issue, the busiest, N occurrences", "ms", True, None),
    ("update_status", "ms", True, None),
    ("get_event", "ms", True, None),
    ("get_breadcrumbs", "ms", True, None),
    ("find_duplicates of one issue", "ms", True, None),
    ("find_duplicates", "ms", True, None),
    ("nothing at N / N", "ms", True, 1.3),
    ("list_issues, N at N / N", "ms", True, 1.3),
    ("list_issues, N of a rare status at N / N", "ms", True, 1.3),
    ("list_issues, a page far down at N / N", "ms", True, 1.3),
    ("get_issue, the busiest, its evidence at N / N", "ms", True, 1.3),
    ("comment, durably at N / N", "ms", True, 1.3),
    ("triage_overview at N / N", "ms", True, 1.3),
]


def test_the_benchmark_of_calls_prints_each_with_its_limit(tmp_path: Path) -> None:
    assert told(tmp_path, "benchmarks.calls", "--issues", "300", "--runs", "1") == CALLS


LOAD = [
    *(
        row
        for face in ("MCP", "HTTP")
        for row in (
            (f"N agents over {face}, calls a second", "", True, None),
            (f"N agents over {face}, median", "ms", True, None),
            (f"N agents over {face}, p99", "ms", True, None),
            (f"N agents over {face}, calls refused", "", False, 0),
            (f"N agents over {face}, writes lost of N", "", False, 0),
        )
    ),
    ("beside a slow reader and an ingest, a read, median", "ms", False, None),
    ("beside a slow reader and an ingest, a read, p99", "ms", False, 100),
    ("beside a slow reader and an ingest, a read, longest", "ms", False, 100),
    ("beside a slow reader and an ingest, a write, median", "ms", False, None),
    ("beside a slow reader and an ingest, a write, longest", "ms", False, None),
    ("beside a slow reader and an ingest, calls refused", "", False, 0),
    ("beside a slow reader and an ingest, writes lost of N", "", False, 0),
]


def test_under_load_no_call_is_refused_and_no_write_lost(tmp_path: Path) -> None:
    assert told(tmp_path, "benchmarks.load", "--issues", "300", "--agents", "2", "--seconds", "0.3") == LOAD
    counted = [row for row in rows_in(tmp_path) if row["limit"] == 0]
    assert [row["ours"] for row in counted] == [0] * 6


LIVE = [
    ("live: list_issues, N / a GET", "ms", True, 1.5),
    ("live: get_issue, N occurrences / a GET", "ms", True, 1.5),
    ("live: get_issue, N occurrences / a GET", "ms", True, 1.5),
    ("live: comment / a GET of those there are and a POST", "ms", True, 1.5),
    ("live: comment / a POST alone", "ms", True, None),
]


def test_benchmarks_named_alone_are_run_alone(tmp_path: Path) -> None:
    assert told(tmp_path, "benchmarks", "live", "--issues", "300", "--runs", "2") == LIVE


def told(folder: Path, module: str, *arguments: str) -> list[tuple[str, str, bool, float | None]]:
    """What a benchmark's rows are of, in what unit, whether beside a floor, and their limits; as table and as JSON."""
    command = [
        sys.executable,
        "-m",
        module,
        *arguments,
        "--store-dir",
        str(folder),
        "--json",
        str(folder / "rows.json"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = rows_in(folder)
    table = done.stdout.partition("ours         floor    ratio       limit\n")[2].partition("\n\n")[0]
    assert [line[:64].rstrip() for line in table.splitlines()] == [row["what"] for row in rows]
    assert all(line.endswith(verdict(row)) for line, row in zip(table.splitlines(), rows, strict=True))
    return [
        (re.sub(r"\b\d[\d,]*", "N", row["what"]), row["unit"], row["floor"] is not None, row["limit"]) for row in rows
    ]


def rows_in(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "rows.json").read_text())["rows"]
    return rows


def verdict(row: dict[str, Any]) -> str:
    if row["limit"] is None:
        return "x" if row["floor"] else row["unit"]
    return "OVER" if (row["ratio"] or row["ours"]) > row["limit"] else "  ok"


def test_the_stores_to_measure_on_are_sound(tmp_path: Path) -> None:
    """Their counts, what they say of when issues were seen, and all that the check looks at."""
    filling.make(tmp_path / "store.db", Size(issues=200, occurrences=4_000), datetime.now(UTC))
    command = [sys.executable, "-m", "owlmetry_mcp", "check", "--store", str(tmp_path / "store.db")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert {line.partition(" ")[0] for line in done.stdout.splitlines()} == {"ok"}
    assert done.returncode == 0


def test_the_stores_to_measure_on_are_the_same_every_time_and_of_the_shape_asked_for(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("one.db", "another.db")]
    for path in paths:
        filling.make(path, Size(issues=600, occurrences=9_000), datetime(2026, 10, 21, tzinfo=UTC))
    one, another = (everything(path) for path in paths)
    assert one == another
    statuses = Counter(row[3] for row in one["issues"])
    assert statuses.total() == len(one["issues"]) == 600
    assert statuses[shop.RARE] >= 50
    assert statuses[shop.COMMON] == max(statuses.values())
    assert len(one["occurrences"]) == 9_000
    hits = Counter(row[2] for row in one["occurrences"])
    assert hits.most_common(1)[0][0] == next(row[0] for row in one["issues"] if row[1] == shop.BUSIEST)
    assert {row[2] for row in one["issues"]} == {1, 2, 3, 4, 5}


def everything(store: Path) -> dict[str, list[Any]]:
    tables = ("issues", "occurrences", "sessions", "events", "comments", "fingerprints", "notifications")
    with closing(sqlite3.connect(store)) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}  # noqa: S608 - from above


def without_numbers(output: str) -> str:
    """Each number as N, where it ran as W, and runs of spaces as one."""
    worded = re.sub(r"[+-]?(?<!F)\d[\d.,]*\b", "N", re.sub(r"on (core \d+ alone|any core)", "on W", output))
    return re.sub(" {2,}", " ", worded)


def test_the_events_are_the_same_every_time_and_of_the_shape_asked_for(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one", "another")]
    for file in files:
        events.write(file, Shape(events=300, fingerprints=20, events_per_session=5))
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = [json.loads(line) for line in files[0].read_text().splitlines()]
    taken = [checked(line, Terms.at("2025-02-01T00:00:00.000Z", "backend", None)) for line in lines]
    assert len({event.client_event_id for event in taken}) == 300
    assert len({event.session_id for event in taken}) == 60
    assert len({fingerprint(event.content["message"], event.content["source_module"], None) for event in taken}) == 20


def test_no_answer_is_longer_than_it_may_be() -> None:
    """Sizes, unlike times, are the same on every machine."""
    command = [sys.executable, "-m", "benchmarks.answers", "--occurrences", "1000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "OVER" not in done.stdout
    for row in ("a list of 12 issues, recorded", "a list of 50 issues, made up", "50 occurrences of 500"):
        assert re.search(
            rf"^{row} +[\d,]+ +[\d,]+ +[\d.]+% of \d+% +[\d,]+ +[\d.]+% of \d+%", done.stdout, re.MULTILINE
        )
    full = re.findall(r"^the overview of .*full.*? +([\d,]+) +of 4,000 +([\d,]+) +of 4,000", done.stdout, re.MULTILINE)
    assert len(full) == 2
    assert all(3_600 < int(data.replace(",", "")) <= 4_000 for data, _ in full)
