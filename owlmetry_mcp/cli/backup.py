"""`owlmetry-mcp backup`: a copy of the store, made while it is in use."""

import sys
from argparse import Namespace
from pathlib import Path

from owlmetry_mcp.backends.store.copying import back_up
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.settings import Settings


def backup(parsed: Namespace, settings: Settings) -> None:
    if not parsed.file:
        raise InvalidInputError("FILE must be the path of a file")
    copy = back_up(settings.store, Path(parsed.file), replace=parsed.force)
    print(
        f"Backed up the store to {parsed.file}: {copy.size_bytes:,} bytes, {copy.issues:,} issues,"
        f" {copy.events:,} events.",
        file=sys.stderr,
    )
