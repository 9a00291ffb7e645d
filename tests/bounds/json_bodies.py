"""Bodies of JSON that cost as much as they can, at whatever length is asked for, and good ones as dense as can be.

name ──JSON_BODIES[dialect][name](size)──▶ body of about `size` bytes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[int], bytes]

VALUES = {
    "empty objects": b"{}",
    "empty arrays": b"[]",
    "digits": b"1",
    "nulls": b"null",
    "empty strings": b'""',
    "single-member objects": b'{"a":1}',
    "objects of an empty object": b'{"a":{}}',
    "long numbers": b"123456789012345678901234567890",
    "fractions": b"-1.2345678901234567e-300",
    "escapes": rb'"\u00e9\n\"\\"',
    "strings of commas": b'",{["',
    "beyond ASCII": '"😀é"'.encode(),
}


MARKS_MAX = 890_000
"""A little less than a request may have of commas, braces and brackets."""


def _marks(value: bytes) -> int:
    return 1 + value.count(b"{") + value.count(b"[") + value.count(b",")


def wide(before: bytes, value: bytes, after: bytes, marks_max: int = 10**9) -> Make:
    """An array of as many equal values as there is room for, and white space for the rest."""

    def make(size: int) -> bytes:
        count = max(1, (size - len(before) - len(after)) // (len(value) + 1))
        count = min(count, marks_max // _marks(value))
        made = before + b"[" + b",".join([value] * count) + b"]" + after
        return made + b" " * (size - len(made))

    return make


def deep(before: bytes, opening: bytes, closing: bytes, after: bytes) -> Make:
    def make(size: int) -> bytes:
        count = (size - len(before) - len(after)) // (len(opening) + len(closing))
        return (
            before
            + opening * count
            + (b"1" if opening.endswith(b":") else b"")
            + closing * count
            + after
        )

    return make


def members(
    before: bytes, value: bytes, after: bytes, marks_max: int = 10**9, *, repeated: bool = False
) -> Make:
    """An object of as many members as there is room for, and white space for the rest."""

    def make(size: int) -> bytes:
        count = max(1, (size - len(before) - len(after)) // (len(value) + 10))
        count = min(count, marks_max // _marks(value))
        if repeated:
            pairs = [b'"aaaaaa":' + value] * count
        else:
            pairs = [b'"%06x":%s' % (place, value) for place in range(count)]
        made = before + b"{" + b",".join(pairs) + b"}" + after
        return made + b" " * (size - len(made))

    return make


def filled(before: bytes, piece: bytes, after: bytes) -> Make:
    """A text of as many equal pieces as there is room for."""
    return lambda size: before + piece * ((size - len(before) - len(after)) // len(piece)) + after


def hostile(before: bytes, after: bytes) -> dict[str, Make]:
    """Everything that may stand in place of one value."""
    return {
        **{f"array of {name}": wide(before, value, after) for name, value in VALUES.items()},
        **{f"members of {name}": members(before, value, after) for name, value in VALUES.items()},
        **{
            f"array of {name}, as many as may be": wide(before, value, after, MARKS_MAX)
            for name, value in VALUES.items()
        },
        **{
            f"members of {name}, as many as may be": members(before, value, after, MARKS_MAX)
            for name, value in VALUES.items()
        },
        "one member again and again": members(before, b"[1,2]", after, repeated=True),
        "arrays in each other": deep(before, b"[", b"]", after),
        "objects in each other": deep(before, b'{"a":', b"}", after),
        "unclosed arrays": filled(before, b"[", b""),
        "one number": filled(before, b"1", after),
        "one fraction": filled(before + b"0.", b"1", after),
        "one text": filled(before + b'"', b"x", b'"' + after),
        "one text beyond ASCII": filled(before + b'"', "😀".encode(), b'"' + after),
        "one text of escapes": filled(before + b'"', rb"\u00e9", b'"' + after),
        "one text of quotes": filled(before + b'"', rb"\",", b'"' + after),
        "one text of half characters": filled(before + b'"', rb"\ud800", b'"' + after),
        "one text of escaped backslashes": filled(before + rb'"\ud800', rb"\\", b'"' + after),
        "white space": filled(before, b" ", b"1" + after),
    }


def within(places: dict[str, tuple[bytes, bytes]]) -> dict[str, Make]:
    return {
        f"{place}: {name}": make
        for place, (before, after) in places.items()
        for name, make in hostile(before, after).items()
    }


IDS = b'"traceId":"00000000000000000000000000000001","spanId":"0000000000000001"'
_SPANS = (b'{"resourceSpans":[{"scopeSpans":[{"spans":', b"}]}]}")
_SPAN = (_SPANS[0] + b"[{" + IDS + b",", b"}]" + _SPANS[1])


def _in_span(name: bytes, around: bytes = b"", closing: bytes = b"") -> tuple[bytes, bytes]:
    return _SPAN[0] + b'"' + name + b'":' + around, closing + _SPAN[1]


_VALUE = (b'[{"key":"k","value":', b"}]")
OTLP_PLACES = {
    "body": (b"", b""),
    "unknown member": (b'{"resourceSpans":[],"unknown":', b"}"),
    "resourceSpans": (b'{"resourceSpans":', b"}"),
    "resource": (b'{"resourceSpans":[{"resource":', b"}]}"),
    "resource attributes": (b'{"resourceSpans":[{"resource":{"attributes":', b"}}]}"),
    "entityRefs": (b'{"resourceSpans":[{"resource":{"entityRefs":', b"}}]}"),
    "scopeSpans": (b'{"resourceSpans":[{"scopeSpans":', b"}]}"),
    "scope attributes": (b'{"resourceSpans":[{"scopeSpans":[{"scope":{"attributes":', b"}}]}]}"),
    "spans": _SPANS,
    "unknown member of a span": _in_span(b"unknown"),
    "name": _in_span(b"name"),
    "startTimeUnixNano": _in_span(b"startTimeUnixNano"),
    "attributes": _in_span(b"attributes"),
    "events": _in_span(b"events"),
    "links": _in_span(b"links"),
    "status": _in_span(b"status"),
    "event attributes": _in_span(b"events", b'[{"attributes":', b"}]"),
    "link attributes": _in_span(b"links", b'[{"attributes":', b"}]"),
    "value": _in_span(b"attributes", *_VALUE),
    "arrayValue": _in_span(
        b"attributes", _VALUE[0] + b'{"arrayValue":{"values":', b"}}" + _VALUE[1]
    ),
    "kvlistValue": _in_span(
        b"attributes", _VALUE[0] + b'{"kvlistValue":{"values":', b"}}" + _VALUE[1]
    ),
    "bytesValue": _in_span(b"attributes", _VALUE[0] + b'{"bytesValue":', b"}" + _VALUE[1]),
}


def spans_of(content: bytes, envelope: tuple[bytes, bytes] = _SPANS) -> Make:
    """Good spans, as many as there is room for; `%d` in the content is a number of the span's own."""

    def make(size: int) -> bytes:
        before, after = envelope
        each = len(content.replace(b"%d", b"%08d" % 0)) + 1
        count = (size - len(before) - len(after) - 2) // each
        return (
            before
            + b"["
            + b",".join([content.replace(b"%d", b"%08d" % n) for n in range(1, count + 1)])
            + b"]"
            + after
        )

    return make


