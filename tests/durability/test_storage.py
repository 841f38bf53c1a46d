"""What servers make of a full disk, a file that is read-only, deleted, replaced or damaged, and a lock: a clear error,
nothing that was acknowledged lost, and no restart once the cause is gone.
"""

import json
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from owlmetry_mcp.backends.store import transactions
from owlmetry_mcp.backends.store.copying import back_up
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.errors import StoreError
from tests.agent import agent_of
from tests.durability.ground import error, grow, looked_at, prepare, wrongs
from tests.durability.privileges import obeying_permissions
from tests.durability.served import FACES, Served, comments
from tests.test_stdio import COMMAND
from tests.world import SYMBOLS, World


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A store with an issue; its project, and an agent's key."""
    path = tmp_path_factory.mktemp("ground") / "store.db"
    project, (party,) = prepare(path, ["Ada"])
    grow(path, party.app_id, Random(1), issues=1, occurrences=200)
    return path, project, party.secret


@pytest.fixture
def path(ground: tuple[Path, str, str], tmp_path: Path) -> Path:
    copy = tmp_path / "store.db"
    shutil.copyfile(ground[0], copy)
    return copy


@pytest.fixture(params=FACES)
def served(request: pytest.FixtureRequest, path: Path, ground: tuple[Path, str, str]) -> Iterator[Served]:
    server = Served(request.param, path, *ground[1:])
    yield server
    server.link.kill()


