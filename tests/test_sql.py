"""SQL is made of the sources alone; what comes from outside goes into its parameters."""

import pytest

from tests.sql import Doubt, doubts
from tests.test_architecture import MODULES, PACKAGE

VALUES = (
    "{**_VALUES, **(_CONTENT if section == 'events' else {}),"
    " **{name: f'uuid_text(r.{name})' for name in BLOBS.get(section, ())}}"
)
ALLOWED = {
    ("transactions", "Transaction.all", "sql"): "a door: those who call it are read here",
    ("transactions", "Transaction.one", "sql"): "likewise",
    ("transactions", "Transaction.run", "sql"): "likewise",
    ("transactions", "Transaction.insert", "_insertion(table, row)"): "likewise; columns are keys of rows made here",
    ("transactions", "Transaction.insert_all", "_insertion(table, rows[0])"): "likewise",
    ("file", "_migrate", "range(version + 1, len(MIGRATIONS) + 1)"): "a number that counts up",
    ("file", "_migrate", "_statements(MIGRATIONS[number - 1])"): "the parts of a constant",
    ("events", "_insert", "tx.now"): "the transaction's instant, by the clock",
    ("scan", "_Scan._write", "self._tx.now"): "likewise",
    **{
        ("overview", "Glance._first", f"section.{part}"): "of one of the module's four constants"
        for part in ("by", "order", "direction", "condition")
    },
    ("recounting", "mend", "it.column"): "one of those that `recount` names",
    ("checking", "_row", "tx.run('PRAGMA foreign_key_check')"): "tables as the file itself names them",
    ("checking", "_pragma", "tx.run('PRAGMA foreign_key_check')"): "likewise",
    ("exporting", "export_document", "kind.model_fields"): "the fields of a model of ours",
    ("exporting", "export_document", VALUES): "constants of the module",
    ("importing", "_Rows._last_key", "section"): "one of SECTIONS, not of the document's",
    ("importing", "_Rows._insert", "section"): "likewise",
    ("importing", "_Rows._insert_one", "section"): "likewise",
}
"""Parts of statements, by module and function, that are no one's from outside though a reader has to look to see it."""


def test_what_comes_from_outside_is_in_no_statement() -> None:
    found = {(path, doubt) for path in MODULES for doubt in doubts(path.read_text())}
    assert {(path.stem, *doubt) for path, doubt in found} == {*ALLOWED}
    assert {path.parent for path, _ in found} == {PACKAGE / "backends" / "store"}


HEAD = "LIMIT = 5\n_TABLES = ('a', 'b')\n_OF = {'x': 'y'}\n"


@pytest.mark.parametrize(
    "body",
    [
        'tx.all("SELECT 1 WHERE id = ?", (outside,))',
        'self._tx.one("SELECT :id", {"id": outside})',
        'tx.all(f"SELECT {LIMIT}")',
        'tx.all(f"SELECT {outside:d}")',
        'tx.all(f"SELECT 1 WHERE key IN ({listed(outside)})")',
        'tx.run(f"SELECT {_OF[outside]}")',
        'for table in _TABLES:\n        tx.run(f"DELETE FROM {table}")',
        "sql = 'SELECT 1' if outside else 'SELECT 2'\n    tx.all(sql)",
        "sql = 'SELECT ?'\n    sql += ', ?' * len(outside)\n    tx.all(sql, outside)",
        "sql = f\"SELECT {', '.join(f'{name} = ?' for name in _OF)}\"\n    tx.all(sql)",
        'many = tx.connection.executemany\n    many("INSERT INTO a VALUES (?)", outside)',
        'tx.insert("a", {"id": outside})',
        "[one(outside) for one in all(outside)]",
    ],
)
def test_statements_of_the_sources_are_let_through(body: str) -> None:
    assert doubts(f"{HEAD}def work(tx, outside):\n    {body}\n") == []


@pytest.mark.parametrize(
    ("body", "doubted"),
    [
        ("tx.all(f\"SELECT 1 WHERE id = '{outside}'\")", "outside"),
        ("tx.all(outside)", "outside"),
        ("self._tx.one('SELECT ' + outside)", "outside"),
        ("tx.run('SELECT %s' % outside)", "'SELECT %s' % outside"),
        ("tx.run('SELECT {}'.format(outside))", "'SELECT {}'.format(outside)"),
        ("connection.execute(f'SELECT {outside.name}')", "outside.name"),
        ("connection.executescript(outside)", "outside"),
        ("tx.connection.executemany(f'INSERT INTO {outside} VALUES (?)', [])", "outside"),
        ("tx.insert(outside, {})", "outside"),
        ("tx.all(f\"SELECT {', '.join(outside)}\")", "outside"),
        ("tx.all(f\"SELECT {', '.join(name for name in outside)}\")", "outside"),
        ("sql = f'SELECT {outside}'\n    tx.all(sql)", "outside"),
        ("sql = 'SELECT 1'\n    sql += outside\n    tx.all(sql)", "outside"),
        ("sql, other = outside, 'SELECT 1'\n    tx.all(sql)", "outside"),
        ("def inner(sql):\n        tx.all(sql)", "sql"),
        ("with open(outside) as file:\n        tx.all(file)", "file"),
        ("many = tx.connection.executemany\n    many(outside, [])", "outside"),
        ("map(tx.connection.execute, outside)", "tx.connection.execute"),
        ("tx.all(*outside)", "tx.all(*outside)"),
        ("tx.all(sql=outside)", "tx.all(sql=outside)"),
        ("LIMIT = outside\n    tx.all(f'SELECT {LIMIT}')", "outside"),
        ("tx.all(f'SELECT {UNKNOWN}')", "UNKNOWN"),
        ("tx.all(f'SELECT {outside:>9}')", "outside"),
    ],
)
def test_a_statement_that_may_be_of_outside_is_doubted(body: str, doubted: str) -> None:
    assert doubts(f"{HEAD}def work(tx, outside):\n    {body}\n") == [Doubt("work", doubted)]


def test_a_private_functions_parameter_is_what_its_module_passes() -> None:
    called = "def _find(tx, table, more=''):\n    tx.all(f'SELECT 1 FROM {table} {more}')\n"
    assert doubts(f"{called}def find_a(tx):\n    _find(tx, 'a')\ndef find_b(tx):\n    _find(tx, table='b')\n") == []
    passing = f"{called}def find(tx, outside):\n    _find(tx, outside)\n"
    assert doubts(passing) == [Doubt("_find", "outside")]
    assert doubts(called.replace("_find", "find") + "def other(tx):\n    find(tx, 'a')\n") == [
        Doubt("find", "table"),
        Doubt("find", "more"),
    ]
