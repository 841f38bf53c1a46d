"""`python -m tests.durability`: what is killed loses nothing, round after round."""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Protocol

from tests.durability.crashes import Servers
from tests.durability.ingests import Ingests
from tests.durability.merges import Merges
from tests.durability.tally import Tally, table

SUBJECTS = ("stdio", "api", "ingest", "merge")


class _Subject(Protocol):
    def round(self, tally: Tally) -> None: ...

    def finish(self, tally: Tally) -> None: ...


def begun(subject: str, directory: Path, random: Random) -> _Subject:
    match subject:
        case "ingest":
            return Ingests(directory, random)
        case "merge":
            return Merges(directory, random)
        case _:
            return Servers(directory, random, subject)


def crashed(subject: str, rounds: int, seed: int, directory: Path) -> Tally:
    tally = Tally(subject)
    under_test = begun(subject, directory, Random(f"{seed} {subject}"))
    while tally.rounds < rounds and not tally.faults:
        under_test.round(tally)
        tally.rounds += 1
    under_test.finish(tally)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.durability", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="of each subject (200)")
    parser.add_argument("--seed", type=int, default=1, help="what is written, and when it is killed, go by it (1)")
    parser.add_argument("--only", choices=SUBJECTS, help="one subject of them")
    parsed = parser.parse_args()
    started, tallies = time.monotonic(), []
    for subject in [parsed.only] if parsed.only else SUBJECTS:
        with tempfile.TemporaryDirectory() as directory:
            tallies.append(crashed(subject, parsed.rounds, parsed.seed, Path(directory)))
    faults = [f"{it.subject}, round {it.rounds}: {fault}" for it in tallies for fault in it.faults]
    said = [table(tallies), *faults, f"{time.monotonic() - started:.0f} s"]
    sys.stdout.write("\n".join([*said, ""]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
