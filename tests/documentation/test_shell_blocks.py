"""Every shell block of the documentation does what a reader types it for."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.cli.main import main
from tests.documentation.shell_blocks import LIVE, PAGES, RUN_BY_CI, Scratch, blocks_of
from tests.world import ROOT

ADDED, REMOVED = "claude mcp add-json --scope user owlmetry".split(), "claude mcp remove --scope user owlmetry".split()
CALLS = {
    "README.md": [
        [*ADDED, r'.* "command": ".*/uvx", "args": .*"owlmetry-mcp".*'],
        ["claude", "Triage the new issues"],
        REMOVED,
        [*ADDED, r'.* "command": ".*/pipx/.*/owlmetry-mcp".*'],
        REMOVED,
        [*ADDED, r'.* "command": ".*/environment/bin/owlmetry-mcp".*'],
    ],
    "docs/http.md": [
        [*"claude mcp add --transport http owlmetry".split(), r"http://127\.0\.0\.1:\d+/mcp", "--header", r"Author.*"]
    ],
    "docs/clients.md": [[*ADDED, r'.* "command": ".*/owlmetry-mcp".*']],
}
"""What each page asks of clients, word for word; patterns where a folder is in it."""

ISSUES = ("1a2b3c4d", "5e6f7a8b")
"""The issues that the pages name, by how their ids begin."""

FILES = {
    "errors.jsonl": json.dumps({
        "message": "Payment declined",
        "level": "error",
        "session_id": "7f0ad3cb-6c5c-4a4b-bd30-5a7f1d2d9f10",
        "timestamp": "2026-11-20T10:00:03.000Z",
        "app_version": "2.4.0",
    }),
    "service.log": """\
2026-11-20 07:51:11,123 ERROR shop.checkout: Payment failed
Traceback (most recent call last):
  File "/app/shop/checkout.py", line 42, in pay
    raise TimeoutError("The bank did not answer")
TimeoutError: The bank did not answer
""",
    "otel.jsonl": json.dumps({
        "resourceLogs": [
            {
                "scopeLogs": [
                    {
                        "logRecords": [
                            {
                                "timeUnixNano": "1795168800000000000",
                                "severityNumber": 17,
                                "body": {"stringValue": "Cache unreachable"},
                            }
                        ]
                    }
                ]
            }
        ]
    }),
}  # fmt: skip
"""What the pages' blocks read."""


@pytest.fixture(scope="session")
def store_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store as the first start makes it, with the issues that the pages name."""
    folder = tmp_path_factory.mktemp("documented")
    detected, exported, store = folder / "detected.db", folder / "exported.json", folder / "store.db"
    for name, flags in (("errors.jsonl", ()), ("service.log", ("--format", "python-logging"))):
        (folder / name).write_text(FILES[name])
        assert main(["ingest", str(folder / name), *flags, "--store", str(detected)]) == 0
    assert main(["export", str(exported), "--store", str(detected)]) == 0
    document = exported.read_text()
    for issue, named in zip(json.loads(document)["issues"], ISSUES, strict=True):
        document = document.replace(issue["id"], named + issue["id"][len(named) :])
    with Store(store, fill=first_start.leave_empty) as empty:
        empty.write(lambda tx: import_document(tx, read_document(document)))
    return store


@pytest.fixture(scope="session")
def installers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What has uv, pipx and pip find this project as if it were on PyPI, and not fetch all else anew."""
    folder = tmp_path_factory.mktemp("wheels")
    _run("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT))
    return {
        "UV_FIND_LINKS": str(folder),
        "PIP_FIND_LINKS": str(folder),
        "UV_CACHE_DIR": _run("uv", "cache", "dir"),
        "PIP_CACHE_DIR": _run("pip", "cache", "dir"),
    }


def _run(command: str, *arguments: str) -> str:
    """What a command of the tests' own environment prints."""
    return subprocess.check_output([Path(sys.executable).parent / command, *arguments], text=True).strip()


@pytest.fixture
def scratch(page: str, request: pytest.FixtureRequest, tmp_path: Path) -> Scratch:
    """The README finds nothing there, and the other pages a store.

    Where pip installs, it finds an environment that has what this project needs, since pip itself takes long over that.
    """
    folder, home = tmp_path / "scratch", tmp_path / "home"
    store = home / ".local" / "share" / "owlmetry-mcp" / "store.db"
    store.parent.mkdir(parents=True)
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    if page != "README.md":
        shutil.copyfile(request.getfixturevalue("store_file"), store)
    text = "".join(block.text for block in blocks_of(page))
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OWLMETRY_", "XDG_", "PYTHON", "VIRTUAL_ENV", "PIPX_"))
    }
    if re.search(r"^(uvx|pipx|pip) ", text, re.MULTILINE):
        environment |= request.getfixturevalue("installers")
    if re.search(r"^pip ", text, re.MULTILINE):
        made = str(home / "environment")
        _run("uv", "venv", "--quiet", "--seed", made)
        _run("uv", "pip", "install", "--quiet", "--python", made, "--requirements", str(ROOT / "pyproject.toml"))
    return Scratch(folder, home, environment)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)])
def test_the_blocks_of_a_page_run_in_order(page: str, scratch: Scratch) -> None:
    with scratch:
        if any(LIVE in block.text for block in blocks_of(page)):
            scratch.begin_live_server()
        for block in blocks_of(page):
            scratch.run(block)
    asked, expected = scratch.calls(), CALLS.get(page, [])
    assert len(asked) == len(expected), asked
    for words, patterns in zip(asked, expected, strict=True):
        assert all(re.fullmatch(pattern, word) for pattern, word in zip(patterns, words, strict=True)), words


@pytest.mark.parametrize("page", PAGES)
def test_what_a_reader_types_is_marked_as_such(page: str) -> None:
    """A block in another shell's name would not be run."""
    marks = re.findall(r"^```(\S+)$", PAGES[page].read_text(), re.MULTILINE)
    assert {*marks} <= {"sh", "json", "text", "nginx"}


def test_ci_runs_the_blocks_that_are_not_run_here() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert re.findall(r"\$\(block '\^## (.*?)\$'", script) == [*RUN_BY_CI["README.md"]]
