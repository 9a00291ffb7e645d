"""What API Gateway's events and Chalice's responses lack or have too much of."""

from __future__ import annotations

import base64
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LEFT_MILLISECONDS_MIN = 1_500
"""The part of the function's time that is left for an answer that is begun: it must be compressed, and leave."""
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Every answer has these headers; the web UI, which runs, has a Content-Security-Policy of its own."""
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # Behind API Gateway, which speaks nothing but HTTPS; a laptop speaks none.
    SECURITY_HEADERS["Strict-Transport-Security"] = "max-age=31536000"


def time_left_in(context: Any) -> Callable[[], bool]:
    """Whether the function has time left: on a laptop it has none once the client has gone, and waits for others."""

    def time_left() -> bool:
        left: float = context.get_remaining_time_in_millis() if context else sys.maxsize
        return left >= _LEFT_MILLISECONDS_MIN

    return time_left


def secured(response: dict[str, Any]) -> dict[str, Any]:
    """The same response, with the security headers that it does not set itself."""
    return {**response, "headers": {**SECURITY_HEADERS, **response["headers"]}}


def as_text(response: dict[str, Any]) -> dict[str, Any]:
    """The same response, its body as text if it is that."""
    if response.get("isBase64Encoded"):
        with suppress(UnicodeDecodeError):
            text = base64.b64decode(response["body"]).decode()
            return {**response, "body": text, "isBase64Encoded": False}
    return response


def accepts(event: dict[str, Any]) -> bool:
    """Whether the request of an event has an Accept header."""
    return any(name.lower() == "accept" for name in event.get("headers") or {})


def accepting_all(event: dict[str, Any]) -> dict[str, Any]:
    """The event with an Accept header; and without Accept-Encoding, for gzip would be no text."""
    accepting = dict(event)
    for name, accept in (("headers", "*/*"), ("multiValueHeaders", ["*/*"])):
        sent = (event.get(name) or {}).items()
        kept = {key: value for key, value in sent if key.lower() != "accept-encoding"}
        accepting[name] = {**kept, "Accept": accept}
    return accepting
