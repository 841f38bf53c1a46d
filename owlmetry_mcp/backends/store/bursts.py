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
    bursts = []
    for (_, _, session), found in sessions.items():
        around = _around(tx, found) if session in divided else []
        if around or len(found) > 1:
            taken = {error.key for error in found}
            cut = _cut([*found, *around])
            bursts += [burst for burst in cut if any(error.key in taken for error in burst.errors)]
        else:
            bursts.append(Burst(found[0].timestamp, found))
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


def _cut(errors: list[Error]) -> list[Burst]:
    """A session's errors, in bursts."""
    errors.sort(key=_place)
    bursts: list[Burst] = []
    until = _FIRST_INSTANT
    for error in errors:
        if not bursts or datetime.fromisoformat(error.timestamp) > until:
            begun_at = error.burst_begun_at or error.timestamp
            until = min(datetime.fromisoformat(begun_at), _LAST_INSTANT - LENGTH) + LENGTH
            bursts.append(Burst(begun_at, []))
        bursts[-1].errors.append(error)
    return bursts


def _around(tx: Transaction, found: Sequence[Error]) -> list[Error]:
    """What other errors a session has around these, as far as they may be of the same bursts."""
    known = {error.key for error in found}
    around: dict[int, Error] = {}
    for near in _near(found):
        first, last = (datetime.fromisoformat(error.timestamp) for error in (near[0], near[-1]))
        parameters = {
            "session": near[0].session,
            "app": near[0].app,
            "is_dev": near[0].is_dev,
            "earliest": times.to_text(max(first, _FIRST_INSTANT + LENGTH) - LENGTH),
            "first": near[0].timestamp,
            "latest": times.to_text(min(last, _LAST_INSTANT - LENGTH) + LENGTH),
        }
        for condition, order in (("timestamp < :first", "DESC"), ("timestamp >= :first", "ASC")):
            # First so many events, whatever they are, then the errors among them: so it takes no longer than that.
            sql = f"""
                SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM unscanned WHERE event = e.key), e.burst_begun_at
                FROM (
                    SELECT * FROM events
                    WHERE session = :session AND timestamp BETWEEN :earliest AND :latest AND {condition}
                    ORDER BY timestamp {order}, key {order} LIMIT {MAX_LOOKED_AROUND + len(near):d}
                ) e
                WHERE e.app = :app AND e.is_dev = :is_dev AND e.level = 'error'
            """  # noqa: S608 - names from above
            around |= {error.key: error for error in _errors(tx.run(sql, parameters)) if error.key not in known}
    return [*around.values()]


def _near(found: Sequence[Error]) -> Iterator[list[Error]]:
    """A session's errors in groups that lie no further apart than errors of one burst do."""
    group: list[Error] = []
    for error in sorted(found, key=_place):
        if group:
            pause = datetime.fromisoformat(error.timestamp) - datetime.fromisoformat(group[-1].timestamp)
            if pause > LENGTH:
                yield group
                group = []
        group.append(error)
    yield group
