"""Asking the person before what cannot be undone, where the client can ask one and the setting says so.

In the older era of the protocol the question goes to the client in the midst of the call, in the newer one the call is
answered with it and made again with the answer; the SDK does either, for a parameter that is resolved by a function.
"""

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Protocol, cast

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from owlmetry_mcp.asking.desk import Desk
from owlmetry_mcp.backends.base import one_call
from owlmetry_mcp.issues.errors import InvalidInputError, NotFoundError, OwlmetryError, PermissionDeniedError
from owlmetry_mcp.issues.models import KeyIdentity
from owlmetry_mcp.issues.quoting import quoted
from owlmetry_mcp.server.options import Confirm, Options

_MOST_QUOTED = 300
_LEAST_QUOTED = 60


class Server(Protocol):
    """What a question to the person needs of the server."""

    desk: Desk
    options: Options


class Confirmation(BaseModel):
    confirm: bool = Field(description="Yes, do it; it cannot be undone")


NOT_ASKED = Confirmation(confirm=True)


def asks(ctx: Context, setting: Confirm) -> bool:
    """Whether a person is to be asked.

    Raises:
        ToolError: one is to be asked, and cannot be.
    """
    if setting == "never":
        return False
    elicitation = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    # A client of the time before there were modes declares none of them, and can show forms.
    able = elicitation is not None and (elicitation.form is not None or elicitation.url is None)
    if setting == "always" and not able:
        raise ToolError(
            "Nothing was changed: OWLMETRY_CONFIRM=always has a person confirm this, and this client cannot ask one."
        )
    return able


def require(outcome: object) -> None:
    """
    Raises:
        ToolError: the person did not say yes.
    """
    if isinstance(outcome, AcceptedElicitation) and outcome.data.confirm:
        return
    raise ToolError("Nothing was changed: the person who was asked did not confirm it. Do not try again unasked.")


def one_or_several(name: str, one: str | None, several: Sequence[str] | None) -> Sequence[str]:
    """
    Raises:
        InvalidInputError: neither is given, or both.
    """
    if one is not None and several is not None:
        raise InvalidInputError(f"{name} and {name}s were both given", "Give one of them.")
    if one is not None:
        return [one]
    if several is not None:
        return several
    raise InvalidInputError(f"{name} is required", f"It takes an issue's id; {name}s takes several.")


class Merge(NamedTuple):
    """What a merge is to do: the sources that can be merged, and why the others cannot, by what the caller named them.

    It is worked out before the question, and is all that is done after it.
    """

    project_id: str
    target_id: str
    sources: dict[str, str]
    failures: dict[str, OwlmetryError]
    question: str
    """Empty where no one is asked."""


async def planned_merge(
    ctx: Context,
    target_issue_id: str,
    source_issue_id: str | None,
    source_issue_ids: list[str] | None,
    project_id: str | None,
) -> Merge:
    server = cast(Server, ctx.mcp_server)
    desk = server.desk
    wanted = one_or_several("source_issue_id", source_issue_id, source_issue_ids)
    project, target = await desk.issue(target_issue_id, project_id, "target_issue_id", surely=True)
    asking = asks(ctx, server.options.confirm)
    into = await _title(desk, project, target, _MOST_QUOTED) if asking else ""
    sources: dict[str, str] = {}
    failures: dict[str, OwlmetryError] = {}
    titles: list[str] = []
    with one_call(operations=1):
        for named in dict.fromkeys(wanted):
            try:
                _, source = await desk.issue(named, project, "source_issue_id", surely=True)
                if source in sources.values():
                    continue
                if asking and source == target:
                    raise InvalidInputError(
                        "Cannot merge an issue into itself", "source_issue_id names the issue that is to be deleted."
                    )
                if asking:
                    titles.append(await _title(desk, project, source, max(_MOST_QUOTED // len(wanted), _LEAST_QUOTED)))
                sources[named] = source
            except OwlmetryError as error:
                failures[named] = error
    ask = f"Merge {'; '.join(titles)} into {into}? What is merged is deleted. It cannot be undone." if titles else ""
    if ask:
        await _require_write(desk)
    return Merge(project, target, sources, failures, ask)


async def _title(desk: Desk, project: str, issue: str, most: int) -> str:
    found = await desk.backend().get_issue(project, issue, occurrence_limit=1)
    return f"{quoted(found.title, most)} ({issue})"


async def confirm_merge(plan: Annotated[Merge, Resolve(planned_merge)]) -> Confirmation | Elicit[Confirmation]:
    return Elicit(plan.question, Confirmation) if plan.question else NOT_ASKED


class Deletion(NamedTuple):
    """The comment that is to be deleted."""

    project_id: str
    issue_id: str
    comment_id: str
    question: str
    """Empty where no one is asked."""


async def planned_deletion(ctx: Context, issue_id: str, comment_id: str, project_id: str | None) -> Deletion:
    server = cast(Server, ctx.mcp_server)
    desk = server.desk
    project, issue = await desk.issue(issue_id, project_id, surely=True)
    wanted = await desk.comment(project, issue, comment_id)
    if not asks(ctx, server.options.confirm):
        return Deletion(project, issue, wanted, "")
    comments = await desk.backend().list_comments(project, issue)
    said = [f"{quoted(row.author_name)}: {quoted(row.body, _MOST_QUOTED)}" for row in comments if row.id == wanted]
    if not said:
        raise NotFoundError("Comment not found", "list_comments shows the comments that the issue has.")
    await _require_write(desk)
    return Deletion(project, issue, wanted, f"Delete the comment by {said[0]}? It cannot be undone.")


async def confirm_deletion(plan: Annotated[Deletion, Resolve(planned_deletion)]) -> Confirmation | Elicit[Confirmation]:
    return Elicit(plan.question, Confirmation) if plan.question else NOT_ASKED


async def _require_write(desk: Desk) -> None:
    """So that no one is asked about what would be refused.

    Raises:
        PermissionDeniedError: the key may not write.
    """
    identity = await desk.backend().whoami()
    if isinstance(identity, KeyIdentity) and "issues:write" not in identity.permissions:
        raise PermissionDeniedError(
            "Missing permission: issues:write", "Ask for a key that has it; whoami shows what this one has."
        )
