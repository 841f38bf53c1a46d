"""What changes in a file, for a person to look at: without secrets, ours or others'."""

import difflib
import re

_NAMED_SECRET = re.compile(
    r"""(?P<name>["']?[\w.-]*(?:key|token|secret|passw|auth|credential|cookie)[\w.-]*["']?\s*[:=]\s*)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*')""",
    re.IGNORECASE,
)
_SECRET = re.compile(r"(?<![\w/\\.-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{20,}(?![\w/\\.-])")
_ADDRESS = re.compile(
    r"""(?<![\w+])(?P<scheme>https?://)(?:[^\s"'/@]*@)?(?P<host>[^\s"'/?#]+)(?P<rest>[/?#][^\s"']+)?""", re.IGNORECASE
)
"""Many a server that is reached by one lets in whoever knows its path."""
_REFERENCE = re.compile(r"""["'](?:\$\{[^}]*\}|\{env:[^}]*\})["']""")
_MASK = "…"


def difference(before: str, after: str, name: str) -> list[str]:
    """A unified diff, a line each."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return [printable(masked(line)) for line in lines]


def masked(text: str) -> str:
    named = _NAMED_SECRET.sub(
        lambda found: found[0] if _REFERENCE.fullmatch(found["value"]) else f'{found["name"]}"{_MASK}"', text
    )
    addressed = _ADDRESS.sub(
        lambda found: f"{found['scheme']}{found['host']}{f'/{_MASK}' if found['rest'] else ''}", named
    )
    return _SECRET.sub(_MASK, addressed)


def printable(text: str) -> str:
    """Without what would move a terminal's cursor, or cannot be seen."""
    return "".join(each if each.isprintable() or each == "\t" else ascii(each)[1:-1] for each in text)