def limit_files(process: int, size: int) -> None:
    resource.prlimit(process, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_where_there_is_no_room_a_write_is_refused_and_done_once_there_is(served: Served) -> None:
    served.comment("before")
    limit_files(served.link.process.pid, 64 * 1024)
    for _ in range(3):
        served.refuses("cannot be read or written: the disk reports an error. Nothing was changed; look at the disk")
        served.reads()
    limit_files(served.link.process.pid, resource.RLIM_INFINITY)
    served.comment("after")
    assert comments(served.path) == ["before", "after"]


def test_a_full_disk_is_told_and_the_same_connection_goes_on_once_there_is_room(path: Path) -> None:
    grown = "UPDATE teams SET name = name || hex(zeroblob(200000))"
    with Store(path) as store:
        connection = store._writes.connection  # noqa: SLF001 - the limit is a connection's own
        connection.execute("PRAGMA max_page_count = 1")  # no less than it has
        with pytest.raises(StoreError, match=r"has no room to grow: the disk is full. Nothing was changed; make room"):
            store.write(lambda tx: tx.run(grown))
        assert store.read(lambda tx: tx.all("SELECT name FROM teams")) == [("My team",)]
        connection.execute("PRAGMA max_page_count = 1000000")
        store.write(lambda tx: tx.run("UPDATE teams SET name = 'grown'"))
        assert store._writes.connection is connection  # noqa: SLF001
    assert wrongs(path) == []


def test_an_ingest_without_room_says_so_and_the_next_takes_in_all(path: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    random = Random(2)
    rows = [error(random, datetime.now(UTC), "More") for _ in range(2000)]
    events.write_text("\n".join(map(json.dumps, rows)))
    command = [*COMMAND, "ingest", str(events), "--app", "Ada", "--store", str(path)]

    limited = ["/bin/sh", "-c", 'ulimit -f 400 && exec "$@"', "sh", *command]
    before = counts(path)
    done = subprocess.run(limited, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert "disk reports an error. Nothing was changed; look at the disk" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert (counts(path), wrongs(path)) == (before, [])
    subprocess.run(command, capture_output=True, check=True)
    assert (counts(path), wrongs(path)) == (before + 2000, [])


def counts(path: Path) -> int:
    count: int = looked_at(path, lambda tx: tx.one("SELECT count(*) FROM events"))[0]
    return count


@pytest.mark.parametrize("face", FACES)
def test_a_read_only_file_takes_writes_again_once_it_may_be_written(
    path: Path, ground: tuple[Path, str, str], face: str
) -> None:
    path.chmod(0o400)
    served = Served(face, path, *ground[1:])
    try:
        served.refuses(
            "cannot be written to. Nothing was changed; check the permissions of the file and of its directory"
        )
        served.reads()
        path.chmod(0o600)
        served.comment("after")
    finally:
        served.link.kill()
    assert comments(path) == ["after"]


def test_a_command_on_a_read_only_file_says_so(path: Path) -> None:
    path.chmod(0o400)
    command = obeying_permissions(*COMMAND, "projects", "add", "More", "--store", str(path))
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        f"owlmetry-mcp: The store {path} cannot be written to."
        " Nothing was changed; check the permissions of the file and of its directory.\n"
    )


def test_a_store_that_is_deleted_takes_no_write_until_a_copy_is_put_back(served: Served, tmp_path: Path) -> None:
    served.comment("before")
    back_up(served.path, tmp_path / "copy.db")
    served.comment("after the copy")
    served.path.unlink()
    for to_read in (False, True, False):
        served.refuses(
            "is gone: it was deleted or moved while it was in use. Nothing was changed. Put it ", to_read=to_read
        )
    assert not served.path.exists()
    (tmp_path / "copy.db").replace(served.path)
    served.comment("later")
    assert comments(served.path) == ["before", "later"]


def test_a_store_that_is_moved_away_takes_all_it_acknowledged_along_and_back(served: Served, tmp_path: Path) -> None:
    served.comment("before")
    served.path.replace(tmp_path / "moved.db")
    served.refuses("is gone")
    assert comments(tmp_path / "moved.db") == ["before"]
    (tmp_path / "moved.db").replace(served.path)
    served.comment("after")
    assert comments(served.path) == ["before", "after"]


def test_another_store_in_its_place_is_told_once_and_then_used(served: Served, tmp_path: Path) -> None:
    back_up(served.path, tmp_path / "copy.db")
    served.comment("to the first")
    served.path.replace(tmp_path / "first.db")
    (tmp_path / "copy.db").replace(served.path)
    served.refuses(
        "was replaced by another file while it was in use. Nothing was changed. From now on that one is used"
    )
    served.comment("to the second")
    assert comments(served.path) == ["to the second"]
    assert comments(tmp_path / "first.db") == ["to the first"]


def test_who_comes_before_a_server_has_noticed_gets_the_store_that_is_there_and_no_others_log(
    path: Path, ground: tuple[Path, str, str], tmp_path: Path
) -> None:
    servers = [Served(face, path, *ground[1:]) for face in FACES]
    try:
        copy = tmp_path / "copy.db"
        with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(copy)) as other:
            connection.backup(other)
            other.execute("DELETE FROM audit")
            other.execute("UPDATE teams SET name = 'The second'")
            other.commit()
            other.execute("VACUUM")
        for number, server in enumerate(servers):
            server.comment(f"to the first, {number}")
        path.replace(tmp_path / "first.db")
        copy.replace(path)
        done = subprocess.run([*COMMAND, "check", "--store", str(path)], capture_output=True, check=False)
        assert (done.returncode, done.stderr.decode()) == (0, f"The store {path} is sound.\n")
        last = Served("api", path, *ground[1:])
        servers.append(last)
        last.comment("to the second, 2")
        for number, server in enumerate(servers[:2]):
            server.refuses("was replaced by another file")
            server.comment(f"to the second, {number}")
        last.comment("to the second, 3")
    finally:
        for server in servers:
            server.link.kill()
    assert comments(path) == [f"to the second, {number}" for number in (2, 0, 1, 3)]
    assert comments(tmp_path / "first.db") == [f"to the first, {number}" for number in (0, 1)]


def test_a_store_that_is_replaced_while_it_is_written_to_is_not_said_to_hold_it(path: Path, tmp_path: Path) -> None:
    back_up(path, tmp_path / "copy.db")
    with Store(path) as store:

        def work(tx: transactions.Transaction) -> None:
            tx.run("UPDATE teams SET name = 'written'")
            (tmp_path / "copy.db").replace(path)

        with pytest.raises(StoreError, match=r"was deleted or replaced while this was written to it\. It is not in"):
            store.write(work)
        with pytest.raises(StoreError, match=r"was replaced by another file"):
            store.read(names)
        assert store.read(names) == [("My team",)]
    assert wrongs(path) == []


def test_a_write_is_done_though_a_read_meets_damage_at_the_same_time(path: Path) -> None:
    with Store(path) as store:

        def damaged(_: transactions.Transaction) -> None:
            raise sqlite3.DatabaseError

        def work(tx: transactions.Transaction) -> None:
            tx.run("UPDATE teams SET name = 'written'")
            with pytest.raises(StoreError, match="is damaged"):
                store.read(damaged)

        store.write(work)
        assert store.read(names) == [("written",)]


def names(tx: transactions.Transaction) -> list[Any]:
    return tx.all("SELECT name FROM teams")


def test_the_log_of_a_program_that_lost_its_lock_on_the_file_is_not_taken_for_anothers(path: Path) -> None:
    """As it does by opening and closing the file besides SQLite."""
    with Store(path) as store:
        store.write(lambda tx: tx.run("UPDATE projects SET name = 'In the log'"))
        path.read_bytes()
        command = [*COMMAND, "projects", "list", "--store", str(path)]
        assert "In the log" in subprocess.run(command, capture_output=True, check=True, text=True).stdout


async def test_another_store_is_another_version(path: Path, tmp_path: Path) -> None:
    back_up(path, tmp_path / "copy.db")
    with Store(path) as store:
        before = await store.version()
        (tmp_path / "copy.db").replace(path)
        with pytest.raises(StoreError, match="was replaced"):
            await store.version()
        assert await store.version() != before


@pytest.mark.parametrize("content", [b"My diary.\n" * 1000, b""], ids=["text", "empty"])
def test_what_is_no_store_in_its_place_is_told_and_left_as_it_is(
    served: Served, tmp_path: Path, content: bytes
) -> None:
    served.comment("before")
    (tmp_path / "other").write_bytes(content)
    served.path.replace(tmp_path / "moved.db")
    (tmp_path / "other").replace(served.path)
    served.refuses("was replaced by another file")
    served.refuses("is not a store of owlmetry-mcp; it was left as it is")
    assert served.path.read_bytes() == content
    (tmp_path / "moved.db").replace(served.path)
    served.comment("after")
    assert comments(served.path) == ["before", "after"]


def test_a_log_without_its_store_is_neither_lost_nor_given_to_a_new_one(path: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("UPDATE teams SET name = 'in the log'")
        log = Path(f"{path}-wal").read_bytes()
    path.replace(tmp_path / "moved.db")
    Path(f"{path}-wal").write_bytes(log)
    with pytest.raises(StoreError, match=r"is gone, but its log, store\.db-wal, is still there\. Put the store back"):
        Store(path)
    assert not path.exists()
    Path(f"{path}-wal").unlink()
    with Store(path) as store:
        assert store.read(names) == [("My team",)]


def test_a_damaged_page_is_told_and_a_copy_in_its_place_is_gone_on_with(served: Served, tmp_path: Path) -> None:
    back_up(served.path, tmp_path / "copy.db")
    damage(served.path)
    served.refuses("is damaged. Nothing was changed. `owlmetry-mcp check` says what is wrong; restore the store from")
    served.refuses("is damaged", to_read=True)
    done = subprocess.run([*COMMAND, "check", "--store", str(served.path)], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"wrong integrity" in done.stdout
    (tmp_path / "copy.db").replace(served.path)
    served.comment("after")
    assert comments(served.path) == ["after"]


def damage(path: Path) -> None:
    """Overwrite the first page of the issues' table in the midst of the file."""
    with closing(sqlite3.connect(path)) as connection:
        ((page,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'issues'")
        ((size,),) = connection.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
        os.fsync(file.fileno())


async def test_a_lock_of_another_program_is_told_and_waited_for_no_longer_once_it_is_gone(world: World) -> None:
    world.store._writes.connection.execute("PRAGMA busy_timeout = 50")  # noqa: SLF001 - instead of 20 s
    agent, body = agent_of(world), {"issue_id": SYMBOLS["i_timeout"], "project_id": SYMBOLS["shop"], "body": "Found it"}
    with closing(sqlite3.connect(world.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            assert "is locked by another program. It waited 20 s and changed" in await agent.refused("comment", **body)
        assert (await agent.call("whoami"))["name"] == "Triage Agent"
        other.execute("ROLLBACK")
    assert (await agent.call("comment", **body))["body"] == "Found it"
    assert wrongs(world.store.path) == []
