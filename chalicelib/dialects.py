"""The dialects that Clew speaks: a new one is a folder, a page in docs/, and an entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.jaeger.routes import JAEGER
from chalicelib.native.routes import NATIVE
from chalicelib.otlp.routes import OTLP
from chalicelib.zipkin.routes import ZIPKIN

if TYPE_CHECKING:
    from chalicelib.http.answer import Answer
    from chalicelib.http.request import Request

DIALECTS = (OTLP, JAEGER, ZIPKIN, NATIVE)


def get_openapi(request: Request) -> Answer:
    """GET /openapi.json: all dialects' routes, described."""
    from chalicelib.http.answering import json_of
    from chalicelib.http.openapi import document

    return json_of(request, lambda: document(DIALECTS))
