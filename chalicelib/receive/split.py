"""One payload → messages: split by trace id, the same way for the same bytes, and without secrets.

    payload ──cut──▶ parts ──digest──▶ identity
                           ──redacted──▶ what is carried

Every road into Clew comes through here, and nothing before it keeps anything: what redaction takes out is in no queue.
The identity is of the bytes before, so that a change of rules makes no second message of what is sent again.
The bound is on uncompressed bytes, so that no compressor's version can move a split: a client that sends its bytes
again must make the same digests.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.model.shadow_pb2 import Span as ShadowSpan
from chalicelib.model.span import Carried, Scopes, scopes_of, traces_data
from chalicelib.queue.message import Message, message_from_payload
from chalicelib.receive.redaction import redaction_of_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chalicelib.model.span import Scope

_SPAN_OVERHEAD_BYTES = 12
"""Tag and length of a span, and its share of lengths that grow around it."""
_SCOPE_OVERHEAD_BYTES = 24
_TRACE_ID_HEAD = b"\n\x10"
_TRACE_ID_END = 18
"""What a span in canonical form begins with: the trace id's tag and length, and its 16 bytes."""


def messages_of(
    payload: bytes,
    span_count: int,
    tenant: str,
    received_unix_seconds: int,
    redacted: Counter[str] | None = None,
) -> list[Message]:
    """The messages that carry a payload: one as a rule, none for no spans.

    Adds to `redacted` the values that were taken out, by rule. Raises RedactionRulesError if the settings have rules
    that cannot be used: nothing is taken in then.
    """
    if not span_count:
        return []
    redaction = redaction_of_settings()
    counts = Counter[str]() if redacted is None else redacted
    bytes_max = config.MESSAGE_PAYLOAD_BYTES_MAX
    return [
        message_from_payload(
            tenant,
            part,
            part_count,
            received_unix_seconds,
            redaction.redacted(part, bytes_max, counts, len(payload)) if redaction else None,
        )
        for part, part_count in _payloads(payload, span_count, bytes_max)
    ]


def _payloads(payload: bytes, span_count: int, bytes_max: int) -> Iterator[tuple[bytes, int]]:
    """TracesData bytes within the bound, and how many spans they have."""
    if len(payload) <= bytes_max:
        yield payload, span_count
        return
    for part in _parts(payload, bytes_max):
        yield traces_data(part), len(part)


def _parts(payload: bytes, bytes_max: int) -> Iterator[list[Carried]]:
    """The spans, trace by trace in the order of their first span, in parts whose encoding is within the bound.

    Of a span nothing but its trace id is read: it may have a hundred thousand events.
    """
    traces: dict[bytes, list[Carried]] = {}
    for scope, raws in scopes_of(payload, Scopes()):
        for raw in raws:
            traces.setdefault(_trace_id(raw), []).append(Carried(scope, raw))
    part: list[Carried] = []
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


def _trace_id(raw: bytes) -> bytes:
    if raw.startswith(_TRACE_ID_HEAD):
        return raw[len(_TRACE_ID_HEAD) : _TRACE_ID_END]
    return ShadowSpan.FromString(raw).trace_id


def _added_bytes(spans: Iterable[Carried], scopes: set[Scope]) -> Iterator[int]:
    """What each span adds to a part that has these scopes already; an upper bound."""
    new: set[Scope] = set()
    for span in spans:
        if span.scope not in scopes and span.scope not in new:
            new.add(span.scope)
            head = len(span.scope.resource_head) + len(span.scope.scope_head)
            yield head + _SCOPE_OVERHEAD_BYTES
        yield len(span.raw) + _SPAN_OVERHEAD_BYTES
