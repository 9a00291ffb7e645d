"""OTLP/JSON: what it means, what is taken beside it, and what its senders are told."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib import config
from chalicelib.errors import InvalidPayload, PayloadTooLarge
from chalicelib.receive.json_parts import check_structure, without_lone_surrogates
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.receive.otlp_json import payload_from_json
from chalicelib.zipkin.ingest import payload_from_json as zipkin_from_json
from tests.otlp.test_endpoint import JSON, post

Json = dict[str, Any]

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SPAN: Json = {"traceId": TRACE_ID, "spanId": SPAN_ID, "name": "GET /"}


def request(*spans: Any, **scope: Any) -> bytes:
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans, **scope}]}]})


def span_of(body: bytes) -> Any:
    """The one span that is stored of a body."""
    normalised = payload_from_json(body)
    assert (normalised.span_count, normalised.rejected.total()) == (1, 0), normalised.rejected
    return TracesData.FromString(normalised.payload).resource_spans[0].scope_spans[0].spans[0]


# Documents as senders write them: each field in one of the forms that protobuf's JSON mapping has for it.
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_UINT32, _UINT64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
_INT64 = st.integers(-(2**63), 2**63 - 1)
_SPECIAL = st.sampled_from(["NaN", "Infinity", "-Infinity", "1.5", "-0.0", "1e3"])


def _whole(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    small = st.integers(0, 2**31).map(float)
    return numbers | numbers.map(str) | small | small.map(str)


def _objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Any of these members, in any order, by either name, and some that OTLP does not have."""
    unknown = st.fixed_dictionaries(
        {}, optional={"unknown": st.none() | st.just([{"a": 1}]) | _TEXTS}
    )
    known = st.fixed_dictionaries(
        {}, optional={name: st.none() | each for name, each in fields.items()}
    )
    snake = {name: "".join("_" + c.lower() if c.isupper() else c for c in name) for name in fields}

    def renamed(drawn: tuple[Json, Json, bool, list[int]]) -> Json:
        members, more, in_snake_case, order = drawn
        named = {
            snake[name] if in_snake_case else name: value for name, value in members.items()
        } | more
        names = sorted(named, key=lambda name: order[len(name) % len(order)])
        return {name: named[name] for name in names}

    orders = st.lists(st.integers(0, 9), min_size=1, max_size=6)
    return st.tuples(known, unknown, st.booleans(), orders).map(renamed)


