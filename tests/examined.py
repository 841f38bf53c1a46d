"""What `doctor` finds, in this process, of a machine made up for it."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from owlmetry_mcp.cli.entry_settings import flags_of
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.examination import PROBES, examine
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.settings import look
from tests.world import FakeClock

ROOM = 10**12


@dataclass
class Patient:
    """A home with nothing in it, where a person stands in a project, and what they say to doctor."""

    home: Path
    clock: FakeClock
    environment: dict[str, str] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)
    free_bytes: int = ROOM
    start_project_entries: bool = False

    @property
    def project(self) -> Path:
        return self.home / "project"

    def case(self) -> Case:
        environment = {"PATH": os.environ["PATH"], **self.environment}
        return Case(
            look({**self.flags, "serves": True}, environment, self.home),
            Machine("linux", self.home, self.project, environment),
            flags_of,
            self.start_project_entries,
            self.clock,
            lambda _: self.free_bytes,
        )

    def found(self, *probes: str) -> list[Finding]:
        """With what stands for the machine's own paths in place of them, and `SECONDS` in place of a time."""
        return [self._told(finding) for finding in examine(self.case(), {name: PROBES[name] for name in probes})]

    def _told(self, finding: Finding) -> Finding:
        return replace(finding, what=self._short(finding.what), remedy=self._short(finding.remedy))

    def _short(self, text: str) -> str:
        return re.sub(r"\d+\.\d s(?=:| in all)", "SECONDS s", text.replace(str(self.home), "~"))

    def has(self, file: str, entries: Mapping[str, Any], section: str = "mcpServers", mode: int = 0o600) -> None:
        """A client's file with these servers in it."""
        path = self.home / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({section: entries}))
        path.chmod(mode)
