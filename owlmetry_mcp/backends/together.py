"""Several requests at once, but not so many that a server would mind."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from owlmetry_mcp.issues.errors import OwlmetryError

AT_ONCE = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


async def of_each(items: Iterable[Item], ask: Callable[[Item], Awaitable[Result]]) -> list[Result]:
    """What asking gives for each item, in their order.

    Raises:
        OwlmetryError: the first that was met; the requests still under way are given up.
    """
    results: dict[int, Result] = {}
    failures: list[OwlmetryError] = []
    limiter = anyio.CapacityLimiter(AT_ONCE)

    async def one(index: int, item: Item) -> None:
        async with limiter:
            try:
                results[index] = await ask(item)
            except OwlmetryError as error:
                failures.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for index, item in enumerate(items):
            group.start_soon(one, index, item)
    if failures:
        raise failures[0]
    return [results[index] for index in sorted(results)]
