"""Clock skew as Jaeger mends it: a span of another host that lies outside its parent is moved into it.

    spans ──skews──▶ by how much some are moved, and what is said of them

Source: jaeger, cmd/jaeger/internal/extension/jaegerquery/internal/adjuster/clockskew.go.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from chalicelib.model.attribute import key_of, plain_value
from chalicelib.model.units import SECOND_NANO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HOST_KEYS = (b"host.id", b"host.ip", b"host.name", b"hostname", b"ip", b"net.host.ip")
"""Jaeger's three, and what its own clients and Zipkin's send."""
_UNITS_NANO = (("µs", 10**3), ("ms", 10**6), ("s", SECOND_NANO))
_MINUTE_SECONDS, _HOUR_SECONDS = 60, 3_600
_DUPLICATE = "duplicate span IDs; skipping clock skew adjustment"


class Timed(NamedTuple):
    """The fields of a span that Jaeger's clock-skew adjuster reads."""

    span_id: str
    parent_span_id: str
    """Empty for none; digits, as the id."""
    start_nano: int
    duration_nano: int
    host: str
    """Empty where it is not known."""


class Skew:
    """How one span's clock is corrected."""

    def __init__(self) -> None:
        self.delta_nano = 0
        """The span is moved by this."""
        self.warnings: list[str] = []


def host_of(resource_attributes: Iterable[bytes]) -> str:
    """The host of a span, which tells whether two spans were timed by one clock; empty if nothing says it."""
    raws = {key_of(raw): raw for raw in resource_attributes}
    for key in _HOST_KEYS:
        if key in raws:
            value = plain_value(KeyValue.FromString(raws[key]).value)
            if isinstance(value, list):
                value = value[0] if value else ""
            return str(value)
    return ""


def skews(spans: Sequence[Timed], max_nano: int) -> dict[int, Skew]:
    """How clocks are corrected, by the places of the spans of which there is anything to say.

    With a `max_nano` of 0 none is moved, and the warnings say by how much it would be.
    """
    found: defaultdict[int, Skew] = defaultdict(Skew)
    places: dict[str, int] = {}
    for place, span in enumerate(spans):
        if places.setdefault(span.span_id, place) != place:
            found[place].warnings.append(_DUPLICATE)
    children: dict[int, list[int]] = {}
    # Each with what its host's clock is off by.
    unseen: list[tuple[int, int]] = []
    for place in places.values():
        parent_span_id = spans[place].parent_span_id
        parent = places.get(parent_span_id) if parent_span_id else None
        if parent is not None:
            children.setdefault(parent, []).append(place)
            continue
        unseen.append((place, 0))
        if parent_span_id:
            missing = f"parent span ID={parent_span_id} is not in the trace"
            found[place].warnings.append(f"{missing}; skipping clock skew adjustment")
    while unseen:
        place, delta = unseen.pop()
        if delta:
            _move(found[place], delta, max_nano)
        moved = found[place].delta_nano if delta else 0
        unseen += [
            (child, _delta(spans[place], moved, delta, spans[child]))
            for child in children.get(place, ())
        ]
    return found


def _delta(parent: Timed, parent_moved: int, parent_delta: int, child: Timed) -> int:
    """What a child's clock is off by. One host has one clock."""
    if child.host and child.host == parent.host:
        return parent_delta
    begin = parent.start_nano + parent_moved
    end = begin + parent.duration_nano
    early = begin - child.start_nano
    if child.duration_nano > parent.duration_nano:
        # It is asynchronous, or its parent did not wait: it does not start before it.
        return max(0, early)
    if early <= 0 and child.start_nano + child.duration_nano <= end:
        return 0
    # As if the network took as long there as back.
    return early + (parent.duration_nano - child.duration_nano) // 2


def _move(skew: Skew, delta: int, max_nano: int) -> None:
    moved = duration_text(delta)
    if abs(delta) <= max_nano:
        skew.delta_nano = delta
        skew.warnings.append(f"This span's timestamps were adjusted by {moved}")
    elif max_nano:
        limit = f"max clock skew adjustment delta of {duration_text(max_nano)} exceeded"
        skew.warnings.append(f"{limit}; not applying calculated delta of {moved}")
    else:
        disabled = "clock skew adjustment disabled"
        skew.warnings.append(f"{disabled}; not applying calculated delta of {moved}")


def duration_text(nano: int) -> str:
    """A duration as Go writes it: `35ms`, `-1.5s`, `1h0m2s`. Source: go, time.Duration.String."""
    sign, size = ("-" if nano < 0 else ""), abs(nano)
    if not size:
        return "0s"
    if size < _UNITS_NANO[0][1]:
        return f"{sign}{size}ns"
    unit, unit_nano = next(
        (each for each in reversed(_UNITS_NANO) if size >= each[1]), _UNITS_NANO[0]
    )
    if unit != "s":
        return f"{sign}{_decimal(size, unit_nano)}{unit}"
    minutes, rest = divmod(size, _MINUTE_SECONDS * unit_nano)
    hours, minutes = divmod(minutes, _HOUR_SECONDS // _MINUTE_SECONDS)
    text = f"{_decimal(rest, unit_nano)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"


def _decimal(size: int, unit: int) -> str:
    whole, rest = divmod(size, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
