"""Which app version is newer.

Source of the rules: an optional `v`, dotted parts compared as numbers where both are, missing parts are 0, a ` (build)`
suffix is left out, a pre-release (`-beta`) sorts before its release.
"""

import re
from itertools import zip_longest

_NUMBER = re.compile(r"[0-9]+", re.ASCII)


def is_newer(version: str, than: str) -> bool:
    return compare(version, than) > 0


def compare(left: str, right: str) -> int:
    """Negative, zero or positive as `left` is older than, the same as or newer than `right`."""
    left_release, left_preview = _split(left)
    right_release, right_preview = _split(right)
    if by_release := _compare_parts(left_release, right_release):
        return by_release
    if not left_preview or not right_preview:
        return (not left_preview) - (not right_preview)
    return _compare_parts(left_preview, right_preview)


def _split(version: str) -> tuple[list[str], list[str]]:
    """The dotted parts of the release, and those of the pre-release, if it is one."""
    bare = _without_build(version.strip())
    if bare[:1] in ("v", "V"):
        bare = bare[1:]
    release, _, preview = bare.partition("-")
    return release.split("."), preview.split(".") if preview else []


def _without_build(version: str) -> str:
    """`1.2.3 (456)` as `1.2.3`; by search from the end, in linear time whatever the text."""
    if not version.endswith(")"):
        return version
    before = version[: version.rfind("(")]
    return before.rstrip() if before[-1:].isspace() else version


def _compare_parts(left: list[str], right: list[str]) -> int:
    for one, other in zip_longest(left, right, fillvalue="0"):
        if by_part := _compare_part(one, other):
            return by_part
    return 0


def _compare_part(left: str, right: str) -> int:
    if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right):
        # As text of equal meaning: int() refuses numbers of thousands of digits, and versions are strangers' words.
        left, right = left.lstrip("0"), right.lstrip("0")
        if len(left) != len(right):
            return len(left) - len(right)
    return (left > right) - (left < right)
