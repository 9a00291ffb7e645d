"""The clock runs scheduled functions as EventBridge does."""

from __future__ import annotations

import pytest

from local.schedule import Clock, Schedule, scheduled_event, seconds_from_rate


class FakeTime:
    """A clock that jumps when somebody waits, and ends after so many waits."""

    def __init__(self, waits_max: int) -> None:
        self.now = 1_000.0
        self._left = waits_max

    def wait(self, seconds: float) -> bool:
        self._left -= 1
        self.now += seconds
        return self._left < 0


def clock_of(schedules: list[Schedule], time: FakeTime) -> Clock:
    return Clock(schedules, "us-east-1", now=lambda: time.now, wait=time.wait)


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [
        ("rate(1 minute)", 60),
        ("rate(5 minutes)", 300),
        ("rate(2 hours)", 7_200),
        ("rate(1 day)", 86_400),
    ],
)
def test_a_rate_expression_is_a_number_and_a_unit(expression, seconds):
    """A rate expression is a number and a unit."""
    assert seconds_from_rate(expression) == seconds


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(1 second)",
        "cron(0 * * * ? *)",
        "",
    ],
)
def test_not_a_rate(expression):
    """What EventBridge refuses as a rate is refused, cron expressions too, for they do not run here."""
    with pytest.raises(ValueError, match="rate expression"):
        seconds_from_rate(expression)


def test_a_scheduled_event_has_the_shape_of_eventbridge():
    """A scheduled event has EventBridge's shape."""
    event = scheduled_event("fold", 1_800_000_000.9, "eu-west-1")
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2027-01-15T08:00:00Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:events:eu-west-1:123456789012:rule/clew-local-fold"],
        "detail": {},
    }


def test_each_schedule_runs_at_its_own_interval():
    """Each schedule runs at its own interval, first after one of them."""
    time = FakeTime(waits_max=7)
    runs = []
    schedules = [
        Schedule("minute", 60, lambda event: runs.append(("minute", time.now))),
        Schedule("often", 25, lambda event: runs.append(("often", time.now))),
    ]
    clock_of(schedules, time).run()
    assert runs == [
        ("often", 1_025),
        ("often", 1_050),
        ("minute", 1_060),
        ("often", 1_075),
        ("often", 1_100),
        ("minute", 1_120),
        ("often", 1_125),
    ]


def test_failure_is_not_the_end(caplog):
    """A function that raises is said, and called again."""
    time = FakeTime(waits_max=3)
    runs = []

    def fail(event):
        runs.append(time.now)
        raise RuntimeError("told to fail")

    clock_of([Schedule("fold", 60, fail)], time).run()
    assert runs == [1_060, 1_120, 1_180]
    assert "told to fail" in caplog.text


def test_slow_function():
    """A function that takes longer than its interval is not called to make up for it."""
    time = FakeTime(waits_max=2)
    runs = []

    def slow(event):
        runs.append(time.now)
        time.now += 200

    clock_of([Schedule("fold", 60, slow)], time).run()
    assert runs == [1_060, 1_320]


def test_run_all():
    """Running all at once lets what a function raises through."""
    time = FakeTime(0)
    clock = clock_of([Schedule("fold", 60, lambda event: 1 / 0)], time)
    with pytest.raises(ZeroDivisionError):
        clock.run_all()


def test_nothing_scheduled():
    """A clock without schedules ends at once."""
    clock_of([], FakeTime(0)).run()
