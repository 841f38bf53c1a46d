from collections.abc import Iterator
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store.store import Store
from tests.permissions.callers import Crowd


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return Crowd(tmp_path_factory.mktemp("crowd"))


@pytest.fixture
def store(crowd: Crowd, tmp_path: Path) -> Iterator[Store]:
    with crowd.copy(tmp_path / "store.db") as opened:
        yield opened
