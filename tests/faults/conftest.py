import pytest

from owlmetry_mcp.issues import times
from tests.world import FakeClock


class RealClock(FakeClock):
    """The server's answers say the real time, and what it writes is to agree with them."""

    __call__ = staticmethod(times.now)


@pytest.fixture
def clock() -> FakeClock:
    return RealClock()
