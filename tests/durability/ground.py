"""What the crashes happen to: a store with issues to work on, and how it stands afterwards, whatever is remembered."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from owlmetry_mcp.backends.store import administration, events
from owlmetry_mcp.backends.store.checking import checks
from owlmetry_mcp.backends.store.file import open_as_it_is
from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store, Work
from owlmetry_mcp.backends.store.transactions import Transaction, transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import StoreError
from owlmetry_mcp.issues.events import Terms, checked

Row = dict[str, Any]


class Party(NamedTuple):
    """Who writes, by what secret, and to the issues of which app."""

    name: str
    secret: str
    app_id: str


def prepare(path: Path, names: Sequence[str]) -> tuple[str, list[Party]]:
    """A new store's project, and in it an app and an agent key for each name."""

    def work(tx: Transaction) -> tuple[str, list[Party]]:
        team = administration.find_team(tx)
        project = administration.find_project(tx, team.key)
        parties = []
        for name in names:
            app = administration.add_app(tx, project.key, name, "backend")
            _, secret = administration.create_agent_key(tx, team.key, name)
            parties.append(Party(name, secret, app.id))
        return project.id, parties

    with Store(path) as store:
        return store.write(work)


def client_key(path: Path, app_id: str) -> str:
    """The secret of a new key that sends events of an app."""

    def work(tx: Transaction) -> str:
        return administration.create_event_key(tx, administration.find_app(tx, app_id), "sdk", "client")[1]

    with Store(path) as store:
        return store.write(work)


def grow(path: Path, app_id: str, random: Random, issues: int, occurrences: int) -> None:
    """Give an app so many issues more, of so many occurrences each."""
    now = datetime.now(UTC)
    rows = [
        error(random, now - timedelta(seconds=sighting), module)
        for module in (_word(random) for _ in range(issues))
        for sighting in range(occurrences)
    ]

    def work(tx: Transaction) -> None:
        app = administration.find_app(tx, app_id)
        terms = Terms.at(tx.now, app.platform, None)
        events.take_in(tx, app.key, None, [checked(row, terms) for row in rows])

    with Store(path) as store:
        store.write(work)
        scan_all(store.write)


def error(random: Random, at: datetime, module: str) -> Row:
    """An event that is an occurrence of its own."""
    return {
        "client_event_id": identifier(random),
        "session_id": identifier(random),
        "user_id": f"user {random.randrange(100)}",
        "level": "error",
        "message": "It broke",
        "source_module": module,
        "timestamp": times.to_text(at),
    }


def identifier(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _word(random: Random) -> str:
    """Letters alone, as numbers make no difference between issues."""
    return "".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=12))


def looked_at(path: Path, work: Work[Any]) -> Any:
    with closing(open_as_it_is(path)) as connection, transaction(connection, path, times.now, writing=False) as tx:
        return work(tx)


def wrongs(path: Path) -> list[str]:
    """What `owlmetry-mcp check` finds wrong in it."""
    try:
        found: list[str] = looked_at(path, lambda tx: [*_wrong(tx)])
    except StoreError as error:
        return [str(error)]
    return found


def _wrong(tx: Transaction) -> Iterator[str]:
    for name, findings in checks(tx):
        yield from (f"{name}: {it.said}" for it in findings if it.kind == "wrong")
