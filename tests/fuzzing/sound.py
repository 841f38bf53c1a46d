"""What holds of a store whatever was asked of it."""

from owlmetry_mcp.backends.store import checking
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.backends.store.transactions import Transaction


def assert_sound(store: Store) -> None:
    assert store.read(wrong) == []


def wrong(tx: Transaction) -> list[str]:
    """What `owlmetry-mcp check` finds wrong in it."""
    found = (finding for _, findings in checking.checks(tx) for finding in findings)
    return [finding.said for finding in found if finding.kind == "wrong"]
