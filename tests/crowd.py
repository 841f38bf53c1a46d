"""A world that is too much for any answer: long, many, and in characters that take many bytes to show."""

import json
import uuid
from typing import Any

from owlmetry_mcp.backends.store import summaries
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from tests.world import FIXTURE, SYMBOLS, filled

HEAVY, EVENT, OCCURRENCES = SYMBOLS["i_busy"], str(uuid.UUID(int=77)), 100_000
SESSION = str(uuid.UUID(int=78))
INVISIBLE = "\U000e0041\u202e\u200b\x1b"
TITLE = (f'🦉"\\ {INVISIBLE} 失敗' * 200)[:2000]
NAME = (INVISIBLE + "é失🦉") * 36
BODY = "".join(f"{number}é🦉\u202e" for number in range(30_000))
"""300 kB and more, without a blank."""
STACK = "\n".join(f"  at f{number} (file.py:{number}\u202e)" for number in range(300)) + "\n" + "x🦉" * 4_000
ATTRIBUTES = {f"{number}{INVISIBLE * 63}"[:255]: f"{number} {INVISIBLE * 63}"[:255] for number in range(200)}
AT = "2026-10-20T12:00:00.000Z"

Row = dict[str, Any]


def numbered(kind: int, number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{kind:012x}"


def issues() -> list[Row]:
    strange = {"title": TITLE, "source_module": NAME, "last_seen_app_version": NAME, "resolved_at_version": NAME}
    statuses = ("new", "in_progress", "resolved", "silenced", "regressed", "snoozed")
    return [
        FIXTURE["issues"][0] | strange | {"id": numbered(1, number), "status": statuses[number % 6]}
        for number in range(200)
    ]


def comments() -> list[Row]:
    rows = [
        FIXTURE["comments"][0]
        | {"id": numbered(2, number), "issue_id": HEAVY, "author_name": NAME, "body": f"{number}: {TITLE[:200]}"}
        for number in range(300)
    ]
    rows[150]["body"] = BODY
    return rows


def crowd(tx: Transaction) -> None:
    template = FIXTURE["issues"][0]
    event = {
        "id": EVENT, "app_id": SYMBOLS["ios"], "is_dev": False, "session_id": SESSION, "level": "error",
        "message": TITLE, "timestamp": AT, "received_at": AT,
        "custom_attributes": {**ATTRIBUTES, "_error_stack": STACK},
        **dict.fromkeys(("source_module", "screen_name", "user_id", "os_version", "app_version", "sdk_name"), NAME),
        **dict.fromkeys(("sdk_version", "device_model", "build_number", "locale", "preferred_language"), NAME),
    }  # fmt: skip
    crumbs = [
        event | {"id": numbered(5, number), "timestamp": f"2026-10-20T11:59:{number:02d}.000Z"} for number in range(60)
    ]
    attachments = [
        FIXTURE["attachments"][0]
        | {"id": numbered(3, number), "issue_id": HEAVY, "event_id": EVENT, "original_filename": NAME}
        | {"content_type": NAME}
        for number in range(100)
    ]
    projects = [
        FIXTURE["projects"][0] | {"id": numbered(4, number), "name": f"{number} {NAME}", "slug": f"{number}-{NAME}"}
        for number in range(300)
    ]
    prints = [
        FIXTURE["fingerprints"][0] | {"fingerprint": f"{number:064x}", "issue_id": HEAVY, "app_id": SYMBOLS["api"]}
        for number in range(500)
    ]
    document = {
        "issues": issues(), "comments": comments(), "attachments": attachments, "projects": projects,
        "fingerprints": prints, "events": [event, *crumbs],
    }  # fmt: skip
    import_document(tx, read_document(json.dumps(document)))
    strange = "title = :text, source_module = :name, occurrence_count = :count, last_seen_app_version = :name"
    values = {"text": TITLE, "name": NAME, "count": OCCURRENCES, "id": HEAVY}
    tx.run(f"UPDATE issues SET {strange}, first_seen_app_version = :name WHERE id = :id", values)  # noqa: S608
    tx.run("UPDATE projects SET name = ? WHERE id = ?", (NAME, template["project_id"]))
    tx.run("UPDATE apps SET name = ?", (NAME,))
    everything = '["issues:read", "issues:write", "events:read", "projects:read"]'
    tx.run("UPDATE api_keys SET permissions = ?, name = name || ? WHERE key_type = 'agent'", (everything, NAME))
    tx.run("UPDATE teams SET name = name || ?", (NAME,))
    add_occurrences(tx, HEAVY, OCCURRENCES, 1)
    add_occurrences(tx, SYMBOLS["i_timeout"], 296, 2)  # beside 4 recorded ones
    tx.run("UPDATE issues SET occurrence_count = 300 WHERE id = ?", (SYMBOLS["i_timeout"],))


def add_occurrences(tx: Transaction, issue_id: str, count: int, kind: int) -> None:
    """Each of a session of its own, of thousands of long versions and users."""
    numbers = f"WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"  # noqa: S608
    form = f"uuid_blob(printf('%08x-0000-4000-8000-%012x', n, {kind + 5}))"
    tx.run(f"INSERT INTO sessions (id) {numbers} SELECT {form} FROM numbers")  # noqa: S608
    tx.run(
        f"""INSERT INTO occurrences (id, issue, session, user_id, app_version, event_id, timestamp, created_at)
            {numbers} SELECT {form}, (SELECT key FROM issues WHERE id = :issue),
                (SELECT key FROM sessions WHERE id = {form}),
                n % 5000 || ' ' || :name, n % 3000 || '.0 ' || :name, {form},
                strftime('%Y-%m-%dT%H:%M:%S.000Z', 1760000000 + n, 'unixepoch'), :at
            FROM numbers""",  # noqa: S608
        {"issue": issue_id, "name": NAME, "at": AT},
    )
    summaries.keep(tx, tx.one("SELECT key FROM issues WHERE id = ?", (issue_id,))[0])


def crowded(store: Store) -> None:
    filled(store)
    store.write(crowd)
