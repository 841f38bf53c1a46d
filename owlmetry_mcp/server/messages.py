"""What to answer to what is no message of the protocol, wherever it came in."""

from typing import Any

from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError, JSONRPCNotification
from pydantic import ValidationError

FORM = 'A request has "jsonrpc": "2.0", an id (text or a whole number), a method, and params, if any, in an object.'
_NOTIFICATIONS = "notifications/"

Item = SessionMessage | Exception


def answer(item: Item, where: str) -> JSONRPCError | None:
    """What to answer to something that is no message; None to one, and to what asks for no answer.

    `where` is what holds one message each, a line or a body. A request whose id is none cannot be told from a
    notification; what has a request's method is taken for one.
    """
    if isinstance(item, ValidationError):
        return _unlike_a_message(item, where)
    message = item.message if isinstance(item, SessionMessage) else None
    if isinstance(message, JSONRPCNotification) and not message.method.startswith(_NOTIFICATIONS):
        return error(INVALID_REQUEST, FORM)  # a request, with an id that is none
    return None


def _unlike_a_message(refused: ValidationError, where: str) -> JSONRPCError | None:
    faults = refused.errors(include_url=False)
    first = faults[0]
    match first["type"], first["input"]:
        case "string_unicode", _:
            return error(PARSE_ERROR, f"This is no UTF-8. Each {where} is one message in it.")
        case "json_invalid", text:
            unread = f"This is no JSON: {first['ctx']['error']}. Each {where} is one message."
            return error(PARSE_ERROR, unread) if text.strip() else None
        case "model_type", list():
            return error(INVALID_REQUEST, f"Batches are not taken. Send each message as a {where} of its own.")
    # It is shown whole where it is said to lack something: a request, at least, a result.
    message: dict[str, Any] = next((fault["input"] for fault in faults if fault["type"] == "missing"), {})
    if message.keys() & {"result", "error"}:
        return None
    given = message.get("id")
    return error(INVALID_REQUEST, FORM, given if type(given) in (int, str) else None)


def error(code: int, message: str, request_id: int | str | None = None) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=request_id, error=ErrorData(code=code, message=message))
