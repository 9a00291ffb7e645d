"""Payloads without their secrets: in every place of a span, in any wire form, within every limit."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from capacity.load import requests
from chalicelib import config
from chalicelib.errors import InvalidPayload
from chalicelib.model.wire import field
from chalicelib.otlp.endpoint import receive_traces
from chalicelib.queue.message import digest_of, payload_of
from chalicelib.receive.otlp import payload_from_protobuf
from chalicelib.receive.redaction import (
    Redaction,
    redaction_of_settings,
    rules_of_settings,
)
from chalicelib.receive.redaction_rules import RedactionRulesError, Rules, rules_from
from chalicelib.receive.redaction_work import TOLD_KEY
from chalicelib.receive.split import messages_of
from chalicelib.receive.text_endpoint import receive_text
from tests.payloads import NOON_UNIX_SECONDS, span_id, trace_id
from tests.receive.secrets import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chalicelib.queue.message import Message
    from chalicelib.receive.redaction_rules import KeyMatch

BYTES_MAX = config.MESSAGE_PAYLOAD_BYTES_MAX
CANARY = "canary7QsecretQ"


def redacted(payload: bytes, rules: Rules | None = None) -> bytes:
    return Redaction(rules or Rules()).redacted(payload, BYTES_MAX, Counter())


def span_of(number: int, **fields: Any) -> Span:
    return Span(trace_id=trace_id(1), span_id=span_id(number), **fields)


def data_of(*spans: Span) -> TracesData:
    data = TracesData()
    data.resource_spans.add().scope_spans.add().spans.extend(spans)
    return data


def spans_in(payload: bytes) -> list[Span]:
    return [
        span
        for resource_spans in TracesData.FromString(payload).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def texts_in(span: Span) -> dict[str, AnyValue]:
    return {each.key: each.value for each in span.attributes}


def of_text(key: str, text: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=text))


def full_of(text: str) -> TracesData:
    """A request with a text in every place that has one; its first span is clean."""
    data = data_of(span_of(1, name="clean", attributes=[of_text("http.route", "/a")]))
    resource_spans = data.resource_spans[0]
    resource_spans.schema_url = resource_spans.scope_spans[0].schema_url = text
    resource_spans.resource.attributes.append(of_text("host.note", text))
    scope = resource_spans.scope_spans[0].scope
    scope.name, scope.version = text, text
    scope.attributes.append(of_text("note", text))
    span = resource_spans.scope_spans[0].spans.add(
        trace_id=trace_id(1), span_id=span_id(2), name=text, trace_state=text
    )
    span.status.message = text
    span.attributes.extend([of_text("note", text), of_text(text, "value")])
    span.attributes.add(key="bytes").value.bytes_value = b"\xff " + text.encode()
    nested = span.attributes.add(key="nested").value.array_value.values
    nested.add().string_value = text
    member = nested.add().kvlist_value.values.add(key="deep").value.array_value.values.add()
    member.kvlist_value.values.append(of_text("deeper", text))
    span.events.add(name=text, attributes=[of_text("exception.message", text)])
    span.links.add(
        trace_id=trace_id(3),
        span_id=span_id(3),
        trace_state=text,
        attributes=[of_text("note", text)],
    )
    return data


@pytest.mark.parametrize("kind", SECRETS)
@given(data=st.data())
def test_no_place_keeps_a_canary(kind, data):
    """A secret is found wherever a span, resource, scope, event or link has a text."""
    secret = data.draw(SECRETS[kind])
    payload = full_of(secret.text).SerializeToString(deterministic=True)
    left = redacted(payload)
    assert secret.canary.encode() not in left
    clean, span = spans_in(left)
    assert clean.SerializeToString() == spans_in(payload)[0].SerializeToString()
    assert (span.trace_id, span.span_id, span.links[0].trace_id) == (
        trace_id(1),
        span_id(2),
        trace_id(3),
    )
    assert TOLD_KEY in texts_in(span)
    assert TracesData.FromString(left).SerializeToString(deterministic=True) == left
    assert redacted(left) == left


def values() -> Iterator[AnyValue]:
    yield AnyValue(string_value=CANARY)
    yield AnyValue(bytes_value=CANARY.encode())
    array = AnyValue()
    array.array_value.values.extend([AnyValue(string_value=CANARY), AnyValue(int_value=5)])
    yield array
    members = AnyValue()
    members.kvlist_value.values.append(KeyValue(key="a", value=array))
    yield members


@pytest.mark.parametrize("value", list(values()), ids=["text", "bytes", "array", "map"])
def test_by_key_any_value_goes(value):
    """What stands under a secret's key goes, whatever it is; an array stays one."""
    (span,) = spans_in(
        redacted(
            data_of(
                span_of(1, attributes=[KeyValue(key="db.password", value=value)])
            ).SerializeToString()
        )
    )
    assert CANARY.encode() not in span.SerializeToString()
    left = texts_in(span)
    new = left["db.password"]
    if value.HasField("array_value"):
        (new,) = new.array_value.values
    assert new.string_value == "REDACTED"
    assert left[TOLD_KEY].string_value == "password 1"


