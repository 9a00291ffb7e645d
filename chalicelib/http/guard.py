"""Who may do what: a request's token, the page that it comes from, and what is told of refusals and of changes.

Spans may be sent from pages of any origin; everything else is for Clew's own pages and those of CLEW_UI_ORIGINS.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.http import cross_origin
from chalicelib.http.access import Decision, presented_in
from chalicelib.http.answer import Answer
from chalicelib.http.errors import Failure
from chalicelib.http.route import resolve
from chalicelib.model.token import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chalicelib.http.request import Request
    from chalicelib.http.route import Dialect

_logger = logging.getLogger(__name__)


class _Refusal(NamedTuple):
    failure: Failure
    log: str = ""
    """The reason for the audit log, in words of Clew's alone; empty: nobody is told of it."""


def refusal_of(request: Request, scope: Scope | None, dialect: Dialect) -> Answer | None:
    """The dialect's refusal if the request may not, by its headers alone; None if it may."""
    if scope is None:
        return None
    refused = _foreign(request, scope) or _refused_for_token(request, scope)
    refused = refused or _without_preflight(request, scope)
    if refused is None:
        return None
    failure = refused.failure
    if refused.log:
        _tell(request, "refused", f"{failure.status} {refused.log}")
    answer: Answer = resolve(dialect.refuse)(request, scope, failure)
    if failure.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def tell_change(request: Request, scope: Scope | None, answer: Answer) -> None:
    """Tell the audit log of a request that has changed something."""
    if scope is Scope.CONFIGURE and answer.status < HTTPStatus.BAD_REQUEST:
        _tell(request, "done")


def for_browsers(request: Request, scope: Scope | None, answer: Answer) -> Answer:
    """The same answer; it says to a browser whether a page of another origin may read it."""
    for_everyone = _is_for_every_page(scope, request.method)
    headers = cross_origin.cors_headers(
        request.headers, config.UI_ORIGINS, for_everyone=for_everyone
    )
    if vary := headers.pop("Vary", ""):
        own = answer.headers.get("Vary", "")
        answer.headers["Vary"] = f"{own}, {vary}" if own else vary
    if not for_everyone:
        # Nor may another page load the answer as a picture or a script.
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
    answer.headers.update(headers)
    return answer


def preflight_answer(request: Request, scopes: Mapping[str, Scope | None]) -> Answer:
    """The answer to a browser that asks whether a page of another origin may send something.

    scopes: method → scope of the routes with this path.
    """
    method = request.headers.get("access-control-request-method", "")
    headers = cross_origin.preflight_headers(
        request.headers,
        config.UI_ORIGINS,
        scopes,
        for_everyone=_is_for_every_page(scopes.get(method), method),
    )
    return Answer(200, dict(headers), b"")


def _is_for_every_page(scope: Scope | None, method: str) -> bool:
    return scope is Scope.INGEST and method == "POST"


def _foreign(request: Request, scope: Scope) -> _Refusal | None:
    """Pages of other origins may send spans, and lead somebody here by a link."""
    if _is_for_every_page(scope, request.method):
        return None
    if not cross_origin.is_foreign(request.headers, config.UI_ORIGINS):
        return None
    if scope is not Scope.CONFIGURE and cross_origin.is_link(request.method, request.headers):
        return None
    message = "pages of other origins may only send spans here: CLEW_UI_ORIGINS names those that may do more"
    return _Refusal(Failure(403, "forbidden", message), "a page of another origin")


def _without_preflight(request: Request, scope: Scope) -> _Refusal | None:
    if scope is not Scope.CONFIGURE or cross_origin.needed_a_preflight(request.headers):
        return None
    message = "what changes something needs a header that no form can send: `X-Clew-Request: 1`"
    return _Refusal(Failure(403, "forbidden", message), "no header that needs a preflight")


def _refused_for_token(request: Request, scope: Scope) -> _Refusal | None:
    """A refusal, unless the request shows a token of this scope or none is wanted."""
    presented = presented_in(request.headers)
    try:
        access = request.backend.access()
        decision = access.decide(presented, scope) if access else Decision.GRANTED
    except Exception as error:
        # Never a 401, and never a 500: on either a sender would drop spans that it may well be allowed to send.
        _logger.warning("no telling who asks: %s", error)
        return _Refusal(Failure(503, "unavailable", "tokens cannot be checked now: try again"))
    match decision:
        case Decision.GRANTED:
            return None
        case Decision.FORBIDDEN:
            message = f"this token is not for this: use one with the scope {scope.value!r}"
            log = f"no token of the scope {scope.value}"
            return _Refusal(Failure(403, "forbidden", message), log)
        case Decision.EXPIRED:
            failure = Failure(401, "unauthorized", "this token has expired")
            return _Refusal(failure, "an expired token")
    if presented:
        message = "this token is not known here, or was revoked"
        return _Refusal(Failure(401, "unauthorized", message), "an unknown token")
    message = "a token is needed, as `Authorization: Bearer TOKEN` or `x-api-key: TOKEN`"
    return _Refusal(Failure(401, "unauthorized", message), "no token")


def _tell(request: Request, kind: str, why: str = "") -> None:
    from chalicelib.http.audit import AUDIT, Event

    access = request.backend.access()
    token_ids = access.ids_of(presented_in(request.headers)) if access else []
    route = f"{request.method} {request.route}"
    AUDIT.tell(Event(kind, route, why, token_ids, request.source_ip))
