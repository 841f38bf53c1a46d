"""Which issues may be one: groups to look at before a merge, each with what to keep and what speaks for the rest.

A group is its target, what is like the target, and what is strongly like one of those; nothing further away, so that
no chain of small steps brings together what has nothing in common. An issue stays out of a group where it is much
more like others, and every issue is in one group at most.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from owlmetry_mcp.issues.evidence import Coincidence, DuplicateCandidate, DuplicateGroup
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.triage.keeping import rank, reasons
from owlmetry_mcp.triage.likeness import SHOWN, STRONG
from owlmetry_mcp.triage.ties import Tie, Ties

_MUCH_MORE = 0.8
"""An issue is left to others if it is like the target by less than this part of how it is like them."""


def duplicates(
    issues: Sequence[Issue], coincidences: Sequence[Coincidence], about: str | None = None
) -> list[DuplicateGroup]:
    """Groups of issues that may be one, the likeliest first; `about` an issue, by its id, its group alone, if any.

    Issues of different projects, or of development and of production, are never one. What `about` is like is compared
    with all others, and all in its group are like it; the target is the best to keep of it and those most like it.

    A score says how likely a candidate is the same as its target, 0 to 1, and is at least 0.4:
        by words: 0.55 to 0.93 for the same message, the more the more it says ("Timeout" is said of many things), less
            where the names in it differ; 0.4 to 0.88 for one that is whole clauses of the other, as where a layer has
            wrapped it or told more; nothing where a word, or an error's code, stands in place of another;
        by sessions seen in within 5 seconds of each other: 0.75 of the share of the rarer issue's sessions, with 2
            added to those, since one of one is chance. So 8 of 10 are worth 0.5 alone, and no number reaches 0.75: what
            says different things may be one fault that brings about another;
        by both: what both leave in doubt, 1 - (1 - words) (1 - sessions);
        through another of the group: the product of both steps.
    A group's score is its best candidate's.
    """
    groups: list[DuplicateGroup] = []
    for kin in _kin(issues):
        ties = Ties(kin, coincidences)
        if about is None:
            groups += _groups(ties)
        else:
            groups += (_group_of(ties, place) for place, issue in enumerate(kin) if issue.id == about)
    found = [group for group in groups if group.candidates]
    return sorted(found, key=lambda group: (-group.score, rank(group.target)))


def _kin(issues: Iterable[Issue]) -> Iterator[list[Issue]]:
    """Issues that a merge could make one, those best to keep first."""
    apart: defaultdict[tuple[str, bool], dict[str, Issue]] = defaultdict(dict)
    for issue in issues:
        apart[issue.project_id, issue.is_dev][issue.id] = issue
    for kin in apart.values():
        yield sorted(kin.values(), key=rank)


def _groups(ties: Ties) -> Iterator[DuplicateGroup]:
    free = set(range(len(ties.issues)))
    for target in range(len(ties.issues)):
        if target not in free:
            continue
        free.discard(target)
        if members := _like(ties, target, free):
            free.difference_update(members)
            members |= _like_those(ties, members, free)
            free.difference_update(members)
            yield _group(ties, target, members)


def _like(ties: Ties, target: int, free: set[int]) -> dict[int, Tie]:
    """What is like the target and not much more like others."""
    kind = ties.kind_of[target]
    near = [kind] if ties.within(kind) else []
    near += [other for other, score in ties.neighbours.get(kind, {}).items() if score >= _asked(ties, other)]
    found = _shown(ties, target, (place for one in near for place in ties.kinds[one] if place in free))
    seen = _shown(ties, target, (place for place in ties.seen_with(target) if place in free))
    return found | {place: tie for place, tie in seen.items() if tie.score >= _asked(ties, ties.kind_of[place])}


def _asked(ties: Ties, kind: int) -> float:
    """How alike something must be to one of a kind, since others are alike as well."""
    return _MUCH_MORE * max(ties.within(kind), *ties.neighbours.get(kind, {}).values(), 0)


def _shown(ties: Ties, target: int, places: Iterable[int]) -> dict[int, Tie]:
    found = {place: ties.between(target, place) for place in places if place != target}
    return {place: tie for place, tie in found.items() if tie.score >= SHOWN}


def _like_those(ties: Ties, members: dict[int, Tie], free: set[int]) -> dict[int, Tie]:
    """What is strongly like one that is like the target by words, with both steps in its score."""
    found: dict[int, Tie] = {}
    kinds: set[int] = set()
    by_words = {
        member: tie for member, tie in members.items() if any(one.kind != "same_sessions" for one in tie.evidence)
    }
    for member, first in sorted(by_words.items(), key=lambda item: (-item[1].score, item[0])):
        kind = ties.kind_of[member]
        near = [kind, *ties.neighbours.get(kind, ())] if kind not in kinds else []
        kinds.add(kind)
        places = [place for one in near if one == kind or ties.alike(kind, one) >= STRONG for place in ties.kinds[one]]
        for place in (*places, *ties.seen_with(member)):
            if place in free and place not in found and (second := ties.between(member, place)).score >= STRONG:
                score = round(first.score * second.score, 4)
                if score >= SHOWN:
                    found[place] = Tie(score, second.evidence)
    return found


def _group_of(ties: Ties, about: int) -> DuplicateGroup:
    kind = ties.kind_of[about]
    near = [other for other in range(len(ties.kinds)) if other == kind or ties.alike(kind, other) >= SHOWN]
    members = _shown(ties, about, (*(place for one in near for place in ties.kinds[one]), *ties.seen_with(about)))
    likeliest = min(STRONG, max((tie.score for tie in members.values()), default=STRONG))
    target = min(about, *(place for place, tie in members.items() if tie.score >= likeliest), about)
    if target == about:
        return _group(ties, about, members)
    first = members.pop(target)
    return _group(
        ties,
        target,
        {about: first} | {place: _by_way(ties, target, first, place, tie) for place, tie in members.items()},
    )


def _by_way(ties: Ties, target: int, first: Tie, place: int, second: Tie) -> Tie:
    """What ties an issue to the target, itself or by what both are like."""
    straight, around = ties.between(target, place), first.score * second.score
    return straight if straight.score >= around else Tie(round(around, 4), second.evidence)


def _group(ties: Ties, target: int, members: dict[int, Tie]) -> DuplicateGroup:
    likeliest = sorted(members, key=lambda place: (-members[place].score, place))
    others = [ties.issues[place] for place in likeliest]
    return DuplicateGroup(
        target=ties.issues[target],
        target_reasons=reasons(ties.issues[target], others),
        candidates=[
            DuplicateCandidate(
                issue=ties.issues[place], score=members[place].score, evidence=list(members[place].evidence)
            )
            for place in likeliest
        ],
        score=max((tie.score for tie in members.values()), default=0),
    )
