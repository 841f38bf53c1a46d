"""The bundle, as the official tool for bundles sees it."""

import subprocess
from pathlib import Path

from owlmetry_mcp.cli.main import main
from tests.node.conftest import Node


def test_the_official_tool_unpacks_and_accepts_the_bundle(node: Node, tmp_path: Path) -> None:
    def mcpb(*arguments: str | Path) -> str:
        """Its output, where it succeeds."""
        return subprocess.run(
            node.command("mcpb", *arguments), env=node.environment, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    bundle, unpacked = tmp_path / "owlmetry.mcpb", tmp_path / "unpacked"
    assert main(["bundle", "--output", str(bundle)]) == 0
    mcpb("unpack", bundle, unpacked)
    assert "Manifest schema validation passes!" in mcpb("validate", unpacked)
    assert "owlmetry.mcpb" in mcpb("info", bundle)
