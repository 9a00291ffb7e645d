"""What glibc's allocator does not do by itself for a process that lives for weeks; elsewhere nothing happens."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""malloc.h: how many heaps there are at most."""


def share_one_heap() -> None:
    """Of Python's threads one runs at a time; a heap for each of a dozen would only keep what another could use.

    Before threads are started.
    """
    if libc := _glibc():
        libc.mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Return free memory to the system: it is many small pieces, and without being told glibc returns only the last."""
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    return libc if hasattr(libc, "malloc_trim") else None
