"""The OpenAPI 3.1 document at /openapi.json: made of the dialects' routes, and of what each dialect says of them.

A dialect's `openapi` module has `operation(route)`, and `SCHEMAS` by name; what these share is here.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chalicelib import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from chalicelib.http.route import Dialect, Route

Json = dict[str, Any]

NANO: Json = {"type": "string", "pattern": "^[0-9]+$", "description": "Nanoseconds, in decimal."}
COUNT: Json = {"type": "integer", "minimum": 0}
TEXT: Json = {"type": "string"}
COUNTS: Json = {
    "type": "object",
    "additionalProperties": COUNT,
    "description": "A count for each service.",
}
BASE64: Json = {"type": "string", "contentEncoding": "base64"}
WARNINGS: Json = {
    "type": "array",
    "items": TEXT,
    "description": "What the answer leaves out, and why.",
}
KIND: Json = {"enum": ["unspecified", "internal", "server", "client", "producer", "consumer"]}


def object_of(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


def array_of(items: Json) -> Json:
    return {"type": "array", "items": items}


def or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]}


def schema_named(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def query_parameter(name: str, description: str, schema: Json | None = None, **more: Any) -> Json:
    return {
        "name": name,
        "in": "query",
        "description": description,
        "schema": schema or TEXT,
        **more,
    }


def path_parameter(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": TEXT,
    }


def json_response(description: str, schema: str, **by_media_type: str) -> Json:
    schemas = {"application/json": schema, **by_media_type}
    content = {media_type: {"schema": schema_named(name)} for media_type, name in schemas.items()}
    return {"description": description, "content": content}


_WAYS_TO_SHOW_A_TOKEN: Json = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "password": {"type": "http", "scheme": "basic", "description": "The token as the password."},
}
FOR_EVERYONE: Json = {"security": []}


def parameters_in(route: Route) -> list[Json]:
    """The parameters in a route's path."""
    return [path_parameter(each, "Percent-encoded.") for each in re.findall(r"{(\w+)}", route.path)]


def text_ingest(description: str, media_types: Sequence[str]) -> Json:
    """The operation of a route that takes spans, and answers in plain text."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    answers = {
        "202": "Accepted.",
        "400": "Never send this again; plain text says why.",
        "401": "A token is needed, or is not known.",
        "403": "The token has not the scope `ingest`.",
        "413": "Too large; send smaller batches.",
        "503": "Send it again, after Retry-After.",
    }
    return {
        "description": description,
        "requestBody": {"required": True, "content": dict.fromkeys(media_types, binary)},
        "responses": described(answers),
    }


def as_answered_by(name: str, route: Route) -> Json:
    """The operation of another tracer's query: its own documentation describes what it takes and answers."""
    answers = {
        "200": f"As {name} answers.",
        "400": f"A parameter is wrong; in {name}'s own form.",
        "401": "A token is needed, or this one is not known.",
        "403": "The token has not the scope `read`.",
        "404": f"There is no such trace; in {name}'s own form.",
        "413": "The answer is too large, or too much work: ask for less.",
        "500": "A fault of Clew's: its log says more.",
        "503": "The store is busy, or the time was over: ask again, after Retry-After.",
    }
    return {"parameters": parameters_in(route), "responses": described(answers)}


def described(answers: Mapping[str, str]) -> Json:
    """Responses of which there is a description alone, by status."""
    return {status: {"description": text} for status, text in answers.items()}


def document(dialects: Iterable[Dialect]) -> Json:
    """The OpenAPI document."""
    paths: dict[str, Json] = {}
    schemas: Json = {}
    for dialect in dialects:
        described_by = import_module(f"chalicelib.{dialect.openapi}")
        schemas |= getattr(described_by, "SCHEMAS", {})
        for route in dialect.routes:
            if route.summary:
                operation = {"summary": route.summary, **described_by.operation(route)}
                if route.scope is None:
                    operation |= FOR_EVERYONE
                paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clew",
            "version": __version__,
            "description": "Distributed tracing without a server. Errors: {error: {code, message, parameter}}.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": paths,
        # One of them, or none: a laptop's own Clew wants none.
        "security": [{way: []} for way in _WAYS_TO_SHOW_A_TOKEN] + [{}],
        "components": {"schemas": schemas, "securitySchemes": _WAYS_TO_SHOW_A_TOKEN},
    }
