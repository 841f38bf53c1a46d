"""The socket that is listened on."""

import socket

from owlmetry_mcp.issues.errors import InvalidInputError

_LARGEST_PORT = 65_535


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a client may connect as soon as its address is known; port 0 takes a free one.

    Raises:
        InvalidInputError: there is no such address here, or the port is taken.
    """
    if not 0 <= port <= _LARGEST_PORT:  # getaddrinfo() would take another for it
        raise InvalidInputError(f"cannot listen on {host} port {port}", f"A port is from 0 to {_LARGEST_PORT}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
    except (OSError, OverflowError, UnicodeError) as error:
        raise InvalidInputError(
            f"cannot listen on {host} port {port}: {error}", "Name others: --host, --port."
        ) from error
    # Inherited by its connections: an answer's body is not to wait until its head is acknowledged. asyncio sets this
    # itself only where a socket names its protocol, which create_server() does not.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
