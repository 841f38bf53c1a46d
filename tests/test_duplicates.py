"""Which issues may be one: what speaks for it, what against, what to keep; for any titles, and in any order."""

import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.duplicates import HALVES, accuracy, labelled, many
from owlmetry_mcp.issues.evidence import Coincidence, DuplicateGroup, Evidence
from owlmetry_mcp.issues.lifecycle import STATUSES
from owlmetry_mcp.issues.models import Issue
from owlmetry_mcp.triage.duplicates import duplicates
from tests.world import ROOT

EARLY, LATE = "2026-10-01T00:00:00.000Z", "2026-10-02T00:00:00.000Z"
LOST = "The connection to the printer was lost"
SHOP, BANK, PHONE, TABLET = (str(UUID(int=1 << 64 | number)) for number in range(4))
SAME_MESSAGE = Evidence(kind="same_message")
NUMBERS = count()


def issue(title: str, module: str | None = None, **others: Any) -> Issue:
    """Each of its own module, unless told."""
    number = next(NUMBERS)
    fields: dict[str, Any] = {
        "id": str(UUID(int=number)),
        "app_id": PHONE,
        "project_id": SHOP,
        "status": "new",
        "title": title,
        "source_module": module or f"module {number}",
        "is_dev": False,
        "occurrence_count": 10,
        "unique_user_count": 1,
        "first_seen_at": EARLY,
        "last_seen_at": LATE,
        "created_at": EARLY,
        "updated_at": LATE,
        "fingerprints": [],
    }
    unset = dict.fromkeys(Issue.model_fields.keys() - fields.keys())
    return Issue.model_validate(unset | fields | others)


def seen_together(one: Issue, other: Issue, sessions: int) -> Coincidence:
    return Coincidence(issue_ids=(one.id, other.id), sessions=sessions)


def ids(groups: Sequence[DuplicateGroup]) -> list[set[str]]:
    return [{group.target.id, *(candidate.issue.id for candidate in group.candidates)} for group in groups]


def are_alike(*titles: str) -> bool:
    issues = [issue(title) for title in titles]
    return ids(duplicates(issues, [])) == [{one.id for one in issues}]


@pytest.mark.parametrize("elsewhere", [{}, {"app_id": TABLET}, {"app_id": TABLET, "module": "printing"}])
def test_the_same_message_in_another_module_or_app_may_be_the_same_issue(elsewhere: dict[str, str]) -> None:
    one, other = issue(LOST, "printing"), issue(LOST, **elsewhere)
    [group] = duplicates([one, other], [])
    assert ids([group]) == [{one.id, other.id}]
    assert [candidate.evidence for candidate in group.candidates] == [[SAME_MESSAGE]]
    assert group.score == group.candidates[0].score == 0.88


def test_the_same_message_of_one_place_is_less_likely_the_same_as_something_split_it() -> None:
    here = duplicates([issue(LOST, "printing"), issue(LOST, "printing")], [])
    elsewhere = duplicates([issue(LOST, "printing"), issue(LOST)], [])
    assert [group.candidates[0].evidence for group in here] == [[SAME_MESSAGE]]
    assert 0.4 <= here[0].score < elsewhere[0].score


@pytest.mark.parametrize(
    "title", ["", " ", "…", "💥", "Error", "Something went wrong", "Unknown error: undefined", "42"]
)
def test_a_message_that_says_nothing_makes_no_duplicates(title: str) -> None:
    assert duplicates([issue(title), issue(title), issue(title)], []) == []


def test_a_message_that_says_more_makes_likelier_duplicates() -> None:
    titles = ["Timeout", "Printer timeout", LOST]
    scores = [duplicates([issue(title), issue(title)], [])[0].score for title in titles]
    assert scores == sorted(set(scores))


