"""An Owlmetry server, over its HTTP API."""

from owlmetry_mcp.backends.live.backend import LiveBackend
from owlmetry_mcp.backends.live.wire import Timeouts, Wire, connections

__all__ = ["LiveBackend", "Timeouts", "Wire", "connections"]
