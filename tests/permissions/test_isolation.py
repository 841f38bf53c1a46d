"""What is another team's looks, by every way there is to it, as what does not exist."""

import json
import re
from typing import Any

import pytest
from mcp import Client, MCPError
from mcp_types import ResourceTemplateReference

from owlmetry_mcp.backends.store.store import Store
from tests.permissions.callers import FOREIGN_APP, FOREIGN_EVENT, FOREIGN_SESSION, Crowd
from tests.permissions.table import CLAIMED, DUPLICATE, SHOP, TIMEOUT
from tests.permissions.test_permissions import http_of, server_of, words
from tests.world import FIXTURE, SYMBOLS

THEIRS = {
    "PROJECT": SYMBOLS["foreign_project"],
    "ISSUE": SYMBOLS["i_foreign"],
    "COMMENT": SYMBOLS["c_foreign"],
    "TEAM": SYMBOLS["team_b"],
    "APP": FOREIGN_APP,
    "EVENT": FOREIGN_EVENT,
    "SESSION": FOREIGN_SESSION,
    "NAME": "Foreign",
    "APP-NAME": next(row["name"] for row in FIXTURE["apps"] if row["id"] == FOREIGN_APP),
    "TEAM-NAME": "Other Team",
}
NOBODYS = {
    **{what: f"dddddd0{number}-0000-4000-8000-000000000000" for number, what in enumerate([*THEIRS][:7])},
    "NAME": "Nowhere",
    "APP-NAME": "No such app",
    "TEAM-NAME": "No such team",
}

