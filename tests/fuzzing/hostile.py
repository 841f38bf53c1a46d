"""Values that no caller should send, and some that are right, so that calls get somewhere."""

from typing import Any

from hypothesis import strategies as st

from owlmetry_mcp.issues.lifecycle import STATUSES
from tests.world import FIXTURE, SYMBOLS

SHOP, BLOG, TIMEOUT = SYMBOLS["shop"], SYMBOLS["blog"], SYMBOLS["i_timeout"]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@st.composite
def cut_up(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with pieces taken out, and others put in."""
    for _ in range(draw(st.integers(0, 4))):
        begin, length = draw(st.integers(0, len(whole))), draw(st.integers(0, 6))
        whole = whole[:begin] + draw(st.binary(max_size=6)) + whole[begin + length :]
    return whole


SURROGATES = "\ud800", "\udfff\ud800"
"""Halves of pairs: Python and a JSON body may hold them, an MCP client cannot send them."""
NASTY = (
    "", " ", "null", "true", "[]", "{}", '["new"]', "NaN", "-0", "\0", "a\0b", "\u202e\u200b", "\r\n", "' OR 1=1 --",
    "%", "_", "*", "../../etc/passwd", "%00", "%2e%2e", "{project_id}", "x" * 100_000, "\U0001f4a9" * 5_000, "new,",
    "9" * 5_000, "1e400", "2026-10-21T12:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
    TIMEOUT[:-1],
)  # fmt: skip
TEXT = st.sampled_from(NASTY) | st.text(max_size=30)
NUMBER = (
    st.sampled_from([0, 1, 2, 200, 201, 2**31, 2**63 - 1, 2**63, 10**30, -1, -(2**63) - 1, 1.0, 1.5, 1e308])
    | st.integers()
    | st.floats()
)
VALUE: st.SearchStrategy[Any] = (
    TEXT
    | NUMBER
    | st.none()
    | st.booleans()
    | st.sampled_from([nested(200), {"a": nested(50)}, ["x"] * 1_000, [TIMEOUT] * 51])
    | st.lists(TEXT | NUMBER | st.none(), max_size=4)
    | st.dictionaries(TEXT, TEXT | NUMBER | st.none(), max_size=3)
)

CURSORS = (
    "0", "1", "999999999", "9" * 18, "9" * 19, TIMEOUT, f"{TIMEOUT}:0", f"{SYMBOLS['c_2']}:3", f"{SYMBOLS['c_2']}:-1",
    *(f"{time}_{rest}" for time in ("2026-10-20T16:00:00.000Z", "9999-99-99T99:99:99.999Z", "0000-00-00T00:00:00.000Z")
      for rest in ("0", "9" * 18, f"{TIMEOUT}_0", f"{TIMEOUT}_{'9' * 18}", f"{TIMEOUT}_1_")),
)  # fmt: skip
"""Like those of the lists, and of other pages."""
ISSUES = st.sampled_from([row["id"] for row in FIXTURE["issues"]])
PROJECTS = st.sampled_from([SHOP, BLOG, SHOP.upper(), SHOP[:8], "shop", "Blog", *SYMBOLS.values()])
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "project_id": PROJECTS,
    "team_id": st.sampled_from([row["id"] for row in FIXTURE["teams"]]),
    "app_id": st.sampled_from([row["id"] for row in FIXTURE["apps"]]),
    "issue_id": ISSUES | ISSUES.map(lambda it: it[:8]),
    "comment_id": st.sampled_from([row["id"] for row in FIXTURE["comments"]]),
    "resolved_at_version": st.sampled_from(["1.2.3", "v2 (45)", "next"]),
    "cursor": st.sampled_from(CURSORS),
    "occurrence_cursor": st.sampled_from(CURSORS),
    "status": st.sampled_from(STATUSES),
    "data_mode": st.sampled_from(["production", "development", "all"]),
}
"""What an argument of that name may be, so that a call gets somewhere."""
