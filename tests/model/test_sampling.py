"""Sampling strategies: Jaeger's file in, what its clients ask for out."""

from __future__ import annotations

import pytest

from chalicelib.errors import InvalidPayload
from chalicelib.model.sampling import EVERYTHING, checked, strategy_for

DOCUMENT = checked(
    {
        "service_strategies": [
            {"service": "cart", "type": "ratelimiting", "param": 5},
            {
                "service": "shop",
                "type": "probabilistic",
                "param": 0.8,
                "operation_strategies": [
                    {"operation": "GET /", "type": "probabilistic", "param": 0.2},
                    {"operation": "/health", "param": 0.5},
                ],
            },
            {"service": "silent", "type": "const", "param": 0},
        ],
        "default_strategy": {
            "type": "probabilistic",
            "param": 0.5,
            "operation_strategies": [{"operation": "/health", "param": 0}],
        },
    }
)


def test_without_strategies_everything_is_sampled():
    """Where nobody has said anything, everything is sampled."""
    assert strategy_for(checked(EVERYTHING), "any") == {
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": {"samplingRate": 1},
    }


def test_rate_limiting():
    """A limit is a whole number of traces a second, and has no operations beside it."""
    assert strategy_for(DOCUMENT, "cart") == {
        "strategyType": "RATE_LIMITING",
        "rateLimitingSampling": {"maxTracesPerSecond": 5},
    }


def test_a_service_operation_stands_before_the_default():
    """A service's own operations stand before the default's, which hold for it too."""
    assert strategy_for(DOCUMENT, "shop") == {
        "strategyType": "PROBABILISTIC",
        "operationSampling": {
            "defaultSamplingProbability": 0.8,
            "defaultLowerBoundTracesPerSecond": 0,
            "perOperationStrategies": [
                {"operation": "/health", "probabilisticSampling": {"samplingRate": 0.5}},
                {"operation": "GET /", "probabilisticSampling": {"samplingRate": 0.2}},
            ],
        },
    }


@pytest.mark.parametrize("service", ["nobody", "silent"])
def test_operations_of_the_default(service):
    """They hold for services without a strategy, and for those with a constant one."""
    sampling = strategy_for(DOCUMENT, service)["operationSampling"]
    assert sampling["defaultSamplingProbability"] == (0 if service == "silent" else 0.5)
    (operation,) = sampling["perOperationStrategies"]
    assert operation["operation"] == "/health"


def test_checked_twice():
    """What is stored is a document too."""
    assert checked(DOCUMENT) == DOCUMENT


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the document"),
        ({"defaultStrategy": {}}, "defaultStrategy"),
        ({"default_strategy": {"param": 2}}, "default_strategy.param"),
        ({"default_strategy": {"param": float("nan")}}, "default_strategy.param"),
        ({"default_strategy": {"param": True}}, "default_strategy.param"),
        ({"default_strategy": {"type": "adaptive"}}, "default_strategy.type"),
        ({"service_strategies": {}}, "service_strategies"),
        ({"service_strategies": [{"param": 1}]}, r"service_strategies\[0\].service"),
        ({"service_strategies": [7]}, r"service_strategies\[0\]"),
        (
            {"default_strategy": {"operation_strategies": [{"operation": "a", "type": "const"}]}},
            r"default_strategy.operation_strategies\[0\].type",
        ),
        (
            {"default_strategy": {"operation_strategies": [{"param": 1}]}},
            r"operation_strategies\[0\].operation",
        ),
    ],
)
def test_what_is_wrong_is_named(document, where):
    """A document that would not do what its author thinks is refused, and the message says where."""
    with pytest.raises(InvalidPayload, match=where):
        checked(document)
