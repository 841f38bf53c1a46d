"""What takes long, or root: a lock that is held for a minute, and a disk that is full, each met by both servers."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from sqlite3 import connect

from tests.durability.ground import grow, prepare
from tests.durability.links import Refusal
from tests.durability.served import FACES, Served, comments
from tests.durability.tally import Tally

LOCK_SECONDS = 60


def locked(directory: Path, tally: Tally) -> None:
    """Reads are answered all the while; writes are told after the time that a transaction waits, and go on after."""
    path = directory / "store.db"
    with _served(path) as servers, closing(connect(path, isolation_level=None)) as other:
        for server in servers:
            server.comment("before")
        other.execute("BEGIN IMMEDIATE")
        until = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < until:
            for server in servers:
                server.reads()
                server.refuses("is locked by another program. It waited 20 s and changed nothing; try again", busy=True)
                tally.not_kept += 1
        other.execute("ROLLBACK")
        for server in servers:
            server.comment("after")
        tally.acknowledged += 4
    assert comments(path) == ["before", "before", "after", "after"]


def full(directory: Path, tally: Tally) -> None:
    """A disk of 2 MiB is written to until it is full, and then made larger."""
    _run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(directory))
    path = directory / "store.db"
    try:
        with _served(path) as servers:
            kept: list[str] = []
            for server in servers:
                try:
                    while True:
                        server.comment(body := f"{len(kept)} {'x' * 9_000}")
                        kept.append(body)
                except Refusal:
                    server.refuses("has no room to grow: the disk is full. Nothing was changed; make room", body=body)
                    tally.not_kept += 1
                server.reads()
            assert comments(path) == kept
            _run("mount", "-o", "remount,size=8m", str(directory))
            for server in servers:
                server.comment("after")
            tally.acknowledged += len(kept) + 2
        assert comments(path) == [*kept, "after", "after"]
    finally:
        _run("umount", str(directory))


def _run(command: str, *arguments: str) -> None:
    subprocess.run([shutil.which(command) or command, *arguments], check=True)


@contextmanager
def _served(path: Path) -> Iterator[list[Served]]:
    project, (party,) = prepare(path, ["Ada"])
    grow(path, party.app_id, Random(1), issues=1, occurrences=20)
    servers = [Served(face, path, project, party.secret) for face in FACES]
    try:
        yield servers
    finally:
        for server in servers:
            server.link.kill()
