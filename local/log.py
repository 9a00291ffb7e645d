"""Rate limit for log lines: a problem of every request is logged once a minute."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_SECONDS = 60.0
KEPT_MAX = 1_000
"""Cache size in lines; a program has a few dozen."""


class OncePerMinute(logging.Filter):
    """A filter that passes one line a minute of each format string; the next one says how many were dropped."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said_at: dict[tuple[object, ...], float] = {}
        self._kept_back: dict[tuple[object, ...], int] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        exception = record.exc_info[0] if record.exc_info else None
        key = (record.name, record.levelno, record.msg, exception)
        now = self._clock()
        with self._lock:
            said_at = self._said_at.get(key)
            if said_at is not None and now - said_at < PAUSE_SECONDS:
                self._kept_back[key] = self._kept_back.get(key, 0) + 1
                return False
            if len(self._said_at) >= KEPT_MAX:
                self._said_at.clear()
            self._said_at[key] = now
            kept_back = self._kept_back.pop(key, 0)
        if kept_back:
            record.msg = f"{record.msg} (and {kept_back} more like this since it was last said)"
        return True


def say_once_a_minute() -> None:
    """Add the filter to the root logger's handlers. The journal's lines all pass: it logs each thing once by itself."""
    once = OncePerMinute()
    for handler in logging.getLogger().handlers:
        handler.addFilter(lambda record: record.name == "local.journal" or once.filter(record))
