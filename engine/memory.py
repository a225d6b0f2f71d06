"""How freed memory is kept for the next use.

A training step allocates and frees the same hundred megabytes again and again. glibc gives large
blocks back to the system at once, and every page of the next one is cleared and mapped anew: a
fifth of the time of a step. So it is told to keep what was freed, in one arena for all threads.
Where there is no glibc nothing is changed.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of mallopt(3)
_KEPT_BYTES = 2**30
_LARGEST_BLOCK_KEPT = 2**25  # bytes; what mallopt allows at most


def keep_freed() -> None:
    """For the whole process, from now on; before a thread's first allocation, for its arena."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, amount in (
        (_ARENA_MAX, 1),
        (_TRIM_THRESHOLD, _KEPT_BYTES),
        (_MMAP_THRESHOLD, _LARGEST_BLOCK_KEPT),
    ):
        mallopt(parameter, amount)
