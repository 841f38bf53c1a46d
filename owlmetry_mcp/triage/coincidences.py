"""Issues that were seen together: in the same session, within seconds of each other."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from owlmetry_mcp.issues.evidence import Coincidence

WITHIN = timedelta(seconds=5)
"""As the issue scan takes errors for one burst."""
MAX_PAIRS = 10_000
MAX_MEETINGS = 200_000
"""Of two issues in a session, all of them together. A session that holds thousands of issues has millions, and says
little of any two: those with few issues are taken first.
"""

Pair = tuple[str, str]
"""Two issues' ids, in order."""


Sighting = tuple[Hashable, str, str]
"""An occurrence: its session, its timestamp, its issue's id. An issue has one a session; development and production
are sessions apart.
"""


class Met(NamedTuple):
    sessions: Mapping[Pair, int]
    """In how many sessions the two met."""
    complete: bool
    """All sessions were taken."""


def met(sightings: Iterable[Sighting], issue_id: str | None = None) -> Met:
    """Which issues met in which sessions; with an id, which met that one."""
    sessions: defaultdict[Hashable, list[Sighting]] = defaultdict(list)
    for sighting in sightings:
        sessions[sighting[0]].append(sighting)
    shared = sorted((seen for seen in sessions.values() if len(seen) > 1), key=len)
    pairs: Counter[Pair] = Counter()
    left = MAX_MEETINGS
    for seen in shared:
        found = _meetings(seen, issue_id, left)
        pairs.update(found)
        left -= len(found)
        if left <= 0:
            return Met(pairs, complete=False)
    return Met(pairs, complete=True)


def most(pairs: Mapping[Pair, int]) -> list[Coincidence]:
    """Those that met in most sessions first."""
    ordered = sorted(pairs.items(), key=lambda it: (-it[1], it[0]))
    return [Coincidence(issue_ids=pair, sessions=sessions) for pair, sessions in islice(ordered, MAX_PAIRS)]


def _meetings(seen: Sequence[Sighting], issue_id: str | None, most_wanted: int) -> list[Pair]:
    """The pairs of a session, up to so many."""
    timed = sorted((datetime.fromisoformat(timestamp), other) for _, timestamp, other in seen)
    if issue_id is not None:
        moments = [at for at, other in timed if other == issue_id]
        others = (it for it in timed if it[1] != issue_id)
        return [_pair(issue_id, other) for at, other in others for moment in moments if abs(at - moment) <= WITHIN]
    found: list[Pair] = []
    for index, (at, one) in enumerate(timed):
        for behind in range(index + 1, len(timed)):
            later, other = timed[behind]
            if later - at > WITHIN:
                break
            if len(found) >= most_wanted:
                return found
            found.append(_pair(one, other))
    return found


def _pair(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
