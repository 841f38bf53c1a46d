"""The store's rows, as a document."""

from collections.abc import Iterator, Mapping

from owlmetry_mcp.backends.store.document import BLOBS, SECTIONS
from owlmetry_mcp.backends.store.events import CONTENT
from owlmetry_mcp.backends.store.transactions import Transaction

_FROM: Mapping[str, str] = {
    "teams": "teams r",
    "users": "users r",
    "projects": "projects r JOIN teams t ON t.key = r.team",
    "apps": "apps r JOIN projects p ON p.key = r.project JOIN teams t ON t.key = p.team",
    "api_keys": "api_keys r JOIN teams t ON t.key = r.team LEFT JOIN apps a ON a.key = r.app",
    "issues": "issues r JOIN apps a ON a.key = r.app JOIN projects p ON p.key = a.project",
    "fingerprints": "fingerprints r JOIN apps a ON a.key = r.app JOIN issues i ON i.key = r.issue",
    "occurrences": "occurrences r JOIN issues i ON i.key = r.issue JOIN sessions s ON s.key = r.session",
    "comments": "comments r JOIN issues i ON i.key = r.issue",
    "attachments": """attachments r JOIN apps a ON a.key = r.app JOIN projects p ON p.key = a.project
        LEFT JOIN issues i ON i.key = r.issue""",
    "events": """events r JOIN apps a ON a.key = r.app JOIN sessions s ON s.key = r.session
        LEFT JOIN api_keys k ON k.key = r.api_key""",
    "pruned": "pruned r JOIN apps a ON a.key = r.app",
    "notifications": "notifications r JOIN issues i ON i.key = r.issue",
    "audit": "audit r",
}

_ORDERS: Mapping[str, str] = {
    "fingerprints": "r.app, r.is_dev, r.fingerprint",
    "pruned": "r.app, r.client_event_id",
}
"""Of the tables without keys."""

_CONTENT: Mapping[str, str] = {name: f"json_extract(r.content, '$.{name}')" for name in CONTENT}
_VALUES: Mapping[str, str] = {
    "team_id": "t.id",
    "project_id": "p.id",
    "app_id": "a.id",
    "issue_id": "i.id",
    "session_id": "uuid_text(s.id)",
    "api_key_id": "k.id",
    "custom_attributes": "json(r.custom_attributes)",
    "scanned": "json(iif(EXISTS (SELECT 1 FROM unscanned WHERE event = r.key), 'false', 'true'))",
    "is_dev": "json(iif(r.is_dev, 'true', 'false'))",
    "permissions": "json(r.permissions)",
    "detail": "json(r.detail)",
    "memberships": """(
        SELECT json_group_array(json_object('team_id', t.id, 'role', m.role))
        FROM (SELECT * FROM memberships WHERE user = r.key ORDER BY team) m JOIN teams t ON t.key = m.team
    )""",
}
"""How a field is read that is no column of the row's own."""


def export_document(tx: Transaction) -> Iterator[str]:
    """The document, a line a row, in pieces: no store is too large to be written."""
    opening = "{"
    for section, kind in SECTIONS.items():
        yield f'{opening}\n"{section}": ['
        fields = [name for name in kind.model_fields if name != "secret"]
        values = {
            **_VALUES,
            **(_CONTENT if section == "events" else {}),
            **{name: f"uuid_text(r.{name})" for name in BLOBS.get(section, ())},
        }
        pairs = ", ".join(f"'{name}', {values.get(name, f'r.{name}')}" for name in fields)
        order = _ORDERS.get(section, "r.key")
        separator = "\n"
        for (row,) in tx.run(f"SELECT json_object({pairs}) FROM {_FROM[section]} ORDER BY {order}"):  # noqa: S608 - names from above
            yield f"{separator}{row}"
            separator = ",\n"
        yield "\n]"
        opening = ","
    yield "\n}\n"
