"""Links that earlier releases stored with ids that are none: no dialect shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.jaeger import render as jaeger
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.native.columns import columns_json
from chalicelib.present.otlp_json import traces_data_json
from chalicelib.query.trace import ChunkOfSpans, Page
from chalicelib.zipkin import render as zipkin
from tests.payloads import Made, payload, span_id, trace_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.model.span import Scope, Span

GOOD = (trace_id(7), span_id(8))
BAD = [(b"", b""), (b"\x01", b"\x02"), (bytes(16), bytes(8)), (trace_id(7), bytes(8))]
BAD += [(bytes(16), span_id(8)), (trace_id(7)[8:], span_id(8)), (trace_id(7), trace_id(8))]


def stored(links: Sequence[tuple[bytes, bytes]], dropped: int) -> list[Span]:
    data = TracesData.FromString(payload([Made(1, 1), Made(1, 2, parent=1)]))
    span = data.resource_spans[0].scope_spans[0].spans[1]
    for linked_trace, linked in links:
        span.links.add(trace_id=linked_trace, span_id=linked)
    span.dropped_links_count = dropped
    return list(spans_of(data.SerializeToString(), Scopes()))


def columns(spans: Sequence[Span]) -> Any:
    of_scope: list[tuple[Scope, Sequence[bytes]]] = [(spans[0].scope, [span.raw for span in spans])]
    return columns_json(Page(trace_id(1), [ChunkOfSpans("", of_scope)], None))


DIALECTS = [
    pytest.param(lambda spans: jaeger.trace_json(spans), id="Jaeger"),
    pytest.param(lambda spans: jaeger.trace_json(spans, is_raw=True), id="Jaeger, raw"),
    pytest.param(zipkin.trace_json, id="Zipkin"),
    pytest.param(traces_data_json, id="OTLP"),
    pytest.param(columns, id="columns"),
]


@pytest.mark.parametrize("render", DIALECTS)
def test_bad_links_are_not_shown(render):
    """They are left out and counted as dropped; what is good stays."""
    assert render(stored([*BAD, GOOD], 3)) == render(stored([GOOD], 3 + len(BAD)))