@pytest.mark.parametrize(
    "titles",
    [
        ("Could not load /var/data/a.json: disk is full", "Could not load C:\\data\\b.json: disk is full"),
        ("No route to printer at 0x7f3a10", "No route to printer at 0x99ab44"),
        ("Lookup of printer.example.com took too long", "Lookup of scanner.example.org took too long"),
        ("Uncaught TypeError: printer queue is missing", "printer queue is missing"),
        ("java.io.IOException: printer queue is missing", "printer queue is missing"),
        ("2026-10-02 11:00:01,123 ERROR: printer queue is missing", "[error] printer queue is missing"),
        ("Unable to reach the paper tray", "Failed to reach paper tray", "Couldn't reach the paper tray"),
        ("Printer did not answer, timed out", "The printer didn\u2019t answer: timeout"),
        ("Printing failed: the paper tray is empty (tray 2)", "The paper tray is empty"),
        ("The paper tray is empty while printing page 3 of 9", "The paper tray is empty"),
        (
            "Cannot read properties of undefined (reading 'total')",
            "undefined is not an object (evaluating 'cart.total')",
        ),
        ("Paper recieved from tray is wet", "Paper received from tray is wet"),
    ],
)
def test_what_differs_in_what_varies_or_wraps_is_alike(titles: tuple[str, ...]) -> None:
    assert are_alike(*titles)


@pytest.mark.parametrize(
    "titles",
    [
        ("Cannot open the paper tray", "Cannot close the paper tray"),
        ("File was not found before printing began", "File was not found after printing began"),
        ("Error while reading from the printer", "Error while writing to the printer"),
        ("The paper tray is full", "The paper tray is not full"),
        ("Expected a page from the tray", "Unexpected page from the tray"),
        ("Cannot encode the page as text", "Cannot decode the page as text"),
        ("Printing request failed with status code 404", "Printing request failed with status code 500"),
        ("Printer driver failed: errno 13", "Printer driver failed: errno 2"),
        ("Printer process ended, exit code 1", "Printer process ended, exit code 137"),
        ("Query of pages failed, SQLSTATE 40001", "Query of pages failed, SQLSTATE 23505"),
        ("Network error: GET api.example.com/pages", "Network error: POST api.example.com/pages"),
        ("Network error: GET api.example.com/pages", "Network error: GET api.example.com/pages/<id>"),
        (
            "Cannot read properties of undefined (reading 'total')",
            "Cannot read properties of undefined (reading 'name')",
        ),
        ("Cannot read properties of undefined (reading 'x')", "Cannot set properties of undefined (setting 'x')"),
    ],
)
def test_a_word_or_code_that_differs_makes_two_things(titles: tuple[str, str]) -> None:
    assert duplicates([issue(title) for title in titles], []) == []


def test_the_same_request_of_two_apps_is_alike() -> None:
    assert are_alike("Network error: GET api.example.com/pages/<id>", "Network error: GET api.example.com/pages/<id>")


def test_alike_wording_says_how_alike() -> None:
    [group] = duplicates([issue("Printing failed: the paper tray is empty"), issue("The paper tray is empty")], [])
    assert group.candidates[0].evidence == [Evidence(kind="similar_wording", similarity=0.73)]


def test_many_sentences_that_differ_in_a_word_found_nowhere_else_name_something_there() -> None:
    names = ["alice", "bob", "carol", "dave"]
    assert are_alike(*(f"Account of {name} has no printer set up" for name in names))
    assert duplicates([issue(f"Account of {name} has no printer set up") for name in names[:3]], []) == []


def test_a_short_message_within_many_others_is_a_part_of_none() -> None:
    layers = ("Cutting of pages", "Paper roll", "Driver of the second printer", "Scan to mail")
    wholes = [f"{layer}: access denied" for layer in layers]
    assert duplicates([issue(title) for title in ("Access denied", *wholes)], []) == []
    assert are_alike("Access denied", wholes[0])


