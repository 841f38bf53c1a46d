"""Text logs of Python's logging, and of what logs like it, with their tracebacks.

A record begins with a header and ends before the next one. See docs/ingest.md for the rules.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from owlmetry_mcp.sources.found import Found, cut, storable, uuid_from, uuid_of
from owlmetry_mcp.sources.lines import PAUSE
from owlmetry_mcp.sources.log_headers import Header, header_of
from owlmetry_mcp.sources.tracebacks import STACK_HEADING, Opening, Stack, Traceback, begins_traceback, split_heading

Event = dict[str, Any]

_MAX_LINE = 20_000
"""Characters that are looked at of a line; the rest of it counts for the record's id alone."""
_MAX_SESSIONS = 10_000
_QUIET = ("info", "debug")
"""Levels that seldom come with a traceback of their own: one after such a record is an uncaught exception's."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
"""A terminal's code for a colour."""
_STRAY = (
    "no log record begins here, so the text up to the first one is passed over; "
    "a record begins with a time or a level, such as 2026-11-23 07:51:11,123 ERROR shop.checkout: Payment failed"
)


def read(lines: Iterable[tuple[int, bytes]]) -> Iterator[Found]:
    """The log's records as events, in their order. Text before the first of them is told once, as a fault."""
    sessions = _Sessions()
    stray = 0
    for record in _records(lines):
        if isinstance(record, _Record):
            if stray:
                yield Found(stray, None, _STRAY)
                stray = 0
            yield sessions.place(record)
        else:
            stray = stray or record
    if stray:
        yield Found(stray, None, _STRAY)


def _records(lines: Iterable[tuple[int, bytes]]) -> "Iterator[_Record | int]":
    """The records, once they are over; of lines that are of none, the numbers."""
    record: _Record | None = None
    for number, raw in lines:
        line = raw.rstrip(b"\r\n").removeprefix(b"\xef\xbb\xbf")
        text = storable(_COLOUR.sub("", line.decode(errors="replace")[:_MAX_LINE]))
        begun = _begin(number, text, line, record)
        if begun or (number, raw) == PAUSE:
            if record:
                yield record
            record = begun
        elif record:
            record.add(text, line)
        elif text.strip():
            yield number
    if record:
        yield record


class _Record:
    def __init__(self, line: int, header: Header, raw: bytes) -> None:
        self.line = line
        self.header = header
        self._hash = hashlib.blake2b(digest_size=16)
        self._message = Opening()
        self._traceback: Traceback | None = None
        self._stack: Stack | None = None
        """Where the record was logged, if it has no traceback."""
        message, first = split_heading(header.message)
        self._message.add(message)
        self.add(first, raw)

    def add(self, text: str, raw: bytes) -> None:
        if raw.strip():  # a blank line at the end may be there, or not yet
            self._hash.update(raw + b"\n")
        if self._traceback is None and self._stack is None:
            if begins_traceback(text):
                self._traceback = Traceback()
            elif text == STACK_HEADING:
                self._stack = Stack()
        (self._traceback or self._stack or self._message).add(text)

    def is_over(self) -> bool:
        """Whether a traceback that begins now is none of its."""
        if self._traceback:
            return self._traceback.is_over()
        return self._stack is not None or self.header.level in _QUIET

    def event(self) -> Event:
        """All of the event but its session."""
        header, traceback, message = self.header, self._traceback, self._message.text()
        event: Event = {
            "message": message or "(no message)",
            "level": header.level,
            "client_event_id": uuid_from(self._hash.digest()),
            "timestamp": header.timestamp,
            "source_module": header.logger,
        }
        attributes = {"_error_stack": self._stack.text() if self._stack else ""}
        if traceback:
            event["message"] = traceback.message.text() or traceback.type or event["message"]
            event["source_module"] = traceback.module() or header.logger
            attributes |= {
                "_error_type": cut(traceback.type),
                "_error_stack": traceback.stack.text(),
                "log_message": cut(message),
                "logger": header.logger,
            }
        event["message"] = cut(event["message"])
        event["source_module"] = cut(event["source_module"])
        event["custom_attributes"] = {name: value for name, value in attributes.items() if value}
        return {name: value for name, value in event.items() if value}


def _begin(number: int, text: str, raw: bytes, before: _Record | None) -> _Record | None:
    """The record that begins with a line: by its header, or as a traceback that is none of the record's before."""
    if header := header_of(text):
        return _Record(number, header, raw)
    if not begins_traceback(text) or (before and not before.is_over()):
        return None
    if before and before.header.level in _QUIET and (time := before.header.time):
        # Its id is of the time as it is written: what that is in UTC may depend on the machine.
        header = Header("error", text, timestamp=before.header.timestamp)
        return _Record(number, header, time.encode() + b"\n" + raw)
    return _Record(number, Header("error", text), raw)


class _Sessions:
    """A session is what was logged after one error, up to and with the next."""

    def __init__(self) -> None:
        self._current: str | None = None
        self._begun: dict[str, int] = {}
        """How many sessions began with a record of that id; those of late."""

    def place(self, record: _Record) -> Found:
        event = record.event()
        is_error = event["level"] == "error"
        session = self._current or self._begin(event["client_event_id"], is_error=is_error)
        self._current = None if is_error else session
        return Found(record.line, event | {"session_id": session})

    def _begin(self, first: str, *, is_error: bool) -> str:
        """Its id, after the first record's. An error that repeats to the letter is one event, in one session; any other
        record that does may lead to another error, and begins another session.
        """
        if is_error:
            return uuid_of(first)
        before = self._begun.pop(first, 0)
        self._begun[first] = before + 1
        if len(self._begun) > _MAX_SESSIONS:
            del self._begun[next(iter(self._begun))]
        return uuid_of(f"{first} {before}" if before else first)
