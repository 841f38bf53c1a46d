"""Python's text logs as events: headers, tracebacks, modules, sessions, ids."""

import io
import itertools
import logging
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from owlmetry_mcp.sources.found import Found
from owlmetry_mcp.sources.lines import PAUSE
from owlmetry_mcp.sources.python_logging import read

AT = "2026-11-23T07:51:11.123Z"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"

CHECKOUT = """
def pay(order):
    charge(order)

def charge(order):
    raise ValueError("no card\\nfor this order")
"""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def found_in(text: str | bytes) -> list[Found]:
    raw = text.encode() if isinstance(text, str) else text
    return list(read(enumerate(raw.splitlines(keepends=True), 1)))


def events_in(text: str | bytes) -> list[dict[str, Any]]:
    found = found_in(text)
    assert not [each for each in found if each.event is None]
    return [each.event for each in found if each.event is not None]


def event_in(text: str) -> dict[str, Any]:
    """The one event of a text, without its ids, which are checked to be some."""
    (event,) = events_in(text)
    uuid.UUID(event.pop("session_id"))
    uuid.UUID(event.pop("client_event_id"))
    return event


def module(path: str, source: str) -> dict[str, Any]:
    """The names of a module whose tracebacks say that it is that file."""
    names: dict[str, Any] = {"__name__": "shop"}
    exec(compile(source, path, "exec"), names)  # noqa: S102 - ours, from above
    return names


