"""Links of spans: which can be followed, and leaving out the others."""

from __future__ import annotations

from itertools import compress
from typing import TYPE_CHECKING

from chalicelib.model import shadow_pb2 as shadow
from chalicelib.model.ids import SPAN_ID_BYTES, TRACE_ID_BYTES, ZERO_SPAN_ID, ZERO_TRACE_ID
from chalicelib.model.wire import field

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

_LINKS = 13
"""Their field's number."""
_DROPPED_MAX = 2**32 - 1
"""What `dropped_links_count` holds."""


def are_link_ids(trace_id: bytes, span_id: bytes) -> bool:
    """Whether both are as a span's own have to be: readers in Go refuse a whole trace for one that is not."""
    return (
        len(trace_id) == TRACE_ID_BYTES
        and len(span_id) == SPAN_ID_BYTES
        and trace_id != ZERO_TRACE_ID
        and span_id != ZERO_SPAN_ID
    )


def drop_bad_links(span: Span) -> int:
    """Take links with other ids out of a Span message, count them as dropped links, and return how many they were."""
    if not span.links:
        return 0
    # As bytes: a message may have millions, most of them equal, and an object for each takes seconds.
    links = shadow.Span.FromString(span.SerializeToString()).links[:]
    is_good = {raw: _is_good(shadow.Link.FromString(raw)) for raw in set(links)}
    good = list(compress(links, map(is_good.__getitem__, links)))
    dropped = len(links) - len(good)
    if dropped:
        del span.links[:]
        span.MergeFromString(b"".join([field(_LINKS, raw) for raw in good]))
        span.dropped_links_count = min(span.dropped_links_count + dropped, _DROPPED_MAX)
    return dropped


def _is_good(link: shadow.Link) -> bool:
    return are_link_ids(link.trace_id, link.span_id)
