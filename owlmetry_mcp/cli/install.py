"""`owlmetry-mcp install` and `uninstall`: an MCP client's entry for this server, in the client's own settings."""

import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from owlmetry_mcp.cli.entry_settings import environment_of, variables_of
from owlmetry_mcp.clients import editing, files, own_command, starting
from owlmetry_mcp.clients.files import SettingsFile
from owlmetry_mcp.clients.invocations import arguments_of_ours
from owlmetry_mcp.clients.machine import Machine
from owlmetry_mcp.clients.reading import Mention, mentions
from owlmetry_mcp.clients.servers import DEFAULT_NAME, KEY, NAME, Server, by_reference, server_of
from owlmetry_mcp.clients.showing import difference
from owlmetry_mcp.clients.table import CLIENTS, PROJECT, USER, Client, Scope
from owlmetry_mcp.issues.errors import InvalidInputError, OwlmetryError, UnavailableError
from owlmetry_mcp.issues.parameters import shown
from owlmetry_mcp.settings import Settings


def install(parsed: Namespace, settings: Settings, machine: Machine | None = None) -> None:
    """On this machine, unless another is handed in."""
    machine = machine or _machine(parsed)
    if parsed.client is None:
        _list(machine)
        return
    place = _place(parsed, machine)
    if parsed.sample and settings.backend != "store":
        raise InvalidInputError("--sample fills the embedded store, and the settings name the live backend")
    words = starting.words(machine, starting.Running.now())
    server = Server(words, environment_of(parsed, settings))
    server, secret = _with_key(server, place, parsed, settings.api_key)
    _change(place, machine, parsed, server, secret=secret)
    if parsed.dry_run:
        return
    if parsed.sample:
        from owlmetry_mcp.cli import sample  # noqa: PLC0415 - opens a store

        _tell(sample.fill(settings))
    if place.scope == PROJECT:
        _tell(f"{place.client.trust} The path in it is this machine's.".strip())
    _tell(f"Next: {place.client.next_step}")
    _tell(f"To undo: {shlex.join([*words, 'uninstall', *place.arguments])}")


def uninstall(parsed: Namespace, _: Settings, machine: Machine | None = None) -> None:
    machine = machine or _machine(parsed)
    _change(_place(parsed, machine), machine, parsed, None, secret=False)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry is, or is to be."""

    client: Client
    scope: Scope
    name: str
    path: Path

    @property
    def arguments(self) -> list[str]:
        scope = [] if self.scope == USER else ["--scope", self.scope]
        return [self.client.name, *scope, *([] if self.name == DEFAULT_NAME else ["--name", self.name])]


def _machine(parsed: Namespace) -> Machine:
    return Machine(sys.platform, Path.home(), Path.cwd(), parsed.environment)


def _place(parsed: Namespace, machine: Machine) -> _Place:
    """
    Raises:
        InvalidInputError: the client has no such scope, or could not have such a name.
    """
    client: Client = CLIENTS[parsed.client]
    if not NAME.fullmatch(parsed.name):
        allowed = "1 to 64 letters, digits, hyphens and underscores"
        raise InvalidInputError(f"--name must be {allowed}, not {shown(parsed.name)}")
    if parsed.scope not in client.files:
        raise InvalidInputError(f"{client.title} has no settings by project", "Leave out --scope project.")
    paths = client.files[parsed.scope](machine)
    holding = (path for path in paths if _holds(client, path, parsed.name))
    there = (path for path in paths if path.exists())
    return _Place(client, parsed.scope, parsed.name, next(holding, next(there, paths[0])))


def _holds(client: Client, path: Path, name: str) -> bool:
    try:
        return editing.entry_in(client, files.read(path).text, name) is not None
    except (OwlmetryError, ValueError):
        return False


def _with_key(server: Server, place: _Place, parsed: Namespace, key: str | None) -> tuple[Server, bool]:
    """The server with the key, if there is one, and whether that makes its entry a secret.

    Raises:
        InvalidInputError: it would, and a person has not agreed.
    """
    if key is None:
        return server, False
    if referring := by_reference(place.client, place.name, server):
        if not place.client.asks:
            _tell(f"The entry takes the key from {KEY}: set it where {place.client.title} is started.")
        return referring, False
    why = f"{place.client.title} cannot take the key from the environment: it would stand in {place.path}"
    if place.scope == PROJECT:
        hint = f"A project's files are for others, too: leave out --scope project, or unset {KEY}."
        raise InvalidInputError(why, hint)
    if not parsed.key_in_file and not parsed.dry_run and not _agrees(why):
        raise InvalidInputError(why, f"Agree with --key-in-file, or unset {KEY}; nothing was changed.")
    _tell(f"The key {'would stand' if parsed.dry_run else 'stands'} in {place.path}, for you alone to read.")
    return replace(server, env={**server.env, KEY: key}), True


def _agrees(why: str) -> bool:
    """Whether there is a person at a terminal, who does."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    print(f"{why}, for you alone to read. Write it there? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _change(place: _Place, machine: Machine, parsed: Namespace, server: Server | None, *, secret: bool) -> None:
    """Put the server in, or take it out where there is none, and say what was done."""
    file = files.read(place.path)
    changed = _changed(place, file, server, force=parsed.force)
    if changed == file.text:
        if secret and not parsed.dry_run:
            files.keep_private(file)
        what = f"has {place.name} already" if server else f"has no {place.name}"
        _tell(f"{place.client.title} {what}: {place.path}. Nothing was changed.")
        return
    wanted = editing.entry_in(place.client, changed, place.name)
    own = own_command.executable(place.client, place.scope, machine, wanted)
    if parsed.dry_run:
        print(*difference(file.text, changed, str(place.path)), sep="\n", flush=True)
        _tell(f"Nothing was changed; {f'{own} would be asked to' if own else 'without --dry-run, this would'}.")
        return
    files.refuse_read_only(file)
    now = datetime.now().astimezone()
    if own:
        backup = files.back_up(file, now)
        try:
            _have_changed(place, file, changed, own, machine)
        except OwlmetryError:
            _tell_of(backup)
            raise
    else:
        backup = files.replace(file, changed, now, secret=secret)
    _report(place, file, changed, server, backup)


