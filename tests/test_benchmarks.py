"""The benchmarks run; what they measure is nothing to assert."""

import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks import events
from benchmarks.events import Shape
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
