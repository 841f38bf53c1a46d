"""The settings that a client's entry carries: those that were given, as the server takes them from its environment."""

import io
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

from owlmetry_mcp.cli.parser import parser
from owlmetry_mcp.settings import Settings


def environment_of(parsed: Namespace, settings: Settings) -> dict[str, str]:
    """By `OWLMETRY_…`. The key is not among them, but the backend is, so that no lack of a key changes it."""
    given = {
        field.name: str(value)
        for field in fields(Settings)
        if field.name != "api_key"
        and (
            value := getattr(parsed, field.name, None)
            or parsed.environment.get(f"OWLMETRY_{field.name.upper()}", "").strip()
        )
    }
    if settings.backend == "live":
        given["backend"] = settings.backend
    # It moves the store where nothing names one, and not every client passes it on.
    moved = settings.backend == "store" and parsed.environment.get("XDG_DATA_HOME")
    if "store" in given or moved:
        given["store"] = str(Path(settings.store).absolute())
    return {f"OWLMETRY_{name.upper()}": value for name, value in given.items()}


def flags_of(arguments: Sequence[str]) -> Mapping[str, Any] | None:
    """What arguments of ours say, by the settings' names; None where they are not those of `serve` over stdio."""
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            parsed = parser().parse_args(arguments)
    except SystemExit:
        return None
    return vars(parsed) if parsed.command == "serve.serve" and not getattr(parsed, "http", False) else None


def variables_of(arguments: Sequence[str]) -> dict[str, str]:
    """The same as variables; none where they are something else."""
    said = flags_of(arguments) or {}
    return {f"OWLMETRY_{it.name.upper()}": str(said[it.name]) for it in fields(Settings) if it.name in said}
