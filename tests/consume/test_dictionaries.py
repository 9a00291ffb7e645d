"""Learned dictionaries: smaller chunks, and never a chunk that cannot be read."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from chalicelib import config
from chalicelib.consume.commit import PendingMessage, commit
from chalicelib.consume.consumer import Consumer
from chalicelib.consume.dictionaries import (
    DICTIONARY_BYTES,
    LEARNED_SECONDS,
    LOOK_SECONDS,
    SAMPLE_BYTES_MAX,
    SAMPLES_MAX,
    SAMPLES_MIN,
    USED_SECONDS,
    Dictionaries,
)
from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.model.frame import content_of, dictionary_id
from chalicelib.store import dictionary
from chalicelib.store.chunk import DICTIONARY_PATH, built_in
from chalicelib.store.dictionary import DictionariesIn, dictionary_with_id
from chalicelib.store.packed import pack, runs_by_trace
from chalicelib.store.traces import read_chunks, read_spans
from tests.consume.records import DeadLetterList
from tests.memory_store import MemoryStore
from tests.model.spans import batches
from tests.payloads import NOON_NANO, NOON_UNIX_SECONDS, Made, payload, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.items import Item, ItemStore

NOW = NOON_UNIX_SECONDS
EXPIRY = NOW + config.RETENTION_SECONDS


def contents(count: int, seed: int = 0, shop: str = "harbour") -> list[bytes]:
    """As chunks of `count` small traces of one system hold them, in words of its own."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        number = rng.getrandbits(100)
        made = [
            Made(
                number,
                rng.getrandbits(60),
                f"{shop}-berth-planner",
                name=f"GET /{shop}/berths/:berth/slots",
                attributes=(
                    (f"{shop}.berth.name", f"pier {rng.randrange(40)} of the {shop}"),
                    (f"{shop}.tide.table", f"{shop}-tides-{rng.randrange(9)}"),
                ),
            )
            for _ in range(3)
        ]
        found += [pack(runs).texts for runs in runs_by_trace(batches(made)).values()]
    return found


def seal_all(dictionaries: Dictionaries, of: Sequence[bytes], now: int = NOW) -> list[bytes]:
    seal = dictionaries.seal_for(now + config.RETENTION_SECONDS, now)
    return [seal(content) for content in of]


def learned(store: ItemStore, now: int = NOW, seed: int = 0) -> Dictionaries:
    """Dictionaries that have learned one."""
    dictionaries = Dictionaries(store)
    seal_all(dictionaries, contents(SAMPLES_MIN, seed), now)
    assert dictionaries.learn(now)
    return dictionaries


@pytest.fixture(autouse=True)
def nothing_held():
    """No dictionary is known but from the table."""
    dictionary._held.clear()


@pytest.fixture
def store():
    return MemoryStore()


def test_a_learned_dictionary_makes_unseen_spans_smaller(store):
    """What was not learned from takes at most 80 % of the bytes, and reads back by the table alone."""
    dictionaries = learned(store)
    others = contents(100, seed=1)
    after = seal_all(dictionaries, others)
    before = seal_all(Dictionaries(MemoryStore()), others)
    assert sum(map(len, after)) < 0.8 * sum(map(len, before))
    dictionary._held.clear()
    assert [content_of(value, DictionariesIn(store)) for value in after] == others


def test_whole_way(store):
    """A trace that was committed with a learned dictionary is read, however long nobody has read it."""
    dictionaries = learned(store)
    content = payload([Made(7, 1), Made(7, 2)])
    commit(store, [PendingMessage(b"d" * 32, NOW, content)], NOON_NANO, 1, dictionaries)
    (value,) = [i["v"] for (t, p, _), i in store.items.items() if p == trace_id(7)]
    assert isinstance(value, bytes)
    assert dictionary_id(value) not in built_in()
    dictionary._held.clear()
    assert len(read_spans(store, trace_id(7), NOW)) == 2


def test_too_little(store):
    """Nothing is learned from a few traces."""
    dictionaries = Dictionaries(store)
    seal_all(dictionaries, contents(SAMPLES_MIN - 1))
    assert not dictionaries.learn(NOW)
    assert store.items == {}


def test_no_gain(store):
    """What no dictionary helps is no reason for one."""
    rng = random.Random(1)
    dictionaries = Dictionaries(store)
    seal_all(dictionaries, [rng.randbytes(300) for _ in range(SAMPLES_MIN)])
    assert not dictionaries.learn(NOW)
    assert store.items == {}


def test_once_a_day(store):
    """It is learned anew after a day, and not before; and only if the new one is better."""
    dictionaries = learned(store)
    seal_all(dictionaries, contents(SAMPLES_MIN, 2, "airport"), NOW + LEARNED_SECONDS - 1)
    assert not dictionaries.learn(NOW + LEARNED_SECONDS - 1)
    later = NOW + LEARNED_SECONDS
    seal_all(dictionaries, contents(SAMPLES_MIN, 3), later)
    assert not dictionaries.learn(later)
    seal_all(dictionaries, contents(SAMPLES_MIN, 4, "airport"), later)
    assert dictionaries.learn(later)