def _values() -> st.SearchStrategy[Json]:
    def named(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
        return values.map(lambda value: {name: value})

    def one_of(**kinds: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
        return st.one_of([named(name, values) for name, values in kinds.items()])

    simple = one_of(
        stringValue=_TEXTS,
        string_value=_TEXTS,
        boolValue=st.booleans(),
        intValue=_whole(_INT64),
        int_value=_INT64,
        doubleValue=st.floats(allow_nan=False, allow_infinity=False) | _SPECIAL | _INT64,
        bytesValue=st.binary(max_size=9).map(lambda b: base64.b64encode(b).decode())
        | st.binary(max_size=9).map(lambda b: base64.urlsafe_b64encode(b).decode().rstrip("=")),
    )
    simple |= st.just({}) | st.just({"stringValue": None})
    return st.recursive(
        simple,
        lambda inner: one_of(
            arrayValue=_objects(values=st.lists(inner, max_size=3)),
            kvlistValue=_objects(values=st.lists(_objects(key=_TEXTS, value=inner), max_size=3)),
        ),
        max_leaves=5,
    )


_ATTRIBUTES = st.lists(
    _objects(key=_TEXTS, value=_values())
    | st.fixed_dictionaries({"key": _TEXTS, "value": _values()}),
    max_size=4,
)
_KINDS = st.integers(0, 7) | st.sampled_from(["SPAN_KIND_SERVER", "3"])
_CODES = st.integers(0, 3) | st.just("STATUS_CODE_ERROR")
_SPANS = _objects(
    traceState=_TEXTS,
    name=_TEXTS,
    kind=_KINDS,
    flags=_whole(_UINT32),
    startTimeUnixNano=_whole(_UINT64),
    endTimeUnixNano=_whole(_UINT64),
    attributes=_ATTRIBUTES,
    droppedAttributesCount=_whole(_UINT32),
    events=st.lists(
        _objects(timeUnixNano=_whole(_UINT64), name=_TEXTS, attributes=_ATTRIBUTES), max_size=2
    ),
    droppedEventsCount=_whole(_UINT32),
    links=st.lists(
        _objects(traceState=_TEXTS, attributes=_ATTRIBUTES, flags=_whole(_UINT32)), max_size=2
    ),
    droppedLinksCount=_whole(_UINT32),
    status=_objects(message=_TEXTS, code=_CODES),
)
_DOCUMENTS = st.fixed_dictionaries(
    {
        "resource": _objects(attributes=_ATTRIBUTES, droppedAttributesCount=_whole(_UINT32)),
        "scope": _objects(name=_TEXTS, version=_TEXTS, attributes=_ATTRIBUTES),
        "spans": st.lists(_SPANS, min_size=1, max_size=3),
        "schemaUrl": _TEXTS,
    }
)


def _by_protobuf(sent: Json) -> bytes:
    """What protobuf's own parser makes of the request; ids stand beside what it reads, for its are base64."""
    data = TracesData()
    resource_spans = data.resource_spans.add(schema_url=sent["schemaUrl"])
    scope_spans = resource_spans.scope_spans.add(schema_url=sent["schemaUrl"])
    ParseDict(sent["resource"], resource_spans.resource, ignore_unknown_fields=True)
    ParseDict(sent["scope"], scope_spans.scope, ignore_unknown_fields=True)
    for each in sent["spans"]:
        span = scope_spans.spans.add()
        ParseDict(each, span, ignore_unknown_fields=True)
        span.trace_id, span.span_id = bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID)
        for link in span.links:
            link.trace_id, link.span_id = span.trace_id, span.span_id
    # Nothing in a message says as little as none.
    if not resource_spans.resource.ByteSize():
        resource_spans.ClearField("resource")
    if not scope_spans.scope.ByteSize():
        scope_spans.ClearField("scope")
    return data.SerializeToString(deterministic=True)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(_DOCUMENTS)
def test_reads_as_protobuf_does(sent):
    """Any good document is stored as the protobuf that protobuf's own parser of JSON makes of it."""
    ids = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    spans = [
        {
            **span,
            **ids,
            **({"links": [{**link, **ids} for link in span["links"]]} if span.get("links") else {}),
        }
        for span in sent["spans"]
    ]
    scope_spans = {"scope": sent["scope"], "spans": spans, "schemaUrl": sent["schemaUrl"]}
    group = {
        "resource": sent["resource"],
        "scopeSpans": [scope_spans],
        "schemaUrl": sent["schemaUrl"],
    }
    found = payload_from_json(orjson.dumps({"resourceSpans": [group]}))
    assert not found.rejected
    assert found == payload_from_protobuf(_by_protobuf(sent))


_SNAKE = {"trace_id": TRACE_ID, "span_id": SPAN_ID, "name": "GET /"}


@pytest.mark.parametrize(
    "body",
    [
        {"resource_spans": [{"scope_spans": [{"spans": [_SNAKE]}]}]},
        {"resourceSpans": [{"scope_spans": [{"spans": [SPAN]}]}]},
        {"resource_spans": [{"scopeSpans": [{"spans": [SPAN], "schema_url": ""}]}]},
        {"resourceSpans": [{"instrumentationLibrarySpans": [{"spans": [SPAN]}]}]},
        {"resource_spans": [{"instrumentation_library_spans": [{"spans": [_SNAKE]}]}]},
        {"resourceSpans": [], "resource_spans": [{"scopeSpans": [{"spans": [SPAN]}]}]},
        {
            "resourceSpans": None,
            "resource_spans": [{"scopeSpans": [], "scope_spans": [{"spans": [SPAN]}]}],
        },
    ],
)
def test_other_names_of_the_envelope(body):
    """Spans in an envelope of snake_case, or of OTLP before 0.15, are stored."""
    assert span_of(orjson.dumps(body)).name == "GET /"


def test_scope_by_its_older_name():
    """The scope and the schema of an envelope with other names are not lost."""
    body = {
        "resource_spans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"string_value": "shop"}}]
                },
                "schema_url": "https://a",
                "instrumentation_library_spans": [
                    {
                        "instrumentation_library": {"name": "lib"},
                        "spans": [_SNAKE],
                        "schema_url": "https://b",
                    }
                ],
            }
        ]
    }
    (group,) = TracesData.FromString(payload_from_json(orjson.dumps(body)).payload).resource_spans
    (scope_spans,) = group.scope_spans
    assert group.resource.attributes[0].value.string_value == "shop"
    assert (group.schema_url, scope_spans.schema_url) == ("https://a", "https://b")
    assert scope_spans.scope.name == "lib"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (SPAN, "traceId"),
        ([SPAN], "JSON object"),
        ({"spans": [SPAN]}, "spans"),
        ({"scopeSpans": [{"spans": [SPAN]}]}, "scopeSpans"),
        ({"ResourceSpans": []}, "ResourceSpans"),
        ({"resourceLogs": []}, "resourceLogs"),
        ({"resourceSpans": [], "batches": []}, "batches"),
        ({"resourceSpans": [{"spans": [SPAN]}]}, "spans"),
        ({"resourceSpans": [{"ScopeSpans": [{"spans": [SPAN]}]}]}, "ScopeSpans"),
        ({"resourceSpans": [{"scopeSpans": [{"Spans": [SPAN]}]}]}, "Spans"),
        ({"resourceSpans": [{"scopeSpans": [{"span": SPAN}]}]}, "span"),
        ({"resourceSpans": [{"scopeSpans": [SPAN | {"x": {}}]}]}, "x"),
        ({f"x{n:06}": [] for n in range(20_000)}, "other members"),
    ],
)
def test_spans_where_otlp_has_none(body, name):
    """A body whose spans stand elsewhere is refused by the name that they have there, with what was expected."""
    answer, sent = post(orjson.dumps(body), JSON)
    assert (answer.status, sent.messages) == (400, [])
    message = json.loads(answer.body)["message"]
    assert name in message
    assert "resourceSpans" in message


