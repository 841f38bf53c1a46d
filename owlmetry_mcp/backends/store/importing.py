"""A document's rows, into the store: all of them, or none."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.access import secret_sha256
from owlmetry_mcp.backends.store.document import SECTIONS, Row
from owlmetry_mcp.backends.store.transactions import Transaction, json_text
from owlmetry_mcp.issues.errors import InvalidInputError

_REFERENCES: Mapping[str, str] = {
    "team_id": "teams",
    "project_id": "projects",
    "app_id": "apps",
    "issue_id": "issues",
}
"""The fields that name another row by its id, and where that row is."""

_OWNERS: Mapping[str, tuple[str, str]] = {
    "apps": ("team", "SELECT team FROM projects WHERE key = :project"),
    "issues": ("project", "SELECT project FROM apps WHERE key = :app"),
    "attachments": ("project", "SELECT project FROM apps WHERE key = :app"),
}
"""What a row may say of its owner though the store derives it, and where from."""


@dataclass
class Imported:
    counts: Counter[str] = field(default_factory=Counter)
    """Rows, by section."""
    ignored: set[str] = field(default_factory=set)
    """What the store has no place for: sections, and fields as `section.field`."""


def import_document(tx: Transaction, text: str | bytes) -> Imported:
    """Add everything in the document; the empty rows of a first start give way to it.

    Raises:
        InvalidInputError: it is no such document, or holds a row that cannot be taken; the first is named by its place.
    """
    document = _document(text)
    first_start.give_way(tx)
    imported = Imported(ignored=document.keys() - SECTIONS.keys())
    for section, kind in SECTIONS.items():
        rows = document.get(section, [])
        if not isinstance(rows, list):
            raise InvalidInputError(f"{section}: must be a list of rows")
        for index, raw in enumerate(rows):
            place = f"{section}[{index}]"
            _insert(tx, section, _checked(kind, raw, place), place)
            imported.ignored.update(f"{section}.{name}" for name in raw.keys() - kind.model_fields.keys())
        imported.counts[section] = len(rows)
    return imported


def _document(text: str | bytes) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInputError("not JSON: it is not in UTF-8, nested too deeply, or has a number too long") from error
    if not isinstance(document, dict):
        raise InvalidInputError(f"must be a JSON object with the sections {', '.join(SECTIONS)}")
    return document


def _checked(kind: type[Row], raw: object, place: str) -> Row:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        within = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        why = first["ctx"]["error"] if first["type"] == "value_error" else first["msg"]
        raise InvalidInputError(f"{place}{within}: {why}") from error


def _insert(tx: Transaction, section: str, row: Row, place: str) -> None:
    values = row.model_dump()
    memberships = values.pop("memberships", [])
    for name in values.keys() & _REFERENCES.keys():
        wanted = values.pop(name)
        key = None if wanted is None else _key(tx, name, wanted, place)
        values[name.removesuffix("_id")] = key
    if section in _OWNERS:
        owner, derived = _OWNERS[section]
        (actual,) = tx.one(derived, values)
        if values.pop(owner) not in (None, actual):
            raise InvalidInputError(f"{place}.{owner}_id: contradicts what else the row names")
    key = _add(tx, section, _stored(tx, values), place)
    for index, membership in enumerate(memberships):
        within = f"{place}.memberships[{index}]"
        team = _key(tx, "team_id", membership["team_id"], within)
        _add(tx, "memberships", {"user": key, "team": team, "role": membership["role"]}, within)


def _stored(tx: Transaction, values: dict[str, Any]) -> dict[str, Any]:
    """The values as their columns hold them."""
    if (secret := values.pop("secret", None)) is not None:
        values["secret_sha256"] = secret_sha256(secret)
    if values.get("created_at", "") is None:
        values["created_at"] = tx.now
    return {
        column: json_text(value)
        if isinstance(value, list | dict)
        else int(value)
        if value is True or value is False
        else value
        for column, value in values.items()
    }


def _key(tx: Transaction, name: str, wanted: str, place: str) -> int:
    table = _REFERENCES[name]
    row = tx.one(f"SELECT key FROM {table} WHERE id = ?", (wanted,))  # noqa: S608 - names from above
    if row is None:
        raise InvalidInputError(f"{place}.{name}: there is no {name.removesuffix('_id')} {wanted}")
    key: int = row[0]
    return key


def _add(tx: Transaction, table: str, values: dict[str, Any], place: str) -> int:
    try:
        return tx.insert(table, values)
    except sqlite3.IntegrityError as error:
        columns = str(error).rpartition(": ")[2].replace(f"{table}.", "").replace(", ", " and ")
        raise InvalidInputError(f"{place}: there is one already with the same {columns}") from error
