"""Sampling strategies: which share of its traces a service is to send, in the form of Jaeger's strategies file.

    strategies document ──strategy_for(service)──▶ what a client's remote sampler asks for

Source: jaegertracing.io, Sampling, "File-based Sampling Configuration"; jaeger-idl, proto/api_v2/sampling.proto.
"""

from __future__ import annotations

from typing import Any

import orjson

from chalicelib.errors import InvalidPayload

Json = dict[str, Any]

EVERYTHING: Json = {
    "default_strategy": {"type": "probabilistic", "param": 1},
    "service_strategies": [],
}
"""What holds until somebody says otherwise: every trace."""
_BODY_BYTES_MAX = 1_000_000
"""Three times what is stored, for indentation; an object of Python's is many times larger than its text."""
_STRATEGIES_MAX = 2_000
_NAME_CHARACTERS_MAX = 1_024
_RATE_MAX = 2**31 - 1
_DOCUMENT_FIELDS = {"default_strategy", "service_strategies"}
_STRATEGY_FIELDS = {"type", "param"}


def document_from(body: bytes) -> object:
    """The document that a body is, for `checked`. Raises InvalidPayload."""
    if len(body) > _BODY_BYTES_MAX:
        raise InvalidPayload(
            f"the body has {len(body)} bytes, the limit is {_BODY_BYTES_MAX}: send fewer strategies"
        )
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(
            f"the body is not JSON, or nested too deeply: line {error.lineno}, column {error.colno}"
        ) from None
    return document


def checked(document: object) -> Json:
    """The document with every member there. Raises InvalidPayload that names what is wrong, and where."""
    found = _object(document, "the document", _DOCUMENT_FIELDS)
    default = found.get("default_strategy", EVERYTHING["default_strategy"])
    services = _list(found.get("service_strategies"), "service_strategies")
    return {
        "default_strategy": _with_operations(default, "default_strategy", set()),
        "service_strategies": [
            {
                "service": _name(each, "service", f"service_strategies[{at}]"),
                **_with_operations(each, f"service_strategies[{at}]", {"service"}),
            }
            for at, each in enumerate(services)
        ],
    }


def _with_operations(strategy: object, where: str, more: set[str]) -> Json:
    fields = _STRATEGY_FIELDS | {"operation_strategies"} | more
    found = _object(strategy, where, fields)
    operations = _list(found.get("operation_strategies"), f"{where}.operation_strategies")
    return {
        **_strategy(found, where),
        "operation_strategies": [
            _operation(each, f"{where}.operation_strategies[{at}]")
            for at, each in enumerate(operations)
        ],
    }


def _operation(strategy: object, where: str) -> Json:
    found = _object(strategy, where, _STRATEGY_FIELDS | {"operation"})
    checked_strategy = _strategy(found, where)
    if checked_strategy["type"] != "probabilistic":
        raise InvalidPayload(
            f"{where}.type must be probabilistic: Jaeger has no other for operations"
        )
    return {"operation": _name(found, "operation", where), **checked_strategy}


def _strategy(found: Json, where: str) -> Json:
    kind, param = found.get("type", "probabilistic"), found.get("param", 1)
    if kind not in ("probabilistic", "ratelimiting", "const"):
        raise InvalidPayload(f"{where}.type must be probabilistic, ratelimiting or const")
    if isinstance(param, bool) or not isinstance(param, int | float) or param != param:
        raise InvalidPayload(f"{where}.param must be a number")
    most = _RATE_MAX if kind == "ratelimiting" else 1
    if not 0 <= param <= most:
        raise InvalidPayload(f"{where}.param must be from 0 to {most}, not {param}")
    return {"type": kind, "param": param}


def _name(found: object, field: str, where: str) -> str:
    name = found.get(field) if isinstance(found, dict) else None
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_CHARACTERS_MAX:
        raise InvalidPayload(f"{where}.{field} must have 1 to {_NAME_CHARACTERS_MAX} characters")
    return name


def _object(value: object, where: str, fields: set[str]) -> Json:
    if not isinstance(value, dict):
        raise InvalidPayload(f"{where} must be an object")
    if unknown := sorted(set(value) - fields):
        raise InvalidPayload(f"{where} has no member {unknown[0]!r:.100}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _STRATEGIES_MAX:
        raise InvalidPayload(f"{where} must be an array of at most {_STRATEGIES_MAX}")
    return value


def strategy_for(document: Json, service: str) -> Json:
    """The answer to a remote sampler, in Jaeger's JSON. `document` is one that `checked` returned.

    A service's own operations stand before the default's; a service without a strategy has the default.
    """
    default = document["default_strategy"]
    own = next(
        (each for each in document["service_strategies"] if each["service"] == service), default
    )
    operations = {
        each["operation"]: each["param"]
        for each in (*default["operation_strategies"], *own["operation_strategies"])
    }
    if operations and own["type"] != "ratelimiting":
        return {
            "strategyType": "PROBABILISTIC",
            "operationSampling": {
                "defaultSamplingProbability": own["param"],
                "defaultLowerBoundTracesPerSecond": 0,
                "perOperationStrategies": [
                    {"operation": name, "probabilisticSampling": {"samplingRate": param}}
                    for name, param in operations.items()
                ],
            },
        }
    if own["type"] == "ratelimiting":
        limit = {"maxTracesPerSecond": int(own["param"])}
        return {"strategyType": "RATE_LIMITING", "rateLimitingSampling": limit}
    # A client has no constant sampler that a server could choose: 0 and 1 are probabilities.
    return {
        "strategyType": "PROBABILISTIC",
        "probabilisticSampling": {"samplingRate": own["param"]},
    }