def test_a_number_under_a_secret_key():
    """A whole number may be a secret; true, half and nothing are none."""
    attributes = [
        KeyValue(key="password", value=AnyValue(int_value=123456)),
        KeyValue(key="token", value=AnyValue(bool_value=True)),
        KeyValue(key="secret", value=AnyValue(double_value=0.5)),
        KeyValue(key="cookie"),
        of_text("pwd", ""),
    ]
    (span,) = spans_in(redacted(data_of(span_of(1, attributes=attributes)).SerializeToString()))
    assert texts_in(span)["password"].string_value == "REDACTED"
    assert list(span.attributes)[1:5] == attributes[1:]


def test_arguments_of_a_program():
    """Of a program's arguments, the one after the name of a secret is one."""
    value = AnyValue()
    for text in ("run", "--password", CANARY, "--verbose", "7"):
        value.array_value.values.add(string_value=text)
    attribute = KeyValue(key="process.command_args", value=value)
    (span,) = spans_in(redacted(data_of(span_of(1, attributes=[attribute])).SerializeToString()))
    texts = [each.string_value for each in span.attributes[0].value.array_value.values]
    assert texts == ["run", "--password", "REDACTED", "--verbose", "7"]


def test_resources_and_scopes_say_so_themselves():
    """What was found in a resource is said on it, and likewise on a scope; a span says what its events had."""
    left = TracesData.FromString(redacted(full_of("password=x").SerializeToString()))
    resource_spans = left.resource_spans[0]
    scope_spans = resource_spans.scope_spans[0]
    told = [
        {each.key: each.value.string_value for each in attributes}.get(TOLD_KEY)
        for attributes in (
            resource_spans.resource.attributes,
            scope_spans.scope.attributes,
            *(span.attributes for span in scope_spans.spans),
        )
    ]
    assert told == ["password 1", "password 3", None, "password 12"]


def test_a_clean_payload_is_itself():
    """A payload without secrets is the same object: nothing is written anew."""
    redaction, counts = Redaction(Rules()), Counter[str]()
    for payload in requests(7, 512, 64) * 2:
        assert redaction.redacted(payload, BYTES_MAX, counts) is payload
    assert not counts


@pytest.mark.parametrize("seen", [0, 1, 3])
def test_what_was_seen_before_hides_nothing(seen):
    """Words and attributes that are remembered as clean let no secret through that has them."""
    redaction = Redaction(Rules())
    clean = [of_text("note", "password"), of_text("token", ""), of_text("note", "Bearer")]
    for _ in range(seen):
        redaction.redacted(
            data_of(span_of(1, name="GET", attributes=clean)).SerializeToString(),
            BYTES_MAX,
            Counter(),
        )
    for attribute in (of_text("note", f"password={CANARY}"), of_text("token", CANARY)):
        payload = data_of(span_of(1, attributes=[*clean, attribute])).SerializeToString()
        assert CANARY.encode() not in redaction.redacted(payload, BYTES_MAX, Counter())


@given(st.permutations(range(4)), st.booleans())
def test_wire_forms_hide_nothing(order, twice):
    """A secret is found in whatever order fields are written, and where a later field hides it."""
    attribute = field(2, field(1, CANARY.encode())) + field(1, b"password")
    hidden = field(5, f"password={CANARY}".encode()) if twice else b""
    parts = [
        hidden + field(5, b"GET"),
        field(9, attribute),
        field(1, trace_id(1)) + field(2, span_id(1)),
        field(11, field(3, attribute) + field(2, b"event")),
    ]
    raw = b"".join(parts[place] for place in order)
    left = redacted(field(1, field(2, field(2, raw))))
    assert CANARY.encode() not in left
    (span,) = spans_in(left)
    assert (span.name, span.trace_id) == ("GET", trace_id(1))