def test_sessions_count_by_how_large_a_share_of_the_rarer_issue_they_are() -> None:
    def scores(sessions: int, occurrences: int) -> list[float]:
        rare, frequent = issue("Ink is low", occurrence_count=occurrences), issue(LOST, occurrence_count=900)
        return [group.score for group in duplicates([rare, frequent], [seen_together(rare, frequent, sessions)])]

    assert scores(8, 10) == [0.5]
    assert scores(100, 100) == [0.7353]
    assert scores(1, 500) == scores(1, 1) == scores(4, 10) == scores(0, 0) == []


def test_sessions_of_different_messages_are_evidence_and_weaker_than_with_wording() -> None:
    cause, effect, told = issue("Ink is low"), issue(LOST), issue(f"Printing failed: {LOST}")
    [cascade] = duplicates([cause, effect], [seen_together(cause, effect, 9)])
    assert cascade.candidates[0].evidence == [Evidence(kind="same_sessions", sessions=9)]
    [by_words] = duplicates([told, effect], [])
    [by_both] = duplicates([told, effect], [seen_together(told, effect, 9)])
    assert [one.kind for one in by_both.candidates[0].evidence] == ["similar_wording", "same_sessions"]
    assert cascade.score < by_words.score < by_both.score < 1


def test_what_is_seen_with_everything_is_the_duplicate_of_three_at_most() -> None:
    everywhere = issue("Ink is low", occurrence_count=99)
    words = ["alpha", "beta", "gamma", "delta", "kappa", "sigma"]
    others = [issue(f"{word} {word}ing stopped") for word in words]
    [group] = duplicates([everywhere, *others], [seen_together(everywhere, other, 10) for other in others])
    assert len(group.candidates) == 3


def test_coincidences_of_unknown_issues_and_of_an_issue_with_itself_are_passed_over() -> None:
    one, stranger = issue("Ink is low"), issue(LOST)
    assert duplicates([one], [seen_together(one, stranger, 10), seen_together(one, one, 10)]) == []


def test_a_chain_of_small_steps_is_not_one_group() -> None:
    tray, ink, roll = "paper tray stays empty", "ink cartridge runs dry", "paper roll torn apart"
    links = [issue(title) for title in (tray, f"{tray}: {ink}", ink, f"{ink}: {roll}", roll)]
    assert all(are_alike(one.title, other.title) for one, other in pairwise(links))
    groups = ids(duplicates(links, []))
    assert groups
    assert all(not {links[0].id, links[other].id} <= group for group in groups for other in (3, 4))


def test_a_group_holds_what_is_strongly_like_one_that_is_like_the_target() -> None:
    message = "Second paper printer lost its network connection"
    claimed = issue(f"First: second: third: {message}", status="in_progress")
    plain, noted = issue(message), issue(f"{message}: see page")
    [group] = duplicates([claimed, plain, noted], [])
    assert group.target == claimed
    assert [candidate.issue for candidate in group.candidates] == [plain, noted]
    assert group.candidates[1].score < group.candidates[0].score


def test_an_issue_stays_out_of_the_group_of_one_that_it_is_less_like_than_others() -> None:
    ink, lost, again = issue("Ink is low", occurrence_count=50), issue(LOST), issue(LOST)
    assert ids(duplicates([ink, lost, again], [seen_together(ink, lost, 10)])) == [{lost.id, again.id}]


@pytest.mark.parametrize("status", sorted(set(STATUSES) - {"in_progress"}))
def test_a_claimed_issue_is_the_one_to_keep(status: str) -> None:
    claimed, other = issue(LOST, status="in_progress"), issue(LOST, status=status, occurrence_count=99)
    [group] = duplicates([other, claimed], [])
    assert group.target == claimed
    assert group.target_reasons[0] == "claimed"


@pytest.mark.parametrize("status", ["resolved", "silenced", "snoozed"])
def test_an_open_issue_is_kept_before_one_put_aside(status: str) -> None:
    opened, aside = issue(LOST, status="regressed"), issue(LOST, status=status, occurrence_count=99)
    [group] = duplicates([aside, opened], [])
    assert (group.target, group.target_reasons) == (opened, ["open"])