def logged(failing: Callable[[], object], form: str = FORMAT, **options: Any) -> str:
    """What a handler writes of a failure, by logging's own formatter, at a fixed time."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter(form))
    logger = logging.Logger("shop.api")  # noqa: LOG001 - one that nothing else sees
    logger.addHandler(handler)
    logger.addFilter(at_the_time)
    try:
        failing()
    except BaseException:
        logger.error("Order %s failed", 17, exc_info=True, **options)  # noqa: G201 - options may say so, too
    return stream.getvalue()


def at_the_time(record: logging.LogRecord) -> bool:
    record.created, record.msecs = 1795420271.123, 123
    return True


@pytest.mark.parametrize(
    ("line", "level", "source_module", "timestamp"),
    [
        ("2026-11-23 07:51:11,123 ERROR shop.checkout: Payment failed", "error", "shop.checkout", AT),
        ("2026-11-23 07:51:11,123 - shop.checkout - ERROR - Payment failed", "error", "shop.checkout", AT),
        ("2026-11-23 07:51:11,123 [ERROR] shop.checkout: Payment failed", "error", "shop.checkout", AT),
        ("2026-11-23 07:51:11,123 [WARNING ] shop: Payment failed", "warn", "shop", AT),
        ("2026-11-23 07:51:11,123 DEBUG Payment failed", "debug", None, AT),
        ("2026-11-23 07:51:11,123,ERROR,shop,Payment failed", "error", "shop", AT),
        ("2026-11-23 07:51:11,123,shop,WARN,Payment failed", "warn", "shop", AT),
        ("2026-11-23 07:51:11,123:CRITICAL:shop:Payment failed", "error", "shop", AT),
        ("2026-11-23 07:51:11,123 | INFO     | shop.checkout:pay:42 - Payment failed", "info", "shop.checkout", AT),
        ("2026-11-23 07:51:11,123 - shop - MainThread - FATAL - Payment failed", "error", "shop", AT),
        ("2026-11-23 07:51:11,123 [MainThread] ERROR shop - Payment failed", "error", "shop", AT),
        ("2026-11-23 07:51:11,123 web-1 shop.checkout[77] ERROR Payment failed", "error", "shop.checkout", AT),
        ("2026-11-23 07:51:11,123 INFO [shop.checkout] Payment failed", "info", "shop.checkout", AT),
        ("[2026-11-23 07:51:11,123] ERROR in app: Payment failed", "error", "app", AT),
        ("[2026-11-23 07:51:11,123: ERROR/MainProcess] Payment failed", "error", None, AT),
        ("ERROR 2026-11-23 07:51:11,123 views 77 140 Payment failed", "error", "views", AT),
        ("[2026-11-23 07:51:11 +0000] [77] [ERROR] Payment failed", "error", None, "2026-11-23T07:51:11.000Z"),
        ("2026-11-23T09:51:11.123456+02:00 ERROR shop: Payment failed", "error", "shop", AT),
        ("2026-11-23T07:51:11.123Z ERROR shop: Payment failed", "error", "shop", AT),
        ("2026/11/23 07:51:11.123 ERROR shop: Payment failed", "error", "shop", AT),
        ("2026-11-23 07:51:11,123 [error    ] Payment failed", "error", None, AT),
        ("2026-11-23 07:51:11,123 Payment failed", "info", None, AT),
        ("[2026-11-23 07:51:11,123] -- Payment failed", "info", None, AT),
        ("\x1b[32m2026-11-23 07:51:11,123\x1b[0m \x1b[31mERROR\x1b[0m shop: Payment failed", "error", "shop", AT),
        ("2026-13-23 07:51:11,123 ERROR shop: Payment failed", "error", "shop", None),
        ("07:51:11 ERROR shop: Payment failed", "error", "shop", None),
        ("ERROR:shop.checkout:Payment failed", "error", "shop.checkout", None),
        ("INFO:     Payment failed", "info", None, None),
        ("[ERROR] shop: Payment failed", "error", "shop", None),
        ("EXCEPTION - Payment failed", "error", None, None),
    ],
)
def test_a_record_is_known_by_its_header(
    line: str, level: str, source_module: str | None, timestamp: str | None
) -> None:
    known = {"source_module": source_module, "timestamp": timestamp}
    expected = {"message": "Payment failed", "level": level}
    assert event_in(line) == expected | {name: value for name, value in known.items() if value}


@pytest.mark.parametrize("word", ["ValueError", "UserWarning", "https"])
def test_a_word_that_begins_a_message_is_no_logger(word: str) -> None:
    assert event_in(f"2026-11-23 07:51:11,123 ERROR {word}://x is gone")["message"] == f"{word}://x is gone"
    if word != "https":
        assert event_in(f"2026-11-23 07:51:11,123 ERROR {word}: gone") == {
            "message": f"{word}: gone",
            "level": "error",
            "timestamp": AT,
        }


def test_lines_without_a_header_belong_to_the_record_before() -> None:
    text = (
        "2026-11-23 07:51:11,123 INFO shop: Cart:\n  2 apples\n\nERRORS: none\n"
        "07:51 still the same\n2026-11-23 07:51:11,123 INFO shop:\n"
    )
    first, second = found_in(text)
    assert (first.line, second.line) == (1, 6)
    assert first.event
    assert first.event["message"] == "Cart:\n  2 apples\n\nERRORS: none\n07:51 still the same"
    assert second.event
    assert (second.event["message"], second.event["source_module"]) == ("(no message)", "shop")
    assert event_in("INFO:shop:\nCart:\n 2 apples\n\n")["message"] == "Cart:\n 2 apples"


def test_a_record_is_over_when_nothing_has_come_for_a_while() -> None:
    found = read(iter([(1, b"ERROR:shop:Payment failed"), PAUSE, (2, b"INFO:shop:Next")]))
    first = next(found)
    assert first.event
    assert (first.line, first.event["message"]) == (1, "Payment failed")
    assert [after.line for after in found] == [2]


def test_a_time_without_an_offset_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    text = "2026-07-01 12:00:00,000 INFO a: b\n2026-12-01 12:00:00,000 INFO a: b\n2026-12-01 12:00:00Z INFO a: b\n"
    assert [event["timestamp"] for event in events_in(text)] == [
        "2026-07-01T10:00:00.000Z",
        "2026-12-01T11:00:00.000Z",
        "2026-12-01T12:00:00.000Z",
    ]


def test_a_records_exception_is_its_message() -> None:
    text = logged(lambda: module("/app/shop/checkout.py", CHECKOUT)["pay"](17))
    header, _, stack = text.partition("\n")
    assert header == "2026-11-23 07:51:11,123 ERROR shop.api: Order 17 failed"
    assert event_in(text) == {
        "message": "no card\nfor this order",
        "level": "error",
        "timestamp": AT,
        "source_module": "shop.checkout",
        "custom_attributes": {
            "_error_type": "ValueError",
            "_error_stack": stack.rstrip("\n"),
            "log_message": "Order 17 failed",
            "logger": "shop.api",
        },
    }


def test_the_stack_that_a_record_asks_for_is_not_its_message() -> None:
    event = event_in(logged(lambda: module("/app/shop/checkout.py", CHECKOUT)["pay"](17), stack_info=True))
    assert event["message"] == "no card\nfor this order"
    assert event["source_module"] == "shop.checkout"
    alone = 'ERROR:shop:Slow\nStack (most recent call last):\n  File "/app/a.py", line 1, in f\n    g()\n'
    assert event_in(alone) == {
        "message": "Slow",
        "level": "error",
        "source_module": "shop",
        "custom_attributes": {"_error_stack": alone.partition("\n")[2].rstrip()},
    }


def error_of(event: dict[str, Any]) -> tuple[str, str | None, str | None]:
    return event["message"], event["custom_attributes"].get("_error_type"), event.get("source_module")


CHAINED = """
def during():
    try:
        {}["sku"]
    except KeyError:
        raise LookupError("no such article")

