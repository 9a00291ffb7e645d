"""Computes dollars a million spans from simulated traffic, and the bill of an idle Clew.

The assumptions beside the prices stand here: AWS's response times, the size of logs, the polling of SQS.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from capacity.load import SPANS_PER_TRACE
from capacity.prices import SECONDS_PER_MONTH, Quantities, stored, total_dollars, xray_dollars
from capacity.units import READ_UNIT_BYTES, duration_seconds, gigabyte_seconds, sqs_requests
from chalicelib import config
from chalicelib.store.half_edge_cache import BYTES_MAX
from chalicelib.store.layout import Level

if TYPE_CHECKING:
    from capacity.traffic import Phase, Simulated

WAITING_SECONDS = {
    "SendMessageBatch": 0.010,
    "BatchWriteItem": 0.010,
    "TransactWriteItems": 0.020,
    "BatchGetItem": 0.006,
    "Query": 0.006,
}
"""Assumed response time of each call of AWS. Calls are made one after the other."""
POLLERS = 5
POLL_SECONDS = 20
"""Lambda's pollers of a quiet queue, and the wait of an empty receive, as AWS describes them."""
RECEIVE_MESSAGES_MAX = 10
PLATFORM_LOG_BYTES = 400
"""Bytes of START, END and REPORT of an invocation."""
METRICS_LOG_BYTES = 900
"""Bytes of a record of the embedded metrics format, with its envelope."""
METRICS = 5
"""The number of custom metrics that a Clew with traffic writes: the figures that are rarely 0."""
_PER_MINUTE = frozenset({"minute targets", "catalogues", "fold-states"})
"""Kinds of items that a fold writes once a minute, whatever the traffic."""
_CONFIG = Path(__file__).parents[1] / ".chalice" / "config.json"
_RETENTION_DAYS = {
    "chunks": config.RETENTION_SECONDS / 86_400,
    "blocks": config.RETENTION_SECONDS / 86_400,
    "markers": config.MARKER_RETENTION_SECONDS / 86_400,
    "minute targets": Level.MINUTE.retention_seconds / 86_400,
    "hour targets": Level.HOUR.retention_seconds / 86_400,
    "halves": 2 * config.PENDING_WINDOW_SECONDS / 86_400,
    "filters": 2 * config.PENDING_WINDOW_SECONDS / 86_400,
}


def memory_megabytes(function: str) -> int:
    """Return the memory of a Lambda function, as `chalice deploy` sets it."""
    functions = json.loads(_CONFIG.read_text())["stages"]["prod"]["lambda_functions"]
    return int(functions[function]["lambda_memory_size"])


_REMEMBERED_BYTES_PER_BYTE = 2
"""Cached bytes for each stored byte of half-edges: sets of trace ids take as much again."""


class Machine(NamedTuple):
    """CPU times of this machine for work that the simulation leaves out."""

    request_cpu_seconds: float
    """A request without `receive_traces`: Chalice, and sending with botocore."""
    invocation_cpu_seconds: float
    """An invocation of the consumer or the schedule without its stage's work: event, logs, metrics."""
    call_cpu_seconds: dict[str, float]
    """botocore's CPU time, by the name of the call."""
    halves_cpu_seconds_per_byte: float
    """Reading waiting half-edges, for each stored byte."""


class Cost(NamedTuple):
    traces_per_second: float
    used: Quantities
    """Quantities for a million spans."""
    dollars: float
    xray_dollars: float
    write_units: dict[str, float]
    """Write units a span, by kind of item."""
    read_units: dict[str, float]
    """Read units a span, by kind of item."""
    fold_seconds: float
    """Seconds that the schedule's function runs each minute."""
    chunks_per_trace: float
    gigabyte_seconds: dict[str, float]
    """Gigabyte-seconds of Lambda for a million spans, by function."""


