"""The official MCP Inspector lists and calls the tools, over stdio and over HTTP, in both eras of the protocol."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from owlmetry_mcp.server.catalogue import CATALOGUE
from tests.node.conftest import Node
from tests.over_http import Served
from tests.world import ROOT, SECRETS, SYMBOLS

ERAS = ["legacy", "modern"]
GET = ["--method", "tools/call", "--tool-name", "get_issue", "--tool-arg", f"issue_id={SYMBOLS['i_timeout']}"]
COMMENT = ["--method", "tools/call", "--tool-name", "comment", "--tool-args-json"]


def inspected(node: Node, asked: list[str], *reached: str) -> dict[str, Any]:
    done = subprocess.run(
        node.command("mcp-inspector", "--cli", *asked, "--format", "json", "--quiet", *reached),
        capture_output=True, text=True, check=False, env=node.environment, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)["result"]
    return result


def tried(node: Node, *reached: str) -> None:
    tools = inspected(node, ["--method", "tools/list"], *reached)["tools"]
    assert [tool["name"] for tool in tools] == [name for name in CATALOGUE if not name.startswith(("get_ev", "get_br"))]
    issue = inspected(node, GET, *reached)
    assert issue["structuredContent"]["title"] == "Connection refused"
    arguments = {"issue_id": SYMBOLS["i_timeout"], "body": "Seen by the Inspector."}
    said = inspected(node, [*COMMENT, json.dumps(arguments)], *reached)
    assert said["structuredContent"]["author_name"] == "Triage Agent"


@pytest.mark.parametrize("era", ERAS)
def test_over_stdio(node: Node, recorded_file: Path, tmp_path: Path, era: str) -> None:
    store = tmp_path / "store.db"
    shutil.copyfile(recorded_file, store)
    settings = ["-e", f"OWLMETRY_STORE={store}", "-e", f"OWLMETRY_API_KEY={SECRETS['agent']}"]
    tried(node, "--protocol-era", era, *settings, "--", sys.executable, "-m", "owlmetry_mcp")


@pytest.mark.parametrize("era", ERAS)
def test_over_http(node: Node, server: Served, era: str) -> None:
    key = f"Authorization: Bearer {SECRETS['agent']}"
    tried(node, "--protocol-era", era, "--transport", "http", "--server-url", server.url, "--header", key)
