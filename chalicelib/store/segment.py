"""Segments as they are stored: entries, in order, that a commit or a step of the fold adds and a later step merges.

entries ──sealed_segments──▶ values of items ──entries_in──▶ entries
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.model.clew_pb2 import Segment as SegmentMessage
from chalicelib.model.frame import message_in, seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Entry = SegmentMessage.Entry
_SEGMENT_BYTES_MAX = 300_000
"""Uncompressed: fits an item however badly it compresses."""


def sealed_segments(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Entries in order, as values of as few segments as keep each below 300 KB (one entry never is above)."""
    batch: list[Entry] = []
    batch_bytes = 0
    for entry in entries:
        size = entry.ByteSize()
        if batch and batch_bytes + size > _SEGMENT_BYTES_MAX:
            yield _sealed(batch)
            batch, batch_bytes = [], 0
        batch.append(entry)
        batch_bytes += size
    if batch:
        yield _sealed(batch)


def _sealed(entries: list[Entry]) -> bytes:
    return seal(SegmentMessage(entries=entries).SerializeToString(deterministic=True))


def entries_in(value: bytes) -> Sequence[Entry]:
    """The entries of a segment's value, in order. Raises StoreError as `unseal` does."""
    return message_in(SegmentMessage, value).entries
