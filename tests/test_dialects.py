"""Routes and dialects: every handler is there, and a dialect is a list of routes and nothing else."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from app import Clew
from chalicelib import config
from chalicelib.dialects import DIALECTS
from chalicelib.errors import NotFound
from chalicelib.http.answering import Answering
from chalicelib.http.openapi import as_answered_by, document
from chalicelib.http.route import Dialect, Route, resolve
from chalicelib.http.text import text
from chalicelib.model.token import Scope
from local.fake_aws import Moto
from tests.events import answer_of

if TYPE_CHECKING:
    from chalicelib.http.request import QueryRequest

ROUTES = [(dialect, route) for dialect in DIALECTS for route in dialect.routes]


@pytest.mark.parametrize(
    "route", [route for _, route in ROUTES], ids=lambda route: f"{route.method} {route.path}"
)
def test_every_handler_that_a_route_names_is_there(route):
    """A handler is imported with the first request alone: a misspelt one would be found by a user."""
    assert callable(resolve(route.handler))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_dialect_has_a_form_for_refusals(dialect):
    """A dialect says how it tells somebody that they may not."""
    assert callable(resolve(dialect.refuse))


def test_no_two_routes_are_the_same():
    """A method of a path belongs to one dialect."""
    routes = [(route.method, route.path) for _, route in ROUTES]
    assert len(routes) == len(set(routes))


def test_only_heads_have_no_summary():
    """A route without a summary is not in the OpenAPI document, which leaves out nothing but HEAD."""
    assert {route.method for _, route in ROUTES if not route.summary} == {"HEAD"}


@pytest.fixture(autouse=True, scope="module")
def aws():
    moto = Moto()
    moto.start(config.PREFIX, {})
    yield
    moto.stop()


@pytest.fixture
def tiny(monkeypatch):
    """A query dialect that is written here alone: one module, as a folder of chalicelib would have several."""
    module = ModuleType("chalicelib.tiny")

    def refuse(_request, _scope, failure):
        return text(failure.status, f"tiny: {failure.message}")

    def get_count(request: QueryRequest):
        if request.first("of") != "traces":
            raise NotFound("nothing of that kind is counted")
        return {"count": 7}

    vars(module).update(
        refuse=refuse,
        get_count=Answering(get_count, lambda _, failure: text(failure.status, "tiny")),
        operation=lambda route: as_answered_by("Tiny", route),
    )
    monkeypatch.setitem(sys.modules, "chalicelib.tiny", module)
    route = Route("GET", "/tiny/count", Scope.READ, "tiny:get_count", "Tiny's count.")
    return Dialect("Tiny", (route,), "tiny:refuse", "tiny")


class TestTinyDialect:
    """What docs/how-to/query-dialect.md promises: a dialect is a folder and one entry."""

    def test_it_answers_beside_the_others(self, tiny):
        """The new dialect's route answers, and so do the others' routes."""
        application = Clew([*DIALECTS, tiny])
        answer = answer_of(application, "GET", "/tiny/count", query=[("of", "traces")])
        assert (answer.status, answer.json) == (200, {"count": 7})
        assert answer_of(application, "GET", "/openapi.json").status == 200

    def test_its_failures_have_its_own_form(self, tiny):
        """An error has the status of the one table of errors, in the dialect's words."""
        answer = answer_of(Clew([tiny]), "GET", "/tiny/count", query=[("of", "cats")])
        assert (answer.status, answer.body) == (404, b"tiny")

    def test_its_refusals_have_its_own_form(self, tiny, monkeypatch):
        """Who may not is told so in the dialect's words, by the guard that all dialects share."""
        monkeypatch.setattr("chalicelib.config.ACCESS_OPEN", False)
        answer = answer_of(Clew([tiny]), "GET", "/tiny/count")
        assert answer.status == 401
        assert answer.body.startswith(b"tiny: a token is needed")
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_it_is_in_the_openapi_document(self, tiny):
        """The document is made of the routes."""
        operation = document([*DIALECTS, tiny])["paths"]["/tiny/count"]["get"]
        assert operation["summary"] == "Tiny's count."
