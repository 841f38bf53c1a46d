"""The live server: whether it can be reached, safely, by this key, and whether its clock is ours."""

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import anyio

from owlmetry_mcp.backends.live import Timeouts, Wire
from owlmetry_mcp.backends.live.looking import Look, Skew, look
from owlmetry_mcp.doctor import keys
from owlmetry_mcp.doctor.case import Case
from owlmetry_mcp.doctor.configuration import are_wrong_for
from owlmetry_mcp.doctor.findings import Finding
from owlmetry_mcp.issues.errors import OwlmetryError, UnauthenticatedError
from owlmetry_mcp.settings import crosses_network_in_clear

_LONGEST_SECONDS = 10.0
_SOON = timedelta(days=14)
_MUCH_SECONDS = 60.0
_NEW_CERTIFICATE = "Have whoever runs the server renew its certificate."
_UNTRUSTED = (
    "If it is your own, or your own authority's, have this machine's system trust it; else have whoever runs the server"
    " renew it, or name the server as it does."
)


def server(case: Case) -> Iterator[Finding]:
    if case.loaded.settings.backend != "live":
        return
    key = case.loaded.settings.api_key
    if key is None or are_wrong_for(case, "live"):
        yield Finding("server.reachable", "note", "not asked, as the settings are wrong", "Correct them first.")
        return
    yield from told(case, key, anyio.run(_asked, case, key))


def told(case: Case, key: str, seen: Look) -> Iterator[Finding]:
    """What a look at the server means."""
    yield from _reached(case.loaded.settings.endpoint, seen)
    yield from _transport(case, seen)
    if seen.skew is not None:
        yield _clock(seen.skew)
    yield from keys.kind(key)
    if not isinstance(seen.answer, OwlmetryError) or isinstance(seen.answer, UnauthenticatedError):
        yield from keys.standing(seen.answer, case.clock)


async def _asked(case: Case, key: str) -> Look:
    settings = case.loaded.settings
    longest = _LONGEST_SECONDS
    timeouts = Timeouts(min(settings.connect_timeout, longest), min(settings.read_timeout, longest), longest)
    wire = Wire(settings.endpoint, key, timeouts)
    try:
        return await look(wire, case.clock)
    finally:
        await wire.aclose()


def _reached(endpoint: str, seen: Look) -> Iterator[Finding]:
    if seen.untrusted is not None:
        what = f"{endpoint} was not asked anything, as its certificate is not trusted"
        yield Finding("server.reachable", "broken", what, "See its certificate.")
    elif isinstance(seen.answer, OwlmetryError) and not isinstance(seen.answer, UnauthenticatedError):
        yield Finding("server.reachable", "broken", seen.answer.message, seen.answer.hint)
    elif seen.took_seconds is not None:
        yield Finding("server.reachable", "ok", f"{endpoint} answered in {seen.took_seconds * 1000:,.0f} ms")


def _transport(case: Case, seen: Look) -> Iterator[Finding]:
    endpoint = case.loaded.settings.endpoint
    if seen.untrusted is not None:
        yield Finding("server.tls", "broken", f"the certificate is not trusted: {seen.untrusted}", _UNTRUSTED)
    elif crosses_network_in_clear(endpoint):
        what = "what is sent is not encrypted, and whoever listens on the way reads the key"
        yield Finding("server.tls", "warning", what, "Use an https address in OWLMETRY_ENDPOINT.")
    elif urlsplit(endpoint).scheme == "http":
        yield Finding("server.tls", "ok", "not encrypted, and does not leave this machine")
    elif seen.certificate_ends is not None:
        left = seen.certificate_ends - case.clock()
        what = f"the certificate is trusted, for {left.days:,} more days"
        if left < _SOON:
            yield Finding("server.tls", "warning", what, _NEW_CERTIFICATE)
        else:
            yield Finding("server.tls", "ok", what)
    elif seen.took_seconds is not None:
        yield Finding("server.tls", "ok", "the certificate is trusted")


def _clock(skew: Skew) -> Finding:
    ahead = "ahead of" if skew.seconds > 0 else "behind"
    what = f"the server's is {abs(skew.seconds):,.1f} s {ahead} ours, give or take {skew.uncertain_seconds:.1f} s"
    if abs(skew.seconds) - skew.uncertain_seconds < _MUCH_SECONDS:
        return Finding("server.clock", "ok", what)
    remedy = "Set the clocks by NTP: keys expire, and events are taken in or refused, by the server's."
    return Finding("server.clock", "warning", what, remedy)
