"""What goes wrong with every request is said once a minute."""

from __future__ import annotations

import logging

import pytest

from local.log import KEPT_MAX, PAUSE_SECONDS, OncePerMinute


class Said(logging.Handler):
    def __init__(self, clock):
        super().__init__()
        self.lines = []
        self.addFilter(OncePerMinute(clock))

    def emit(self, record):
        self.lines.append(record.getMessage())


@pytest.fixture
def times():
    return [0.0]


@pytest.fixture
def said(times):
    return Said(lambda: times[0])


@pytest.fixture
def logger(said):
    logger = logging.getLogger("clew-test-log")
    logger.propagate = False
    logger.addHandler(said)
    yield logger
    logger.removeHandler(said)


def test_once_a_minute(logger, said, times):
    """Lines that differ in their figures are one line a minute, and the next one says how many there were."""
    for number in range(5):
        logger.warning("not accepted: %d", number)
    times[0] = PAUSE_SECONDS
    logger.warning("not accepted: %d", 5)
    logger.warning("not accepted: %d", 6)
    times[0] = 3 * PAUSE_SECONDS
    logger.warning("not accepted: %d", 7)
    assert said.lines == [
        "not accepted: 0",
        "not accepted: 5 (and 4 more like this since it was last said)",
        "not accepted: 7 (and 1 more like this since it was last said)",
    ]


def test_others_are_said(logger, said):
    """Another line, another level and another kind of exception are said at once."""
    logger.warning("one")
    logger.warning("two")
    logger.error("one")
    for error in (ValueError("x"), OSError("y"), OSError("z")):
        logger.error("one", exc_info=error)
    assert said.lines == ["one", "two", "one", "one", "one"]


def test_all_different_lines_are_said_and_not_all_remembered(logger, said):
    """Lines that are all different are all said, and not all remembered."""
    for number in range(2 * KEPT_MAX):
        logger.warning(f"line {number}")  # noqa: G004
    assert len(said.lines) == 2 * KEPT_MAX
    assert len(said.filters[0]._said_at) <= KEPT_MAX
