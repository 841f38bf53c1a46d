"""Keys and tokens are described, not shown."""

import re
from collections.abc import Iterable, Mapping

_KEY = re.compile(r"(owl_(?:agent|client|import)_)([^\s\"'`,;(){}…]+)")
_TOKEN = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}", re.ASCII)
_NAMED_SO = re.compile(r"key|token|secret|passw|auth(?!or)|credential", re.IGNORECASE)
_SHORTEST = 8
"""What is shorter is no secret worth the name, and may be part of any word."""


def described(secret: str) -> str:
    """Its kind, where its beginning tells, and its length."""
    if key := _KEY.match(secret):
        return f"{key[1]}… ({len(secret)} characters)"
    kind = "a token" if _TOKEN.match(secret) else "a secret"
    return f"{kind} of {len(secret)} characters"


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without those secrets, and without what has the form of one."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, f"[{described(secret)}]")
    text = _KEY.sub(lambda found: f"{found[1]}…", text)
    return _TOKEN.sub("eyJ…", text)


def secrets_in(environment: Mapping[str, str]) -> list[str]:
    """The values of variables that are named as if they held a secret."""
    return [value.strip() for name, value in environment.items() if _NAMED_SO.search(name)]
