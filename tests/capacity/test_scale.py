"""docs/scale.md is what its command prints, its plans hold AWS's quotas, and no partition gets more than its share."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from math import sqrt

import pytest

from capacity import scale
from chalicelib.consume.segments import segments_of
from chalicelib.store import layout
from chalicelib.store.layout import shard_of_block, shard_of_service, shard_of_trace
from chalicelib.store.search_block import blocks_of
from chalicelib.store.search_row import rows_of
from chalicelib.store.segment import entries_in
from tests.model.spans import batches
from tests.payloads import CLIENT, NOON_NANO, SERVER, Made

COUNT = 50_000
SHARDS = (2, 3, 10, 16, 30, 64)


def random_ids(rng):
    """W3C: sixteen random bytes."""
    return [rng.randbytes(16) for _ in range(COUNT)]


def short_ids(rng):
    """Zipkin and old Jaeger clients: eight random bytes, padded on the left."""
    return [bytes(8) + rng.randbytes(8) for _ in range(COUNT)]


def xray_ids(rng):
    """X-Ray: four bytes of the time in seconds, of one hour, and twelve random ones."""
    return [
        (NOON_NANO // 10**9 + i % 3_600).to_bytes(4, "big") + rng.randbytes(12)
        for i in range(COUNT)
    ]


def counting_ids(rng):
    """A test program's: one after the other."""
    return [i.to_bytes(16, "big") for i in range(1, COUNT + 1)]


def snowflake_ids(rng):
    """Milliseconds, a machine and a sequence in 64 bits, as some id generators make them."""
    return [
        bytes(8) + ((1_790_000_000_000 + i) << 22 | rng.randrange(32) << 12).to_bytes(8, "big")
        for i in range(COUNT)
    ]


def assert_even(counts: list[int]) -> None:
    """Chi-square at most five standard deviations above its mean: chance alone does not get there in a million runs."""
    mean, freedom = sum(counts) / len(counts), len(counts) - 1
    chi_square = sum((count - mean) ** 2 for count in counts) / mean
    assert chi_square <= freedom + 5 * sqrt(2 * freedom)


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize(
    "ids", [random_ids, short_ids, xray_ids, counting_ids, snowflake_ids], ids=lambda f: f.__name__
)
def test_trace_ids_are_spread(ids, shards):
    """Trace ids as tracers make them fill the shards evenly, and so the partitions of the halves and segments."""
    counts = Counter(shard_of_trace(each, shards) for each in ids(random.Random(3)))
    assert_even([counts[shard] for shard in range(shards)])


@pytest.mark.parametrize("shards", SHARDS)
def test_blocks_of_a_hot_service_are_spread(shards):
    """The blocks of one service and hour, whose sort keys only grow, fill the index shards evenly."""
    counts = Counter(shard_of_block(key, shards) for key in scale.sample_block_keys(COUNT))
    assert_even([counts[shard] for shard in range(shards)])


def test_real_blocks_are_spread(monkeypatch):
    """So do the keys of blocks that the product makes, and each shard has a partition key of its own."""
    shards = 4
    keys = []
    for i in range(400):
        made = [
            Made(
                1 + i * 100 + j, j, start=NOON_NANO + i * 10**9 + j, attributes=(("a", i), ("b", j))
            )
            for j in range(1, 20)
        ]
        blocks = blocks_of(rows_of(batches(made)))
        keys += [block.key for block in blocks]
    counts = Counter(shard_of_block(key, shards) for key in keys)
    assert_even([counts[shard] for shard in range(shards)])
    assert len({layout.index_partition(1, "shop", shard) for shard in range(shards)}) == shards
    assert layout.index_partition(1, "shop", 0) == "h|1|shop"


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize(
    "name", ["service-{}", "team-a/checkout-{}", "com.example.svc{:04}", "{:x}.prod.internal"]
)
def test_services_are_spread(name, shards):
    """A thousand services of any scheme of names fill the shards: the fullest has at most twice an even share."""
    counts = Counter(shard_of_service(name.format(i), shards) for i in range(1_000))
    assert max(counts.values()) <= 2 * 1_000 / shards
    assert_even([counts[shard] for shard in range(shards)])


def test_markers_are_spread():
    """Markers have a partition key each."""
    keys = {layout.marker_key(hashlib.sha256(bytes([i])).digest()).partition for i in range(256)}
    assert len(keys) == 256


