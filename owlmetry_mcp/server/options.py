"""What a server is told besides where its issues are."""

from dataclasses import dataclass
from typing import Literal

from owlmetry_mcp.server.answers import DEFAULT_MAX_BYTES

Confirm = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class Options:
    max_result_bytes: int = DEFAULT_MAX_BYTES
    """The cap of a result, as data and as text each."""
    confirm: Confirm = "auto"
    """Whether a person is asked before what cannot be undone: where the client can ask one, always, or never."""
    read_only: bool = False
    may_do_all: bool = False
    """The caller is known to hold every permission, so that none need be asked for: a store's own local agent."""
    tools: frozenset[str] | None = None
    """The tools to offer, of those that are allowed; all unless it is set."""
