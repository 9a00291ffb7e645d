"""Stand-in for EventBridge: it calls the scheduled functions at their rates, with scheduled events.

Source: Amazon EventBridge User Guide, "Rate expressions" and "Scheduled Event".
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_logger = logging.getLogger(__name__)

_RATE = re.compile(r"rate\(([1-9]\d*) (minute|hour|day)(s?)\)")
_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}


class Schedule(NamedTuple):
    name: str
    interval_seconds: int
    function: Callable[[dict[str, Any]], object]


def seconds_from_rate(expression: str) -> int:
    """Return the interval of a rate expression: `rate(1 minute)` in the singular, `rate(5 minutes)` in the plural.

    Raises ValueError for anything else, cron expressions too: they do not run on a laptop.
    """
    match = _RATE.fullmatch(expression)
    if match is None or (match[1] == "1") == bool(match[3]):
        raise ValueError(f"{expression!r} is not a rate expression such as rate(1 minute)")
    return int(match[1]) * _SECONDS[match[2]]


def scheduled_event(name: str, unix_seconds: float, region: str) -> dict[str, Any]:
    """Return the event that EventBridge sends to the target of a scheduled rule."""
    instant = datetime.fromtimestamp(int(unix_seconds), UTC)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": instant.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [f"arn:aws:events:{region}:123456789012:rule/clew-local-{name}"],
        "detail": {},
    }


class Clock:
    """Runs schedules in a thread of its own, each for the first time one interval after the start.

    A run that takes longer than its interval delays the next one; missed runs are not made up for.
    """

    def __init__(
        self,
        schedules: Sequence[Schedule],
        region: str,
        *,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """`wait` sleeps for so many seconds and returns whether to end; by default it returns True after `stop`."""
        self._schedules = schedules
        self._region = region
        self._now = now
        self._stopping = threading.Event()
        self._wait = wait or self._stopping.wait
        self._running = threading.Lock()
        self._thread = threading.Thread(target=self.run, name="schedule", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def run_all(self) -> None:
        """Run every schedule once, now, in this thread. Raises what a function raises."""
        for schedule in self._schedules:
            self._run(schedule)

    def run(self) -> None:
        """Run each schedule when it is due, until `stop`. A function that fails is logged and called again."""
        due = {schedule: self._now() + schedule.interval_seconds for schedule in self._schedules}
        while due:
            schedule = min(due, key=lambda one: due[one])
            if self._wait(max(0, due[schedule] - self._now())):
                return
            try:
                self._run(schedule)
            except Exception:
                _logger.exception("the scheduled function %s failed", schedule.name)
            due[schedule] = max(due[schedule], self._now()) + schedule.interval_seconds

    def _run(self, schedule: Schedule) -> None:
        with self._running:
            schedule.function(scheduled_event(schedule.name, self._now(), self._region))
