"""Fingerprints: what of a message counts and what does not, for any text and in linear time."""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from owlmetry_mcp.backends.store import events, scan
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.events import NewEvent
from owlmetry_mcp.issues.fingerprints import discriminator, fingerprint, normalised, request
from owlmetry_mcp.issues.parameters import BLANK
from tests.world import World, tried

UUID = "550e8400-e29b-41d4-a716-446655440000"
ANY_TEXT = st.text(st.characters(codec=None, categories=None))
PIECES = (
    UUID, UUID[:-1], "3.5", "1.", ".1", "12", "a1", "_1", "-", '"', "'", " ", "\t", "\n", "\xa0", "\ufeff", "x", "İ",
)  # fmt: skip
AWKWARD = st.lists(st.sampled_from(PIECES) | ANY_TEXT, max_size=12).map("".join)
STORABLE = AWKWARD.map(lambda text: re.sub("[\0\ud800-\udfff]", "", text)).filter(bool)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ""),
        ("Plain words", "plain words"),
        ("ÄÖÜ ß Straße", "äöü ß straße"),
        # UUIDs
        (f"in {UUID}.", "in <uuid>."),
        (f"in {UUID.upper()}", "in <uuid>"),
        ("in 550e8400-E29B-41d4-a716-446655440ABC", "in <uuid>"),
        (f"x{UUID}y", "x<uuid>y"),
        (f"{UUID}{UUID}", "<uuid><uuid>"),
        (UUID[:-1], "550e8400-e29b-41d4-a716-<n>"),
        (f"{UUID}0", "<uuid><n>"),
        (UUID.replace("-", ""), "550e8400e29b41d4a716446655440000"),
        ("g50e8400-e29b-41d4-a716-446655440000", "g50e8400-e29b-41d4-a716-<n>"),
        # numbers
        ("User 123 not found", "user <n> not found"),
        ("0", "<n>"),
        ("-5", "-<n>"),
        ("+5e3", "+5e3"),
        ("v1.2.3 of 1.2.3.4", "v1.<n> of <n>"),
        ("30s x1 1st 3.5s", "30s x1 1st <n>.5s"),
        ("a_1 1_000 1,000", "a_1 1_000 <n>,<n>"),
        ("host-12:8080/3", "host-<n>:<n>/<n>"),
        ("1. .1 1..2 1.", "<n>. .<n> <n>..<n> <n>."),
        ("é1 1é", "é<n> <n>é"),
        ("\u0663 \uff13 \xb2", "\u0663 \uff13 \xb2"),
        ("0x1F #404", "0x1f #<n>"),
        # quotes
        ('Field "name" missing', 'field "<s>" missing'),
        ("Field 'name' missing", "field '<s>' missing"),
        ('""', '"<s>"'),
        ("''", "'<s>'"),
        ('"a" "b"', '"<s>" "<s>"'),
        ('"a" "b', '"<s>" "b'),
        ('one " alone', 'one " alone'),
        ('"it\'s"', '"<s>"'),
        ("'say \"hi\"'", "'<s>'"),
        ("'a \"b' c\"", '\'a "<s>"'),
        ("can't and won't", "can'<s>'t"),
        ('"a\nb"', '"<s>"'),
        (f'"{UUID} 12"', '"<s>"'),
        ("`x` “y”", "`x` “y”"),
        # spacing
        ("  a \t\n\r\v\f b  ", "a b"),
        ("a\xa0b\u2003c\u3000d\u2028e", "a b c d e"),
        ("\ufeffa\ufeff\ufeffb", "a b"),
        ("a\x00b\x1cc\x85d\u200be", "a\x00b\x1cc\x85d\u200be"),
        (BLANK, ""),
    ],
)
def test_a_message_without_what_varies_in_it(message: str, expected: str) -> None:
    assert normalised(message) == expected


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "https://api.example.com/v1/users/123?x=1#y", "GET api.example.com/v1/users/<n>"),
        ("post", "HTTP://API.Example.COM/A", "POST api.example.com/A"),
        ("GET", "https://example.com", "GET example.com/"),
        ("GET", "https://example.com?x=1", "GET example.com/"),
        ("GET", "https://example.com/a/", "GET example.com/a/"),
        ("GET", "https://example.com//a//1", "GET example.com//a//<n>"),
        ("GET", "  https://example.com/a\n", "GET example.com/a"),
        ("GET", "https://example.com:443/", "GET example.com/"),
        ("GET", "http://example.com:443/", "GET example.com:443/"),
        ("GET", "http://example.com:80/", "GET example.com/"),
        ("GET", "https://example.com:8443/a", "GET example.com:8443/a"),
        ("GET", "https://example.com:/a", "GET example.com/a"),
        ("GET", "wss://example.com:443/a", "GET example.com/a"),
        ("GET", "https://user:secret@example.com/a", "GET example.com/a"),
        (
            "GET",
            f"https://example.com/{UUID}/{UUID.upper()}/x{UUID}",
            "GET example.com/<uuid>/<uuid>/<id>",
        ),
        ("GET", "https://example.com/00/1a/a1/12345678901234", "GET example.com/<n>/1a/a1/<n>"),
        ("GET", "https://example.com/abcdefghijk1/abcdefghij1", "GET example.com/<id>/abcdefghij1"),
        ("GET", "https://example.com/abcdefghijkl", "GET example.com/abcdefghijkl"),
        ("GET", "https://example.com/a%20b%31/%31%32", "GET example.com/a%20b%31/<n>"),
        ("GET", "https://example.com/auth0%7C5f7c8ec7c33c6c004bbafe82", "GET example.com/<id>"),
        ("GET", "https://example.com/%C3%A4%C3%A41", "GET example.com/%C3%A4%C3%A41"),
        ("GET", "https://example.com/%zz%", "GET example.com/%zz%"),
        ("GET", "https://example.com/٣", "GET example.com/٣"),
        ("GET", "https://example.com:0x50/", None),
        ("GET", "https://example.com:99999/", None),
        ("GET", "https://[::1", None),
        ("GET", "https://[nonsense]/", None),
        ("GET", "/v1/users/123", None),
        ("GET", "example.com/v1", None),
        ("GET", "//example.com/v1", None),
        ("GET", "https:///v1", None),
        ("GET", "mailto:jane@example.com", None),
        ("GET", "not a url", None),
        ("GET", "", None),
        ("GET", None, None),
        ("", "https://example.com/", None),
        (None, "https://example.com/", None),
    ],
)
def test_a_request_by_its_method_host_and_templated_path(method: str | None, url: str, expected: str | None) -> None:
    assert request(method, url) == expected


