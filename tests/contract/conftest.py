"""The suite's targets: `store` is the backend itself, `live` the live backend over HTTP and the REST face to a store.

`--target NAME`, repeated, picks among them; without it, all run.
"""

from collections.abc import AsyncIterator

import pytest

from owlmetry_mcp.backends.store.store import Store
from tests.world import FakeClock, HttpFace, LiveWorld, World, filled

TARGETS = ("store", "live")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "suite_target" in metafunc.fixturenames:
        metafunc.parametrize("suite_target", metafunc.config.getoption("--target") or TARGETS)


@pytest.fixture
async def world(empty_store: Store, clock: FakeClock, suite_target: str, http_face: HttpFace) -> AsyncIterator[World]:
    """The recorded world, at the target."""
    filled(empty_store)
    if suite_target == "store":
        yield World(empty_store, clock)
        return
    http_face.store = empty_store
    live = LiveWorld(empty_store, clock, http_face.endpoint)
    yield live
    await live.aclose()
