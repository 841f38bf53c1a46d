"""A person at the command line, in this process."""

from collections.abc import Mapping

import pytest

from owlmetry_mcp.cli.main import main
from tests.world import LiveWorld, World


class Person:
    """Runs commands in a world, by a key if they have one, and holds what was said beside what was printed."""

    def __init__(
        self, world: World, capture: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch, who: str | None
    ) -> None:
        self.world = world
        self.said = ""
        self._capture = capture
        self._environment = environment
        self._who = who

    def run(self, *arguments: str, code: int = 0) -> str:
        """The standard output."""
        with self._environment.context() as environment:
            for name, value in self._settings().items():
                environment.setenv(name, value)
            try:
                returned = main(arguments)
            except SystemExit as leaving:
                returned = int(leaving.code or 0)
        printed, self.said = self._capture.readouterr()
        assert returned == code, self.said
        assert "Traceback" not in self.said
        return printed

    def _settings(self) -> Mapping[str, str]:
        key = {"OWLMETRY_API_KEY": self.world.credential(self._who)} if self._who else {}
        if isinstance(self.world, LiveWorld):
            return {"OWLMETRY_ENDPOINT": self.world.endpoint, **key}
        return {"OWLMETRY_STORE": str(self.world.store.path), **key}
