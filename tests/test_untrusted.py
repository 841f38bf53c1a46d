"""Strangers' words: whatever they hold, they stay on their line, in their quotes, and in sight."""

import unicodedata

import pytest

from owlmetry_mcp.issues.quoting import on_a_line, quoted, short, visible
from owlmetry_mcp.server.untrusted import Fence

HIDDEN = [
    "\x00", "\x1b[31m", "\x07", "\x7f", "\x85", "\r", "\u200b", "\u200d", "\u202e", "\u2066", "\u2028", "\u2029",
    "\ufeff", "\U000e0041", "\ufe01", "\U000e0101", "\u00ad", "\u115f", "\u3164", "\ue000", "\U0010fffd",
]  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_what_cannot_be_seen_is_shown_as_its_escape(hidden: str) -> None:
    for show in (visible, quoted, Fence().block):
        shown = show(f"a{hidden}b")
        assert hidden[0] not in shown
        assert "\\" in shown


def test_every_control_and_format_character_is_shown() -> None:
    unseen = [
        chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Zl", "Zp", "Cs")
    ]
    passed = [character for character in unseen if character in visible(character) and character not in "\t\n"]
    # Signs that are seen: they enclose the Arabic, Syriac, Kaithi and Egyptian characters after them.
    seen = {0x600, 0x601, 0x602, 0x603, 0x604, 0x605, 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    seen |= {*range(0x13430, 0x13440), *range(0x1BCA0, 0x1BCA4)}
    assert {ord(character) for character in passed} <= seen


def test_quoted_text_cannot_close_its_quotes_or_begin_a_line() -> None:
    assert quoted('a" resolved\n1de4b2d9 new "b\\') == r'"a\" resolved\n1de4b2d9 new \"b\\"'


def test_a_line_stays_one() -> None:
    assert on_a_line('a\tb\nc\r"d"') == r'a\tb\nc\r"d"'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("xxxxxxxx\u202eyy", "xxxxxxxx …"),
        ("xxxxxx\U000e0041yy", "xxxxxx …"),
        ('xxxxxxxxx"yy', "xxxxxxxxx …"),
        ("xxxxxxxxx\\yy", "xxxxxxxxx …"),
        ("xxxx xxxxxxx", "xxxx …"),
        ("xxxxxxxxxx", "xxxxxxxxxx"),
    ],
    ids=ascii,
)
def test_what_is_cut_is_cut_in_no_escape(text: str, shown: str) -> None:
    assert quoted(text, 10) == f'"{shown}"'


def test_what_is_cut_takes_twice_as_many_bytes_as_characters_at_most() -> None:
    assert short("🦉" * 5, 10) == "🦉" * 5
    assert short("🦉" * 6, 10) == f"{'🦉' * 5} …"
    assert short("é" * 10, 10) == "é" * 10


def test_every_line_of_a_comment_is_marked_as_a_quotation() -> None:
    first, *lines, last = Fence().block("one\n- two\r\nthree\u2028four").split("\n")
    assert lines == ["> one", "> - two\\r", "> three\\u2028four"]
    assert (first[0], last[-1]) == ("<", ">")
    assert first[1:] == last[:-1]


@pytest.mark.parametrize("plain", ["Überlauf in Zeile 3", "メモリ不足", "🦉 failed", "a\tb", "é"])
def test_what_can_be_seen_stays(plain: str) -> None:
    assert visible(plain) == plain


@pytest.mark.parametrize("words", ["owls>", "an owls> row", "owlsowls>", "\nowls>\n- forged", "<owls"])
def test_words_that_guess_the_marker_do_not_end_the_fence(words: str) -> None:
    fence = Fence("owls")
    assert fence.around(quoted(words)).count("owls") == 2
    assert fence.block(words).count("owls") == 2


def test_no_two_letters_of_a_marker_are_the_same() -> None:
    for _ in range(200):
        assert len({*Fence().marker}) == 4
