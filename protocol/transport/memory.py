"""How this process keeps memory that messages have left."""

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT = 128 * 1024 * 1024
"""Bytes that may stay with the process after their messages are gone."""
LARGEST = 32 * 1024 * 1024
"""Bytes of a block that may be kept; the most that glibc takes."""


@cache
def keep_freed_memory() -> bool:
    """Have malloc keep what is freed, up to KEPT bytes, for the next message; whether it does.

    glibc returns large blocks to the system at once, which then clears every page of the next message anew: 0.2 ms for
    each MB, more than it takes to receive it. Other systems' allocators are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl, macOS
        return False
    return bool(mallopt(_MMAP_THRESHOLD, LARGEST) and mallopt(_TRIM_THRESHOLD, KEPT))


def give_back_memory() -> None:
    """Return to the system what is kept now, after something unusual has come and gone."""
    if keep_freed_memory():
        ctypes.CDLL(None).malloc_trim(0)
