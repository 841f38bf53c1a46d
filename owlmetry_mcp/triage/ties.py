"""What ties two issues together: what they say, and the sessions that they were seen in."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from owlmetry_mcp.issues.evidence import Coincidence, Evidence
from owlmetry_mcp.issues.fingerprints import normalised
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.triage.index import Index
from owlmetry_mcp.triage.likeness import SHOWN, by_names, likeness, of_same, similarity
from owlmetry_mcp.triage.wording import LOOKED_AT, TELLING, Wording, wording

_IN_ONE_PLACE = 0.05
"""Off for the same message of the same module of the same app: what split it, an error's type, was meant to."""
_IN_OTHER_WORDS = 0.03
"""Off for what is the same only without names, paths and wrappers."""
_BY_SESSIONS_ALONE = 0.75
"""What issues that say different things reach at most: one may bring about the other, and is not it."""
_CHANCE = 2
"""Sessions added to the rarer issue's: one of one is little, ten of ten much."""
_NOTABLE = 0.2
_CLOSEST = 3
"""Partners by sessions alone, at most: what is seen with everything is nothing's duplicate."""
_VARIANTS = 4
"""From so many on, words found nowhere else in one and the same sentence are names in it, however they look."""
_OF_FEW = 0.65
"""A short wording is within many: below that, it is not taken for a part of one where it is a part of several."""


@dataclass(frozen=True, slots=True)
class Tie:
    score: float
    evidence: tuple[Evidence, ...]


class Ties:
    """Of issues of one project and mode. Those that say the same are of one kind, and kinds are compared.

    Each issue goes by its place in what it was made of.
    """

    def __init__(self, issues: Sequence[Issue], coincidences: Iterable[Coincidence]) -> None:
        self.issues = issues
        read = {title: wording(title) for title in {one.title for one in issues}}
        self._wordings = [read[one.title] for one in issues]
        self.kinds, self.kind_of = _kinds(self._wordings)
        self._samples = [self._wordings[members[0]] for members in self.kinds]
        self._index = Index(self._samples)
        self._messages: dict[str, str] = {}
        self._alike: dict[tuple[int, int], float] = {}
        self._sessions = _sessions(issues, coincidences)

    def within(self, kind: int) -> float:
        """How alike the issues of a kind are, at least."""
        return of_same(self._samples[kind]) if len(self.kinds[kind]) > 1 else 0

    def alike(self, one: int, other: int) -> float:
        """How alike two kinds are."""
        key = (one, other) if one < other else (other, one)
        if (known := self._alike.get(key)) is None:
            known = self._alike[key] = self._compared(*key)
        return known

    def _compared(self, one: int, other: int) -> float:
        score = likeness(self._samples[one], self._samples[other])
        if SHOWN <= score < _OF_FEW:
            part = min(one, other, key=lambda kind: len(self._samples[kind].words))
            return 0 if self._index.is_part_of_many(part) else score
        return score

    @cached_property
    def neighbours(self) -> Mapping[int, Mapping[int, float]]:
        """The kinds that are alike enough to be shown, by kind."""
        found: defaultdict[int, dict[int, float]] = defaultdict(dict)
        for one, other in self._index.pairs():
            score = self._compared(one, other)
            if score >= SHOWN:
                found[one][other] = found[other][one] = self._alike[one, other] = score
        return found

    def _normalised(self, title: str) -> str:
        if (known := self._messages.get(title)) is None:
            known = self._messages[title] = normalised(title[:LOOKED_AT])
        return known

    def seen_with(self, place: int) -> Iterator[int]:
        yield from self._sessions.get(place, ())

    def between(self, one: int, other: int) -> Tie:
        """Score and evidence: words and sessions each leave a doubt, and both together leave their product."""
        by_words, evidence = self._by_words(one, other)
        sessions = self._sessions.get(one, {}).get(other, 0)
        by_sessions = _strength(sessions, self.issues[one], self.issues[other])
        if by_sessions >= _NOTABLE:
            evidence = (*evidence, Evidence(kind="same_sessions", sessions=sessions))
        doubt = (1 - by_words) * (1 - _BY_SESSIONS_ALONE * by_sessions)
        return Tie(round(min(1 - doubt, 1), 4), evidence)

    def _by_words(self, one: int, other: int) -> tuple[float, tuple[Evidence, ...]]:
        mine, theirs = self.issues[one], self.issues[other]
        my_words, their_words = self._normalised(mine.title), self._normalised(theirs.title)
        if self.kind_of[one] != self.kind_of[other]:
            score = self.alike(self.kind_of[one], self.kind_of[other])
        else:
            score = of_same(self._wordings[one]) + by_names(self._wordings[one], self._wordings[other])
            if my_words == their_words:
                here = (mine.app_id, mine.source_module) == (theirs.app_id, theirs.source_module)
                return score - _IN_ONE_PLACE * here, (_SAME_MESSAGE,)
            score -= _IN_OTHER_WORDS
        if score < _NOTABLE:
            return score, ()
        return score, (Evidence(kind="similar_wording", similarity=similarity(my_words, their_words)),)


