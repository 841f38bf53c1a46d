"""Whatever comes in on standard input is answered or passed over, and the server goes on."""

import json
import sqlite3
from io import BytesIO
from typing import Any

import pytest

from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.server import stdio
from tests.stdio import ERAS, HANDSHAKE, RawClient, line, raw_client
from tests.world import SYMBOLS, World

TIMEOUT = {"issue_id": SYMBOLS["i_timeout"], "project_id": SYMBOLS["shop"]}
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
CONNECTION_CLOSED, UNSUPPORTED_PROTOCOL_VERSION = -32000, -32022
Answers = list[tuple[object, object]]


def deep(inner: bytes, levels: int = 100_000) -> bytes:
    return b"[" * levels + inner + b"]" * levels


def kept(world: World, pattern: str) -> list[str]:
    """The bodies of comments like it, each of which the audit trail has as well."""
    with Store(world.store.path) as store:
        rows = store.read(
            lambda tx: tx.all(
                """
                SELECT body, (SELECT count(*) FROM audit WHERE action = 'comment.add' AND subject_id = comments.id)
                FROM comments WHERE body LIKE ? ORDER BY key
                """,
                (pattern,),
            )
        )
    assert {entries for _, entries in rows} <= {1}
    return [body for body, _ in rows]


def told(answers: list[dict[str, Any]]) -> Answers:
    """The answers' ids, with the error's code, or else how the call went."""
    return [
        (answer["id"], answer["error"]["code"])
        if "error" in answer
        else (answer["id"], "refused" if answer["result"].get("isError") else "answered")
        for answer in answers
    ]


NO_MESSAGES: dict[str, tuple[bytes, Answers]] = {
    "a word": (b"nonsense", [(None, PARSE_ERROR)]),
    "nothing": (b"", []),
    "blanks": (b" \t \r", []),
    "a number": (b"5", [(None, INVALID_REQUEST)]),
    "no UTF-8": (b"\xff\xfe\x80", [(None, PARSE_ERROR)]),
    "no UTF-8 in a string": (b'{"jsonrpc": "2.0", "id": 1, "method": "pi\xffng"}', [(None, PARSE_ERROR)]),
    "bytes of zero": (b"\0" * 1000, [(None, PARSE_ERROR)]),
    "a zero in a string": (b'{"jsonrpc": "2.0", "id": 1, "method": "pi\0ng"}', [(None, PARSE_ERROR)]),
    "half of a surrogate pair": (b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "ping"}', [(None, PARSE_ERROR)]),
    "a message cut short": (b'{"jsonrpc": "2.0", "id": 1, "meth', [(None, PARSE_ERROR)]),
    "two on a line": (b'{"jsonrpc": "2.0", "id": 1, "method": "a"}' * 2, [(None, PARSE_ERROR)]),
    "a byte order mark": (b"\xef\xbb\xbf{}", [(None, PARSE_ERROR)]),
    "nesting": (deep(b""), [(None, PARSE_ERROR)]),
    "nesting that is not closed": (b'{"a":' * 100_000, [(None, PARSE_ERROR)]),
    "nesting in params": (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"x": ' + deep(b"1") + b"}}",
        [(None, PARSE_ERROR)],
    ),
    "an id longer than any number": (
        b'{"jsonrpc": "2.0", "id": ' + b"9" * 5_000 + b', "method": "ping"}',
        [(None, PARSE_ERROR)],
    ),
    "no version": (b'{"id": 2, "method": "ping"}', [(2, INVALID_REQUEST)]),
    "another version": (b'{"jsonrpc": "1.0", "id": "two", "method": "ping"}', [("two", INVALID_REQUEST)]),
    "no method": (line(id=3), [(3, INVALID_REQUEST)]),
    "a method that is no text": (line(id=4, method=5), [(4, INVALID_REQUEST)]),
    "params in a list": (line(id=5, method="ping", params=[1]), [(5, INVALID_REQUEST)]),
    "an empty object": (b"{}", [(None, INVALID_REQUEST)]),
    **{
        f"an id that is {request_id!r}": (line(id=request_id, method="tools/list"), [(None, INVALID_REQUEST)])
        for request_id in (None, 1.5, True, {"a": 1}, [1])
    },
    "a call without an id": (
        line(method="tools/call", params={"name": "comment", "arguments": TIMEOUT | {"body": "Unasked."}}),
        [(None, INVALID_REQUEST)],
    ),
    "a batch": (b"[" + line(id=6, method="ping").strip() + b"]", [(None, INVALID_REQUEST)]),
    "an empty batch": (b"[]", [(None, INVALID_REQUEST)]),
    "an answer to nothing asked": (line(id=7, result={}), []),
    "an answer of another form": (line(id=7, result=5), []),
    "an error of no one's": (line(id=None, error={"code": 1, "message": "x"}), []),
    "an unknown notification": (line(method="notifications/nonsense", params={"a": 1}), []),
    "a cancellation of nothing": (line(method="notifications/cancelled", params={"requestId": 4242}), []),
    "a cancellation of no id": (line(method="notifications/cancelled", params={"requestId": {}}), []),
    "a cancellation without params": (line(method="notifications/cancelled"), []),
    "progress of nothing": (line(method="notifications/progress", params={"progressToken": [], "progress": "x"}), []),
}
"""Lines, without their ends, and what is answered to them, in either era."""


