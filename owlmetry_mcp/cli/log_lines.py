"""The lines of the audit trail as sentences. An import may have brought any detail, so that each may be missing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from owlmetry_mcp.backends.store.audit import Line
from owlmetry_mcp.cli.terminal import Page, table, words
from owlmetry_mcp.issues.quoting import on_a_line, quoted

_WIDE = 110
"""Columns that a terminal needs for a name and its key side by side."""
_ID = 8
_TITLE, _BODY = 50, 120
_MAY = {"issues:write": "triages", "issues:read": "reads", "events:write": "sends events"}


def log_table(page: Page, lines: Sequence[Line]) -> Table:
    shown = table("when", "who", "what")
    shown.columns[0].no_wrap = True
    for line in lines:
        shown.add_row(page.when(line.at), _who(page, line), _what(line))
    return shown


def _who(page: Page, line: Line) -> Text:
    if line.actor_type == "operator":
        return Text("operator", "dim")
    is_agent = line.actor_type == "agent"
    name = words(line.actor_name or "?", "cyan" if is_agent else "green")
    name.no_wrap = True
    kind = f"{'agent key' if is_agent else 'user'} {words(line.actor_id or '?').plain[:_ID]}"
    between = "\n" if page.is_terminal and page.width < _WIDE else " "
    return Text.assemble(name, between, (f"({kind})", "dim"))


def _what(line: Line) -> Text:
    sentence = _SENTENCES.get(line.action)
    if sentence is None:
        return words(f"{line.action} {line.subject_id}")
    return sentence(line.subject_id, _Said(line.detail))


def _moved(issue_id: str, said: "_Said") -> Text:
    after = said.word("after")
    moved = Text.assemble("moved ", _issue(issue_id, said), f" from {said.word('before')} to ", (after, "bold"))
    if after == "resolved" and (version := said.word("resolved_at_version")):
        moved.append(f", fixed in {version}", "green")
    return moved


def _merged(issue_id: str, said: "_Said") -> Text:
    source = _Said(said.part("source"))
    return Text.assemble(("merged ", "bold"), _issue(source.word("id"), source), " into ", _issue(issue_id, said))


def _recounted(issue_id: str, said: "_Said") -> Text:
    counts = f" from {said.word('before')} to {said.word('after')}"
    return Text.assemble(f"corrected {said.word('column')} of ", _issue(issue_id, said), counts)


def _commented(_: str, said: "_Said") -> Text:
    return Text.assemble(("commented", "bold"), " on ", _issue(said.word("issue_id"), said), _body(said, "body"))


def _edited(_: str, said: "_Said") -> Text:
    issue = _issue(said.word("issue_id"), said)
    return Text.assemble(("edited", "bold"), " their comment on ", issue, _body(said, "body"))


def _deleted(_: str, said: "_Said") -> Text:
    whose = f"{quoted(said.text('author_name'))}'s" if said.word("author_name") else "their"
    issue = _issue(said.word("issue_id"), said)
    return Text.assemble(("deleted", "bold"), f" {whose} comment on ", issue, _body(said, "body"))


def _body(said: "_Said", name: str) -> str:
    return f": {quoted(said.text(name), _BODY)}" if said.word(name) else ""


def _key_made(key_id: str, said: "_Said") -> Text:
    kind = "local agent " if said.word("local") == "True" else f"{said.word('key_type')} ".lstrip()
    held = said.detail.get("permissions")
    may = next((does for permission, does in _MAY.items() if isinstance(held, list) and permission in held), "")
    until = said.word("expires_at")[:10]
    about = f"{f', which {may}' if may else ''}{f', until {until}' if until else ''}"
    return Text.assemble(f"made the {kind}key {_name(said)}", _id(key_id), about)


def _key_revoked(key_id: str, said: "_Said") -> Text:
    return Text.assemble(f"revoked the key {_name(said)}", _id(key_id))


def _token_made(_: str, said: "_Said") -> Text:
    days = said.word("days")
    return Text(f"made a token for {_name(said)}{f', valid for {days} days' if days else ''}")


def _joined(_: str, said: "_Said") -> Text:
    return Text(f"made {_name(said)} {said.word('role') or 'member'} of the team {quoted(said.text('team'))}")


def _added(kind: str) -> "_Sentence":
    return lambda subject_id, said: Text.assemble(f"added the {kind} {_name(said)}", _id(subject_id))


_Sentence = Callable[[str, "_Said"], Text]
_SENTENCES: Mapping[str, _Sentence] = {
    "issue.status": _moved,
    "issue.merge": _merged,
    "issue.recount": _recounted,
    "comment.add": _commented,
    "comment.edit": _edited,
    "comment.delete": _deleted,
    "api_key.add": _key_made,
    "api_key.revoke": _key_revoked,
    "token.create": _token_made,
    "member.add": _joined,
    **{f"{kind}.add": _added(kind) for kind in ("team", "project", "app", "user")},
}
"""What was done, by the action: of its subject's id and its details."""


class _Said:
    """A line's details; empty where they are not there, or are no texts or numbers."""

    def __init__(self, detail: Mapping[str, Any]) -> None:
        self.detail = detail

    def word(self, name: str) -> str:
        """To stand as it is: on a line, and nothing but text."""
        return on_a_line(self.text(name))

    def text(self, name: str) -> str:
        """To be quoted."""
        value = self.detail.get(name)
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def part(self, name: str) -> Mapping[str, Any]:
        value = self.detail.get(name)
        return value if isinstance(value, dict) else {}


def _issue(issue_id: str, said: _Said) -> Text:
    title = said.text("title")
    return Text.assemble((words(issue_id or "?").plain[:_ID], "yellow"), f" {quoted(title, _TITLE)}" if title else "")


def _id(text: str) -> tuple[str, str]:
    return f" ({words(text).plain[:_ID]})", "dim"


def _name(said: _Said) -> str:
    return quoted(said.text("name"))