def cause():
    try:
        during()
    except LookupError as error:
        raise RuntimeError from error

def groups():
    try:
        raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
    except ExceptionGroup:
        try:
            during()
        except LookupError as error:
            inner = ExceptionGroup("inner", [error])
    raise ExceptionGroup("outer", [inner])

def several():
    raise ExceptionGroup("several", [ExceptionGroup("one", [KeyError(1)]), TypeError("two")])

def after_a_group():
    try:
        several()
    except ExceptionGroup:
        raise OSError("after")

def unraised():
    raise ExceptionGroup("outer", [TypeError("never raised")])

def noted():
    error = ValueError("bad")
    error.add_note("while paying")
    raise error

def syntax():
    compile("1 +", "/app/shop/plugin.py", "exec")

def endless():
    endless()

def local():
    class Oops(Exception): pass
    raise Oops("ouch")
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("during", ("no such article", "LookupError", "shop.orders")),
        ("cause", ("RuntimeError", "RuntimeError", "shop.orders")),
        ("groups", ("no such article", "LookupError", "shop.orders")),
        ("several", ("several (2 sub-exceptions)", "ExceptionGroup", "shop.orders")),
        ("after_a_group", ("after", "OSError", "shop.orders")),
        ("unraised", ("never raised", "TypeError", "shop.orders")),
        ("noted", ("bad\nwhile paying", "ValueError", "shop.orders")),
        ("endless", ("maximum recursion depth exceeded", "RecursionError", "shop.orders")),
        ("local", ("ouch", "shop.local.<locals>.Oops", "shop.orders")),
    ],
)
def test_the_last_exception_of_a_chain_counts(name: str, expected: tuple[str, str, str]) -> None:
    text = logged(module("/srv/shop/orders.py", CHAINED)[name])
    assert error_of(event_in(text)) == expected
    assert event_in(text)["custom_attributes"]["log_message"] == "Order 17 failed"


def test_a_syntax_error_is_where_the_code_was_loaded() -> None:
    message, kind, source = error_of(event_in(logged(module("/srv/shop/orders.py", CHAINED)["syntax"])))
    assert message.startswith("invalid syntax")
    assert (kind, source) == ("SyntaxError", "shop.orders")


def test_a_traceback_logged_as_text_is_one() -> None:
    for name in ("noted", "several"):
        try:
            module("/srv/shop/orders.py", CHAINED)[name]()
        except Exception:  # noqa: BLE001 - logged below
            event = event_in(f"2026-11-23 07:51:11,123 ERROR shop: Failed: {traceback.format_exc()}")
        assert error_of(event)[1:] == ({"noted": "ValueError", "several": "ExceptionGroup"}[name], "shop.orders")
        assert event["custom_attributes"]["log_message"] == "Failed:"
        assert event["custom_attributes"]["logger"] == "shop"


