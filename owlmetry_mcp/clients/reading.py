"""What clients' files say of owlmetry-mcp, wherever they say it. A file that cannot be read is a finding, too."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from owlmetry_mcp.clients.jsonc import scan
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.servers import Server, server_of
from owlmetry_mcp.clients.table import CLIENTS, Client, Scope

_NAME = "owlmetry"


@dataclass(frozen=True, slots=True)
class Mention:
    """An entry that starts owlmetry-mcp, or is called after it."""

    client: Client
    scope: Scope | Literal["local"]
    """`local` is Claude Code's for a project that is nobody else's; it stands in the user's file."""
    path: Path
    name: str
    server: Server
    project: str | None = None
    """For `local`, the project's directory."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    client: Client
    scope: Scope
    path: Path
    why: str
    """Names the line where there is one."""


def mentions(machine: Machine) -> Iterator[Mention | Unreadable]:
    """By client, scope and file; none for files that are not there."""
    for client in CLIENTS.values():
        for scope, places in client.files.items():
            for path in places(machine):
                yield from _mentions(client, scope, path)


def content_of(client: Client, text: str) -> Any:  # noqa: ANN401 - what a settings file holds
    """
    Raises:
        ValueError: it cannot be read; the message says where and why.
    """
    if client.toml:
        return tomllib.loads(text.removeprefix("\ufeff"))
    node = scan(text)
    return node.value if node else {}


def _mentions(client: Client, scope: Scope, path: Path) -> Iterator[Mention | Unreadable]:
    try:
        content = content_of(client, path.read_bytes().decode())
    except (FileNotFoundError, NotADirectoryError):
        return
    except UnicodeDecodeError:
        yield Unreadable(client, scope, path, "it is not in UTF-8")
        return
    except ValueError as error:
        yield Unreadable(client, scope, path, str(error))
        return
    except OSError as error:
        yield Unreadable(client, scope, path, error.strerror or type(error).__name__)
        return
    for name, server in _servers(_held(content, client.section)):
        yield Mention(client, scope, path, name, server)
    for project, settings in _held(content, "projects").items() if client.name == "claude-code" else ():
        for name, server in _servers(_held(settings, client.section)):
            yield Mention(client, "local", path, name, server, project)


def _held(content: object, key: str) -> Mapping[str, Any]:
    found = content.get(key) if isinstance(content, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _servers(section: Mapping[str, Any]) -> Iterator[tuple[str, Server]]:
    for name, entry in section.items():
        server = server_of(entry)
        if server and (server.is_ours or _NAME in name.lower()):
            yield name, server
