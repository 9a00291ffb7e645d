"""What Jaeger mends in a trace that is read, and that `raw` leaves all as it was stored."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from chalicelib.jaeger.render import trace_json
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from tests.payloads import CLIENT, MILLI, NOON_NANO, SERVER, Made, payload

MICRO = 1_000


def read(*made: Made, **options: Any) -> Any:
    return trace_json(list(spans_of(payload(made), Scopes())), **options)


def keys(tags: list[dict[str, Any]]) -> list[str]:
    return [tag["key"] for tag in tags]


def test_tags_are_sorted_unless_raw():
    """Tags of spans and processes by key; raw has them in their order."""
    made = Made(1, 1, attributes=(("b", 1), ("a", 2)), resource=(("z", "1"), ("y", "2")))
    mended, raw = read(made), read(made, is_raw=True)
    assert keys(mended["spans"][0]["tags"]) == ["a", "b", "otel.scope.name", "span.kind"]
    assert keys(mended["processes"]["p1"]["tags"]) == ["y", "z"]
    assert keys(raw["spans"][0]["tags"]) == ["otel.scope.name", "b", "a", "span.kind"]
    assert keys(raw["processes"]["p1"]["tags"]) == ["z", "y"]


def _with_events(*events: tuple[str, int, list[str]]) -> list[Any]:
    data = TracesData.FromString(payload([Made(1, 1)]))
    (span,) = data.resource_spans[0].scope_spans[0].spans
    for name, micro, fields in events:
        event = span.events.add(name=name, time_unix_nano=NOON_NANO + micro * MICRO)
        for key in fields:
            event.attributes.add(key=key).value.string_value = "x"
    return list(spans_of(data.SerializeToString(), Scopes()))


def test_logs_are_sorted_by_time_and_event_comes_first():
    """Logs by time; `event` before their other fields."""
    (span,) = trace_json(_with_events(("late", 9, ["a", "z"]), ("early", 1, ["c", "b"])))["spans"]
    logs = [(log["fields"][0]["value"], keys(log["fields"])) for log in span["logs"]]
    assert logs == [("early", ["event", "b", "c"]), ("late", ["event", "a", "z"])]


def test_equal_spans_are_one_and_different_ones_are_warned_of():
    """Spans that differ in nothing but the order of their tags are one; different ones under an id are warned of."""
    one = Made(1, 1, attributes=(("a", 1), ("b", 2)))
    turned = one._replace(attributes=one.attributes[::-1])
    (span,) = read(one, turned)["spans"]
    assert span["warnings"] is None
    assert len(read(one, turned, is_raw=True)["spans"]) == 2
    first, second = read(one, one._replace(name="other"))["spans"]
    assert first["warnings"] is None
    assert second["warnings"] == ["duplicate span IDs; skipping clock skew adjustment"]


def test_a_span_of_another_host_is_moved_into_its_parent():
    """A span of another host is moved into its parent with its logs as far as is allowed; raw is as stored."""
    made = [
        Made(1, 1, "a", 0, "r", CLIENT, NOON_NANO, 100 * MILLI, resource=(("host.name", "a"),)),
        Made(
            1,
            2,
            "b",
            1,
            "s",
            SERVER,
            NOON_NANO - 10 * MILLI,
            50 * MILLI,
            resource=(("host.name", "b"),),
            events=(("e", ()),),
        ),
    ]
    root, moved = read(*made, skew_max_nano=10**9)["spans"]
    assert root["warnings"] is None
    assert moved["warnings"] == ["This span's timestamps were adjusted by 35ms"]
    start = (NOON_NANO + 25 * MILLI) // MICRO
    assert (moved["startTime"], moved["logs"][0]["timestamp"]) == (start, start)
    assert moved["duration"] == 50_000
    _, told = read(*made)["spans"]
    assert told["startTime"] == (NOON_NANO - 10 * MILLI) // MICRO
    assert told["warnings"] == [
        "clock skew adjustment disabled; not applying calculated delta of 35ms"
    ]
    _, raw = read(*made, skew_max_nano=10**9, is_raw=True)["spans"]
    assert (raw["startTime"], raw["warnings"]) == (told["startTime"], None)


def test_shared_ids_have_a_parent():
    """A server's half under its client's id is measured against its client, and is no duplicate."""
    client = Made(1, 1, "a", 0, "c", CLIENT, NOON_NANO, 100 * MILLI)
    server = Made(1, 1, "b", 0, "s", SERVER, NOON_NANO - 10 * MILLI, 50 * MILLI)
    _, moved = read(client, server, skew_max_nano=10**9)["spans"]
    assert moved["warnings"] == ["This span's timestamps were adjusted by 35ms"]


def test_numbers_under_address_keys_become_addresses():
    """Numbers under `ip` and `peer.ipv4` are addresses, wherever they stand; other numbers are numbers."""
    made = Made(
        1, 1, attributes=(("peer.ipv4", 0x08080808), ("n", 1)), resource=(("ip", -(2**31)),)
    )
    trace = read(made)
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in trace["spans"][0]["tags"]}
    assert tags["peer.ipv4"] == ("string", "8.8.8.8")
    assert tags["n"] == ("int64", 1)
    (ip,) = trace["processes"]["p1"]["tags"]
    assert ip == {"key": "ip", "type": "string", "value": "128.0.0.0"}
    raw = read(made, is_raw=True)["processes"]["p1"]["tags"]
    assert raw == [{"key": "ip", "type": "int64", "value": -(2**31)}]
    (text,) = read(Made(1, 1, resource=(("ip", float("nan")),)))["processes"]["p1"]["tags"]
    assert text["value"] == "NaN"


def test_library_tags_move_to_the_process():
    """What tells of the sender's library moves to the process, unless that says something else."""
    name, version = ("telemetry.sdk.name", "one"), ("telemetry.sdk.version", "1")
    trace = read(
        Made(1, 1, attributes=(name, version)),
        Made(1, 2, attributes=(name,), parent=1),
        Made(1, 3, attributes=(("telemetry.sdk.name", "two"),), parent=1),
    )
    assert keys(trace["processes"]["p1"]["tags"]) == [name[0], version[0]]
    first, second, other = trace["spans"]
    for span in (first, second):
        assert name[0] not in keys(span["tags"])
        assert span["warnings"] is None
    assert name[0] in keys(other["tags"])
    assert other["warnings"] == [
        "conflicting values between Span and Resource for attribute telemetry.sdk.name"
    ]
