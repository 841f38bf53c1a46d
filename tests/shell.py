"""A shell for the command line, in this process."""

from pathlib import Path

import pytest

from owlmetry_mcp.cli.main import main


class Shell:
    """Runs commands on one store, and holds what they printed."""

    def __init__(self, path: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capture = capture
        self.errors = ""

    def run(self, *arguments: str, code: int = 0) -> str:
        """The standard output."""
        try:
            returned = main([*arguments, "--store", str(self.path)])
        except SystemExit as leaving:  # argparse's way out
            returned = int(leaving.code or 0)
        output, self.errors = self._capture.readouterr()
        assert returned == code, self.errors
        assert "Traceback" not in self.errors
        return output.strip()
