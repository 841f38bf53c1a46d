"""Who is let in: the names the server goes by, and how often an address may show a wrong key."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection

import anyio

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class HostNames:
    """The names that a server goes by. A page whose name was pointed here (DNS rebinding) sends its own.

    `names` are taken as they are; with `addresses`, so is every IP address, since no page is named by a foreign one.
    """

    def __init__(self, names: Collection[str] = LOOPBACK_NAMES, *, addresses: bool = False) -> None:
        self._names = {name.lower() for name in names}
        self._addresses = addresses

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server, with or without a port."""
        name = _without_port(host)
        return name in self._names or (self._addresses and _is_address(name.strip("[]")))

    def is_own_page(self, origin: str, host: str) -> bool:
        """Whether a page of that origin is of this server, as the request names it, or of another under its names."""
        scheme, _, rest = origin.partition("://")
        name = _without_port(rest)
        return scheme.lower() in ("http", "https") and (name in self._names or name == _without_port(host))


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class LoginBrake:
    """Slows the answers to wrong credentials from an address that keeps showing them; right ones are never slowed.

    Only so many wait at a time: whoever showed more would hold as many connections, for as long as all of them wait.
    """

    FREE_FAILURES = 5
    FORGET_SECONDS = 300.0
    STEP_SECONDS = 0.25
    LONGEST_SECONDS = 5.0
    MAX_ADDRESSES = 10_000
    MAX_WAITING = 100

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """How many in a row, and until when they wait, by address; the longest unheard of first."""
        self._waiting = 0

    async def failed(self, address: str) -> None:
        """Wait as long as this failure deserves, after those of the same address that still wait; at most
        `LONGEST_SECONDS` in all.
        """
        now = self._clock()
        count, until = self._failures.pop(address, (0, now))
        count = 1 if now - until > self.FORGET_SECONDS else count + 1
        excess = count - self.FREE_FAILURES
        step = min(self.STEP_SECONDS * 2 ** min(excess - 1, 10), self.LONGEST_SECONDS) if excess > 0 else 0.0
        until = min(max(until, now) + step, now + self.LONGEST_SECONDS)
        self._failures[address] = (count, until)
        while len(self._failures) > self.MAX_ADDRESSES:
            self._failures.popitem(last=False)
        if until > now and self._waiting < self.MAX_WAITING:
            self._waiting += 1
            try:
                await self._sleep(until - now)
            finally:
                self._waiting -= 1
