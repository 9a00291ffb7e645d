"""The native dialect's JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model.edges import EdgeKind, Edges
from chalicelib.model.measure import ZERO_BUCKET, Measure, bucket_of
from chalicelib.model.statistics import Statistics
from chalicelib.native.render import edges_json, histogram_json, statistics_json
from chalicelib.query.edges import EdgesBetween
from chalicelib.query.snapshot import Seconds
from chalicelib.query.statistics import ServiceStatistics


def measure(*durations: int, errors: int = 0) -> Measure:
    made = Measure(0, errors, 0)
    for duration in durations:
        made.add(Measure(1, 0, duration, {bucket_of(duration): 1}))
    return made


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_a_histogram_is_dense_from_its_offset(durations):
    """OTLP's form: every bucket from the first to the last, zero durations apart, all counts as strings."""
    made = measure(*durations)
    found = histogram_json(made)
    counts = {
        found["positive"]["offset"] + place: int(count)
        for place, count in enumerate(found["positive"]["bucketCounts"])
        if count != "0"
    }
    if zeros := int(found["zeroCount"]):
        counts[ZERO_BUCKET] = zeros
    assert counts == made.buckets
    assert found["scale"] == 5


def test_series_have_a_point_for_each_step_with_calls():
    """Series by name and kind with a point for each step with calls; rates are calls a second."""
    step = Statistics()
    step.series["GET", 2] = measure(0, 1, 1_000_000, errors=1)
    step.entry = measure(1_000_000)
    total = step.copy()
    answer = ServiceStatistics("shop", Seconds(120, 240), 60, {180: step}, total, True)
    found = statistics_json(answer)
    figures = {
        "calls": 3,
        "errors": 1,
        "p50_nano": "1",
        "p75_nano": found["total"]["p50_nano"],
        "p90_nano": found["total"]["p50_nano"],
        "p95_nano": found["total"]["p50_nano"],
        "p99_nano": found["total"]["p50_nano"],
        "histogram": histogram_json(step.series["GET", 2]),
    }
    assert found["series"] == [
        {
            "span_name": "GET",
            "kind": "server",
            "points": [{"start_time_unix_nano": "180000000000", "rate": 3 / 60, **figures}],
            "total": {"rate": 3 / 120, **figures},
        }
    ]
    assert abs(int(found["total"]["p99_nano"]) - 1_000_000) <= 11_000
    assert found["start_time_unix_nano"] == "120000000000"
    assert found["end_time_unix_nano"] == "240000000000"
    assert found["step_nano"] == "60000000000"
    assert found["other"] is None
    assert found["folded"] == {"renamed_calls": 0, "other_calls": 0}
    assert found["warnings"] == []


def test_what_may_be_off_is_said():
    """An answer during which the fold ran on and on says so; names above the cap are shown together."""
    total = Statistics()
    total.other = measure(5)
    total.renamed_calls = 7
    found = statistics_json(ServiceStatistics("s", Seconds(0, 60), 60, {}, total, False))
    assert found["other"]["calls"] == 1
    assert found["folded"] == {"renamed_calls": 7, "other_calls": 1}
    assert len(found["warnings"]) == 1


def test_edges_with_calls_are_listed_sorted():
    """Edges with calls, sorted; those whose calls were all taken away are left out."""
    edges = Edges()
    edges.offer(("shop", "db", EdgeKind.DATABASE), measure(7, errors=1), bytes(15) + b"\x01")
    edges.offer(("shop", "cart", EdgeKind.RPC), measure(7), b"")
    edges.offer(("a", "gone", EdgeKind.EXTERNAL), Measure(), bytes(15) + b"\x02")
    found = edges_json(EdgesBetween(Seconds(0, 60), edges, True))
    assert [
        (each["callee"], each["kind"], each["exemplar_trace_id"]) for each in found["edges"]
    ] == [
        ("cart", "rpc", None),
        ("db", "database", "0" * 31 + "1"),
    ]
    assert set(found["edges"][0]) == {
        *("caller", "callee", "kind", "calls", "errors"),
        *("p50_nano", "p95_nano", "p99_nano", "exemplar_trace_id"),
    }
