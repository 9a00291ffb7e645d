"""OTLP/JSON requests → payloads: protobuf's JSON mapping, but for hexadecimal ids and integer enums.

    body ──_groups──▶ the texts of spans, by scope ──writer_of──▶ protobuf ──payload_from_protobuf──▶ Normalised

The text of a span is built, written as protobuf and forgotten before the next one is (`json_parts.py`). Names in
snake_case and those of before OTLP 0.15 are taken too, and enums by name. Source: opentelemetry-proto,
docs/specification.md, JSON Protobuf Encoding; opentelemetry/proto/trace/v1/trace.proto at 0.15 for the older names.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.model.wire import field
from chalicelib.receive.json_message import Fault, writer_of
from chalicelib.receive.json_parts import (
    NotThisShape,
    Raw,
    array_of,
    check_structure,
    document_of,
    shape_of,
    without_lone_surrogates,
)
from chalicelib.receive.otlp import Normalised, check_span_count, payload_from_protobuf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor

_EXPECTED = 'expected {"resourceSpans":[{"resource":{…},"scopeSpans":[{"scope":{…},"spans":[…]}]}]}'
_ABSENT = Raw(b"null")
_NOTHING = (b"null", b'""', b"0", b"false")
"""What today's senders and those before say for nothing."""
_NAMED_BYTES_MAX = 100_000
"""A longer body of no span is refused without saying by which name."""
_REASON_CHARACTERS_MAX = 300


class _Request(msgspec.Struct, gc=False):
    resourceSpans: Raw = _ABSENT
    resource_spans: Raw = _ABSENT


class _ResourceSpans(msgspec.Struct, gc=False):
    resource: Raw = _ABSENT
    scopeSpans: Raw = _ABSENT
    scope_spans: Raw = _ABSENT
    instrumentationLibrarySpans: Raw = _ABSENT
    instrumentation_library_spans: Raw = _ABSENT
    schemaUrl: Raw = _ABSENT
    schema_url: Raw = _ABSENT


class _ScopeSpans(msgspec.Struct, gc=False):
    scope: Raw = _ABSENT
    instrumentationLibrary: Raw = _ABSENT
    instrumentation_library: Raw = _ABSENT
    spans: Raw = _ABSENT
    schemaUrl: Raw = _ABSENT
    schema_url: Raw = _ABSENT


_requests = msgspec.json.Decoder(_Request)
_resource_spans = msgspec.json.Decoder(_ResourceSpans)
_scope_spans = msgspec.json.Decoder(_ScopeSpans)


class _Scope(NamedTuple):
    sent: _ScopeSpans
    spans: list[Raw]


class _Group(NamedTuple):
    sent: _ResourceSpans
    scopes: list[_Scope]


def payload_from_json(body: bytes) -> Normalised:
    """The payload of an OTLP/JSON request.

    Raises InvalidPayload if the body is none, or has something else where its spans should be; PayloadTooLarge for too
    many values, spans or groups. A bad span, and the spans of a bad resource or scope, are counted as rejected.
    """
    check_structure(body)
    body = without_lone_surrogates(body)
    groups = _groups(body)
    span_count = sum(len(scope.spans) for group in groups for scope in group.scopes)
    check_span_count(span_count)
    if not span_count:
        _check_is_empty(body)
    writer = _Writer()
    normalised = payload_from_protobuf(b"".join(map(writer.group, groups)))
    return normalised._replace(rejected=normalised.rejected + writer.rejected)


def _groups(body: bytes) -> list[_Group]:
    """The groups of a request; no more is made of a span than a view of its text."""
    try:
        request = shape_of(_requests, body)
    except NotThisShape:
        raise InvalidPayload(f"the body must be a JSON object: {_EXPECTED}") from None
    found = []
    count = 0
    for sent in _objects(
        _resource_spans, "resourceSpans", request.resourceSpans, request.resource_spans
    ):
        group = _Group(sent, [])
        found.append(group)
        count += 1
        for scope in _objects(
            _scope_spans,
            "scopeSpans",
            *(sent.scopeSpans, sent.scope_spans),
            *(sent.instrumentationLibrarySpans, sent.instrumentation_library_spans),
        ):
            group.scopes.append(_Scope(scope, _elements("spans", scope.spans)))
            count += 1
            _check_group_count(count)
        _check_group_count(count)
    return found


def _check_group_count(count: int) -> None:
    if count > config.GROUPS_PER_REQUEST_MAX:
        raise PayloadTooLarge(
            f"the request has more than {config.GROUPS_PER_REQUEST_MAX} resources and scopes: send smaller batches"
        )


def _objects(decoder: msgspec.json.Decoder[Any], name: str, *arrays: Raw) -> Iterator[Any]:
    for array in arrays:
        for text in _elements(name, array):
            try:
                yield shape_of(decoder, text)
            except NotThisShape:
                raise InvalidPayload(f"{name} must be an array of objects") from None


def _elements(name: str, array: Raw) -> list[Raw]:
    if _is_nothing(array):
        return []
    try:
        return array_of(array)
    except NotThisShape:
        raise InvalidPayload(f"{name} must be an array of objects") from None


