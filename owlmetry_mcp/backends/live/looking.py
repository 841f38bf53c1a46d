"""A look at a server for whoever asks what state it is in: one request, and all that it tells."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx2

from owlmetry_mcp.backends.live.faults import FaultError
from owlmetry_mcp.backends.live.identity import identity_of
from owlmetry_mcp.backends.live.wire import Wire, answer_of
from owlmetry_mcp.issues.errors import OwlmetryError
from owlmetry_mcp.issues.models import Identity

_HALF_A_SECOND = timedelta(seconds=0.5)
"""The header's clock shows whole seconds."""


class Skew(NamedTuple):
    """How far the server's clock is ahead of ours, and how far that may be wrong."""

    seconds: float
    uncertain_seconds: float


@dataclass(frozen=True, slots=True)
class Look:
    answer: Identity | OwlmetryError
    """Whom the key is of, or why that is not known."""
    took_seconds: float | None = None
    """To the answer's end; None where none came."""
    untrusted: str | None = None
    """Why the server's certificate is not trusted."""
    certificate_ends: datetime | None = None
    """None without TLS, and where it cannot be told."""
    skew: Skew | None = None
    """None where the server names no time."""


async def look(wire: Wire, clock: Callable[[], datetime]) -> Look:
    asked_at = clock()
    try:
        response, content = await wire.exchange("GET", "/v1/auth/whoami", deadline=wire.deadline())
    except FaultError as fault:
        return Look(wire.unavailable(fault), untrusted=_untrusted(fault))
    answered_at = clock()
    return Look(
        _answer(wire, response, content),
        (answered_at - asked_at).total_seconds(),
        certificate_ends=_certificate_ends(response),
        skew=_skew(response, asked_at, answered_at),
    )


def _answer(wire: Wire, response: httpx2.Response, content: bytes) -> Identity | OwlmetryError:
    try:
        return identity_of(answer_of(response, content))
    except FaultError as fault:
        return wire.unavailable(fault)
    except OwlmetryError as error:
        return error


def _untrusted(fault: BaseException) -> str | None:
    """What TLS found wrong with the certificate, if that is what a request failed of."""
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None


def _certificate_ends(response: httpx2.Response) -> datetime | None:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream else None
    certificate = tls.getpeercert() if tls else None
    ends = certificate.get("notAfter") if certificate else None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC) if isinstance(ends, str) else None


def _skew(response: httpx2.Response, asked_at: datetime, answered_at: datetime) -> Skew | None:
    """The server read its clock at some time between the question and the answer."""
    try:
        date = parsedate_to_datetime(response.headers["date"])
        theirs = date.replace(tzinfo=date.tzinfo or UTC) + _HALF_A_SECOND
        half_the_way = (answered_at - asked_at) / 2
        ahead = theirs - (asked_at + half_the_way)
    except (KeyError, ValueError, OverflowError):
        return None
    return Skew(ahead.total_seconds(), (half_the_way + _HALF_A_SECOND).total_seconds())