def _attributes(count: int, kind: bytes, value: bytes) -> bytes:
    return b",".join(
        [b'{"key":"k%02d","value":{"%s":%s}}' % (n, kind, value) for n in range(count)]
    )


def _otlp_span(more: bytes) -> bytes:
    ids = b'"traceId":"000000000000000000000000%d","spanId":"f0000000%d"'
    times = (
        b'"name":"GET /","kind":2,"startTimeUnixNano":"17672688%d0","endTimeUnixNano":"17672688%d9"'
    )
    return b"{" + ids + b"," + times + more + b"}"


OTLP_GOOD = {
    "good: spans alone": spans_of(_otlp_span(b"")),
    "good: equal texts": spans_of(
        _otlp_span(
            b',"attributes":[' + _attributes(40, b"stringValue", b'"some text of a span"') + b"]"
        )
    ),
    "good: texts of their own": spans_of(
        _otlp_span(b',"attributes":[' + _attributes(40, b"stringValue", b'"of %d"') + b"]")
    ),
    "good: numbers of their own": spans_of(
        _otlp_span(b',"attributes":[' + _attributes(40, b"intValue", b"1%d") + b"]")
    ),
    "good: events": spans_of(
        _otlp_span(
            b',"events":[' + b",".join([b'{"timeUnixNano":"17672688%d0","name":"e"}'] * 40) + b"]"
        )
    ),
    "good: links": spans_of(_otlp_span(b',"links":[' + b",".join([b"{" + IDS + b"}"] * 40) + b"]")),
}


def _pairs(form: bytes) -> bytes:
    return b",".join([form.replace(b"%n", b"%03d" % n) for n in range(400)])


OTLP_SECRETS = {
    "secrets: keys": spans_of(
        _otlp_span(b',"attributes":[' + _pairs(b'{"key":"%n%d.pwd","value":{"intValue":1}}') + b"]")
    ),
    "secrets: pairs": spans_of(
        _otlp_span(
            b',"attributes":[' + _pairs(b'{"key":"a","value":{"stringValue":"pwd=%n%d"}}') + b"]"
        )
    ),
    "secrets: event names": spans_of(
        _otlp_span(b',"events":[' + _pairs(b'{"name":"pwd=%n%d"}') + b"]")
    ),
    "secrets: small spans": spans_of(
        b"{" + IDS.replace(b"0000000001", b"f%d") + b',"name":"pwd=%d"}'
    ),
}

