"""Writes the page about the settings, from their own text and the parser's: `python -m
tests.documentation.settings_page`.
"""

from tests.settings_rows import Row, rows
from tests.world import ROOT

PAGE = ROOT / "docs" / "settings.md"

INTRODUCTION = """\
# Settings

A flag goes before its environment variable, and that before the default. An empty variable counts as unset. Wrong
settings are reported all together, before anything starts. This page is made from the settings' own text; a test
compares the two.

"""
ADDITION = """
Which server and key the live backend takes where it is told none, [backends.md](backends.md#a-live-server) says.
"""


def document() -> str:
    table = "\n".join(["| variable | flag | meaning |", "|---|---|---|", *map(_line, rows())])
    return f"{INTRODUCTION}{table}\n{ADDITION}"


def _line(row: Row) -> str:
    flag = "none, since other users of a machine can read command lines"
    if row.flag:
        (option,) = row.flag.option_strings
        flag = f"`{option} {row.flag.metavar}`" if row.flag.metavar else f"`{option}`"
    return f"| `{row.variable}` | {flag} | {row.meaning} |"


if __name__ == "__main__":
    PAGE.write_text(document())
