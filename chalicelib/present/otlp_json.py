"""OTLP/JSON: protobuf's JSON mapping, but hexadecimal ids and integer enums; 64-bit integers as decimal strings.

Fields with their default value are left out.
Source: opentelemetry-proto, docs/specification.md, JSON Protobuf Encoding.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from chalicelib.http.stream import WHOLE, form_of
from chalicelib.model.attribute import double_text
from chalicelib.present.message import message_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.proto.common.v1.common_pb2 import (
        AnyValue,
        EntityRef,
        InstrumentationScope,
    )
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
    from opentelemetry.proto.trace.v1.trace_pb2 import Status

    from chalicelib.http.stream import Form
    from chalicelib.model.span import Span

Json = dict[str, Any]

DECODED_MAX = 20_000
"""Distinct attributes that are remembered decoded, some 600 bytes each: where more differ, few come again."""


def streamed_traces_data(spans: Sequence[Span], form: Form | None = None) -> Any:
    """`{"resourceSpans": […]}` of spans, grouped by resource and scope in the order of their first span."""
    resources: dict[bytes, dict[bytes, list[Span]]] = {}
    for span in spans:
        scopes = resources.setdefault(span.scope.resource_head, {})
        scopes.setdefault(span.scope.scope_head, []).append(span)
    form = form or form_of(spans)
    attributes = _Attributes()
    groups = (_resource_group(*each, attributes, form) for each in resources.items())
    return form.object([("resourceSpans", form.array(groups))])


def _resource_group(
    head: bytes, scopes: Mapping[bytes, Sequence[Span]], attributes: _Attributes, form: Form
) -> Any:
    groups = (_scope_group(*each, attributes, form) for each in scopes.items())
    return form.object([*_resource_spans(head).items(), ("scopeSpans", form.array(groups))])


def _scope_group(head: bytes, spans: Sequence[Span], attributes: _Attributes, form: Form) -> Any:
    found = (_span(span, attributes) for span in spans)
    return form.object([*_scope_spans(head).items(), ("spans", form.array(found))])


def traces_data_json(spans: Sequence[Span]) -> Json:
    """The same, at once."""
    found: Json = streamed_traces_data(spans, WHOLE)
    return found


def _resource_spans(head: bytes) -> Json:
    message = ResourceSpans.FromString(head)
    found: Json = {"resource": _resource(message.resource)} if message.HasField("resource") else {}
    return _with(found, schemaUrl=message.schema_url)


def _resource(resource: Resource) -> Json:
    return _with(
        {},
        attributes=_attributes(resource.attributes),
        droppedAttributesCount=resource.dropped_attributes_count,
        entityRefs=[_entity_ref(each) for each in resource.entity_refs],
    )


def _entity_ref(entity_ref: EntityRef) -> Json:
    return _with(
        {},
        schemaUrl=entity_ref.schema_url,
        type=entity_ref.type,
        idKeys=list(entity_ref.id_keys),
        descriptionKeys=list(entity_ref.description_keys),
    )


def _scope_spans(head: bytes) -> Json:
    message = ScopeSpans.FromString(head)
    found: Json = {"scope": _scope(message.scope)} if message.HasField("scope") else {}
    return _with(found, schemaUrl=message.schema_url)


def _scope(scope: InstrumentationScope) -> Json:
    return _with(
        {},
        name=scope.name,
        version=scope.version,
        attributes=_attributes(scope.attributes),
        droppedAttributesCount=scope.dropped_attributes_count,
    )


class _Attributes(dict[bytes, Json]):
    """KeyValue wire bytes → JSON: a trace's spans have most of their attributes in common."""

    def __missing__(self, raw: bytes) -> Json:
        if len(self) >= DECODED_MAX:
            self.clear()
        found = self[raw] = attribute_json(KeyValue.FromString(raw))
        return found


def _span(stored: Span, attributes: _Attributes) -> Json:
    span = message_of(stored)
    found: Json = {"traceId": span.trace_id.hex(), "spanId": span.span_id.hex()}
    return _with(
        found,
        traceState=span.trace_state,
        parentSpanId=span.parent_span_id.hex(),
        flags=span.flags,
        name=span.name,
        kind=span.kind,
        startTimeUnixNano=_integer(span.start_time_unix_nano),
        endTimeUnixNano=_integer(span.end_time_unix_nano),
        attributes=[attributes[raw] for raw in stored.attributes],
        droppedAttributesCount=span.dropped_attributes_count,
        events=[_event(event) for event in span.events] if stored.raw_events else (),
        droppedEventsCount=span.dropped_events_count,
        links=[_link(link) for link in span.links] if stored.raw_links else (),
        droppedLinksCount=span.dropped_links_count,
        status=_status(span.status) if span.HasField("status") else None,
    )


def _status(status: Status) -> Json:
    return _with({}, message=status.message, code=status.code)


def _event(event: SpanMessage.Event) -> Json:
    return _with(
        {},
        timeUnixNano=_integer(event.time_unix_nano),
        name=event.name,
        attributes=_attributes(event.attributes),
        droppedAttributesCount=event.dropped_attributes_count,
    )


def _link(link: SpanMessage.Link) -> Json:
    return _with(
        {"traceId": link.trace_id.hex(), "spanId": link.span_id.hex()},
        traceState=link.trace_state,
        attributes=_attributes(link.attributes),
        droppedAttributesCount=link.dropped_attributes_count,
        flags=link.flags,
    )


def _with(found: Json, **fields: Any) -> Json:
    """`found` and those of the fields that do not have their default value."""
    for name, value in fields.items():
        if value:
            found[name] = value
    return found


def _integer(value: int) -> str:
    return str(value) if value else ""


def _attributes(attributes: Sequence[KeyValue]) -> list[Json]:
    return [attribute_json(attribute) for attribute in attributes]


def attribute_json(attribute: KeyValue) -> Json:
    """A KeyValue."""
    return {"key": attribute.key, "value": _value(attribute.value)}


def _value(value: AnyValue) -> Json:
    """An AnyValue; `{}` is the empty one."""
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "double_value":
            return {"doubleValue": _double(value.double_value)}
        case "array_value":
            values = [_value(each) for each in value.array_value.values]
            return {"arrayValue": _with({}, values=values)}
        case "kvlist_value":
            return {"kvlistValue": _with({}, values=_attributes(value.kvlist_value.values))}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
    return {}


def _double(value: float) -> float | str:
    return value if math.isfinite(value) else double_text(value)