def test_one_rule_drops_and_hashes():
    """`drop` leaves the attribute out and says so; `hash` keeps equal values equal."""
    rules = rules_from(
        '{"rules": [{"name": "gone", "keys": ["debug.*"], "action": "drop"},'
        '{"name": "code", "pattern": "ORD-[0-9]{4}", "action": "drop"},'
        '{"name": "customer", "keys": ["customer"], "action": "hash"}]}',
        "k" * 16,
    )
    attributes = [
        of_text("debug.a", CANARY),
        of_text("note", "see ORD-1234"),
        of_text("customer", "ann"),
        of_text("other", "x"),
    ]
    spans = [span_of(number, name="ORD-1234", attributes=attributes) for number in (1, 2)]
    first, second = (
        texts_in(span) for span in spans_in(redacted(data_of(*spans).SerializeToString(), rules))
    )
    assert list(first) == ["customer", "other", TOLD_KEY]
    assert first[TOLD_KEY].string_value == "code 2, customer 1, gone 1"
    assert first["customer"].string_value.startswith("hmac:")
    assert first == second


class FailingRules(Rules):
    """Rules with a fault."""

    def of_key(self, key: str) -> KeyMatch | None:
        raise ValueError(f"{key} {CANARY}")


def test_a_fault_loses_no_span_and_lets_no_secret_through(caplog):
    """Where a rule fails, the value goes and the span stays; the log has neither."""
    attributes = [of_text("password", CANARY), of_text("note", f"pwd={CANARY}")]
    payload = data_of(span_of(1, name=f"pwd={CANARY}", attributes=attributes)).SerializeToString()
    with caplog.at_level(logging.DEBUG):
        (span,) = spans_in(redacted(payload, FailingRules()))
    assert CANARY.encode() not in span.SerializeToString()
    assert texts_in(span)[TOLD_KEY].string_value == "fault 3"
    assert span.name == "REDACTED"
    assert "ValueError" in caplog.text
    assert CANARY not in caplog.text


MANY = [
    pytest.param([of_text("note", "pwd=x&" * 60_000)], id="text"),
    pytest.param([of_text(f"{i}pwd", "x") for i in range(1_024)], id="attributes"),
    pytest.param([of_text(f"{i}pwd", "x" * 340) for i in range(1_024)], id="long attributes"),
]


@pytest.mark.parametrize("attributes", MANY)
def test_no_span_grows_over_its_limit(attributes):
    """A span that redaction makes longer stays within what an item has above the limit of a span."""
    span = span_of(1, name="token=x", attributes=attributes)
    payload = data_of(span).SerializeToString()
    left = redacted(payload)
    assert b"pwd=x" not in left
    assert len(left) <= max(len(payload) + 4_100, 0)
    assert TOLD_KEY in texts_in(spans_in(left)[0])
    assert redacted(left) == left


def test_no_payload_grows_over_its_limit():
    """A payload at its limit stays within it, though each mask is longer than its secret."""
    spans = [
        span_of(number, name="pwd=x", attributes=[of_text("pwd", "x")])
        for number in range(1, 20_000)
    ]
    payload = data_of(*spans).SerializeToString()
    assert BYTES_MAX * 0.9 < len(payload) <= BYTES_MAX
    left = redacted(payload)
    assert len(left) <= BYTES_MAX
    assert b"pwd=x" not in left
    assert [span.span_id for span in spans_in(left)] == [span.span_id for span in spans]


def dense(spans: int, secrets_a_span: int) -> TracesData:
    """Spans that have more tiny secrets than a payload may have, each another; the first is an usual one."""
    usual = [of_text("url.full", f"https://a.example/?token={CANARY}"), of_text("http.route", "/a")]
    return data_of(
        span_of(1, name="GET /a", attributes=usual),
        *(
            span_of(
                number,
                name=f"pwd={CANARY}{number}",
                start_time_unix_nano=number,
                attributes=[
                    of_text(f"{place}", f"pwd={CANARY}{number}.{place}")
                    for place in range(secrets_a_span)
                ],
            )
            for number in range(2, spans)
        ),
    )


