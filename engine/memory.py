"""How freed memory is kept for the next use.

A training step allocates and frees the same hundred megabytes again and again. glibc maps every
large block by itself and gives it back to the system at once, and every page of the next one is
cleared and mapped anew: up to a third of the time of a step. So it is told to take all blocks from
one heap for all threads, and to keep what was freed. Where there is no glibc nothing is changed.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # of mallopt(3)
_KEPT_BYTES = 2**30


def keep_freed() -> None:
    """For the whole process, from now on; before a thread's first allocation, for its arena."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, amount in ((_ARENA_MAX, 1), (_TRIM_THRESHOLD, _KEPT_BYTES), (_MMAP_MAX, 0)):
        mallopt(parameter, amount)
