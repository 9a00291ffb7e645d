"""The contract of an ItemStore: each sentence of `chalicelib/store/items.py`, as tests that every backend passes.

A backend's class gives a `backend` fixture: the store, and a way past it to write and to read, so that a store that
reads back its own mistake is found out.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.errors import LimitExceeded
from chalicelib.store.items import ConditionFailed, Item, Plain, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.items import ItemStore

TEXT, MIXED, BINARY = config.STATISTICS_TABLE, config.INDEX_TABLE, config.SPANS_TABLE
"""Tables with keys of text and text, text and bytes, bytes and bytes."""
NOT_THERE = "attribute_not_exists(p)"
VERSION_IS = "n = :n"
_numbers = itertools.count()


class Past(Protocol):
    """A way to the items that does not lead through the store."""

    def write(self, table: str, item: Item) -> None: ...

    def read(self, table: str, partition: Plain, sort: Plain) -> Item | None: ...


class Backend(NamedTuple):
    store: ItemStore
    past: Past


def new_partition() -> str:
    """One that no other test has: backends live for a whole class."""
    return f"partition-{next(_numbers)}"


def item(partition: Plain, sort: Plain, **more: Plain) -> Item:
    return {"p": partition, "s": sort, **more}


def numbered(partition: str, count: int, **more: Plain) -> list[Item]:
    return [item(partition, f"{i:05d}", n=i, **more) for i in range(count)]


def sorts(items: Sequence[Item] | Any) -> list[Plain]:
    return [each["s"] for each in items]


class ItemStoreContract:
    @pytest.fixture
    def store(self, backend):
        return backend.store

    @pytest.fixture
    def past(self, backend):
        return backend.past

    @pytest.fixture
    def partition(self):
        return new_partition()

    # put_batch

    @pytest.mark.parametrize("count", [1, 25, 26, 60])
    def test_put_batch_writes_every_item(self, store, past, partition, count):
        """Every item is written when put_batch returns, however many there are."""
        items = numbered(partition, count, v=b"\0\xff")
        store.put_batch(TEXT, items)
        assert [past.read(TEXT, partition, each["s"]) for each in items] == items

    def test_put_batch_writes_over(self, store, past, partition):
        """An item is written over what was there: no attribute of the old one stays."""
        past.write(TEXT, item(partition, "a", v=b"old", x=5))
        store.put_batch(TEXT, [item(partition, "a", n=1)])
        assert past.read(TEXT, partition, "a") == item(partition, "a", n=1)

    @pytest.mark.parametrize("between", [0, 30])
    def test_put_batch_of_one_key_twice(self, store, past, partition, between):
        """Of items with one key, the last is written, be it in the same request or a later one."""
        fillers = numbered(partition, between)
        store.put_batch(TEXT, [item(partition, "a", n=1), *fillers, item(partition, "a", n=2)])
        assert past.read(TEXT, partition, "a") == item(partition, "a", n=2)

    def test_put_batch_of_nothing(self, store, partition):
        """No items: nothing is done, and that is no error."""
        store.put_batch(TEXT, [])
        assert list(store.query(TEXT, partition)) == []

    def test_put_batch_again(self, store, past, partition):
        """Writing all again after some were written ends as writing once does."""
        items = numbered(partition, 30)
        for each in items[:7]:
            past.write(TEXT, each)
        store.put_batch(TEXT, items)
        store.put_batch(TEXT, items)
        assert list(store.query(TEXT, partition)) == items

    def test_put_batch_keeps_its_argument(self, store, partition):
        """Items belong to the caller: they are not changed, and changing them later changes nothing stored."""
        mine = item(partition, "a", n=1)
        store.put_batch(TEXT, [mine])
        assert mine == item(partition, "a", n=1)
        mine["n"] = 2
        assert list(store.query(TEXT, partition)) == [item(partition, "a", n=1)]

    @pytest.mark.parametrize(
        "value", ["", "é\0", b"", bytes(range(256)), 0, -1, 2**63, 10**37], ids=repr
    )
    def test_values_come_back_as_they_were(self, store, past, partition, value):
        """Text, bytes and integers come back equal and of their type, whichever way they went in."""
        store.put_batch(TEXT, [item(partition, "in", v=value)])
        past.write(TEXT, item(partition, "out", v=value))
        found = [past.read(TEXT, partition, "in"), *store.query(TEXT, partition, "out")]
        assert [each["v"] for each in found] == [value, value]
        assert {type(each["v"]) for each in found} == {type(value)}

    # delete_batch

    def test_delete_batch(self, store, past, partition):
        """What has one of the keys is gone; neighbours stay."""
        items = numbered(partition, 60)
        for each in items:
            past.write(TEXT, each)
        store.delete_batch(TEXT, [{"p": each["p"], "s": each["s"]} for each in items[5:55]])
        assert [
            each["n"] for each in items if past.read(TEXT, partition, each["s"]) is not None
        ] == [*range(5), *range(55, 60)]

    def test_delete_batch_of_what_is_not_there(self, store, past, partition):
        """None of the items need have been there."""
        past.write(TEXT, item(partition, "a"))
        store.delete_batch(TEXT, [{"p": partition, "s": "b"}, {"p": partition, "s": "a"}])
        store.delete_batch(TEXT, [])
        assert past.read(TEXT, partition, "a") is None

    def test_delete_batch_of_one_key_twice(self, store, past, partition):
        """A key may be named more than once: its item is gone."""
        past.write(TEXT, item(partition, "a"))
        store.delete_batch(TEXT, [{"p": partition, "s": "a"}] * 2)
        assert past.read(TEXT, partition, "a") is None

    # query

    def test_query_is_of_one_partition_and_table(self, store, past, partition):
        """A query finds its partition's items in its table, and no others."""
        other = new_partition()
        past.write(TEXT, item(partition, "a", n=1))
        past.write(TEXT, item(other, "a", n=2))
        past.write(MIXED, item(partition, b"a", n=3))
        assert list(store.query(TEXT, partition)) == [item(partition, "a", n=1)]
        assert list(store.query(MIXED, partition)) == [item(partition, b"a", n=3)]

    def test_query_of_nothing(self, store, partition):
        """A partition that has no items is empty, not an error."""
        assert list(store.query(TEXT, partition)) == []
        assert list(store.query(TEXT, partition, "a", "b", descending=True)) == []

    @pytest.mark.parametrize(
        ("low", "high", "found"),
        [
            (None, None, "abcd"),
            ("b", None, "bcd"),
            (None, "c", "abc"),
            ("b", "c", "bc"),
            ("b", "b", "b"),
            ("aa", "bb", "b"),
            ("e", None, ""),
            (None, "0", ""),
        ],
    )
    @pytest.mark.parametrize("descending", [False, True])
    def test_query_bounds(self, store, past, partition, low, high, found, descending):
        """A query finds the sort keys in [low, high], both ends included, ascending unless descending."""
        for sort in "cadb":
            past.write(TEXT, item(partition, sort))
        answer = sorts(store.query(TEXT, partition, low, high, descending=descending))
        assert answer == sorted(found, reverse=descending)

    def test_bytes_sort_as_unsigned_bytes(self, store, past, partition):
        """Sort keys of bytes sort by their unsigned bytes; a prefix comes first."""
        ordered = [
            b"\x00",
            b"\x00\x00",
            b"\x01",
            b"\x7f",
            b"\x7f\xff",
            b"\x80",
            b"\xff",
            b"\xff\x00",
        ]
        for sort in reversed(ordered):
            past.write(MIXED, item(partition, sort))
            past.write(BINARY, item(partition.encode(), sort))
        assert sorts(store.query(MIXED, partition)) == ordered
        assert sorts(store.query(BINARY, partition.encode(), descending=True)) == ordered[::-1]
        assert sorts(store.query(MIXED, partition, b"\x7f", b"\x80")) == ordered[3:6]

    def test_text_sorts_as_its_bytes(self, store, past, partition):
        """Sort keys of text sort by their UTF-8: unlike UTF-16, U+FFFD comes before an emoji."""
        ordered = ["!", "10", "9", "Z", "a", "z", "é", "\ufffd", "\U0001f600"]
        for sort in reversed(ordered):
            past.write(TEXT, item(partition, sort))
        assert sorts(store.query(TEXT, partition)) == ordered
        assert sorts(store.query(TEXT, partition, "z", "\ufffd")) == ordered[5:8]

    @pytest.mark.parametrize("first_page_items", [None, 1, 2, 7])
    @pytest.mark.parametrize("descending", [False, True])
    def test_query_over_pages(self, store, past, partition, descending, first_page_items):
        """A query finds everything, in order, also where it is more than the backend gives at once (1 MB)."""
        items = numbered(partition, 9, v=bytes(300_000))
        for each in items:
            past.write(TEXT, each)
        found = sorts(
            store.query(
                *(TEXT, partition, "00001", "00007"),
                descending=descending,
                first_page_items=first_page_items,
            )
        )
        assert found == sorted((f"{i:05d}" for i in range(1, 8)), reverse=descending)

    # get_batch

    @pytest.mark.parametrize("count", [0, 1, 100, 101, 230])
    def test_get_batch(self, store, past, partition, count):
        """Those of the items that are there are found, however many keys there are."""
        items = numbered(partition, count, v=b"v")
        for each in items[::2]:
            past.write(TEXT, each)
        found = store.get_batch(TEXT, [{"p": each["p"], "s": each["s"]} for each in items])
        assert sorted(found, key=lambda each: each["s"]) == items[::2]

    def test_get_batch_over_pages(self, store, past, partition):
        """All are found, also where they are more than the backend gives at once (16 MB)."""
        items = numbered(partition, 44, v=bytes(390_000))
        for each in items:
            past.write(TEXT, each)
        found = store.get_batch(TEXT, [{"p": each["p"], "s": each["s"]} for each in items])
        assert sorted(sorts(found)) == sorts(items)

    def test_get_batch_of_one_key_twice(self, store, past, partition):
        """A key that is named more than once is found once."""
        past.write(TEXT, item(partition, "a", n=1))
        assert store.get_batch(TEXT, [item(partition, "a")] * 2) == [item(partition, "a", n=1)]

    # transact

    def test_transact_nothing(self, store, partition):
        """No actions: nothing is done, and that is no error."""
        store.transact([])
        assert list(store.query(TEXT, partition)) == []

    def test_transact_does_all(self, store, past, partition):
        """All the actions are done, over several tables."""
        store.transact(
            [
                Put(TEXT, item(partition, "a", n=1), NOT_THERE),
                Put(MIXED, item(partition, b"b", v=b"x")),
            ]
        )
        assert past.read(TEXT, partition, "a") == item(partition, "a", n=1)
        assert past.read(MIXED, partition, b"b") == item(partition, b"b", v=b"x")

    @pytest.mark.parametrize(
        ("there", "condition", "holds"),
        [
            (None, NOT_THERE, True),
            (1, NOT_THERE, False),
            (None, VERSION_IS, False),
            (1, VERSION_IS, False),
            (7, VERSION_IS, True),
            (None, None, True),
            (1, None, True),
        ],
    )
    def test_a_put_happens_only_if_its_condition_holds(
        self, store, past, partition, there, condition, holds
    ):
        """A put happens if the item there satisfies its condition; an item that is not there has no version."""
        if there is not None:
            past.write(TEXT, item(partition, "a", n=there))
        values: dict[str, Plain] | None = {":n": 7} if condition == VERSION_IS else None
        action = Put(TEXT, item(partition, "a", n=8), condition, values)
        if holds:
            store.transact([action])
            assert past.read(TEXT, partition, "a") == item(partition, "a", n=8)
        else:
            with pytest.raises(ConditionFailed):
                store.transact([action])
            before = None if there is None else item(partition, "a", n=there)
            assert past.read(TEXT, partition, "a") == before

    def test_conditions_that_fail_are_named_and_nothing_is_done(self, store, past, partition):
        """ConditionFailed has the places of all actions whose condition was false, and nothing was done."""
        past.write(TEXT, item(partition, "old", n=1))
        actions = [
            Put(TEXT, item(partition, "new", n=2), NOT_THERE),
            Put(TEXT, item(partition, "old", n=2), NOT_THERE),
            Put(TEXT, item(partition, "free", n=2)),
            Put(TEXT, item(partition, "free too", n=2)),
            Put(TEXT, item(partition, "missing", n=2), VERSION_IS, {":n": 1}),
        ]
        with pytest.raises(ConditionFailed) as caught:
            store.transact(actions)
        assert caught.value.indices == {1, 4}
        assert list(store.query(TEXT, partition)) == [item(partition, "old", n=1)]
        assert past.read(TEXT, partition, "new") is None

    def test_a_hundred_actions(self, store, past, partition):
        """A transaction of a hundred actions, DynamoDB's most, is done."""
        items = numbered(partition, 100)
        store.transact([Put(TEXT, each, NOT_THERE) for each in items])
        assert list(store.query(TEXT, partition)) == items

    # At once

    def test_one_of_many_creates(self, store, past, partition):
        """Of transactions at once that each create one item, exactly one is done, and all of it; others say why."""

        def create(number: int) -> bool:
            actions = [
                Put(TEXT, item(partition, "shared", n=number), NOT_THERE),
                Put(TEXT, item(partition, f"own {number}", n=number), NOT_THERE),
            ]
            try:
                store.transact(actions)
            except ConditionFailed as failed:
                assert failed.indices == {0}  # noqa: PT017 (what else is raised fails the test anyway)
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            done = list(threads.map(create, range(16)))
        assert done.count(True) == 1
        winner = done.index(True)
        assert list(store.query(TEXT, partition)) == [
            item(partition, f"own {winner}", n=winner),
            item(partition, "shared", n=winner),
        ]

    def test_versions_at_once(self, store, past, partition):
        """Writers that condition on the version they read lose no update, however they meet."""
        past.write(TEXT, item(partition, "a", n=1))

        def add_five(_: int) -> None:
            added = 0
            while added < 5:
                (read,) = store.get_batch(TEXT, [item(partition, "a")])
                after = item(partition, "a", n=read["n"] + 1)
                try:
                    store.transact([Put(TEXT, after, VERSION_IS, {":n": read["n"]})])
                except ConditionFailed:
                    continue
                added += 1

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(add_five, range(4)))
        assert past.read(TEXT, partition, "a") == item(partition, "a", n=21)

    # Limits: DynamoDB's own, on both sides of each border

    def refused(self, store, partition, bad: Item) -> None:
        """Each way of writing refuses `bad`, and writes nothing of what comes with it."""
        good = item(partition, "good")
        with pytest.raises(LimitExceeded):
            store.put_batch(TEXT, [good, bad])
        with pytest.raises(LimitExceeded):
            store.transact([Put(TEXT, good), Put(TEXT, bad)])
        assert list(store.query(TEXT, partition)) == []

    def taken(self, store, past, largest: Item) -> None:
        store.put_batch(TEXT, [largest])
        assert past.read(TEXT, largest["p"], largest["s"]) == largest
        store.transact([Put(TEXT, largest)])
        assert past.read(TEXT, largest["p"], largest["s"]) == largest

    @pytest.mark.parametrize(("name", "filler"), [("v", b"\0"), ("v", "x"), ("ü", "é"), ("v", "€")])
    def test_the_largest_item(self, store, past, partition, name, filler):
        """An item has at most 409,600 bytes: UTF-8 of names and text, and bytes as they are."""
        room_bytes = 409_600 - len("p" + partition + "s" + "a" + name) - (not name.isascii())
        width = len(filler.encode()) if isinstance(filler, str) else 1
        fill = filler * (room_bytes // width)
        rest = "x" * (room_bytes % width)
        whole = fill + rest if isinstance(fill, str) else fill
        self.taken(store, past, item(partition, "a", **{name: whole}))
        over = whole + "x" if isinstance(whole, str) else whole + b"x"
        self.refused(store, partition + "-refused", item(partition, "b", **{name: over}))

    def test_names_count(self, store, partition):
        """An attribute's name counts as much as its value."""
        self.refused(
            store, partition, item(partition, "a", **{"n" * 60_000: b"", "v": bytes(349_600)})
        )

    @pytest.mark.parametrize(("name", "most"), [("p", 2_048), ("s", 1_024)])
    def test_the_longest_keys(self, store, past, partition, name, most):
        """A partition key has 1 to 2,048 bytes and a sort key 1 to 1,024, as UTF-8."""
        start = f"{partition} é"
        fill = start + "x" * (most - len(start.encode()))
        key = {"p": partition, "s": "a", name: fill}
        self.taken(store, past, key)
        for bad in ({**key, name: fill + "x"}, {**key, name: ""}):
            self.refused(store, partition + "-refused", bad)
            for call in (store.delete_batch, store.get_batch):
                with pytest.raises(LimitExceeded):
                    call(TEXT, [bad])

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize(
        ("largest", "over"),
        [(10**38 - 1, 10**38 + 1), (10**37 + 1, 10**39 + 10), (10**126 - 10**88, 10**126)],
    )
    def test_the_longest_numbers(self, store, past, partition, sign, largest, over):
        """A number has at most 38 significant digits, and is below 10^126."""
        self.taken(store, past, item(partition, "a", v=sign * largest))
        self.refused(store, partition + "-refused", item(partition, "b", v=sign * over))

    def test_one_action_an_item(self, store, partition):
        """A transaction with two actions on one item is refused, and nothing is done."""
        with pytest.raises(LimitExceeded):
            store.transact([Put(TEXT, item(partition, "a", n=number)) for number in range(2)])
        assert list(store.query(TEXT, partition)) == []

    def test_a_hundred_and_one_actions(self, store, partition):
        """A transaction of more than a hundred actions is refused, and nothing is done."""
        with pytest.raises(LimitExceeded):
            store.transact([Put(TEXT, each) for each in numbered(partition, 101)])
        assert list(store.query(TEXT, partition)) == []

    def test_the_largest_transaction(self, store, partition):
        """A transaction has at most 4 MB, of whole items."""
        fill = bytes(400_000 - len("ps0v" + partition))
        items = [item(partition, str(i), v=fill) for i in range(10)]
        store.transact([Put(TEXT, each) for each in items[:9]])
        over = {**items[9], "v": fill + b"x"}
        with pytest.raises(LimitExceeded):
            store.transact([Put(TEXT, each) for each in [*items[:9], over]])
        assert sorts(store.query(TEXT, partition)) == sorts(items[:9])
        store.transact([Put(TEXT, each) for each in items])
        assert sorts(store.query(TEXT, partition)) == sorts(items)

    # All of them, against a dict

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("put", "delete", "create")),
                st.lists(
                    st.tuples(st.sampled_from(("a", "ab", "b", "ü", "~")), st.integers(0, 3)),
                    min_size=1,
                    max_size=4,
                    unique_by=lambda each: each[0],
                ),
            ),
            max_size=6,
        ),
        st.none() | st.sampled_from(("a", "b")),
        st.none() | st.sampled_from(("b", "ü")),
        st.booleans(),
    )
    @settings(
        max_examples=10,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[
            HealthCheck.differing_executors,
            HealthCheck.function_scoped_fixture,
        ],
    )
    def test_any_sequence(self, backend, steps, low, high, descending):
        """Whatever is put, deleted and created, in any order: a query finds what a dict would hold."""
        store, partition = backend.store, new_partition()
        model: dict[str, Item] = {}
        for operation, pairs in steps:
            items = [item(partition, sort, n=number) for sort, number in pairs]
            if operation == "put":
                store.put_batch(TEXT, items)
            elif operation == "delete":
                store.delete_batch(TEXT, [item(partition, sort) for sort, _ in pairs])
                model = {s: v for s, v in model.items() if s not in dict(pairs)}
            else:
                there = {i for i, (sort, _) in enumerate(pairs) if sort in model}
                if there:
                    with pytest.raises(ConditionFailed) as caught:
                        store.transact([Put(TEXT, each, NOT_THERE) for each in items])
                    assert caught.value.indices == there
                    continue
                store.transact([Put(TEXT, each, NOT_THERE) for each in items])
            if operation != "delete":
                model.update({str(each["s"]): each for each in items})
        expected = [
            model[sort]
            for sort in sorted(model, key=str.encode, reverse=descending)
            if (low is None or sort >= low) and (high is None or sort <= high)
        ]
        assert list(store.query(TEXT, partition, low, high, descending=descending)) == expected
        keys = [item(partition, sort) for sort in ("a", "~")]
        found = {str(each["s"]): each for each in store.get_batch(TEXT, keys)}
        assert found == {sort: each for sort, each in model.items() if sort in ("a", "~")}
