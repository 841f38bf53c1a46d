"""`python -m tests.durability`: what is killed loses nothing, round after round; nor what meets a lock or a full disk.

The full disk is a file system of its own, which root alone can mount.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from tests.durability.conditions import full, locked
from tests.durability.crashes import Servers
from tests.durability.ingests import Ingests
from tests.durability.links import Refusal
from tests.durability.merges import Merges
from tests.durability.tally import HEAD, Tally, line, row

KILLED = ("stdio", "api", "ingest", "merge")
CONDITIONS: dict[str, Callable[[Path, Tally], None]] = {"lock": locked, "disk": full}
SUBJECTS = (*KILLED, "lock", *["disk"] * (os.geteuid() == 0))


class _Subject(Protocol):
    def round(self, tally: Tally) -> None: ...

    def finish(self, tally: Tally) -> None: ...


def begun(subject: str, directory: Path, random: Random, occurrences: int) -> _Subject:
    match subject:
        case "ingest":
            return Ingests(directory, random)
        case "merge":
            return Merges(directory, random, occurrences)
        case _:
            return Servers(directory, random, subject)


def crashed(subject: str, rounds: int, seed: int, directory: Path, occurrences: int = 3_000) -> Tally:
    """So many rounds, or as many as are without fault; issues that are merged have so many occurrences."""
    tally = Tally(subject)
    under_test = begun(subject, directory, Random(f"{seed} {subject}"), occurrences)
    while tally.rounds < rounds and not tally.faults:
        under_test.round(tally)
        tally.rounds += 1
    under_test.finish(tally)
    return tally


def met(subject: str, directory: Path) -> Tally:
    tally = Tally(subject, rounds=1)
    try:
        CONDITIONS[subject](directory, tally)
    except (AssertionError, Refusal, pytest.fail.Exception) as error:
        tally.faults.append(str(error))
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="of each that is killed (200)")
    parser.add_argument("--seed", type=int, default=1, help="what is written, and when it is killed, go by it (1)")
    parser.add_argument("--only", choices=SUBJECTS, help="one subject of them")
    parsed = parser.parse_args()
    is_sound = True
    _say(line(HEAD))
    for subject in [parsed.only] if parsed.only else SUBJECTS:
        with tempfile.TemporaryDirectory() as directory:
            tally = (
                met(subject, Path(directory))
                if subject in CONDITIONS
                else crashed(subject, parsed.rounds, parsed.seed, Path(directory))
            )
        _say(row(tally), *tally.faults)
        is_sound &= not tally.faults
    return 0 if is_sound else 1


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{said}\n" for said in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
