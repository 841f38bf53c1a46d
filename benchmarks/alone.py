"""A benchmark of calls by itself, with its options: `python -m benchmarks.live` and the like."""

import platform
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypeVar

from benchmarks import rows, shop, stores
from benchmarks.measured import pin
from benchmarks.rows import Row
from benchmarks.shop import Size


@dataclass(frozen=True, slots=True)
class Sizes:
    store: Size
    runs: int
    """How often each call is measured."""

    def of(self, issues: int) -> Self:
        """With a store of so many issues instead."""
        return replace(self, store=shop.of(issues))


SMALL = Sizes(Size(10_000, 200_000), 100)
FULL = Sizes(Size(100_000, 2_000_000), 500)

Asked = TypeVar("Asked", bound=Sizes)


def run(
    name: str, description: str | None, small: Asked, full: Asked, measure: Callable[[Asked, Path], Iterable[Row]]
) -> None:
    parser = ArgumentParser(f"python -m benchmarks.{name}", description=description, allow_abbrev=False)
    stores.add_options(parser)
    rows.add_option(parser)
    parser.add_argument("--runs", type=int, metavar="N", help="how often each")
    asked = parser.parse_args()
    sizes = full if asked.full else small
    if asked.issues:
        sizes = sizes.of(asked.issues)
    if asked.runs:
        sizes = replace(sizes, runs=asked.runs)
    print(f"Python {platform.python_version()}, {pin()}, runs: {sizes.runs}\n")
    with stores.folder(asked) as folder:
        rows.keep(asked, rows.show(measure(sizes, folder)))