CALLS: list[tuple[str, dict[str, Any]]] = [
    ("triage_overview", {"project_id": "PROJECT"}),
    ("triage_overview", {"project_id": "NAME"}),
    ("list_issues", {"project_id": "PROJECT"}),
    ("list_issues", {"project_id": "PROJECT", "status": "new"}),
    ("list_issues", {"project_id": "PROJECT:8"}),
    ("list_issues", {"project_id": "NAME"}),
    ("list_issues", {"team_id": "TEAM"}),
    ("list_issues", {"team_id": "TEAM-NAME"}),
    ("list_issues", {"app_id": "APP"}),
    ("list_issues", {"app_id": "APP-NAME"}),
    ("get_issue", {"issue_id": "ISSUE"}),
    ("get_issue", {"issue_id": "ISSUE:8"}),
    ("get_issue", {"issue_id": "ISSUE", "project_id": "PROJECT"}),
    ("get_issue", {"issue_id": "ISSUE", "project_id": SHOP}),
    ("get_issue", {"issue_id": TIMEOUT, "project_id": "PROJECT"}),
    ("get_event", {"event_id": "EVENT"}),
    ("get_event", {"event_id": "EVENT:9"}),
    ("get_breadcrumbs", {"event_id": "EVENT"}),
    ("find_duplicates", {"project_id": "PROJECT"}),
    ("find_duplicates", {"issue_id": "ISSUE"}),
    ("list_comments", {"issue_id": "ISSUE", "project_id": "PROJECT"}),
    ("list_comments", {"issue_id": "ISSUE", "project_id": SHOP}),
    ("update_status", {"issue_id": "ISSUE", "project_id": "PROJECT", "status": "silenced"}),
    ("update_status", {"issue_id": "ISSUE", "project_id": SHOP, "status": "silenced"}),
    ("update_status", {"issue_id": "ISSUE:8", "status": "silenced"}),
    ("merge", {"target_issue_id": TIMEOUT, "source_issue_id": "ISSUE", "project_id": SHOP}),
    ("merge", {"target_issue_id": "ISSUE", "source_issue_id": DUPLICATE, "project_id": SHOP}),
    ("merge", {"target_issue_id": TIMEOUT, "source_issue_id": DUPLICATE, "project_id": "PROJECT"}),
    ("comment", {"issue_id": "ISSUE", "project_id": "PROJECT", "body": "x"}),
    ("comment", {"issue_id": "ISSUE", "project_id": SHOP, "body": "x"}),
    ("edit_comment", {"issue_id": "ISSUE", "project_id": "PROJECT", "comment_id": "COMMENT", "body": "x"}),
    ("edit_comment", {"issue_id": TIMEOUT, "project_id": SHOP, "comment_id": "COMMENT", "body": "x"}),
    ("delete_comment", {"issue_id": CLAIMED, "project_id": SHOP, "comment_id": "COMMENT"}),
    ("delete_comment", {"issue_id": TIMEOUT, "project_id": SHOP, "comment_id": "COMMENT:8"}),
]
URIS = [
    "owlmetry://projects/PROJECT/overview",
    "owlmetry://projects/NAME/overview",
    "owlmetry://projects/PROJECT/issues/ISSUE",
    f"owlmetry://projects/{SHOP}/issues/ISSUE",
    f"owlmetry://projects/PROJECT/issues/{TIMEOUT}",
]
PROMPTS: list[tuple[str, dict[str, str]]] = [
    ("triage", {"project_id": "PROJECT"}),
    ("triage", {"project_id": "NAME"}),
    ("weekly_report", {"project_id": "PROJECT"}),
    ("investigate", {"issue_id": "ISSUE"}),
    ("investigate", {"issue_id": "ISSUE", "project_id": "PROJECT"}),
]
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/v1/projects/PROJECT/issues", None),
    ("GET", "/v1/projects/PROJECT/issues/ISSUE", None),
    ("GET", f"/v1/projects/{SHOP}/issues/ISSUE", None),
    ("GET", f"/v1/projects/PROJECT/issues/{TIMEOUT}", None),
    ("GET", f"/v1/projects/{SHOP}/issues?app_id=APP", None),
    ("GET", f"/v1/projects/{SHOP}/issues?cursor=ISSUE", None),
    ("GET", f"/v1/projects/{SHOP}/issues/{TIMEOUT}?occurrence_cursor=ISSUE", None),
    ("GET", "/v1/issues?team_id=TEAM", None),
    ("GET", "/v1/issues?project_id=PROJECT", None),
    ("GET", "/v1/issues?app_id=APP", None),
    ("GET", "/v1/events?session_id=SESSION", None),
    ("GET", "/v1/events/EVENT", None),
    ("PATCH", "/v1/projects/PROJECT/issues/ISSUE", {"status": "silenced"}),
    ("PATCH", f"/v1/projects/{SHOP}/issues/ISSUE", {"status": "silenced"}),
    ("POST", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/merge", {"source_issue_id": "ISSUE"}),
    ("POST", "/v1/projects/PROJECT/issues/ISSUE/merge", {"source_issue_id": TIMEOUT}),
    ("GET", "/v1/projects/PROJECT/issues/ISSUE/comments", None),
    ("POST", f"/v1/projects/{SHOP}/issues/ISSUE/comments", {"body": "x"}),
    ("PATCH", "/v1/projects/PROJECT/issues/ISSUE/comments/COMMENT", {"body": "x"}),
    ("PATCH", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/comments/COMMENT", {"body": "x"}),
    ("DELETE", f"/v1/projects/{SHOP}/issues/{TIMEOUT}/comments/COMMENT", None),
]


def spelt(value: Any, things: dict[str, str]) -> Any:
    """With things in the places that name them: whole, or so many characters of them."""
    if not isinstance(value, str):
        return value and {name: spelt(inner, things) for name, inner in value.items()}
    word = re.compile(rf"\b({'|'.join(sorted(things, key=len, reverse=True))})(?::(\d))?\b")
    return word.sub(lambda found: things[found[1]][: int(found[2] or 99)], value)


def unspelt(text: str, things: dict[str, str]) -> str:
    """The text, with the things, or their beginnings, as what names them; and the fence's marker as one that is always
    the same.
    """
    for name, value in sorted(things.items(), key=lambda thing: -len(thing[1])):
        text = text.replace(value, name)
    for name, value in [*things.items()][:7]:
        text = text.replace(value[:8], f"{name}:")
    return re.sub(r"(?<=<)[a-z]{4}\b|\b[a-z]{4}(?=>)", "mark", text)


@pytest.mark.parametrize("caller", ["agent key", "owner"])
async def test_to_an_agent_it_does_not_exist(crowd: Crowd, store: Store, caller: str) -> None:
    before = contents(store)
    told: list[list[str]] = []
    async with Client(server_of(store, crowd.credentials[caller])) as client:
        for things in (THEIRS, NOBODYS):
            told.append([])
            for tool, arguments in CALLS:
                result = await client.call_tool(tool, spelt(arguments, things))
                told[-1].append(unspelt(f"{tool} {result.is_error} {words(result)}", things))
            for uri in URIS:
                with pytest.raises(MCPError) as refused:
                    await client.read_resource(spelt(uri, things))
                told[-1].append(unspelt(refused.value.error.message, things))
            for prompt, arguments in PROMPTS:
                with pytest.raises(MCPError) as refused:
                    await client.get_prompt(prompt, spelt(arguments, things))
                told[-1].append(unspelt(refused.value.error.message, things))
    assert told[0] == told[1]
    assert not [words for words in told[0] if "Secret of the other team" in words]
    assert contents(store) == before


@pytest.mark.parametrize("caller", ["agent key", "owner"])
def test_over_http_it_does_not_exist(crowd: Crowd, store: Store, caller: str) -> None:
    before = contents(store)
    http, headers = http_of(store), {"Authorization": f"Bearer {crowd.credentials[caller]}"}
    told: list[list[str]] = []
    for things in (THEIRS, NOBODYS):
        answers = [
            http.request(method, spelt(path, things), json=spelt(body, things), headers=headers)
            for method, path, body in REQUESTS
        ]
        told.append([unspelt(f"{answer.status_code} {answer.text}", things) for answer in answers])
    assert told[0] == told[1]
    assert {text[:3] for text in told[0]} == {"200", "400", "404"}
    assert not [text for text in told[0] if "Secret of the other team" in text]
    assert contents(store) == before


@pytest.mark.parametrize("caller", ["agent key", "owner"])
async def test_it_is_neither_listed_nor_offered_to_complete(crowd: Crowd, store: Store, caller: str) -> None:
    template = ResourceTemplateReference(uri="owlmetry://projects/{project_id}/issues/{issue_id}")
    async with Client(server_of(store, crowd.credentials[caller])) as client:
        shown = [(await client.list_resources()).model_dump_json()]
        for name, beginnings in {"project_id": ["", "For", THEIRS["PROJECT"][:8]], "issue_id": ["", "Secret"]}.items():
            for beginning in beginnings:
                argument = {"name": name, "value": beginning}
                shown.append((await client.complete(template, argument)).model_dump_json())
    assert len(json.loads(shown[1])["completion"]["values"]) > 0
    assert not [text for text in shown for theirs in ("Secret", *THEIRS.values()) if theirs in text]


def contents(store: Store) -> list[str]:
    return store.read(lambda tx: [*tx.connection.iterdump()])
