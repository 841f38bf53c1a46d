"""A client's file with our entry in it, or without: texts in, texts out."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from owlmetry_mcp.clients import splicing, toml_text
from owlmetry_mcp.clients.jsonc import scan
from owlmetry_mcp.clients.servers import Server, entry_of, input_of, server_of
from owlmetry_mcp.clients.table import Client

_INPUTS = "inputs"


def entry_in(client: Client, text: str, name: str) -> Mapping[str, Any] | None:
    """The entry of that name; an empty one where something else stands there.

    Raises:
        ValueError: the text cannot be read; the message says where and why.
    """
    node = None if client.toml else scan(text)
    content = toml_text.parsed(text) if client.toml else node and node.value
    section = content.get(client.section) if isinstance(content, Mapping) else None
    if not isinstance(section, Mapping) or name not in section:
        return None
    entry = section[name]
    return entry if isinstance(entry, Mapping) else {}


def with_server(
    client: Client, text: str, name: str, server: Server, said: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What an entry of ours says besides, as which tools may be used unasked, it goes on saying; what its arguments
    said, as variables, too.

    Raises:
        ValueError: the text cannot be read, or not be changed safely.
    """
    old = entry_in(client, text, name) or {}
    if not is_ours(old):
        old = {}
    if before := server_of(old):
        server = server.carrying_on(replace(before, env={**before.env, **said}))
    changed = with_entry(client, text, name, _joined(client, old, entry_of(client, server)))
    if not client.asks:
        return changed
    asked = input_of(name)
    if f"${{input:{asked['id']}}}" in server.env.values():
        return splicing.with_element(changed, _INPUTS, asked)
    return splicing.without_element(changed, _INPUTS, asked["id"])


def with_entry(client: Client, text: str, name: str, entry: Mapping[str, Any]) -> str:
    """With that very entry.

    Raises:
        ValueError: as above.
    """
    put = toml_text.with_table if client.toml else splicing.with_member
    return put(text, client.section, name, entry)


def without_server(client: Client, text: str, name: str) -> str:
    """
    Raises:
        ValueError: as above.
    """
    if client.toml:
        return toml_text.without_table(text, client.section, name)
    if client.asks:
        text = splicing.without_element(text, _INPUTS, input_of(name)["id"])
    return splicing.without_member(text, client.section, name)


def _joined(client: Client, old: Mapping[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new entry, with what the old one says of things that are not ours to say, in the old order."""
    said = {*client.fixed, "command", "args", "env_vars", client.env_key}
    entry = {key: value for key, value in old.items() if key not in said} | new
    empty: tuple[tuple[str, object], ...] = (("args", []), (client.env_key, {}))
    entry |= {key: value for key, value in empty if key not in new and old.get(key) == value}  # as Claude Code writes
    return {key: entry[key] for key in (*(key for key in old if key in entry), *entry)}


def is_ours(entry: Mapping[str, Any]) -> bool:
    server = server_of(entry)
    return server is not None and server.is_ours
