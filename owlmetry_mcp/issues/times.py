"""Instants as the API writes them: UTC, ISO 8601, milliseconds, `Z`. As text they sort by time."""

from datetime import UTC, datetime


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


def now() -> datetime:
    return datetime.now(UTC)
