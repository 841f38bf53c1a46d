"""History, sent to an Owlmetry server under an app's import key."""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_core import to_json

from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.identity import identify
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.backends.live.writes import Write
from owlmetry_mcp.issues.errors import UnauthenticatedError
from owlmetry_mcp.issues.models import Identity, Ingested

_FAST = 1
"""Of gzip's levels: a batch packs to a tenth with any."""


class Importer:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def aclose(self) -> None:
        await self._wire.aclose()

    async def whoami(self) -> Identity:
        with _its_own_key():
            return await identify(self._wire)

    async def import_events(self, events: Sequence[Mapping[str, Any]]) -> Ingested:
        """As `backends.base.Intake` has it. A batch whose answer is lost is sent again: its events are known by their
        `client_event_id`, which each must have.
        """
        packed = gzip.compress(to_json({"events": events}), _FAST, mtime=0)

        async def send(deadline: Deadline) -> Any:  # noqa: ANN401 - JSON
            return await self._wire.attempt("POST", "/v1/import", packed=packed, deadline=deadline)

        async def find(_: Deadline) -> Ingested | None:
            return None

        def understand(answer: Any) -> Ingested:  # noqa: ANN401 - JSON
            return checked(Ingested, answer)

        write = Write(self._wire, "the events were taken in", send, understand, find, repeatable=True)
        with _its_own_key():
            return await write.carry_out(self._wire.deadline())


@contextmanager
def _its_own_key() -> Iterator[None]:
    """A wire takes every key for that of the settings' OWLMETRY_API_KEY."""
    try:
        yield
    except UnauthenticatedError as error:
        raise UnauthenticatedError(error.message, "Check OWLMETRY_IMPORT_KEY.") from error
