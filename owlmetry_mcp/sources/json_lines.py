"""Events as the API takes them, one a line."""

import uuid
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from pydantic_core import from_json

from owlmetry_mcp.sources.found import Found
from owlmetry_mcp.sources.lines import MAX_LINE_BYTES

_ID_BYTES = 16
_BOM = b"\xef\xbb\xbf"


def read(lines: Iterable[tuple[int, bytes]]) -> Iterator[Found]:
    """The events of the lines; blank lines are nothing.

    An event without a `client_event_id` is known by its line: read again, it is the same.
    """
    for number, line in lines:
        text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
        if not text:
            continue
        if len(line) > MAX_LINE_BYTES:
            yield Found(number, None, f"a line may have {MAX_LINE_BYTES:,} bytes at most")
            continue
        try:
            event: Any = from_json(text, cache_strings="keys")
        except ValueError as error:
            yield Found(number, None, f"not valid JSON: {error}".replace(" at line 1 column", " at character"))
            continue
        if not isinstance(event, dict):
            yield Found(number, None, "not a JSON object")
            continue
        if event.get("client_event_id") is None:
            event["client_event_id"] = str(uuid.UUID(bytes=blake2b(text, digest_size=_ID_BYTES).digest()))
        yield Found(number, event)
