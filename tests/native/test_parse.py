"""Query parameters: what is taken, and that whatever is wrong is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import InvalidQuery
from chalicelib.native.parse import (
    SEARCH_PARAMETERS,
    Parameters,
    duration_nano,
    search_from,
    trace_id_parameter,
)
from chalicelib.query.parameters import Range, checked_text, time_nano

NOW = 1_767_268_800 * 10**9
HOUR = 3_600 * 10**9


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0s", 0),
        ("1ns", 1),
        ("3us", 3_000),
        ("3µs", 3_000),
        ("3μs", 3_000),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        ("0.1s", 100_000_000),
        ("2m", 120 * 10**9),
        ("1m30s", 90 * 10**9),
        ("1h", HOUR),
        ("1.000000001s", 1_000_000_001),
    ],
)
def test_a_duration(text, nano):
    """A duration is a number and its unit, to the nanosecond."""
    assert duration_nano(text, "min_duration") == nano


@pytest.mark.parametrize(
    "text",
    [
        *("5", "-1s", "1 s", "s", "1.s", ".5s", "1e3ms", "1,5s", "1.5.5s", "٣s", "1s1", "1sec"),
        *("9" * 40 + "h", "1s" * 400, "NaNs", "1S"),
    ],
)
def test_no_duration(text):
    """What is no duration is refused, and the parameter named."""
    with pytest.raises(InvalidQuery) as refused:
        duration_nano(text, "min_duration")
    assert refused.value.parameter == "min_duration"


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("1767268800", NOW),
        ("1767268800.5", NOW + 500_000_000),
        ("1767268800.123456789", NOW + 123_456_789),
        ("2026-01-01T12:00:00Z", NOW),
        ("2026-01-01t12:00:00z", NOW),
        ("2026-01-01T14:00:00+02:00", NOW),
        ("2026-01-01T14:00:00 02:00", NOW),
        ("2026-01-01T12:00:00.123456789Z", NOW + 123_456_789),
        ("2026-01-01T10:30:00.5-01:30", NOW + 500_000_000),
        ("0", 0),
    ],
)
def test_a_time(text, nano):
    """A time is RFC 3339 or Unix seconds, to the nanosecond; a `+` that became a space is still one."""
    assert time_nano(text, "start") == nano


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "-1", "1e9", "0x10", "1767268800000000000", "99999999999", "٢"),
        *("2026-01-01", "2026-01-01T12:00:00", "2026-13-01T12:00:00Z", "2026-01-01T25:00:00Z"),
        *(
            "20260101T120000Z",
            "2026-W01-4T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
        ),
        *("9999-12-31T23:59:59Z", "2026-01-01T12:00:00+99:00", "2026-01-01T12:00:00+02:00:00.5"),
    ],
)
def test_no_time(text):
    """What is no time between 1970 and 2554 is refused, and the parameter named."""
    with pytest.raises(InvalidQuery) as refused:
        time_nano(text, "start")
    assert refused.value.parameter == "start"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Range(NOW + 1 - HOUR, NOW + 1)),
        ({"end": ["7200"]}, Range(3_600 * 10**9, 7_200 * 10**9)),
        ({"end": ["60"]}, Range(0, 60 * 10**9)),
        ({"start": ["1767265200"]}, Range(NOW - HOUR, NOW + 1)),
    ],
)
def test_the_range_defaults_to_the_last_hour(values, expected):
    """An absent end is now, an absent start an hour before the end."""
    assert Parameters(values, ("start", "end")).time_range(NOW) == expected


WRONG = [
    ({"limit": ["0"]}, "limit"),
    ({"limit": ["1001"]}, "limit"),
    ({"limit": ["-1"]}, "limit"),
    ({"limit": ["ten"]}, "limit"),
    ({"limit": ["1.0"]}, "limit"),
    ({"limit": ["٣"]}, "limit"),
    ({"limit": ["9" * 500]}, "limit"),
    ({"limit": ["0" * 18 + "1000000"]}, "limit"),
    ({"limit": ["1", "2"]}, "limit"),
    ({"limit": [""]}, "limit"),
    ({"service": ["a", "b"]}, "service"),
    ({"service": [""]}, "service"),
    ({"service": ["\ud800"]}, "service"),
    ({"service": ["x" * 9_000]}, "service"),
    ({"servcie": ["a"]}, "servcie"),
    ({"\ud800": ["a"]}, "?"),
    ({"attribute": ["novalue"]}, "attribute"),
    ({"attribute": ["=value"]}, "attribute"),
    ({"attribute": [""]}, "attribute"),
    ({"attribute": ["a=b"] * 21}, "attribute"),
    ({"status": ["ok"]}, "status"),
    ({"status": ["ERROR"]}, "status"),
    ({"min_duration": ["fast"]}, "min_duration"),
    ({"max_duration": ["5"]}, "max_duration"),
    ({"min_duration": ["2s"], "max_duration": ["1s"]}, "max_duration"),
    ({"start": ["10"], "end": ["10"]}, "start"),
    ({"start": ["11"], "end": ["10"]}, "start"),
    ({"start": [""]}, "start"),
    ({"end": ["tomorrow"]}, "end"),
    ({"end": ["0"]}, "start"),
]


@pytest.mark.parametrize(("values", "parameter"), WRONG)
def test_wrong_search_parameters_are_named(values, parameter):
    """A parameter of a wrong shape is refused by its name: the search is never widened instead."""
    with pytest.raises(InvalidQuery) as refused:
        search_from(values, NOW)
    assert refused.value.parameter == parameter
    str(refused.value).encode()


@given(st.dictionaries(st.sampled_from(SEARCH_PARAMETERS), st.lists(st.text(), min_size=1)))
def test_any_text_is_taken_or_refused(values):
    """Whatever text parameters hold, they are understood, or refused by the name of one of them."""
    refused = None
    try:
        search_from(values, NOW)
    except InvalidQuery as error:
        refused = error
    assert refused is None or refused.parameter in {*values, "start"}


@pytest.mark.parametrize("text", ["", "xyz", "0" * 32, "1" * 33, "-1", "٣١", "a/b"])
def test_no_trace_id(text):
    """A malformed trace id is refused as the parameter trace_id."""
    with pytest.raises(InvalidQuery) as refused:
        trace_id_parameter(text)
    assert refused.value.parameter == "trace_id"


@pytest.mark.parametrize("text", ["", "x" * 8_193, "\udfff"])
def test_no_text(text):
    """Text is not empty, not too long, and can be encoded."""
    with pytest.raises(InvalidQuery):
        checked_text(text, "service")
