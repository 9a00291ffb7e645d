"""Settings of glibc's allocator for a process that lives for weeks. Without glibc nothing happens."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""M_ARENA_MAX of malloc.h: the largest number of heaps (arenas)."""


def share_one_heap() -> None:
    """Make all threads share one heap: one thread runs at a time, and separate heaps would keep free memory apart.

    Call it before threads are started.
    """
    if libc := _glibc():
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return all free memory to the system; by itself glibc returns only the end of the heap."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "malloc_trim") else None
