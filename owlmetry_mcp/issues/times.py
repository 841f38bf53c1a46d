"""Instants as the API writes them: UTC, ISO 8601, milliseconds, `Z`. As text they sort by time."""

from datetime import UTC, datetime

from owlmetry_mcp.issues.errors import InvalidInputError
from owlmetry_mcp.issues.parameters import shown


def to_text(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def canonical(text: str) -> str:
    """Any ISO 8601 date and time with an offset, in the API's own form.

    Raises:
        ValueError: it is not one, or names no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("the time names no offset; end it with Z for UTC")
    try:
        return to_text(instant)
    except OverflowError as error:
        raise ValueError("the time lies outside the years 1 to 9999") from error


def parameter(name: str, value: object) -> str:
    """An instant that a caller names, in the API's own form; UTC where it names no offset.

    Raises:
        InvalidInputError: it is none.
    """
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        if instant is not None:
            return to_text(instant.replace(tzinfo=instant.tzinfo or UTC))
    except (ValueError, OverflowError):
        pass
    raise InvalidInputError(f"{name} must be an instant such as 2026-10-21T12:00:00Z, not {shown(value)}")


def now() -> datetime:
    return datetime.now(UTC)