@pytest.mark.parametrize(
    "body",
    [
        *({}, {"resourceSpans": []}, {"resourceSpans": None}, {"resourceSpans": [{}]}),
        {"resource_spans": [{"scope_spans": [{"spans": []}]}]},
        {"resourceSpans": [{"scopeSpans": [{"scope": {"x": 1}, "spans": None, "note": "x"}]}]},
        {"resourceSpans": [{"resource": {}, "schemaUrl": "x", "deprecated": 7}]},
    ],
)
def test_empty_requests(body):
    """What has no span under any name is a success."""
    answer, sent = post(orjson.dumps(body), JSON)
    assert (answer.status, answer.body, sent.messages) == (200, b"{}", [])


@pytest.mark.parametrize(
    ("link", "ids"),
    [
        ({"traceId": "xyz", "spanId": "no"}, (b"", b"")),
        ({"traceId": 7, "spanId": {}}, (b"", b"")),
        ({}, (b"", b"")),
    ],
)
def test_bad_ids_of_links_cost_no_span(link, ids):
    """A link whose ids are none is no reason to lose its span, nor the links beside it."""
    good = {"traceId": TRACE_ID, "spanId": SPAN_ID}
    span = span_of(request({**SPAN, "links": [link, good]}))
    found = [(each.trace_id, each.span_id) for each in span.links]
    assert found[-1] == (bytes.fromhex(TRACE_ID), bytes.fromhex(SPAN_ID))
    assert found[:-1] in ([], [ids])


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"startTimeUnixNano": "soon"}, "startTimeUnixNano must be a whole number"),
        ({"startTimeUnixNano": -1}, "startTimeUnixNano must be a whole number from 0 to"),
        ({"endTimeUnixNano": 1.5}, "endTimeUnixNano must be a whole number"),
        ({"name": 7}, "name must be a string"),
        ({"kind": "SERVER?"}, "kind must be a number or a name that OTLP has"),
        ({"attributes": {"a": 1}}, "attributes must be an array"),
        ({"attributes": [None]}, "attributes must have no null in it"),
        ({"attributes": ["a"]}, "attributes must be an object"),
        (
            {"attributes": [{"key": "a", "value": {"intValue": True}}]},
            "attributes.value.intValue must be a whole",
        ),
        (
            {"attributes": [{"key": "a", "value": {"boolValue": "true"}}]},
            "boolValue must be true or false",
        ),
        (
            {"attributes": [{"key": "a", "value": {"doubleValue": "x"}}]},
            "doubleValue must be a number",
        ),
        (
            {"attributes": [{"key": "a", "value": {"bytesValue": "\u00e9"}}]},
            "bytesValue must be a string in base64",
        ),
        (
            {"attributes": [{"key": "a", "value": {"intValue": 1, "boolValue": True}}]},
            "value has more than one value",
        ),
        ({"attributes": [{"key": "a", "value": "text"}]}, "value must be an object"),
        ({"status": 7}, "status must be an object"),
        ({"events": [{"timeUnixNano": []}]}, "events.timeUnixNano must be a whole number"),
        (
            {"droppedAttributesCount": 2**32},
            "droppedAttributesCount must be a whole number from 0 to 4294967295",
        ),
        ({"traceId": "xyz"}, "traceId must be hexadecimal digits"),
    ],
)
def test_reasons_are_words_for_the_sender(fault, reason):
    """A bad span is rejected alone, and its sender reads which member is bad and what it must be."""
    found = payload_from_json(request(SPAN, {**SPAN, **fault}))
    assert found.span_count == 1
    ((told, count),) = found.rejected.items()
    assert count == 1
    assert reason in told


