"""Wire format, ids, names and frames: small conversions, each with its inverse or its limits."""

from __future__ import annotations

import pytest
from google.protobuf.internal.decoder import _DecodeVarint  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import StoreError
from chalicelib.model import zstd
from chalicelib.model.frame import dictionary_id, seal, unseal
from chalicelib.model.ids import trace_id_from_text
from chalicelib.model.names import NAME_BYTES_MAX, key_name
from chalicelib.model.shadow_pb2 import TracesData
from chalicelib.model.wire import Prefixes, field, varint
from chalicelib.store.chunk import built_in


class TestWire:
    @given(st.integers(0, 2**64 - 1))
    def test_protobuf_reads_every_varint_back(self, value):
        """protobuf's own decoder reads every varint back, to its last byte."""
        encoded = varint(value)
        assert _DecodeVarint(encoded, 0) == (value, len(encoded))

    @pytest.mark.parametrize(
        ("value", "encoded"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")]
    )
    def test_varint_examples(self, value, encoded):
        """Seven bits a byte, least significant first: the examples of protobuf's documentation."""
        assert varint(value).hex() == encoded

    @given(st.lists(st.binary(max_size=300)))
    def test_joined_fields_are_a_message_that_protobuf_reads(self, contents):
        """Joined fields are a message that protobuf reads, by `field` and by `Prefixes` alike."""
        prefixes = Prefixes(1)
        joined = b"".join(field(1, content) for content in contents)
        assert list(TracesData.FromString(joined).resource_spans) == contents
        assert b"".join(prefixes[len(content)] + content for content in contents) == joined


class TestTraceIds:
    @pytest.mark.parametrize(
        ("text", "digits"),
        [
            ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
            ("0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd8448eb211c80319c"),
            ("8448eb211c80319c", "00000000000000008448eb211c80319c"),
            ("1", "00000000000000000000000000000001"),
            ("1-58406520-a006649127e371903a2de979", "58406520a006649127e371903a2de979"),
            ("0AF76519-16cd-43dd-8448-eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ],
    )
    def test_every_form_of_a_trace_id_is_the_same_bytes(self, text, digits):
        """32 digits, fewer, X-Ray's form and a UUID's are the same 16 bytes, in any case of letters."""
        assert trace_id_from_text(text).hex() == digits

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0",
            "0" * 32,
            "1-00000000-000000000000000000000000",
            "1" * 33,
            "xyz",
            " 1",
            "0x12",
            "\uff11\uff12",
            "+1",
            "1-5840652-0a006649127e371903a2de9790",
            "2-58406520-a006649127e371903a2de979",
            "0af7651916cd-43dd-8448-eb211c80319c",
            "0af76519-16cd-43dd-8448-eb211c80319",
            "00000000-0000-0000-0000-000000000000",
        ],
    )
    def test_wrong_forms(self, text):
        """Anything else, and the all-zero id, is a ValueError."""
        with pytest.raises(ValueError, match="trace id"):
            trace_id_from_text(text)

    @given(st.binary(min_size=16, max_size=16).filter(any))
    def test_round_trip(self, trace_id):
        """An id's hexadecimal digits are the id, with or without leading zeros."""
        assert trace_id_from_text(trace_id.hex()) == trace_id
        assert trace_id_from_text(trace_id.hex().lstrip("0")) == trace_id


class TestKeyNames:
    @given(st.text(max_size=400) | st.text("😀a", max_size=200))
    def test_a_key_name_is_bounded_and_its_own_key_name(self, name):
        """A key name has at most 256 bytes, is the name itself if that has, and is its own key name."""
        key = key_name(name)
        assert len(key.encode()) <= NAME_BYTES_MAX
        assert (key == name) == (len(name.encode()) <= NAME_BYTES_MAX)
        assert key_name(key) == key

    @given(st.text(min_size=60, max_size=90), st.text(min_size=250), st.text(min_size=250))
    def test_distinct_names_stay_distinct(self, start, one, other):
        """Two long names that begin alike have two keys."""
        assert (key_name(start + one) == key_name(start + other)) == (one == other)

    @pytest.mark.parametrize(
        "letter",
        [
            "a",
            "é",
            "语",
            "😀",
        ],
    )
    def test_the_limit_is_in_bytes(self, letter):
        """Exactly 256 bytes stay as they are; one letter more does not."""
        name = letter * (NAME_BYTES_MAX // len(letter.encode()))
        assert key_name(name) == name
        assert key_name(name + letter) != name + letter
        assert key_name(name + letter).startswith(letter * 59)

    @pytest.mark.parametrize(
        "letter",
        [
            "a",
            "语",
            "😀",
        ],
    )
    def test_a_key_is_its_own_key(self, letter):
        """However many bytes its letters have, a key has at most 256, and bounding it again changes nothing."""
        key = key_name(letter * 300)
        assert len(key.encode()) <= NAME_BYTES_MAX
        assert key_name(key) == key


class TestFrames:
    @given(st.binary(max_size=500) | st.binary(max_size=5).map(lambda part: part * 200))
    def test_round_trip(self, content):
        """What is sealed unseals as it was, and never grows by more than two bytes."""
        sealed = seal(content)
        assert unseal(sealed) == content
        assert len(sealed) <= len(content) + 2

    def test_compresses_where_it_helps(self):
        """The second byte says how: not at all where that would not make it smaller."""
        assert seal(b"a")[:2] == bytes((1, 0))
        assert seal(b"a" * 1_000)[:2] == bytes((1, 1))
        assert len(seal(b"a" * 1_000)) < 50

    @pytest.mark.parametrize(
        "stored",
        [
            pytest.param(bytes((2, 0)) + b"content", id="a later version"),
            pytest.param(bytes((0, 0)) + b"content", id="version 0"),
            pytest.param(bytes((1, 1)) + b"not zstd", id="no frame"),
            pytest.param(seal(b"a" * 1_000)[:-1], id="cut short"),
            pytest.param(seal(b"a" * 1_000) + b"\0", id="something after it"),
            pytest.param(bytes((1, 9)) + zstd.compress(b"a" * 1_000), id="an unknown codec"),
            pytest.param(bytes((1, 2)) + zstd.compress(b"a" * 1_000), id="no dictionary"),
        ],
    )
    def test_damaged_frames_are_store_errors(self, stored):
        """Stored bytes that are damaged, or of a version or dictionary that is not known, are StoreError."""
        with pytest.raises(StoreError):
            unseal(stored, built_in())

    @pytest.mark.parametrize("stored", [b"", b"\x01", b"\x01\x02", b"\x01\x02\x28\xb5"])
    def test_cut_very_short(self, stored):
        """Stored bytes of which next to nothing is left are StoreError too."""
        with pytest.raises(StoreError):
            unseal(stored)

    def test_unknown_codec(self):
        """A codec that this release does not know is StoreError, whatever follows it."""
        dictionary = next(iter(built_in().values()))
        compressor = zstd.ZstdCompressor(zstd_dict=dictionary)
        frame = compressor.compress(b"a" * 500, zstd.ZstdCompressor.FLUSH_FRAME)
        assert unseal(bytes((1, 2)) + frame, built_in()) == b"a" * 500
        with pytest.raises(StoreError):
            unseal(bytes((1, 9)) + frame, built_in())

    def test_content_over_the_limit_is_a_store_error(self):
        """Content over the limit is StoreError, however little its frame."""
        compressor = zstd.ZstdCompressor()
        frame = b"".join(compressor.compress(bytes(10**6)) for _ in range(65)) + compressor.flush()
        with pytest.raises(StoreError, match="64000000"):
            unseal(bytes((1, 1)) + frame)

    @pytest.mark.parametrize("size", [10, 300, 100_000])
    def test_dictionary_id(self, size):
        """The id of a frame's dictionary is read from its header, of whatever form that is."""
        for number, dictionary in built_in().items():
            compressor = zstd.ZstdCompressor(zstd_dict=dictionary)
            whole = compressor.compress(bytes(size), zstd.ZstdCompressor.FLUSH_FRAME)
            streamed = zstd.ZstdCompressor(zstd_dict=dictionary)
            parts = streamed.compress(bytes(size)) + streamed.flush()
            assert dictionary_id(whole) == dictionary_id(parts) == number
        assert dictionary_id(zstd.compress(bytes(size))) == 0
