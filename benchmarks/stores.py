"""Stores of many issues to ask things of, kept from run to run."""

import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from benchmarks import filling, shop
from benchmarks.shop import MEAN, Size
from owlmetry_mcp.backends.store import derived, schema, summaries

_OLD_SECONDS = 86_400
"""A store made longer ago is made anew: what was seen lately no longer is."""


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--full", action="store_true", help="with the sizes that count, which takes a while")
    parser.add_argument("--issues", type=int, metavar="N", help=f"so many instead, each hit {MEAN} times on average")
    parser.add_argument("--store-dir", type=Path, metavar="DIR", help="keeps the stores from run to run")


@contextmanager
def folder(asked: Namespace) -> Iterator[Path]:
    """Where stores are kept, as the options have it; one that goes with this run where they name none."""
    if asked.store_dir:
        asked.store_dir.mkdir(parents=True, exist_ok=True)
        yield asked.store_dir
    else:
        with tempfile.TemporaryDirectory(prefix="owlmetry-benchmark-") as made_for_this:
            yield Path(made_for_this)


@contextmanager
def copy(size: Size, folder: Path) -> Iterator[Path]:
    """A store of that size to measure on; what it is a copy of stays in the folder, for the next.

    It is settled on the disk, so that what is measured does not share that with the copying.
    """
    with tempfile.TemporaryDirectory(dir=folder) as within:
        store = Path(within, "store.db")
        shutil.copyfile(_made(size, folder), store)
        with store.open("rb+") as file:
            os.fsync(file.fileno())
        yield store


def _made(size: Size, folder: Path) -> Path:
    """By a name that changes with whatever makes it."""
    sources = (filling.__file__, shop.__file__, schema.__file__, derived.__file__, summaries.__file__)
    digest = sha256(b"".join(Path(source).read_bytes() for source in sources)).hexdigest()[:8]
    path = folder / f"{size.issues}-{size.occurrences}-{digest}.db"
    if not path.exists() or time.time() - path.stat().st_mtime > _OLD_SECONDS:
        print(f"making a store of {size.issues:,} issues and {size.occurrences:,} occurrences", file=sys.stderr)
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        filling.make(draft, size, datetime.now(UTC))
        draft.replace(path)
    return path