_JSON = st.recursive(
    st.none() | st.booleans() | _INT64 | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=4,
)
_PLACES = [
    "traceId",
    "name",
    "kind",
    "startTimeUnixNano",
    "attributes",
    "events",
    "links",
    "status",
    "flags",
]


@given(st.sampled_from(_PLACES), _JSON, st.sampled_from([None, "key", "value"]))
def test_whatever_stands_in_a_span(name, value, within):
    """Whatever a member of a span is, the span is stored or rejected alone, and no reason is Python's."""
    sent = [{within: value}] if within else value
    found = payload_from_json(request({**SPAN, "spanId": "0" * 15 + "1"}, {**SPAN, name: sent}))
    assert found.span_count + found.rejected.total() == 2
    for reason in found.rejected:
        assert "Error" not in reason
        assert "object of type" not in reason


def test_bad_resources_and_scopes_lose_their_own_spans_alone():
    """The spans of a bad resource or scope are rejected, each of them; the others are stored."""
    good = {"scopeSpans": [{"spans": [SPAN]}]}
    bad_resource = {"resource": {"attributes": 7}, "scopeSpans": [{"spans": [SPAN, SPAN]}]}
    bad_scope = {"scopeSpans": [{"scope": {"name": 7}, "spans": [SPAN]}]}
    found = payload_from_json(orjson.dumps({"resourceSpans": [bad_resource, good, bad_scope]}))
    assert found.span_count == 1
    assert found.rejected == {
        "resource attributes must be an array": 2,
        "scope name must be a string": 1,
    }


def test_one_damaged_span_fails_alone():
    """Text that is no UTF-8, a value nested too deeply, or too many attributes cost the span that has them."""
    too_deep = (
        b'{"attributes":[{"value":' + b'{"arrayValue":{"values":[' * 60 + b"]}}" * 60 + b"}]}"
    )
    many = orjson.dumps(
        {**SPAN, "attributes": [{"key": str(n)} for n in range(config.ATTRIBUTES_PER_SPAN_MAX + 1)]}
    )
    long = b'{"x":"' + b"x" * config.JSON_PART_BYTES_MAX + b'"}'
    spans = [orjson.dumps(SPAN), b'{"name":"\xff"}', too_deep, b"7", many, long]
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b",".join(spans) + b"]}]}]}"
    found = payload_from_json(body)
    assert (found.span_count, found.rejected.total()) == (1, 5)


