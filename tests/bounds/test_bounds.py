"""What one body may cost, whatever is in it: CPU and memory of a fresh process, through the function of its route."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.bounds.json_bodies import JSON_BODIES
from tests.bounds.wire_bodies import WIRE_BODIES

if TYPE_CHECKING:
    from pathlib import Path

CPU_SECONDS_MAX = 1.5 * 2
"""Twice what a body may take where nothing else runs: tests run side by side."""
MEMORY_BYTES_MAX = 256 * 2**20
UNCOMPRESSED_BYTES = 15_990_000
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
)
"""What is tried without `BOUNDS=all`: of each kind the most expensive."""


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


def _cases() -> list[tuple[str, str]]:
    dialects = JSON_BODIES | {name: WIRE_BODIES[name] for name in ("jaeger-binary",)}
    return [
        (dialect, name)
        for dialect, bodies in dialects.items()
        for name in bodies
        if os.environ.get("BOUNDS") == "all" or name in _FEW or dialect not in JSON_BODIES
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("dialect", "name"), _cases())
def test_a_body_costs_no_more_than_its_share(dialect, name, tmp_path):
    """No body takes more than 256 MB or its share of CPU, good ones included, and none ends in a 5xx."""
    bodies = JSON_BODIES.get(dialect) or WIRE_BODIES[dialect]
    is_as_sent = dialect in _AS_SENT
    made = bodies[name](SENT_BYTES_MAX if is_as_sent else UNCOMPRESSED_BYTES)
    body = made if is_as_sent else gzip.compress(made)
    assert len(body) <= SENT_BYTES_MAX + 10_000, "more than can be sent"
    cost = cost_of(dialect, body, tmp_path)
    assert cost.status < 500, cost
    assert cost.cpu_seconds <= CPU_SECONDS_MAX, cost
    assert cost.high_water_bytes <= MEMORY_BYTES_MAX, cost


@pytest.mark.slow
@pytest.mark.parametrize("body", [gzip.compress(b"") * 220_000, gzip.compress(b"a" * 20) * 110_000])
def test_many_gzip_members(body, tmp_path):
    """Any number of gzip members costs no more than their bytes: it is counted, and refused."""
    cost = cost_of("otlp-protobuf", body, tmp_path)
    assert cost.status == 413, cost
    assert cost.cpu_seconds <= 0.5, cost
