"""The tools there are, and which of them a caller is offered."""

import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from mcp.server.mcpserver.tools import Tool
from mcp_types import ToolAnnotations

from owlmetry_mcp.server import schemas
from owlmetry_mcp.server.answers import Data
from owlmetry_mcp.server.arguments import slimmed
from owlmetry_mcp.server.desk import Desk
from owlmetry_mcp.server.options import Options
from owlmetry_mcp.server.reading import Reading
from owlmetry_mcp.server.triaging import Triaging
from owlmetry_mcp.server.writing import Writing

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
    output_schema: Data


CATALOGUE: dict[str, Entry] = {
    "triage_overview": Entry("Overview", "issues:read", _READS, schemas.OVERVIEW),
    "list_issues": Entry("List issues", "issues:read", _READS, schemas.ISSUE_PAGE),
    "get_issue": Entry("Read an issue", "issues:read", _READS, schemas.ISSUE_DETAIL),
    "get_event": Entry("Read an event", "events:read", _READS, schemas.EVENT),
    "get_breadcrumbs": Entry("Read what led to an event", "events:read", _READS, schemas.BREADCRUMBS),
    "find_duplicates": Entry("Find duplicates", "issues:read", _READS, schemas.DUPLICATES),
    "update_status": Entry("Change status", "issues:write", _writes(destructive=False, idempotent=True), schemas.MOVED),
    "merge": Entry("Merge issues", "issues:write", _writes(destructive=True, idempotent=True), schemas.MERGED),
    "comment": Entry("Comment", "issues:write", _writes(destructive=False, idempotent=False), schemas.COMMENT),
    "list_comments": Entry("List comments", "issues:read", _READS, schemas.COMMENTS),
    "edit_comment": Entry(
        "Edit a comment", "issues:write", _writes(destructive=True, idempotent=True), schemas.COMMENT
    ),
    "delete_comment": Entry(
        "Delete a comment", "issues:write", _writes(destructive=True, idempotent=True), schemas.DELETED
    ),
    "list_projects": Entry("List projects", "projects:read", _READS, schemas.PROJECTS),
    "whoami": Entry("Who am I", None, _READS, schemas.IDENTITY),
}


def registered(desk: Desk, options: Options) -> list[Tool]:
    """The tools as the SDK takes them, with schemas that refuse unknown arguments and carry no padding."""
    rooms = (Triaging(desk, options), Reading(desk, options), Writing(desk, options))
    return [
        _tool(next(getattr(room, name) for room in rooms if hasattr(room, name)), entry)
        for name, entry in CATALOGUE.items()
    ]


def _tool(method: Callable[..., Any], entry: Entry) -> Tool:
    tool = Tool.from_function(method, title=entry.title, annotations=entry.annotations)
    tool.parameters = slimmed(tool.parameters)
    tool.fn_metadata.output_schema = entry.output_schema
    return tool


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