def test_a_worker_processes_traceback_is_the_cause_of_ours() -> None:
    text = '''\
concurrent.futures.process._RemoteTraceback:
"""
Traceback (most recent call last):
  File "/usr/lib/python3.11/concurrent/futures/process.py", line 256, in _process_worker
    r = call_item.fn(*call_item.args, **call_item.kwargs)
  File "/app/shop/prices.py", line 3, in price
    1 / 0
ZeroDivisionError: division by zero
"""

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/shop/main.py", line 9, in <module>
    pool.submit(price).result()
  File "/usr/lib/python3.11/concurrent/futures/_base.py", line 456, in result
    return self.__get_result()
ZeroDivisionError: division by zero
'''
    event = event_in(text)
    assert error_of(event) == ("division by zero", "ZeroDivisionError", "shop.main")
    assert event["custom_attributes"]["_error_stack"] == text.rstrip()


def test_a_traceback_without_a_record_is_an_error() -> None:
    trace = """\
Traceback (most recent call last):
  File "/app/shop/main.py", line 3, in <module>
    main()
shop.errors.Unpaid: order 17
"""
    attributes = {"_error_type": "shop.errors.Unpaid", "_error_stack": trace.rstrip()}
    expected = {
        "message": "order 17",
        "level": "error",
        "source_module": "shop.main",
        "custom_attributes": attributes,
    }
    assert event_in(trace) == expected
    thread = "Exception in thread Thread-1 (work):"
    in_thread = expected | {"custom_attributes": attributes | {"log_message": thread}}
    assert event_in(f"{thread}\n{trace}") == in_thread

    found = found_in(f"{trace}{trace.replace('17', '18')}ERROR:shop:x\n{trace}{thread}\n{trace}{trace}")
    assert [each.line for each in found] == [1, 5, 9, 14, 19]
    messages = [each.event and each.event["message"] for each in found]
    assert messages == ["order 17", "order 18", "order 17", "order 17", "order 17"]


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "NOTICE", ""])
def test_a_traceback_after_an_info_or_debug_record_is_an_error_at_its_time(level: str) -> None:
    record = f"2026-11-23 07:51:11,123 {level and level + ' shop: '}Serving\n  on port 80"
    trace = trace_through("/app/shop/main.py").rstrip()
    plain, crash = found_in(f"{record}\n{trace}\n\nprinted")
    assert plain.event
    assert plain.event == events_in(record)[0]
    assert crash.event
    assert crash.line == 3
    assert crash.event == {
        "message": "x\n\nprinted",
        "level": "error",
        "client_event_id": crash.event["client_event_id"],
        "session_id": plain.event["session_id"],
        "timestamp": AT,
        "source_module": "shop.main",
        "custom_attributes": {"_error_type": "ValueError", "_error_stack": f"{trace}\n\nprinted"},
    }


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_a_traceback_after_a_warning_or_an_error_is_the_records(level: str) -> None:
    event = event_in(f"2026-11-23 07:51:11,123 {level} shop: Failed\n{trace_through('/app/shop/main.py')}")
    assert (event["level"], event["timestamp"]) == ({"WARNING": "warn", "ERROR": "error"}[level], AT)
    assert event["custom_attributes"].items() >= {"log_message": "Failed", "logger": "shop"}.items()


@pytest.mark.parametrize("header", ["INFO:shop:", "DEBUG:shop:Failed: ", "2026-11-23 07:51:11,123 "])
def test_a_traceback_that_begins_on_an_info_records_own_line_is_the_records(header: str) -> None:
    trace = trace_through("/app/shop/main.py")
    (event,) = events_in(header + trace)
    assert (event["message"], event["level"]) == ("x", "debug" if "DEBUG" in header else "info")
    assert event["custom_attributes"]["_error_stack"] == trace.rstrip()
    assert [each["level"] for each in events_in(header + trace + trace)] == [event["level"], "error"]


