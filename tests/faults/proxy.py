"""A proxy on a socket that does to requests what networks do, one fault a request, as it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@dataclass
class Exchange:
    """One request at the proxy."""

    request: bytes
    client: asyncio.StreamWriter
    proxy: "FaultyProxy"

    async def forward(self) -> bytes:
        """The server's whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.server_port)
        head, _, body = self.request.partition(b"\r\n\r\n")
        head = re.sub(rb"\r\nconnection: [^\r]*", b"", head, flags=re.IGNORECASE) + b"\r\nConnection: close"
        try:
            writer.write(head + b"\r\n\r\n" + body)
            return await reader.read()
        finally:
            await _closed(writer)

    async def answer(self, content: bytes) -> None:
        with suppress(ConnectionError):
            self.client.write(content)
            await self.client.drain()

    async def respond(self, status: int, body: bytes, kind: str = "text/html", extra: str = "") -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}"
        await self.answer(f"{head}Connection: close\r\n\r\n".encode() + body)


Fault = Callable[[Exchange], Awaitable[None]]


class FaultyProxy:
    def __init__(self, server_port: int) -> None:
        self.server_port = server_port
        self.port = 0
        self.faults: list[Fault] = []
        """What to do to the next requests that `applies`; then they pass."""
        self.applies: Callable[[bytes], bool] = lambda _: True
        self.requests: list[str] = []
        """The request lines seen, without the protocol."""
        self.late: list[Exchange] = []
        """Requests held back, to be forwarded when the second after them comes by."""
        self._since_late = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stop listening, so that connections are refused."""
        if self._server:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while request := await _request(reader):
                await self._handle(Exchange(request, writer, self))
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            await _closed(writer)
            self._tasks.discard(task)

    async def _handle(self, exchange: Exchange) -> None:
        self.requests.append(exchange.request.partition(b" HTTP/")[0].decode())
        self._since_late += 1
        if self.late and self._since_late > 1:
            await self.late.pop().forward()
        if self.faults and self.applies(exchange.request):
            await self.faults.pop(0)(exchange)
            exchange.client.close()
        else:
            await exchange.answer(await exchange.forward())
            exchange.client.close()

    def hold(self, exchange: Exchange) -> None:
        self.late.append(exchange)
        self._since_late = 0


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, and wait until it is: the loop that it lives in may end next."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _request(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@asynccontextmanager
async def faulty_proxy(server_port: int) -> AsyncIterator[FaultyProxy]:
    proxy = FaultyProxy(server_port)
    await proxy.listen()
    yield proxy
    await proxy.close()


# The faults. What they stand for is in the fault table.


async def cut_before(_: Exchange) -> None:
    """Nothing more than what follows every fault: the connection is closed."""


async def cut_after(exchange: Exchange) -> None:
    await exchange.forward()


async def cut_mid_answer(exchange: Exchange) -> None:
    answer = await exchange.forward()
    await exchange.answer(answer[: len(answer) - 10])


async def never_answered(_: Exchange) -> None:
    await asyncio.Event().wait()


async def answered_too_late(exchange: Exchange) -> None:
    await exchange.forward()
    await asyncio.Event().wait()


async def arrives_late(exchange: Exchange) -> None:
    exchange.proxy.hold(exchange)
    await asyncio.Event().wait()


async def cut_and_arrives_late(exchange: Exchange) -> None:
    exchange.proxy.hold(exchange)


async def bad_gateway_and_arrives_late(exchange: Exchange) -> None:
    exchange.proxy.hold(exchange)
    await exchange.respond(502, PAGE)


async def slow_drip(exchange: Exchange) -> None:
    for byte in await exchange.forward():
        await exchange.answer(bytes([byte]))
        await asyncio.sleep(0.05)


async def garbage(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.respond(200, b"\x00\xff}{", "application/json")


async def html(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.respond(200, PAGE)


async def lacks_ids(exchange: Exchange) -> None:
    _, _, body = (await exchange.forward()).partition(b"\r\n\r\n")
    await exchange.respond(200, re.sub(rb'"id":', b'"dd":', body), "application/json")


async def throttled(exchange: Exchange) -> None:
    await exchange.respond(429, b'{"error": "Too many requests"}', "application/json")


async def throttled_for_a_while(exchange: Exchange) -> None:
    await exchange.respond(429, b'{"error": "Too many requests"}', "application/json", "Retry-After: 2\r\n")


def answers(status: int, *, after: bool) -> Fault:
    """A fault that answers so, before or after the request went through."""

    async def fault(exchange: Exchange) -> None:
        if after:
            await exchange.forward()
        await exchange.respond(status, PAGE)

    return fault
