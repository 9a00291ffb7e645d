"""One payload → messages: split by trace id, the same way for the same bytes.

The bound is on uncompressed bytes, so that no compressor's version can move a split: a client that sends its bytes
again must make the same digests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes, traces_data
from chalicelib.queue.message import Message, message_from_payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.span import Scope, Span

_SPAN_OVERHEAD_BYTES = 12
"""Tag and length of a span, and its share of lengths that grow around it."""
_SCOPE_OVERHEAD_BYTES = 24


def messages_of(
    payload: bytes, span_count: int, tenant: str, received_unix_seconds: int
) -> list[Message]:
    """The messages that carry a payload: one as a rule, none for no spans."""
    if not span_count:
        return []
    if len(payload) <= config.MESSAGE_PAYLOAD_BYTES_MAX:
        return [message_from_payload(tenant, payload, span_count, received_unix_seconds)]
    return [
        message_from_payload(tenant, traces_data(part), len(part), received_unix_seconds)
        for part in _parts(spans_of(payload, Scopes()), config.MESSAGE_PAYLOAD_BYTES_MAX)
    ]


def _parts(spans: Iterable[Span], bytes_max: int) -> Iterator[list[Span]]:
    """The spans, trace by trace in the order of their first span, in parts whose encoding is within the bound."""
    traces: dict[bytes, list[Span]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, []).append(span)
    part: list[Span] = []
    part_bytes = 0
    scopes: set[Scope] = set()
    for of_trace in traces.values():
        # A trace that fits a part is not cut.
        trace_bytes = sum(_added_bytes(of_trace, scopes))
        if part and part_bytes + trace_bytes > bytes_max:
            yield part
            part, part_bytes, scopes = [], 0, set()
        for span in of_trace:
            size = sum(_added_bytes([span], scopes))
            if part and part_bytes + size > bytes_max:
                yield part
                part, part_bytes, scopes = [], 0, set()
                size = sum(_added_bytes([span], scopes))
            part.append(span)
            part_bytes += size
            scopes.add(span.scope)
    if part:
        yield part


def _added_bytes(spans: Iterable[Span], scopes: set[Scope]) -> Iterator[int]:
    """What each span adds to a part that has these scopes already; an upper bound."""
    new: set[Scope] = set()
    for span in spans:
        if span.scope not in scopes and span.scope not in new:
            new.add(span.scope)
            head = len(span.scope.resource_head) + len(span.scope.scope_head)
            yield head + _SCOPE_OVERHEAD_BYTES
        yield len(span.raw) + _SPAN_OVERHEAD_BYTES
