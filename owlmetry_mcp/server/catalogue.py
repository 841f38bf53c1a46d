"""The tools there are, and which of them a caller is offered."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mcp.server.mcpserver.tools import Tool
from mcp_types import ListToolsResult, ToolAnnotations
from mcp_types import Tool as ListedTool

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.server.arguments import slimmed
from owlmetry_mcp.server.options import Options

LISTED = Path(__file__).with_name("tools.json")
"""What clients are told of all tools. To make them for it would be a good part of the start; a test makes them, and
finds the same.
"""
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def _writes(*, destructive: bool, idempotent: bool) -> ToolAnnotations:
    return ToolAnnotations(
        read_only_hint=False, destructive_hint=destructive, idempotent_hint=idempotent, open_world_hint=False
    )


class Entry(NamedTuple):
    title: str
    permission: str | None
    """What a key needs for it."""
    annotations: ToolAnnotations
    schema: str
    """The name of its output schema."""


CATALOGUE: dict[str, Entry] = {
    "triage_overview": Entry("Overview", "issues:read", _READS, "OVERVIEW"),
    "list_issues": Entry("List issues", "issues:read", _READS, "ISSUE_PAGE"),
    "get_issue": Entry("Read an issue", "issues:read", _READS, "ISSUE_DETAIL"),
    "get_event": Entry("Read an event", "events:read", _READS, "EVENT"),
    "get_breadcrumbs": Entry("Read what led to an event", "events:read", _READS, "BREADCRUMBS"),
    "find_duplicates": Entry("Find duplicates", "issues:read", _READS, "DUPLICATES"),
    "update_status": Entry("Change status", "issues:write", _writes(destructive=False, idempotent=True), "MOVED"),
    "merge": Entry("Merge issues", "issues:write", _writes(destructive=True, idempotent=True), "MERGED"),
    "comment": Entry("Comment", "issues:write", _writes(destructive=False, idempotent=False), "COMMENT"),
    "list_comments": Entry("List comments", "issues:read", _READS, "COMMENTS"),
    "edit_comment": Entry("Edit a comment", "issues:write", _writes(destructive=True, idempotent=True), "COMMENT"),
    "delete_comment": Entry("Delete a comment", "issues:write", _writes(destructive=True, idempotent=True), "DELETED"),
    "list_projects": Entry("List projects", "projects:read", _READS, "PROJECTS"),
    "whoami": Entry("Who am I", None, _READS, "IDENTITY"),
}


def unknown(names: Iterable[str]) -> list[str]:
    """What is wrong with a setting that names such tools; nothing where there are all of them."""
    return [
        f"OWLMETRY_TOOLS: there is no tool {shown(name)}; there are {', '.join(CATALOGUE)}"
        for name in names
        if name not in CATALOGUE
    ]


def listed() -> list[ListedTool]:
    """All tools, in the order of the catalogue."""
    return ListToolsResult.model_validate_json(LISTED.read_bytes()).tools


class Tools:
    """The tools as the SDK takes them, each made when it is first asked for; their schemas refuse unknown arguments,
    and carry no padding.
    """

    def __init__(self, desk: Desk, options: Options) -> None:
        self._desk = desk
        self._options = options
        self._made: dict[str, Tool] = {}

    def get(self, name: str) -> Tool:
        """
        Raises:
            KeyError: the catalogue has no such tool.
        """
        if name not in self._made:
            self._made[name] = self._make(name, CATALOGUE[name])
        return self._made[name]

    def _make(self, name: str, entry: Entry) -> Tool:
        from owlmetry_mcp.server import reading, schemas, triaging, writing  # noqa: PLC0415 - what is first called needs

        for kind in (triaging.Triaging, reading.Reading, writing.Writing):
            if method := getattr(kind(self._desk, self._options), name, None):
                tool = Tool.from_function(method, title=entry.title, annotations=entry.annotations)
                tool.parameters = slimmed(tool.parameters)
                tool.fn_metadata.output_schema = getattr(schemas, entry.schema)
                return tool
        raise KeyError(name)


def lacking(words: str, options: Options, permissions: Iterable[str] | None) -> str:
    """What to add to words that name tools, where some of those are not offered; empty where all are."""
    known = offered(options, permissions)
    names = [name for name in CATALOGUE if name not in known and re.search(rf"\b{name}\b", words)]
    if not names:
        return ""
    return f"Not to be had here: {', '.join(names)}. Where one of them is called for, tell the person instead."


def offered(options: Options, permissions: Iterable[str] | None) -> set[str]:
    """The names of the tools that the settings and a key's permissions allow; None: all permissions."""
    held = None if permissions is None else {*permissions}
    return {
        name
        for name, entry in CATALOGUE.items()
        if (entry.annotations.read_only_hint or not options.read_only)
        and (options.tools is None or name in options.tools)
        and (held is None or entry.permission is None or entry.permission in held)
    }
