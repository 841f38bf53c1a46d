"""A push or a pull that is cut anywhere, and run again, comes to the same end as one that was not."""

import asyncio
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.carrying import events
from owlmetry_mcp.issues.errors import ConflictError, UnavailableError
from tests.carrying.ground import HISTORY, Line, allow_all, event, held, take_in
from tests.faults import proxy as proxies
from tests.faults.proxy import Exchange, Fault, FaultyProxy, faulty_proxy
from tests.stdio import COMMAND
from tests.world import SECRETS, FakeClock, HttpFace

SHARES = 4
"""Into which the points to cut at are divided, so that they are gone through at once."""


class Cut:
    """Lets so many requests through, then none."""

    def __init__(self, through: int) -> None:
        self._left = through

    def __call__(self, _: bytes) -> bool:
        self._left -= 1
        return self._left < 0


class Ground:
    """Fresh copies of a store and of a server's."""

    def __init__(self, tmp_path: Path, here: Path, there: Path, face: HttpFace, proxy: FaultyProxy) -> None:
        self._files = (here, there)
        self._tmp_path = tmp_path
        self._face = face
        self.proxy = proxy
        self.address = f"http://127.0.0.1:{proxy.port}"
        self.line = Line(self.address)

    @contextmanager
    def laid(self, name: str) -> Iterator[tuple[Store, Store]]:
        clock = FakeClock()
        clock.advance(hours=2)
        paths = []
        for which, file in zip(("here", "there"), self._files, strict=True):
            paths.append(self._tmp_path / f"{which} {name}.db")
            if file.exists():
                shutil.copyfile(file, paths[-1])
        with Store(paths[0], clock) as here, Store(paths[1], clock) as there:
            there.write(allow_all)
            self._face.store = there
            self.proxy.faults, self.proxy.requests = [], []
            yield here, there

    def cut(self, through: int, fault: Fault) -> None:
        self.proxy.applies = Cut(through)
        self.proxy.faults = [fault] + [proxies.cut_before] * 200


@pytest.fixture
async def proxy(http_face: HttpFace) -> AsyncIterator[FaultyProxy]:
    async with faulty_proxy(urlsplit(http_face.endpoint).port or 0) as between:
        yield between


@pytest.fixture
async def ground(
    tmp_path: Path, lived_file: Path, quiet_file: Path, http_face: HttpFace, proxy: FaultyProxy
) -> AsyncIterator[Ground]:
    ground = Ground(tmp_path, lived_file, quiet_file, http_face, proxy)
    yield ground
    await ground.line.aclose()


@pytest.mark.parametrize("share", range(SHARES))
async def test_a_push_that_is_cut_at_any_request_is_gone_on_with(
    ground: Ground, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is carried out, and its answer is lost; then nothing is heard of the server any more."""
    monkeypatch.setattr(events, "MAX_BATCH_BYTES", 1_000)  # which makes several batches of few events
    with ground.laid("whole") as (here, there):
        await ground.line.pushed(here)
        whole, requests = held(there), [*ground.proxy.requests]
    assert Counter(line.split("?")[0] for line in requests)["POST /v1/import"] == 5
    assert len(requests) > 30
    for through in range(share, len(requests), SHARES):
        with ground.laid(f"{through}") as (here, there):
            ground.cut(through, proxies.cut_after)
            with suppress(UnavailableError):  # what is said where nothing has been sent
                assert (await ground.line.pushed(here)).failed, requests[through]
            ground.proxy.faults = []
            report = await ground.line.pushed(here)
            assert not report.failed
            assert held(there) == whole, f"cut at {requests[through]}"


@pytest.mark.parametrize("share", range(SHARES))
async def test_a_pull_that_is_cut_at_any_request_is_gone_on_with(ground: Ground, tmp_path: Path, share: int) -> None:
    with ground.laid("whole") as (_, there):
        take_in(there, HISTORY, "Shop iOS")
        clock = FakeClock()
        with Store(tmp_path / "pulled.db", clock) as fresh:
            await ground.line.pulled(fresh)
            assert held(fresh) == held(there)
        requests = [*ground.proxy.requests]
        assert len(requests) > 20
        for through in range(share, len(requests), SHARES):
            with Store(tmp_path / f"pulled {through}.db", clock) as fresh:
                ground.cut(through, proxies.cut_after)
                with suppress(UnavailableError):
                    assert (await ground.line.pulled(fresh)).failed, requests[through]
                ground.proxy.faults = []
                report = await ground.line.pulled(fresh)
                assert not report.failed
                assert held(fresh) == held(there), f"cut at {requests[through]}"


async def test_a_pull_is_not_gone_on_with_where_events_have_come_meanwhile(ground: Ground, tmp_path: Path) -> None:
    with ground.laid("whole") as (_, there), Store(tmp_path / "pulled.db", FakeClock()) as fresh:
        take_in(there, HISTORY, "Shop iOS")
        ground.cut(12, proxies.cut_before)
        assert (await ground.line.pulled(fresh)).failed
        take_in(fresh, [event("Mine", "meanwhile")], "Shop iOS")
        ground.proxy.faults = []
        with pytest.raises(ConflictError, match="Events have come into the store since its pull was cut short"):
            await ground.line.pulled(fresh)


async def killed_at(ground: Ground, through: int, *arguments: str, store: Store, **environment: str) -> None:
    """Run a command that is killed as its request is carried out, and once more to its end."""
    process: list[asyncio.subprocess.Process] = []

    async def kill(exchange: Exchange) -> None:
        await exchange.forward()
        process[0].kill()

    env = {**os.environ, "HOME": str(store.path.parent), "OWLMETRY_API_KEY": SECRETS["agent"], **environment}
    command = [*COMMAND, *arguments, ground.address, "--store", str(store.path)]
    ground.cut(through, kill)
    for expected in (-signal.SIGKILL, 0):
        process[:] = [await asyncio.create_subprocess_exec(*command, env=env, stdout=DEVNULL, stderr=DEVNULL)]
        assert await process[0].wait() == expected
        ground.proxy.faults = []


@pytest.mark.parametrize("through", [4, 12, 21])
async def test_a_push_that_is_killed_is_gone_on_with(ground: Ground, through: int) -> None:
    with ground.laid("whole") as (here, there):
        await ground.line.pushed(here)
        whole = held(there)
    with ground.laid("killed") as (here, there):
        await killed_at(ground, through, "push", "--to", store=here, OWLMETRY_IMPORT_KEY=SECRETS["importer"])
        assert held(there) == whole


async def test_a_pull_that_is_killed_is_gone_on_with(ground: Ground, tmp_path: Path) -> None:
    with ground.laid("there") as (_, there), Store(tmp_path / "pulled.db") as fresh:
        take_in(there, HISTORY, "Shop iOS")
        await killed_at(ground, 12, "pull", "--from", store=fresh)
        assert held(fresh) == held(there)


@pytest.mark.parametrize(
    "fault", [proxies.throttled, proxies.bad_gateway_and_arrives_late, proxies.answers(503, after=False)]
)
async def test_what_a_server_refuses_for_a_while_is_tried_again(ground: Ground, fault: Fault) -> None:
    with ground.laid("whole") as (here, there):
        await ground.line.pushed(here)
        whole = held(there)
    with ground.laid("meeting faults") as (here, there):
        ground.proxy.applies = lambda request: request.startswith((b"GET", b"POST /v1/import"))
        ground.proxy.faults = [fault] * 3
        report = await ground.line.pushed(here)
        assert not report.failed
        assert held(there) == whole
