"""`owlmetry-mcp check`: what is wrong in a store, a line a finding on standard output, and its counts mended.

A line begins with `ok`, `note`, `wrong` or `mended`, then the check's name.
"""

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from contextlib import closing

from owlmetry_mcp.backends.store import derived, recounting
from owlmetry_mcp.backends.store.checking import Finding, checks
from owlmetry_mcp.backends.store.file import open_as_it_is, refuse_older
from owlmetry_mcp.backends.store.transactions import transaction
from owlmetry_mcp.issues import times
from owlmetry_mcp.issues.errors import StoreError
from owlmetry_mcp.settings import Settings

_BEYOND_REPAIR = ("integrity", "schema")
_MENDED = ("counts", "derived")


def check(parsed: Namespace, settings: Settings) -> None:
    """
    Raises:
        StoreError: something is wrong, or the store cannot be read.
    """
    path = settings.store
    with closing(open_as_it_is(path)) as connection:
        refuse_older(connection, path)
        with transaction(connection, path, times.now, writing=False) as tx:
            wrong = Counter({name: _shown(name, findings) for name, findings in checks(tx)})
            if any(wrong[name] for name in _BEYOND_REPAIR):
                raise StoreError(f"The store {path} is damaged", "Restore it from a backup; nothing in it was changed.")
        if parsed.repair and any(wrong[name] for name in _MENDED):
            with transaction(connection, path, times.now, writing=True) as tx:
                mended = recounting.mend(tx)
                derived.make_anew(tx)
            for it in mended:
                print(f"mended counts issue {it.issue_id}: {it.column} was {it.kept}, is {it.recounted}")
            if wrong["derived"]:
                print("mended derived what is kept for reads was made anew")
            print(f"Mended {len(mended) + wrong['derived']:,} counts.", file=sys.stderr)
            wrong = Counter({name: count for name, count in wrong.items() if name not in _MENDED})
    if wrong.total():
        mendable = sum(wrong[name] for name in _MENDED)
        counts = " `check --repair` mends the counts." if mendable else ""
        restore = " Restore a backup, or import an export into a new store, for the rest."
        rest = restore if wrong.total() > mendable else ""
        raise StoreError(f"The store {path} is not sound: {wrong.total():,} wrong.{counts}{rest}")
    print(f"The store {path} is sound.", file=sys.stderr)


def _shown(name: str, findings: Iterable[Finding]) -> int:
    """How many wrong things there are among them, or that there are none."""
    wrong = 0
    for found in findings:
        print(f"{found.kind} {name} {found.said}")
        wrong += found.kind == "wrong"
    if not wrong:
        print(f"ok {name}")
    return wrong
