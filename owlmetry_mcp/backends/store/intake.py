"""Batches of events as the API takes them: those that are no events are told by their places, the rest is kept."""

from collections.abc import Sequence

from owlmetry_mcp.backends.store import events
from owlmetry_mcp.backends.store.access import Sender
from owlmetry_mcp.backends.store.transactions import Transaction
from owlmetry_mcp.issues.errors import InvalidInputError, PermissionDeniedError
from owlmetry_mcp.issues.events import MAX_AGE, MAX_IMPORTED, MAX_INGESTED, NewEvent, Terms, checked
from owlmetry_mcp.issues.models import Ingested, RejectedEvent


def ingest(tx: Transaction, sender: Sender, found: object, bundle_id: object) -> Ingested:
    """
    Raises:
        InvalidInputError: no events, more than 100, or no bundle id where the app has one.
        PermissionDeniedError: the bundle id is another app's.
    """
    batch = _batch(found, MAX_INGESTED, f"Maximum batch size is {MAX_INGESTED}")
    if sender.bundle_id is not None:
        if not bundle_id:
            raise InvalidInputError("bundle_id is required", "It is the app's, as the store has it.")
        if bundle_id != sender.bundle_id:
            raise PermissionDeniedError("bundle_id does not match the app associated with this API key")
    good, errors = _checked(batch, Terms.at(tx.now, sender.platform, MAX_AGE))
    taken = events.take_in(tx, sender.app, sender.key, good)
    return _answer(Ingested(accepted=taken.accepted, rejected=len(errors)), errors)


def import_events(tx: Transaction, sender: Sender, found: object) -> Ingested:
    """
    Raises:
        InvalidInputError: no events, or more than 1,000.
    """
    batch = _batch(found, MAX_IMPORTED, f"Maximum import batch size is {MAX_IMPORTED}")
    good, errors = _checked(batch, Terms.at(tx.now, sender.platform, None))
    taken = events.take_in_again(tx, sender.app, sender.key, good)
    return _answer(Ingested(accepted=taken.accepted, updated=taken.known, rejected=len(errors)), errors)


def _batch(found: object, most: int, message: str) -> list[object]:
    if not isinstance(found, list) or not found:
        raise InvalidInputError("events array is required")
    if len(found) > most:
        raise InvalidInputError(message, "Send the events in smaller batches.")
    return found


def _checked(batch: Sequence[object], terms: Terms) -> tuple[list[NewEvent], list[RejectedEvent]]:
    good, errors = [], []
    for index, event in enumerate(batch):
        try:
            good.append(checked(event, terms))
        except InvalidInputError as error:
            errors.append(RejectedEvent(index=index, message=f"events[{index}]: {error.message}"))
    return good, errors


def _answer(ingested: Ingested, errors: list[RejectedEvent]) -> Ingested:
    return ingested.model_copy(update={"errors": errors}) if errors else ingested
