"""The description of the API is valid, complete and true."""

from __future__ import annotations

from openapi_spec_validator import validate

from app import app
from chalicelib.dialects import DIALECTS
from chalicelib.http.openapi import document
from chalicelib.native.parse import SEARCH_PARAMETERS


def test_it_is_openapi():
    """The document is valid OpenAPI 3.1."""
    validate(document(DIALECTS))


def test_every_route_is_described():
    """Every route and method is described, and everything described is there; not HEAD, nor OPTIONS of preflights."""
    described = {
        (path, method.upper())
        for path, item in document(DIALECTS)["paths"].items()
        for method in item
    }
    routes = {(path, method) for path, of in app.routes.items() for method in of}
    assert described == {
        (path, method) for path, method in routes if method not in ("HEAD", "OPTIONS")
    }


def test_every_search_parameter_is_described():
    """The search's parameters are those that it takes."""
    parameters = document(DIALECTS)["paths"]["/v1/traces"]["get"]["parameters"]
    assert [each["name"] for each in parameters] == list(SEARCH_PARAMETERS)
