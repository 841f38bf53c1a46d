"""Errors as the issue scan sees them, and the bursts they come in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pydantic_core import from_json

from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues import fingerprints

LENGTH = timedelta(seconds=5)
"""From a burst's first error to the last that is of it."""
MAX_LOOKED_AROUND = 1_000
"""Errors of a session that are looked at on either side of new ones, to see which burst those are of."""

_COLUMNS = """
    e.key, e.id, e.app, e.is_dev, e.session, e.timestamp, e.content,
    CASE WHEN e.custom_attributes IS NOT NULL
        THEN json_extract(e.custom_attributes, '$._http_method', '$._http_url', '$._error_type') END
"""
_ATTRIBUTES = ("_http_method", "_http_url", "_error_type")


class Error(NamedTuple):
    """An error event; what is not of use to the scan is left out."""

    key: int
    event_id: bytes
    app: int
    is_dev: int
    session: int
    timestamp: str
    content: Mapping[str, str]
    discriminator: str | None
    fingerprint: str
    is_new: int
    """Yet to be scanned."""

    @property
    def message(self) -> str:
        return self.content["message"]


def _errors(rows: Iterable[Sequence[Any]]) -> Iterator[Error]:
    for key, event_id, app, is_dev, session, timestamp, text, attributes, is_new in rows:
        content = from_json(text)
        message = content["message"]
        discriminator = None if attributes is None else _discriminator(message, attributes)
        fingerprint = fingerprints.fingerprint(message, content.get("source_module"), discriminator)
        yield Error(key, event_id, app, is_dev, session, timestamp, content, discriminator, fingerprint, is_new)


def _discriminator(message: str, attributes: str) -> str | None:
    values = zip(_ATTRIBUTES, from_json(attributes), strict=True)
    return fingerprints.discriminator(message, {name: value for name, value in values if value is not None})


Burst = list[Error]
"""In the order they happened; at least one of them is new."""


def unscanned(tx: Transaction, limit: int) -> list[Error]:
    """The errors that have waited longest, in the order they came."""
    rows = tx.run(
        f"SELECT {_COLUMNS}, 1 FROM unscanned u CROSS JOIN events e ON e.key = u.event ORDER BY u.event LIMIT {limit:d}"  # noqa: S608 - names from above
    )
    return [*_errors(rows)]


def issue_of_event(tx: Transaction, key: int) -> int | None:
    """The key of the issue that an error is of, by its fingerprint."""
    error = next(_errors(tx.run(f"SELECT {_COLUMNS}, 0 FROM events e WHERE e.key = ?", (key,))))  # noqa: S608 - names from above
    row: tuple[int] | None = tx.one(
        "SELECT issue FROM fingerprints WHERE app = ? AND is_dev = ? AND fingerprint = ?",
        (error.app, error.is_dev, error.fingerprint),
    )
    return None if row is None else row[0]


def of(tx: Transaction, errors: Sequence[Error]) -> list[Burst]:
    """The bursts that these errors are of, the oldest unscanned ones, by when they began.

    In a burst are all errors of it that there are, so that it makes no difference where in a session one scan ends and
    the next begins: those that were scanned before, and those that are yet to be.
    """
    sessions: defaultdict[tuple[int, int, int], list[Error]] = defaultdict(list)
    for error in errors:
        sessions[error.app, error.is_dev, error.session].append(error)
    divided = _divided(tx, errors[-1].key, {session for _, _, session in sessions})
    bursts = []
    for (_, _, session), found in sessions.items():
        around = _around(tx, found) if session in divided else []
        bursts += _cut([*found, *around]) if around or len(found) > 1 else [found]
    bursts.sort(key=_begin)
    return bursts


def _divided(tx: Transaction, last: int, sessions: set[int]) -> set[int]:
    """The sessions that may have more errors than those up to an event: scanned ones before, unscanned ones behind."""
    # A session in which an error has been scanned has an occurrence. So those with higher keys are new.
    (last_seen,) = tx.one("SELECT coalesce(max(session), 0) FROM occurrences")
    divided = {session for session in sessions if session <= last_seen}
    if tx.one("SELECT EXISTS (SELECT 1 FROM unscanned WHERE event > ?)", (last,))[0]:
        for chunk in chunks(sessions - divided):
            sql = f"SELECT DISTINCT session FROM events WHERE session IN ({listed(chunk)}) AND key > ?"  # noqa: S608 - keys of ours
            divided.update(session for (session,) in tx.run(sql, (last,)))
    return divided


def _place(error: Error) -> tuple[str, int]:
    return error.timestamp, error.key


def _begin(burst: Burst) -> tuple[str, int]:
    return burst[0].timestamp, burst[0].key


def _cut(errors: list[Error]) -> list[Burst]:
    """A session's errors, in bursts; those that hold nothing new are left out."""
    errors.sort(key=_place)
    bursts: list[Burst] = []
    begun = None
    for error in errors:
        at = datetime.fromisoformat(error.timestamp)
        if begun is None or at - begun > LENGTH:
            begun = at
            bursts.append([])
        bursts[-1].append(error)
    return [burst for burst in bursts if any(error.is_new for error in burst)]


def _around(tx: Transaction, found: Sequence[Error]) -> list[Error]:
    """What other errors a session has, from the last pause before these to the first behind them."""
    of_session = f"""
        SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM unscanned WHERE event = e.key) FROM events e
        WHERE e.session = :session AND e.app = :app AND e.is_dev = :is_dev AND e.level = 'error'
    """  # noqa: S608 - names from above
    known = {error.key for error in found}
    first, last = min(error.timestamp for error in found), max(error.timestamp for error in found)
    parameters = {"session": found[0].session, "app": found[0].app, "is_dev": found[0].is_dev, "first": first}
    around = []
    before = f"{of_session} AND e.timestamp < :first ORDER BY e.timestamp DESC, e.key DESC LIMIT {MAX_LOOKED_AROUND}"
    at = datetime.fromisoformat(first)
    for error in _errors(tx.run(before, parameters)):
        earlier = datetime.fromisoformat(error.timestamp)
        if at - earlier > LENGTH:
            break
        around.append(error)
        at = earlier
    behind = f"{of_session} AND e.timestamp >= :first ORDER BY e.timestamp, e.key LIMIT {MAX_LOOKED_AROUND}"
    at = datetime.fromisoformat(last)
    for error in _errors(tx.run(behind, parameters)):
        later = datetime.fromisoformat(error.timestamp)
        if later - at > LENGTH:
            break
        at = max(at, later)
        if error.key not in known:
            around.append(error)
    return around
