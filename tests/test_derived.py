"""What the store keeps beside its rows is right after each write: counts, last comments, what occurrences come to."""

import json
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store import derived, summaries, transactions
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.issues.evidence import OccurrenceSummary
from tests.test_scan import Bench, error, old_store
from tests.triage_rows import Seen, add_issue, add_occurrences, at, id_of, unheard
from tests.world import FIXTURE, SYMBOLS, FakeClock, World

SHOP = SYMBOLS["shop"]
CELLS = [*product(("api", "ios"), (0, 1), ("new", "in_progress"))]
"""What issues are counted by."""


@pytest.fixture
def bench(quiet_world: World) -> Bench:
    return Bench(quiet_world)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two occurrences are many, and three versions are too many to keep."""
    monkeypatch.setattr(summaries, "KEPT_FROM", 2)
    monkeypatch.setattr(summaries, "MAX_VALUES", 2)


def assert_right(world: World) -> None:
    assert world.store.read(lambda tx: [*derived.faults(tx)]) == []


def counted(world: World) -> dict[tuple[str, int, str], int]:
    """How many issues are said to be in each cell that has one."""
    rows = world.store.read(
        lambda tx: tx.all(
            "SELECT a.id, is_dev, status, issues FROM issue_counts JOIN apps a ON a.key = app WHERE issues <> 0"
        )
    )
    names = {SYMBOLS[name]: name for name in ("api", "ios")}
    return {(names[app], is_dev, status): issues for app, is_dev, status, issues in rows}


async def test_issues_are_counted_as_they_come_move_and_go(quiet_world: World) -> None:
    agent = quiet_world.acting_as("agent")
    for number, (app, is_dev, status) in enumerate(2 * CELLS):
        add_issue(quiet_world.store, number, app, is_dev=is_dev, status=status)
    expected = dict.fromkeys(CELLS, 2)
    assert counted(quiet_world) == expected
    for number, cell in enumerate(CELLS):
        await agent.update_status(SHOP, id_of(number), "silenced")
        silenced = (*cell[:2], "silenced")
        expected |= {cell: 1, silenced: expected.get(silenced, 0) + 1}
        assert counted(quiet_world) == expected
    for number, cell in enumerate(CELLS):
        await agent.merge(SHOP, id_of(number), id_of(len(CELLS) + number))
        del expected[cell]
        assert counted(quiet_world) == expected
    assert_right(quiet_world)


async def test_an_issue_was_last_commented_on_when_the_last_of_its_comments_was_written(quiet_world: World) -> None:
    agent, clock = quiet_world.acting_as("agent"), quiet_world.clock
    target, source = add_issue(quiet_world.store, 1), add_issue(quiet_world.store, 2)

    def last() -> list[str | None]:
        assert_right(quiet_world)
        sql = "SELECT commented_at FROM issues ORDER BY id"
        return [it for (it,) in quiet_world.store.read(lambda tx: tx.all(sql))]

    def bring(number: int, written: float, deleted_at: str | None = None) -> None:
        row = FIXTURE["comments"][0] | {"id": id_of(number), "issue_id": target, "created_at": at(written)}
        document = read_document(json.dumps({"comments": [row | {"deleted_at": deleted_at}]}))
        quiet_world.store.write(lambda tx: import_document(tx, document))

    assert last() == [None, None]
    comment = await agent.add_comment(SHOP, target, "First")
    assert last() == [at(), None]
    bring(1, written=-60)
    assert last() == [at(), None]
    bring(2, written=60, deleted_at=at(90))
    assert last() == [at(), None]
    clock.advance(seconds=120)
    await agent.add_comment(SHOP, source, "Second")
    assert last() == [at(), at(120)]
    await agent.delete_comment(SHOP, target, comment.id)
    assert last() == [at(-60), at(120)]
    await agent.merge(SHOP, target, source)
    assert last() == [at(120)]


async def summary(bench: Bench, issue: str | None = None) -> tuple[OccurrenceSummary, list[bool]]:
    """What an issue, if none is named the only one, comes to, which is kept right; and whether tallies are kept of
    each that has a summary.
    """
    assert_right(bench.world)
    if issue is None:
        ((issue,),) = bench.store.read(lambda tx: tx.all("SELECT id FROM issues"))
    found = await bench.world.acting_as("agent").examine(SHOP, issue, latest=1, progress=unheard)
    kept = bench.store.read(lambda tx: tx.all("SELECT tallies IS NOT NULL FROM summaries ORDER BY issue"))
    return found.summary, [bool(it) for (it,) in kept]


@pytest.mark.usefixtures("small")
async def test_many_occurrences_are_counted_as_they_come(bench: Bench) -> None:
    users = ["ann", None, "ann", "ben", "cyd", "cyd"]
    versions = ["1", "1", "2", None, "3", "4"]
    counts = []
    for number, (user, version) in enumerate(zip(users, versions, strict=True)):
        bench.scan(error(10 * number, of=number, user_id=user, app_version=version))
        found, kept = await summary(bench)
        assert found.first_at == bench.issues("first_seen_at")[0]
        assert found.last_at == bench.issues("last_seen_at")[0]
        assert [day.occurrences for day in found.days.top] == [number + 1]
        counts.append(
            (found.occurrences, found.users, {it.value: it.occurrences for it in found.app_versions.top}, kept)
        )
    assert counts == [
        (1, 1, {"1": 1}, []),
        (2, 1, {"1": 2}, [True]),
        (3, 1, {"1": 2, "2": 1}, [True]),
        (4, 2, {"1": 2, "2": 1, None: 1}, [False]),
        (5, 3, {"1": 2, "2": 1, "3": 1, None: 1}, [False]),
        (6, 3, {"1": 2, "2": 1, "3": 1, "4": 1, None: 1}, [False]),
    ]


@pytest.mark.usefixtures("small")
async def test_what_merged_issues_come_to_is_counted_anew(bench: Bench) -> None:
    for number, occurrences in enumerate((1, 0, 1, 1)):
        issue = add_issue(bench.store, number)
        rows = [Seen(issue, number, fields={"app_version": str(number)})] * occurrences
        add_occurrences(bench.store, rows)
    agent = bench.world.acting_as("agent")
    found = []
    for source in (1, 2, 3):
        await agent.merge(SHOP, id_of(0), id_of(source))
        merged, kept = await summary(bench, id_of(0))
        found.append(({it.value: it.occurrences for it in merged.app_versions.top}, kept))
    assert found == [({"0": 1}, []), ({"0": 1, "2": 1}, [True]), ({"0": 1, "2": 1, "3": 1}, [False])]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("change", ["users = users + 1", "tallies = NULL", "tallies = replace(tallies, '2]', '3]')"])
def test_what_is_kept_of_an_issue_and_is_not_what_it_comes_to_is_found_and_made_anew(bench: Bench, change: str) -> None:
    bench.scan(error(0, of=1), error(1, of=2))
    bench.store.write(lambda tx: tx.run(f"UPDATE summaries SET {change}"))  # noqa: S608 - from above
    ((issue,),) = bench.store.read(lambda tx: tx.all("SELECT id FROM issues"))
    wrong = [f"issue {issue}: its summary is not what its occurrences come to"]
    assert bench.store.read(lambda tx: [*derived.faults(tx)]) == wrong
    bench.store.write(derived.make_anew)
    assert_right(bench.world)


MOVED = """
    INSERT INTO audit (at, actor_type, actor_name, action, subject_id, detail)
    VALUES (:at, 'agent', :by, 'issue.status', :issue, json_object('after', :after))