def cost_of(simulated: Simulated, machine: Machine) -> Cost:
    """Return the cost of a million spans of this traffic, once it has lasted for hours."""
    minutes = simulated.knobs.seconds / 60
    fold, halves_scans = _with_waiting_halves(simulated)
    units = Counter[str](simulated.consume.write_units)
    units.update(_by_minute(simulated.fold.write_units, minutes))
    units.update(simulated.check.write_units)
    roll_up_units = {
        # A roll-up empties the targets of sixty minutes; the simulated time has fewer.
        kind: count * (max(1.0, 60 / minutes) if kind == "minute targets" else 1) * minutes / 60
        for kind, count in simulated.roll_up.write_units.items()
    }
    units.update(roll_up_units)
    read = Counter[str](fold)
    read.update({k: v * minutes / 60 for k, v in simulated.roll_up.read_units.items()})
    seconds, lambda_use = _lambda(simulated, machine, halves_scans)
    used: Quantities = {
        "api_requests": simulated.requests,
        "lambda_requests": simulated.requests + simulated.consume.invocations + minutes,
        "lambda_gigabyte_seconds": sum(lambda_use.values()),
        "sqs_requests": _sqs(simulated),
        "write_units": sum(units.values()),
        "read_units": sum(read.values()),
        "log_gigabytes": _log_bytes(simulated, minutes) / 1e9,
        "metric_months": METRICS * simulated.knobs.seconds / SECONDS_PER_MONTH,
        **_storage(simulated),
    }
    scale = 1e6 / simulated.spans
    million = {name: quantity * scale for name, quantity in used.items()}
    return Cost(
        traces_per_second=simulated.knobs.traces_per_second,
        used=million,
        dollars=total_dollars(million),
        xray_dollars=xray_dollars(1e6, SPANS_PER_TRACE),
        write_units={kind: count / simulated.spans for kind, count in units.items()},
        read_units={kind: count / simulated.spans for kind, count in read.items()},
        fold_seconds=seconds,
        chunks_per_trace=_chunks(simulated) / (simulated.spans / SPANS_PER_TRACE),
        gigabyte_seconds={function: use * scale for function, use in lambda_use.items()},
    )


def _chunks(simulated: Simulated) -> float:
    """Return the number of chunks: each chunk of this load takes one write unit."""
    return simulated.consume.write_units["chunks"]


def _by_minute(units: Counter[str], minutes: float) -> dict[str, int]:
    """Scale down what is written once a minute, if less than a minute was simulated."""
    part = min(1.0, minutes)
    return {
        kind: count * part if kind in _PER_MINUTE else count  # type: ignore[misc]
        for kind, count in units.items()
    }


def _with_waiting_halves(simulated: Simulated) -> tuple[dict[str, float], float]:
    """Return (read units of fold and checks by kind, bytes of waiting half-edges that they read) in the simulated time.

    A warm function reads each half-edge once, and a cold one all that wait: about once while a half-edge waits.
    Half-edges that do not fit its cache are read with every fold, and with the check of what that fold then adds.
    """
    minutes = simulated.knobs.seconds / 60
    waiting_minutes = 2 * config.PENDING_WINDOW_SECONDS / 60
    put_bytes = simulated.fold.put_bytes["halves"]
    waiting_bytes = put_bytes / minutes * waiting_minutes
    remembered = min(1.0, BYTES_MAX / (_REMEMBERED_BYTES_PER_BYTE * waiting_bytes or 1))
    scans = 2 * simulated.fold.calls["TransactWriteItems"] * min(1.0, minutes)
    looked_through = remembered * 2 * put_bytes + (1 - remembered) * scans * waiting_bytes
    read: dict[str, float] = dict(simulated.fold.read_units)
    for kind, count in simulated.check.read_units.items():
        read[kind] = read.get(kind, 0) + count
    read["halves"] = looked_through / READ_UNIT_BYTES
    return read, looked_through


