"""HTTP/1.1 as the commands that serve it speak it."""

import asyncio
import logging
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

logger = logging.getLogger(__name__)


class Http(H11Protocol):
    """Uvicorn's, which answers 400 where a body turns out to be no HTTP, but leaves the request to run into that, with
    a stack trace in the log; answers in plain text; and waits without end for whoever connects and says nothing, or
    half of a request's head, until there is no room for anyone else.
    """

    refusal: ClassVar[bytes] = b'{"error": "Invalid HTTP request"}'
    most_connections: ClassVar[int] = 1000
    """At a time; one more is closed. asyncio, where it has no room for one, tries and logs without end."""
    head_seconds: ClassVar[float] = 20.0
    """For the head of a request to be there."""

    _deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_a_head()
        count = len(self.connections)
        if count == self.most_connections:
            logger.warning("%d connections are open; until some close, no more are taken", count)
        elif count > self.most_connections:
            transport.abort()

    def on_response_complete(self) -> None:
        self._expect_a_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _expect_a_head(self) -> None:
        if hasattr(self, "_deadline"):
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self.head_seconds, self._close_unless_at_work)

    def _close_unless_at_work(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def send_400_response(self, _: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True  # so that what it still answers is not sent behind this
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("Content-Type", "application/json"), ("Connection", "close")]
            events = (h11.Response(status_code=400, headers=headers), h11.Data(data=self.refusal), h11.EndOfMessage())
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()
        else:  # the request has been answered, or is being answered
            self.transport.close()
