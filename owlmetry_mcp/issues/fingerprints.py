"""What makes two errors the same: a digest of where they were raised and what they say, without what varies in it.

Source of the rules: the facts about Owlmetry's issue scan, and what a running server made of real events. Everything
here is a plain function of one event, takes linear time and takes any text.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from owlmetry_mcp.issues.parameters import BLANK, UUID

NETWORK_REQUEST = "sdk:network_request"
"""The message of the events that an SDK reports failed requests with."""

_UUID_HYPHENS = 4
_NUMBER = re.compile(r"\b[0-9]+(?:\.[0-9]+)*\b", re.ASCII)
_DOUBLE_QUOTED = re.compile('"[^"]*"')
_SINGLE_QUOTED = re.compile("'[^']*'")
_BLANKS = re.compile(f"[{BLANK}]+")

_SHORTEST_ID = 12
_DIGIT = re.compile("[0-9]")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}


def fingerprint(message: str, source_module: str | None, discriminator: str | None) -> str:
    """SHA-256, hex."""
    text = f"{source_module or ''}:{normalised(message)}"
    if discriminator:
        text = f"{text}|{normalised(discriminator)}"
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def normalised(text: str) -> str:
    """The text without what varies from one time to the next: ids, numbers, quotations, case and spacing."""
    if text.count("-") >= _UUID_HYPHENS:
        text = UUID.sub("<UUID>", text)
    text = _NUMBER.sub("<N>", text)
    if '"' in text:
        text = _DOUBLE_QUOTED.sub('"<S>"', text)
    if "'" in text:
        text = _SINGLE_QUOTED.sub("'<S>'", text)
    text = text.lower()
    if "  " in text or not text.isprintable():  # of blanks, only the space is printable
        text = _BLANKS.sub(" ", text)
    return text.strip(" ")


def discriminator(message: str, attributes: Mapping[str, str]) -> str | None:
    """What splits errors of the same wording: the request that failed, or the error's type."""
    if message == NETWORK_REQUEST:
        return request(attributes.get("_http_method"), attributes.get("_http_url"))
    return attributes.get("_error_type") or None


def request(method: str | None, url: str | None) -> str | None:
    """A request as `METHOD host/path`, the path's ids as what they are; None where there is no such request."""
    if not method or not url:
        return None
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not parts.scheme or not host:
        return None
    shown_port = "" if port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{port}"
    path = "/".join(map(_templated, (parts.path or "/").split("/")))
    return f"{method.upper()} {host}{shown_port}{path}"


def _templated(segment: str) -> str:
    decoded = unquote(segment)
    if UUID.fullmatch(decoded):
        return "<uuid>"
    if decoded.isascii() and decoded.isdigit():
        return "<n>"
    if len(decoded) >= _SHORTEST_ID and _DIGIT.search(decoded):
        return "<id>"
    return segment
