"""The suite's targets: `store` is the backend itself, `live` the live backend over HTTP and the REST face to a store,
`server` the live backend over HTTP to the Owlmetry server in OWLMETRY_TEST_ENDPOINT, with OWLMETRY_TEST_API_KEY.

What needs the recorded world runs on the first two; what holds on any server, on all. `--target NAME`, repeated, picks
among them; without it, all run that there are.
"""

import os
from collections.abc import AsyncIterator

import pytest

from owlmetry_mcp.backends.store.store import Store
from tests.world import FakeClock, HttpFace, World, acted_on, filled

TARGETS = ("store", "live")


def real_server() -> tuple[str, str]:
    """The endpoint and the key of a server to test against."""
    return os.environ["OWLMETRY_TEST_ENDPOINT"], os.environ["OWLMETRY_TEST_API_KEY"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    picked: list[str] = metafunc.config.getoption("--target") or []
    if unknown := {*picked} - {*TARGETS, "server"}:
        raise pytest.UsageError(f"--target takes store, live or server, not {', '.join(sorted(unknown))}")
    if "server" in picked and not {"OWLMETRY_TEST_ENDPOINT", "OWLMETRY_TEST_API_KEY"} <= os.environ.keys():
        raise pytest.UsageError("--target server needs OWLMETRY_TEST_ENDPOINT and OWLMETRY_TEST_API_KEY")
    if "suite_target" in metafunc.fixturenames:
        targets = [target for target in TARGETS if target in (picked or TARGETS)]
        metafunc.parametrize("suite_target", targets)
    if "any_target" in metafunc.fixturenames:
        there = (*TARGETS, "server") if "OWLMETRY_TEST_ENDPOINT" in os.environ else TARGETS
        metafunc.parametrize("any_target", picked or there)


@pytest.fixture
async def world(empty_store: Store, clock: FakeClock, suite_target: str, http_face: HttpFace) -> AsyncIterator[World]:
    """The recorded world, at the target."""
    filled(empty_store)
    async with acted_on(empty_store, clock, http_face, suite_target) as world:
        yield world


@pytest.fixture
def world_store(empty_store: Store) -> Store:
    filled(empty_store)
    return empty_store
