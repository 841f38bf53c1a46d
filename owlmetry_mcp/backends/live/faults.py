"""What can become of a request on its way, sorted by what may be done about it."""

from owlmetry_mcp.issues.errors import UnavailableError


class FaultError(Exception):
    """A request that got no answer of use. Its text says why, in words that may follow a colon."""


class NotArrivedError(FaultError):
    """The server surely never saw the request: no connection was made."""


class ThrottledError(FaultError):
    """The server refused the request for now (429), and did nothing."""

    def __init__(self, reason: str, after_seconds: float | None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds
        """How long the server asks to wait, if it says."""


class LostError(FaultError):
    """The request went out; whether it was carried out is not known."""

    def __init__(self, reason: str, *, may_still_arrive: bool) -> None:
        super().__init__(reason)
        self.may_still_arrive = may_still_arrive
        """Nothing ended the request, only our patience: it may yet be carried out."""


class OutOfTimeError(UnavailableError):
    """A read that the server might yet answer, were there time: what was read before it stands."""
