"""Errors as the issue scan sees them, and the bursts they come in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic_core import from_json

from owlmetry_mcp.backends.store.transactions import Transaction, chunks, listed
from owlmetry_mcp.issues import fingerprints, times

LENGTH = timedelta(seconds=5)
"""From a burst's first error to the last that is of it."""
MAX_LOOKED_AROUND = 1_000
"""Events of a session that are looked at on either side of new errors, to see which bursts those are of."""

_FIRST_INSTANT, _LAST_INSTANT = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
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
    burst_begun_at: str | None
    """If it was scanned, and came after the first of its burst."""

    @property
    def message(self) -> str:
        return self.content["message"]


def _errors(rows: Iterable[Sequence[Any]]) -> Iterator[Error]:
    for key, event_id, app, is_dev, session, timestamp, text, attributes, is_new, begun_at in rows:
        content = from_json(text, cache_strings="keys")
        message = content["message"]
        discriminator = None if attributes is None else _discriminator(message, attributes)
        fingerprint = fingerprints.fingerprint(message, content.get("source_module"), discriminator)
        yield Error(
            key, event_id, app, is_dev, session, timestamp, content, discriminator, fingerprint, is_new, begun_at
        )


def _discriminator(message: str, attributes: str) -> str | None:
    values = zip(_ATTRIBUTES, from_json(attributes), strict=True)
    return fingerprints.discriminator(message, {name: value for name, value in values if value is not None})


class Burst(NamedTuple):
    begun_at: str
    errors: list[Error]
    """In the order they happened; at least one of them is new."""


def unscanned(tx: Transaction, limit: int) -> list[Error]:
    """The errors that have waited longest, in the order they came."""
    sql = f"""
        SELECT {_COLUMNS}, 1, NULL FROM unscanned u CROSS JOIN events e ON e.key = u.event
        ORDER BY u.event LIMIT {limit:d}
    """  # noqa: S608 - names from above
    return [*_errors(tx.run(sql))]


def issue_of_event(tx: Transaction, key: int) -> int | None:
    """The key of the issue that an error is of, by its fingerprint."""
    error = next(_errors(tx.run(f"SELECT {_COLUMNS}, 0, NULL FROM events e WHERE e.key = ?", (key,))))  # noqa: S608 - names from above
    row: tuple[int] | None = tx.one(
        "SELECT issue FROM fingerprints WHERE app = ? AND is_dev = ? AND fingerprint = ?",
        (error.app, error.is_dev, error.fingerprint),
    )
    return None if row is None else row[0]


def of(tx: Transaction, errors: Sequence[Error]) -> list[Burst]:
    """The bursts that these errors are of, the oldest unscanned ones, by when they began.

    It makes no difference where in a session one scan ends and the next begins: in a burst are also those errors that
    were scanned before, and those that are yet to be.
    """
    sessions: defaultdict[tuple[int, int, int], list[Error]] = defaultdict(list)
    for error in errors:
        sessions[error.app, error.is_dev, error.session].append(error)
    divided = _divided(tx, errors[-1].key, {session for _, _, session in sessions})
    windows = [window for place, found in sessions.items() if place[2] in divided for window in _windows(found)]
    around: defaultdict[tuple[int, int, int], list[Error]] = defaultdict(list)
    for window in _crowded(tx, windows):
        first = window.errors[0]
        around[first.app, first.is_dev, first.session] += _around(tx, window)
    bursts = []
    for place, found in sessions.items():
        if len(found) == 1 and place not in around:
            bursts.append(Burst(found[0].timestamp, found))
            continue
        known = {error.key for error in found}
        cut = _cut({error.key: error for error in (*around.get(place, ()), *found)}.values())
        bursts += [burst for burst in cut if any(error.key in known for error in burst.errors)]
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
    return burst.begun_at, burst.errors[0].key


def _cut(errors: Iterable[Error]) -> list[Burst]:
    """A session's errors, in bursts."""
    bursts: list[Burst] = []
    until = _FIRST_INSTANT
    for error in sorted(errors, key=_place):
        if not bursts or datetime.fromisoformat(error.timestamp) > until:
            begun_at = error.burst_begun_at or error.timestamp
            until = min(datetime.fromisoformat(begun_at), _LAST_INSTANT - LENGTH) + LENGTH
            bursts.append(Burst(begun_at, []))
        bursts[-1].errors.append(error)
    return bursts


class _Window(NamedTuple):
    """Errors of a session, and when else of it those happened that may be of the same bursts."""

    earliest: str
    latest: str
    errors: list[Error]


def _windows(found: Sequence[Error]) -> Iterator[_Window]:
    """A session's errors in groups that lie further apart than errors of one burst do."""
    group: list[Error] = []
    for error in sorted(found, key=_place):
        if group:
            pause = datetime.fromisoformat(error.timestamp) - datetime.fromisoformat(group[-1].timestamp)
            if pause > LENGTH:
                yield _window(group)
                group = []
        group.append(error)
    yield _window(group)


def _window(errors: list[Error]) -> _Window:
    first, last = (datetime.fromisoformat(error.timestamp) for error in (errors[0], errors[-1]))
    earliest = times.to_text(max(first, _FIRST_INSTANT + LENGTH) - LENGTH)
    return _Window(earliest, times.to_text(min(last, _LAST_INSTANT - LENGTH) + LENGTH), errors)


def _crowded(tx: Transaction, windows: Sequence[_Window]) -> Iterator[_Window]:
    """The windows in which there is more than the errors that they are of. Of most there is not."""
    for chunk in chunks(windows):
        most = max(len(window.errors) for window in chunk)
        sql = f"""
            WITH near (number, session, earliest, latest, known)
                AS (VALUES {", ".join(["(?, ?, ?, ?, ?)"] * len(chunk))})
            SELECT number FROM near
            WHERE known < (
                SELECT count(*) FROM (
                    SELECT 1 FROM events
                    WHERE session = near.session AND timestamp BETWEEN near.earliest AND near.latest
                    LIMIT {most + 1:d}
                )
            )
        """  # noqa: S608 - as many parameters as there are, and a number
        parameters = [
            value
            for number, (earliest, latest, errors) in enumerate(chunk)
            for value in (number, errors[0].session, earliest, latest, len(errors))
        ]
        yield from (chunk[number] for (number,) in tx.all(sql, parameters))


def _around(tx: Transaction, window: _Window) -> list[Error]:
    """What errors there are in a window, as far as there is not too much in it."""
    first = window.errors[0]
    parameters = {
        "session": first.session,
        "app": first.app,
        "is_dev": first.is_dev,
        "earliest": window.earliest,
        "first": first.timestamp,
        "latest": window.latest,
    }
    around: list[Error] = []
    for condition, order in (("timestamp < :first", "DESC"), ("timestamp >= :first", "ASC")):
        # First so many events, whatever they are, then the errors among them: so it takes no longer than that.
        sql = f"""
            SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM unscanned WHERE event = e.key), e.burst_begun_at
            FROM (
                SELECT * FROM events
                WHERE session = :session AND timestamp BETWEEN :earliest AND :latest AND {condition}
                ORDER BY timestamp {order}, key {order} LIMIT {MAX_LOOKED_AROUND + len(window.errors):d}
            ) e
            WHERE e.app = :app AND e.is_dev = :is_dev AND e.level = 'error'
        """  # noqa: S608 - names from above
        around += _errors(tx.run(sql, parameters))
    return around
