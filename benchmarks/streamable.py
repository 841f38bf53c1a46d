"""What a call of a tool over HTTP costs beside a call of one that does nothing, of a bare server of the same SDK.

Each has a process and one connection, kept alive, and is called in turn.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks import alone, rows, stores
from benchmarks.agents import META, NOTHING, RefusedError
from benchmarks.alone import FULL, SMALL, Sizes
from benchmarks.rest import Connection, serving
from benchmarks.rows import Row
from benchmarks.shop import PROJECT

_LISTED = 50
_WARM = 5
_ACCEPT = "application/json, text/event-stream"


def measure(sizes: Sizes, folder: Path) -> Iterator[Row]:
    with ExitStack() as stack:
        store = stack.enter_context(stores.copy(sizes.store, folder))
        ours = stack.enter_context(Connection(stack.enter_context(serving("serve", "--http", "--store", store))))
        bare = stack.enter_context(Connection(stack.enter_context(serving(module="benchmarks.bare_http"))))
        floor = partial(_timed, bare, NOTHING)
        calls: tuple[tuple[str, Callable[[], float]], ...] = (
            (
                f"HTTP: list_issues, {_LISTED} / nothing",
                partial(_timed, ours, "list_issues", project_id=PROJECT, limit=_LISTED),
            ),
            ("HTTP: whoami / nothing", partial(_timed, ours, "whoami")),
        )
        for what, call in calls:
            for _ in range(min(sizes.runs, _WARM)):
                floor(), call()
            yield rows.compared(what, [(floor(), call()) for _ in range(sizes.runs)], None)


def _timed(connection: Connection, tool: str, **arguments: object) -> float:
    params = {"name": tool, "arguments": arguments, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool, "Accept": _ACCEPT}
    seconds, answer = connection.timed("POST", "/mcp", body, headers)
    if answer["result"].get("isError"):
        raise RefusedError(f"{tool} was refused: {answer}")
    return seconds


def main() -> None:
    alone.run("streamable", __doc__, SMALL, FULL, measure)


if __name__ == "__main__":
    main()