def test_only_the_first_traceback_after_a_record_is_at_its_time() -> None:
    record = "2026-11-23 07:51:11,123 INFO shop: Slow\n"
    trace = trace_through("/app/shop/main.py")
    again = "\nDuring handling of the above exception, another exception occurred:\n\n"
    times = [event.get("timestamp") for event in events_in(f"{record}{trace}{again}{trace}{trace}")]
    assert times == [AT, AT, None]
    stack = 'Stack (most recent call last):\n  File "/app/a.py", line 1, in f\n'
    assert [event.get("timestamp") for event in events_in(record + stack + trace)] == [AT, AT]
    without_a_date = [event.get("timestamp") for event in events_in("07:51:11 INFO shop: Slow\n" + trace)]
    assert without_a_date == [None, None]


def test_a_traceback_that_was_cut_off_is_an_error_all_the_same() -> None:
    trace = 'Traceback (most recent call last):\n  File "/app/shop/main.py", line 3, in <module>\n'
    assert event_in(f"ERROR:shop:Failed\n{trace}") == {
        "message": "Failed",
        "level": "error",
        "source_module": "shop.main",
        "custom_attributes": {"_error_stack": trace.rstrip(), "log_message": "Failed", "logger": "shop"},
    }
    assert event_in(trace)["message"] == "(no message)"


def test_text_before_the_first_record_is_told_once() -> None:
    fault = (
        "no log record begins here, so the text up to the first one is passed over; "
        "a record begins with a time or a level, such as 2026-11-23 07:51:11,123 ERROR shop.checkout: Payment failed"
    )
    first, second = found_in("\n  at the end\nof a record\nINFO:shop:x\nmore\n")
    assert first == Found(2, None, fault)
    assert second.event
    assert (second.line, second.event["message"]) == (4, "x\nmore")
    assert found_in("a,b\n1,2\n") == [Found(1, None, fault)]
    assert found_in("\n\n") == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/home/ann/work/src/shop/checkout.py", "shop.checkout"),
        ("/app/shop/checkout.py", "shop.checkout"),
        ("/app/src/shop/checkout.py", "shop.checkout"),
        ("/usr/src/app/shop/checkout.py", "shop.checkout"),
        ("/usr/src/app/src/shop/checkout.py", "shop.checkout"),
        ("/app/shop/__init__.py", "shop"),
        ("/app/shop/__main__.py", "shop.__main__"),
        ("/app/main.py", "main"),
        ("/var/task/handler.py", "handler"),
        ("/home/ann/shop/api/checkout.py", "api.checkout"),
        ("shop/api/checkout.py", "shop.api.checkout"),
        ("./checkout.py", "checkout"),
        (r"C:\Users\ann\src\shop\checkout.py", "shop.checkout"),
        (r"C:\work\shop\checkout.py", "shop.checkout"),
        ("/home/ann/python3-course/checkout.py", "python3-course.checkout"),
        ("<stdin>", "<stdin>"),
        ("<string>", "<string>"),
    ],
)
def test_the_source_module_is_told_from_the_path(path: str, expected: str) -> None:
    assert (
        event_in(trace_through("/app/outer.py", path, "/usr/lib/python3.11/json/decoder.py"))["source_module"]
        == expected
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/app/.venv/lib/python3.12/site-packages/requests/adapters.py", "requests.adapters"),
        ("/usr/lib/python3/dist-packages/requests/adapters.py", "requests.adapters"),
        ("/root/.pyenv/versions/3.11.7/lib/python3.11/asyncio/runners.py", "asyncio.runners"),
        ("/usr/local/lib64/python3.13t/json/__init__.py", "json"),
        (r"C:\Python311\Lib\asyncio\runners.py", "asyncio.runners"),
        (r"C:\Users\ann\anaconda3\lib\asyncio\runners.py", "asyncio.runners"),
        (r"C:\shop\venv\Lib\site-packages\requests\adapters.py", "requests.adapters"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("/app/.venv/bin/gunicorn", ".venv.bin.gunicorn"),
    ],
)
def test_a_librarys_frame_counts_only_where_there_is_no_other(path: str, expected: str) -> None:
    assert event_in(trace_through("/app/shop/checkout.py", path))["source_module"] == "shop.checkout"
    assert event_in(trace_through("/usr/lib/python3.11/runpy.py", path))["source_module"] == expected


