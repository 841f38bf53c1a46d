"""Text that strangers may have written, as it can be shown: what the eye would not see made visible, so that nothing
hides in it, reorders the line, ends the quotation or steers a terminal.
"""

import re
from functools import cache

_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and line feed
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidirectional overrides and isolates
    "\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"  # blanks, selectors, annotations, none
    "\ud800-\udfff\ue000-\uf8ff"  # surrogates, private use
    "\U00013430-\U00013438\U0001bca0-\U0001bca3\U0001d159"  # joiners of hieroglyphs and shorthand, a null notehead
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"  # tags, further selectors, private use
)
_ON_A_LINE = '\t\n"\\\\'
"""Within the brackets of a pattern: what would end a line or a quotation, besides."""
_HALF_AN_ESCAPE = re.compile(r"\\(?:x[0-9a-f]?|u[0-9a-f]{0,3}|U[0-9a-f]{0,7})?$")
LONGEST_ESCAPE = len("\\U000e0041")
_FIELD_LENGTH = 255
"""As long as the store lets a field of an event be; titles and messages may be longer."""


@cache
def _unseen(more: str = "") -> re.Pattern[str]:
    """Compiled once it is needed: most texts are plain, and it takes longer than most modules to load."""
    return re.compile(f"[{_UNSEEN}{more}]")


def visible(text: str) -> str:
    """The text with every character that cannot be seen as its escape; tabs and line feeds stay."""
    return text if _is_plain(text) else _unseen().sub(_escape, text)


def on_a_line(text: str) -> str:
    """As `visible`, without tabs and line feeds."""
    return visible(text).replace("\t", "\\t").replace("\n", "\\n")


def quoted(text: str, most: int = _FIELD_LENGTH) -> str:
    """The text on one line, in double quotes that it cannot close; cut as `short` does it."""
    if _is_plain(text):
        head = text[: most + 1].replace("\\", "\\\\").replace('"', '\\"')
        return f'"{short(head, most)}"'
    return f'"{short(_unseen(_ON_A_LINE).sub(_escape, text[: most + 1]), most)}"'


def short(text: str, most: int) -> str:
    """At most so many characters of a text, and twice as many bytes, cut between words, with a sign that it goes on."""
    if len(text) <= most and (text.isascii() or len(text.encode()) <= 2 * most):
        return text
    head = text[: most + 1].encode()[: 2 * most + 1].decode(errors="ignore")
    end = head.rfind(" ", 0, most + 1)
    return f"{head[:end] if end > 0 else _HALF_AN_ESCAPE.sub('', head[:most])} …"


def _is_plain(text: str) -> bool:
    """Whether every character can be seen and none takes a look into a table: so with most, and fast to tell."""
    return text.isascii() and text.isprintable()


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    return {"\n": "\\n", "\t": "\\t"}.get(character) or character.encode("unicode_escape").decode()
