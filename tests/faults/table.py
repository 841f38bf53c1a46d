"""Every operation under every fault: what comes of it. The documentation's table is made of this one.

`python -m tests.faults.table` writes it anew.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from owlmetry_mcp.backends.base import Backend
from owlmetry_mcp.issues.filters import EventFilter, IssueFilter
from tests.faults import proxy
from tests.faults.proxy import Fault
from tests.triage_rows import unheard
from tests.world import SYMBOLS

DOCUMENT = Path(__file__).parents[2] / "docs" / "faults.md"
SHOP, TIMEOUT, DUPLICATE, COMMENT = (SYMBOLS[name] for name in ("shop", "i_timeout", "i_timeout_dup", "c_2"))
ALL = IssueFilter(data_mode="all")
EVENT, SESSION = SYMBOLS["nil"], SYMBOLS["ghost"]
"""An event that there is, and its session: see test_faults."""

Operation = Callable[[Backend], Awaitable[Any]]
READS: dict[str, Operation] = {
    "whoami": lambda to: to.whoami(),
    "list_projects": lambda to: to.list_projects(),
    "list_issues": lambda to: to.list_issues(SHOP, ALL),
    "list_team_issues": lambda to: to.list_team_issues(ALL),
    "get_issue": lambda to: to.get_issue(SHOP, TIMEOUT),
    "list_comments": lambda to: to.list_comments(SHOP, TIMEOUT),
    "get_event": lambda to: to.get_event(EVENT),
    "list_events": lambda to: to.list_events(EventFilter(SESSION)),
    "get_breadcrumbs": lambda to: to.get_breadcrumbs(EVENT),
}
WRITES: dict[str, Operation] = {
    "update_status": lambda to: to.update_status(SHOP, TIMEOUT, "in_progress"),
    "merge": lambda to: to.merge(SHOP, TIMEOUT, DUPLICATE),
    "add_comment": lambda to: to.add_comment(SHOP, TIMEOUT, "Found it."),
    "edit_comment": lambda to: to.edit_comment(SHOP, TIMEOUT, COMMENT, "Edited."),
    "delete_comment": lambda to: to.delete_comment(SHOP, TIMEOUT, COMMENT),
}
TRIAGE: dict[str, Operation] = {
    "list_apps": lambda to: to.list_apps(unheard),
    "issues": lambda to: to.issues(SHOP, ALL, 10_000, unheard),
    "find_issues": lambda to: to.find_issues("ffffffff", unheard),
    "examine": lambda to: to.examine(SHOP, TIMEOUT, latest=5, progress=unheard),
    "overview": lambda to: to.overview(SHOP, unheard),
    "coincidences": lambda to: to.coincidences(SHOP, None, unheard),
    "coincidences of one": lambda to: to.coincidences(SHOP, TIMEOUT, unheard),
}
"""Made of many reads each, some of them at once."""

STATUSES = (500, 502, 503, 504)
FAULTS: dict[str, Fault] = {
    "connection cut before the request went through": proxy.cut_before,
    "connection cut after the request went through": proxy.cut_after,
    "connection cut in the midst of the answer": proxy.cut_mid_answer,
    "time-out, the request never went through": proxy.never_answered,
    "time-out, the request went through": proxy.answered_too_late,
    "time-out, the request goes through later": proxy.arrives_late,
    "connection cut, the request goes through later": proxy.cut_and_arrives_late,
    "502, the request goes through later": proxy.bad_gateway_and_arrives_late,
    "an answer that drips in, slower than the time given": proxy.slow_drip,
    "200 with garbage for a body": proxy.garbage,
    "200 with a proxy's HTML page": proxy.html,
    "an answer that lacks its ids": proxy.lacks_ids,
    "429 without Retry-After": proxy.throttled,
    "429 with Retry-After": proxy.throttled_for_a_while,
    **{
        f"{status} {'after' if after else 'before'} the request went through": proxy.answers(status, after=after)
        for after in (False, True)
        for status in STATUSES
    },
}
REFUSED = "connection refused, then taken"
NOT_FOUND = "the server's name is not found"
AWAY = "connections refused for good"


def outcome(operation: str, fault: str) -> str:
    """What comes of an operation whose first request meets the fault, where all that follow pass."""
    if fault in (NOT_FOUND, AWAY):
        return "told" if operation in READS else "told; not done"
    if operation in READS or operation in TRIAGE:
        return "told: the answer lacks its ids" if fault == "an answer that lacks its ids" else "answered"
    # Nothing shows that it will not yet arrive, and a comment is not to come twice.
    if operation == "add_comment" and ("before" in fault or "never" in fault):
        return "said to be unknown; not done"
    return "done once"


INTRODUCTION = """\
# What a live server's faults come to

The first request of an operation meets the fault; all after it pass. *Done once*: the answer is the one of a faultless
call, and the server holds the change exactly once. Lost writes that were answered as done: 0. Doubled writes: 0. The
tests in `tests/faults` prove each cell, and make this page.
"""
CONCLUSION = """\
What a triage asks for besides, apps, very many issues, an id's beginning, an issue examined, an overview, coincidences,
is made of many such reads, and ends as they do; when time is up, of those that were answered, but for apps.

Where every request fails, a read tells that the server cannot be used, and why. So does a write that was not done. A
write that went out, and of which nothing can be found out any more, is *said to be unknown*: the agent is told to look
before it tries again.
"""


def document() -> str:
    operations = [*READS, *WRITES]
    lines = [
        f"| fault | {' | '.join(f'`{operation}`' for operation in operations)} |",
        "|---" * (len(operations) + 1) + "|",
        *(
            f"| {fault} | {' | '.join(outcome(operation, fault) for operation in operations)} |"
            for fault in (NOT_FOUND, AWAY, REFUSED, *FAULTS)
        ),
    ]
    return "\n".join([INTRODUCTION, *lines, "", CONCLUSION])


if __name__ == "__main__":
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(document())
