"""Programs for Jaeger or Zipkin, with nothing configured, send to Clew on the ports that they know."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from local.server import PortTaken, datagram_socket, listening_socket
from local.stack import LaptopStack
from tests.e2e.shop import get, http
from tests.test_docs import code_blocks

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
STORED_SECONDS_MAX = 30.0
PYTHON = PROJECT / ".venv-clients" / "bin" / "python"


@pytest.fixture
def stack(well_known_ports):
    if not PYTHON.exists():
        pytest.skip("make test installs .venv-clients")
    try:
        agent = datagram_socket("127.0.0.1", 6831)
        zipkin = listening_socket("127.0.0.1", 9411)
    except PortTaken as error:
        pytest.skip(str(error))
    with LaptopStack(
        sockets=[zipkin], datagram_sockets=[agent], batch_window_seconds=0.05, run_schedules=False
    ) as started:
        yield started


def test_remote_sampler(stack):
    """A client that asks for its sampler is told what somebody has put at /v1/sampling."""
    document = {"service_strategies": [{"service": "my-service", "param": 0.25}]}
    body = json.dumps(document).encode()
    assert http(f"{stack.url}/v1/sampling", "PUT", body, {"X-Clew-Request": "1"}).status == 200
    program = Path(__file__).with_name("sampler_program.py")
    port = stack.url.rpartition(":")[2]
    done = subprocess.run([PYTHON, program, port], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "0.25", done.stderr


def test_flask_with_nothing_configured(stack):
    """`jaeger_client` with a sampler and a name alone: the request's spans show, with tags, logs and parent."""
    program = Path(__file__).with_name("flask_program.py")
    (documented,) = code_blocks(PROJECT / "docs" / "jaeger.md", "python")
    assert documented in program.read_text()
    done = subprocess.run([PYTHON, program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (summary,) = until(
        lambda: get(stack.url, "/v1/traces", service="my-service", attribute="order.number=7")[
            "traces"
        ],
        lambda traces: [trace["root_span_name"] for trace in traces] == ["order"],
        stack,
    )
    (resource_spans,) = get(stack.url, f"/v1/traces/{summary['trace_id']}")["resourceSpans"]
    (scope_spans,) = resource_spans["scopeSpans"]
    spans = {span["name"]: span for span in scope_spans["spans"]}
    assert spans["look it up"]["parentSpanId"] == spans["order"]["spanId"]
    assert spans["order"]["kind"] == 2
    (event,) = spans["look it up"]["events"]
    assert event["name"] == "found"
    assert event["attributes"] == [{"key": "where", "value": {"stringValue": "the shelf"}}]


@pytest.mark.parametrize(
    ("environment", "program", "service", "names"),
    [
        (".venv-clients", "zipkin_program.py", "my-service", {"json", "proto3"}),
        (".venv-other-clients", "jaeger_exporter_program.py", "exporter-service", {"compact"}),
    ],
)
def test_exporter_with_nothing_configured(stack, environment, program, service, names):
    """What OpenTelemetry's exporters send to the ports of Zipkin and of Jaeger's agent is found."""
    python = PROJECT / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"make test installs {environment}")
    command = [python, "-W", "ignore", Path(__file__).with_name(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    until(
        lambda: get(stack.url, "/v1/traces", service=service)["traces"],
        lambda traces: {trace["root_span_name"] for trace in traces} == names,
        stack,
    )


def until(ask, is_it, stack):
    """What is found once it is what is waited for: a datagram may lie in its socket when all else is stored."""
    ends = time.monotonic() + STORED_SECONDS_MAX
    while True:
        stack.wait_until_stored()
        found = ask()
        if is_it(found):
            return found
        assert time.monotonic() < ends, found
