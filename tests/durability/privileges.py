"""Commands that file permissions hold for, whoever runs the tests: root's are stripped of the power to pass them by."""

import ctypes
import os
import sys
from collections.abc import Callable

_DROP_FROM_BOUNDING_SET = 24
_PASS_PERMISSIONS_BY = (1, 2)
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""


def without_override() -> Callable[[], None] | None:
    """What a process has to do before it runs the command; None where it need do nothing."""
    if os.geteuid() != 0 or sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def drop() -> None:
        for capability in _PASS_PERMISSIONS_BY:
            if libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "a capability could not be dropped")

    return drop