"""
COMMENTED = """
    INSERT INTO comments (id, issue, author_type, author_id, author_name, body, created_at, updated_at, deleted_at)
    SELECT :id, key, 'agent', :id, 'A', 'b', :at, :at, :deleted FROM issues WHERE id = :issue
"""


def test_a_store_from_before_is_given_what_it_did_not_keep(tmp_path: Path, clock: FakeClock) -> None:
    """Of its sound rows, that is: an issue of an app that is not there does not stop it."""
    path, issue = tmp_path / "old.db", SYMBOLS["i_claimed"]
    old_store(path, clock)
    with closing(transactions.connect(path)) as connection:
        for number, after, by in ((1, "in_progress", "A"), (2, "new", "A"), (3, "in_progress", "A"), (4, "new", None)):
            values = {"at": at(number), "after": after, "by": by, "issue": issue}
            connection.execute(MOVED, values)
        for number, deleted in ((1, None), (2, None), (3, at(9))):
            values = {"at": at(number), "id": id_of(number), "deleted": deleted, "issue": issue}
            connection.execute(COMMENTED, values)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("UPDATE issues SET app = 99 WHERE id = ?", (SYMBOLS["i_blog_dev"],))
    with Store(path, clock) as store:
        assert store.read(lambda tx: [*derived.faults(tx)]) == []
        kept = "SELECT status_set_at, commented_at FROM issues WHERE id = ?"
        assert store.read(lambda tx: tx.one(kept, (issue,))) == (at(3), at(2))
        counts = "SELECT sum(issues) FROM issue_counts"
        assert store.read(lambda tx: tx.one(counts)) == (len(FIXTURE["issues"]) - 1,)
