"""Jaeger's query parameters: durations as Go writes them."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.errors import InvalidQuery
from chalicelib.jaeger.parse import go_duration_nano, question_v1, question_v3
from tests.payloads import NOON_NANO

UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3_600 * 10**9,
    "d": 86_400 * 10**9,
}


def parsed(text: str) -> int | None:
    """What Go's time.ParseDuration makes of a text (and of days); None where it is none. Runs of letters are units."""
    sign, rest = (-1 if text[:1] == "-" else 1), text.removeprefix("-")
    rest = rest.removeprefix("+") if sign == 1 else rest
    if rest == "0":
        return 0
    runs = ["".join(run) for _, run in groupby(rest, lambda each: each in "0123456789.")]
    if not runs or len(runs) % 2:
        return None
    total = 0
    for number, unit in zip(runs[::2], runs[1::2], strict=True):
        if unit not in UNITS or number.count(".") > 1 or not number.replace(".", ""):
            return None
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * UNITS[unit]
        total += int(Fraction(int(fraction or 0), 10 ** len(fraction)) * UNITS[unit])
    return sign * total if total < 2**63 else None


def read(text: str) -> int | None:
    try:
        return go_duration_nano(text, "minDuration")
    except InvalidQuery:
        return None


numbers = st.from_regex(r"[0-9]{0,7}(\.[0-9]{0,7})?", fullmatch=True)
durations = st.tuples(
    st.sampled_from(["", "", "+", "-"]),
    st.lists(st.tuples(numbers, st.sampled_from([*UNITS])), min_size=1, max_size=4),
).map(lambda each: each[0] + "".join(map("".join, each[1])))


@given(durations | st.text("0123456789.+-hmsnuµμd x", max_size=12))
@example("0")
@example("+0")
@example(".5s")
@example("+1ms")
@example("1h2m")
@example("1.h")
@example(".s")
@example("1mss")
@example("9223372036854775807ns")
@example("9223372036854775808ns")
@example("1" * 400 + "h")
def test_a_duration_is_what_go_takes_for_one(text):
    """A text is a duration where Go's time.ParseDuration takes it (or has days), and as long as that says."""
    # A `+` that nobody percent-encoded is a space here.
    assert read(text) == parsed(f"+{text[1:]}" if text.startswith(" ") else text)


@pytest.mark.parametrize("text", ["ms" * 240 + "x", "1" * 499 + "x", "1h" * 240 + "x", "." * 500])
def test_what_is_nearly_a_duration_is_refused(text):
    """A long text that ends in a fault is refused by its parameter, and costs no more than its length."""
    with pytest.raises(InvalidQuery) as refused:
        go_duration_nano(text, "minDuration")
    assert refused.value.parameter == "minDuration"


V3 = {
    "query.startTimeMin": ["1970-01-01T00:00:00Z"],
    "query.startTimeMax": ["2100-01-01T00:00:00Z"],
}


@pytest.mark.parametrize("bound", ["0", "0s", "+0ms"])
def test_a_bound_of_nothing_is_none(bound):
    """Jaeger takes 0 for a bound that nobody set, in both of its APIs."""
    first = question_v1({"minDuration": [bound], "maxDuration": [bound]}, NOON_NANO).search
    third = question_v3(V3 | {"query.durationMin": [bound], "query.durationMax": [bound]}).search
    for search in (first, third):
        assert (search.min_duration_nano, search.max_duration_nano) == (None, None)
