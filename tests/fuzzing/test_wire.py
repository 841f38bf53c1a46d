"""Any bytes at the API's socket: they are answered as no failure of the server's, or not at all, and it goes on."""

import logging
import re
import socket
from urllib.parse import urlsplit

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzzing.examples import EXAMPLES
from tests.fuzzing.hostile import cut_up
from tests.fuzzing.sound import assert_sound
from tests.world import SECRETS, SYMBOLS, HttpFace, World

HEAD = f"Host: localhost\r\nAuthorization: Bearer {SECRETS['agent']}\r\n".encode()
ISSUE = f"/v1/projects/{SYMBOLS['shop']}/issues/{SYMBOLS['i_timeout']}".encode()
COMMENT = b'{"body": "On it."}'
REQUESTS = [
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET %s?occurrence_limit=1 HTTP/1.1\r\n%s\r\n" % (ISSUE, HEAD),
    b"POST %s/comments HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (ISSUE, HEAD, len(COMMENT), COMMENT),
    b"POST %s/comments HTTP/1.1\r\n%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    % (ISSUE, HEAD, len(COMMENT), COMMENT),
    b"POST %s/comments HTTP/1.1\r\n%sContent-Length: 99\r\nExpect: 100-continue\r\n\r\n%s" % (ISSUE, HEAD, COMMENT),
    b"PATCH %s HTTP/1.0\r\n%sContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\0" % (ISSUE, HEAD),
    b"GET /health HTTP/1.1\r\n%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" % HEAD,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /health HTTP/1.1\r\n%s\r\n" % (b"X: %s\r\n" % (b"y" * 70_000)),
    b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 70_000),
    b"POST %s/comments HTTP/1.1\r\n%sContent-Length: 99999999999999999999\r\n\r\n" % (ISSUE, HEAD),
    b"POST %s/comments HTTP/1.1\r\n%sContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (ISSUE, HEAD),
]
SENT = st.lists(
    st.sampled_from(REQUESTS).flatmap(lambda request: st.just(request) | cut_up(request)) | st.binary(max_size=40),
    min_size=1,
    max_size=2,
).map(b"".join)
ANSWERS_WITHIN_SECONDS = 0.1
"""Then nothing more is said: a request may have no end. What is answered later is answered all the same."""


def test_any_bytes_are_answered_or_not_and_the_server_goes_on(
    world: World, http_face: HttpFace, caplog: pytest.LogCaptureFixture
) -> None:
    http_face.store = world.store

    @EXAMPLES
    @given(SENT)
    def attempt(sent: bytes) -> None:
        answered = exchange(http_face, sent)
        statuses = [int(status) for status in re.findall(rb"(?m)^HTTP/1\.1 (\d{3}) ", answered)]
        assert all(status < 500 for status in statuses), answered
        assert bool(statuses) == bool(answered)
        assert client.get("/health").json() == {"status": "ok"}

    with httpx2.Client(base_url=http_face.endpoint, timeout=20) as client:
        attempt()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert_sound(world.store)


def exchange(face: HttpFace, sent: bytes) -> bytes:
    """All that is answered, until the server closes the connection."""
    parts = urlsplit(face.endpoint)
    answered = bytearray()
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        try:
            connection.sendall(sent)
            connection.settimeout(ANSWERS_WITHIN_SECONDS)
            while part := connection.recv(65_536):
                answered += part
        except TimeoutError:
            connection.settimeout(20)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answered += part
        except ConnectionError:  # closed with bytes unread
            pass
    return bytes(answered)
