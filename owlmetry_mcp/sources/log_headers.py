"""What a record of a text log begins with: its time, its level, its logger's name."""

import re
from datetime import datetime
from typing import NamedTuple

from owlmetry_mcp.issues.times import to_text
from owlmetry_mcp.sources.found import LEVELS

_MAX_HEADER = 400

_DATE = r"(?P<date>\d{4}[-/]\d\d[-/]\d\d)[T ]"
"""`2026-11-23 ` or `2026/11/23T`."""
_CLOCK = r"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}+))?+(?: ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d))?+(?!\w)"
"""`07:51:11`, `07:51:11,123`, `07:51:11.123456+01:00`, `07:51:11 UTC`."""
_TIME = rf"[\[(<]?(?P<time>(?a:(?:{_DATE})?{_CLOCK}))"
"""A clock, with or without a date, and the bracket that opens before it."""
_WORD = "|".join(LEVELS)
_LEVEL = rf"(?:\[[ ]*+(?P<boxed>(?ai:{_WORD}))[ ]*+\]|(?P<level>{_WORD})(?![\w.]))"
"""`ERROR` as a word of its own, or in brackets, in any case: `[error   ]`."""
_GAP = r"[\])>]?+\s*+[-|,;:]?+\s*+"
"""From one part to the next: the bracket that closes the one, a mark, blanks; or nothing."""
_NAME = r"[^\W\d][\w.\-/]{0,199}"
"""A logger's name: `shop.checkout`, `uvicorn.access`, `my-app/worker`."""
_FIELD = (
    r"(?:[\[(<][^\[\]()<>]{1,100}[\])>]\s*+[-|,;:]?+\s*+|\d++\s++|[^\s\[\](),;|:]{1,100}(?:\s++-\s++|\s*+[|,;:]\s*+))"
)
"""A part between a time and its level: in brackets, a number, or with a mark behind: `[web-1] `, `77 `, `shop - `."""
_WORDS = r"(?:\w[\w.\-]{0,99}(?:\[[^\[\]]{1,50}\])?\s++){0,2}"
"""Two words at most, right before a level: `web-1 shop[77] `."""
_AFTER = rf"""(?x:
    (?P<gap>(?P<joint>[:,;|])(?={_NAME}(?P=joint))|{_GAP})
    (?:\[\d+\]\s*+)?+
    (?:
        (?(joint)(?P<joined>{_NAME})(?P=joint)|(?!))
        | \[(?P<within>{_NAME})\]{_GAP}
        | in\ (?P<flask>{_NAME}):\s
        | (?P<named>{_NAME}?)(?::[\w<>.]{{1,100}}){{0,2}}(?:\s++[-|]\s++|:(?:\s++|$))
        | (?P<django>{_NAME})\ \d++\ \d++\s
    )?
)"""
"""From a level to its message; always matches. The name is in `:shop:`, `[shop] `, ` in shop: `, ` shop:pay:42 - `,
` shop: ` or ` shop 77 140 `.
"""

_LEVELLED = (
    re.compile(rf"{_LEVEL}{_GAP}{_TIME}{_AFTER}"),  # ERROR 2026-11-23 07:51:11,123 shop: Payment failed
    re.compile(  # 2026-11-23 07:51:11,123 - shop - ERROR - Payment failed
        rf"{_TIME}{_GAP}(?P<fields>{_FIELD}{{0,5}}?)(?P<words>{_WORDS}?){_LEVEL}(?:/[^\]\s]{{1,100}}\])?{_AFTER}"
    ),
    re.compile(rf"{_LEVEL}(?:(?<=\])(?=\s)|(?=:)|(?=\s+[-|]\s)){_AFTER}"),  # ERROR:shop:Payment failed
)
"""Headers with a level, each as far as the message."""
_TIMED = re.compile(rf"{_TIME}[\])>]?+[\s\-|,;:]*+")
"""A header without one, as far as the message."""
_OUTSIDE_LOGGING = re.compile(r"Exception (?:in thread|ignored in:?) ")
"""What Python itself writes in front of a traceback that nothing catches."""
_FIELDS = re.compile(r"[^\s\[\](),;|:<>]+")
"""Each word among the fields, without brackets and marks."""
_NO_LOGGER = re.compile(
    r"\d.*|-+|(?:Main|Dummy-|Thread|AnyIO|Fork|Spawn).*|\w*PoolExecutor-.*|\w*Process-\d+|\w*(?:Error|Exception|Warning)"
)
"""A number, a thread's or a process's name, or an exception's: what stands where a logger's name may."""


class Header(NamedTuple):
    level: str
    message: str
    """What follows on the line."""
    logger: str = ""
    timestamp: str | None = None
    """In UTC; None without a date, or where there is no such day."""
    time: str = ""
    """As it is written."""


def header_of(text: str) -> Header | None:
    """The header that a line begins with."""
    end = min(len(text), _MAX_HEADER)
    for form in _LEVELLED:
        if found := form.match(text, 0, end):
            return _levelled(text, found)
    if (timed := _TIMED.match(text, 0, end)) and (timestamp := _timestamp(timed.groupdict(""))):
        return Header("info", text[timed.end() :].strip(), "", timestamp, timed["time"])
    return Header("error", text) if _OUTSIDE_LOGGING.match(text) else None


def _levelled(text: str, found: re.Match[str]) -> Header:
    parts = found.groupdict("")
    level = LEVELS[(parts["boxed"] or parts["level"]).upper()]
    logger, message_at = _logger_before(parts), found.end("gap")
    name = parts["joined"] or parts["within"] or parts["flask"] or parts["named"] or parts["django"]
    if not logger and _may_be_logger(name):
        logger, message_at = name, found.end()
    return Header(level, text[message_at:].strip(), logger, _timestamp(parts), parts.get("time", ""))


def _logger_before(parts: dict[str, str]) -> str:
    """The logger's name among what stands between a time and its level: host, process, thread, function."""
    words = [word.partition("[")[0] for word in parts.get("words", "").split()]
    names = [*words[-1:], *_FIELDS.findall(parts.get("fields", ""))]
    return next(filter(_may_be_logger, names), "")


def _may_be_logger(name: str) -> bool:
    return bool(name) and not _NO_LOGGER.fullmatch(name)


def _timestamp(parts: dict[str, str]) -> str | None:
    """In UTC; what names no offset is this machine's local time, as logging writes it."""
    if not parts.get("date"):
        return None
    date, zone = parts["date"].replace("/", "-"), parts["zone"].replace("UTC", "Z")
    try:
        return to_text(datetime.fromisoformat(f"{date}T{parts['clock']}.{parts['fraction'] or 0}{zone}"))
    except (ValueError, OverflowError, OSError):
        return None
