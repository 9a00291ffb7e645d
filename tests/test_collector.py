"""The Collector's configurations in docs/collector.md hold together, and keep the limits and ports that Clew has."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib import config
from local.__main__ import AGENT_PORTS, COMPAT_PORTS, GRPC_PORT
from local.gateway import BODY_BYTES_MAX

PROJECT = Path(__file__).parents[1]
SECTIONS = ("receivers", "processors", "exporters")
GATEWAY_SECONDS = 29
"""API Gateway's longest wait for an integration."""
OVER = "# over collector.yaml\n"


def merged(under: Any, over: Any) -> Any:
    """As the Collector merges files: maps by key, anything else is replaced."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: merged(under.get(key), value) for key, value in over.items()}}
    return over


@cache
def configurations() -> list[dict[str, Any]]:
    page = (PROJECT / "docs" / "collector.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    first = yaml.safe_load(blocks[0])
    return [
        merged(first, yaml.safe_load(block)) if block.startswith(OVER) else yaml.safe_load(block)
        for block in blocks
    ]


def seconds(duration: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", duration).groups()  # type: ignore[union-attr]
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def exporters_to_clew() -> list[dict[str, Any]]:
    return [
        each["exporters"]["otlp_http/clew"]
        for each in configurations()
        if "otlp_http/clew" in each["exporters"]
    ]


def endpoints_of(value: Any) -> list[str]:
    if not isinstance(value, dict):
        return []
    own = [value["endpoint"]] if "endpoint" in value else []
    return own + [found for each in value.values() for found in endpoints_of(each)]


@pytest.mark.parametrize("number", range(5))
def test_every_name_in_a_pipeline_is_configured(number):
    """Every name in a pipeline is configured, and whatever is configured is in a pipeline."""
    configuration = configurations()[number]
    pipelines = configuration["service"]["pipelines"]
    assert set(pipelines) == {"traces"}
    for section in SECTIONS:
        used = {name for pipeline in pipelines.values() for name in pipeline.get(section, [])}
        assert used == set(configuration.get(section, {}))
    extensions = configuration["service"].get("extensions", [])
    assert set(extensions) == set(configuration.get("extensions", {}))
    storage = [
        each.get("sending_queue", {}).get("storage") for each in configuration["exporters"].values()
    ]
    assert {each for each in storage if each} <= set(extensions)


def test_every_block():
    """The test above sees all of them."""
    assert len(configurations()) == 5


def test_receivers_listen_where_clients_send():
    """They listen where the clients of Clew's laptop stack send, and on this machine alone."""
    clients = {GRPC_PORT, *COMPAT_PORTS, *AGENT_PORTS}
    for configuration in configurations():
        for endpoint in endpoints_of(configuration["receivers"]):
            host, _, port = endpoint.rpartition(":")
            assert host in ("127.0.0.1", "localhost")
            assert int(port) in clients


@pytest.mark.parametrize("number", range(4))
def test_the_exporter_is_set_as_clew_needs_it(number):
    """It shows a token, compresses as Clew understands, and waits as long as API Gateway may take to answer."""
    exporter = exporters_to_clew()[number]
    assert exporter["endpoint"] == "${env:CLEW_URL}"
    assert exporter["headers"] == {"authorization": "Bearer ${env:CLEW_TOKEN}"}
    assert exporter["compression"] == "gzip"
    functions = json.loads((PROJECT / ".chalice" / "config.json").read_text())["stages"]["dev"]
    handler = functions["lambda_functions"]["api_handler"]["lambda_timeout"]
    assert handler < GATEWAY_SECONDS < seconds(exporter["timeout"])


@pytest.mark.parametrize("number", range(4))
def test_batches_pass_the_limits_of_clew(number):
    """A batch passes Clew's limits even if nothing compresses; a queue holds many of them."""
    queue = exporters_to_clew()[number]["sending_queue"]
    if not queue["enabled"]:
        (configuration,) = [
            each for each in configurations() if "batch" in each.get("processors", {})
        ]
        processor = configuration["processors"]["batch"]
        spans = processor["send_batch_max_size"]
        # The Collector refuses to start otherwise.
        assert processor["send_batch_size"] <= spans
        # A span of a kilobyte is a large one.
        assert spans <= config.SPANS_PER_REQUEST_MAX
        assert spans * 1_000 <= config.BODY_BYTES_MAX
        return
    batch = queue["batch"]
    assert queue["sizer"] == batch["sizer"] == "bytes"
    assert batch["max_size"] <= config.BODY_BYTES_MAX < BODY_BYTES_MAX
    assert batch["max_size"] <= config.UNCOMPRESSED_BYTES_MAX
    assert batch["min_size"] == config.MESSAGE_PAYLOAD_BYTES_MAX < batch["max_size"]
    assert queue["queue_size"] >= 10 * batch["max_size"]


def test_retries_wait_as_long_as_clew_asks():
    """It first waits as long as Clew asks for, and goes on for long enough to outlast a failure."""
    retry = exporters_to_clew()[0]["retry_on_failure"]
    assert seconds(retry["initial_interval"]) == config.RETRY_AFTER_SECONDS
    assert seconds(retry["max_elapsed_time"]) >= 3_600
