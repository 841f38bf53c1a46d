"""The settings: each with its value and where it came from, and what is wrong with them."""

import re
from collections.abc import Iterator
from typing import Any

from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.doctor.masking import described
from owlmetry_mcp.server.catalogue import unknown
from owlmetry_mcp.settings import Loaded, Settings, Source

_SOURCE = re.compile(r"(?:OWLMETRY_|--)([A-Za-z_-]+)")
_NEEDED = {"store": ("backend", "store", "api_key"), "live": ("backend", "endpoint", "api_key")}


def settings(case: Case) -> Iterator[Finding]:
    loaded = case.loaded
    for fault in _faults(loaded):
        found = _SOURCE.fullmatch(fault.partition(": ")[0])
        name = found[1].lower().replace("-", "_") if found else "config_file"
        yield Finding(f"settings.{name}", "broken", fault, "Correct it, or leave it out.")
    for name, source in in_order(loaded):
        yield Finding(f"settings.{name}", "ok", f"{shown(loaded.settings, name)} ({_said(source)})")


def _faults(loaded: Loaded) -> list[str]:
    return [*loaded.faults, *unknown(loaded.settings.tools or ())]


def in_order(loaded: Loaded) -> list[tuple[str, Source]]:
    """Where each setting that can be used came from."""
    return [(name, loaded.sources[name]) for name in Settings.__dataclass_fields__ if name in loaded.sources]


def shown(settings: Settings, name: str) -> str:
    """A setting's value, for reading; of the key, what kind it is."""
    value: Any = getattr(settings, name)
    match value:
        case None:
            return "all" if name == "tools" else "none"
        case bool():
            return str(value).lower()
        case tuple():
            return ", ".join(value)
        case float():
            return f"{value:g} s"
        case str() if name in ("api_key", "import_key"):
            return described(value)
        case _:
            return str(value)


def _said(source: Source) -> str:
    return f"from {source.name}" if source.name else "by default"


def are_wrong_for(case: Case, backend: str) -> bool:
    """Whether what decides about the backend cannot be trusted: it is not to be asked, nor shown a key, by guesses."""
    return any(name not in case.loaded.sources for name in _NEEDED[backend])


def cannot_serve(case: Case) -> bool:
    return bool(_faults(case.loaded))
