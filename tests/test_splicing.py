"""Settings files of people: what is put in and taken out of them leaves all else as it was, byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from owlmetry_mcp.clients import toml_text
from owlmetry_mcp.clients.jsonc import BrokenFileError, scan
from owlmetry_mcp.clients.splicing import with_element, with_member, without_element, without_member

ENTRY = {"command": "/opt/owl", "env": {"A": "b"}}


def value(text: str) -> Any:
    node = scan(text)
    return node.value if node else None


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", '{\n  "servers": {\n    "owl": {\n      "a": 1\n    }\n  }\n}\n'),
        ("\ufeff", '\ufeff{\n  "servers": {\n    "owl": {\n      "a": 1\n    }\n  }\n}\n'),
        ("// mine\r\n", '// mine\r\n{\r\n  "servers": {\r\n    "owl": {\r\n      "a": 1\r\n    }\r\n  }\r\n}\r\n'),
        ('{"x": 1}', '{"x": 1, "servers": {"owl": {"a": 1}}}'),
        ('{\n\t"x": 1\n}\n', '{\n\t"x": 1,\n\t"servers": {\n\t\t"owl": {\n\t\t\t"a": 1\n\t\t}\n\t}\n}\n'),
        (
            '{\r\n   "x": "http://x",\r\n}',
            '{\r\n   "x": "http://x",\r\n   "servers": {\r\n      "owl": {\r\n         "a": 1\r\n      }\r\n   },\r\n}',
        ),
        (
            '{\n  "servers": {\n    "x": 1 // "one, two" }\n  } /* all */\n}',
            '{\n  "servers": {\n    "x": 1, // "one, two" }\n    "owl": {\n      "a": 1\n    }\n  } /* all */\n}',
        ),
        ('{"servers": {"x": 1, // one\n}}', '{"servers": {"x": 1, // one\n"owl": {"a": 1},\n}}'),
    ],
)
def test_an_entry_looks_like_what_is_around_it_and_leaves_as_it_came(text: str, changed: str) -> None:
    assert with_member(text, "servers", "owl", {"a": 1}) == changed
    assert with_member(changed, "servers", "owl", {"a": 1}) == changed
    left = without_member(changed, "servers", "owl")
    assert left == text or value(left) == {"servers": {}}


def test_another_value_takes_the_place_of_the_first() -> None:
    text = '{\n  // these\n  "servers": {\n    "owl": {"a": 1}, // mine\n    "x": 2\n  }\n}\n'
    changed = with_member(text, "servers", "owl", {"b": []})
    assert changed == text.replace('{"a": 1}', '{\n      "b": []\n    }')
    assert without_member(changed, "servers", "owl") == '{\n  // these\n  "servers": { // mine\n    "x": 2\n  }\n}\n'


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"servers": {"owl": 1}}', '{"servers": {}}'),
        ('{"x": 1, "servers": {"owl": 1}}', '{"x": 1}'),
        ('{"x": 1, "servers": {"owl": 1,},}', '{"x": 1,}'),
        ('{"x": 1, "servers": {/* none yet */ "owl": 1}}', '{"x": 1, "servers": {/* none yet */}}'),
        ('{"servers": {"owl": 1, "x": 2}}', '{"servers": { "x": 2}}'),
        ('{"servers": {"x": 2, // two\n"owl": 1}}', '{"servers": {"x": 2 // two\n}}'),
        ('{"servers": {"x": 2, // 2\n"owl": 1 /* g */ , "y": 3}}', '{"servers": {"x": 2, // 2\n /* g */  "y": 3}}'),
        ('{"servers": {"x": 2}}', '{"servers": {"x": 2}}'),
        ('{"x": 1}', '{"x": 1}'),
        ("", ""),
    ],
)  # fmt: skip
def test_an_entry_goes_with_its_comma_and_leaves_comments(text: str, left: str) -> None:
    assert without_member(text, "servers", "owl") == left


def test_elements_are_known_by_their_id() -> None:
    text = '{\n  "inputs": [\n    {"id": "x"} // theirs\n  ]\n}'
    changed = with_element(text, "inputs", {"id": "owl", "n": 1})
    assert value(changed) == {"inputs": [{"id": "x"}, {"id": "owl", "n": 1}]}
    again = with_element(changed, "inputs", {"id": "owl", "n": 2})
    assert value(again) == {"inputs": [{"id": "x"}, {"id": "owl", "n": 2}]}
    assert without_element(again, "inputs", "owl") == text
    assert without_element(text, "inputs", "owl") == text
    assert without_element(with_element('{"x": 1}', "inputs", {"id": "owl"}), "inputs", "owl") == '{"x": 1}'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("null", "line 1: the file should hold an object, not null"),
        ("[1]", "line 1: the file should hold an object, not an array"),
        ('{"servers": null}', 'line 1: "servers" should be an object, not null'),
        ('{\n"servers": []}', 'line 2: "servers" should be an object, not an array'),
        ('{"servers": {"owl": 1,\n"owl": 2}}', 'line 2: "owl" is there a second time, after line 1'),
        ('{"servers": {},\n\n"servers": {}}', 'line 3: "servers" is there a second time, after line 1'),
        ('{\n"a": 1\n"b": 2}', "line 3: a comma or } is missing before this"),
        ('{"a": 1,\n', "line 2: the { of line 1 is not closed"),
        ('{"a": [1\n', "line 2: the [ of line 1 is not closed"),
        ('{"a" 1}', "line 1: a colon is missing here"),
        ("{a: 1}", "line 1: a name in quotation marks is missing here"),
        ('{"a": tru}', "line 1: this is no JSON value"),
        ('{"a": NaN}', "line 1: this is no JSON value"),
        ('{"a": }', "line 1: this is no JSON value"),
        ('{"a":', "line 1: the end is missing"),
        ('{"a": "b\n"}', "line 1: this text has no closing quotation mark on its line"),
        ('{"a": "\\q"}', "line 1: this text has an escape that JSON does not know"),
        ("{}\n/* a", "line 2: this comment has no end"),
        ("{} {}", "line 1: something stands behind what should be the whole file's content"),
        ("[" * 300, "line 1: it is nested too deeply"),
    ],
)  # fmt: skip
def test_what_cannot_be_changed_says_where_and_why(text: str, why: str) -> None:
    with pytest.raises(BrokenFileError) as raised:
        with_member(text, "servers", "owl", ENTRY)
    assert str(raised.value) == why


# Any settings file: values of JSON, as people and programs write them.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["http://x//y", "/* no */", '"', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
NAMES = st.sampled_from(["servers", "owl", "x", "//", "é"])
SERVERS = st.dictionaries(NAMES.filter(lambda name: name != "owl"), JSON, min_size=1, max_size=3)
WHOLE = st.dictionaries(NAMES.filter(lambda name: name != "servers"), JSON, min_size=1, max_size=4)
COMMENTS = ["", "", "", " // why, {\n", "/* { \n*/", "\n//\n", "\t", "\n\n"]


@st.composite
def settings_files(draw: st.DrawFn) -> str:
    newline, unit = draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from([None, "  ", "\t"]))
    trailing = draw(st.booleans())

    def gap() -> str:
        return draw(st.sampled_from(COMMENTS)).replace("\n", newline)

    def written(held: Any, depth: int) -> str:
        if not isinstance(held, (dict, list)):
            return json.dumps(held, ensure_ascii=draw(st.booleans()))
        line = "" if unit is None else newline + unit * (depth + 1)
        end = "" if unit is None or not held else newline + unit * depth
        keyed = isinstance(held, dict)
        items = (
            [f"{json.dumps(key)}{gap()}:{gap()} {written(each, depth + 1)}" for key, each in held.items()]
            if isinstance(held, dict)
            else [written(each, depth + 1) for each in held]
        )
        inner = ",".join(f"{gap()}{line}{item}{gap()}" for item in items) + ("," if trailing and held else "")
        return f"{'{' if keyed else '['}{inner}{gap()}{end}{'}' if keyed else ']'}"

    whole = draw(WHOLE)
    if draw(st.booleans()):
        whole = whole | {"servers": draw(SERVERS)}
    return draw(st.sampled_from(["", "\ufeff"])) + gap() + written(whole, 0) + gap()


@given(settings_files())
def test_what_was_put_in_comes_out_again_and_nothing_else_has_changed(text: str) -> None:
    before = value(text)
    changed = with_member(text, "servers", "owl", ENTRY)
    assert value(changed) == before | {"servers": before.get("servers", {}) | {"owl": ENTRY}}
    assert without_member(changed, "servers", "owl") == text


# TOML, by lines.


TABLE = {"command": 'C:\\owl "x"', "args": ["a"], "env": {"A.b": "\x7f\n"}, "on": True, "seconds": 1.5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\ufeff",
        'model = "x" # mine\n',
        'model = "x"\r\n\r\n[a]\r\nb = 1\r\n\r\n',
        '[mcp_servers.z]\ncommand = "z"\n\n# next\n[projects."/a"]\ntrust = "t"\n',
        'mcp_servers.z.command = "z"\n',
        "[mcp_servers]\n",
    ],
)
def test_a_table_goes_behind_the_rest_and_leaves_as_it_came(text: str) -> None:
    changed = toml_text.with_table(text, "mcp_servers", "owl", TABLE)
    assert changed.startswith(text)
    assert ("\r\n" in text) == ("\r\n" in changed)
    assert toml_text.parsed(changed)["mcp_servers"]["owl"] == TABLE
    assert toml_text.with_table(changed, "mcp_servers", "owl", TABLE) == changed
    assert toml_text.without_table(changed, "mcp_servers", "owl") == text
    assert toml_text.without_table(text, "mcp_servers", "owl") == text


def test_a_table_among_others_is_replaced_and_removed_with_what_is_in_it() -> None:
    text = '[mcp_servers.owl]\ncommand = "x"\n[mcp_servers.owl.env]\nA = "b"\n\n# next\n[z]\n'
    assert toml_text.with_table(text, "mcp_servers", "owl", {"command": "y"}) == (
        '[mcp_servers.owl]\ncommand = "y"\n\n# next\n[z]\n'
    )
    assert toml_text.without_table(text, "mcp_servers", "owl") == "\n# next\n[z]\n"


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { z = { command = "z" } }\n',
        'mcp_servers.owl.command = "z"\n',
        '[mcp_servers.owl]\nx = [\n["a"]\n]\n',
        "[mcp_servers.owl]\n[a]\n[mcp_servers.owl.env]\n",
        "mcp_servers = 1\n",
        '[mcp_servers.owl]\nx = """\n[mcp_servers.owl]\n"""\n[a]\n[mcp_servers.owl.env]\n',
    ],
)  # fmt: skip
def test_toml_that_is_written_otherwise_is_left_to_a_person(text: str) -> None:
    with pytest.raises(ValueError, match=r"change it by hand|should be a table"):
        toml_text.with_table(text, "mcp_servers", "owl", TABLE)
