"""HTTP/1.1 as the commands that serve it speak it."""

from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Http(H11Protocol):
    """Uvicorn's, which answers 400 where a body turns out to be no HTTP, but leaves the request to run into that, with
    a stack trace in the log; and answers in plain text.
    """

    refusal: ClassVar[bytes] = b'{"error": "Invalid HTTP request"}'

    def send_400_response(self, _: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [("Content-Type", "application/json"), ("Connection", "close")]
            events = (h11.Response(status_code=400, headers=headers), h11.Data(data=self.refusal), h11.EndOfMessage())
            for event in events:
                self.transport.write(self.conn.send(event) or b"")
            self.transport.close()
        else:  # the request has been answered, or is being answered
            self.transport.close()