def test_an_address_for_a_host_is_kept_with_its_port() -> None:
    assert (request("GET", "http://[::1]:8080/7") or "").endswith(":8080/<n>")
    assert request("GET", "http://[::1]/7") != request("GET", "http://[::2]/7")


@pytest.mark.parametrize(
    ("message", "attributes", "expected"),
    [
        ("Bad value", {}, None),
        ("Bad value", {"_error_type": "TypeError"}, "TypeError"),
        ("Bad value", {"_error_type": ""}, None),
        ("Bad value", {"_http_method": "GET", "_http_url": "https://example.com/"}, None),
        ("sdk:network_request", {"_http_method": "GET", "_http_url": "https://example.com/"}, "GET example.com/"),
        ("sdk:network_request", {"_error_type": "TypeError"}, None),
        ("sdk:network_request ", {"_error_type": "TypeError"}, "TypeError"),
    ],
)
def test_what_splits_errors_of_the_same_wording(message: str, attributes: dict[str, str], expected: str | None) -> None:
    assert discriminator(message, attributes) == expected


@pytest.mark.parametrize(
    ("arguments", "digested"),
    [
        (("Boom 7", None, None), ":boom <n>"),
        (("Boom 7", "", ""), ":boom <n>"),
        (("Boom 7", "Cart 7", None), "Cart 7:boom <n>"),
        (("Boom", "A", "Type  Error 5"), "A:boom|type error <n>"),
        (("half \ud83e", None, None), ":half \ud83e"),
    ],
)
def test_a_fingerprint_is_the_digest_of_module_message_and_discriminator(
    arguments: tuple[str, str | None, str | None], digested: str
) -> None:
    assert fingerprint(*arguments) == hashlib.sha256(digested.encode("utf-8", "surrogatepass")).hexdigest()


ANY = settings(max_examples=300, deadline=None)


@ANY
@given(AWKWARD)
def test_any_text_is_normalised(text: str) -> None:
    found = normalised(text)
    assert not re.search(f"[{BLANK}]{{2}}|[{BLANK[0]}{BLANK[1]}\xa0\ufeff]|^ | $", found)
    assert normalised(text) == found
    assert normalised(f"  {text}\n") == found
    assert isinstance(normalised(found), str)


@ANY
@given(AWKWARD, st.integers(0), st.uuids())
def test_ids_and_numbers_make_no_difference_wherever_they_stand(text: str, number: int, identity: object) -> None:
    assert normalised(f"{text} {number} {identity} ") == normalised(f"{text} 1 {UUID} ")


