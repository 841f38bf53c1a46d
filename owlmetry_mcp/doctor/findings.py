"""What was found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["ok", "note", "warning", "broken"]
STATES: tuple[State, ...] = get_args(State)
"""From the best to the worst. A `note` may well be so; a `warning` will do harm one day; what is `broken` does not work
now.
"""
GROUPS = ("settings", "versions", "store", "server", "key", "clients", "round-trip")
"""What findings are about, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Finding:
    subject: str
    """What it is about, as `group.name`; neither changes its meaning from one version to the next."""
    state: State
    what: str
    remedy: str = ""
    """What to do; empty where nothing need be done."""

    @property
    def group(self) -> str:
        return self.subject.partition(".")[0]

    @property
    def name(self) -> str:
        return self.subject.partition(".")[2]