def _lambda(
    simulated: Simulated, machine: Machine, halves_bytes: float
) -> tuple[float, dict[str, float]]:
    """Return (seconds of the schedule's function a minute, gigabyte-seconds by function in the simulated time)."""
    minutes = simulated.knobs.seconds / 60
    receive_cpu = machine.request_cpu_seconds + simulated.receive_cpu_seconds / simulated.requests
    receive = duration_seconds(
        receive_cpu, WAITING_SECONDS["SendMessageBatch"], memory_megabytes("api_handler")
    )
    invocations = simulated.consume.invocations
    consume = _phase_seconds(simulated.consume, machine, "consume") / invocations
    hourly = _phase_seconds(simulated.roll_up, machine, "summarise") * minutes / 60
    scanning = duration_seconds(
        halves_bytes * machine.halves_cpu_seconds_per_byte, 0, memory_megabytes("summarise")
    )
    folding = sum(
        _phase_seconds(phase, machine, "summarise") for phase in (simulated.fold, simulated.check)
    )
    summarise = (folding + hourly + scanning) / minutes
    return summarise, {
        "receive": simulated.requests * gigabyte_seconds(receive, memory_megabytes("api_handler")),
        "consume": invocations * gigabyte_seconds(consume, memory_megabytes("consume")),
        "summarise": minutes * gigabyte_seconds(summarise, memory_megabytes("summarise")),
    }


def _phase_seconds(phase: Phase, machine: Machine, function: str) -> float:
    """Return the seconds of all invocations of a phase together."""
    botocore = sum(machine.call_cpu_seconds[name] * count for name, count in phase.calls.items())
    waiting = sum(WAITING_SECONDS[name] * count for name, count in phase.calls.items())
    cpu = phase.cpu_seconds + botocore + machine.invocation_cpu_seconds * phase.invocations
    return duration_seconds(cpu, waiting, memory_megabytes(function))


def _sqs(simulated: Simulated) -> float:
    sends = sum(map(sqs_requests, simulated.send_payload_bytes))
    receives = deletes = 0
    for message_bytes in simulated.batch_message_bytes:
        for start in range(0, len(message_bytes), RECEIVE_MESSAGES_MAX):
            # Events hold base64: SQS transferred three quarters of their bytes.
            fetched = sum(message_bytes[start : start + RECEIVE_MESSAGES_MAX]) * 3 // 4
            receives += sqs_requests(fetched)
            deletes += 1
    return sends + receives + deletes + empty_receives(simulated.knobs.seconds)


def empty_receives(seconds: float) -> float:
    """Return the number of receives that find nothing. With traffic there are fewer, so it is an upper bound."""
    return POLLERS * seconds / POLL_SECONDS


def _log_bytes(simulated: Simulated, minutes: float) -> float:
    consumed = simulated.consume.invocations
    invocations = simulated.requests + consumed + minutes
    return invocations * PLATFORM_LOG_BYTES + (consumed + minutes) * METRICS_LOG_BYTES


def _storage(simulated: Simulated) -> Quantities:
    used = Counter[str]()
    minutes = simulated.knobs.seconds / 60
    for kind, days in _RETENTION_DAYS.items():
        # One target of an hour stands for the simulated part of the hour.
        part = minutes / 60 if kind == "hour targets" else 1.0
        used.update(stored(simulated.stored_bytes.get(kind, 0) * part, days))
    return dict(used)


def idle_bill(machine: Machine) -> Quantities:
    """Return the quantities of a month without any traffic."""
    invocations = SECONDS_PER_MONTH / 60
    seconds = duration_seconds(
        machine.invocation_cpu_seconds + machine.call_cpu_seconds["Query"],
        WAITING_SECONDS["Query"],
        memory_megabytes("summarise"),
    )
    return {
        "api_requests": 0,
        "lambda_requests": invocations,
        "lambda_gigabyte_seconds": invocations
        * gigabyte_seconds(seconds, memory_megabytes("summarise")),
        "sqs_requests": empty_receives(SECONDS_PER_MONTH),
        "write_units": 0,
        # One strongly consistent query of the fold-state a minute.
        "read_units": invocations * config.SHARDS_READ,
        "log_gigabytes": invocations * PLATFORM_LOG_BYTES / 1e9,
        "metric_months": 0,
        **stored(0, 0),
    }
