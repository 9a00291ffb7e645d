"""API Gateway's events and what an application answers to them, for tests."""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

import orjson

from local.functions import context_of


class Got(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


def event(
    method: str,
    resource: str,
    path_parameters: dict[str, str] | None = None,
    query: list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes | str = b"",
) -> dict[str, Any]:
    """A REST API's proxy event, as API Gateway makes it for the binary media type */*."""
    values: dict[str, list[str]] = {}
    for name, value in query or []:
        values.setdefault(name, []).append(value)
    sent = {"Host": "example.com", "User-Agent": "Go-http-client/1.1", **(headers or {})}
    path = resource.format(**(path_parameters or {}))
    is_bytes = isinstance(body, bytes)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": sent,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "queryStringParameters": {name: each[-1] for name, each in values.items()} or None,
        "multiValueQueryStringParameters": values or None,
        "pathParameters": path_parameters,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "path": f"/clew{path}",
            "stage": "clew",
            "requestId": "r",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": (base64.b64encode(body).decode() if isinstance(body, bytes) else body) or None,
        "isBase64Encoded": bool(body) and is_bytes,
    }


def answer_of(application: Any, *arguments: Any, **more: Any) -> Got:
    """What an application answers to an event, whose parts are those of `event`."""
    response = application(event(*arguments, **more), context_of("api_handler"))
    body = response["body"]
    raw = base64.b64decode(body) if response.get("isBase64Encoded") else body.encode()
    headers = {name.lower(): value for name, value in response["headers"].items()}
    for name, several in response.get("multiValueHeaders", {}).items():
        headers[name.lower()] = several[-1]
    return Got(response["statusCode"], headers, raw)
