"""What a request says: with which parameters, in which body."""

import json
import zlib
from collections import defaultdict
from contextlib import suppress
from typing import Any

from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import Request

from owlmetry_mcp.http.requests import whole_body
from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter

MAX_BODY_BYTES = 1024 * 1024
MAX_IMPORT_BYTES = 16 * 1024 * 1024
"""Of an import's body: a thousand events, each with the longest stack trace."""

_GZIP = 16 + zlib.MAX_WBITS
_MAX_MEMBERS = 8


async def json_object(request: Request, most_bytes: int = MAX_BODY_BYTES) -> defaultdict[str, Any]:
    """The fields of a JSON body, None for those it lacks; all of them, where it is JSON but no object.

    Raises:
        InvalidInputError: the body is not JSON, or not gzip where it says so.
        HTTPException: 413, the body is too large, as it came or unpacked; 415, it is packed otherwise; 408, it does not
            come within 20 s; 400, the caller left before its end.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(415, "Content-Encoding must be gzip or identity")
    body = await whole_body(request, most_bytes)
    value = _json(_unpacked(body, most_bytes) if encoding == "gzip" else body)
    return defaultdict(lambda: None, value if isinstance(value, dict) else {})


def _unpacked(body: bytes, most_bytes: int) -> bytes:
    """The body out of its gzip, of which there may be a few one after another."""
    unpacked = bytearray()
    try:
        for _ in range(_MAX_MEMBERS):
            unpacking = zlib.decompressobj(_GZIP)
            unpacked += unpacking.decompress(body, most_bytes + 1 - len(unpacked))
            if len(unpacked) > most_bytes:
                raise HTTPException(413, "Request body is too large")
            if not unpacking.eof:
                raise InvalidInputError("Body is not valid gzip: it ends too early")
            body = unpacking.unused_data
            if not body:
                return bytes(unpacked)
    except zlib.error as error:
        raise InvalidInputError(f"Body is not valid gzip: {error}") from error
    raise InvalidInputError(f"Body has too many gzip members; at most {_MAX_MEMBERS} are read")


def _json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return from_json(body or b"{}")
    except ValueError as error:
        if b"\\ud" in body or b"\\uD" in body:  # half of a pair, perhaps; whoever uses that text will refuse it alone
            with suppress(ValueError, RecursionError):
                return json.loads(body, parse_constant=_no_constant)
        raise InvalidInputError(f"Body is not valid JSON: {error}") from error


def _no_constant(name: str) -> Any:  # noqa: ANN401 - what json.loads calls
    raise ValueError(f"{name} is no JSON")


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


def event_filter(request: Request) -> EventFilter:
    query = request.query_params
    return EventFilter(**{name: query.get(name) for name in ("session_id", "since", "level", "data_mode", "order")})