def _changed(place: _Place, file: SettingsFile, server: Server | None, *, force: bool) -> str:
    """
    Raises:
        InvalidInputError: the file cannot be read or changed, or the name is another's.
    """
    text = file.text
    try:
        entry = editing.entry_in(place.client, text, place.name)
        if entry is not None and not editing.is_ours(entry) and not force:
            hint = "Choose another with --name, or replace it with --force." if server else "Take it out with --force."
            raise InvalidInputError(f'"{place.name}" in {place.path} is another server\'s entry', hint)
        if server is None:
            return editing.without_server(place.client, text, place.name)
        before = server_of(entry)
        arguments = arguments_of_ours(before.words) if before else None
        said = variables_of(arguments) if arguments else {}
        return editing.with_server(place.client, text, place.name, server, said)
    except ValueError as error:
        raise InvalidInputError(
            f"{place.path}: {error}", "Mend that, and run this again; nothing was changed."
        ) from error


def _have_changed(place: _Place, file: SettingsFile, changed: str, own: Path, machine: Machine) -> None:
    """By the client's own command, which adds no entry where there is one.

    Raises:
        UnavailableError: it failed.
        InvalidInputError: it did something else.
    """
    wanted = editing.entry_in(place.client, changed, place.name)
    before = editing.entry_in(place.client, file.text, place.name)
    if before is not None:
        own_command.run(own, own_command.removing(place.name), machine)
    if wanted is not None:
        try:
            own_command.run(own, own_command.adding(place.name, wanted), machine)
        except UnavailableError:
            if before is not None:
                _put_back(place, before)
            raise
    found = editing.entry_in(place.client, files.read(place.path).text, place.name)
    if (found is None) != (wanted is None):
        raise InvalidInputError(f"{own} did not change {place.path}", f"See what `{own} mcp list` says.")


def _put_back(place: _Place, entry: Mapping[str, Any]) -> None:
    """What was taken out to make room for what then could not be put in."""
    file = files.read(place.path)
    text = editing.with_entry(place.client, file.text, place.name, entry)
    files.replace(file, text, datetime.now().astimezone(), secret=False)


def _report(place: _Place, file: SettingsFile, changed: str, server: Server | None, backup: Path | None) -> None:
    if server is None:
        _tell(f"Took {place.name} out of {place.client.title}: {place.path}.")
    elif editing.entry_in(place.client, file.text, place.name) is not None:
        print(*difference(file.text, changed, str(place.path)), sep="\n", file=sys.stderr)
        _tell(f"Changed {place.name} in {place.client.title}: {place.path}.")
    else:
        _tell(f"Added {place.name} to {place.client.title}: {place.path}.")
    _tell_of(backup)


def _tell_of(backup: Path | None) -> None:
    if backup:
        _tell(f"What was there before is in {backup}.")


def _list(machine: Machine) -> None:
    """The clients, whether each seems to be on this machine, and what each has of ours."""
    from rich.table import Table  # noqa: PLC0415 - slow to load, and only this shows one

    from owlmetry_mcp.cli.administer import show  # noqa: PLC0415 - likewise

    found: dict[str, list[str]] = {}
    for each in mentions(machine):
        said = f"{each.name} ({each.scope})" if isinstance(each, Mention) else f"cannot be read: {each.path}"
        found.setdefault(each.client.name, []).append(said)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("client", "here", "entries"):
        table.add_column(column, overflow="fold")
    for client in CLIENTS.values():
        table.add_row(client.name, "yes" if _is_here(client, machine) else "no", ", ".join(found.get(client.name, ())))
    show(table)
    _tell("`owlmetry-mcp install CLIENT` adds the server to one; with --dry-run, it shows how.")


def _is_here(client: Client, machine: Machine) -> bool:
    if shutil.which(client.executable, path=machine.environment.get("PATH", "")):
        return True
    paths = client.files[USER](machine)
    return any(path.exists() or (path.parent != machine.home and path.parent.exists()) for path in paths)


def _tell(message: str) -> None:
    print(message, file=sys.stderr)