@pytest.mark.parametrize(
    ("spans", "secrets_a_span"), [(12_000, 0), (40, 400)], ids=["spans", "attributes"]
)
def test_more_secrets_than_are_looked_at_go_unseen(spans, secrets_a_span):
    """Where there are too many suspects, or spans to write anew, nothing is let through and no span is lost."""
    payload = dense(spans, secrets_a_span).SerializeToString()
    left = redacted(payload)
    assert CANARY.encode() not in left
    assert b"too-many" in left
    before, after = spans_in(payload), spans_in(left)
    assert [(each.span_id, each.start_time_unix_nano) for each in after] == [
        (each.span_id, each.start_time_unix_nano) for each in before
    ]
    assert redacted(left) == left


def test_of_far_too_many_none_is_looked_at():
    """A part of a large request that is made of secrets loses them unseen, and no span."""
    payload = dense(40, 400).SerializeToString()
    counts = Counter[str]()
    left = Redaction(Rules()).redacted(payload, BYTES_MAX, counts, 16_000_000)
    assert CANARY.encode() not in left
    assert set(counts) == {"too-many"}
    assert [each.span_id for each in spans_in(left)] == [each.span_id for each in spans_in(payload)]


@pytest.mark.parametrize("seen", ["nothing", "itself", "its clean texts"])
def test_what_goes_unseen_is_the_same_for_a_retry(seen):
    """What a bound leaves out follows from the payload's bytes, not from what was seen before."""
    data = dense(40, 400)
    for number in range(300):
        data.resource_spans[0].scope_spans[0].spans[0].attributes.append(
            of_text(f"{number}", f"the password is {number} characters")
        )
    payload = data.SerializeToString()
    redaction = Redaction(Rules())
    before = {
        "nothing": data_of(),
        "itself": data,
        "its clean texts": data_of(data.resource_spans[0].scope_spans[0].spans[0]),
    }[seen]
    redaction.redacted(before.SerializeToString(), BYTES_MAX, Counter())
    assert redaction.redacted(payload, BYTES_MAX, Counter()) == redacted(payload)


def test_usual_spans_are_looked_at_all():
    """A full message of spans that each have three secrets is not too many."""
    headers = {
        "url.full": "https://shop.example/basket?token={}&page=2",
        "http.request.header.authorization": "Bearer {}",
        "http.request.header.cookie": "theme=dark; sid={}",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML)",
    }
    spans = [
        span_of(
            number,
            name="GET /basket",
            attributes=[
                of_text(key, text.format(f"{CANARY}{number:020}")) for key, text in headers.items()
            ],
        )
        for number in range(1, 2_200)
    ]
    payload = data_of(*spans).SerializeToString()
    assert BYTES_MAX * 0.85 < len(payload) <= BYTES_MAX
    counts = Counter[str]()
    left = Redaction(Rules()).redacted(payload, BYTES_MAX, counts)
    assert CANARY.encode() not in left
    assert counts == {"token": 2_199, "authorization": 2_199, "cookie": 2_199}


def batch_of(key: str, text: str, span_bytes: int) -> TracesData:
    """As many spans as a Collector sends at once, each with a secret of its own in such a text."""
    spans = []
    for number in range(1, 8_193):
        secret = text.format(f"{CANARY}{number:08}")
        span = span_of(number, name="GET /basket", attributes=[of_text(key, secret)])
        room = span_bytes - span.ByteSize() - 10
        span.attributes.append(of_text("http.route", "x" * max(0, room)))
        spans.append(span)
    return data_of(*spans)


_PART = "eyJ" + "a1-_" * 64
_JWT = f"{_PART}.{_PART}.{_PART}"
BATCHES = {
    "a token": ("http.request.header.authorization", "Bearer {}" + f".{_JWT}", 1_000),
    "a token of its own look": ("note", _JWT + "{}", 1_000),
    "a URL": ("url.full", "https://shop:{}@harbour.example/basket?page=2&size=9", 500),
    "a long URL": (
        "url.full",
        f"https://shop:{{}}@harbour.example/{'a' * 200}?page=2&size=9",
        1_000,
    ),
    "a header": ("http.request.header.cookie", "theme=dark; sid={}", 500),
}