_SMALL = b'{"traceId":"000000000000000000000000%d","spanId":"f0000000%d","name":"x"'
OTLP_SMALL = {
    "small spans: events": spans_of(
        _SMALL + b',"events":[{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]}'
    ),
    "small spans: links": spans_of(_SMALL + b',"links":[{' + IDS + b"}]}"),
    "small spans: attributes": spans_of(
        _SMALL + b',"attributes":[{"key":"a","value":{"stringValue":"%d"}}]}'
    ),
}

_ZIPKIN = (
    b'{"traceId":"000000000000000000000000%d","id":"f0000000%d","name":"get","timestamp":17672688%d'
)
_ZIPKIN_ONE = (
    b'[{"traceId":"0000000000000001","id":"0000000000000001","timestamp":1767268800000000,'
)
ZIPKIN_PLACES = {
    "body": (b"", b""),
    "a span among the spans": (b"[", b"]"),
    "span": (_ZIPKIN_ONE + b'"unknown":', b"}]"),
    "tags": (_ZIPKIN_ONE + b'"tags":', b"}]"),
    "a tag": (_ZIPKIN_ONE + b'"tags":{"a":', b"}}]"),
    "annotations": (_ZIPKIN_ONE + b'"annotations":', b"}]"),
    "binaryAnnotations": (_ZIPKIN_ONE + b'"binaryAnnotations":', b"}]"),
    "localEndpoint": (_ZIPKIN_ONE + b'"localEndpoint":', b"}]"),
    "name": (_ZIPKIN_ONE + b'"name":', b"}]"),
    "timestamp": (b'[{"traceId":"1","id":"1","timestamp":', b"}]"),
}
_BARE = (b"", b"")
_TAGS = b",".join([b'"t%02d":"of %%d"' % n for n in range(40)])
ZIPKIN_V2_GOOD = {
    "good: many short tags": spans_of(
        _ZIPKIN + b',"tags":{' + b",".join([b'"%d":"1%%d"' % n for n in range(400)]) + b"}}", _BARE
    ),
    "good: spans alone": spans_of(_ZIPKIN + b"}", _BARE),
    "good: without times": spans_of(
        b'{"traceId":"000000000000000000000000%d","id":"f0000000%d"}', _BARE
    ),
    "good: tags": spans_of(_ZIPKIN + b',"tags":{' + _TAGS + b"}}", _BARE),
    "good: annotations": spans_of(
        _ZIPKIN
        + b',"annotations":['
        + b",".join([b'{"timestamp":17672688%d,"value":"a"}'] * 40)
        + b"]}",
        _BARE,
    ),
}
_AT = b'"endpoint":{"serviceName":"shop"}'
ZIPKIN_SECRETS = {
    "secrets: tags": spans_of(_ZIPKIN + b',"tags":{' + _pairs(b'"%n%d.pwd":"x"') + b"}}", _BARE)
}
ZIPKIN_V1_GOOD = {
    "good: spans alone": spans_of(_ZIPKIN + b"}", _BARE),
    "good: annotations": spans_of(
        _ZIPKIN
        + b',"annotations":['
        + b",".join([b'{"timestamp":17672688%d,"value":"sr",' + _AT + b"}"] * 20)
        + b"]}",
        _BARE,
    ),
    "good: binary annotations": spans_of(
        _ZIPKIN
        + b',"binaryAnnotations":['
        + b",".join([b'{"key":"k%02d","value":"of %%d",' % n + _AT + b"}" for n in range(20)])
        + b"]}",
        _BARE,
    ),
}
_STRATEGIES = (b'{"service_strategies":', b"}")
SAMPLING_PLACES = {
    "body": (b"", b""),
    "service_strategies": _STRATEGIES,
    "a strategy": (_STRATEGIES[0] + b"[", b"]" + _STRATEGIES[1]),
    "operation_strategies": (b'{"default_strategy":{"operation_strategies":', b"}}"),
    "param": (b'{"default_strategy":{"param":', b"}}"),
}

JSON_BODIES: dict[str, dict[str, Make]] = {
    "otlp-json": within(OTLP_PLACES) | OTLP_GOOD | OTLP_SECRETS | OTLP_SMALL,
    "zipkin-v2-json": within(ZIPKIN_PLACES) | ZIPKIN_V2_GOOD | ZIPKIN_SECRETS,
    "zipkin-v1-json": within(ZIPKIN_PLACES) | ZIPKIN_V1_GOOD,
    "sampling": within(SAMPLING_PLACES),
    "transform": within(OTLP_PLACES) | OTLP_GOOD,
}
