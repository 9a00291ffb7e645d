"""The one table of errors: the HTTP status, the code and the words for each kind of error that a request can end with.

Every dialect has a form of its own for a `Failure`; none decides by itself which status an error has.
`chalicelib/errors.py` draws the tree of the errors.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.errors import (
    InvalidPayload,
    InvalidQuery,
    NotFound,
    OutOfTime,
    PayloadTooLarge,
    StoreError,
    StoreThrottled,
    TooMuchAsked,
    UnsupportedMedia,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from chalicelib.http.answer import Answer

_logger = logging.getLogger(__name__)

RESPONSE_TOO_LARGE = "response_too_large"
"""The code of an answer that would be too large, or take too much work."""
QUEUE_DOES_NOT_ACCEPT = "the queue does not accept spans: send again"
"""What a sender is told with a 503 where the cause is none of its business."""


class Failure(NamedTuple):
    """Why a request is not answered: an HTTP status, a code for programs, a message for people."""

    status: int
    code: str
    message: str
    parameter: str | None = None
    """The name of the query parameter that is wrong, where it is one."""


class _Row(NamedTuple):
    error: type[Exception]
    status: int
    code: str
    words: str = ""
    """What whoever asked is told; empty: the error's own message."""
    log: Callable[..., None] | None = None
    """How the error is logged; None: it is the asker's own, and no line is written for it."""


_TABLE = (
    _Row(TooMuchAsked, 413, RESPONSE_TOO_LARGE),
    _Row(InvalidQuery, 400, "invalid_query"),
    _Row(PayloadTooLarge, 413, "invalid_body"),
    _Row(UnsupportedMedia, 415, "invalid_body"),
    _Row(InvalidPayload, 400, "invalid_body"),
    _Row(NotFound, 404, "not_found"),
    _Row(OutOfTime, 503, "out_of_time", log=_logger.warning),
    _Row(StoreThrottled, 503, "throttled", "the store is busy: ask again", _logger.warning),
)
"""The first row that fits an error is its row: subclasses stand before their base classes."""
_FAULT = Failure(500, "internal", "this is a fault of Clew's: its log says more")


def query_failure(error: Exception) -> Failure:
    """What whoever asked a question is told of an error. An error that is not theirs is logged."""
    for row in _TABLE:
        if isinstance(error, row.error):
            if row.log:
                row.log("query not answered: %s", error)
            parameter = error.parameter if isinstance(error, InvalidQuery) else None
            return Failure(row.status, row.code, row.words or str(error), parameter)
    _logger.error("query not answered", exc_info=error)
    return _FAULT


def ingest_failure(error: Exception) -> Failure:
    """What a sender of spans is told of an error.

    A request that can never be accepted is 400, 413 or 415. Every other error is a 503, never a 500, on which OTLP's
    exporters drop their spans; it is logged, with its traceback if nobody foresaw it.
    """
    if isinstance(error, InvalidPayload):
        return query_failure(error)
    if isinstance(error, (OutOfTime, StoreError)):
        _logger.warning("spans not accepted: %s", error)
    else:
        _logger.error("spans not accepted", exc_info=error)
    message = f"{error}: send again" if isinstance(error, OutOfTime) else QUEUE_DOES_NOT_ACCEPT
    return Failure(503, "unavailable", message)


def with_retry_after(answer: Answer) -> Answer:
    """The same answer; a 503 gets a Retry-After header, in seconds."""
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = str(config.RETRY_AFTER_SECONDS)
    return answer
