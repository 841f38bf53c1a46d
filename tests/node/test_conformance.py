"""The official conformance suite's server scenarios, over HTTP, against `serve --http`.

All of an era's are run, so that none is passed over that is new: what does not apply is named here, with its reason.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.node.conftest import Node
from tests.over_http import Served
from tests.world import SECRETS

APPLIES = {
    "2025-11-25": {
        "server-initialize", "ping", "completion-complete", "tools-list", "resources-list", "prompts-list",
        "dns-rebinding-protection",
    },
    "2026-07-28": {
        "server-stateless", "completion-complete", "tools-list", "resources-list", "prompts-list",
        "sep-2164-resource-not-found", "dns-rebinding-protection", "caching", "http-header-validation",
        "server-sse-multiple-streams", "input-required-result-unsupported-methods",
        "input-required-result-ignore-extra-params",
    },
}  # fmt: skip
_TOOL, _RESOURCE, _PROMPT = (f"it calls for {what} of the suite's own" for what in ("tools", "resources", "prompts"))
_ASKS = "it calls for tools of the suite's own that ask"
_SESSION = "it is about sessions, which there are none of"
_NOTIFIES = "it is about notifications on a connection of the older era, which there is none of over HTTP"
DOES_NOT_APPLY = {
    "elicitation-sep1034-defaults": _ASKS,
    "elicitation-sep1330-enums": _ASKS,
    "http-custom-header-server-validation": "it is about parameters repeated in headers, which no tool has",
    "input-required-result-basic-elicitation": _ASKS,
    "input-required-result-basic-list-roots": _ASKS,
    "input-required-result-basic-sampling": _ASKS,
    "input-required-result-capability-check": _ASKS,
    "input-required-result-missing-input-response": _ASKS,
    "input-required-result-multi-round": _ASKS,
    "input-required-result-multiple-input-requests": _ASKS,
    "input-required-result-non-tool-request": _ASKS,
    "input-required-result-request-state": _ASKS,
    "input-required-result-result-type": _ASKS,
    "input-required-result-tampered-state": _ASKS,
    "input-required-result-validate-input": _ASKS,
    "json-schema-2020-12": _TOOL,
    "logging-set-level": "logs go to standard error, and are not offered to clients",
    "prompts-get-embedded-resource": _PROMPT,
    "prompts-get-simple": _PROMPT,
    "prompts-get-with-args": _PROMPT,
    "prompts-get-with-image": _PROMPT,
    "resources-read-binary": _RESOURCE,
    "resources-read-text": _RESOURCE,
    "resources-subscribe": _NOTIFIES,
    "resources-templates-read": _RESOURCE,
    "resources-unsubscribe": _NOTIFIES,
    "server-session-lifecycle": _SESSION,
    "server-sse-polling": _SESSION,
    "tools-call-audio": _TOOL,
    "tools-call-elicitation": _TOOL,
    "tools-call-embedded-resource": _TOOL,
    "tools-call-error": _TOOL,
    "tools-call-image": _TOOL,
    "tools-call-mixed-content": _TOOL,
    "tools-call-sampling": _TOOL,
    "tools-call-simple-text": _TOOL,
    "tools-call-with-logging": _TOOL,
    "tools-call-with-progress": _TOOL,
}
NOT_OF_THE_OLDER = {"server-sse-multiple-streams": _SESSION}
CHECKS_THAT_DO_NOT_APPLY = {
    "sep-2575-server-rejects-undeclared-capability": _TOOL,
    "sep-2575-missing-capability-http-400": _TOOL,
}
"""Of scenarios that do."""

_SUITE_SECONDS = 120


class Check(NamedTuple):
    id: str
    status: str
    said: str


@pytest.mark.parametrize("version", APPLIES)
async def test_what_applies_of_an_era_passes(node: Node, server: Served, tmp_path: Path, version: str) -> None:
    async with with_a_key(server.port, SECRETS["agent"]) as port:
        url = f"http://127.0.0.1:{port}/mcp"
        arguments = ("server", "--url", url, "--suite", "all", "--spec-version", version, "-o", tmp_path)
        suite = await asyncio.create_subprocess_exec(
            *node.command("conformance", *arguments), stdout=asyncio.subprocess.DEVNULL, env=node.environment
        )
        async with asyncio.timeout(_SUITE_SECONDS):
            await suite.wait()
    results = checks(tmp_path)
    others = DOES_NOT_APPLY.keys() | (NOT_OF_THE_OLDER.keys() if version == "2025-11-25" else ())
    assert results.keys() - others == APPLIES[version]
    for scenario in APPLIES[version]:
        applying = [check for check in results[scenario] if check.id not in CHECKS_THAT_DO_NOT_APPLY]
        assert [check for check in applying if check.status == "FAILURE"] == []
        assert [check for check in applying if check.status == "SUCCESS"]


def checks(folder: Path) -> dict[str, list[Check]]:
    """By scenario."""
    return {
        re.sub(r"^server-(.+?)-\d{4}-\d{2}-\d{2}T.*", r"\1", file.parent.name): [
            Check(row["id"], row["status"], row.get("errorMessage", "")) for row in json.loads(file.read_text())
        ]
        for file in folder.glob("*/checks.json")
    }


@asynccontextmanager
async def with_a_key(port: int, key: str) -> AsyncIterator[int]:
    """The port of what passes on all requests, each on a connection of its own, with the key that the suite cannot be
    told to send.
    """

    async def forward(client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        head = await client.readuntil(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(b"connection:")]
        own = [f"Authorization: Bearer {key}".encode(), b"Connection: close", b"", b""]
        server, requests = await asyncio.open_connection("127.0.0.1", port)
        requests.write(b"\r\n".join([*kept, *own]))
        await asyncio.gather(pump(client, requests), pump(server, answers))

    async with await asyncio.start_server(forward, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    except ConnectionError:
        pass
    finally:
        target.close()