def _is_nothing(text: Raw) -> bool:
    return text is _ABSENT or bytes(memoryview(text)[:6]) in _NOTHING


class _EmptyScope(_ScopeSpans, gc=False, forbid_unknown_fields=True):
    pass


class _EmptyResource(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    resource: Raw = _ABSENT
    scopeSpans: list[_EmptyScope] | None = None
    schemaUrl: Raw = _ABSENT


class _EmptyRequest(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    resourceSpans: list[_EmptyResource] | None = None


_empty_requests = msgspec.json.Decoder(_EmptyRequest)


def _check_is_empty(body: bytes) -> None:
    """Refuse a request without a span, unless nothing in it may be one under another name."""
    try:
        shape_of(_empty_requests, body)
    except NotThisShape:
        pass
    else:
        return
    name = _other_member(_document(body)) if len(body) <= _NAMED_BYTES_MAX else "other members"
    if name:
        raise InvalidPayload(
            f"the body has no spans where OTLP has them, but has {name}: {_EXPECTED}"
        )


def _document(body: bytes) -> Any:
    """All of a body of which the members that OTLP has were read already: nobody has looked at its other texts."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload("the body is not JSON, not UTF-8, or nested too deeply") from error


def _other_member(request: Any) -> str | None:
    """The first member that may hold spans, and is none of OTLP's."""
    for name in request:
        if name not in _Request.__struct_fields__:
            return repr(name[:100])
    for group in _dicts_in(request, _Request):
        for name, value in group.items():
            if name not in _ResourceSpans.__struct_fields__ and isinstance(value, dict | list):
                return f"{name[:100]!r} in resourceSpans"
        for scope in _dicts_in(group, _ResourceSpans):
            for name, value in scope.items():
                if name not in _ScopeSpans.__struct_fields__ and isinstance(value, dict | list):
                    return f"{name[:100]!r} in scopeSpans"
    return None


def _dicts_in(parent: dict[str, Any], shape: type[msgspec.Struct]) -> Iterator[dict[str, Any]]:
    for name in shape.__struct_fields__:
        if isinstance(children := parent.get(name), list):
            yield from children


class _Writer:
    """Writes groups as protobuf, and counts what is left out."""

    def __init__(self) -> None:
        self.rejected: Counter[str] = Counter()

    def group(self, group: _Group) -> bytes:
        """The field of TracesData; empty if its resource is none."""
        sent = group.sent
        span_count = sum(len(scope.spans) for scope in group.scopes)
        try:
            head = _message(1, Resource.DESCRIPTOR, sent.resource)
        except Fault as fault:
            self._reject(f"resource {fault}", span_count)
            return b""
        schema_url = _text("schemaUrl", sent.schemaUrl, sent.schema_url)
        return field(1, b"".join([head, *map(self._scope, group.scopes), schema_url]))

    def _scope(self, scope: _Scope) -> bytes:
        sent = scope.sent
        libraries = (sent.scope, sent.instrumentationLibrary, sent.instrumentation_library)
        try:
            head = _message(1, InstrumentationScope.DESCRIPTOR, *libraries)
        except Fault as fault:
            self._reject(f"scope {fault}", len(scope.spans))
            return b""
        schema_url = _text("schemaUrl", sent.schemaUrl, sent.schema_url)
        return field(2, b"".join([head, *map(self._span, scope.spans), schema_url]))

    def _reject(self, reason: str, span_count: int) -> None:
        if not span_count:
            raise InvalidPayload(reason[:_REASON_CHARACTERS_MAX])
        self.rejected[reason[:_REASON_CHARACTERS_MAX]] += span_count

    def _span(self, text: Raw) -> bytes:
        """The field of ScopeSpans; empty for a bad span."""
        try:
            document = document_of(text)
            if not isinstance(document, dict):
                raise Fault("must be a JSON object")
            _check_counts(document)
            return field(2, writer_of(Span.DESCRIPTOR)(document))
        except (Fault, InvalidPayload) as fault:
            self._reject(f"span {fault}", 1)
            return b""


def _check_counts(span: dict[str, Any]) -> None:
    """What need not be written to be known for too much."""
    attributes = span.get("attributes")
    if isinstance(attributes, list) and len(attributes) > config.ATTRIBUTES_PER_SPAN_MAX:
        raise Fault(f"may have {config.ATTRIBUTES_PER_SPAN_MAX} attributes")


def _message(number: int, descriptor: Descriptor, *texts: Raw) -> bytes:
    """The whole field, of the first text that says something; empty if none does. Raises Fault."""
    for text in texts:
        if not _is_nothing(text):
            try:
                content = writer_of(descriptor)(document_of(text))
            except InvalidPayload as error:
                raise Fault(str(error)) from error
            return field(number, content) if content else b""
    return b""


def _text(name: str, *texts: Raw) -> bytes:
    """Field 3, of the first text that says something. Raises InvalidPayload."""
    for text in texts:
        if not _is_nothing(text):
            value = document_of(text)
            if not isinstance(value, str):
                raise InvalidPayload(f"{name} must be a string")
            return field(3, value.encode())
    return b""
