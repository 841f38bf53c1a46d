"""Error events to measure with, the same every time: as `POST /v1/ingest` takes them, one a line."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID

Event = dict[str, str]

_SEED = 7
_BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
_APART = timedelta(seconds=6)
"""More than a burst's five seconds, so that every event stands for itself; up to a second is added."""
_MESSAGES = (
    '{thing} e{kind} failed for order {number} after {few} s: "{word}"',
    "Cannot load {thing} e{kind} of {uuid}: '{word}' timed out after {few} ms",
    "{thing} e{kind}: expected {few}, got {number} in shard {few}",
    'Error in {thing} e{kind}\n  at line {few}, request {uuid}: "{word}" is not valid',
)
"""All that varies in them is what a fingerprint leaves out; what it holds is the thing and the kind."""
_THINGS = ("Payment", "Cart", "Search", "Image", "Login", "Cache", "Queue", "Export", "Import", "Session")
_MODULES = 97
_VERSIONS = 5
_EVENTS_PER_USER = 5


class Shape(NamedTuple):
    events: int
    fingerprints: int
    events_per_session: int


def write(path: Path, shape: Shape) -> None:
    """The first events are of one fingerprint each, until all have been; then of any."""
    random = Random(_SEED)
    session = ""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(shape.events):
            if number % shape.events_per_session == 0:
                session = _uuid(random)
            file.write(f"{json.dumps(_event(number, session, shape, random))}\n")
        file.flush()
        os.fsync(file.fileno())  # so that what is measured next does not share the disk with it


def _event(number: int, session: str, shape: Shape, random: Random) -> Event:
    kind = number if number < shape.fingerprints else random.randrange(shape.fingerprints)
    message = _MESSAGES[kind % len(_MESSAGES)].format(
        thing=_THINGS[kind % len(_THINGS)],
        kind=kind,
        number=random.randrange(10**6),
        few=random.randrange(60),
        uuid=_uuid(random),
        word=f"{random.getrandbits(40):x}",
    )
    at = _BEGIN + _APART * number + timedelta(milliseconds=random.randrange(1000))
    return {
        "client_event_id": _uuid(random),
        "session_id": session,
        "level": "error",
        "message": message,
        "source_module": f"shop.module{kind % _MODULES}",
        "user_id": f"user-{random.randrange(shape.events // _EVENTS_PER_USER + 1)}",
        "environment": "backend",
        "app_version": f"4.{number * _VERSIONS // shape.events}.0",
        "sdk_name": "owlmetry-node",
        "sdk_version": "0.1.2",
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
    }


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def batches(path: Path, size: int) -> Iterator[list[Event]]:
    with path.open(encoding="utf-8") as lines:
        while batch := [json.loads(line) for line in islice(lines, size)]:
            yield batch
