"""What Jaeger's query service mends when a trace is read, unless it is asked for as stored.

    span as JSON ──sort_collections──▶ (clocks) ──mend_address, Library──▶ span as it is shown

In place, span by span, each with a warning where something is lost. Shared ids and copies are mended before, in
`jaeger.py`.
Source: jaeger, cmd/jaeger/internal/extension/jaegerquery/internal/adjuster.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

_ADDRESS_KEYS = frozenset(["ip", "peer.ipv4"])
_NUMBER_TYPES = ("int64", "float64")
_LIBRARY_KEYS = frozenset(
    [
        *("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
        *("telemetry.distro.name", "telemetry.distro.version"),
    ]
)
MENDED_KEYS = _ADDRESS_KEYS | _LIBRARY_KEYS
_key_of = itemgetter("key")


def sort_collections(span_or_process: Json) -> None:
    """Tags by key. Logs by time, as people read them; their fields by key, but for `event`, which is their name."""
    span_or_process["tags"].sort(key=_key_of)
    if logs := span_or_process.get("logs"):
        logs.sort(key=lambda log: log["timestamp"])
        for log in logs:
            log["fields"].sort(key=lambda field: (field["key"] != "event", field["key"]))


def mend_address(span_or_process: Json) -> None:
    """Write addresses that came as numbers as addresses."""
    tags = span_or_process["tags"]
    if not _ADDRESS_KEYS.isdisjoint([tag["key"] for tag in tags]):
        span_or_process["tags"] = list(map(_address, tags))


class Library:
    """What spans tell of their sender's library: it belongs to their process."""

    def __init__(self, process_of: Callable[[str], Json]) -> None:
        """`process_of` tells a process by its id, as its resource has it."""
        self._process_of = process_of
        self._there: dict[str, list[Json]] = {}
        """Process id → those of its tags, and of the ones that were moved to it."""
        self._moved: dict[str, list[Json]] = {}

    def move_from(self, span: Json) -> None:
        """Take such tags from a span, but for those that contradict its process."""
        tags = span["tags"]
        if _LIBRARY_KEYS.isdisjoint([tag["key"] for tag in tags]):
            return
        there = self._there_in(span["processID"])
        values = {tag["key"]: tag["value"] for tag in there}
        kept = []
        for tag in tags:
            key = tag["key"]
            if key not in _LIBRARY_KEYS:
                kept.append(tag)
            elif values.setdefault(key, tag["value"]) != tag["value"]:
                kept.append(tag)
                warn(span, f"conflicting values between Span and Resource for attribute {key}")
            elif tag not in there:
                there.append(tag)
                there.sort(key=_key_of)
                self._moved.setdefault(span["processID"], []).append(tag)
        span["tags"] = kept

    def _there_in(self, process_id: str) -> list[Json]:
        there = self._there.get(process_id)
        if there is None:
            process = self._process_of(process_id)
            sort_collections(process)
            there = [tag for tag in process["tags"] if tag["key"] in _LIBRARY_KEYS]
            self._there[process_id] = there
        return there

    def mended(self, process_id: str, process: Json) -> Json:
        """The process, with what was moved to it."""
        process["tags"] += self._moved.get(process_id, ())
        sort_collections(process)
        mend_address(process)
        return process


def warn(span: Json, *warnings: str) -> None:
    if warnings:
        span["warnings"] = [*(span["warnings"] or ()), *warnings]


def _address(tag: Json) -> Json:
    if tag["key"] not in _ADDRESS_KEYS or tag["type"] not in _NUMBER_TYPES:
        return tag
    try:
        number = int(tag["value"])
    except (ValueError, OverflowError):
        return tag
    text = str(IPv4Address(number & 0xFFFFFFFF))
    return {"key": tag["key"], "type": "string", "value": text}
