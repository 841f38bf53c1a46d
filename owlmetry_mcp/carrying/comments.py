"""Comments as a server gets them: under the key that carries them, with who wrote them and when in front."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from owlmetry_mcp.backends.store.carried import KnownComment
from owlmetry_mcp.backends.store.outgoing import OutgoingComment
from owlmetry_mcp.carrying.report import short
from owlmetry_mcp.issues.models import Comment
from owlmetry_mcp.issues.parameters import trimmed

Deed = Literal["add", "edit", "keep", "nothing"]
"""`keep`: only that it is there is to be remembered."""

_MAX_NAME_LENGTH = 100
_BLANKS = re.compile(r"\s+")


class Intent(NamedTuple):
    deed: Deed
    there: Comment | None = None
    objection: str = ""
    """Why it is not carried, where it is not there already."""


def text(comment: OutgoingComment) -> str:
    """Night shift (agent), 2026-11-02 14:03 UTC [1f3a9c2e]: the id tells it from any other."""
    return trimmed(f"{_head(comment)}\n\n{comment.body}")


def _head(comment: OutgoingComment) -> str:
    name = "".join(character if character.isprintable() else " " for character in comment.author_name)
    name = _BLANKS.sub(" ", name).strip()[:_MAX_NAME_LENGTH] or "Someone"
    day, _, time = comment.created_at.partition("T")
    return f"{name} ({comment.author_type}), {day} {time[:5]} UTC [{short(comment.id)}]:"


def digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()


def intent(comment: OutgoingComment, known: KnownComment | None, there: Sequence[Comment]) -> Intent:
    """What is to be done about a comment, by what is on the issue there."""
    by_id: Mapping[str, Comment] = {it.id: it for it in there}
    if comment.id in by_id:
        return Intent("nothing", by_id[comment.id])
    if known:
        return _of_known(text(comment), known, by_id.get(known.id_there))
    head = _head(comment)
    found = next((it for it in there if it.body.startswith(head)), None)
    if found is None:
        return Intent("add")
    return Intent("keep" if found.body == text(comment) else "edit", found)


def _of_known(wanted: str, known: KnownComment, found: Comment | None) -> Intent:
    if found is None:
        return Intent("nothing", None, "it was deleted there")
    if known.sha256 in (None, digest(wanted)):
        return Intent("nothing", found)
    if digest(found.body) != known.sha256:
        return Intent("nothing", found, "it was changed there as well, which stays")
    return Intent("edit", found)
