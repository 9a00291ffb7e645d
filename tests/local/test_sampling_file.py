"""SAMPLING_FILE: what a file says is what clients are told; whoever spoke last is heard."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import InvalidPayload, StoreThrottled
from chalicelib.model.sampling import EVERYTHING, checked
from chalicelib.store.sampling import Strategies
from local.sampling_file import FILE_BYTES_MAX, SamplingFile, SamplingFileError
from local.stack import LaptopStack
from tests.e2e.shop import http
from tests.memory_store import MemoryStore

HALF = {"default_strategy": {"type": "probabilistic", "param": 0.5}}
# From Jaeger's documentation, with values of our own.
JAEGERS = {
    "service_strategies": [
        {
            "service": "shop",
            "type": "probabilistic",
            "param": 0.8,
            "operation_strategies": [
                {"operation": "GET /", "type": "probabilistic", "param": 0.2},
                {"operation": "GET /health", "type": "probabilistic", "param": 0},
            ],
        },
        {"service": "cart", "type": "ratelimiting", "param": 5},
    ],
    "default_strategy": {
        "type": "probabilistic",
        "param": 0.5,
        "operation_strategies": [{"operation": "/metrics", "type": "probabilistic", "param": 0}],
    },
}


class Looks:
    """A wait that does one thing each time, and ends after the last."""

    def __init__(self, *doings: Any) -> None:
        self._doings = list(doings)

    def __call__(self, _: float) -> bool:
        if not self._doings:
            return True
        self._doings.pop(0)()
        return False


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "sampling.json"
    found.write_text(json.dumps(HALF))
    return found


def test_read_at_the_start(path):
    """What the file says is stored, checked, before anybody can ask."""
    strategies = Strategies(MemoryStore())
    SamplingFile(path, strategies.replace, wait=Looks()).start()
    assert strategies.document() == checked(HALF)


def test_read_again_when_it_changes(path):
    """A change is stored at the next look; what has not changed is not stored again, so that a PUT in between holds."""
    strategies = Strategies(MemoryStore())
    seen = []

    def put_by_hand():
        strategies.replace(EVERYTHING)

    def see():
        seen.append(strategies.document()["default_strategy"]["param"])

    def change():
        see()
        path.write_text(json.dumps({"default_strategy": {"param": 0.25}}))

    looks = Looks(see, put_by_hand, change, see)
    file = SamplingFile(path, strategies.replace, wait=looks)
    file.look()
    file.run()
    assert seen == [0.5, 1, 0.25]


def test_a_change_that_is_wrong(path, caplog):
    """It is said once, what was known holds, and the mended file is stored."""
    strategies = Strategies(MemoryStore())
    held = []

    def hold():
        held.append(strategies.document()["default_strategy"]["param"])

    def mend():
        hold()
        path.write_text(json.dumps({"default_strategy": {"param": 0.25}}))

    looks = Looks(lambda: path.write_text('{"default_'), hold, path.unlink, hold, mend, hold)
    file = SamplingFile(path, strategies.replace, wait=looks)
    file.look()
    with caplog.at_level(logging.WARNING):
        file.run()
    assert held == [0.5, 0.5, 0.5, 0.25]
    said = [record.getMessage() for record in caplog.records]
    assert ["is not JSON" in said[0], "cannot be read" in said[1], len(said)] == [True, True, 2]
    assert all(str(path) in line for line in said)


def test_a_store_that_is_away(path):
    """What could not be stored is stored at a later look."""
    strategies = Strategies(MemoryStore())
    is_away = threading.Event()

    def put(document: object) -> object:
        if is_away.is_set():
            raise StoreThrottled("busy")
        return strategies.replace(document)

    file = SamplingFile(path, put, wait=Looks(lambda: None, is_away.clear))
    is_away.set()
    file.run()
    assert strategies.document() == checked(HALF)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"[]", "the document must be an object"),
        (b"\xff", "is not JSON"),
        (b" " * (FILE_BYTES_MAX + 1), "may have"),
        (b'{"service_strategies":[{"param":1}]}', r"service_strategies\[0\]\.service"),
        (b'{"default_strategy":{"type":"adaptive"}}', "default_strategy.type must be"),
        (b'{"default_strategy":{"param":"1"}}', "default_strategy.param must be a number"),
        (b'{"defaultStrategy":{"param":1}}', "no member 'defaultStrategy'"),
    ],
)
def test_a_wrong_file(path, content, reason):
    """It is refused with its name and the member that is wrong, and changes nothing."""
    path.write_bytes(content)
    strategies = Strategies(MemoryStore())
    with pytest.raises(SamplingFileError, match=reason) as refused:
        SamplingFile(path, strategies.replace).start()
    assert str(path) in str(refused.value)
    assert strategies.document() == checked(EVERYTHING)


def test_a_folder(tmp_path):
    """What is no file is said so."""
    with pytest.raises(SamplingFileError, match="cannot be read: Is a directory"):
        SamplingFile(tmp_path, lambda _: None).look()


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.floats(allow_nan=False)
        | st.integers()
        | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        *("default_strategy", "service_strategies", "operation_strategies"),
                        *("service", "operation", "type", "param"),
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_document_is_taken_or_refused(document):
    """Whatever JSON a file holds: what is taken stays as it is when checked again; all else names what is wrong."""
    try:
        taken = checked(document)
    except InvalidPayload as error:
        message = str(error)
    else:
        assert checked(orjson.loads(orjson.dumps(taken))) == taken
        message = "taken"
    assert message


def test_clients_are_told(path):
    """On a running stack the file is what remote samplers get, until somebody puts another document."""
    path.write_text(json.dumps(JAEGERS))
    with LaptopStack(sampling_file=path, run_schedules=False) as stack:
        assert told(stack.url, "cart") == {
            "strategyType": "RATE_LIMITING",
            "rateLimitingSampling": {"maxTracesPerSecond": 5},
        }
        operations = told(stack.url, "shop")["operationSampling"]["perOperationStrategies"]
        rates = {
            each["operation"]: each["probabilisticSampling"]["samplingRate"] for each in operations
        }
        assert rates == {"GET /": 0.2, "GET /health": 0, "/metrics": 0}
        headers = {"X-Clew-Request": "1"}
        put = http(f"{stack.url}/v1/sampling", "PUT", orjson.dumps(HALF), headers)
        assert put.status == 200
        assert told(stack.url, "cart")["probabilisticSampling"] == {"samplingRate": 0.5}


def told(url: str, service: str) -> Any:
    return orjson.loads(http(f"{url}/sampling?{urlencode({'service': service})}").body)
