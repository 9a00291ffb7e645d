"""What is told of who was refused, and of who changed something: a log line and a metric each, so many a minute.

    refused: GET /v1/services, 401 unknown token (token -, from 192.0.2.1)
    done: PUT /v1/sampling (token 0b54c9f1, from 192.0.2.1)

A token is told by its id alone, and of what a client sends only the address that the gateway saw: nothing that somebody
writes into a request reaches the log. Under an attack a function tells `LINES_A_MINUTE_MAX` of each kind a minute;
the next line that it tells counts those that it did not, and so does the metric.
"""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_logger = logging.getLogger(__name__)

LINES_A_MINUTE_MAX = 10
"""The lines of each kind and function instance in a minute: enough to see what happens, and a cent a day if it never
ends."""
_WINDOW_SECONDS = 60
_FIGURES = {"refused": "requests_refused", "done": "changes"}
"""Kind of event → its metric."""


class Event(NamedTuple):
    kind: str
    """refused or done."""
    route: str
    """Method and path as the application has it, without what a client put into it."""
    why: str
    """The reason in words of Clew's own; empty for what was done."""
    token_ids: Sequence[str]
    source_ip: str

    def __str__(self) -> str:
        why = f", {self.why}" if self.why else ""
        tokens = ",".join(self.token_ids) or "-"
        return f"{self.kind}: {self.route}{why} (token {tokens}, from {_address(self.source_ip)})"


def _address(text: str) -> str:
    """An IP address, or `?`: what stands before the gateway may have said anything."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return "?"


class Audit:
    """Tells events through `write`, and their number through `count`; safe to call from several threads."""

    def __init__(
        self,
        write: Callable[[Event, int], None],
        count: Callable[[Mapping[str, int]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """write: told an event, and how many of its kind were not told before it."""
        self._write = write
        self._count = count
        self._clock = clock
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._told: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    def tell(self, event: Event) -> None:
        with self._lock:
            untold = self._turn_of(event.kind)
        if untold is not None:
            self._write(event, untold)
            self._count({_FIGURES[event.kind]: untold + 1})

    def _turn_of(self, kind: str) -> int | None:
        """How many were not told since the last that was; None if this one is not told either."""
        now = self._clock()
        if now - self._began.get(kind, -_WINDOW_SECONDS) >= _WINDOW_SECONDS:
            self._began[kind], self._told[kind] = now, 0
        if self._told[kind] >= LINES_A_MINUTE_MAX:
            self._untold[kind] = self._untold.get(kind, 0) + 1
            return None
        self._told[kind] += 1
        return self._untold.pop(kind, 0)


def _write(event: Event, untold: int) -> None:
    from chalicelib.telemetry import start_logging

    start_logging("api_handler")
    left_out = f"; {untold} more were not told" if untold else ""
    # As members of their own in the JSON line, and as a sentence for people.
    members = {
        "route": event.route,
        "why": event.why,
        "token_ids": list(event.token_ids),
        "source_ip": _address(event.source_ip),
        "untold": untold,
    }
    _logger.warning("%s%s", event, left_out, extra=members)


def _count(figures: Mapping[str, int]) -> None:
    from chalicelib.telemetry import emit

    emit("access", figures)


AUDIT = Audit(_write, _count)
"""The audit log of this function instance."""
