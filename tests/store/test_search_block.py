"""Search blocks: rows come back as they went in, and lie where a search looks for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import StoreError
from chalicelib.model.attribute import attribute_hash
from chalicelib.model.names import key_name
from chalicelib.model.units import HOUR_NANO
from chalicelib.store import search_block
from chalicelib.store.search_block import EVERY_SERVICE, blocks_of, rows_in
from chalicelib.store.search_row import SearchRow, duration_step, rows_of
from tests.model.spans import batches, made_spans, spans
from tests.payloads import MILLI, NOON_NANO, Made, trace_id

NOON_HOUR = NOON_NANO // HOUR_NANO


def comparable(rows: list[SearchRow]) -> list[tuple[object, ...]]:
    return sorted(
        (*row[:6], sorted(row.span_names), list(row.attribute_hashes), *row[9:12]) for row in rows
    )


def one_row(made: list[Made]) -> SearchRow:
    ((_, (row,)),) = rows_of(batches(made)).items()
    return row


class TestRows:
    def test_a_row_has_the_figures_of_its_spans(self):
        """A row has first start, shortest and longest duration, whether any failed, and all names and attributes."""
        row = one_row(
            [
                Made(1, 1, name="b", start=NOON_NANO + 5, duration=MILLI, attributes=(("k", "v"),)),
                Made(1, 2, name="a", start=NOON_NANO + 3, duration=9 * MILLI, is_error=True),
                Made(1, 3, name="a", start=NOON_NANO + 4, duration=2, attributes=(("n", 500),)),
            ]
        )
        hashes = [
            attribute_hash(*pair)
            for pair in ((b"k", b"v"), (b"n", b"500"), (b"service.name", b"shop"))
        ]
        assert (row.trace_id, row.service, row.has_error) == (trace_id(1), "shop", True)
        assert row.first_start_time_unix_nano == NOON_NANO + 3
        assert row.shortest_duration_nano == 2
        assert 9 * MILLI <= row.longest_duration_nano < 9 * MILLI * 17 / 16
        assert row.span_names == {"a", "b"}
        assert sorted(row.attribute_hashes) == sorted(hashes)

    def test_longest_span(self):
        """A row has name and error of its longest span, and the step of the longest duration among the others."""
        made = [
            Made(1, 1, name="b", duration=MILLI, is_error=True),
            Made(1, 2, name="a", duration=9 * MILLI),
            Made(1, 3, name="a", duration=2 * MILLI),
        ]
        row = one_row(made)
        assert (row.longest_span_name, row.longest_has_error) == ("a", False)
        assert row.others_longest_step == duration_step(2 * MILLI)
        assert one_row(made[:1]).others_longest_step == 0

    def test_rounded_durations_never_exclude_a_match(self):
        """The longest duration is never told shorter, the shortest never longer."""
        for duration in (0, 1, 31, 33, 10**9 + 1, 2**64 - 1):
            made = [Made(1, 1, start=0, duration=duration)]
            ((block,), (row,)) = blocks_of(rows_of(batches(made))), [one_row(made)]
            assert rows_in(block.value)[0].longest_duration_nano == row.longest_duration_nano
            assert row.shortest_duration_nano <= duration <= row.longest_duration_nano

    def test_names_and_attributes_of_events_are_hashed(self):
        """Names and attributes of events are hashed beside the spans' own attributes."""
        events = (("retry", (("n", "1"),)), ("", ()))
        hashes = [
            attribute_hash(*pair)
            for pair in (
                (b"event", b"retry"),
                (b"event", b""),
                (b"n", b"1"),
                (b"service.name", b"shop"),
            )
        ]
        assert sorted(one_row([Made(1, 1, events=events)]).attribute_hashes) == sorted(hashes)

    def test_services_traces_and_hours_have_rows_of_their_own(self):
        """Services, traces and hours have rows of their own; the hour is that of each span's start."""
        last = NOON_NANO + HOUR_NANO - 1
        rows = rows_of(
            batches(
                [
                    Made(1, 1, start=last, duration=HOUR_NANO),
                    Made(1, 2, start=last + 1),
                    Made(1, 3, service="cart", start=last),
                    Made(2, 4, start=last),
                ]
            )
        )
        assert {hour: len(of_hour) for hour, of_hour in rows.items()} == {
            NOON_HOUR: 3,
            NOON_HOUR + 1: 1,
        }

    def test_many_spans(self):
        """Over 256 spans of a trace and service are several rows, which together hold every name."""
        rows = rows_of(batches([Made(1, i, name=f"name {i}") for i in range(1, 601)]))[NOON_HOUR]
        assert sorted(len(row.span_names) for row in rows) == [88, 256, 256]
        assert len(frozenset().union(*(row.span_names for row in rows))) == 600

    def test_long_names(self):
        """Names are bounded as keys are."""
        row = one_row([Made(1, 1, service="s" * 999, name="n" * 999)])
        assert row.service == key_name("s" * 999)
        assert row.span_names == {key_name("n" * 999)}


