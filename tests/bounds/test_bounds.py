"""What one body may cost, whatever is in it: CPU and memory of a fresh process, through the function of its route."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.bounds.json_bodies import JSON_BODIES
from tests.bounds.wire_bodies import WIRE_BODIES

if TYPE_CHECKING:
    from pathlib import Path

CPU_SECONDS_MAX, JSON_CPU_SECONDS_MAX = 3.0 * 2, 1.5 * 2
"""Twice what a body may take where nothing else runs: tests run side by side."""
CONSUME_SECONDS_MAX = 15.0 * 2
"""Likewise, of what is left of an invocation's time when a group begins."""
CONSUME_MEMORY_BYTES_MAX = 1_024 * 2**20
"""The consumer has 1,769 MB."""
MEMORY_BYTES_MAX = 256 * 2**20
UNCOMPRESSED_BYTES, JSON_BYTES = 15_990_000, 9_990_000
SENT_BYTES_MAX = 4_490_000
_AS_SENT = ("transform", "sampling")
"""Routes that unpack nothing."""
_FEW = (
    "spans: array of empty objects",
    "scopeSpans: array of empty objects, as many as may be",
    "attributes: array of empty objects",
    "kvlistValue: array of single-member objects, as many as may be",
    "unknown member of a span: members of digits",
    "resource attributes: array of objects of an empty object, as many as may be",
    "body: arrays in each other",
    "good: spans alone",
    "good: numbers of their own",
    "good: many short tags",
    "tags: members of strings of commas, as many as may be",
    "annotations: array of single-member objects, as many as may be",
    "param: one number",
    "resources",
    "spans",
    "resources again and again",
    "spans, events of an empty attribute",
    "small spans, empty links",
    "attributes of nesting",
    "good: events of a time",
    "spans, empty annotations",
    "spans, annotations of a time",
    "good: short annotations",
    "good: short tags",
    "good: logs",
    "structs of structs",
    "fields of booleans",
    "a map of booleans",
    "tags: empty structs",
    "spans: empty lists",
    "small spans: events",
    "secrets: keys",
    "secrets: event names",
    "secrets: tags",
)
"""Of each kind the most expensive; `make bounds` tries all."""
TOO_LARGE = 413
BODIES = JSON_BODIES | WIRE_BODIES


class Cost(NamedTuple):
    cpu_seconds: float
    high_water_bytes: int
    status: int
    body: str


def cost_of(dialect: str, body: bytes, folder: Path) -> Cost:
    """Of a body as it comes over the wire, in a process of its own."""
    path = folder / "body"
    path.write_bytes(body)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bounds.probe", dialect, str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return Cost(**json.loads(done.stdout))


def sent(dialect: str, name: str) -> bytes:
    """The body as it comes over the wire."""
    if dialect in _AS_SENT:
        return BODIES[dialect][name](SENT_BYTES_MAX)
    made = BODIES[dialect][name](JSON_BYTES if dialect in JSON_BODIES else UNCOMPRESSED_BYTES)
    quick = gzip.compress(made, 1)
    return quick if len(quick) <= SENT_BYTES_MAX else gzip.compress(made)


def faults_of(dialect: str, name: str, cost: Cost) -> list[str]:
    """What is wrong with what a body has cost."""
    cpu_seconds_max = JSON_CPU_SECONDS_MAX if dialect in JSON_BODIES else CPU_SECONDS_MAX
    is_good = name.startswith("good") and cost.status != TOO_LARGE
    faults = {
        "its status": cost.status >= (300 if is_good else 500),
        "its CPU": cost.cpu_seconds > cpu_seconds_max,
        "its memory": cost.high_water_bytes > MEMORY_BYTES_MAX,
    }
    return [fault for fault, is_so in faults.items() if is_so]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dialect", "name"),
    [(dialect, name) for dialect, bodies in BODIES.items() for name in bodies if name in _FEW],
)
def test_a_body_costs_no_more_than_its_share(dialect, name, tmp_path):
    """No body takes more than 256 MB or its share of CPU; none ends in a 5xx, and one that is good in no 400."""
    body = sent(dialect, name)
    assert len(body) <= SENT_BYTES_MAX + 10_000, "more than can be sent"
    cost = cost_of(dialect, body, tmp_path)
    assert not faults_of(dialect, name, cost), cost


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["spans, events of an empty attribute", "good: events of a time", "good: attributes"]
)
def test_what_was_accepted_costs_the_consumer_no_more_than_its_share(name, tmp_path):
    """Whatever spans a request has brought into the queue, its messages are consumed in time and in memory."""
    cost = cost_of("consume", sent("otlp-protobuf", name), tmp_path)
    assert cost.status == 200, cost
    assert cost.cpu_seconds <= CONSUME_SECONDS_MAX, cost
    assert cost.high_water_bytes <= CONSUME_MEMORY_BYTES_MAX, cost


@pytest.mark.slow
@pytest.mark.parametrize("body", [gzip.compress(b"") * 220_000, gzip.compress(b"a" * 20) * 110_000])
def test_many_gzip_members(body, tmp_path):
    """Any number of gzip members costs no more than their bytes: it is counted, and refused."""
    cost = cost_of("otlp-protobuf", body, tmp_path)
    assert cost.status == 413, cost
    assert cost.cpu_seconds <= 0.5, cost