def test_others_learn_of_it(store):
    """Another consumer writes with it after its next look, without learning itself."""
    other = Dictionaries(store)
    seal_all(other, [])
    ours = learned(store)
    example = contents(1, 5)
    number = dictionary_id(seal_all(ours, example)[0])
    assert dictionary_id(seal_all(other, example, NOW + LOOK_SECONDS - 1)[0]) != number
    assert dictionary_id(seal_all(other, example, NOW + LOOK_SECONDS)[0]) == number
    assert not other.learn(NOW + LOOK_SECONDS)


def test_looks_rarely(store):
    """The table is looked at once in ten minutes, however many groups there are."""
    dictionaries = learned(store)
    store.calls.clear()
    for _ in range(50):
        seal_all(dictionaries, [b"x"], NOW + LOOK_SECONDS)
    assert len(store.calls) == 1


def test_never_outlived(store):
    """A chunk that is kept longer than the dictionary is written with the one that comes with Clew."""
    dictionaries = learned(store)
    last = EXPIRY + USED_SECONDS
    (example,) = contents(1, 6)
    assert dictionary_id(dictionaries.seal_for(last, NOW)(example)) not in built_in()
    assert dictionary_id(dictionaries.seal_for(last + 1, NOW)(example)) in built_in()


def test_a_dictionary_outlives_every_chunk_written_with_it(store):
    """The dictionary in the table expires no sooner than any chunk that is written with it."""
    learned(store)
    expiries = {item["x"] for item in store.items.values()}
    assert expiries == {EXPIRY + USED_SECONDS}


def test_retention_grows(store, monkeypatch):
    """Where the retention is made longer, older dictionaries are not used for what they would not outlive."""
    dictionaries = learned(store)
    monkeypatch.setattr(config, "RETENTION_SECONDS", config.RETENTION_SECONDS + USED_SECONDS + 1)
    (value,) = seal_all(dictionaries, contents(1, 7))
    assert dictionary_id(value) in built_in()


def test_not_there(store):
    """A chunk whose dictionary is gone is a StoreError that says so, as other damage is."""
    (value,) = seal_all(learned(store), contents(1, 8))
    dictionary._held.clear()
    with pytest.raises(StoreError, match="cannot be read"):
        content_of(value, DictionariesIn(MemoryStore()))


def test_newest_without_its_dictionary(store):
    """A pointer to a dictionary that has gone is as none."""
    (value,) = seal_all(learned(store), contents(1, 9))
    number = dictionary_id(value)
    store.items.pop((config.SPANS_TABLE, dictionary.PARTITION, number.to_bytes(4, "big")))
    dictionary._held.clear()
    assert dictionary_id(seal_all(Dictionaries(store), contents(1, 9))[0]) in built_in()


class Failing(MemoryStore):
    """Refuses its n-th write, before or after it is done."""

    def __init__(self, at: int, *, is_done: bool) -> None:
        super().__init__()
        self.at, self.is_done = at, is_done

    def put_batch(self, table: str, items: Sequence[Item]) -> None:
        self.at -= 1
        if self.at or self.is_done:
            super().put_batch(table, items)
        if not self.at:
            raise StoreThrottled("no")


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_failing_while_it_is_kept(at, is_done):
    """Wherever keeping it fails, whoever writes next writes what can be read."""
    store = Failing(at, is_done=is_done)
    dictionaries = Dictionaries(store)
    seal_all(dictionaries, contents(SAMPLES_MIN))
    with pytest.raises(StoreThrottled):
        dictionaries.learn(NOW)
    examples = contents(5, 10)
    for writer in (dictionaries, Dictionaries(store)):
        values = seal_all(writer, examples, NOW + LOOK_SECONDS)
        dictionary._held.clear()
        assert [content_of(value, DictionariesIn(store)) for value in values] == examples


def test_consumer_learns_and_goes_on_without(store):
    """A consumer in whose store no dictionary can be kept has stored and counted everything all the same."""

    class Trouble(Dictionaries):
        def learn(self, now_unix_seconds: int) -> bool:
            raise StoreThrottled("no")

    consumer = Consumer(store, DeadLetterList(), lambda: NOON_NANO, dictionaries=Trouble(store))
    assert consumer.consume([]).messages == 0


def test_samples_are_bounded(store):
    """However much passes through, no more than 33 MB of it is remembered."""
    dictionaries = Dictionaries(store)
    seal_all(dictionaries, [b"x" * (SAMPLE_BYTES_MAX + 1)] * (SAMPLES_MAX + 1))
    assert len(dictionaries._samples) == SAMPLES_MAX
    assert {len(sample) for sample in dictionaries._samples} == {SAMPLE_BYTES_MAX}


def test_a_dictionary_fits_its_item_and_has_an_id_of_its_own(store):
    """A dictionary fits its item, and its id is none of the built-in ones'."""
    learned(store)
    ((_, _, sort),) = [key for key in store.items if key[2] != dictionary.NEWEST]
    assert isinstance(sort, bytes)
    found = dictionary_with_id(store, int.from_bytes(sort, "big"))
    assert found is not None
    assert len(found.dict_content) <= DICTIONARY_BYTES
    assert found.dict_id not in built_in()
    assert DICTIONARY_PATH.exists()


def test_no_trace(store):
    """A dictionary is never taken for a chunk of a trace."""
    learned(store)
    assert list(read_chunks(store, trace_id(1), NOW)) == []
    assert len(dictionary.PARTITION) != len(trace_id(1))
