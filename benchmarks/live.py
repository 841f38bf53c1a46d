"""What the live backend adds to a bare HTTP request of the same server, over the same client library.

Both keep one connection, and are called in turn. A bare request ends with the answer's bytes, which no one reads.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from itertools import cycle
from pathlib import Path

import httpx2

from benchmarks import alone, rows, shop, stores
from benchmarks.alone import FULL, SMALL, Sizes
from benchmarks.rest import ISSUES, serving
from benchmarks.rows import Row
from benchmarks.shop import BUSIEST, PROJECT, SECRET
from owlmetry_mcp.backends.live import LiveBackend, Wire
from owlmetry_mcp.issues.filters import IssueFilter

_LISTED, _MOST_LISTED = 50, 200
_LIMIT = 1.5
_WARM = 5

Call = Callable[[], Awaitable[object]]
_Pair = tuple[str, Call, Call, float | None]
"""What it is, ours, its floor, and how much of that it may be."""


def measure(sizes: Sizes, folder: Path) -> list[Row]:
    with stores.copy(sizes.store, folder) as store, serving("api", "--store", store) as address:
        return asyncio.run(_measured(f"http://{address}", sizes))


async def _measured(endpoint: str, sizes: Sizes) -> list[Row]:
    wire = Wire(endpoint, SECRET)
    headers = {"Authorization": f"Bearer {SECRET}", "Accept": "application/json"}
    async with httpx2.AsyncClient(base_url=endpoint, headers=headers, trust_env=False) as client:
        try:
            pairs = _pairs(LiveBackend(wire), client, sizes.store.issues)
            return [await _compared(what, ours, floor, limit, sizes.runs) for what, ours, floor, limit in pairs]
        finally:
            await wire.aclose()


def _pairs(backend: LiveBackend, client: httpx2.AsyncClient, issues: int) -> Iterator[_Pair]:
    others = cycle(shop.issue_id(key) for key in range(2, issues + 1))
    issue, body = f"{ISSUES}/{BUSIEST}", "It is the retry."

    def posted() -> Awaitable[object]:
        return client.post(f"{ISSUES}/{next(others)}/comments", json={"body": body})

    async def looked_and_posted() -> object:
        comments = f"{ISSUES}/{next(others)}/comments"
        await client.get(comments)
        return await client.post(comments, json={"body": body})

    def add_comment() -> Awaitable[object]:
        return backend.add_comment(PROJECT, next(others), body)

    yield (
        f"live: list_issues, {_LISTED} / a GET",
        lambda: backend.list_issues(PROJECT, IssueFilter(), limit=_LISTED),
        lambda: client.get(ISSUES, params={"data_mode": "all", "limit": _LISTED}),
        _LIMIT,
    )
    for count in (_LISTED, _MOST_LISTED):
        yield (
            f"live: get_issue, {count} occurrences / a GET",
            partial(backend.get_issue, PROJECT, BUSIEST, occurrence_limit=count),
            partial(client.get, issue, params={"occurrence_limit": count}),
            _LIMIT,
        )
    yield "live: comment / a GET of those there are and a POST", add_comment, looked_and_posted, _LIMIT
    yield "live: comment / a POST alone", add_comment, posted, None


async def _compared(what: str, ours: Call, floor: Call, limit: float | None, runs: int) -> Row:
    for _ in range(min(runs, _WARM)):
        await floor()
        await ours()
    return rows.compared(what, [(await _timed(floor), await _timed(ours)) for _ in range(runs)], limit)


async def _timed(call: Call) -> float:
    begun = time.perf_counter()
    answer = await call()
    seconds = time.perf_counter() - begun
    if isinstance(answer, httpx2.Response) and not answer.is_success:
        raise SystemExit(f"it was refused: {answer.text}")
    return seconds


def main() -> None:
    alone.run("live", __doc__, SMALL, FULL, measure)


if __name__ == "__main__":
    main()
