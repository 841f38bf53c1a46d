"""`owlmetry-mcp scan` and `prune`: events into issues, and out of the store."""

import sys
from argparse import Namespace

from owlmetry_mcp.backends.store import retention
from owlmetry_mcp.backends.store.scan import Scanned, scan_all
from owlmetry_mcp.backends.store.store import Store
from owlmetry_mcp.settings import Settings


def scan(_: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        store.expect_much()
        scanned = scan_all(store.write_much)
    print(told(scanned), file=sys.stderr)


def told(scanned: Scanned) -> str:
    if not scanned.errors:
        return "There was nothing to scan: no new errors, or none that another scan has not taken."
    new = f"{scanned.opened:,} opened, {scanned.regressed:,} regressed, {scanned.reopened:,} reopened"
    return f"Issues: {new}; {scanned.occurrences:,} new occurrences, from {scanned.errors:,} errors."


def prune(parsed: Namespace, settings: Settings) -> None:
    with Store(settings.store) as store:
        older_than = store.read(lambda tx: retention.oldest_kept(tx, parsed.days))
        deleted, last = 0, 0
        while True:
            done = store.write(lambda tx: retention.prune_batch(tx, older_than, after=last))  # noqa: B023 - called at once
            deleted += done.events
            if done.last is None:
                break
            last = done.last
    print(f"Pruned {deleted:,} events from before {older_than[:10]}; issues stay as they are.", file=sys.stderr)
