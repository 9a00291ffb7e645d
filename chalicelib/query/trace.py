"""A trace by its id, and what a list of traces says of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chalicelib.errors import NotFound
from chalicelib.store.traces import read_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.model.span import Span
    from chalicelib.store.items import ItemStore


class Summary(NamedTuple):
    """A trace in a line."""

    trace_id: bytes
    root_service: str
    root_span_name: str
    start_time_unix_nano: int
    duration_nano: int
    """From the earliest start to the latest end of its spans."""
    span_count: int
    error_count: int
    services: list[str]
    """Sorted."""


def trace_by_id(store: ItemStore, trace_id: bytes, now_unix_seconds: int) -> list[Span]:
    """Its spans by start, copies left out. Raises NotFound."""
    spans = read_spans(store, trace_id, now_unix_seconds)
    if not spans:
        raise NotFound(f"there is no trace {trace_id.hex()}: never received, or expired")
    return sorted(spans, key=lambda span: (span.start_time_unix_nano, span.span_id))


def summary_of(spans: Sequence[Span]) -> Summary:
    """Of the spans of one trace (at least one). The root is the earliest without a parent, else the earliest."""
    root = min(
        spans, key=lambda span: (bool(span.parent_span_id), span.start_time_unix_nano, span.span_id)
    )
    start = min(span.start_time_unix_nano for span in spans)
    end = max(span.start_time_unix_nano + span.duration_nano for span in spans)
    return Summary(
        root.trace_id,
        root.scope.service,
        root.name,
        start,
        end - start,
        len(spans),
        sum(span.is_error for span in spans),
        sorted({span.scope.service for span in spans}),
    )
