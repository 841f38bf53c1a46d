"""What many tests stand on: the recorded world in a store, and an agent in it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from tests.agent import Agent, agent_of
from tests.world import FIXTURE, FakeClock, World


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def empty_store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with Store(tmp_path / "store.db", clock, first_start.leave_empty) as store:
        yield store


@pytest.fixture
def world(empty_store: Store, clock: FakeClock) -> World:
    empty_store.write(lambda tx: import_document(tx, read_document(json.dumps(FIXTURE))))
    return World(empty_store, clock)


@pytest.fixture
def agent(world: World) -> Agent:
    return agent_of(world)
