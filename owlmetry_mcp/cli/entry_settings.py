"""The settings that a client's entry carries: those that were given, as the server takes them from its environment."""

from argparse import Namespace
from dataclasses import fields
from pathlib import Path

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