@ANY
@given(AWKWARD | st.just("GET"), AWKWARD.map(lambda path: f"https://example.com/{path}") | AWKWARD, AWKWARD)
def test_any_request_is_told_or_passed_over(method: str, url: str, message: str) -> None:
    found = request(method, url)
    assert found is None or found.startswith(f"{method.upper()} ")
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(message, url, found))


ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "digits": lambda count: "1" * count + "a",
    "dotted digits": lambda count: "1." * count + "a",
    "dotted numbers, then a letter": lambda count: "1.1" * count + "a",
    "words of digits": lambda count: "1 a1 " * count,
    "hex and hyphens": lambda count: "abcdef12-" * count,
    "almost ids": lambda count: UUID[:-1] * count,
    "four hyphens": lambda count: "0" * count + "-" * 4 + "0" * count,
    "ids": lambda count: UUID * count,
    "quotes": lambda count: "\"'" * count,
    "one quote": lambda count: "'\"" + "x" * count,
    "odd quotes": lambda count: '"' * (2 * count + 1),
    "dots": lambda count: "." * count,
    "blanks": lambda count: " \t\n\xa0\ufeff" * count,
    "blanks apart": lambda count: " x" * count,
    "percents": lambda count: "https://example.com/" + "%31" * count,
    "slashes": lambda count: "https://example.com/" + "/1" * count,
    "brackets": lambda count: "https://" + "[" * count,
    "at signs": lambda count: "https://" + "a@" * count,
    "all of it": lambda count: f"{UUID} 1.2.3 \"x\" 'y' \t-%31/" * count,
}


@pytest.mark.parametrize("text", ADVERSARIAL.values(), ids=ADVERSARIAL)
def test_no_text_takes_more_than_linear_time(text: Callable[[int], str]) -> None:
    """Sixteen times the text is given four times the time that it should take; quadratic would be sixteen times."""
    small, large = text(2_000), text(32_000)
    allowed = 4 * 16
    for _ in range(5):  # a busy machine may spoil a measurement, not five
        base, grown = fastest(small), fastest(large)
        if grown < allowed * base:
            return
    pytest.fail(f"{len(large) / len(small):.0f} times the text took {grown / base:.0f} times as long")


def fastest(text: str) -> float:
    def once() -> float:
        begin = time.perf_counter()
        normalised(text)
        request("GET", text)
        return time.perf_counter() - begin

    return min(once() for _ in range(3))


def error(message: str, session: int, attributes: dict[str, str] | None) -> NewEvent:
    return NewEvent(
        None,
        f"{session:08x}-0000-4000-8000-000000000000",
        is_dev=False,
        level="error",
        timestamp=f"2026-10-21T11:{session:02}:00.000Z",
        content={"message": message},
        custom_attributes=attributes,
        attachments=(),
    )


def test_a_message_has_the_same_fingerprint_alone_and_among_many(quiet_world: World) -> None:
    """Each in a session of its own, scanned all at once, and in batches of any size."""

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(STORABLE, st.none() | STORABLE), min_size=1, max_size=12), st.data())
    def attempt(found: list[tuple[str, str | None]], data: st.DataObject) -> None:
        rows = [
            error(message, index, None if kind is None else {"_error_type": kind})
            for index, (message, kind) in enumerate(found)
        ]
        sizes = data.draw(st.lists(st.integers(1, len(rows)), min_size=len(rows), max_size=len(rows)))

        def fingerprints(tx: Transaction, batches: Sequence[int]) -> list[tuple[str, str]]:
            events.take_in(tx, 1, None, rows)
            for size in batches:
                scan.scan_batch(tx, size)
            return tx.all("SELECT f.fingerprint, i.title FROM fingerprints f JOIN issues i ON i.key = f.issue")

        titles: dict[str, str] = {}
        for message, kind in found:
            titles.setdefault(fingerprint(message, None, kind), message)
        for batches in ([len(rows)], sizes):
            kept = tried(quiet_world.store, partial(fingerprints, batches=batches))
            assert sorted(kept) == sorted(titles.items())

    attempt()


def test_attributes_are_read_as_they_were_sent(quiet_world: World) -> None:
    """They pass through JSON, in the store's file and out of it."""
    kind = 'Äa"\\/\u2028\x1f\U0001f989'
    row = error("x", 1, {"_error_type": kind, "other": "y"})

    def fingerprints(tx: Transaction) -> list[str]:
        events.take_in(tx, 1, None, [row])
        scan.scan_batch(tx)
        return [found for (found,) in tx.all("SELECT fingerprint FROM fingerprints")]

    assert tried(quiet_world.store, fingerprints) == [fingerprint("x", None, kind)]
