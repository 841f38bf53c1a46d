import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from owlmetry_mcp.backends.store.store import Store
from tests.carrying.ground import Line, allow_all, live_through
from tests.world import FakeClock, HttpFace, World


@pytest.fixture
def server(quiet_world: World, http_face: HttpFace) -> World:
    """The recorded world with nothing in it yet, where its agent may do all that agents may."""
    quiet_world.store.write(allow_all)
    http_face.store = quiet_world.store
    return quiet_world


@pytest.fixture
async def line(http_face: HttpFace) -> AsyncIterator[Line]:
    line = Line(http_face.endpoint)
    yield line
    await line.aclose()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """A store of its own, as a first start makes it."""
    with Store(tmp_path / "here.db", clock) as store:
        yield store


@pytest.fixture(scope="session")
def lived_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lived") / "here.db"
    clock = FakeClock()
    with Store(path, clock) as store:
        anyio.run(live_through, store, clock)
    return path


@pytest.fixture
def lived(lived_file: Path, tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    """A store with a history."""
    clock.advance(hours=1)
    path = tmp_path / "here.db"
    shutil.copyfile(lived_file, path)
    with Store(path, clock) as store:
        yield store