def test_of_equals_in_status_the_most_frequent_then_the_first_then_the_clearest_is_kept() -> None:
    wrapped, clear = issue(f"Error: {LOST}", first_seen_at=LATE), issue(LOST, first_seen_at=LATE)
    early, frequent = issue(LOST), issue(LOST, first_seen_at=LATE, occurrence_count=11)
    expected: list[tuple[list[Issue], Issue, list[str]]] = [
        ([wrapped, clear], clear, ["clearest_title"]),
        ([wrapped, clear, early], early, ["first_seen"]),
        ([wrapped, clear, early, frequent], frequent, ["most_occurrences"]),
    ]
    for issues, target, reasons in expected:
        [group] = duplicates(issues, [])
        assert (group.target, group.target_reasons) == (target, reasons)


def test_reasons_are_only_those_that_hold() -> None:
    [group] = duplicates([issue(LOST), issue(LOST)], [])
    assert group.target_reasons == []


def test_groups_and_candidates_are_likeliest_first() -> None:
    strong = [issue(LOST, occurrence_count=99), issue(LOST), issue(f"Printing failed, see the manual: {LOST}")]
    weak = [issue("Timeout"), issue("Timeout")]
    groups = duplicates([*weak, *strong], [])
    assert ids(groups) == [{one.id for one in strong}, {one.id for one in weak}]
    assert [candidate.issue for candidate in groups[0].candidates] == strong[1:]


def test_about_an_issue_there_is_its_group_alone() -> None:
    one, other, *rest = issue(LOST), issue(LOST), issue("Timeout"), issue("Timeout")
    assert ids(duplicates([one, other, *rest], [], one.id)) == [{one.id, other.id}]
    assert duplicates([one, *rest], [], one.id) == []
    assert duplicates([one, *rest], [], "unknown") == []


def test_about_an_issue_the_one_to_keep_may_be_another() -> None:
    one, claimed = issue(LOST), issue(LOST, status="in_progress")
    [group] = duplicates([one, claimed], [], one.id)
    assert (group.target, group.target_reasons, group.candidates[0].issue) == (claimed, ["claimed"], one)


def test_about_an_issue_all_are_like_it_where_another_is_kept_too() -> None:
    about, kept = issue(LOST), issue(LOST, status="in_progress")
    ink = issue("Ink is low")
    [group] = duplicates([about, kept, ink], [seen_together(about, ink, 10)], about.id)
    assert group.target == kept
    assert [candidate.issue for candidate in group.candidates] == [about, ink]
    assert group.candidates[1].score < group.candidates[0].score


WORDS = st.sampled_from("open close tray paper printer error: failed not 404 500 'a' 'b' /x/y a.b timeout".split())
TEXT = st.lists(WORDS, max_size=6).map(" ".join) | st.text(st.characters(codec=None, categories=None), max_size=40)
ISSUES = st.lists(
    st.builds(
        lambda title, **others: (title, others),
        TEXT,
        module=st.sampled_from(["a", "b"]),
        is_dev=st.booleans(),
        project_id=st.sampled_from([SHOP, BANK]),
        app_id=st.sampled_from([PHONE, TABLET]),
        status=st.sampled_from(STATUSES),
        occurrence_count=st.integers(0, 20),
    ),
    max_size=12,
).map(lambda rows: [issue(title, **others) for title, others in rows])
PLACES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 20)), max_size=10)


