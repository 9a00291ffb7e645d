"""The benchmark's tables in Markdown: each function makes a table of the rows of a result."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any

from capacity.pages import table
from capacity.prices import PRICES, dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

TOTAL_MICROS_MAX = 8
STORED_BYTES_MAX = 40
FOLD_MICROS_MAX = 1
WRITE_UNITS_MAX = 0.15
IMPORT_RATIO_MAX = 1.3
IDLE_DOLLARS_MAX = 2
_BAR_CHARACTERS = 40


def processing_table(rows: Sequence[dict[str, Any]]) -> str:
    heads = (
        *("spans a request", "receive µs", "consume µs", "botocore µs"),
        *(f"together µs (target {TOTAL_MICROS_MAX})", f"fold µs (target {FOLD_MICROS_MAX})"),
        *(f"stored bytes (target {STORED_BYTES_MAX})", f"write units (target {WRITE_UNITS_MAX})"),
    )
    micros = ("receive_micros", "consume_micros", "botocore_micros", "total_micros", "fold_micros")
    return table(
        heads,
        [
            [
                f"{row['spans_per_request']}",
                *(f"{row[name]:.1f}" for name in micros),
                f"{row['stored_bytes_total']:.1f}",
                f"{row['write_units_total']:.3f}",
            ]
            for row in rows
        ],
    )


def kinds_table(row: dict[str, Any]) -> str:
    return table(
        ("kind", "bytes a span", "write units a span"),
        [
            [kind, f"{size:.2f}", f"{row['write_units'][kind]:.4f}"]
            for kind, size in row["stored_bytes"].items()
        ],
    )


FORM_CPU_MAX, FORM_BYTES_MAX = 1.10, 1.02
"""Targets as ratios to the first form."""


def forms_table(rows: dict[str, dict[str, float]]) -> str:
    """Return a table in which all rows are compared with the first."""
    usual = next(iter(rows.values()))
    usual_micros = usual["receive_micros"] + usual["consume_micros"]
    return table(
        (
            *("written by", "bytes sent", "receive µs", "consume µs", "bytes stored"),
            *(
                f"CPU, to the first (target {FORM_CPU_MAX:.2f})",
                f"bytes (target {FORM_BYTES_MAX:.2f})",
            ),
        ),
        [
            [
                name,
                f"{row['request_bytes']:.1f}",
                f"{row['receive_micros']:.1f}",
                f"{row['consume_micros']:.1f}",
                f"{row['stored_bytes']:.1f}",
                f"{(row['receive_micros'] + row['consume_micros']) / usual_micros:.2f}",
                f"{row['stored_bytes'] / usual['stored_bytes']:.2f}",
            ]
            for name, row in rows.items()
        ],
    )


def varieties_table(rows: dict[str, dict[str, float]]) -> str:
    head = ("load", "bytes sent", "receive µs", "consume µs", "fold µs", "bytes stored")
    return _figures_table(head, rows)


def _figures_table(head: Sequence[str], rows: dict[str, dict[str, float]]) -> str:
    """Return a table with a row for each name; its figures are in the order of the head."""
    return table(
        head,
        [[name, *(f"{figure:.1f}" for figure in row.values())] for name, row in rows.items()],
    )


def micros_table(head: str, rows: dict[str, float]) -> str:
    return table((head, "µs a span"), [[name, f"{micros:.1f}"] for name, micros in rows.items()])


def calls_table(rows: dict[str, dict[str, float]]) -> str:
    return _figures_table(
        ("stage of consume", "calls of C", "calls of Python", "objects kept"), rows
    )


def memory_table(rows: dict[str, dict[str, Any]]) -> str:
    return table(
        ("work", "peak MB", "the function's MB"),
        [
            [
                f"{row['function']}: {row['load']}",
                f"{row['peak_megabytes']:.0f}",
                f"{row['limit_megabytes']}",
            ]
            for row in rows.values()
        ],
    )


def cold_table(rows: dict[str, dict[str, float]]) -> str:
    return table(
        (
            *("function", "import, CPU ms", "first answer, CPU ms", "both, wall ms"),
            *(f"import / botocore (target {IMPORT_RATIO_MAX})", "both / botocore", "modules"),
        ),
        [
            [
                name,
                f"{row['import_cpu_seconds'] * 1e3:.0f}",
                f"{row['first_cpu_seconds'] * 1e3:.0f}",
                f"{row['wall_seconds'] * 1e3:.0f}",
                f"{row['import_ratio']:.2f}",
                f"{row['ratio']:.2f}",
                f"{row['modules']:.0f}",
            ]
            for name, row in rows.items()
        ],
    )


MILLIS_MAX = {
    "trace of 16 spans": 2,
    "columns of 10,000 spans": 80,
    "search: service, attribute, duration": 25,
}
REQUESTS_MAX = {"trace of 16 spans": 1, "search: service, attribute, duration": 30}


def answers_table(rows: Sequence[dict[str, Any]]) -> str:
    heads = (
        *("answer", "spans stored", "CPU ms", "target", "requests", "target", "read units"),
        "bytes",
    )
    return table(
        heads,
        [
            [
                row["question"],
                _stored(row),
                f"{row['cpu_millis']:.1f}",
                f"{MILLIS_MAX.get(row['question'], '')}",
                f"{row['requests']}",
                f"{REQUESTS_MAX.get(row['question'], '')}",
                f"{row['read_units']}",
                f"{row['answer_bytes']:,}" if "answer_bytes" in row else "",
            ]
            for row in rows
        ],
    )


def _stored(row: dict[str, Any]) -> str:
    hours = row.get("hours", 1)
    return f"{row['spans']:,}" + (f" in {hours} hours" if hours > 1 else "")


RECEIVED_MICROS_MAX = {"Zipkin JSON": 20, "Jaeger thrift": 25}
ANSWERED_MILLIS_MAX = {
    "services": 2,
    "operations": 2,
    "search": 25,
    "search: summaries": 15,
    "trace of 16 spans": 2,
    "trace of 10,000 spans": 200,
    "dependencies of an hour that is over": 5,
}


def dialects_received_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("dialect", "receive µs", "target", "bytes a span"),
        [
            [
                row["sender"],
                f"{row['micros']:.1f}",
                f"{RECEIVED_MICROS_MAX.get(row['sender'], '')}",
                f"{row['body_bytes']:.0f}",
            ]
            for row in rows
        ],
    )


def dialects_answered_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        ("answer", "CPU ms", "target", "requests", "read units", "bytes"),
        [
            [
                row["question"],
                f"{row['cpu_millis']:.1f}",
                f"{ANSWERED_MILLIS_MAX.get(row['question'].partition(': ')[2], '')}",
                f"{row['requests']}",
                f"{row['read_units']}",
                f"{row['answer_bytes']:,}",
            ]
            for row in rows
        ],
    )


def curve_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        (
            *("traces a second", "$ a million spans", "X-Ray", "$ a month", "write units a span"),
            *("read units a span", "chunks a trace", "fold, s a minute"),
        ),
        [
            [
                f"{row['traces_per_second']:g}",
                f"{row['dollars']:.3f}",
                f"{row['xray_dollars']:.3f}",
                f"{row['dollars_per_month']:,.2f}",
                f"{sum(row['write_units'].values()):.3f}",
                f"{sum(row['read_units'].values()):.3f}",
                f"{row['chunks_per_trace']:.1f}",
                f"{row['fold_seconds']:.1f}",
            ]
            for row in rows
        ],
    )


def chart(rows: Sequence[dict[str, Any]]) -> str:
    """Return dollars a million spans as logarithmic bars: $0.001 is one character, each factor of ten is eight more."""

    def bar(dollars: float) -> str:
        return "█" * max(1, round(1 + 8 * log10(max(dollars, 0.001) / 0.001)))

    lines = [
        f"{row['traces_per_second']:>6g}/s {bar(row['dollars']):<{_BAR_CHARACTERS}} ${row['dollars']:.3f}"
        for row in rows
    ]
    xray = rows[0]["xray_dollars"]
    return "\n".join([*lines, f"{'X-Ray':>8} {bar(xray):<{_BAR_CHARACTERS}} ${xray:.3f}"])


def parts_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a table of the parts of the cost at each rate."""
    parts = [dollars(row["used"]) for row in rows]
    return table(
        ("$ a million spans", *(f"{row['traces_per_second']:g}/s" for row in rows)),
        [[name, *(f"{of_rate[name]:.4f}" for of_rate in parts)] for name in PRICES],
    )


def levers_table(rows: Sequence[dict[str, Any]]) -> str:
    return table(
        (
            "what is changed",
            "traces a second",
            "$ a million spans",
            "write units",
            "chunks a trace",
        ),
        [
            [
                row["lever"],
                f"{row['traces_per_second']:g}",
                f"{row['dollars']:.3f}",
                f"{sum(row['write_units'].values()):.3f}",
                f"{row['chunks_per_trace']:.1f}",
            ]
            for row in rows
        ],
    )


def idle_table(used: dict[str, float]) -> str:
    parts = dollars(used)
    rows = [[name, f"{used[name]:,.0f}", f"{parts[name]:.3f}"] for name in PRICES]
    total = ["together", "", f"{sum(parts.values()):.2f}"]
    return table(("a month", "quantity", f"$ (target {IDLE_DOLLARS_MAX})"), [*rows, total])


def prices_table() -> str:
    return table(
        ("what", "source", "$", "for"),
        [
            [name, price.source, f"{price.dollars:g}", f"{price.per:,.0f} {price.unit}"]
            for name, price in PRICES.items()
        ],
    )
