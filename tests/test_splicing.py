"""Settings files of people: what is put in and taken out of them leaves all else as it was."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owlmetry_mcp.clients.jsonc import BrokenFileError, scan
from owlmetry_mcp.clients.splicing import with_element, with_member, without_element, without_member

ENTRY = {"command": "/opt/owlmetry-mcp", "env": {"A": "b"}}


def put(text: str) -> str:
    return with_member(text, "servers", "owl", ENTRY)


def value(text: str) -> Any:
    node = scan(text)
    return node.value if node else None


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", '{\n  "servers": {\n    "owl": {"a": 1}\n  }\n}\n'),
        ('{"x": 1}', '{"x": 1, "servers": {"owl": {"a": 1}}}'),
        ('{\n\t"x": 1\n}\n', '{\n\t"x": 1,\n\t"servers": {\n\t\t"owl": {"a": 1}\n\t}\n}\n'),
        ('{\r\n    "x": 1,\r\n}', '{\r\n    "x": 1,\r\n    "servers": {\r\n        "owl": {"a": 1}\r\n    },\r\n}'),
        ('{ "servers": {} }', '{ "servers": {\n  "owl": {"a": 1}\n} }'),
        (
            '{\n  "servers": {\n    "x": 1 // "one, two"\n  } // all\n}',
            '{\n  "servers": {\n    "x": 1, // "one, two"\n    "owl": {"a": 1}\n  } // all\n}',
        ),
        (
            "// mine\n{\n  /* none\n  yet */\n}",
            '// mine\n{\n  /* none\n  yet */\n  "servers": {\n    "owl": {"a": 1}\n  }\n}',
        ),
        ('{"servers": {"x": 1, // one\n}}', '{"servers": {"x": 1, // one\n"owl": {"a": 1},\n}}'),
    ],
)
def test_an_entry_looks_like_what_is_around_it(text: str, changed: str) -> None:
    made = with_member(text, "servers", "owl", {"a": 1})
    flat = made
    for newline in ("\r\n", "\n"):
        for indent in ("", "  ", "    ", "\t", "\t\t", "\t\t\t", " " * 6, " " * 8, " " * 12):
            flat = flat.replace(f'{{{newline}{indent}"a": 1{newline}', '{"a": 1').replace('"a": 1', '"a": 1')
    assert value(made) == value(changed)
