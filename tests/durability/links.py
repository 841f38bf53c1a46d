"""Servers that are to be killed, as their clients meet them: a pipe to the MCP server, sockets to the API."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from tests.durability.privileges import obeying_permissions
from tests.durability.streams import Write
from tests.test_stdio import COMMAND, message

Answer = dict[str, Any]


class Refusal(Exception):  # noqa: N818 - an answer, though not the one that was wanted
    """A server's word that it has not done as it was asked."""


class Link:
    def __init__(self, *arguments: str, environment: Mapping[str, str], stdin: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            obeying_permissions(*COMMAND, *arguments),
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **environment},
        )  # fmt: skip
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        """Read what it says until it ends."""
        raise NotImplementedError

    def outlives(self, seconds: float) -> bool:
        """Wait so long; whether it has not ended by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


class StdioLink(Link):
    def __init__(self, store: Path, project_id: str, **environment: str) -> None:
        self._lock = Lock()
        self._waiting: dict[int, Future[Answer | None]] = {}
        self._numbers = count(1)
        self._is_over = False
        super().__init__("--store", str(store), "--project-id", project_id, environment=environment)

    def ask(self, _: str, write: Write) -> Answer | None:
        """The answer; None where it ended before there was one.

        Raises:
            Refusal: it was refused.
        """
        answered: Future[Answer | None] = Future()
        with self._lock:
            if self._is_over:
                return None
            number = next(self._numbers)
            self._waiting[number] = answered
            with suppress(BrokenPipeError):
                assert self.process.stdin
                self.process.stdin.write(message(number, "tools/call", name=write.tool, arguments=write.arguments))
                self.process.stdin.flush()
        answer = answered.result()
        if answer is None:
            return None
        if "error" in answer or answer["result"].get("isError"):
            raise Refusal(json.dumps(answer))
        result: Answer = answer["result"]["structuredContent"]
        return result

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith(b"\n"):  # what was cut in the midst was not said
                answer = json.loads(line)
                if "id" in answer:
                    self._waiting.pop(answer["id"]).set_result(answer)
        with self._lock:
            self._is_over = True
            for unanswered in self._waiting.values():
                unanswered.set_result(None)


_ROUTES = {
    "get_issue": ("GET", ""),
    "update_status": ("PATCH", ""),
    "comment": ("POST", "/comments"),
    "edit_comment": ("PATCH", "/comments/{}"),
    "delete_comment": ("DELETE", "/comments/{}"),
    "merge": ("POST", "/merge"),
}


class ApiLink(Link):
    def __init__(self, store: Path, project_id: str) -> None:
        self._project = f"/v1/projects/{project_id}/issues"
        self._address: Future[str] = Future()
        super().__init__("api", "--port", "0", "--store", str(store), environment={}, stdin=subprocess.DEVNULL)

    def ask(self, secret: str, write: Write) -> Answer | None:
        """As `StdioLink.ask`, as the bearer of a key."""
        address = self._address.result()
        if not address:
            return None
        method, path, fields = self._request(write)
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        try:
            with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as connection:
                connection.request(method, path, json.dumps(fields), headers)
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        if answer.status >= http.client.BAD_REQUEST:
            raise Refusal(f"{answer.status} {content.decode()}")
        result: Answer = json.loads(content)
        return result

    def _request(self, write: Write) -> tuple[str, str, dict[str, Any]]:
        fields = dict(write.arguments)
        if write.tool == "ingest":
            return "POST", "/v1/ingest", fields
        method, path = _ROUTES[write.tool]
        issue = fields.pop("target_issue_id", None) or fields.pop("issue_id")
        return method, f"{self._project}/{issue}{path.format(fields.pop('comment_id', ''))}", fields

    def _read(self) -> None:
        assert self.process.stdout
        line = self.process.stdout.readline().decode()
        self._address.set_result(line.rpartition(" ")[2].strip() if line.endswith("\n") else "")
        self.process.stdout.read()
