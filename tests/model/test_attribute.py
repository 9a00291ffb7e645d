"""Attributes: one string form for every type, whatever the bytes it came in."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)

from bench.encodings import varint
from chalicelib.model import attribute
from chalicelib.model.attribute import (
    AttributeHashes,
    WantedAttributes,
    attribute_hash,
    key_and_text,
    key_of,
    plain_value,
    string_form,
    texts_of,
)
from chalicelib.model.wire import field


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def array(*values: AnyValue) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=values))


def mapping(**values: AnyValue) -> AnyValue:
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return AnyValue(kvlist_value=KeyValueList(values=pairs))


FORMS = [
    (AnyValue(), ""),
    (text(""), ""),
    (text("GET"), "GET"),
    (text('"quoted" é'), '"quoted" é'),
    (AnyValue(bool_value=True), "true"),
    (AnyValue(bool_value=False), "false"),
    (AnyValue(int_value=0), "0"),
    (AnyValue(int_value=500), "500"),
    (AnyValue(int_value=-(2**63)), "-9223372036854775808"),
    (AnyValue(double_value=0.0), "0"),
    (AnyValue(double_value=0.5), "0.5"),
    (AnyValue(double_value=3.0), "3"),
    (AnyValue(double_value=1e21), "1e+21"),
    (AnyValue(double_value=math.nan), "NaN"),
    (AnyValue(double_value=math.inf), "Infinity"),
    (AnyValue(double_value=-math.inf), "-Infinity"),
    (AnyValue(bytes_value=b"\x00\xff"), "AP8="),
    (array(), "[]"),
    (array(text("a"), AnyValue(int_value=1), AnyValue(bool_value=True)), '["a",1,true]'),
    (array(AnyValue(), AnyValue(double_value=math.nan)), '[null,"NaN"]'),
    (array(array(text("é")), AnyValue(bytes_value=b"\x00")), '[["é"],"AA=="]'),
    (mapping(), "{}"),
    (mapping(b=AnyValue(int_value=1), a=text("x")), '{"a":"x","b":1}'),
    (mapping(a=mapping(b=array(AnyValue(double_value=0.5)))), '{"a":{"b":[0.5]}}'),
]


@pytest.mark.parametrize(
    ("value", "form"), FORMS, ids=[f"{i}: {form}" for i, (_, form) in enumerate(FORMS)]
)
def test_string_form(value, form):
    """Each type has the string form that a person would type, or JSON."""
    assert string_form(value) == form


def test_string_form_of_empty_bytes():
    """The base64 of no bytes is the empty text, without quotes."""
    assert string_form(AnyValue(bytes_value=b"")) == ""


def deep(depth: int) -> AnyValue:
    value = text("a")
    for _ in range(depth):
        value = array(value)
    return value


def test_deep_values():
    """A value as deeply nested as protobuf parses (100 messages) has a string form."""
    value = AnyValue.FromString(deep(45).SerializeToString())
    assert string_form(value) == "[" * 45 + '"a"' + "]" * 45


any_values = st.recursive(
    st.just(AnyValue())
    | st.text(max_size=200).map(text)
    | st.booleans().map(lambda value: AnyValue(bool_value=value))
    | st.integers(-(2**63), 2**63 - 1).map(lambda value: AnyValue(int_value=value))
    | st.floats().map(lambda value: AnyValue(double_value=value))
    | st.binary(max_size=20).map(lambda value: AnyValue(bytes_value=value)),
    lambda values: (
        st.lists(values, max_size=3).map(lambda found: array(*found))
        | st.dictionaries(st.text(max_size=5), values, max_size=3).map(
            lambda found: AnyValue(
                kvlist_value=KeyValueList(
                    values=[KeyValue(key=key, value=value) for key, value in found.items()]
                )
            )
        )
    ),
    max_leaves=6,
)
keys = st.text(max_size=140)


def parsed(raw: bytes) -> tuple[bytes, bytes]:
    found = KeyValue.FromString(raw)
    return found.key.encode(), string_form(found.value).encode()


@given(any_values)
def test_any_value_has_a_form(value):
    """Every value has a string form, and that of an array or map is JSON."""
    form = string_form(value)
    if isinstance(plain_value(value), (list, dict)):
        orjson.loads(form)


@given(keys, any_values)
def test_fast_path(key, value):
    """Bytes as every SDK writes them give the same key and text as a full parse."""
    raw = KeyValue(key=key, value=value).SerializeToString()
    assert key_and_text(raw) == parsed(raw) == (key.encode(), string_form(value).encode())
    assert key_of(raw) == key.encode()


field_lists = st.lists(
    st.one_of(
        keys.map(lambda key: field(1, key.encode())),
        any_values.map(lambda value: field(2, value.SerializeToString())),
        st.text(max_size=60).map(
            lambda value: field(2, field(1, b"first") + field(1, value.encode()))
        ),
        st.binary(max_size=5).map(lambda unknown: field(9, unknown)),
    ),
    max_size=4,
)


@given(field_lists)
def test_other_field_orders(fields):
    """Fields in another order, twice, missing or unknown: still the same as a full parse."""
    raw = b"".join(fields)
    assert key_and_text(raw) == parsed(raw)
    assert key_of(raw) == parsed(raw)[0]


@given(st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 2, 3, 5]), st.integers(0, 140), keys)
def test_padded_lengths(key_length_bytes, value_length_bytes, value_bytes, second):
    """Lengths in more bytes than they need, and a key after the value."""
    value = text("v" * value_bytes).SerializeToString()
    raw = b"\x0a" + varint(5, key_length_bytes) + b"first"
    raw += b"\x12" + varint(len(value), value_length_bytes) + value
    assert key_of(raw) == b"first"
    assert key_and_text(raw) == (b"first", b"v" * value_bytes)
    again = raw + field(1, second.encode())
    assert key_of(again) == second.encode()
    assert key_and_text(again) == parsed(again)


@given(st.integers(0, 120), st.integers(120, 140) | st.integers(16_370, 16_390))
def test_key_before_a_long_value(key_bytes, value_bytes):
    """Keys of all sizes before values around those at which a length takes a byte more."""
    raw = KeyValue(key="k" * key_bytes, value=text("v" * value_bytes)).SerializeToString()
    assert key_of(raw) == b"k" * key_bytes


@given(st.binary(max_size=10), st.integers(0, 140), st.integers(0, 140))
def test_around_one_byte_lengths(start, key_bytes, value_bytes):
    """Also where a length no longer fits one byte."""
    raw = KeyValue(key="k" * key_bytes, value=text("v" * value_bytes)).SerializeToString()
    assert key_and_text(raw) == (b"k" * key_bytes, b"v" * value_bytes)
    assert key_of(raw) == b"k" * key_bytes


class TestHashes:
    def test_of_key_and_text(self):
        """The hash has 16 bits, is of key and text together, and does not mix the two up."""
        assert 0 <= attribute_hash(b"a", b"b") < 2**16
        assert attribute_hash(b"a", b"bc") != attribute_hash(b"ab", b"c")
        assert attribute_hash(b"http.response.status_code", b"500") == attribute_hash(
            *key_and_text(
                KeyValue(
                    key="http.response.status_code", value=AnyValue(int_value=500)
                ).SerializeToString()
            )
        )

    @given(st.lists(st.tuples(keys, any_values), max_size=20))
    def test_a_cached_hash_is_that_of_key_and_text(self, pairs):
        """Remembered or not, a hash is that of key and text."""
        hashes = AttributeHashes()
        raws = [KeyValue(key=key, value=value).SerializeToString() for key, value in pairs]
        for raw in raws * 2:
            assert hashes[raw] == attribute_hash(*parsed(raw))

    def test_cache_is_bounded(self, monkeypatch):
        """The cache starts anew when it is full, and answers the same."""
        monkeypatch.setattr(attribute, "_CACHED_HASHES_MAX", 10)
        hashes = AttributeHashes()
        raws = [KeyValue(key=f"key {i}").SerializeToString() for i in range(35)]
        found = [hashes[raw] for raw in raws]
        assert len(hashes) <= 10
        assert found == [attribute_hash(*key_and_text(raw)) for raw in raws]

    def test_long_ones_are_not_cached(self):
        """A stack trace is hashed each time: kept, they would fill the memory."""
        hashes = AttributeHashes()
        raw = KeyValue(key="k", value=text("x" * 2_000)).SerializeToString()
        assert hashes[raw] == attribute_hash(b"k", b"x" * 2_000)
        assert not hashes


class TestTexts:
    def test_only_wanted_keys_are_found_the_first_of_equal_ones(self):
        """Only what is wanted is found, by key; of equal keys the first."""
        pairs = [("b", "1"), ("a", "2"), ("c", "3"), ("a", "4")]
        raws = [KeyValue(key=k, value=text(v)).SerializeToString() for k, v in pairs]
        found = WantedAttributes(frozenset({b"a", b"c", b"d"})).among(raws * 2)
        assert list(found) == raws[1:] * 2
        swapped = [field(2, text(v).SerializeToString()) + field(1, k.encode()) for k, v in pairs]
        assert list(WantedAttributes(frozenset({b"a", b"c"})).among(swapped)) == swapped[1:]
        assert texts_of(found) == {b"a": "2", b"c": "3"}

    def test_odd_bytes(self):
        """Empty attributes and empty keys are no match, and no error."""
        raws = [b"", KeyValue(value=text("x")).SerializeToString(), KeyValue().SerializeToString()]
        assert WantedAttributes(frozenset({b"a"})).among(raws) == ()
        assert texts_of([]) == {}
