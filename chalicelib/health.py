"""Whether what this function depends on answers: asked at most every few seconds, however often somebody wants to know.

Who asks needs no token, and so must not be able to make Clew work.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_logger = logging.getLogger(__name__)

KEPT_SECONDS = 5
"""Load balancers and people ask every ten seconds or less often."""


class Health:
    """What `probes`, by the name of what each asks, have found out last; one that raises has found nothing."""

    def __init__(
        self,
        probes: Mapping[str, Callable[[], object]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probes = probes
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._silent: list[str] = []

    def silent(self) -> list[str]:
        """The names of those that do not answer."""
        with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at >= KEPT_SECONDS:
                self._silent = [name for name, probe in self._probes.items() if not _answers(probe)]
                # From the end on: a probe may take as long as it waits.
                self._asked_at = self._clock()
            return self._silent


def _answers(probe: Callable[[], object]) -> bool:
    try:
        probe()
    except Exception as error:
        _logger.warning("not healthy: %s", error)
        return False
    return True
