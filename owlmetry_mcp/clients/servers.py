"""A server as an entry describes it, whatever the client calls its parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath, PureWindowsPath
from typing import Any

from owlmetry_mcp.clients.table import Client

PACKAGE = "owlmetry-mcp"
KEY = "OWLMETRY_API_KEY"
DEFAULT_NAME = "owlmetry"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""What an entry may be called, in any client."""
_OURS = re.compile(r"owlmetry[-_]mcp(?:\.exe)?(?:[@=<>~\[ ].*)?", re.IGNORECASE)
_WHERE = frozenset({KEY, *(f"OWLMETRY_{name}" for name in ("BACKEND", "STORE", "ENDPOINT", "TEAM"))})
_REFERENCE = re.compile(
    r"\$\{(?:env:)?(?P<braced>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}"
    r"|\{env:(?P<bare>[A-Za-z_]\w*)\}"
    r"|(?P<asked>\$\{input:[^}]*\})"
)


@dataclass(frozen=True, slots=True)
class Server:
    words: tuple[str, ...]
    """The command and its arguments; none where it is reached by a URL."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What the entry sets; a value may refer to the client's own environment."""
    forwarded: tuple[str, ...] = ()
    """Variables that the client is to pass on as it has them."""
    url: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it starts owlmetry-mcp, itself or through uvx, pipx or Python."""
        return any(_OURS.fullmatch(PureWindowsPath(PurePath(word).name).name) for word in self.words)

    def carrying_on(self, before: "Server") -> "Server":
        """With the settings that an entry had before, but for those that are given now.

        Where the issues are and whose key asks is one: of these all are new, or none.
        """
        given = {*self.env, *self.forwarded}
        gone = given | _WHERE if given & _WHERE else given
        kept = {name: value for name, value in before.env.items() if name not in gone}
        forwarded = (name for name in before.forwarded if name not in gone)
        return replace(self, env={**kept, **self.env}, forwarded=(*forwarded, *self.forwarded))

    def environment(self, environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
        """What it is started with besides the client's own, and the names of the values that only the client knows."""
        known, unknown = {}, []
        for name, value in self.env.items():
            lacking: list[str] = []
            known[name] = _REFERENCE.sub(lambda found: _referred(found, environment, lacking), value)  # noqa: B023 - used at once
            if lacking:
                del known[name]
                unknown.append(name)
        known |= {name: environment[name] for name in self.forwarded if name in environment}
        return known, (*unknown, *(name for name in self.forwarded if name not in environment))


def _referred(found: re.Match[str], environment: Mapping[str, str], lacking: list[str]) -> str:
    name = found["braced"] or found["bare"]
    value = environment.get(name) if name else None
    if value is None and found["default"] is None:
        lacking.append(name or found[0])
    return value if value is not None else found["default"] or ""


def entry_of(client: Client, server: Server) -> dict[str, Any]:
    """What a client's file is to hold of it; empty parts are left out."""
    env = {client.env_key: dict(server.env)} if server.env else {}
    if client.one_command:
        return {**client.fixed, "command": list(server.words), **env}
    command, *args = server.words
    forwarded = {"env_vars": list(server.forwarded)} if server.forwarded else {}
    return {**client.fixed, "command": command, **({"args": args} if args else {}), **env, **forwarded}


def input_of(name: str) -> dict[str, Any]:
    """What VS Code asks for, once, and keeps as a secret."""
    return {"type": "promptString", "id": f"{name}-api-key", "description": "Owlmetry agent key", "password": True}


def by_reference(client: Client, name: str, server: Server) -> Server | None:
    """The server with its key taken from where the client has it; none where the client cannot."""
    if client.forwards:
        return replace(server, forwarded=(KEY,))
    if client.asks:
        return replace(server, env={**server.env, KEY: f"${{input:{input_of(name)['id']}}}"})
    if client.reference:
        return replace(server, env={**server.env, KEY: client.reference.format(KEY)})
    return None


def server_of(entry: object) -> Server | None:
    """What an entry describes, whichever client's it is; none where it is nothing of the kind."""
    if not isinstance(entry, Mapping):
        return None
    command, url = entry.get("command"), next((entry[key] for key in _URLS if isinstance(entry.get(key), str)), None)
    if isinstance(command, Mapping):  # Zed's, as it was until 2025
        return server_of({**command, "command": command.get("path")})
    words = (command,) if isinstance(command, str) else _texts(command)
    if not words and url is None:
        return None
    env = entry.get("env", entry.get("environment"))
    return Server(
        (*words, *_texts(entry.get("args"))),
        {str(name): str(value) for name, value in env.items()} if isinstance(env, Mapping) else {},
        _texts(entry.get("env_vars")),
        url,
    )


_URLS = ("url", "serverUrl", "httpUrl")


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else ()
