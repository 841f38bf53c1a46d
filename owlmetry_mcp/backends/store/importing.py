"""A document's rows, into the store: all of them, or none."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from owlmetry_mcp.backends.store import first_start, ids, issues, summaries
from owlmetry_mcp.backends.store.access import secret_sha256
from owlmetry_mcp.backends.store.document import BLOBS, SECTIONS, Document, Row
from owlmetry_mcp.backends.store.events import CONTENT
from owlmetry_mcp.backends.store.transactions import Transaction, is_collision, json_text
from owlmetry_mcp.issues.errors import InvalidInputError

_REFERENCES: Mapping[str, str] = {
    "team_id": "teams",
    "project_id": "projects",
    "app_id": "apps",
    "issue_id": "issues",
    "api_key_id": "api_keys",
}
"""The fields that name another row by its id, and where that row is."""

Values = dict[str, Any]


@dataclass
class Imported:
    counts: Counter[str] = field(default_factory=Counter)
    """Rows, by section."""
    ignored: set[str] = field(default_factory=set)
    """What the store has no place for: sections, and fields as `section.field`."""


def read_document(text: str | bytes) -> Document:
    """The document, checked as far as it can be without a store. Takes long for a large one, and holds no lock.

    Raises:
        InvalidInputError: it is no such document; its first fault is named by its place.
    """
    try:
        return Document.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        why = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        raise InvalidInputError(f"{place}: {why}" if place else why) from error


def import_document(tx: Transaction, document: Document) -> Imported:
    """Add everything in the document; where it brings teams, the empty rows of a first start give way to it.

    Raises:
        InvalidInputError: a row cannot be taken; the first is named by its place.
    """
    if document.teams:
        first_start.give_way(tx)
    imported = Imported(ignored=set(document.model_extra or ()))
    rows = _Rows(tx)
    for section in SECTIONS:
        found: list[Row] = getattr(document, section)
        rows.add(section, found)
        imported.counts[section] = len(found)
        imported.ignored |= {f"{section}.{name}" for row in found for name in row.model_extra or ()}
    _keep_what_follows(tx, document)
    return imported


def _keep_what_follows(tx: Transaction, document: Document) -> None:
    """What the store keeps of issues besides: no document says it."""
    issue_ids = {row.id for row in document.issues}
    issues.set_when_moved(tx, issue_ids | {row.subject_id for row in document.audit if row.action == issues.MOVE})
    for issue_id in sorted({row.issue_id for row in document.occurrences}):
        (key,) = tx.one("SELECT key FROM issues WHERE id = ?", (issue_id,))
        summaries.keep(tx, key)


class _Rows:
    """Rows on their way into the tables, where ids become keys."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._keys: dict[str, dict[str, int]] = {table: {} for table in _REFERENCES.values()}

    def add(self, section: str, rows: Sequence[Row]) -> None:
        last = self._last_key(section)
        ready: list[Values] = []
        members: list[tuple[str, Values]] = []
        unscanned: list[tuple[str, Values]] = []
        for index, row in enumerate(rows):
            place, values = f"{section}[{index}]", row.model_dump(exclude=set(row.model_extra or ()))
            memberships = values.pop("memberships", ())
            values = self._stored(section, values, place)
            if last is not None:
                values["key"] = key = last + 1 + index
                members += self._members(key, memberships, place)
                if section == "events" and not values.pop("scanned") and values["level"] == "error":
                    unscanned.append((f"{place}", {"event": key}))
                if section in self._keys:
                    self._keys[section][values["id"]] = key
            ready.append(values)
        self._insert(section, [(f"{section}[{index}]", values) for index, values in enumerate(ready)])
        self._insert("memberships", members)
        self._insert("unscanned", unscanned)

    def _last_key(self, section: str) -> int | None:
        if section in ("fingerprints", "pruned"):  # tables without keys
            return None
        last: int = self._tx.one(f"SELECT coalesce(max(key), 0) FROM {section}")[0]  # noqa: S608 - names from above
        return last

    def _members(self, user: int, memberships: Sequence[Values], place: str) -> Iterator[tuple[str, Values]]:
        for index, membership in enumerate(memberships):
            within = f"{place}.memberships[{index}]"
            team = self._key("team_id", membership["team_id"], within)
            yield within, {"user": user, "team": team, "role": membership["role"]}

    def _stored(self, section: str, values: Values, place: str) -> Values:
        """The values as their columns hold them."""
        for name in _REFERENCES:
            if name in values:
                wanted = values.pop(name)
                values[name.removesuffix("_id")] = None if wanted is None else self._key(name, wanted, place)
        if section == "events":
            content = {name: values.pop(name) for name in CONTENT}
            values["content"] = {name: value for name, value in content.items() if value is not None}
        if "session_id" in values:
            values["session"] = self._session(values.pop("session_id"))
        for name in BLOBS.get(section, ()):
            values[name] = None if values[name] is None else ids.to_bytes(values[name])
        self._check_owners(section, values, place)
        if (secret := values.pop("secret", None)) is not None:
            values["secret_sha256"] = secret_sha256(secret)
        if values.get("created_at", "") is None:
            values["created_at"] = self._tx.now
        return {name: json_text(value) if isinstance(value, list | dict) else value for name, value in values.items()}

    def _session(self, session_id: str) -> int:
        wanted = ids.to_bytes(session_id)
        self._tx.run("INSERT INTO sessions (id) VALUES (?) ON CONFLICT DO NOTHING", (wanted,))
        key: int = self._tx.one("SELECT key FROM sessions WHERE id = ?", (wanted,))[0]
        return key

    def _check_owners(self, section: str, values: Values, place: str) -> None:
        """What a row says of its owner, against what follows from the rest of it; what follows is not stored again."""
        match section:
            case "apps":
                self._agree(values.pop("team"), self._team(values["project"]), f"{place}.team_id")
            case "api_keys" if values["app"] is not None:
                self._agree(values["team"], self._team(self._project("apps", values["app"])), f"{place}.app_id")
            case "issues":
                self._agree(values.pop("project"), self._project("apps", values["app"]), f"{place}.project_id")
            case "attachments" | "fingerprints":
                project = self._project("apps", values["app"])
                self._agree(values.pop("project", None), project, f"{place}.project_id")
                if values["issue"] is not None:
                    self._agree(self._project("issues", values["issue"]), project, f"{place}.issue_id")

    @staticmethod
    def _agree(said: int | None, follows: int, place: str) -> None:
        if said not in (None, follows):
            raise InvalidInputError(f"{place}: contradicts what else the row names")

    def _team(self, project: int) -> int:
        team: int = self._tx.one("SELECT team FROM projects WHERE key = ?", (project,))[0]
        return team

    def _project(self, table: str, key: int) -> int:
        app = "(SELECT app FROM issues WHERE key = ?)" if table == "issues" else "?"
        project: int = self._tx.one(f"SELECT project FROM apps WHERE key = {app}", (key,))[0]  # noqa: S608 - from above
        return project

    def _key(self, name: str, wanted: str, place: str) -> int:
        table = _REFERENCES[name]
        if wanted not in self._keys[table]:
            row = self._tx.one(f"SELECT key FROM {table} WHERE id = ?", (wanted,))  # noqa: S608 - names from above
            if row is None:
                raise InvalidInputError(f"{place}.{name}: there is no {name.removesuffix('_id')} {wanted}")
            self._keys[table][wanted] = row[0]
        return self._keys[table][wanted]

    def _insert(self, table: str, rows: Sequence[tuple[str, Values]]) -> None:
        """All of them in one go; should one be refused, one by one, to find which."""
        if not rows:
            return
        self._tx.run("SAVEPOINT section")
        try:
            self._tx.insert_all(table, [values for _, values in rows])
        except sqlite3.IntegrityError:
            self._tx.run("ROLLBACK TO section")
            for place, values in rows:
                self._insert_one(table, values, place)
            raise
        self._tx.run("RELEASE section")

    def _insert_one(self, table: str, values: Values, place: str) -> None:
        try:
            self._tx.insert(table, values)
        except sqlite3.IntegrityError as error:
            if not is_collision(error):
                raise
            columns = str(error).rpartition(": ")[2].replace(f"{table}.", "").replace(", ", " and ")
            raise InvalidInputError(f"{place}: there is one already with the same {columns}") from error
