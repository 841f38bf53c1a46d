"""What a request says: who asks, and its body, as long as that is bearable."""

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from owlmetry_mcp.issues.errors import UnauthenticatedError

MAX_BODY_SECONDS = 20.0


def credential(request: Request) -> str:
    """The bearer's key or token.

    Raises:
        UnauthenticatedError: the request carries none, or several: a proxy may have looked at another than this would.
    """
    headers = request.headers.getlist("authorization")
    if not any(headers):
        raise UnauthenticatedError("Missing authorization")
    if len(headers) > 1:
        raise UnauthenticatedError("Several Authorization headers")
    scheme, _, shown = headers[0].partition(" ")
    # RFC 9110: a scheme's case does not matter, and what is shown is ASCII; nothing else could be sent on.
    if scheme.lower() != "bearer" or not shown.strip() or not shown.isascii():
        raise UnauthenticatedError("Invalid authorization format")
    return shown.strip()


async def whole_body(request: Request, most_bytes: int) -> bytes:
    """
    Raises:
        HTTPException: 413, the body is too large; 408, it does not come within 20 s; 400, the caller left before its
            end.
    """
    body = bytearray()
    try:
        with anyio.fail_after(MAX_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise HTTPException(413, "Request body is too large")
    except TimeoutError as error:
        raise HTTPException(408, "Request body came too slowly") from error
    except ClientDisconnect as error:  # nobody hears of it, and the log is not to fill with it
        raise HTTPException(400, "Request body ended too early") from error
    return bytes(body)
