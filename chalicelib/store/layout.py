"""Where everything stands in the tables `index` and `statistics`: keys, and the values under them.

docs/item-layout.md is this module in prose. Attributes: `p` partition key, `s` sort key, `v` sealed bytes,
`n` version, `x` expiry (Unix seconds; DynamoDB deletes some time after it).

    index        h|HOUR|SERVICE    latest start, digest    a search block (of index shard 1: h1|…)
    statistics   m|DIGEST          m                       a marker: this message is counted
                 f|SHARD           !                       the shard's fold-state
                 f|SHARD           s|TIME|DIGEST|PLACE     a segment of a commit
                 f|SHARD           s|~SEQUENCE|PART        a segment that the fold itself wrote
                 h|SHARD           SEQUENCE|PART           half-edges that wait
                 i|SHARD           SEQUENCE                which traces a step's half-edges have
                 s|SERVICE         LEVEL|NUMBER            statistics of a minute, hour or day
                 e|SHARD           LEVEL|NUMBER            edges of a minute, hour or day
                 c|SHARD           DAY                     the catalogue of a day
                 t                 DIGEST                  an access token
                 o                 sampling                the sampling strategies
                 d                 SENT|DIGEST             a note of a dead letter
                 (s, e and c)      …|PART                  the rest of a value over the item limit
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple
from zlib import crc32

from chalicelib import config
from chalicelib.model.names import key_name

FOLD_STATE_KEY = "!"
"""Sorts before every segment, so that one query reads both in order."""
TOKENS_PARTITION = "t"
NOTES_PARTITION = "d"
PART_MAX = 999
"""The highest part of a step's half-edges: those of one transaction are a few."""
MINUTES_PER_HOUR, HOURS_PER_DAY = 60, 24


class Level(Enum):
    """The resolutions of statistics and edges. A number is the time since the epoch in units of its level."""

    MINUTE = "m"
    HOUR = "h"
    DAY = "d"

    @property
    def seconds(self) -> int:
        return {Level.MINUTE: 60, Level.HOUR: 3_600, Level.DAY: 86_400}[self]

    @property
    def retention_seconds(self) -> int:
        return {
            Level.MINUTE: config.MINUTE_RETENTION_SECONDS,
            Level.HOUR: config.HOUR_RETENTION_SECONDS,
            Level.DAY: config.DAY_RETENTION_SECONDS,
        }[self]


class Key(NamedTuple):
    """The key of an item of the table `statistics`."""

    partition: str
    sort: str


SAMPLING_KEY = Key("o", "sampling")


def index_partition(hour: int, service: str, shard: int = 0) -> str:
    """The partition of a shard of the index. Shard 0 has no number: that is how it was before there were any shards."""
    return f"h{shard or ''}|{hour}|{service}"


def marker_key(digest: bytes) -> Key:
    return Key(f"m|{digest.hex()}", "m")


def note_sort_key(sent_unix_seconds: int, digest: bytes) -> str:
    """The sort key of a dead letter's note: notes sort by when the message was first sent."""
    return f"{sent_unix_seconds:012d}|{digest[:16].hex()}"


def fold_partition(shard: int) -> str:
    return f"f|{shard}"


def segment_sort_key(committed_unix_nano: int, digest: bytes) -> str:
    return f"s|{committed_unix_nano:020d}|{digest[:8].hex()}"


def spilled_sort_key(sequence: int, part: int) -> str:
    """The sort key of a segment that the fold itself writes: it sorts after those of commits."""
    return f"s|~{sequence:016d}|{part:03d}"


def halves_partition(shard: int) -> str:
    return f"h|{shard}"


def halves_sort_key(sequence: int, part: int) -> str:
    return f"{filter_sort_key(sequence)}|{part:03d}"


def sequence_in(sort_key: object) -> int:
    """The step that wrote an item of half-edges, or a filter."""
    return int(str(sort_key)[:16])


def filters_partition(shard: int) -> str:
    """Apart from the half-edges: reading the filters of many steps reads no half."""
    return f"i|{shard}"


def filter_sort_key(sequence: int) -> str:
    return f"{sequence:016d}"


def statistics_partition(service: str) -> str:
    return f"s|{key_name(service)}"


def edges_partition(shard: int) -> str:
    return f"e|{shard}"


def catalogue_partition(shard: int) -> str:
    return f"c|{shard}"


def level_sort_key(level: Level, number: int) -> str:
    return f"{level.value}|{number:012d}"


def day_sort_key(day: int) -> str:
    return f"{day:012d}"


def _shard(key: bytes, shards: int) -> int:
    """A shard has about as many keys as any other. CRC-32 modulo the number was not: keys that differ in a few digits
    have CRCs that differ in a few bits, and whole shards got none. Multiplying (Knuth, TAOCP 6.4) carries each bit into
    those above."""
    return ((crc32(key) * 0x9E3779B1 & 0xFFFFFFFF) * shards) >> 32


def shard_of_service(service: str, shards: int) -> int:
    return _shard(service.encode(), shards)


def shard_of_block(key: bytes, shards: int) -> int:
    """The shard of a block, by the digest in its key: a block that is written again stays one."""
    return _shard(key, shards)


def shard_of_trace(trace_id: bytes, shards: int) -> int:
    return _shard(trace_id, shards)
