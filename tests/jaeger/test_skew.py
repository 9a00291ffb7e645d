"""Clocks that differ: Jaeger's own cases, in milliseconds, and how it writes durations."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from chalicelib.jaeger.skew import Timed, duration_text, host_of, skews

MILLI = 10**6
SECOND = 1_000 * MILLI


class Case(NamedTuple):
    name: str
    spans: list[tuple[str, str, int, int, str]]
    """Id, parent, start, duration, host."""
    starts: list[int]
    """After."""
    warning: str = ""
    """The last."""
    max_milli: int = 1_000


ROOT = ("1", "", 10, 100, "a")
CASES = [
    Case(
        "a parent that is not there",
        [("1", "63", 0, 100, "a")],
        [0],
        "parent span ID=63 is not in the trace; skipping clock skew adjustment",
    ),
    Case("no host", [("1", "", 0, 100, "")], [0]),
    Case(
        "two under one id",
        [("1", "", 0, 100, "a"), ("1", "", 0, 100, "a")],
        [0, 0],
        "duplicate span IDs; skipping clock skew adjustment",
    ),
    Case("one host, inside", [("1", "", 0, 100, "a"), ("2", "1", 10, 50, "a")], [0, 10]),
    Case("one host, before", [ROOT, ("2", "1", 0, 50, "a")], [10, 0]),
    Case("another host, inside", [ROOT, ("2", "1", 20, 50, "b")], [10, 20]),
    Case("another host, longer than its parent", [ROOT, ("2", "1", 20, 150, "b")], [10, 20]),
    Case(
        "too far ahead",
        [ROOT, ("2", "1", 0, 50, "b")],
        [10, 0],
        "max clock skew adjustment delta of 10ms exceeded; not applying calculated delta of 35ms",
        10,
    ),
    Case(
        "too far behind",
        [ROOT, ("2", "1", 80, 50, "b")],
        [10, 80],
        "max clock skew adjustment delta of 10ms exceeded; not applying calculated delta of -45ms",
        10,
    ),
    Case(
        "not wanted",
        [ROOT, ("2", "1", 0, 50, "b")],
        [10, 0],
        "clock skew adjustment disabled; not applying calculated delta of 35ms",
        0,
    ),
    Case(
        "before its parent",
        [ROOT, ("2", "1", 0, 50, "b")],
        [10, 35],
        "This span's timestamps were adjusted by 35ms",
    ),
    Case(
        "before its parent, and longer",
        [ROOT, ("2", "1", 0, 150, "b")],
        [10, 10],
        "This span's timestamps were adjusted by 10ms",
    ),
    Case(
        "ends after its parent, and its host's child with it",
        [ROOT, ("2", "1", 50, 70, "b"), ("3", "2", 60, 20, "b")],
        [10, 25, 35],
        "This span's timestamps were adjusted by -25ms",
    ),
    Case(
        "unknown hosts are different ones",
        [("1", "", 10, 100, ""), ("2", "1", 0, 50, "")],
        [10, 35],
        "This span's timestamps were adjusted by 35ms",
    ),
    Case("a circle has no root", [("1", "2", 0, 9, "a"), ("2", "1", 50, 9, "b")], [0, 50]),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_only_spans_outside_their_parents_are_moved(case):
    """Only what lies outside a parent of another host is moved, no further than allowed, and it is said."""
    spans = [
        Timed(id_, parent, start * MILLI, duration * MILLI, host)
        for id_, parent, start, duration, host in case.spans
    ]
    found = skews(spans, case.max_milli * MILLI)
    starts = [
        span.start_nano + (found[place].delta_nano if place in found else 0)
        for place, span in enumerate(spans)
    ]
    assert starts == [start * MILLI for start in case.starts]
    warnings = [warning for skew in found.values() for warning in skew.warnings]
    assert (warnings[-1] if warnings else "") == case.warning


def test_deep_traces():
    """A chain of a hundred thousand spans is no deeper than the stack."""
    spans = [
        Timed(str(n), str(n - 1) if n else "", n, 10**6 - n, str(n % 2)) for n in range(100_000)
    ]
    assert not skews(spans, SECOND)


def _resource(**values: Any) -> list[bytes]:
    found = []
    for key, value in values.items():
        attribute = KeyValue(key=key.replace("_", "."))
        if isinstance(value, list):
            attribute.value.array_value.SetInParent()
            for each in value:
                attribute.value.array_value.values.add(string_value=each)
        elif isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value
        found.append(attribute.SerializeToString())
    return found


@pytest.mark.parametrize(
    ("resource", "host"),
    [
        (_resource(host_name="n", host_ip="i", host_id="d"), "d"),
        (_resource(host_name="n", host_ip="192.168.1.1"), "192.168.1.1"),
        (_resource(host_ip=["192.168.1.1", "192.168.1.2"]), "192.168.1.1"),
        (_resource(host_ip=[]), ""),
        (_resource(host_name="hostname"), "hostname"),
        (_resource(hostname="old"), "old"),
        (_resource(ip=0x7F000001), str(0x7F000001)),
        (_resource(service_name="shop"), ""),
        ([], ""),
    ],
)
def test_a_host_is_known_by_id_before_address_before_name(resource, host):
    """An id before an address before a name; what Jaeger's own clients send counts last."""
    assert host_of(resource) == host


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (2_200_000, "2.2ms"),
        (35 * MILLI, "35ms"),
        (-45 * MILLI, "-45ms"),
        (3_300_000_000, "3.3s"),
        (4 * 60 * SECOND + 5 * SECOND, "4m5s"),
        (4 * 60 * SECOND + 5_001 * MILLI, "4m5.001s"),
        (5 * 3_600 * SECOND + 7 * SECOND + 1, "5h0m7.000000001s"),
        (999_999_999, "999.999999ms"),
        (2**63 - 1, "2562047h47m16.854775807s"),
    ],
)
def test_durations_are_written_as_go_writes_them(nano, text):
    """As Go's own tests have them."""
    assert duration_text(nano) == text


timed = st.builds(
    Timed,
    st.sampled_from("abcdef"),
    st.sampled_from(["", *"abcdefg"]),
    st.integers(0, 1_000),
    st.integers(0, 1_000),
    st.sampled_from(["", "h", "i"]),
)


@given(st.lists(timed, max_size=8), st.sampled_from([0, 100, 10**6]))
def test_any_trace(spans, max_nano):
    """Circles, copies and orphans alike: nothing is moved further than allowed, and nothing without a word."""
    for skew in skews(spans, max_nano).values():
        assert abs(skew.delta_nano) <= max_nano
        assert skew.warnings
