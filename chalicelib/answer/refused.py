"""Why a question of Jaeger's or Zipkin's dialect is not answered, in words; each has a form of its own for them."""

from __future__ import annotations

import logging

from chalicelib.errors import (
    InvalidPayload,
    InvalidQuery,
    NotFound,
    OutOfTime,
    PayloadTooLarge,
    StoreThrottled,
    TooMuchAsked,
)

_logger = logging.getLogger(__name__)


def status_and_message(error: Exception) -> tuple[int, str]:
    """The HTTP status, and what whoever asked is told. What is not theirs is logged."""
    if isinstance(error, (TooMuchAsked, PayloadTooLarge)):
        return 413, str(error)
    if isinstance(error, (InvalidQuery, InvalidPayload)):
        return 400, str(error)
    if isinstance(error, NotFound):
        return 404, str(error)
    if isinstance(error, OutOfTime):
        return 503, str(error)
    if isinstance(error, StoreThrottled):
        _logger.warning("query not answered: %s", error)
        return 503, "the store is busy: ask again"
    _logger.error("query not answered", exc_info=error)
    return 500, "this is a fault of Clew's: its log says more"
