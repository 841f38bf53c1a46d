"""Strangers' words: titles, modules, comments, names. SDK keys ship inside apps, so anyone may have written them.

They are shown to a model as data: quoted, and with what the eye would not see made visible, so that nothing hides in
them, reorders the line, or poses as another one.
"""

import re

_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but for tab and line feed
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"  # soft hyphen, joiners, fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero-width, line separators, bidirectional overrides and isolates
    "\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"  # blanks, variation selectors, annotations
    "\ud800-\udfff\ue000-\uf8ff"  # surrogates, private use
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"  # tags, further selectors, private use
)
_UNSEEN_ANYWHERE = re.compile(f"[{_UNSEEN}]")
_UNSEEN_ON_A_LINE = re.compile(f'[{_UNSEEN}\t\n"\\\\]')


def visible(text: str) -> str:
    """The text with every character that cannot be seen as its escape; tabs and line feeds stay."""
    return _UNSEEN_ANYWHERE.sub(_escape, text)


def quoted(text: str) -> str:
    """The text on one line, in double quotes that it cannot close."""
    return f'"{_UNSEEN_ON_A_LINE.sub(_escape, text)}"'


def indented(text: str) -> str:
    """A text of several lines, each marked as a quotation."""
    return "\n".join(f"  > {line}" for line in visible(text).split("\n"))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character in '"\\':
        return f"\\{character}"
    return {"\n": "\\n", "\t": "\\t"}.get(character) or character.encode("unicode_escape").decode()
