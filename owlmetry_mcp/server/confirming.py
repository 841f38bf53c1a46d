"""Asking the person before what cannot be undone, where the client can ask one and the setting says so.

In the older era of the protocol the question goes to the client in the midst of the call, in the newer one the call is
answered with it and made again with the answer; the SDK does either, for a parameter that is resolved by a function.
"""

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field

from owlmetry_mcp.server.options import Confirm


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


def question(words: str) -> Elicit[Confirmation]:
    return Elicit(words, Confirmation)


def require(outcome: object) -> None:
    """
    Raises:
        ToolError: the person did not say yes.
    """
    if isinstance(outcome, AcceptedElicitation) and outcome.data.confirm:
        return
    raise ToolError("Nothing was changed: the person who was asked did not confirm it. Do not try again unasked.")
