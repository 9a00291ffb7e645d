"""What Jaeger's query service mends when a trace is read, unless it is asked for as stored.

    spans as JSON ──sort_collections──▶ ──distinct──▶ (clocks) ──mend──▶ spans as they are shown

In place, each with a warning on its span where something is lost. That ids are shared is mended before, in `jaeger.py`.
Source: jaeger, cmd/jaeger/internal/extension/jaegerquery/internal/adjuster.
"""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]

ADDRESS_KEYS = frozenset(["ip", "peer.ipv4"])
_NUMBER_TYPES = ("int64", "float64")
_LIBRARY_KEYS = frozenset(
    [
        *("telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
        *("telemetry.distro.name", "telemetry.distro.version"),
    ]
)
MENDED_KEYS = ADDRESS_KEYS | _LIBRARY_KEYS
_key_of = itemgetter("key")


def sort_collections(span_or_process: Json) -> None:
    """Tags by key. Logs by time, as people read them; their fields by key, but for `event`, which is their name."""
    span_or_process["tags"].sort(key=_key_of)
    if logs := span_or_process.get("logs"):
        logs.sort(key=lambda log: log["timestamp"])
        for log in logs:
            log["fields"].sort(key=lambda field: (field["key"] != "event", field["key"]))


def distinct(spans: Sequence[Json]) -> Sequence[int]:
    """Places of the spans that are not the same as one before."""
    ids = [span["spanID"] for span in spans]
    if len(set(ids)) == len(ids):
        return range(len(spans))
    counts = Counter(ids)
    of_ids: dict[str, list[Json]] = {}
    kept = []
    for place, span in enumerate(spans):
        span_id = span["spanID"]
        if counts[span_id] > 1:
            of_id = of_ids.setdefault(span_id, [])
            if span in of_id:
                continue
            of_id.append(span)
        kept.append(place)
    return kept


def mend(spans: Sequence[Json], processes: Mapping[str, Json]) -> None:
    """Write addresses that came as numbers as addresses; move what tells of the sender's library to its process."""
    for process in processes.values():
        process["tags"] = list(map(_address, process["tags"]))
    for span in spans:
        keys = [tag["key"] for tag in span["tags"]]
        if not _LIBRARY_KEYS.isdisjoint(keys):
            _move_library(span, processes[span["processID"]])
        if not ADDRESS_KEYS.isdisjoint(keys):
            span["tags"] = list(map(_address, span["tags"]))


def warn(span: Json, *warnings: str) -> None:
    if warnings:
        span["warnings"] = [*(span["warnings"] or ()), *warnings]


def _address(tag: Json) -> Json:
    if tag["key"] not in ADDRESS_KEYS or tag["type"] not in _NUMBER_TYPES:
        return tag
    try:
        number = int(tag["value"])
    except (ValueError, OverflowError):
        return tag
    text = str(IPv4Address(number & 0xFFFFFFFF))
    return {"key": tag["key"], "type": "string", "value": text}


def _move_library(span: Json, process: Json) -> None:
    """What tells of the sender's library belongs to the process."""
    there = {tag["key"]: tag["value"] for tag in process["tags"]}
    kept = []
    for tag in span["tags"]:
        key = tag["key"]
        if key not in _LIBRARY_KEYS:
            kept.append(tag)
        elif there.setdefault(key, tag["value"]) != tag["value"]:
            kept.append(tag)
            warn(span, f"conflicting values between Span and Resource for attribute {key}")
        elif tag not in process["tags"]:
            process["tags"] = sorted([*process["tags"], tag], key=_key_of)
    span["tags"] = kept
