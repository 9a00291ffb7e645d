"""A lower bound of the current time. A laptop deletes by this bound, whatever its clock says.

    newest record ──plus what has passed since the start──▶ proven ──never later than the clock──▶ now

A clock that is weeks ahead, from the start or later, makes nothing old; one that is behind keeps things longer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def passed_seconds() -> float:
    """Return monotonic seconds that do not depend on the clock. A laptop's sleep counts where the system counts it."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class ProvenNow:
    """A clock that counts from a known time in the past."""

    def __init__(
        self,
        known_unix_seconds: int | None = None,
        *,
        clock: Callable[[], float] = time.time,
        passed: Callable[[], float] = passed_seconds,
    ) -> None:
        """`known_unix_seconds` is the time of the newest record; if it is None, the clock is trusted."""
        self._clock = clock
        self._passed = passed
        known = clock() if known_unix_seconds is None else known_unix_seconds
        self._zero = known - passed()

    def unix_seconds(self) -> int:
        return int(min(self._clock(), self._zero + self._passed()))
