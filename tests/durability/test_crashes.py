"""A few rounds of what `python -m tests.durability` does in hundreds: killed at random moments, nothing is lost."""

from pathlib import Path

import pytest

from tests.durability.__main__ import KILLED, crashed

ROUNDS = 4


@pytest.mark.parametrize("subject", KILLED)
def test_killed_at_random_moments_it_loses_no_acknowledged_write_and_leaves_none_half_done(
    tmp_path: Path, subject: str
) -> None:
    tally = crashed(subject, ROUNDS, 1, tmp_path, occurrences=300)
    assert (tally.faults, tally.rounds) == ([], ROUNDS)
