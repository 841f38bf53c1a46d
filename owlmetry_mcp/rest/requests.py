"""What a request says: who asks, with which parameters, in which body."""

from collections import defaultdict
from typing import Any

import anyio
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from owlmetry_mcp.issues.errors import InvalidInputError, UnauthenticatedError
from owlmetry_mcp.issues.filters import IssueFilter

MAX_BODY_BYTES = 1024 * 1024
MAX_BODY_SECONDS = 20.0


def credential(request: Request) -> str:
    """The bearer's key or token.

    Raises:
        UnauthenticatedError: the request carries none.
    """
    header = request.headers.get("authorization")
    if not header:
        raise UnauthenticatedError("Missing authorization")
    scheme, _, shown = header.partition(" ")
    if scheme != "Bearer" or not shown.strip():
        raise UnauthenticatedError("Invalid authorization format")
    return shown.strip()


async def json_object(request: Request) -> defaultdict[str, Any]:
    """The fields of a JSON body, None for those it lacks; all of them, where it is JSON but no object.

    Raises:
        InvalidInputError: the body is not JSON.
        HTTPException: 413, the body is over 1 MiB; 408, it does not come within 20 s.
    """
    body = bytearray()
    try:
        with anyio.fail_after(MAX_BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise HTTPException(413, "Request body is too large")
    except TimeoutError as error:
        raise HTTPException(408, "Request body came too slowly") from error
    try:
        value = from_json(body or b"{}")
    except ValueError as error:
        raise InvalidInputError(f"Body is not valid JSON: {error}") from error
    return defaultdict(lambda: None, value if isinstance(value, dict) else {})


def count(request: Request, name: str) -> Any:  # noqa: ANN401 - a number, or what is to be refused as none
    """A query parameter that counts something, for the backend to check."""
    text = request.query_params.get(name)
    if text is not None and text.removeprefix("-").isascii() and text.removeprefix("-").isdigit():
        return int(text[:20])
    return text


def issue_filter(request: Request) -> IssueFilter:
    query = request.query_params
    is_dev: Any = {"true": True, "false": False}.get(query.get("is_dev", ""), query.get("is_dev"))
    return IssueFilter(
        status=query.get("status"), app_id=query.get("app_id"), is_dev=is_dev, data_mode=query.get("data_mode")
    )
