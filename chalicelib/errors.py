"""The tree of what can go wrong, by what someone must do about it.

ClewError
├── InvalidPayload       the sender's fault; 400, never retry
│   ├── PayloadTooLarge  413
│   └── UnsupportedMedia 415
├── InvalidQuery         the asker's fault; 400, names the parameter
│   └── TooMuchAsked     413: an answer would take more than one may; less can be asked for
├── OutOfTime            503 with Retry-After: the time of a request is over, or its client has gone
├── NotFound             404
├── LimitExceeded        something of ours would break a limit of AWS: a bug, or a message that cannot be stored
└── StoreError           ours or AWS's; 503 on ingest, so that senders keep their data; 500 elsewhere
    └── StoreThrottled   the same call may succeed later; 503 with Retry-After

`app.py` turns these into HTTP statuses for those who ask, `otlp/endpoint.py` for those who send.
"""

from __future__ import annotations


class ClewError(Exception):
    """Anything that Clew raises on purpose."""


class InvalidPayload(ClewError):
    """The sender's bytes cannot be accepted, now or ever. The message names field, limit and value."""


class PayloadTooLarge(InvalidPayload):
    """A limit of size or count is exceeded."""


class UnsupportedMedia(InvalidPayload):
    """The media type or the content encoding is not one that is understood."""


class InvalidQuery(ClewError):
    """A request parameter is malformed. `parameter` is its name, or None for the whole request."""

    def __init__(self, message: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter


class TooMuchAsked(InvalidQuery):
    """The answer would be too large, or take too much work. The message says which limit there is."""


class OutOfTime(ClewError):
    """A request's time is over, or nobody waits for its answer any more: its work ends where it is."""


class NotFound(ClewError):
    """What was asked for by its id is not there (never was, or has expired)."""


class LimitExceeded(ClewError):
    """An item, message or transaction is larger than AWS takes; found before AWS is asked."""


class StoreError(ClewError):
    """AWS refused or failed in a way that trying the same call again at once will not cure."""


class StoreThrottled(StoreError):
    """AWS refused for load, or could not be reached; none, some or all of it was done: do all again."""
