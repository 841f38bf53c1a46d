"""HTTP/1.1 as the `api` command speaks it."""

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


class Http(H11Protocol):
    """Uvicorn's, which answers 400 where a body turns out to be no HTTP, but leaves the request to run into that, with
    a stack trace in the log.
    """

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:  # the request has been answered, or is being answered
            self.transport.close()
