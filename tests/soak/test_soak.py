"""`make soak`, in small: nothing that was acknowledged under ten times the load is lost, and all of it counts once."""

from __future__ import annotations

import pytest

from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from tests.payloads import NOON_NANO
from tests.soak.__main__ import lines
from tests.soak.soak import Bodies, measure, slope


@pytest.mark.slow
def test_nothing_is_lost():
    """What was acknowledged in a burst of ten times the rate is counted, to the span, and found."""
    found = measure(1.0, 1)
    hard = found["burst"]
    assert hard["acknowledged_spans"] > found["steady"]["spans"]
    assert hard["counted_spans"] == hard["acknowledged_spans"]
    assert hard["requests_refused_without_retry_after"] == 0
    assert hard["sample_found"] == "50 of 50"
    assert len(lines(found)) == 3


def test_each_request_of_the_load_has_its_own_traces():
    """Each request has traces of its own, and the one that is asked for is among them."""
    bodies = Bodies(NOON_NANO)
    seen: set[bytes] = set()
    for number in range(1, 40):
        request = bodies.next()
        spans = list(spans_of(request.body, Scopes()))
        trace_ids = {span.trace_id for span in spans}
        assert len(spans) == 512
        assert request.trace_id == bodies.trace_id_of(number)
        assert request.trace_id in trace_ids
        assert not seen & trace_ids
        seen |= trace_ids


def test_the_slope_of_a_line_is_found():
    """The slope of a line is found, and of a single point it is none."""
    assert slope([(0, 1.0), (1, 3.0), (2, 5.0)]) == pytest.approx(2)
    assert slope([(0, 1.0)]) == 0
