"""Every operation for every kind of caller: what comes of it. The documentation's tables are made of these.

`python -m tests.permissions.table` writes them anew.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.world import SYMBOLS

DOCUMENT = Path(__file__).parents[2] / "docs" / "permissions.md"
SHOP, TIMEOUT, DUPLICATE, CLAIMED = (SYMBOLS[name] for name in ("shop", "i_timeout", "i_timeout_dup", "i_claimed"))
EVENT, SESSION = SYMBOLS["nil"], SYMBOLS["ghost"]
"""An event of the shop's, and its session."""
OWN, ANOTHERS = "own comment", "another's comment"
"""Comments on the issue that is claimed; their ids are put in their places when they are there."""
SENT = {"message": "It broke", "level": "error", "session_id": SESSION}

_PROJECT = f"/v1/projects/{SHOP}/issues"
_ISSUE = f"{_PROJECT}/{TIMEOUT}"
_COMMENTS = f"{_PROJECT}/{CLAIMED}/comments"
_AT: dict[str, Any] = {"project_id": SHOP, "issue_id": TIMEOUT}
_ON: dict[str, Any] = {"project_id": SHOP, "issue_id": CLAIMED}


@dataclass(frozen=True)
class Operation:
    needs: str | None
    """The permission of a key; None: being anyone will do."""
    route: tuple[str, str, Any] | None = None
    """Method, path and body."""
    tool: tuple[str, dict[str, Any]] | None = None
    resource: str | None = None


OPERATIONS = {
    "whoami": Operation(None, ("GET", "/v1/auth/whoami", None), ("whoami", {})),
    "list_projects": Operation("projects:read", ("GET", "/v1/projects", None), ("list_projects", {})),
    "list_issues": Operation("issues:read", ("GET", _PROJECT, None), ("list_issues", {"project_id": SHOP})),
    "list_team_issues": Operation("issues:read", ("GET", "/v1/issues", None), ("list_issues", {})),
    "get_issue": Operation(
        "issues:read", ("GET", _ISSUE, None), ("get_issue", _AT), f"owlmetry://projects/{SHOP}/issues/{TIMEOUT}"
    ),
    "overview": Operation(
        "issues:read", None, ("triage_overview", {"project_id": SHOP}), f"owlmetry://projects/{SHOP}/overview"
    ),
    "find_duplicates": Operation("issues:read", None, ("find_duplicates", {"project_id": SHOP})),
    "list_comments": Operation("issues:read", ("GET", f"{_ISSUE}/comments", None), ("list_comments", _AT)),
    "list_events": Operation("events:read", ("GET", f"/v1/events?session_id={SESSION}", None)),
    "get_event": Operation("events:read", ("GET", f"/v1/events/{EVENT}", None), ("get_event", {"event_id": EVENT})),
    "get_breadcrumbs": Operation("events:read", None, ("get_breadcrumbs", {"event_id": EVENT})),
    "add_comment": Operation(
        "issues:write", ("POST", f"{_ISSUE}/comments", {"body": "Hm."}), ("comment", _AT | {"body": "Hm."})
    ),
    "edit_comment, one's own": Operation(
        "issues:write",
        ("PATCH", f"{_COMMENTS}/{OWN}", {"body": "So."}),
        ("edit_comment", _ON | {"comment_id": OWN, "body": "So."}),
    ),
    "edit_comment, another's": Operation(
        "issues:write",
        ("PATCH", f"{_COMMENTS}/{ANOTHERS}", {"body": "So."}),
        ("edit_comment", _ON | {"comment_id": ANOTHERS, "body": "So."}),
    ),
    "delete_comment, one's own": Operation(
        "issues:write", ("DELETE", f"{_COMMENTS}/{OWN}", None), ("delete_comment", _ON | {"comment_id": OWN})
    ),
    "delete_comment, another's": Operation(
        "issues:write", ("DELETE", f"{_COMMENTS}/{ANOTHERS}", None), ("delete_comment", _ON | {"comment_id": ANOTHERS})
    ),
    "update_status": Operation(
        "issues:write", ("PATCH", _ISSUE, {"status": "silenced"}), ("update_status", _AT | {"status": "silenced"})
    ),
    "merge": Operation(
        "issues:write",
        ("POST", f"{_ISSUE}/merge", {"source_issue_id": DUPLICATE}),
        ("merge", {"project_id": SHOP, "target_issue_id": TIMEOUT, "source_issue_id": DUPLICATE}),
    ),
    "ingest": Operation("events:write", ("POST", "/v1/ingest", {"bundle_id": "com.example.shop", "events": [SENT]})),
    "import": Operation("events:write", ("POST", "/v1/import", {"events": [SENT]})),
}
"""On the shop, in this order, so that none is in another's way."""