def trace_through(*paths: str) -> str:
    frames = "".join(f'  File "{path}", line 1, in f\n    g()\n    ^^^\n' for path in paths)
    return f"Traceback (most recent call last):\n{frames}ValueError: x\n"


def sessions_of(text: str) -> list[str]:
    return [event["session_id"] for event in events_in(text)]


def test_a_session_ends_with_an_error() -> None:
    lines = [
        "2026-11-23 07:51:11,001 INFO shop: start",
        "2026-11-23 07:51:11,002 WARNING shop: slow",
        "2026-11-23 07:51:11,003 ERROR shop: one",
        "2026-11-23 07:51:11,004 CRITICAL shop: two",
        "2026-11-23 07:51:11,005 INFO shop: again",
        "2026-11-23 07:51:11,006 ERROR shop: three",
        "2026-11-23 07:51:11,007 INFO shop: end",
    ]
    sessions = sessions_of("\n".join(lines))
    assert [sessions.index(session) for session in sessions] == [0, 0, 0, 3, 4, 4, 6]
    assert sessions_of("\n".join(lines[:-3])) == sessions[:-3]
    assert sessions_of("\n".join(lines[4:])) == sessions[4:]


def test_errors_after_the_same_words_share_no_session() -> None:
    text = "".join(f"INFO:shop:Job begins\nERROR:shop:{word}\n" for word in ("one", "two", "one", "three"))
    sessions = sessions_of(text)
    assert [sessions.index(session) for session in sessions] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert len(set(sessions_of("ERROR:shop:one\n" * 3))) == 1


def ids_of(text: str | bytes) -> list[str]:
    return [event["client_event_id"] for event in events_in(text)]


def test_a_record_keeps_its_id_wherever_it_is_read() -> None:
    lines = logged(lambda: module("/app/shop/checkout.py", CHECKOUT)["pay"](17)) + "\n\nINFO:shop:x"
    before = "2026-11-23 07:51:10,000 INFO shop: before\n"
    ids = ids_of(lines)
    assert len(set(ids)) == 2
    assert ids_of(before + lines + "\n" + before)[1:-1] == ids
    assert ids_of(lines.replace("\n", "\r\n")) == ids
    assert ids_of(b"\xef\xbb\xbf" + lines.encode()) == ids
    assert ids_of(lines.replace("17", "18")) != ids


