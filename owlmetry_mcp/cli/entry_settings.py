"""The settings that a client's entry carries: those that were given, as the server takes them from its environment."""

from argparse import Namespace
from dataclasses import fields
from pathlib import Path

from owlmetry_mcp.settings import Settings

_SECRETS = ("api_key",)
_HOMES = ("XDG_DATA_HOME",)
"""What moves the store where nothing names one; clients do not all pass it on."""


def environment_of(parsed: Namespace, settings: Settings) -> dict[str, str]:
    """By `OWLMETRY_…`. The key is not among them, but the backend is, so that no lack of a key changes it."""
    given = {
        field.name: str(value)
        for field in fields(Settings)
        if field.name not in _SECRETS
        and (
            value := getattr(parsed, field.name, None)
            or parsed.environment.get(f"OWLMETRY_{field.name.upper()}", "").strip()
        )
    }
    if settings.backend == "live":
        given["backend"] = settings.backend
    moved = settings.backend == "store" and any(parsed.environment.get(name) for name in _HOMES)
    if "store" in given or moved:
        given["store"] = str(Path(settings.store).absolute())
    return {f"OWLMETRY_{name.upper()}": value for name, value in given.items()}
