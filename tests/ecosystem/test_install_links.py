"""The README's badges: links that install the server, decoded as the clients decode them."""

import json
import re
from base64 import b64decode
from urllib.parse import parse_qs, urlsplit

from owlmetry_mcp.clients.servers import Server, entry_of
from owlmetry_mcp.clients.table import CLIENTS
from tests.world import ROOT

BADGE = re.compile(r"^\[!\[Install in (.*?)\]\((.*?)\)\]\((.*?)\)$", re.MULTILINE)
LINKS = {client: link for client, _, link in BADGE.findall((ROOT / "README.md").read_text())}
BY_UVX = Server(("uvx", "owlmetry-mcp"))
"""A link knows no absolute path."""


def asked_by(link: str) -> tuple[str, dict[str, str]]:
    """Where a link leads, and what it asks for there."""
    parts = urlsplit(link)
    assert parts.scheme == "https", "what shows a README drops links of other schemes"
    return f"{parts.hostname}{parts.path}", {name: only for name, (only,) in parse_qs(parts.query).items()}


def test_there_is_one_for_cursor_and_one_for_vs_code() -> None:
    assert list(LINKS) == ["Cursor", "VS Code"]


def test_cursors_holds_what_install_writes_into_its_file() -> None:
    place, asked = asked_by(LINKS["Cursor"])
    assert place == "cursor.com/en/install-mcp"
    assert asked.keys() == {"name", "config"}
    assert asked["name"] == "owlmetry"
    assert json.loads(b64decode(asked["config"], validate=True)) == entry_of(CLIENTS["cursor"], BY_UVX)


def test_vs_codes_holds_what_install_writes_into_its_file() -> None:
    place, asked = asked_by(LINKS["VS Code"])
    assert place == "insiders.vscode.dev/redirect/mcp/install"
    assert asked.keys() == {"name", "config"}
    assert asked["name"] == "owlmetry"
    assert json.loads(asked["config"]) == entry_of(CLIENTS["vscode"], BY_UVX)
