"""What many tests stand on: the recorded world in a store, and an agent in it."""

import json
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.store import Store
from tests.agent import Agent, agent_of
from tests.shell import Shell
from tests.world import FIXTURE, QUIET, FakeClock, HttpFace, World, acted_on, filled

collect_ignore = [] if shutil.which("npx") else ["node"]
"""What is run with tools of Node, where there is Node."""

settings.register_profile(
    "long", max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", action="append", help="a target of the contract suite: store, live; repeatable")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def empty_store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    with Store(tmp_path / "store.db", clock, first_start.leave_empty) as store:
        yield store


@pytest.fixture
def world(empty_store: Store, clock: FakeClock) -> World:
    filled(empty_store)
    return World(empty_store, clock)


@pytest.fixture(scope="session")
def quiet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the recorded world before anything has gone wrong, to be copied: making one takes a while."""
    path = tmp_path_factory.mktemp("quiet") / "store.db"
    with Store(path, FakeClock(), first_start.leave_empty) as store:
        filled(store, QUIET)
    return path


@pytest.fixture
def quiet_world(quiet_file: Path, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    path = tmp_path / "store.db"
    shutil.copyfile(quiet_file, path)
    with Store(path, clock) as store:
        yield World(store, clock)


@pytest.fixture(scope="session")
def recorded_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the recorded world, to be copied likewise."""
    path = tmp_path_factory.mktemp("recorded") / "store.db"
    with Store(path, FakeClock(), first_start.leave_empty) as store:
        filled(store)
    return path


@pytest.fixture
def recorded_world(recorded_file: Path, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    path = tmp_path / "store.db"
    shutil.copyfile(recorded_file, path)
    with Store(path, clock) as store:
        yield World(store, clock)


@pytest.fixture
def utc() -> Iterator[None]:
    """The clock on the wall."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session")
def http_face() -> Iterator[HttpFace]:
    face = HttpFace()
    yield face
    face.close()


@pytest.fixture(params=["store", "live"])
async def either_world(
    request: pytest.FixtureRequest, empty_store: Store, clock: FakeClock, http_face: HttpFace
) -> AsyncIterator[World]:
    """The recorded world, acted on in the store itself and over HTTP."""
    filled(empty_store)
    async with acted_on(empty_store, clock, http_face, request.param) as world:
        yield world


@pytest.fixture
def agent(world: World) -> Agent:
    return agent_of(world)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Shell(tmp_path / "store.db", capsys)


@pytest.fixture
def imported(shell: Shell, tmp_path: Path) -> Shell:
    file = tmp_path / "fixture.json"
    file.write_text(json.dumps(FIXTURE))
    shell.run("import", str(file))
    return shell
