"""What can go wrong. Each error says what happened in the API's words and, as a hint, what to do next."""

from typing import ClassVar


class OwlmetryError(Exception):
    """A request that was not carried out; nothing of it was kept."""

    status: ClassVar[int] = 500
    """The HTTP status that the API answers with."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        """The API's `error`, word for word where the API has one."""
        self.hint = hint
        """What is allowed, or what to do next; empty where the message says it."""

    def __str__(self) -> str:
        if not self.hint:
            return self.message
        return f"{self.message}{'' if self.message.endswith('.') else '.'} {self.hint}"


class InvalidInputError(OwlmetryError):
    """A parameter that the operation cannot take."""

    status = 400


class ForbiddenMoveError(InvalidInputError):
    """A status move that the lifecycle does not have."""


class UnauthenticatedError(OwlmetryError):
    """No credential, a wrong one, or one that is no longer valid."""

    status = 401


class PermissionDeniedError(OwlmetryError):
    """A valid credential that may not do this."""

    status = 403


class NotFoundError(OwlmetryError):
    """Nothing there, or nothing that this caller may see: the two look the same."""

    status = 404


class ConflictError(OwlmetryError):
    """What is to be added is there already."""

    status = 409


class StoreError(OwlmetryError):
    """The store's file cannot be used."""


class StoreBusyError(StoreError):
    """Another process kept the store locked for longer than this one waits."""

    status = 503


class UnavailableError(OwlmetryError):
    """The server could not be reached, or does not answer as it should; nothing was changed."""

    status = 503


class EndpointError(OwlmetryError):
    """What answers there is no Owlmetry API; nothing was changed."""

    status = 502


class FateUnknownError(OwlmetryError):
    """A write was sent, and whether it was carried out could not be found out."""

    status = 504
