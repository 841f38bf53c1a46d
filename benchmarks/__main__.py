"""All benchmarks, one after another, each in processes of its own, and one table of them all."""

import subprocess
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import rows, stores
from benchmarks.measured import ROOT
from benchmarks.rows import Row


class _Arguments(NamedTuple):
    small: Sequence[str]
    full: Sequence[str]
    passed_on: Sequence[str] = ()
    """Options that it takes as they are given here."""


_OF_STORES = ("store_dir", "issues")
_BENCHMARKS: Mapping[str, _Arguments] = {
    "startup": _Arguments(("--runs", "5"), (), ("runs",)),
    "calls": _Arguments((), ("--full",), ("runs", *_OF_STORES)),
    "load": _Arguments((), ("--full",), _OF_STORES),
    "live": _Arguments((), ("--full",), ("runs", *_OF_STORES)),
    "streamable": _Arguments((), ("--full",), ("runs", *_OF_STORES)),
    "answers": _Arguments(("--occurrences", "1000"), ()),
    "ingest": _Arguments(("--events", "10000", "--fingerprints", "1000", "--runs", "1"), ("--million",), ("runs",)),
    "duplicates": _Arguments(("--issues", "1000", "--runs", "3"), (), ("runs",)),
}


def main() -> None:
    parser = ArgumentParser("python -m benchmarks", description=__doc__, allow_abbrev=False)
    stores.add_options(parser)
    rows.add_option(parser)
    parser.set_defaults(json=Path(__file__).with_name("results.json"))
    parser.add_argument("--runs", type=int, metavar="N", help="how often each call, start and the like is measured")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"these alone: {', '.join(_BENCHMARKS)}")
    asked = parser.parse_args()
    if unknown := {*asked.names} - {*_BENCHMARKS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_BENCHMARKS)}")
    with stores.folder(asked) as folder:
        asked.store_dir = folder
        rows.keep(asked, rows.show(_all(asked)))
    print(f"\nWritten to {asked.json}")


def _all(asked: Namespace) -> Iterator[Row]:
    for name in asked.names or _BENCHMARKS:
        of = _BENCHMARKS[name]
        given = [
            part
            for option in of.passed_on
            if (value := getattr(asked, option)) is not None
            for part in (f"--{option.replace('_', '-')}", str(value))
        ]
        with tempfile.TemporaryDirectory() as within:
            file = Path(within, "rows.json")
            module = (sys.executable, "-m", f"benchmarks.{name}", "--json", str(file))
            command = (*module, *(of.full if asked.full else of.small), *given)
            # Those whose answers are too long say so by their exit, and have told their figures all the same.
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
            if not file.exists():
                raise SystemExit(f"{' '.join(command)} failed")
            yield from rows.kept(file)


if __name__ == "__main__":
    main()