@pytest.mark.parametrize("era", ERAS)
def test_what_is_no_message_is_answered_and_the_server_goes_on(world: World, era: str) -> None:
    with raw_client(world.store.path, era) as client:
        got = {name: told(client.asked(content.rstrip(b"\n") + b"\n")) for name, (content, _) in NO_MESSAGES.items()}
    assert got == {name: answers for name, (_, answers) in NO_MESSAGES.items()}
    assert kept(world, "Unasked.") == []


def test_the_answer_says_what_is_wrong(world: World) -> None:
    with raw_client(world.store.path, "envelope") as client:
        answers = client.asked(b"nonsense\n", b"\xff\n", b"[]\n", b"{}\n", b"x" * 5_000_000 + b"\n")
    assert [answer["error"]["message"] for answer in answers] == [
        "This is no JSON: expected ident at line 1 column 2. Each line is one message.",
        "This is no UTF-8. Each line is one message in it.",
        "Batches are not taken. Send each message as a line of its own.",
        'A request has "jsonrpc": "2.0", an id (text or a whole number), a method, and params, if any, in an object.',
        "The message is longer than 4194304 characters. Nothing of it was read; send less at once.",
    ]


def requests(client: RawClient) -> dict[str, tuple[bytes, Answers]]:
    """Well-formed requests that cannot be served as they are, and what is answered to them."""
    request, call = client.request, client.call
    return {
        "an unknown method": (request(1, "no/such"), [(1, METHOD_NOT_FOUND)]),
        "a method with a zero in it": (request(2, "tools/list\0"), [(2, METHOD_NOT_FOUND)]),
        "an unknown tool": (call(3, "../../etc/passwd"), [(3, "refused")]),
        "a call of nothing": (request(4, "tools/call"), [(4, INVALID_PARAMS)]),
        "a tool that is no text": (request(5, "tools/call", name=5, arguments={}), [(5, INVALID_PARAMS)]),
        "arguments in a list": (request(6, "tools/call", name="whoami", arguments=[1]), [(6, INVALID_PARAMS)]),
        "nested arguments": (call(7, "whoami", x=json.loads(deep(b"1", 150))), [(7, "refused")]),
        "a number that is none": (call(8, "list_issues", limit=float("nan")), [(8, "refused")]),
        "a number without end": (call(9, "list_issues", limit=float("inf")), [(9, "refused")]),
        "a name of a megabyte": (call(10, "x" * 1_000_000), [(10, "refused")]),
        "ten thousand arguments": (call(11, "whoami", **{f"a{n}": n for n in range(10_000)}), [(11, "refused")]),
        "an id of text": (call("12", "whoami"), [("12", "answered")]),
        "an id of no text": (call("", "whoami"), [("", "answered")]),
        "a negative id": (call(-13, "whoami"), [(-13, "answered")]),
        "an id of 4,000 digits": (call(10**4_000, "whoami"), [(10**4_000, "answered")]),
        "one id twice": (call(14, "whoami") + call(14, "list_projects"), [(14, "answered")] * 2),
        "one id as text and as a number": (
            call(15, "whoami") + call("15", "whoami"),
            [(15, "answered"), ("15", "answered")],
        ),
        "a carriage return at the end": (call(16, "whoami").replace(b"\n", b"\r\n"), [(16, "answered")]),
        "an unknown prompt": (request(17, "prompts/get", name="\0"), [(17, INVALID_PARAMS)]),
        "a resource that is none": (request(18, "resources/read", uri="\0"), [(18, INVALID_PARAMS)]),
        "a completion of nothing": (request(19, "completion/complete", ref={}), [(19, INVALID_PARAMS)]),
    }


@pytest.mark.parametrize("era", ERAS)
def test_a_request_that_cannot_be_served_is_refused_under_its_id(world: World, era: str) -> None:
    with raw_client(world.store.path, era) as client:
        expected = requests(client)
        got = {name: told(client.asked(content, answers=len(answers))) for name, (content, answers) in expected.items()}
    assert {name: sorted(answers, key=str) for name, answers in got.items()} == {
        name: sorted(answers, key=str) for name, (_, answers) in expected.items()
    }


def test_one_eras_request_in_the_others_connection_is_refused(world: World) -> None:
    with raw_client(world.store.path, "handshake") as client:
        modern = RawClient(client.process, "envelope")
        assert told(client.asked(modern.call(1, "whoami"), answers=1)) == [(1, INVALID_REQUEST)]
    with raw_client(world.store.path, "envelope") as client:
        client.asked()
        asked = line(id=1, method="initialize", params=HANDSHAKE)
        assert told(client.asked(asked, answers=1)) == [(1, UNSUPPORTED_PROTOCOL_VERSION)]