class TestBlocks:
    @given(
        st.lists(made_spans, max_size=20),
        st.sampled_from((0, 100, 4_000)),
        st.sampled_from((150, 250_000)),
    )
    def test_round_trip(self, made, shared_bytes_max, block_bytes_max):
        """Every row comes back from the blocks as it was, once, in the partition of its hour and service."""
        rows = rows_of(batches(made))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search_block, "_SHARED_BYTES_MAX", shared_bytes_max)
            patch.setattr(search_block, "_BLOCK_BYTES_MAX", block_bytes_max)
            blocks = blocks_of(rows)
        for hour, of_hour in rows.items():
            found = [row for block in blocks if block.hour == hour for row in rows_in(block.value)]
            assert comparable(found) == comparable(of_hour)
        for block in blocks:
            services = {row.service for row in rows_in(block.value)}
            assert services == {block.service} or block.service == EVERY_SERVICE

    @given(st.lists(made_spans, min_size=1, max_size=20), st.sampled_from((1, 8)))
    def test_common_hashes(self, made, rows_min):
        """Of a hash that a block tells of, no longest span but of the names that it tells has it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search_block, "_COMMON_ROWS_MIN", rows_min)
            blocks = blocks_of(rows_of(batches(made)))
        for row in (row for block in blocks for row in rows_in(block.value)):
            for each in made:
                (span,) = spans([each])
                if (
                    (span.trace_id, span.scope.service_key) == (row.trace_id, row.service)
                    and duration_step(span.duration_nano) > row.others_longest_step
                    and span.start_time_unix_nano // HOUR_NANO
                    == row.first_start_time_unix_nano // HOUR_NANO
                ):
                    for hashed in one_row([each]).attribute_hashes:
                        names = row.names_of_common_hashes.get(hashed)
                        assert names is None or key_name(span.name) in names

    def test_small_and_large_services(self):
        """Services with little share a block, one with much has its own."""
        made = [Made(i, i, service=f"small {i % 3}") for i in range(1, 10)]
        made += [Made(i, i, service="large") for i in range(1, 201)]
        blocks = blocks_of(rows_of(batches(made)))
        assert sorted((block.service, len(rows_in(block.value))) for block in blocks) == [
            (EVERY_SERVICE, 9),
            ("large", 200),
        ]

    def test_block_keys_sort_by_their_latest_first_start(self):
        """A block's key is the latest first start of its rows, then a digest: keys sort as those times do."""
        starts = [NOON_NANO + second * 10**9 for second in (3, 1, 2)]
        blocks = [
            blocks_of(rows_of(batches([Made(1, 1, start=start), Made(2, 2, start=start - 9)])))[0]
            for start in starts
        ]
        assert [int.from_bytes(block.key[:8], "big") for block in blocks] == starts
        assert {len(block.key) for block in blocks} == {16}
        ordered = sorted(blocks, key=lambda block: block.key)
        assert [int.from_bytes(block.key[:8], "big") for block in ordered] == sorted(starts)

    def test_same_content(self):
        """The same spans are the same block, key and bytes."""
        made = [Made(i, i, name=f"{i}") for i in range(1, 30)]
        assert blocks_of(rows_of(batches(made))) == blocks_of(rows_of(batches(made)))

    def test_a_block_fits_an_item(self):
        """A block fits an item, however much a group has to say."""
        made = [
            Made(i, i, name=f"{i:0250d}", attributes=tuple((f"{i} {k}", "v") for k in range(50)))
            for i in range(1, 1_500)
        ]
        blocks = blocks_of(rows_of(batches(made)))
        assert len(blocks) > 1
        assert max(len(block.value) for block in blocks) < 390_000

    def test_no_spans_make_no_block(self):
        """No spans make no block."""
        assert blocks_of(rows_of([])) == []

    def test_blocks_of_the_version_before_are_read(self):
        """Blocks of the version before are read as ever."""
        (block,) = blocks_of(rows_of(batches([Made(1, 1, attributes=(("a", "b"),))])))
        assert block.value[0] == 2
        assert rows_in(b"\x01" + block.value[1:]) == rows_in(block.value)

    @pytest.mark.parametrize("stored", [b"\x03\x00", b"\x01\x01damaged"])
    def test_a_damaged_block_is_a_store_error(self, stored):
        """A damaged value, or one of a later version, is StoreError."""
        with pytest.raises(StoreError):
            rows_in(stored)
