"""The trail of who changed what, written in the transaction of the change itself."""

from owlmetry_mcp.backends.store.access import Caller
from owlmetry_mcp.backends.store.transactions import Transaction, json_text


def record(tx: Transaction, actor: Caller | None, action: str, subject_id: str, **detail: object) -> None:
    """One line of the trail. Without an actor it was the operator, at the command line."""
    tx.insert(
        "audit",
        {
            "at": tx.now,
            "actor_type": actor.type if actor else "operator",
            "actor_id": actor.id if actor else None,
            "actor_name": actor.name if actor else None,
            "action": action,
            "subject_id": subject_id,
            "detail": json_text(detail),
        },
    )