@given(ISSUES, PLACES, st.integers(0, 12), st.randoms())
@settings(deadline=None)
def test_whatever_the_issues_are_the_groups_are_sound(
    issues: list[Issue], places: list[tuple[int, int, int]], about: int, shuffler: random.Random
) -> None:
    seen = [
        seen_together(issues[one], issues[other], sessions)
        for one, other, sessions in places
        if one < len(issues) and other < len(issues)
    ]
    groups = duplicates(issues, seen)
    grouped = [one for group in groups for one in (group.target, *(candidate.issue for candidate in group.candidates))]
    assert len({one.id for one in grouped}) == len(grouped)
    alone = duplicates(issues, seen, issues[about].id) if about < len(issues) else []
    assert all(issues[about].id in group for group in ids(alone))
    for group in [*groups, *alone]:
        others = [candidate.issue for candidate in group.candidates]
        assert others
        assert group.target not in others
        assert {(one.project_id, one.is_dev) for one in others} == {(group.target.project_id, group.target.is_dev)}
        scores = [candidate.score for candidate in group.candidates]
        assert scores == sorted(scores, reverse=True)
        assert all(0.4 <= score <= 1 for score in scores)
        assert all(candidate.evidence for candidate in group.candidates)
        assert group.score == scores[0]
    shuffler.shuffle(issues)
    shuffler.shuffle(seen)
    assert duplicates(issues, seen) == groups


LETTERS = "abcdefghijklmnopqrstuvwxyz"
RANDOM = random.Random(1)  # noqa: S311 - made-up words, the same every time
VOCABULARY = ["".join(RANDOM.choices(LETTERS, k=7)) for _ in range(300)]
HOSTILE = {
    "equal": [LOST] * 10_000,
    "empty": [""] * 10_000,
    "of 2,000 characters with shared words": [" ".join(RANDOM.choices(VOCABULARY, k=250)) for _ in range(10_000)],
    "nearly equal": [f"Could not load {''.join(RANDOM.choices(LETTERS, k=9))} from the printer" for _ in range(10_000)],
    "of one mark": [mark * 2_000 for mark in "'\"`/\\.-_:([{<0aA@ \n\0" for _ in range(20)],
    "of a word and a mark": [f"a{mark}" * 1_000 + str(place) for mark in "'\"`/\\.-_:([{<@ " for place in range(20)],
    "each within the next": [": ".join(VOCABULARY[:length]) for length in range(1, 300)],
}


@pytest.mark.parametrize("titles", HOSTILE.values(), ids=HOSTILE)
def test_hostile_titles_take_no_longer_than_others(titles: list[str]) -> None:
    issues = [issue(title) for title in titles]
    groups = duplicates(issues, [])
    assert sum(map(len, ids(groups))) <= len(issues)
    assert len(duplicates(issues, [], issues[0].id)) <= 1


def test_ten_thousand_equal_titles_are_one_group() -> None:
    [group] = duplicates([issue(LOST) for _ in range(10_000)], [])
    assert len(group.candidates) == 9_999


@pytest.mark.parametrize(
    ("half", "with_sessions", "precision", "recall"),
    [
        ("tuning", False, 0.95, 0.86),
        ("tuning", True, 0.92, 0.88),
        ("held_out", False, 0.86, 0.73),
        ("held_out", True, 0.80, 0.74),
    ],
)
def test_duplicates_among_real_messages_are_found_and_little_else(
    half: str, with_sessions: bool, precision: float, recall: float
) -> None:
    data = labelled(half)
    found = accuracy(data, duplicates(data.issues, data.coincidences if with_sessions else []))
    assert found.precision >= precision
    assert found.recall >= recall


def test_the_labelled_messages_are_many_and_their_coincidences_are_of_them() -> None:
    halves = [labelled(half) for half in HALVES]
    assert sum(len(data.issues) for data in halves) >= 800
    for data in halves:
        known = {one.id for one in data.issues}
        assert len(known) == len(data.issues)
        assert {one for pair in data.coincidences for one in pair.issue_ids} <= known


def test_issues_made_from_the_catalogue_are_mostly_distinct() -> None:
    assert len({one.title for one in many(3_000)}) > 2_500


def test_the_fuzzy_matcher_is_not_loaded_before_it_is_needed() -> None:
    program = "import sys, owlmetry_mcp.triage.duplicates; sys.exit('rapidfuzz' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