def test_a_line_without_end_is_not_kept_and_is_refused_at_its_end(world: World) -> None:
    megabyte = b"x" * 1_000_000
    with raw_client(world.store.path, "envelope") as client:
        client.asked()
        before = client.resident_kb()
        for _ in range(60):
            client.write(megabyte)
        assert client.resident_kb() - before < 40_000
        assert told(client.asked(b"\n")) == [(None, INVALID_REQUEST)]
        whole = client.call(1, "comment", **TIMEOUT, body="x" * 25_000_000)
        assert told(client.asked(whole)) == [(None, INVALID_REQUEST)]


@pytest.mark.parametrize("era", ERAS)
def test_a_thousand_calls_are_each_answered_once_though_no_answer_is_waited_for(world: World, era: str) -> None:
    reads: list[tuple[str, dict[str, str]]] = [("whoami", {}), ("list_comments", TIMEOUT), ("list_projects", {})]

    def call(number: int) -> bytes:
        if number % 10 == 0:
            return client.call(number, "comment", **TIMEOUT, body=f"Pipelined {number}")
        tool, arguments = reads[number % 3]
        return client.call(number, tool, **arguments)

    with raw_client(world.store.path, era) as client:
        client.asked()
        before = client.resident_kb()
        client.send(*map(call, range(1_000)))
        answers = told([client.answer() for _ in range(1_000)])
        assert client.resident_kb() - before < 100_000
        assert client.asked() == []
    assert sorted(answers, key=str) == sorted(((number, "answered") for number in range(1_000)), key=str)
    assert sorted(kept(world, "Pipelined %")) == sorted(f"Pipelined {number}" for number in range(0, 1_000, 10))


def cancelled(request_id: object) -> bytes:
    return line(method="notifications/cancelled", params={"requestId": request_id, "reason": "no longer needed"})


def test_cancelled_before_or_after_a_call_is_answered_as_ever(world: World) -> None:
    with raw_client(world.store.path, "handshake") as client:
        call = client.call(1, "comment", **TIMEOUT, body="Cancelled before")
        assert told(client.asked(cancelled(1), call, answers=1)) == [(1, "answered")]
        assert client.asked(cancelled(1), cancelled(1)) == []
    assert kept(world, "Cancelled %") == ["Cancelled before"]


@pytest.mark.parametrize("era", ERAS)
def test_cancelled_in_flight_a_write_is_whole_or_absent_and_not_answered(world: World, era: str) -> None:
    """The store is locked, so that they are all under way: the first at the file, the others behind it."""
    with sqlite3.connect(world.store.path, isolation_level=None) as other, raw_client(world.store.path, era) as client:
        client.asked()
        other.execute("BEGIN IMMEDIATE")
        for number in range(5):
            assert client.asked(client.call(number, "comment", **TIMEOUT, body=f"In flight {number}")) == []
        assert client.asked(*map(cancelled, range(5))) == []
        other.execute("ROLLBACK")
        after = client.call("after", "comment", **TIMEOUT, body="In flight no more")
        client.send(after)
        assert told(client.answers_until("after")) == [("after", "answered")]
    other.close()
    assert kept(world, "In flight %") == ["In flight 0", "In flight no more"]


def test_calls_cancelled_at_once_are_answered_or_not_and_nothing_is_half_done(world: World) -> None:
    with raw_client(world.store.path, "envelope") as client:
        calls = [
            client.call(number, "comment", **TIMEOUT, body=f"Raced {number}") + cancelled(number)
            for number in range(40)
        ]
        answers = told(client.asked(*calls))
    assert {outcome for _, outcome in answers} <= {"answered"}
    assert {f"Raced {number}" for number, _ in answers} <= {*kept(world, "Raced %")}


def test_its_input_closed_in_the_midst_it_answers_no_call_twice_and_loses_nothing_it_acknowledged(
    world: World,
) -> None:
    with raw_client(world.store.path, "envelope") as client:
        client.write(*(client.call(number, "comment", **TIMEOUT, body=f"Closing {number}") for number in range(100)))
        client.write(b'{"jsonrpc": "2.0", "id": 100, "method": "tools/ca')
        answers = told(client.rest())
    outcomes = dict(answers)
    assert len(outcomes) == len(answers)
    assert outcomes.pop(None) == PARSE_ERROR
    assert outcomes.keys() <= {*range(100)}
    assert {*outcomes.values()} <= {"answered", CONNECTION_CLOSED}
    acknowledged = {f"Closing {number}" for number, outcome in outcomes.items() if outcome == "answered"}
    assert acknowledged <= {*kept(world, "Closing %")}


def test_a_message_is_bounded_to_the_character_and_the_next_is_read_whole() -> None:
    longest = "é" * stdio.MAX_LINE_LENGTH
    lines = stdio._Lines(BytesIO(f"{longest}\n{longest}x\n{longest}{longest}\nnext\n".encode()), encoding="utf-8")  # noqa: SLF001 - to send as much to a process takes long
    assert [lines.readline() for _ in range(5)] == [f"{longest}\n", stdio._TOO_LONG, stdio._TOO_LONG, "next\n", ""]  # noqa: SLF001
