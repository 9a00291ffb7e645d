"""Half-edges: they are stored without loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.model import halves as halves_module
from chalicelib.model.clew_pb2 import Halves as HalvesMessage
from chalicelib.model.halves import (
    CALLEE,
    CALLER,
    Callee,
    Caller,
    Halves,
    halves_from,
    halves_messages,
    merged_halves,
)
from chalicelib.model.measure import bucket_of
from tests.payloads import (
    MILLI,
    NOON_UNIX_SECONDS,
    span_id,
    trace_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

MINUTE = NOON_UNIX_SECONDS // 60
BUCKET = bucket_of(10 * MILLI)

trace_ids = st.integers(1, 5).map(trace_id) | st.binary(min_size=16, max_size=16)
span_ids = st.integers(1, 5).map(span_id) | st.binary(min_size=8, max_size=8)
names = st.sampled_from(("shop", "cart", "ü")) | st.text(max_size=20)
buckets = st.integers(-2, 2_047)
callers = st.builds(
    Caller,
    trace_ids,
    span_ids,
    names,
    names,
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 2**40),
    buckets,
)
callees = st.builds(
    Callee,
    trace_ids,
    span_ids,
    st.integers(0, 2**32 - 1),
    names,
    st.integers(1, 2),
    st.booleans(),
    buckets,
)
made_halves = st.builds(Halves, st.sets(callers, max_size=8), st.sets(callees, max_size=8))


def stored(halves: Halves) -> list[bytes]:
    return [message.SerializeToString(deterministic=True) for message in halves_messages(halves)]


def union(messages: Iterable[bytes], wanted=None) -> Halves:
    total = Halves(set(), set())
    for message in messages:
        part = halves_from(HalvesMessage.FromString(message), wanted)
        assert not part.callers & total.callers
        total.callers.update(part.callers)
        total.callees.update(part.callees)
    return total


class TestStored:
    @given(made_halves)
    def test_round_trip(self, halves):
        """Halves are stored and read back, each once."""
        assert union(stored(halves)) == halves

    @given(made_halves)
    def test_only_halves_of_wanted_keys_are_read(self, halves):
        """With wanted keys, only the halves of these keys are read."""
        keys = {(half.trace_id, half.span_id) for part in halves for half in part}
        wanted = set(sorted(keys)[::2])
        found = union(stored(halves), wanted)
        assert found.callers == {half for half in halves.callers if half[:2] in wanted}
        assert found.callees == {half for half in halves.callees if half[:2] in wanted}

    @given(made_halves)
    def test_same_bytes(self, halves):
        """Equal halves are equal bytes, in whatever order they came to be."""
        again = Halves(set(), set())
        for half in sorted(halves.callers, reverse=True):
            again.callers.add(half)
        for callee in sorted(halves.callees, reverse=True):
            again.callees.add(callee)
        assert stored(again) == stored(halves)

    def test_no_halves_make_no_message(self):
        """No halves make no message."""
        assert stored(Halves(set(), set())) == []

    @given(made_halves)
    def test_small_messages(self, halves):
        """Over the limits halves are spread over several messages, without loss."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(halves_module, "_MESSAGE_HALVES_MAX", 5)
            patch.setattr(halves_module, "_MESSAGE_BYTES_MAX", 150)
            messages = stored(halves)
        assert union(messages) == halves
        for message in messages:
            parts = halves_from(HalvesMessage.FromString(message))
            count = len(parts.callers) + len(parts.callees)
            assert count == 1 or (count <= 5 and len(message) <= 150)

    @given(st.lists(made_halves, max_size=4))
    def test_merged_messages_hold_each_half_once(self, parts):
        """Messages merge to few, in which each half is once."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(halves_module, "_MESSAGE_BYTES_MAX", 1_000)
            messages = [message for part in parts for message in halves_messages(part)]
            merged = list(merged_halves(messages))
        found = Halves(set(), set())
        for message in merged:
            part = halves_from(message)
            assert len(message.callers) == CALLER.size * len(part.callers)
            assert len(message.callees) == CALLEE.size * len(part.callees)
            found.callers.update(part.callers)
            found.callees.update(part.callees)
        assert found.callers == set().union(*(part.callers for part in parts))
        assert found.callees == set().union(*(part.callees for part in parts))
        sizes = [message.ByteSize() for message in merged]
        assert max(sizes, default=0) <= max(1_000, *(m.ByteSize() for m in messages), 0)
        assert len(merged) <= 1 + sum(message.ByteSize() for message in messages) // 500

    def test_many_halves_make_messages_that_fit_an_item(self):
        """Twelve thousand halves of long names make messages that fit an item each."""
        halves = Halves(
            {
                Caller(trace_id(i), span_id(i), f"{i:0200d}", f"{i:0200d}", 1, False, i, 5)
                for i in range(1, 3_000)
            },
            {Callee(trace_id(i), span_id(i), i, "shop", 1, False, 5) for i in range(1, 9_000)},
        )
        messages = stored(halves)
        assert max(map(len, messages)) <= 200_000
        assert union(messages) == halves