@pytest.mark.parametrize("shards", [4, 16])
def test_a_hot_service_is_no_hot_shard(shards):
    """Where one service sends nine spans of ten, no shard's segments have twice an even share of the bytes."""
    rng = random.Random(4)
    made = []
    for _ in range(2_000):
        service = "hot" if rng.random() < 0.9 else f"service-{rng.randrange(50)}"
        number = int.from_bytes(rng.randbytes(8), "big")
        made.append(
            Made(
                number,
                2,
                service,
                name="GET /",
                kind=SERVER,
                parent=1,
                duration=rng.randrange(10**9),
            )
        )
        made.append(
            Made(number, 1, "client", name="call", kind=CLIENT, duration=rng.randrange(10**9))
        )
    segments = segments_of(batches(made), shards)
    sizes = Counter[int]()
    for segment in segments:
        sizes[segment.shard] += sum(entry.ByteSize() for entry in entries_in(segment.value))
    assert len(sizes) == shards
    assert max(sizes.values()) <= 2 * sum(sizes.values()) / shards


@pytest.mark.parametrize("rate", [*scale.RATES, 1, 6_000, 33_333, 1_234_567])
def test_plans_hold_the_quotas(rate):
    """Whatever the rate, no partition and no table of a stack is planned to get more than it takes."""
    planned = scale.plan(rate)
    units = {
        kind: planned.stack_rate * each
        for kinds in scale.WRITE_UNITS.values()
        for kind, each in kinds.items()
    }
    half = scale.PARTITION_WRITE_UNITS * scale.HEADROOM
    assert units["segments"] / planned.shards <= half
    assert units["halves"] / planned.shards <= half
    assert units["blocks"] * scale.HOT_SHARE / planned.index_shards <= half
    assert units["targets"] <= half
    assert max(
        sum(kinds.values()) for kinds in scale.WRITE_UNITS.values()
    ) * planned.stack_rate <= (scale.TABLE_WRITE_UNITS_MAX)
    assert planned.shards <= scale.SHARDS_MAX
    assert (
        planned.stack_rate * scale.FOLD_SECONDS <= planned.folds_at_once <= scale.FOLDS_AT_ONCE_MAX
    )
    assert planned.folds_at_once == 1 or planned.folds_at_once < planned.shards
    assert planned.consumers <= scale.LAMBDAS_MAX


def test_a_commit_has_room_for_the_shards():
    """A full group of the requests that the plans are made for, and a segment for every shard, fit one transaction."""
    from chalicelib import config
    from chalicelib.consume.commit import COMMIT_ACTIONS_MAX

    messages = -(-config.GROUP_SPANS_MAX // 512)
    assert messages + scale.SHARDS_MAX <= COMMIT_ACTIONS_MAX


@pytest.mark.parametrize("name", scale.TABLES)
def test_the_tables_of_the_page_are_what_the_command_prints(name):
    """The page's tables are what the command prints."""
    page = scale.PAGE.read_text(encoding="utf-8")
    assert f"<!-- bench:{name} -->\n{scale.TABLES[name]()}\n<!-- /bench:{name} -->" in page


def test_figures_are_the_recorded_ones():
    """The counts that the page reckons with are at least nine tenths of the last recorded ones; the time two thirds.

    The same code takes a third more of a second of the machine that one record was made on than of another's.
    """
    newest = max(scale.PAGE.parents[1].glob("bench/results/2*.json"))
    recorded = json.loads(newest.read_text())["curve"][-1]
    units = {k: v for kinds in scale.WRITE_UNITS.values() for k, v in kinds.items()}
    for kind in ("chunks", "blocks", "markers", "segments", "halves"):
        assert units[kind] >= 0.9 * recorded["write_units"][kind]
    per_minute = recorded["traces_per_second"] * 16 * 60
    assert recorded["fold_seconds"] / per_minute <= 1.5 * scale.FOLD_SECONDS


def test_a_ramp_waits_only_while_a_table_doubles():
    """A table that takes it at once lets nothing wait; one that must double takes half an hour for it."""
    assert scale.ramp(4_000) == (0, 0.0)
    minutes, oldest = scale.ramp(8_000)
    assert minutes == 30
    assert 0 < oldest < 30


def test_bad_input_at_a_hundredth_of_its_size(monkeypatch):
    """A long trace, and more services than are counted by themselves, are all counted in the answers, once."""
    from chalicelib import config

    monkeypatch.setattr(config, "GROUP_SPANS_MAX", 1_000)
    monkeypatch.setattr(config, "SERVICES_MAX", 20)
    for brought in scale.million(10_000, 500):
        assert brought.counted == brought.spans
