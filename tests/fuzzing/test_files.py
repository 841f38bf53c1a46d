"""Any bytes as a file of events, and any document to import: what is right is taken, the rest is told."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owlmetry_mcp.backends.store import first_start
from owlmetry_mcp.backends.store.importing import import_document, read_document
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.cli.main import main
from owlmetry_mcp.issues.errors import InvalidInputError
from tests.fuzzing.examples import EXAMPLES
from tests.fuzzing.hostile import SURROGATES, TEXT, VALUE, cut_up
from tests.fuzzing.sound import assert_sound, wrong
from tests.world import FIXTURE, SYMBOLS, FakeClock, tried

SESSION = SYMBOLS["ghost"]
EVENT = {"message": "Boom", "level": "error", "session_id": SESSION, "timestamp": "2026-10-21T10:00:00.000Z"}
RECORD = {
    "timeUnixNano": "1792576800000000000",
    "severityNumber": 17,
    "body": {"stringValue": "Payment failed"},
    "attributes": [
        {"key": "exception.type", "value": {"stringValue": "ValueError"}},
        {"key": "tags", "value": {"arrayValue": {"values": [{"intValue": "3"}]}}},
    ],
}
REQUEST = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.version", "value": {"stringValue": "1.2"}}]},
            "scopeLogs": [{"scope": {"name": "shop"}, "logRecords": [RECORD]}],
        }
    ]
}
TRACEBACK = b"""\
2026-11-23 07:51:11,123 ERROR shop.checkout: Payment failed
Traceback (most recent call last):
  File "/app/shop.py", line 1, in pay
    raise ValueError("no funds")
ValueError: no funds
"""

Document = dict[str, Any]


@st.composite
def changed(draw: st.DrawFn, document: Any, most: int = 3) -> Any:
    """The document with a few values in it changed, left out, or there twice."""
    document = deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        holder: Any = document
        while isinstance(inner := holder[draw(at(holder))], dict | list) and inner and draw(st.integers(0, 4)):
            holder = inner
        where = draw(at(holder))
        match draw(st.integers(0, 4)):
            case 0:
                del holder[where]
            case 1 if isinstance(holder, list):
                holder.append(holder[where])
            case 1:
                holder[draw(TEXT)] = holder[where]
            case _:
                holder[where] = deepcopy(draw(VALUE | st.sampled_from(SURROGATES)))  # it may be changed further
        if not document:
            break
    return document


def at(holder: Any) -> st.SearchStrategy[Any]:
    """A place in an object or a list."""
    return st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder)))


def as_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def lines_of(right: Document) -> st.SearchStrategy[bytes]:
    line = changed(right).map(as_bytes) | cut_up(as_bytes(right)) | st.just(as_bytes(right)) | st.binary(max_size=40)
    return st.lists(line, max_size=8).map(b"\n".join)


FILES = {
    "json-lines": lines_of(EVENT),
    "otlp-json": lines_of(REQUEST),
    "python-logging": st.lists(cut_up(TRACEBACK) | st.binary(max_size=40), max_size=8).map(b"\n".join),
}


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a command on a store of its own, which does what it is to, or tells what is wrong, and stays sound."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(*arguments: str) -> str:
        code = main([*arguments, "--store", str(tmp_path / "store.db")])
        told = capsys.readouterr().err
        assert code in (0, 1)
        for words in ("Traceback", "pydantic", "sqlite3"):
            assert words not in told
        with Store(tmp_path / "store.db") as store:
            assert_sound(store)
        return told

    return run


@pytest.mark.parametrize("form", FILES)
def test_any_file_of_events_is_taken_in_as_far_as_it_holds_any(
    command: Callable[..., str], tmp_path: Path, form: str
) -> None:
    file = tmp_path / "events"

    @EXAMPLES
    @given(FILES[form])
    def attempt(content: bytes) -> None:
        file.write_bytes(content)
        first = command("ingest", str(file), "--format", form)
        again = command("ingest", str(file), "--format", form)
        assert ("new events" in first) == (": 0 new events" in again)

    attempt()


def test_any_document_is_imported_whole_or_refused_with_a_place(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db", FakeClock(), first_start.leave_empty) as store:

        @EXAMPLES
        @given(changed(FIXTURE).map(as_bytes) | cut_up(as_bytes(FIXTURE)) | st.binary(max_size=100))
        def attempt(text: bytes) -> None:
            def work(tx: Transaction) -> list[str]:
                import_document(tx, read_document(text))
                return wrong(tx)

            try:
                assert tried(store, work) == []
            except InvalidInputError as error:
                assert len(str(error)) < 1_000  # noqa: PT017 - either way it is to end well

        attempt()
