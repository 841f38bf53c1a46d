"""A server's answers, held against the models; what it refuses, as the errors it means."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json

from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import (
    EndpointError,
    ForbiddenMoveError,
    InvalidInputError,
    NotFoundError,
    OwlmetryError,
    PermissionDeniedError,
    UnauthenticatedError,
    UnavailableError,
)
from owlmetry_mcp.issues.lifecycle import MOVES, Status
from owlmetry_mcp.issues.parameters import one_of, shown

Resource = TypeVar("Resource", bound=BaseModel)

_TRANSITION = re.compile(r"Cannot transition from '(\w+)' to '(\w+)'", re.ASCII)
_HINTS = {
    "Project not found": "list_projects shows the projects there are.",
    "Issue not found": "It may have been merged into another, or be in another project; list_issues shows.",
    "Comment not found": "list_comments shows the comments that the issue has.",
    "Event not found": "Events are kept for a limited time; get_issue shows the occurrences and their event_ids.",
    "status is required": "It takes new, in_progress, resolved, silenced or snoozed.",
}
_KINDS: dict[int, type[OwlmetryError]] = {
    401: UnauthenticatedError,
    403: PermissionDeniedError,
    404: NotFoundError,
}
_LONGEST_MESSAGE = 300


def checked(model: type[Resource], answer: object) -> Resource:
    """The answer as the model; unknown fields are let through.

    Raises:
        UnavailableError: it lacks something, or has it in another form.
    """
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise _unlike(error) from error


def checked_list(model: type[Resource], name: str, answer: object) -> list[Resource]:
    """The list that the answer has under a name; as `checked`."""
    try:
        if not isinstance(answer, dict) or name not in answer:
            raise _bad_answer(f"the server's answer lacks {name}")
        listed: list[Resource] = _list_of(model).validate_python(answer[name])
    except ValidationError as error:
        raise _unlike(error, name) from error
    return listed


@cache
def _list_of(model: type[BaseModel]) -> TypeAdapter[Any]:
    return TypeAdapter(list[model])  # type: ignore[valid-type]  # the model is the argument


def as_asked(agrees: bool, resource: Resource) -> Resource:  # noqa: FBT001 - it reads as a condition
    """The resource, if it is what was asked for.

    Raises:
        UnavailableError: it is another.
    """
    if not agrees:
        raise _bad_answer("the server's answer is not of what was asked for")
    return resource


def instant(text: str) -> datetime:
    """What a timestamp names.

    Raises:
        UnavailableError: it names no instant.
    """
    try:
        return datetime.fromisoformat(times.canonical(text))
    except ValueError as error:
        raise _bad_answer(f"the server's answer has timestamp: {shown(text)}") from error


def _unlike(error: ValidationError, within: str = "") -> UnavailableError:
    first = error.errors(include_url=False)[0]
    parts: Sequence[int | str] = first["loc"]
    place = within + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    if first["type"] == "missing":
        return _bad_answer(f"the server's answer lacks {place.lstrip('.')}")
    if first["type"] == "string_pattern_mismatch":
        return _bad_answer(f"the server's answer has {place.lstrip('.')}: {shown(first['input'])}")
    return _bad_answer(f"the server's answer has {place.lstrip('.') or 'another form'}: {first['msg']}")


def _bad_answer(what: str) -> UnavailableError:
    return UnavailableError(
        f"The Owlmetry server answers in a form that is not known: {what}",
        "Check that OWLMETRY_ENDPOINT is an Owlmetry server's; a newer owlmetry-mcp may know it.",
    )


def refusal(status: int, answer: object) -> OwlmetryError:
    """The error that a 4xx answer means."""
    said = answer.get("error") if isinstance(answer, dict) else None
    if not isinstance(said, str) or not said:
        return EndpointError(
            f"The server refuses the request ({status}) in a form that is not Owlmetry's",
            "Nothing was changed. Check OWLMETRY_ENDPOINT and OWLMETRY_API_KEY.",
        )
    message = said[:_LONGEST_MESSAGE]
    if transition := _TRANSITION.fullmatch(message):
        return ForbiddenMoveError(message, _allowed_from(transition[1]))
    return _KINDS.get(status, InvalidInputError)(message, _HINTS.get(message, _hint(status, message)))


def _allowed_from(status: str) -> str:
    try:
        known: Status = one_of("status", status, tuple(MOVES))
    except InvalidInputError:
        return ""
    return f"From {known}: {', '.join(MOVES[known])}."


def _hint(status: int, message: str) -> str:
    match status:
        case 401:
            return "Check OWLMETRY_API_KEY."
        case 403 if message.startswith("Missing permission"):
            return "Ask for a key that has it; whoami shows what this one has."
        case _:
            return ""


def _said(content: bytes) -> str:
    try:
        said = from_json(content).get("error")
    except ValueError:
        return ""
    return said[:_LONGEST_MESSAGE] if isinstance(said, str) else ""


def summary_of_page(content: bytes) -> str:
    """What an answer of no use is, for an error: the API's own words, or a proxy's page, which has a title."""
    if content.startswith(b"{") and (said := _said(content)):
        return f": {said}"
    head = content[:4096].decode("utf-8", "replace")
    if not re.match(r"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        return " with something that is not JSON" if content else ""
    title = re.search(r"<title>([^<]{1,80})", head, re.IGNORECASE)
    return " with an HTML page" + (f' titled "{" ".join(title[1].split())}"' if title else "") + ", as a proxy does"
