"""Who a server takes us for."""

from owlmetry_mcp.backends.live.answers import checked
from owlmetry_mcp.backends.live.wire import Deadline, Wire
from owlmetry_mcp.issues.models import Identity, KeyIdentity, UserIdentity


async def identify(wire: Wire, deadline: Deadline | None = None) -> Identity:
    return identity_of(await wire.read("/v1/auth/whoami", None, deadline))


def identity_of(answer: object) -> Identity:
    """
    Raises:
        UnavailableError: it says nothing of the kind.
    """
    is_user = isinstance(answer, dict) and answer.get("type") == "user"
    return checked(UserIdentity, answer) if is_user else checked(KeyIdentity, answer)
