"""What a sender is told whose spans were not accepted, and who may send them again; each endpoint has its own form."""

from __future__ import annotations

import logging

from chalicelib.errors import OutOfTime, StoreError

_logger = logging.getLogger(__name__)

QUEUE_DOES_NOT_ACCEPT = "the queue does not accept spans: send again"


def why_again(error: Exception) -> str:
    """What the sender is told with a 503. It is logged, and whole where nobody foresaw it."""
    if isinstance(error, (OutOfTime, StoreError)):
        _logger.warning("spans not accepted: %s", error)
    else:
        _logger.error("spans not accepted", exc_info=error)
    return f"{error}: send again" if isinstance(error, OutOfTime) else QUEUE_DOES_NOT_ACCEPT
