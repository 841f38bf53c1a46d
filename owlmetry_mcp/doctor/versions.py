"""What this is made of."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import version

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.store.looking import sqlite_suffices, sqlite_version
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.findings import Finding


def versions(_: Case) -> Iterator[Finding]:
    yield Finding("versions.owlmetry-mcp", "ok", __version__)
    yield Finding("versions.sdk", "ok", f"mcp {version('mcp')}")
    stateless, handshake = ", ".join(MODERN_PROTOCOL_VERSIONS), ", ".join(HANDSHAKE_PROTOCOL_VERSIONS)
    yield Finding("versions.protocol", "ok", f"MCP {stateless} (stateless); {handshake} (handshake)")
    yield Finding("versions.python", "ok", f"{platform.python_version()} at {sys.executable}")
    if sqlite_suffices():
        yield Finding("versions.sqlite", "ok", sqlite_version())
    else:
        yield Finding(
            "versions.sqlite", "broken", f"{sqlite_version()} is older than the store needs", "Use a newer Python."
        )
    yield Finding("versions.platform", "ok", platform.platform())