ALL = ("issues:read", "issues:write", "events:read", "projects:read")
UNKNOWN = (
    "nobody: no credential",
    "another scheme than Bearer",
    "an unknown key",
    "a revoked key",
    "an expired key",
    "an expired token",
    "a token with alg none",
    "a token signed with another secret",
    "a token signed by another algorithm",
    "a token that never expires",
    "a token of a removed user",
    "what is neither key nor token",
)
KEYS: dict[str, tuple[str, ...]] = {
    "agent key without permissions": (),
    **{f"agent key with {permission}": (permission,) for permission in ALL},
    "read-only agent key": ("issues:read", "events:read", "projects:read"),
    "agent key": ALL,
    "local agent key": ALL,
    "agent key of another team": ALL,
    "client key": ("events:write",),
    "import key": ("events:write",),
}
USERS = ("owner", "admin", "member", "member of another team", "user in no team")
CALLERS = (*UNKNOWN, *KEYS, *USERS)
STRANGERS = ("agent key of another team", "member of another team", "user in no team")
WITHOUT_MCP = UNKNOWN[:2]
"""Without a credential, an agent acts as the local agent key."""
WITHOUT_REST = ("local agent key",)
SENDERS = {"ingest": "client key", "import": "import key"}
LISTS = ("list_projects", "list_team_issues", "list_events")
"""Of whatever the caller may see, which may be nothing."""
FOR_EVERYONE = ("/health", "/openapi.json")
YES, NOTHING = "yes", "yes, nothing of it"


def outcome(operation: str, caller: str) -> str:
    needed = OPERATIONS[operation].needs
    if caller in UNKNOWN:
        cell = "401"
    elif needed is None:
        cell = YES
    elif operation in SENDERS:
        cell = YES if caller == SENDERS[operation] else "403"
    elif caller in KEYS and needed not in KEYS[caller]:
        cell = "403"
    elif caller in STRANGERS:
        cell = NOTHING if operation in LISTS else "404"
    elif operation == "edit_comment, another's":
        cell = "403"
    elif operation == "delete_comment, another's":
        cell = YES if caller in ("owner", "admin") else "403"
    else:
        cell = YES
    return cell


INTRODUCTION = """\
# Who may do what

Of a project's issues, over HTTP as a status, and to an agent in words: *401*, it is not known who asks; *403*, they may
not; *404*, there is no such thing, as far as they can see. What is another team's looks like what does not exist. The
tests in `tests/permissions` prove each cell at both doors, and make this page.

Without a credential, an agent that works on a store acts as its local agent key; over HTTP there is no such thing, and
nothing but `/health` and `/openapi.json` is for everyone.
"""


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def document() -> str:
    doors = [
        _row(["operation", "needs of a key", "over HTTP", "tool", "resource"]),
        "|---" * 5 + "|",
        *(
            _row([
                name,
                f"`{it.needs}`" if it.needs else "nothing",
                f"`{it.route[0]} {_templated(it.route[1])}`" if it.route else "",
                f"`{it.tool[0]}`" if it.tool else "",
                f"`{_templated(it.resource)}`" if it.resource else "",
            ])
            for name, it in OPERATIONS.items()
        ),
    ]  # fmt: skip
    outcomes = [
        _row(["caller", *OPERATIONS]),
        "|---" * (len(OPERATIONS) + 1) + "|",
        *(_row([caller, *(outcome(operation, caller) for operation in OPERATIONS)]) for caller in CALLERS),
    ]
    return "\n".join([INTRODUCTION, *outcomes, "", *doors, ""])


def _templated(path: str) -> str:
    names = {SHOP: "{project_id}", TIMEOUT: "{issue_id}", CLAIMED: "{issue_id}", EVENT: "{event_id}"}
    names |= {OWN: "{comment_id}", ANOTHERS: "{comment_id}"}
    for value, name in names.items():
        path = path.replace(value, name)
    return path.partition("?")[0]


if __name__ == "__main__":
    DOCUMENT.write_text(document())
