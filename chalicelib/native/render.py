"""The native dialect: answers as JSON, every `*_nano` a decimal string, as OTLP/JSON has its 64-bit integers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.http.stream import Array, Object, plain
from chalicelib.model.edges import EdgeKind, shown_edges
from chalicelib.model.measure import SCALE, ZERO_BUCKET, Measure, quantiles_nano
from chalicelib.model.names import OTHER_SERVICES
from chalicelib.model.span import KIND_NAMES
from chalicelib.model.units import SECOND_NANO
from chalicelib.query.services import services_warnings
from chalicelib.query.statistics import series_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from chalicelib.model.statistics import SeriesKey
    from chalicelib.query.attributes import Sample
    from chalicelib.query.dead_letters import DeadLetters
    from chalicelib.query.edges import EdgesBetween
    from chalicelib.query.search import Found
    from chalicelib.query.statistics import ServiceStatistics
    from chalicelib.query.trace import Summary
    from chalicelib.queue.sqs_redrive import Redrive

Json = dict[str, Any]

_QUANTILES = (("p50", 0.5), ("p75", 0.75), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99))
_EDGE_QUANTILES = (_QUANTILES[0], _QUANTILES[3], _QUANTILES[4])
_INEXACT = (
    "statistics were being folded while they were read: a figure may be off by what was folded"
)

_CAPPED = (
    "on a day of this range there were more services than are counted by themselves: "
    f"calls of this one may be counted as {OTHER_SERVICES}"
)


def search_json(found: Found) -> Json:
    return {
        "traces": [_summary(each) for each in found.traces],
        "next": found.next_cursor,
        "warnings": found.warnings,
    }


def _summary(summary: Summary) -> Json:
    return {
        "trace_id": summary.trace_id.hex(),
        "root_service": summary.root_service,
        "root_span_name": summary.root_span_name,
        "start_time_unix_nano": str(summary.start_time_unix_nano),
        "duration_nano": str(summary.duration_nano),
        "span_count": summary.span_count,
        "error_count": summary.error_count,
        "services": summary.services,
        "service_span_counts": summary.service_span_counts,
        "service_error_counts": summary.service_error_counts,
    }


def services_json(services: Collection[str]) -> Json:
    return {"services": sorted(services), "warnings": services_warnings(services)}


def span_names_json(keys: Sequence[SeriesKey]) -> Json:
    return {"span_names": [{"name": name, "kind": KIND_NAMES[kind]} for name, kind in keys]}


def attributes_json(sample: Sample) -> Json:
    return {
        "attributes": [
            {
                "key": each.key,
                "span_count": each.span_count,
                "values": [{"value": value, "span_count": count} for value, count in each.values],
            }
            for each in sample.attributes
        ],
        "trace_count": sample.trace_count,
        "warnings": sample.warnings,
    }


def streamed_statistics(answer: ServiceStatistics) -> Object:
    """Points only where there are calls; `other` is what lies above the cap on names."""
    seconds, step = answer.seconds, answer.step_seconds
    width = seconds.end - seconds.start
    warnings = ([] if answer.is_exact else [_INEXACT]) + ([_CAPPED] if answer.is_capped else [])
    return Object(
        {
            "service": answer.service,
            "start_time_unix_nano": str(seconds.start * SECOND_NANO),
            "end_time_unix_nano": str(seconds.end * SECOND_NANO),
            "step_nano": str(step * SECOND_NANO),
            "series": Array(_series(answer)),
            "total": _figures(answer.total.entry, width),
            "total_points": Array(_total_points(answer)),
            "other": _figures(answer.total.other, width) if answer.total.other else None,
            "folded": {
                "renamed_calls": answer.total.renamed_calls,
                "other_calls": answer.total.other.calls,
            },
            "warnings": warnings,
        }.items()
    )


def statistics_json(answer: ServiceStatistics) -> Json:
    """The same, at once."""
    found: Json = plain(streamed_statistics(answer))
    return found


def _series(answer: ServiceStatistics) -> Iterator[Object]:
    width = answer.seconds.end - answer.seconds.start
    for (name, kind), total in sorted(answer.total.series.items(), key=lambda item: item[0]):
        points = (
            {
                "start_time_unix_nano": str(second * SECOND_NANO),
                **_figures(measure, answer.step_seconds),
            }
            for second, measure in series_of(answer.steps, (name, kind))
        )
        fields = {
            "span_name": name,
            "kind": KIND_NAMES[kind],
            "points": Array(points),
            "total": _figures(total, width),
        }
        yield Object(fields.items())


def _total_points(answer: ServiceStatistics) -> Iterator[Json]:
    for second, part in answer.steps.items():
        if part.entry:
            figures = _figures(part.entry, answer.step_seconds)
            yield {"start_time_unix_nano": str(second * SECOND_NANO), **figures}


def _figures(measure: Measure, width_seconds: int) -> Json:
    return {
        "calls": measure.calls,
        "errors": measure.errors,
        "rate": measure.calls / width_seconds,
        **_quantiles(measure, _QUANTILES),
        "histogram": histogram_json(measure),
    }


def _quantiles(measure: Measure, quantiles: Sequence[tuple[str, float]]) -> Json:
    found = quantiles_nano(measure, [quantile for _, quantile in quantiles])
    return {f"{name}_nano": str(nano) for (name, _), nano in zip(quantiles, found, strict=True)}


def histogram_json(measure: Measure) -> Json:
    """OTLP's ExponentialHistogramDataPoint, as far as it holds counts: dense from `offset` on."""
    positive = {index: count for index, count in measure.buckets.items() if index != ZERO_BUCKET}
    offset, last = min(positive, default=0), max(positive, default=-1)
    counts = ["0"] * (last + 1 - offset)
    for index, count in positive.items():
        counts[index - offset] = str(count)
    return {
        "scale": SCALE,
        "zeroCount": str(measure.buckets.get(ZERO_BUCKET, 0)),
        "positive": {"offset": offset, "bucketCounts": counts},
    }