def test_empty_arrays_for_empty_objects():
    """PHP writes an empty object as an empty array; it is one."""
    sent = {**SPAN, "status": [], "attributes": [{"key": "a", "value": {"kvlistValue": []}}]}
    span = span_of(request(sent))
    assert span.attributes[0].value.HasField("kvlist_value")


@given(
    st.recursive(
        st.sampled_from(["", ",", '{"[', "\\", '"', '\\"', '",', "a,b", "é,"]) | st.integers(0, 9),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(st.sampled_from(["", ",", '"', "{", "\\", 'a"b']), inner, max_size=3)
        ),
        max_leaves=12,
    ),
    st.integers(0, 20),
)
def test_structure_is_counted_outside_of_strings(document, limit):
    """Commas, braces and brackets are counted where they are structure, whatever stands in strings."""

    def marks(value: Any) -> int:
        if not isinstance(value, list | dict):
            return 0
        children = value if isinstance(value, list) else value.values()
        return 1 + max(0, len(value) - 1) + sum(map(marks, children))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "JSON_STRUCTURE_MAX", limit)
        if marks(document) > limit:
            with pytest.raises(PayloadTooLarge, match="send smaller batches"):
                check_structure(orjson.dumps(document))
        else:
            check_structure(orjson.dumps(document))


_ESCAPES = (
    r"\\",
    r"\"",
    r"\n",
    "ud800",
    "a",
    "é",
    *(rf"\u{code}" for code in ("d83d", "DBFF", "de00", "dFFF", "0041")),
)


@given(st.lists(st.sampled_from(_ESCAPES), max_size=8))
def test_half_a_character(parts):
    """Halves of a surrogate pair that stand alone become U+FFFD; every other text stays what it is."""
    text = '"' + "".join(parts) + '"'
    expected = "".join(
        "\ufffd" if "\ud800" <= each <= "\udfff" else each for each in json.loads(text)
    )
    assert orjson.loads(without_lone_surrogates(text.encode())) == expected


@pytest.mark.parametrize(
    ("read", "body"),
    [(payload_from_json, request(7)), (zipkin_from_json, b'[{"traceId":"a","id":"a"}]')],
    ids=["OTLP", "Zipkin"],
)
def test_json_has_a_limit_of_its_own(monkeypatch, read, body):
    """JSON longer than its limit is refused, in words that say what to do, though protobuf of that length is not."""
    monkeypatch.setattr(config, "JSON_BYTES_MAX", len(body))
    assert read(body)
    with pytest.raises(PayloadTooLarge, match=f"has {len(body) + 1} bytes, the limit is"):
        read(body + b" ")


def test_too_many_spans_are_refused_before_they_are_read(monkeypatch):
    """The number of spans and groups is known, and refused, before any span is looked at."""
    monkeypatch.setattr(config, "SPANS_PER_REQUEST_MAX", 2)
    with pytest.raises(PayloadTooLarge, match="3 spans, the limit is 2: send smaller batches"):
        payload_from_json(request(7, 7, 7))
    monkeypatch.setattr(config, "GROUPS_PER_REQUEST_MAX", 2)
    with pytest.raises(PayloadTooLarge, match="send smaller batches"):
        payload_from_json(b'{"resourceSpans":[{"scopeSpans":[{},{}]}]}')


@pytest.mark.parametrize(
    "body", [b'{"resourceSpans":[', b'{"resourceSpans":[]}}', b"\xff", b"nope"]
)
def test_what_is_no_json(body):
    """What is no JSON is refused in plain words."""
    with pytest.raises(InvalidPayload, match=r"the body is not JSON|must be a JSON object"):
        payload_from_json(body)


@pytest.mark.parametrize("text", [b'"\xff"', b'"\xed\xa0\x80"', b"9" * 3_000, b"1e999"])
@pytest.mark.parametrize(
    "around",
    [
        b'{"client":%s}',
        b'{"resourceSpans":[{"client":%s}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"client":[%s]}]}]}',
    ],
)
def test_no_spans_and_an_odd_text_beside_them(around, text):
    """A body without spans is refused for good, or taken, whatever its unknown members hold: sent again it stays so."""
    try:
        normalised = payload_from_json(around % text)
    except InvalidPayload:
        return
    assert normalised.span_count == 0
