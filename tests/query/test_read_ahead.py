"""Reading ahead: side by side, each trace once, and nothing left running."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from chalicelib.errors import StoreThrottled
from chalicelib.query.parameters import Range, Search
from chalicelib.query.search import search_traces
from chalicelib.store.read_ahead import THREADS, ReadAhead
from chalicelib.store.traces import read_traces
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, Made, trace_id
from tests.query.stored import stored

IDS = [bytes([number]) * 16 for number in range(40)]


def test_side_by_side():
    """A trace and those that follow are read at the same time: none of these reads ends before all have begun."""
    all_inside = threading.Barrier(THREADS, timeout=60)

    def read(trace_id):
        all_inside.wait()
        return [trace_id]

    with ReadAhead(read) as ahead:
        assert ahead.of(IDS[0], IDS[1:THREADS]) == [IDS[0]]
        for trace_id in IDS[1:THREADS]:
            assert ahead.of(trace_id, ()) == [trace_id]


def test_each_once():
    """Each trace that is asked for is read once, in whatever order; few are read in vain."""
    reads = []

    def read(trace_id):
        reads.append(trace_id)
        return [trace_id]

    with ReadAhead(read) as ahead:
        for place, trace_id in enumerate(IDS[:20]):
            assert ahead.of(trace_id, IDS[place + 1 : place + 1 + THREADS]) == [trace_id]
    assert len(reads) == len(set(reads))
    assert set(IDS[:20]) <= set(reads)
    assert len(reads) <= 20 + THREADS


def test_what_never_comes_blocks_nothing():
    """Traces that were begun and are never asked for do not keep others from being read."""
    with ReadAhead(lambda trace_id: [trace_id]) as ahead:
        ahead.of(IDS[0], IDS[30:])
        for trace_id in IDS[1:10]:
            assert ahead.of(trace_id, IDS[20:30]) == [trace_id]


def test_a_failed_read_fails_for_its_trace_alone():
    """A read that fails fails for who asks for its trace, and for nobody else."""

    def read(trace_id):
        if trace_id == IDS[1]:
            raise StoreThrottled("no")
        return [trace_id]

    with ReadAhead(read) as ahead:
        assert ahead.of(IDS[0], IDS[1:4]) == [IDS[0]]
        assert ahead.of(IDS[2], ()) == [IDS[2]]
        with pytest.raises(StoreThrottled):
            ahead.of(IDS[1], ())


def test_nothing_left_running():
    """Afterwards nothing is being read, whatever was begun."""
    with ReadAhead(lambda trace_id: [trace_id]) as ahead:
        ahead.of(IDS[0], IDS[1:9])
    assert not [each for each in threading.enumerate() if each.name.startswith("read-ahead")]


def test_one_alone():
    """A single trace is read by who asks for it: no thread is begun for it."""
    with ReadAhead(lambda _: threading.current_thread()) as ahead:
        assert ahead.of(IDS[0], ()) is threading.current_thread()


@pytest.mark.parametrize("count", [0, 1, 2, 30])
def test_traces_read_side_by_side_come_in_order(count):
    """Traces that are read side by side come in their order, with their own spans; who stops early reads few others."""
    store = stored([[Made(number, 1), Made(number, 2)] for number in range(1, 31)])
    ids = [trace_id(number) for number in range(count, 0, -1)]
    found = list(read_traces(store, ids, NOON_UNIX_SECONDS))
    assert [each for each, _ in found] == ids
    assert all({span.trace_id for span in spans} == {each} for each, spans in found)
    assert all(len(spans) == 2 for _, spans in found)
    store.calls.clear()
    with closing(read_traces(store, ids, NOON_UNIX_SECONDS)) as traces:
        next(traces, None)
    assert store.calls.count("query") <= THREADS


def test_no_more_than_a_page():
    """Where every trace matches, a page reads its own and one more, which shows whether another page follows."""
    store = stored([[Made(number, 1, start=NOON_NANO - number) for number in range(1, 60)]])
    everything = Search("shop", None, [], False, None, None, Range(0, 2**64 - 1), 20, None)
    store.calls.clear()
    assert len(search_traces(store, everything, NOON_UNIX_SECONDS).traces) == 20
    others = 5
    """For the catalogue, the blocks, and what shows that there is nothing else to be read."""
    assert store.calls.count("query") <= 20 + 1 + others