def edges_json(answer: EdgesBetween) -> Json:
    """Edges with calls, by caller, callee and kind."""
    return {
        "start_time_unix_nano": str(answer.seconds.start * SECOND_NANO),
        "end_time_unix_nano": str(answer.seconds.end * SECOND_NANO),
        "edges": [
            {
                "caller": caller,
                "callee": callee,
                "kind": EdgeKind(kind).name.lower(),
                "calls": edge.measure.calls,
                "errors": edge.measure.errors,
                **_quantiles(edge.measure, _EDGE_QUANTILES),
                "exemplar_trace_id": edge.exemplar_trace_id.hex() or None,
            }
            for (caller, callee, kind), edge in sorted(
                shown_edges(answer.edges).items(), key=lambda item: item[0]
            )
        ],
        "other": _figures(answer.edges.other, answer.seconds.end - answer.seconds.start)
        if answer.edges.other
        else None,
        "warnings": [] if answer.is_exact else [_INEXACT],
    }


def dead_letters_json(answer: DeadLetters) -> Json:
    return {
        "queued": answer.queued,
        "dead_letters": [
            {
                "reason": note.reason,
                "first_time_unix_nano": str(note.first_unix_seconds * SECOND_NANO),
                "last_time_unix_nano": str(note.last_unix_seconds * SECOND_NANO),
                "burials": note.burials,
                "receive_count": note.receive_count,
                "message_bytes": note.message_bytes,
                "span_count": note.span_count,
                "trace_ids": [trace_id.hex() for trace_id in note.trace_ids],
            }
            for note in answer.notes
        ],
        "next": answer.next_cursor,
        "redrive": redrive_json(answer.redrive) if answer.redrive else None,
        "warnings": answer.warnings,
    }


def redrive_json(redrive: Redrive) -> Json:
    return {
        "status": redrive.status,
        "started_time_unix_nano": str(redrive.started_unix_millis * 10**6),
        "moved": redrive.moved,
        "to_move": redrive.to_move,
        "failure_reason": redrive.failure_reason,
    }
