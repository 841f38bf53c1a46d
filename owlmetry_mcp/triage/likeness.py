"""How alike two wordings are, 0 to 1."""

from owlmetry_mcp.triage.wording import TELLING, Wording

SHOWN = 0.4
"""Likeness from which two issues are worth a look."""
STRONG = 0.85
"""Likeness from which what is like the one may be taken to be like the other."""

_SAME_WORDS = (0.3, 0.55, 0.75, 0.88)
"""Of equal wordings, by how many telling words they have; the last for as many or more."""
_CONTAINED = (0.0, 0.4, 0.62, 0.78, 0.84, 0.88)
"""Of a wording that is whole clauses of the other, likewise."""
_PER_WORD_BEFORE = 0.03
_PER_WORD_AFTER = 0.01
_MOST_OFF = 0.2
"""How much the words around it take off at most."""
_SAME_FAULT = 0.86
"""Of a code and the domain that it is of, whatever is said beside."""
_REORDERED = 0.9
_OTHER_NAMES = 0.05
_SAME_NAMES = 0.05
_A_WORD_MORE = 0.85
"""Of a clause that goes on for one more word: "connection refused", and "connection refused by peer"."""
_SCATTERED = 0.6
"""Of words that are there, but in the midst of others."""

_ALIKE = 80.0
"""Of rapidfuzz's 0 to 100: two spellings of one word."""
_STEM = 4
_NEGATIONS = frozenset(("not", "no", "never", "without", "cannot", "non"))
_MOST_REPLACED = 2


def of_same(one: Wording) -> float:
    """Of wordings with the same key."""
    return _SAME_WORDS[min(one.telling, len(_SAME_WORDS) - 1)]


def by_names(one: Wording, other: Wording) -> float:
    """What the names in two wordings add or take off."""
    if not one.names or not other.names:
        return 0
    return _SAME_NAMES if one.names & other.names else -_OTHER_NAMES


def likeness(one: Wording, other: Wording) -> float:
    """Of wordings with different keys: words that differ and are no spellings of each other make them two things."""
    if one.codes and other.codes:
        same = one.codes & other.codes
        if not same or any(" " in code for code in same):
            return _SAME_FAULT if same else 0
    short, long = (one, other) if len(one.words) <= len(other.words) else (other, one)
    if len(short.words) == len(long.words):
        return _of_equal_length(short, long)
    return _within(short, long) if short.words and short.bag <= long.bag else 0


def _of_equal_length(one: Wording, other: Wording) -> float:
    if one.words == other.words:
        return of_same(one) if one.telling >= TELLING else 0  # the names are all that the others have
    if one.bag != other.bag:
        return _respelled(one, other)
    return of_same(one) * _REORDERED if sorted(one.words) == sorted(other.words) else 0


def _within(short: Wording, long: Wording) -> float:
    base = _CONTAINED[min(short.telling, len(_CONTAINED) - 1)]
    size = len(short.words)
    first = short.words[0]
    places = (place for place, word in enumerate(long.words[: len(long.words) - size + 1]) if word == first)
    starts = [start for start in places if long.words[start : start + size] == short.words]
    if not starts:
        return _scattered(short, long, base)
    best = 0.0
    for start in starts:
        end = start + size
        off = min(_PER_WORD_BEFORE * start + _PER_WORD_AFTER * (len(long.words) - end), _MOST_OFF)
        if start in long.bounds and end in long.bounds:
            best = max(best, base - off)
        elif start in long.bounds and len(long.words) - end == 1 and not _negates(long, short):
            best = max(best, (base - off) * _A_WORD_MORE)
    return best or _scattered(short, long, base)


def _scattered(short: Wording, long: Wording, base: float) -> float:
    return 0 if _negates(long, short) else base * _SCATTERED * len(short.words) / len(long.words)


def _negates(long: Wording, short: Wording) -> bool:
    return not _NEGATIONS.isdisjoint(long.bag - short.bag)


def _respelled(one: Wording, other: Wording) -> float:
    mine, theirs = one.bag - other.bag, other.bag - one.bag
    if not 0 < len(mine) == len(theirs) <= _MOST_REPLACED:
        return 0
    if not all(any(_is_spelling(word, of) for of in theirs) for word in mine):
        return 0
    return of_same(one) * _REORDERED


def _is_spelling(word: str, of: str) -> bool:
    """`connect` of `connection`, `recieve` of `receive`; not `encode` of `decode`, nor `expected` of `unexpected`."""
    if word[0] != of[0] or (stem := min(len(word), len(of))) < _STEM:
        return False
    if word[:stem] == of[:stem]:
        return True
    from rapidfuzz import fuzz  # noqa: PLC0415 - the server starts without it

    return fuzz.ratio(word, of) >= _ALIKE


def similarity(one: str, other: str) -> float:
    """Of two normalised titles, 0 to 1, the order of words left aside."""
    from rapidfuzz import fuzz  # noqa: PLC0415 - the server starts without it

    return round(fuzz.token_sort_ratio(one, other) / 100, 2)
