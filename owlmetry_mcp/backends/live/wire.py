"""One request to an Owlmetry server at a time, and how it went; reads are tried again here, writes are not."""

import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import anyio
import httpx2
from pydantic_core import from_json

from owlmetry_mcp import __version__
from owlmetry_mcp.backends.base import CALL
from owlmetry_mcp.backends.live.answers import refusal, summary_of_page
from owlmetry_mcp.backends.live.faults import FaultError, LostError, NotArrivedError, OutOfTimeError, ThrottledError
from owlmetry_mcp.issues.errors import EndpointError, InvalidInputError, UnavailableError

MAX_ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
_SHORTEST_SECRET = 16  # what is shorter is no key, and may be part of any word
MAX_ANSWER_BYTES = 64 * 1024 * 1024

_PACKED = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_REDIRECTS = range(300, 400)
_THROTTLED = 429
_GATEWAY_TIMEOUT = 504


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds."""

    connect: float = 5.0
    read: float = 15.0
    """One attempt, from the connection to the answer's last byte."""
    call: float = 45.0
    """The whole call, with all attempts and pauses, and with finding out what became of a write."""


class Deadline:
    """The end of a call, or of a part of it."""

    def __init__(self, end: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = end

    @property
    def left_seconds(self) -> float:
        return self._end - self._clock()

    def within(self, share: float) -> "Deadline":
        """The end of so much of what is left."""
        return Deadline(self._clock() + self.left_seconds * share, self._clock)


def connections() -> httpx2.AsyncBaseTransport:
    """A pool of connections that the wires of several keys may share."""
    return httpx2.AsyncHTTPTransport(trust_env=False)


def _nothing_to_verify() -> ssl.SSLContext:
    """For an address without TLS, since trusted certificates take a tenth of a second to load. It trusts none."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Wire:
    """Requests to one server with one key, which it sends nowhere else; over a pool of connections of its own, unless
    it is given one.

    Redirects are not followed, and TLS certificates are verified. `sleep`, `clock` (monotonic, in seconds), `jitter`
    (a number from 0 to 1) and `tls` (what certificates are verified by) are there for tests.
    """

    def __init__(  # noqa: PLR0913 - four of them for tests
        self,
        endpoint: str,
        api_key: str,
        timeouts: Timeouts | None = None,
        *,
        transport: httpx2.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.timeouts = timeouts or Timeouts()
        self._secret = api_key.encode()
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._client = httpx2.AsyncClient(
            headers={
                "Authorization": f"Bearer {api_key}",
                "Accept": "application/json",
                "User-Agent": f"owlmetry-mcp/{__version__}",
            },
            timeout=httpx2.Timeout(self.timeouts.read, connect=self.timeouts.connect),
            follow_redirects=False,
            verify=tls or (_nothing_to_verify() if self.endpoint.startswith("http://") else True),
            trust_env=False,  # a proxy named in the environment would be shown the key
            transport=transport,
        )

    def __repr__(self) -> str:
        return f"Wire({self.endpoint!r})"

    async def aclose(self) -> None:
        await self._client.aclose()

    def deadline(self) -> Deadline:
        """The end of the call that begins now, or that this is a part of; see `base.one_call`."""
        call = CALL.get()
        began = self._clock() if call is None else call.began.setdefault(self, self._clock())
        return Deadline(began + self.timeouts.call, self._clock)

    async def read(self, path: str, query: Mapping[str, Any] | None = None, deadline: Deadline | None = None) -> Any:  # noqa: ANN401 - JSON
        """The answer to a GET, tried again while that may help and time is left.

        Raises:
            OutOfTimeError: the deadline came before the server's answer, or comes before it lets itself be asked again.
            OwlmetryError: the server refused, or could not be made to answer.
        """
        deadline = deadline or self.deadline()
        for attempt in range(MAX_ATTEMPTS):
            try:
                return await self.attempt("GET", path, query=query, deadline=deadline)
            except FaultError as fault:
                if attempt + 1 == MAX_ATTEMPTS:
                    raise self.unavailable(fault) from fault
                if not await self.pause(attempt, fault, deadline):
                    too_late = deadline.left_seconds <= 0 or isinstance(fault, ThrottledError)
                    raise self.unavailable(fault, OutOfTimeError if too_late else UnavailableError) from fault
        raise AssertionError("the last attempt returns or raises")

    async def attempt(  # noqa: PLR0913 - the parts of a request
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        packed: bytes | None = None,
        deadline: Deadline,
    ) -> Any:  # noqa: ANN401 - JSON
        """What the server answers to one request, with a body as it is or one of JSON that is packed by gzip.

        Raises:
            FaultError: it got no answer of use.
            OwlmetryError: the server refused it.
        """
        parts = await self.exchange(method, path, query=query, body=body, packed=packed, deadline=deadline)
        return answer_of(*parts)

    async def exchange(  # noqa: PLR0913 - likewise
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        packed: bytes | None = None,
        deadline: Deadline,
    ) -> tuple[httpx2.Response, bytes]:
        """What comes back from one request, whatever it says, and its content without the key.

        Raises:
            FaultError: nothing came back.
        """
        seconds = min(self.timeouts.read, deadline.left_seconds)
        if seconds <= 0:
            raise NotArrivedError("no time is left")
        parameters = {name: value for name, value in (query or {}).items() if value is not None}
        # Without a connection nothing was sent: that is to be seen before the attempt as a whole is given up.
        timeout = httpx2.Timeout(seconds, connect=min(self.timeouts.connect, seconds * 0.9))
        try:
            request = self._client.build_request(
                method, f"{self.endpoint}{path}", params=parameters, json=body, content=packed,
                headers=None if packed is None else _PACKED, timeout=timeout,
            )  # fmt: skip
        except httpx2.InvalidURL as error:
            raise InvalidInputError("A parameter is too long to be sent") from error
        try:
            with anyio.fail_after(seconds):
                response, content = await self._sent(request)
        except TimeoutError as error:
            raise LostError(f"no answer within {seconds:.1f} s", may_still_arrive=True) from error
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol) as error:
            raise NotArrivedError(_words(error)) from error
        except httpx2.TimeoutException as error:
            raise LostError(_words(error), may_still_arrive=True) from error
        except httpx2.RequestError as error:
            raise LostError(_words(error), may_still_arrive=False) from error
        if len(self._secret) >= _SHORTEST_SECRET:  # should the server repeat it, it stays here
            content = content.replace(self._secret, b"[the key]")
        return response, content

    async def _sent(self, request: httpx2.Request) -> tuple[httpx2.Response, bytes]:
        response = await self._client.send(request, stream=True)
        try:
            content = bytearray()
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise LostError("an answer of over 64 MiB", may_still_arrive=False)
        finally:
            await response.aclose()
        return response, bytes(content)

    async def pause(self, attempt: int, fault: Exception | None, deadline: Deadline) -> bool:
        """Wait before the attempt that follows the given one; false, at once, where no time would be left for it."""
        seconds = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS) * (0.5 + self._jitter() / 2)
        if isinstance(fault, ThrottledError) and fault.after_seconds is not None:
            seconds = max(seconds, fault.after_seconds)
        if seconds >= deadline.left_seconds:
            return False
        await self._sleep(seconds)
        return True

    def unavailable(self, fault: Exception, kind: type[UnavailableError] = UnavailableError) -> UnavailableError:
        host = httpx2.URL(self.endpoint).netloc.decode("ascii")
        return kind(f"The Owlmetry server at {host} cannot be used now: {fault}", _remedy(fault))


def _remedy(fault: Exception) -> str:
    match fault:
        case NotArrivedError():
            return "Nothing was changed. Check OWLMETRY_ENDPOINT and the network, or try again later."
        case ThrottledError():
            return "Nothing was changed. Make fewer calls, and try again later."
        case _:
            return "Try again later."


def _words(error: httpx2.RequestError) -> str:
    """What httpx says, or what it means where it says nothing."""
    match error:
        case _ if str(error):
            return str(error)
        case httpx2.TimeoutException():
            return "no answer in time"
        case _:
            return "the connection was cut"


def answer_of(response: httpx2.Response, content: bytes) -> Any:  # noqa: ANN401 - JSON
    """
    Raises:
        FaultError: it is no answer of use.
        OwlmetryError: the server refused.
    """
    status = response.status_code
    if status in _REDIRECTS:
        raise EndpointError(
            f"The server redirects to {_host_in(response)}, and redirects are not followed",
            "Nothing was changed. Set OWLMETRY_ENDPOINT to where the API itself is.",
        )
    if status == _THROTTLED:
        raise ThrottledError("too many requests (429)", _retry_after(response))
    if response.is_server_error:
        raise LostError(f"it answered {status}{summary_of_page(content)}", may_still_arrive=status == _GATEWAY_TIMEOUT)
    try:
        value = from_json(content)
    except ValueError as error:
        if response.is_client_error:
            raise refusal(status, None) from error
        raise LostError(f"it answered {status}{summary_of_page(content)}", may_still_arrive=False) from error
    if response.is_success:
        return value
    raise refusal(status, value)


def _host_in(redirect: httpx2.Response) -> str:
    try:
        return httpx2.URL(redirect.headers.get("location", "")).host or "another address"
    except httpx2.InvalidURL:
        return "what is no address"


def _retry_after(response: httpx2.Response) -> float | None:
    """In seconds, from either form of the header."""
    text = response.headers.get("retry-after", "")
    try:
        return max(float(text), 0.0) if text.isdecimal() else _until(text)
    except (TypeError, ValueError, OverflowError):
        return None


def _until(text: str) -> float:
    return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
