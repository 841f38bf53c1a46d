"""A scan of nothing new, in a store that is open: `python -m benchmarks.scanning STORE` prints its milliseconds."""

import sys
import time
from pathlib import Path
from statistics import median

from owlmetry_mcp.backends.store.scan import scan_all
from owlmetry_mcp.backends.store.store import Store

_CALLS = 50


def milliseconds(store: Store) -> float:
    begun = time.perf_counter()
    scanned = scan_all(store.write)
    if scanned.errors:
        raise SystemExit(f"there was something to scan: {scanned}")
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    with Store(Path(sys.argv[1])) as opened:
        print(median(milliseconds(opened) for _ in range(_CALLS)))
