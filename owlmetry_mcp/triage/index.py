"""Wordings by their words: which are worth comparing, in time that grows as their number does, whatever they are."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from owlmetry_mcp.triage.wording import Wording

_RARE = 3
"""Of how many of its rarest words a wording's partners are sought among those that have them."""
_FREQUENT = 30
"""A word in more wordings than that tells little; partners are not sought by it."""
_PAIRS_PER_WORDING = 6
_FEWEST_PAIRS = 20_000
_MANY = 3
_CHECKED = 200
"""Words that have all those of another are sought among so many."""


class Index:
    """Wordings go by their places."""

    def __init__(self, wordings: Sequence[Wording]) -> None:
        self._wordings = wordings
        self._having: defaultdict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(wordings):
            for word in (*one.bag, *one.codes):
                self._having[word].append(place)
        self._parts: dict[int, bool] = {}

    def frequency(self, word: str) -> int:
        """In how many wordings it is."""
        return len(self._having[word])

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Two wordings that share a word which few have, each pair once, those of the rarest words first.

        What is said in part by another shares its rarest words, so each is looked up by those few alone. As many pairs
        as there are wordings, times a constant.
        """
        return islice(self._each_once(), max(_FEWEST_PAIRS, _PAIRS_PER_WORDING * len(self._wordings)))

    def is_part_of_many(self, place: int) -> bool:
        """Whether all its words are in several others: then they tell of none of those in particular."""
        if (known := self._parts.get(place)) is None:
            bag = self._wordings[place].bag
            rarest = min((self._having[word] for word in bag), key=len, default=[])
            wholes = (other for other in rarest[:_CHECKED] if other != place and bag <= self._wordings[other].bag)
            known = self._parts[place] = len(list(islice(wholes, _MANY + 1))) > _MANY
        return known

    def _each_once(self) -> Iterator[tuple[int, int]]:
        seekers = self._seekers()
        seen = set()
        for word in sorted(seekers, key=lambda word: (self.frequency(word), word)):
            for seeker in seekers[word]:
                for place in self._having[word]:
                    pair = (seeker, place) if seeker < place else (place, seeker)
                    if seeker != place and pair not in seen:
                        seen.add(pair)
                        yield pair

    def _seekers(self) -> dict[str, list[int]]:
        """By word, the wordings that it is among the rarest of."""
        seekers: defaultdict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(self._wordings):
            found = [(len(self._having[word]), word) for word in (*one.bag, *one.codes)]
            for _, word in sorted(one for one in found if 1 < one[0] <= _FREQUENT)[:_RARE]:
                seekers[word].append(place)
        return seekers
