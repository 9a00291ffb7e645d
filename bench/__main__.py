"""`make bench` measures what Clew takes and costs: tables, JSON in bench/results, figures in README and docs.

`python -m bench [--quick] [PART…]` measures only these parts, or less of each; it then rewrites no page.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bench import answers, calls, cold, dialects, memory, much, processing, report
from bench.record import PROJECT, result_of, write
from bench.timing import RUNS, reference_loop_seconds
from capacity import sampling
from capacity.cost import cost_of, idle_bill, memory_megabytes
from capacity.load import SPANS_PER_TRACE
from capacity.pages import replace_between
from capacity.prices import SECONDS_PER_MONTH, total_dollars
from capacity.traffic import Knobs, simulate

if TYPE_CHECKING:
    from capacity.cost import Cost, Machine

PARTS = ("processing", "memory", "cold", "cost", "answers", "dialects")
CURVE = (Knobs(0.1, 3_600), Knobs(1, 1_800), Knobs(10, 300), Knobs(100, 60), Knobs(1_000, 10))
"""The simulated rates: each is long enough to mean something, and short enough to simulate in seconds."""
_QUICK_CURVE = (Knobs(1, 60),)
_USUAL = Knobs(10, 120)
LEVERS = {
    "as it is": _USUAL,
    "batch window 1 s": _USUAL._replace(window_seconds=1),
    "batch window 20 s": _USUAL._replace(window_seconds=20),
    "batch window 60 s": _USUAL._replace(window_seconds=60),
    "exporter timers 1 s": _USUAL._replace(exporter_seconds=1),
    "exporter timers 30 s": _USUAL._replace(exporter_seconds=30),
    "10 consumers": _USUAL._replace(consumers=10),
    "groups of 2,500 spans, at 100/s": Knobs(100, 30, group_spans_max=2_500),
    "groups of 10,000 spans, at 100/s": Knobs(100, 30),
    "1 trace in 10 sampled": _USUAL._replace(traces_per_second=1),
}


def measure(parts: list[str], *, quick: bool) -> dict[str, Any]:
    """Measure these parts and return the results by name."""
    runs = 1 if quick else RUNS
    found: dict[str, Any] = {}
    # Memory is first: ru_maxrss of a child process begins with the size of its parent.
    if "memory" in parts:
        found["memory"] = memory.measure(["consume"] if quick else list(memory.WORKS))
        for row in found["memory"].values():
            row["limit_megabytes"] = memory_megabytes(row["function"])
    if "processing" in parts:
        sizes = (512,) if quick else processing.SPANS_PER_REQUEST
        spans = 1_024 if quick else processing.SPANS
        found["processing"] = [processing.measure(size, spans, runs) for size in sizes]
        found["varieties"] = processing.varieties(runs, spans)
        found["forms"] = processing.forms(runs, spans)
        found["stages"] = processing.consume_stages(runs, spans)
        found["floors"] = processing.floors(runs, spans)
        found["calls"] = {
            stage: counted._asdict() for stage, counted in calls.measure(spans).items()
        }
    if "cold" in parts:
        found["cold"] = cold.measure(1 if quick else cold.RUNS)
    if "cost" in parts:
        found |= _costs(processing.machine(runs), quick=quick)
    if "answers" in parts:
        found["answers"] = (
            answers.measure((1_000,), runs, 1_000) if quick else answers.measure(runs=runs)
        )
        # With less than a million spans the time that is filled has no two groups.
        found["answers"] += much.measure(1, 1_000_000) if quick else much.measure()
    if "dialects" in parts:
        found |= dialects.measure(1, 1_000, 512) if quick else dialects.measure(runs)
    return found


def _costs(machine: Machine, *, quick: bool) -> dict[str, Any]:
    levers = {} if quick else LEVERS
    return {
        "machine_for_cost": machine._asdict(),
        "curve": [
            _row(cost_of(simulate(knobs), machine)) for knobs in (_QUICK_CURVE if quick else CURVE)
        ],
        "levers": [
            {"lever": name, **_row(cost_of(simulate(knobs), machine))}
            for name, knobs in levers.items()
        ],
        "idle": idle_bill(machine),
    }


def _row(cost: Cost) -> dict[str, Any]:
    spans_per_month = cost.traces_per_second * SPANS_PER_TRACE * SECONDS_PER_MONTH
    return {**cost._asdict(), "dollars_per_month": cost.dollars * spans_per_month / 1e6}


def pages(found: dict[str, Any]) -> dict[str, str]:
    """Return the tables of results by the name of their pair of markers in the pages."""
    made: dict[str, str] = {}
    if rows := found.get("processing"):
        made["processing"] = report.processing_table(rows)
        made["kinds"] = report.kinds_table(rows[-1])
        made["varieties"] = report.varieties_table(found["varieties"])
        made["forms"] = report.forms_table(found["forms"])
        made["stages"] = report.micros_table("stage of consume", found["stages"])
        made["calls"] = report.calls_table(found["calls"])
        floors = found["floors"]
        made["floors"] = report.micros_table("work", {**floors, "together": sum(floors.values())})
    if rows := found.get("memory"):
        made["memory"] = report.memory_table(rows)
    if rows := found.get("cold"):
        made["cold"] = report.cold_table(rows)
    if rows := found.get("curve"):
        made["curve"] = report.curve_table(rows)
        made["chart"] = f"```\n{report.chart(rows)}\n```"
        made["parts"] = report.parts_table(rows)
        made["levers"] = report.levers_table(found["levers"])
        made["idle"] = report.idle_table(found["idle"])
        made["prices"] = report.prices_table()
    if rows := found.get("answers"):
        made["answers"] = report.answers_table(rows)
    if rows := found.get("dialects_received"):
        made["dialects-received"] = report.dialects_received_table(rows)
        made["dialects-answered"] = report.dialects_answered_table(found["dialects_answered"])
    return made


def figures(found: dict[str, Any]) -> str:
    """Return the figures in README."""
    last, curve = found["processing"][-1], found["curve"]
    costs = ", ".join(f"${row['dollars']:.2f} at {row['traces_per_second']:g}" for row in curve)
    return (
        f"At 512 spans a request: {last['total_micros']:.0f} µs of CPU, "
        f"{last['stored_bytes_total']:.0f} stored bytes and {last['write_units_total']:.2f} write units a span.\n"
        f"A million spans cost {costs} traces a second (X-Ray: ${curve[0]['xray_dollars']:.2f}); "
        f"nothing sent, ${total_dollars(found['idle']):.2f} a month. [docs/cost.md](docs/cost.md) says how."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    reference = reference_loop_seconds()
    found = measure(arguments.parts or list(PARTS), quick=arguments.quick)
    result = result_of(found, reference)
    print(
        f"Reference loop: {reference * 1e3:.0f} ms before, {result['reference_loop_seconds'][1] * 1e3:.0f} ms after."
    )
    made = pages(found)
    for name, content in made.items():
        print(f"\n{name}\n{content}")
    if not arguments.parts and not arguments.quick:
        write(result)
        for name, content in made.items():
            replace_between(PROJECT / "docs" / "cost.md", name, content)
        replace_between(PROJECT / "README.md", "figures", figures(found))
        sampling.write(found["curve"])


if __name__ == "__main__":
    main()
