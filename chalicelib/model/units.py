"""Units of time in nanoseconds, in which OTLP has its times and durations."""

from __future__ import annotations

MICRO_NANO = 1_000
MILLI_NANO = 1_000_000
SECOND_NANO = 1_000_000_000
HOUR_NANO = 3_600 * SECOND_NANO