@pytest.mark.parametrize(("key", "text", "span_bytes"), BATCHES.values(), ids=BATCHES)
def test_a_full_batch_is_redacted_value_by_value(key, text, span_bytes):
    """The largest batch of a Collector, with a secret in each span, is within the bounds, whatever it is cut into."""
    payload = batch_of(key, text, span_bytes).SerializeToString()
    counts = Counter[str]()
    messages = messages_of(payload, 8_192, "default", 1, counts)
    assert counts.total() == 8_192
    assert "too-many" not in counts
    for message in messages:
        assert CANARY.encode() not in payload_of("default", message, BYTES_MAX)


@pytest.fixture
def settings(monkeypatch):
    def set_to(rules: str, *, on: bool = True) -> None:
        monkeypatch.setattr(config, "REDACTION", on)
        monkeypatch.setattr(config, "REDACTION_RULES", rules)
        redaction_of_settings.cache_clear()

    yield set_to
    redaction_of_settings.cache_clear()


def test_a_change_of_rules_makes_no_second_message(settings):
    """The identity is of the bytes before: other rules, or none, carry other bytes under the same digest."""
    payload = data_of(span_of(1, attributes=[of_text("password", CANARY)])).SerializeToString()
    carried = []
    for rules, on in (("", True), ('{"off": ["password"]}', True), ("", False)):
        settings(rules, on=on)
        (message,) = messages_of(payload, 1, "default", NOON_UNIX_SECONDS)
        assert message.digest == digest_of("default", payload)
        carried.append(payload_of("default", message, BYTES_MAX))
    assert CANARY.encode() not in carried[0]
    assert carried[1:] == [payload, payload]


def test_a_redacted_payload_is_proven(settings):
    """A redacted payload under another message's digest is refused, and so is one that is cut."""
    settings("")
    payloads = [
        data_of(span_of(number, name="password=x")).SerializeToString() for number in (1, 2)
    ]
    first, second = (messages_of(each, 1, "default", 1)[0] for each in payloads)
    for wrong in (first._replace(frame=second.frame), second._replace(digest=bytes(32))):
        with pytest.raises(InvalidPayload, match="digest"):
            payload_of("default", wrong, BYTES_MAX)


def test_rules_in_a_file(settings, tmp_path):
    """The setting may name a file; what is found is counted."""
    path = tmp_path / "rules.json"
    path.write_text('{"off": ["password"]}')
    settings(str(path))
    counts = Counter[str]()
    span = span_of(1, name="secret=x password=y", attributes=[of_text("token", "z")])
    (message,) = messages_of(data_of(span).SerializeToString(), 1, "default", 1, counts)
    assert counts == {"secret": 1, "token": 1}
    assert b"password=y" in payload_of("default", message, BYTES_MAX)


def test_rules_that_cannot_be_read(settings, tmp_path):
    """With rules that cannot be used senders keep their spans: 503, and nothing goes into the queue."""
    settings(str(tmp_path / "none.json"))
    with pytest.raises(RedactionRulesError, match="neither a JSON object nor a file"):
        rules_of_settings()
    sent: list[Message] = []
    body = data_of(span_of(1)).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    assert receive_traces(headers, body, 1, sent.extend).status == 503
    assert not sent


def test_what_was_taken_out_is_told(settings):
    """Both doors tell how many values were redacted, once they are in the queue; nothing is told of none."""
    settings("")
    told: list[int] = []
    headers = {"content-type": "application/x-protobuf"}
    for name in ("pwd=x token=y", "GET"):
        body = data_of(span_of(1, name=name)).SerializeToString()
        receive_traces(headers, body, 1, lambda _: None, tell_redacted=told.append)
        receive_text(
            {},
            body,
            1,
            {"*/*": payload_from_protobuf},
            lambda _: None,
            tell_redacted=told.append,
        )
    assert told == [2, 2]


