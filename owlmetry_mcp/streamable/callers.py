"""A server for each caller, so that nothing that one is told, listens to or is asked can reach another.

The server of a credential is kept for its next request, which any process may serve just as well: what it holds is
what it would find again.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup, TaskStatus
from starlette.types import Receive, Scope, Send

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.errors import PermissionDeniedError, UnauthenticatedError
from owlmetry_mcp.issues.models import KeyIdentity
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.server import TriageServer
from owlmetry_mcp.server.watch import Intervals

MAX_KEPT = 50
"""Servers that serve no request now. What was served longest ago goes first."""

ActingAs = Callable[[str], Backend]


class Caller:
    def __init__(self, backend: Backend, server: TriageServer) -> None:
        self.backend = backend
        self.server = server
        self.requests = 0
        """Under way."""
        self._over_http = server.over_http()
        self._over = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        async with self._over_http.run():
            task_status.started()
            await self._over.wait()

    def end(self) -> None:
        self._over.set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._over_http.handle_request(scope, receive, send)


class Callers:
    """`secret` is what questions to a person are sealed with, so that whoever has the same may take the answer.

    Nothing is asked of anyone but within `running`.
    """

    def __init__(
        self,
        acting_as: ActingAs,
        secret: bytes,
        project_id: str | None = None,
        options: Options | None = None,
        intervals: Intervals | None = None,
    ) -> None:
        self._acting_as = acting_as
        self._secret = secret
        self._project_id = project_id
        self._options = options
        self._intervals = intervals
        self._kept: OrderedDict[bytes, Caller] = OrderedDict()
        self._starting = anyio.Lock()
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    def end_streams(self) -> None:
        for caller in self._kept.values():
            caller.server.end_streams()

    @asynccontextmanager
    async def admitted(self, credential: str) -> AsyncIterator[Caller]:
        """The caller with this credential, which is checked anew for each request.

        Raises:
            UnauthenticatedError: it is unknown, revoked or expired.
            PermissionDeniedError: it is a key of an app that sends events.
            OwlmetryError: that cannot be told now.
        """
        digest = hashlib.sha256(credential.encode()).digest()
        kept = self._kept.get(digest)
        backend = kept.backend if kept else self._acting_as(credential)
        try:
            await _require_agent(backend)
        except (UnauthenticatedError, PermissionDeniedError):
            self._forget(digest)
            raise
        caller = await self._started(digest, credential, backend)
        caller.requests += 1
        try:
            yield caller
        finally:
            caller.requests -= 1
            if self._kept.get(digest) is caller:
                self._shorten()
            elif not caller.requests:
                caller.end()

    async def _started(self, digest: bytes, credential: str, backend: Backend) -> Caller:
        async with self._starting:
            if digest not in self._kept:
                sealing_key = hmac.digest(self._secret, credential.encode(), "sha256")
                desk = Desk(lambda _: backend, self._project_id)
                server = TriageServer(desk, self._options, self._intervals, sealing_key=sealing_key)
                caller = Caller(backend, server)
                assert self._tasks  # noqa: S101 - see the class
                await self._tasks.start(caller.run)
                self._kept[digest] = caller
            self._kept.move_to_end(digest)
            return self._kept[digest]

    def _forget(self, digest: bytes) -> None:
        """What still listens with a credential that is no longer valid is ended."""
        if digest in self._kept:
            caller = self._kept.pop(digest)
            caller.server.end_streams()
            if not caller.requests:
                caller.end()

    def _shorten(self) -> None:
        idle = [digest for digest, caller in self._kept.items() if not caller.requests]
        for digest in idle[: max(len(idle) - MAX_KEPT, 0)]:
            self._kept.pop(digest).end()


async def _require_agent(backend: Backend) -> None:
    identity = await backend.whoami()
    if isinstance(identity, KeyIdentity) and identity.key_type != "agent":
        raise PermissionDeniedError(
            f"This is {'an' if identity.key_type == 'import' else 'a'} {identity.key_type} key, for an app's events",
            "Agents come with keys of their own (owl_agent_…); `owlmetry-mcp keys create` makes one.",
        )
