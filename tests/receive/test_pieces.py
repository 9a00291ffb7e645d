"""Whoever works on a body looks at its time, and ends when it is over."""

from __future__ import annotations

import threading

import pytest

from chalicelib.errors import OutOfTime
from chalicelib.receive.pieces import piece_done, within
from tests.bounds.probe import route
from tests.bounds.test_bounds import BODIES

BODY_BYTES = 2_000_000
LOOK_BYTES = 200_000
"""There is a look at least as often."""
SENT = [
    *[(dialect, "good: spans alone") for dialect in ("otlp-json", "zipkin-v2-json")],
    *[("zipkin-v1-json", "good: spans alone"), ("zipkin-v1-thrift", "good: binary annotations")],
    ("jaeger-binary", "good: short tags"),
    ("zipkin-v2-proto3", "spans, annotations of a time"),
]


class Time:
    """Is over at the `last` look."""

    def __init__(self, last: float = float("inf")) -> None:
        self.looks = 0
        self._last = last

    def __call__(self) -> bool:
        self.looks += 1
        return self.looks < self._last


@pytest.mark.parametrize(("dialect", "name"), SENT)
def test_every_reader_looks_at_the_time(dialect, name):
    """While a body is taken apart, whatever its dialect, the time is looked at again and again."""
    body, time_left = BODIES[dialect][name](BODY_BYTES), Time()
    with within(time_left):
        answer = route(dialect)(body)
    assert answer.status < 500
    assert time_left.looks >= len(body) / LOOK_BYTES


@pytest.mark.parametrize(("dialect", "name"), SENT)
def test_out_of_time(dialect, name):
    """A sender whose body could not be taken apart in time is told to send again."""
    with within(Time(last=3)):
        answer = route(dialect)(BODIES[dialect][name](BODY_BYTES))
    assert answer.status == 503
    assert answer.headers["Retry-After"]
    assert b"no time left for the whole body: send again" in answer.body


def test_a_large_protobuf_request_looks_at_the_time():
    """Protobuf is parsed by megabytes: after each there is a look."""
    body, time_left = BODIES["otlp-protobuf"]["good: attributes"](4_000_000), Time()
    with within(time_left):
        assert route("otlp-protobuf")(body).status == 200
    assert time_left.looks >= 4
    with within(Time(last=2)):
        assert route("otlp-protobuf")(body).status == 503


def test_a_time_is_that_of_one_thread():
    """What is worked on in other threads, and afterwards, has a time of its own, or none."""
    raised: list[Exception] = []

    def work() -> None:
        try:
            piece_done(10**9)
        except OutOfTime as error:
            raised.append(error)

    with within(lambda: False):
        other = threading.Thread(target=work)
        other.start()
        other.join()
        assert not raised
        work()
        assert len(raised) == 1
    work()
    assert len(raised) == 1