def test_the_same_crash_at_two_times_is_two_events(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = trace_through("/app/shop/main.py")
    record = "2026-11-23 07:51:11,123 INFO shop: Serving\n"
    crash = ids_of(record + trace)[1]
    assert ids_of(record.replace("Serving", "Still serving") + trace + record)[1] == crash
    assert ids_of(record.replace("51", "52") + trace)[1] != crash
    assert ids_of(record + trace.replace("x", "y"))[1] != crash
    assert ids_of(trace)[0] == ids_of(f"INFO:shop:Serving\n{trace}")[1] != crash
    assert ids_of("07:51:11 INFO a\n" + trace)[1] != ids_of("07:52:11 INFO a\n" + trace)[1]
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    assert ids_of(record + trace)[1] == crash


def test_a_long_tracebacks_end_and_beginning_are_kept() -> None:
    frames = "".join(f'  File "/app/shop/a.py", line {number}, in f\n    f()\n' for number in range(5000))
    text = f"ERROR:shop:x\nTraceback (most recent call last):\n{frames}ValueError: {'y' * 50_000}\n"
    event = event_in(text)
    stack = event["custom_attributes"]["_error_stack"]
    assert event["message"] == "y" * 1999 + "…"
    assert 13_000 < len(stack) <= 16_000
    assert stack.startswith('Traceback (most recent call last):\n  File "/app/shop/a.py", line 0, in f')
    assert stack.endswith("    f()\nValueError: " + "y" * 1987 + "…")
    assert "\n…\n" in stack


def test_a_long_message_is_cut() -> None:
    assert event_in("ERROR:shop:" + "x" * 2000)["message"] == "x" * 2000
    assert event_in("ERROR:shop:" + "x\n" * 90_000)["message"] == "x\n" * 999 + "x…"
    assert event_in("ERROR:shop:\n\n" + "x\n" * 1001)["message"] == "x\n" * 999 + "x…"
    assert event_in("ERROR:shop:" + "x" * 90_000 + "\n" + "y" * 90_000)["message"] == "x" * 1999 + "…"


def test_an_endless_log_is_read_as_it_comes() -> None:
    lines = ((number, b"INFO:shop:%d\n" % number) for number in itertools.count(1))
    taken = list(itertools.islice(read(lines), 3))
    assert [each.event and each.event["message"] for each in taken] == ["1", "2", "3"]


@pytest.mark.parametrize("raw", [b"ERROR:shop:a\0b\xffc", b"ERROR:a\xed\xa0\x80:x\0", b"ERROR:\0shop: x"])
def test_what_cannot_be_stored_is_replaced(raw: bytes) -> None:
    (event,) = events_in(raw)
    assert not {"\0", "\ud800"} & set(str(event))
    assert "\ufffd" in event["message"] + event.get("source_module", "")


PIECES = st.sampled_from(
    [
        b"2026-11-23 07:51:11,123 ",
        b"[2026-11-23T07:51:11Z] ",
        b"9999-12-31 23:59:59-23:59 ",
        b"0001-01-01 00:00:00 ",
        b"ERROR",
        b"[error]",
        "[\u0130nfo]".encode(),
        b"INFO:shop:x",
        b"2026-11-23 07:51:11,123 DEBUG shop: x\nTraceback (most recent call last):\n",
        b": ",
        b" - ",
        b"Traceback (most recent call last):",
        b"  + Exception Group Traceback (most recent call last):",
        b'  File "/app/a.py", line 1, in f',
        b"  | ",
        b"  +-+---------------- 1 ----------------",
        b"    | ",
        b"ValueError: x (1 sub-exception)",
        b"During handling of the above exception, another exception occurred:",
        b"Stack (most recent call last):",
        b"x.RemoteTraceback:",
        b"Exception in thread T:",
    ]
)
LINE = st.lists(PIECES | st.binary(max_size=20), max_size=4).map(b"".join)
LOG = st.lists(LINE, max_size=30).map(b"\n".join)


@settings(deadline=None)
@given(LOG)
def test_whatever_is_read_gives_events_within_their_limits(log: bytes) -> None:
    found = found_in(log)
    assert found == found_in(log)
    assert [each.line for each in found] == sorted({each.line for each in found})
    for each in found:
        assert (each.event is None) == bool(each.fault)
        if each.event:
            check(each.event)


def check(event: dict[str, Any]) -> None:
    texts = {**event, **event.get("custom_attributes", {})}
    texts.pop("custom_attributes", None)
    assert len(texts.pop("_error_stack", "")) <= 16_000
    assert all(isinstance(text, str) and 1 <= len(text) <= 2000 for text in texts.values())
    assert texts["level"] in ("info", "debug", "warn", "error")
    assert {str(uuid.UUID(texts[name])) for name in ("session_id", "client_event_id")}
    str(event).encode()
    assert "\0" not in "".join([*texts.values()])


@settings(deadline=None)
@given(LOG)
def test_a_log_read_twice_over_has_the_same_events(log: bytes) -> None:
    # A header keeps the first reading's last record from running into the second's stray lines.
    log = b"INFO:shop:begin\n" + log + b"\n"
    assert set(ids_of(log)) == set(ids_of(log + log))


@settings(deadline=None)
@given(LOG)
def test_no_two_errors_share_a_session(log: bytes) -> None:
    errors = [each.event for each in found_in(log) if each.event and each.event["level"] == "error"]
    pairs = {(event["session_id"], event["client_event_id"]) for event in errors}
    assert len({session for session, _ in pairs}) == len(pairs)
