"""What a row tells of its longest span: it keeps out traces that the index alone would take for matches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jaeger.tags import TagConditions
from chalicelib.model.attribute import attribute_hash
from chalicelib.model.clew_pb2 import SearchBlock
from chalicelib.model.frame import message_in, seal
from chalicelib.model.names import key_name
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import Conditions
from chalicelib.store.search_block import VERSION, blocks_of, rows_in
from chalicelib.store.search_row import DURATION_STEP_MAX, SearchRow, duration_step, rows_of
from tests.model.spans import batches, spans
from tests.payloads import MILLI, Made
from tests.query.test_search import searches
from tests.query.test_search import spans as made_spans

K_V, L_X = (("k", "v"),), (("l", "x"),)
HASH = attribute_hash(b"k", b"v")
FAST_WITH = Made(1, 1, name="read", duration=MILLI, attributes=K_V)
SLOW_WITHOUT = Made(1, 2, name="write", duration=9 * MILLI, attributes=L_X)
SLOW = Search("shop", None, [], False, 5 * MILLI, None, Range(0, 2**64 - 1), 20, None)


def telling(made: list[Made], common: dict[int, frozenset[str]]) -> SearchRow:
    """The one row of these spans, with what it should say of the longest."""
    ((_, (row,)),) = rows_of(batches(made)).items()
    others = sorted(spans(made), key=lambda span: span.duration_nano)
    longest = others.pop()
    return row._replace(
        others_longest_step=duration_step(others[-1].duration_nano if others else 0),
        longest_span_name=key_name(longest.name),
        longest_has_error=longest.is_error,
        names_of_common_hashes=common,
    )


def test_conditions_on_different_spans():
    """A row whose only slow span has not the name, the attribute, the error that are asked for leads nowhere."""
    row = telling(
        [FAST_WITH._replace(is_error=True), SLOW_WITHOUT], {HASH: frozenset(["read", "delete"])}
    )
    for unmet in (
        SLOW._replace(span_name="read"),
        SLOW._replace(attributes=[("k", "v")]),
        SLOW._replace(only_errors=True),
    ):
        assert not Conditions(unmet).may_be_in(row)
        assert Conditions(unmet._replace(min_duration_nano=MILLI)).may_be_in(row)
    assert Conditions(SLOW._replace(span_name="write", attributes=[("l", "x")])).may_be_in(row)
    assert not TagConditions(SLOW, [("k", "v")]).may_be_in(row)
    assert not TagConditions(SLOW, [("error", "true")]).may_be_in(row)
    assert TagConditions(SLOW, [("l", "x")]).may_be_in(row)


def test_what_is_not_told():
    """An attribute of which the block tells nothing, or a row of an older block, may lead to a match."""
    asked = Conditions(SLOW._replace(attributes=[("k", "v")]))
    assert asked.may_be_in(telling([FAST_WITH, SLOW_WITHOUT], {}))
    ((_, (older,)),) = rows_of(batches([FAST_WITH, SLOW_WITHOUT])).items()
    assert asked.may_be_in(older._replace(others_longest_step=DURATION_STEP_MAX))


@pytest.mark.slow
@given(st.lists(made_spans, min_size=1, max_size=5), searches)
def test_no_match_is_kept_out(made, search):
    """Whatever is asked: a row of which a span meets it is never kept out."""
    row_spans = [each._replace(trace=1, service="shop", start=made[0].start) for each in made]
    longest = max(row_spans, key=lambda span: span.duration)
    ((_, (row,)),) = rows_of(batches(row_spans)).items()
    ((_, (of_longest,)),) = rows_of(batches([longest])).items()
    # Told of every hash: those of the longest span are under its name, the others under none.
    common = {
        each: frozenset([key_name(longest.name)] if each in of_longest.attribute_hashes else [])
        for each in row.attribute_hashes
    }
    row = telling(row_spans, common)
    conditions = Conditions(search)
    if conditions.are_met_by(spans(row_spans)):
        assert conditions.may_be_in(row)
    tags = TagConditions(search._replace(attributes=[]), search.attributes)
    if tags.are_met_by(spans(row_spans)):
        assert tags.may_be_in(row)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_steps_fit_a_byte_and_sort_as_durations(one, other):
    """A step fits a byte, and steps sort as durations do."""
    low, high = sorted((one, other))
    assert 0 <= duration_step(low) <= duration_step(high) <= DURATION_STEP_MAX


def test_blocks_give_back_what_they_tell_of_longest_spans():
    """Rows come out of a block with what it tells of their longest spans; out of one that tells nothing, without."""
    (block,) = blocks_of(rows_of(batches([FAST_WITH, SLOW_WITHOUT, Made(2, 1, name="read")])))
    message = message_in(SearchBlock, block.value, VERSION)
    read = list(message.names).index("read")
    message.errors = bytes([3, 0])
    message.longest_span_names = bytes([1, 0])
    message.others_longest_steps = bytes([duration_step(MILLI), 0])
    message.common_hashes = HASH.to_bytes(2, "little")
    message.common_hash_name_counts[:] = [1]
    message.common_hash_names[:] = [read]
    told, other = rows_in(seal(message.SerializeToString(), VERSION))
    assert (told.others_longest_step, other.others_longest_step) == (duration_step(MILLI), 0)
    assert (told.longest_span_name, other.longest_span_name) == ("write", "read")
    assert (told.has_error, told.longest_has_error) == (True, True)
    assert (other.has_error, other.longest_has_error) == (False, False)
    assert told.names_of_common_hashes == {HASH: {"read"}}
    for field in (
        *("longest_span_names", "others_longest_steps"),
        *("common_hashes", "common_hash_name_counts", "common_hash_names"),
    ):
        message.ClearField(field)
    older = rows_in(seal(message.SerializeToString(), VERSION))
    assert {row.others_longest_step for row in older} == {DURATION_STEP_MAX}
    assert not any(row.names_of_common_hashes for row in older)
