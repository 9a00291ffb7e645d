"""The native API's routes beside its questions to the tables: sampling, dead letters, health, and the web UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.http.answering import json_of
from chalicelib.http.errors import Failure
from chalicelib.http.respond import error_answer, html_answer

if TYPE_CHECKING:
    from chalicelib.http.answer import Answer
    from chalicelib.http.request import Request
    from chalicelib.model.token import Scope


def get_sampling(request: Request) -> Answer:
    """The sampling strategies."""
    return json_of(request, lambda: request.backend.strategies().document())


def put_sampling(request: Request) -> Answer:
    """Replace the sampling strategies."""

    def replaced() -> Any:
        from chalicelib.model.sampling import document_from

        return request.backend.strategies().replace(document_from(request.body))

    return json_of(request, replaced)


def post_redrive(request: Request) -> Answer:
    """Send every dead letter back to be stored."""

    def redriven() -> Any:
        from chalicelib.native.render import redrive_json

        return redrive_json(request.backend.dead_letter_queue().redrive())

    return json_of(request, redriven)


def get_health(request: Request) -> Answer:
    """Whether this function, the queue and a table answer."""
    if silent := request.backend.health().silent():
        message = f"{' and '.join(silent)} cannot be asked now"
        return error_answer(Failure(503, "unavailable", message), request.headers)
    return json_of(request, lambda: {"status": "ok"})


def get_page(request: Request) -> Answer:
    """The web UI's page, or a page of links where the UI is not built."""
    from chalicelib.present.page import page
    from chalicelib.present.ui import page_answer

    return page_answer(request.path, request.headers) or html_answer(page(request.path))


def get_asset(request: Request) -> Answer:
    """What the web UI's page loads."""
    from chalicelib.present.ui import asset_answer

    answer = asset_answer(request.path_parameters["name"], request.headers)
    missing = Failure(404, "not_found", "there is no such asset")
    return answer or error_answer(missing, request.headers)


def refuse(request: Request, scope: Scope, failure: Failure) -> Answer:
    """A refusal in Clew's own form."""
    del scope
    return error_answer(failure, request.headers)
