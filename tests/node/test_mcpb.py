"""The bundle, as the official tool for bundles sees it."""

import subprocess
from pathlib import Path

from owlmetry_mcp.cli.main import main

MCPB = "@anthropic-ai/mcpb@2.1.2"


def mcpb(*arguments: str | Path) -> str:
    """Its output, where it succeeds."""
    return subprocess.run(
        ["npx", "--yes", MCPB, *arguments],  # noqa: S607 - wherever it is
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def test_the_official_tool_unpacks_and_accepts_the_bundle(tmp_path: Path) -> None:
    bundle, unpacked = tmp_path / "owlmetry.mcpb", tmp_path / "unpacked"
    assert main(["bundle", "--output", str(bundle)]) == 0
    mcpb("unpack", bundle, unpacked)
    assert "Manifest schema validation passes!" in mcpb("validate", unpacked)
    assert "owlmetry.mcpb" in mcpb("info", bundle)
