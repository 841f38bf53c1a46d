"""Which version is newer, by the rules of the reference."""

from itertools import combinations

import pytest

from owlmetry_mcp.issues.versions import compare, is_newer

IN_ORDER = [
    "0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
    "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.9.0", "1.10.0", "1.10.0.1", "v2", "10.0", "100" + "0" * 5000,
]  # fmt: skip


@pytest.mark.parametrize(("older", "newer"), [*combinations(IN_ORDER, 2)])
def test_versions_stand_in_order(older: str, newer: str) -> None:
    assert is_newer(newer, older)
    assert not is_newer(older, newer)
    assert compare(older, newer) < 0 < compare(newer, older)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0.0"),
        ("v1.2", "1.2"),
        ("V1.2", "1.2.0"),
        ("1.2.3 (456)", "1.2.3"),
        ("1.02", "1.2"),
        (" 1.0 ", "1.0"),
        ("", ""),
    ],
)
def test_versions_that_say_the_same_are_the_same(one: str, other: str) -> None:
    assert compare(one, other) == compare(other, one) == 0


@pytest.mark.parametrize(
    "strange",
    [
        "",
        "latest",
        "1..2",
        "-",
        "1.²",
        "v",
        "(5)",
        "1.x",
        "\N{OWL}",
        "1-" * 500,
        "1" + " " * 100_000 + "x)",
        "(" * 100_000 + ")",
    ],
    ids=lambda text: text[:10],
)
def test_what_is_no_version_is_compared_all_the_same(strange: str) -> None:
    assert compare(strange, strange) == 0
    assert compare(strange, "1.0") == -compare("1.0", strange)
