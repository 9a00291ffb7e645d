"""Spans, links and the UI's configuration as Zipkin's JSON has them. Source: openzipkin/zipkin, V2SpanWriter.java."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from chalicelib.http.stream import form_of
from chalicelib.model.edges import EdgeKind
from chalicelib.zipkin.span import NO_ENDPOINT, zipkin_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from chalicelib.http.stream import Form
    from chalicelib.model.edges import CallCounts
    from chalicelib.model.span import Span
    from chalicelib.zipkin.span import Endpoint, ZipkinSpan

Json = dict[str, Any]


def span_json(span: ZipkinSpan) -> Json:
    """One span; a member that has no value is left out."""
    # Unpacked, for this is done for each span of a trace: a member by its name takes longer.
    (
        trace_id,
        parent_id,
        own_id,
        kind,
        name,
        timestamp,
        duration,
        local,
        remote,
        annotations,
        tags,
        debug,
        shared,
    ) = span
    found: Json = {"traceId": trace_id}
    if parent_id:
        found["parentId"] = parent_id
    found["id"] = own_id
    if kind:
        found["kind"] = kind
    if name:
        found["name"] = name
    if timestamp:
        found["timestamp"] = timestamp
    if duration:
        found["duration"] = duration
    if local is not NO_ENDPOINT:
        found["localEndpoint"] = _endpoint_json(local)
    if remote is not NO_ENDPOINT:
        found["remoteEndpoint"] = _endpoint_json(remote)
    if annotations:
        found["annotations"] = [{"timestamp": time, "value": value} for time, value in annotations]
    if tags:
        found["tags"] = dict(sorted(tags.items()))
    if debug:
        found["debug"] = True
    if shared:
        found["shared"] = True
    return found


@lru_cache(maxsize=256)
def _endpoint_json(endpoint: Endpoint) -> Json:
    found: Json = {}
    if endpoint.service_name:
        found["serviceName"] = endpoint.service_name
    if endpoint.ipv4:
        found["ipv4"] = endpoint.ipv4
    if endpoint.ipv6:
        found["ipv6"] = endpoint.ipv6
    if endpoint.port:
        found["port"] = endpoint.port
    return found


def streamed_trace(spans: Sequence[Span], form: Form | None = None) -> Any:
    """One trace, whose spans are made one by one while the answer is written."""
    return (form or form_of(spans)).array(map(span_json, zipkin_spans(spans)))


def trace_json(spans: Iterable[Span]) -> list[Json]:
    """One trace, made at once."""
    return list(map(span_json, zipkin_spans(spans)))


def links_json(counts: CallCounts) -> list[Json]:
    """Dependency links of edges, of all kinds that Zipkin's linker knows, by lower-cased names."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for (caller, callee, kind), (calls, errors) in counts.items():
        if kind == EdgeKind.PARENT:
            continue
        pair = caller.lower(), callee.lower()
        before = sums.get(pair, (0, 0))
        sums[pair] = before[0] + calls, before[1] + errors
    return [
        {"parent": parent, "child": child, "callCount": calls}
        | ({"errorCount": errors} if errors > 0 else {})
        for (parent, child), (calls, errors) in sorted(sums.items())
    ]


UI_CONFIG: Json = {
    "environment": "",
    "queryLimit": 10,
    "defaultLookback": 900_000,
    "searchEnabled": True,
    "logsUrl": None,
    "supportUrl": None,
    "archivePostUrl": None,
    "archiveUrl": None,
    "dependency": {"enabled": True, "lowErrorRate": 0.5, "highErrorRate": 0.75},
}
"""What Zipkin Lens asks for when it starts; times in milliseconds."""
