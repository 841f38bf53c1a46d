"""What is refused before the SDK sees it, which would answer it with nothing, with plain text or with its own words."""

from collections.abc import Mapping
from typing import Any

from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp.shared.message import SessionMessage
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    PROTOCOL_VERSION_META_KEY,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCRequest,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response

from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.server.messages import FORM, answer, error

MAX_BODY_BYTES = 4 * 1024 * 1024

_VERSION = "MCP-Protocol-Version"
_JSON, _EVENTS = "application/json", "text/event-stream"
_RANGES = {_JSON: {"*/*", "application/*", _JSON}, _EVENTS: {"*/*", "text/*", _EVENTS}}


def check_headers(headers: Headers) -> None:
    """
    Raises:
        HTTPException: 415, the body is no JSON; 406, the answer may be what the caller does not take.
    """
    if _media_type(headers.get("content-type", "")) != _JSON:
        raise HTTPException(415, f"Content-Type must be {_JSON}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "Content-Encoding must be identity")
    taken = {_media_type(part) for value in headers.getlist("accept") for part in value.split(",")}
    if not all(taken & ranges for ranges in _RANGES.values()):
        raise HTTPException(406, f"Accept must list both {_JSON} and {_EVENTS}")


def _media_type(value: str) -> str:
    return value.partition(";")[0].strip().lower()


def refused(body: bytes, headers: Mapping[str, str]) -> Response | None:
    """The answer to a body that is no message, or is of the era whose header it lacks; None to one that is served."""
    refusal = _refusal(body, headers.get(MCP_PROTOCOL_VERSION_HEADER))
    return (
        Response(refusal.model_dump_json(by_alias=True, exclude_unset=True), 400, media_type=_JSON) if refusal else None
    )


def _refusal(body: bytes, version: str | None) -> JSONRPCError | None:
    try:
        message: JSONRPCMessage = jsonrpc_message_adapter.validate_json(
            body.decode("utf-8", "surrogateescape"), by_name=False
        )
    except ValidationError as fault:
        return answer(fault, "body") or error(INVALID_REQUEST, FORM)
    if isinstance(message, JSONRPCRequest) and version != (meant := _version(message.params)) and meant is not None:
        said = f"it is {shown(version)}" if version else "there is none"
        return error(
            HEADER_MISMATCH, f"The {_VERSION} header must be {shown(meant)}, as in the body; {said}.", message.id
        )
    return answer(SessionMessage(message), "body")


def _version(params: dict[str, Any] | None) -> object:
    """What a request of the newer era says of its version."""
    meta = (params or {}).get("_meta")
    return meta.get(PROTOCOL_VERSION_META_KEY) if isinstance(meta, dict) else None
