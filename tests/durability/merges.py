"""A merge of two large issues, killed at a random moment: all has moved and the source is gone, or nothing has."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from threading import Thread

from owlmetry_mcp.backends.store.transactions import Transaction
from tests.durability.crashes import AUTHOR
from tests.durability.ground import grow, looked_at, prepare, wrongs
from tests.durability.links import Answer, StdioLink
from tests.durability.streams import Write
from tests.durability.tally import Tally

ISSUES = 8
"""Of a store; once they are merged into one, a copy of the store as it was is gone on with."""


class Merges:
    def __init__(self, directory: Path, random: Random, occurrences: int) -> None:
        self._random = random
        self._path = directory / "store.db"
        self._copy = directory / "copy.db"
        self._seconds = 1.0
        """What a merge takes, going by those before."""
        self._project, (party,) = prepare(self._path, ["Ada"])
        grow(self._path, party.app_id, random, ISSUES, occurrences)
        shutil.copyfile(self._path, self._copy)
        self._issues: dict[str, int] = looked_at(self._path, _issues)

    def round(self, tally: Tally) -> None:
        if len(self._issues) == 1:
            shutil.copyfile(self._copy, self._path)
            self._issues = looked_at(self._path, _issues)
        target, source = self._random.sample(sorted(self._issues), 2)
        after = {issue: count for issue, count in self._issues.items() if issue != source}
        after[target] += self._issues[source]
        write = Write("merge", {"target_issue_id": target, "source_issue_id": source}, after)
        answer = self._killed(write)
        found: dict[str, int] = looked_at(self._path, _issues)
        tally.acknowledged += answer is not None
        if answer is None:
            tally.kept += found == after
            tally.not_kept += found == self._issues
        if found not in [after, *[self._issues] * (answer is None)]:
            tally.faults.append(f"after a merge of {source} into {target} of {self._issues} there are {found}")
        self._issues = found
        tally.faults += wrongs(self._path)

    def _killed(self, write: Write) -> Answer | None:
        """The answer, if it came before."""
        link = StdioLink(self._path, self._project, OWLMETRY_AGENT_NAME=AUTHOR)
        link.ask("", Write("whoami", {}, {}))
        answers: list[Answer | None] = []
        asking = Thread(target=lambda: answers.append(self._timed(link, write)))
        asking.start()
        patience = self._random.uniform(0.2, 1.2) * self._seconds
        link.outlives(patience)
        link.kill()
        asking.join()
        if answers[0] is None:
            self._seconds = max(self._seconds, patience)
        return answers[0]

    def _timed(self, link: StdioLink, write: Write) -> Answer | None:
        started = time.monotonic()
        answer = link.ask("", write)
        if answer is not None:
            self._seconds = time.monotonic() - started
        return answer

    def finish(self, tally: Tally) -> None: ...


def _issues(tx: Transaction) -> dict[str, int]:
    """The occurrences of each issue, counted."""
    rows: Sequence[tuple[str, int]] = tx.all(
        "SELECT i.id, count(o.key) FROM issues i LEFT JOIN occurrences o ON o.issue = i.key GROUP BY i.key"
    )
    return dict(rows)
