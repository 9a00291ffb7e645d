"""The time that a laptop deletes by is one that has been, whatever its clock is set to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.proven_now import ProvenNow, passed_seconds

SECONDS = st.integers(0, 10**10)


class Times:
    """A clock that anybody may set, and one that nobody can."""

    def __init__(self, clock: int) -> None:
        self.clock = clock
        self.passed = 5

    def now(self, known: int | None = None) -> ProvenNow:
        return ProvenNow(known, clock=lambda: self.clock, passed=lambda: self.passed)


@given(SECONDS, SECONDS, st.lists(st.tuples(st.integers(0, 10**6), SECONDS), max_size=9))
def test_never_later_than_what_has_passed(known, clock, steps):
    """It is at most the known time with what has passed since, and at most what the clock says."""
    times = Times(clock)
    proven = times.now(known)
    for passed, times.clock in steps:
        times.passed += passed
        assert proven.unix_seconds() == min(times.clock, known + times.passed - 5)


def test_without_a_record():
    """Where nothing is known the clock is believed as it was at the start, and no later jump of it."""
    times = Times(1_000)
    proven = times.now()
    times.clock, times.passed = 10**9, 25
    assert proven.unix_seconds() == 1_020


def test_passed_seconds_do_not_go_back():
    """What has passed never becomes less."""
    assert passed_seconds() <= passed_seconds()