_PROGRAM = """
from bench.timing import cpu_seconds
from collections import Counter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from chalicelib.model.wire import field
from chalicelib.receive.redaction import Redaction
from chalicelib.receive.redaction_rules import Rules
def attribute(key, value): return field(9, field(1, key) + field(2, value))
def text(value): return field(1, value)
def span(content): return field(2, b"\\x0a\\x10" + b"t" * 16 + b"\\x12\\x08" + b"s" * 8 + content)
def body(spans): return field(1, field(2, b"".join(spans)))
def texts(unit):
    return body([span(attribute(b"a", text(b"%d" % i + unit * (380_000 // len(unit))))) for i in range(3)])
def small(form):
    return body([
        span(b"".join(attribute(b"%d" % (i * 1000 + j), text(form % j)) for j in range(1000)))
        for i in range(40)
    ])
def array(unit, count):
    return body([span(attribute(b"pwd %d" % i, field(5, unit * count))) for i in range(3)])
def members(unit, count):
    return body([span(attribute(b"pwd %d" % i, field(6, unit * count))) for i in range(3)])
payload = {payload}
TracesData.FromString(payload)
redaction, counts = Redaction(Rules()), Counter()
seconds = cpu_seconds(lambda: redaction.redacted(payload, 16_000_000, counts), 1)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(len(payload), seconds, int(peak.split()[1]) // 1024)
"""
HOSTILE = {
    "tiny secrets": """body([
        span(b"".join(attribute(b"", text(b"pwd=%d" % (i * 1000 + j))) for j in range(1000)))
        for i in range(50)
    ])""",
    "tiny secrets written otherwise": """body([
        span(b"".join(
            field(9, field(2, text(b"pwd=%d" % (i * 1000 + j))) + field(1, b"a")) for j in range(1000)
        ))
        for i in range(45)
    ])""",
    "names": 'body([span(field(5, b"pwd=%d" % i)) for i in range(24_000)])',
    "events": """body([
        span(b"".join(field(11, field(2, b"pwd=%d" % (i * 1000 + j))) for j in range(1000)))
        for i in range(70)
    ])""",
    "empty events": 'body([span(field(5, b"pwd=%d" % i) + field(11, b"") * 4000) for i in range(100)])',
    "resources": """b"".join(
        field(1, field(1, field(1, field(1, b"pwd") + field(2, text(b"%d" % i))))) for i in range(35_000)
    )""",
    "scopes": 'field(1, b"".join(field(2, field(1, field(1, b"pwd=%d" % i))) for i in range(60_000)))',
    "scopes of a span": """field(1, b"".join(
        field(2, field(1, field(1, b"pwd=%d" % i)) + span(b"")) for i in range(18_000)
    ))""",
    "short numbers": 'texts(b"111,")',
    "data source names": 'texts(b"a:aaaaaaaa ")',
    "conditions": """texts(b"token in ('")""",
    "statements of Redis": 'texts(b"AUTH a b\\n")',
    "pairs": 'texts(b"pwd=x&")',
    "pairs of nothing": 'texts(b"a=b pwd ")',
    "one long name": 'texts(b"password")',
    "quotes": """texts(b'"pwd":"')""",
    "escaped quotes": """texts(b'pwd:\\\\\\\\"')""",
    "brackets": 'texts(b"pwd:[")',
    "urls": 'texts(b"://a:b/")',
    "userinfo": 'texts(b"://a:b@")',
    "jwts": 'texts(b"eyJ.")',
    "one long jwt": 'texts(b"eyJ")',
    "bearer": 'texts(b"bearer basic ")',
    "pem": 'texts(b"-----BEGIN PRIVATE KEY-----")',
    "digits": 'texts(b"4 ")',
    "long digits": 'texts(b"41111111")',
    "keys": 'texts(b"AKIAghp_xoxb-")',
    "identified": 'texts(b"identified with ")',
    "flags": 'texts(b"--password ")',
    "small attributes": 'small(b"pwd=%d")',
    "small clean attributes": 'small(b"pwd %d")',
    "an array": 'array(field(1, text(b"pwd=x")), 40_000)',
    "an array of next to nothing": 'array(field(1, text(b"")), 90_000)',
    "members": 'members(field(1, field(1, b"pwd") + field(2, text(b"x"))), 29_000)',
    "secret spans": 'body([span(attribute(b"pwd", text(b"%d" % i))) for i in range(10_000)])',
}


@pytest.mark.slow
@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_hostile_payloads_cost_seconds_at_most(payload):
    """The payload of a message that always says maybe takes few seconds of CPU, in texts as long as spans are."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(payload=payload)],
        capture_output=True,
        text=True,
        check=True,
    )
    payload_bytes, seconds, megabytes, *_ = done.stdout.split()
    assert int(payload_bytes) > 400_000
    assert float(seconds) < 1.5
    assert int(megabytes) < 100