_SAME_MESSAGE = Evidence(kind="same_message")


def _kinds(wordings: Sequence[Wording]) -> tuple[list[list[int]], list[int]]:
    """The places of each kind, and the kind at each place. What says nothing is of a kind of its own."""
    by_key: defaultdict[object, list[int]] = defaultdict(list)
    for place, one in enumerate(wordings):
        by_key[one.key if one.telling else place].append(place)
    kinds = _without_odd_words(list(by_key.values()), wordings)
    kind_of = [0] * len(wordings)
    for kind, places in enumerate(kinds):
        for place in places:
            kind_of[place] = kind
    return kinds, kind_of


def _without_odd_words(kinds: list[list[int]], wordings: Sequence[Wording]) -> list[list[int]]:
    """One kind of those that differ in a word or two which no other kind has, where they are many."""
    having: defaultdict[str, int] = defaultdict(int)
    for places in kinds:
        for word in wordings[places[0]].bag:
            having[word] += 1
    by_rest: defaultdict[object, list[list[int]]] = defaultdict(list)
    for number, places in enumerate(kinds):
        one = wordings[places[0]]
        rest = tuple(word if having[word] > 1 else None for word in one.words)
        odd = rest.count(None)
        sentence = odd in {1, 2} and one.telling - odd >= TELLING
        by_rest[(rest, one.codes) if sentence else number].append(places)
    found = []
    for same in by_rest.values():
        found += [sorted(place for places in same for place in places)] if len(same) >= _VARIANTS else same
    return found


def _sessions(issues: Sequence[Issue], coincidences: Iterable[Coincidence]) -> dict[int, dict[int, int]]:
    """In how many sessions the issue at a place was seen with that at another, for those closest to each other."""
    places = {one.id: place for place, one in enumerate(issues)}
    seen: defaultdict[int, dict[int, int]] = defaultdict(dict)
    for coincidence in coincidences:
        one, other = (places.get(issue_id) for issue_id in coincidence.issue_ids)
        if one is not None and other is not None and one != other:
            sessions = max(coincidence.sessions, seen[one].get(other, 0))
            seen[one][other] = seen[other][one] = sessions
    closest = {
        place: set(
            sorted(others, key=lambda other: (-_strength(others[other], issues[place], issues[other]), other))[
                :_CLOSEST
            ]
        )
        for place, others in seen.items()
    }
    return {
        place: {
            other: sessions for other, sessions in others.items() if other in closest[place] and place in closest[other]
        }
        for place, others in seen.items()
    }


def _strength(sessions: int, one: Issue, other: Issue) -> float:
    """How large a share of the rarer issue's sessions, 0 to 1; a share of few counts for less."""
    rarer = min(one.occurrence_count, other.occurrence_count)
    return sessions / (max(rarer, sessions) + _CHANCE)
