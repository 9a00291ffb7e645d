"""POST /v1/traces: an OTLP/HTTP request in, the answer that its sender understands out.

    headers, body ──uncompressed──▶ bytes ──payload_from_…──▶ payload ──messages_of──▶ send ──▶ 200

200 is said only after the queue has accepted every message. What the sender must not send again is 400, 413 or 415;
what it must send again is 503, never 500, on which OTLP senders drop their data.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import orjson

from chalicelib import config
from chalicelib.errors import UnsupportedMedia
from chalicelib.http.answer import Answer
from chalicelib.http.errors import QUEUE_DOES_NOT_ACCEPT, ingest_failure, with_retry_after
from chalicelib.model.wire import field, varint
from chalicelib.receive.content import Encoding, encoding_of, uncompressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chalicelib.queue.message import Message
    from chalicelib.receive.otlp import Normalised

_INVALID_ARGUMENT, _PERMISSION_DENIED, _UNAVAILABLE, _UNAUTHENTICATED = 3, 7, 14, 16
"""google.rpc.Code."""
_CODES = {401: _UNAUTHENTICATED, 403: _PERMISSION_DENIED, 503: _UNAVAILABLE}
"""HTTP status → code; every other status is INVALID_ARGUMENT."""
_REJECTED_NAMES = {
    "traces": "rejectedSpans",
    "metrics": "rejectedDataPoints",
    "logs": "rejectedLogRecords",
}


def receive_traces(
    headers: Mapping[str, str],
    body: bytes,
    now_unix_seconds: int,
    send: Callable[[Sequence[Message]], None],
    tell_rejected: Callable[[int], None] = lambda _: None,
    tell_redacted: Callable[[int], None] = lambda _: None,
) -> Answer:
    """Accept an ExportTraceServiceRequest. `headers` have lower-case names; `send` is a MessageSender's.

    `tell_rejected` is called with the number of spans rejected, if any, and `tell_redacted` with that of values from
    which a secret was taken out.

    Raises nothing: whatever goes wrong is an answer.
    """
    encoding = _encoding_for_answers(headers, body)
    try:
        normalised = _normalised(headers, body)
        redacted = _send(normalised, now_unix_seconds, send)
    except Exception as error:
        failure = ingest_failure(error)
        return _status_answer(encoding, failure.status, failure.message)
    if rejected := normalised.rejected.total():
        tell_rejected(rejected)
    if redacted:
        tell_redacted(redacted)
    return _success(encoding, normalised)


def _normalised(headers: Mapping[str, str], body: bytes) -> Normalised:
    plain = uncompressed(headers, body)
    if encoding_of(headers, plain) is Encoding.JSON:
        # It costs a cold start, and most senders never need it.
        from chalicelib.receive.otlp_json import payload_from_json

        return payload_from_json(plain)
    from chalicelib.receive.otlp import payload_from_protobuf

    return payload_from_protobuf(plain)


def _send(
    normalised: Normalised, now_unix_seconds: int, send: Callable[[Sequence[Message]], None]
) -> int:
    """Send the spans; return how many secrets were taken out of them."""
    from chalicelib.receive.split import messages_of

    redacted = Counter[str]()
    messages = messages_of(
        normalised.payload, normalised.span_count, config.TENANT, now_unix_seconds, redacted
    )
    if messages:
        send(messages)
    return redacted.total()


def refuse_signal(headers: Mapping[str, str], body: bytes, signal: str) -> Answer:
    """The answer to `metrics` or `logs`: SDKs send these too by default, and an error each minute helps nobody."""
    message = f"Clew keeps traces only: these {signal} were not stored"
    return _partial_success(_encoding_for_answers(headers, body), 0, message, signal)


def unavailable(headers: Mapping[str, str], body: bytes) -> Answer:
    """503: the sender is to keep its data, and send it again."""
    return refuse(headers, body, 503, QUEUE_DOES_NOT_ACCEPT)


def refuse(headers: Mapping[str, str], body: bytes, http_status: int, message: str) -> Answer:
    """401, 403 or 503 for a request whose content nobody looked at."""
    return _status_answer(_encoding_for_answers(headers, body), http_status, message)


def _encoding_for_answers(headers: Mapping[str, str], body: bytes) -> Encoding:
    """The encoding of the request; JSON where that is neither of OTLP's, because a person can read it."""
    try:
        return encoding_of(headers, body)
    except UnsupportedMedia:
        return Encoding.JSON


def _success(encoding: Encoding, normalised: Normalised) -> Answer:
    from chalicelib.receive.otlp import rejection_summary

    message = rejection_summary(normalised)
    if not message:
        return _answer(encoding, 200, b"{}" if encoding is Encoding.JSON else b"")
    # With nothing rejected it is a warning, as OTLP has it.
    return _partial_success(encoding, normalised.rejected.total(), message, "traces")


def _partial_success(encoding: Encoding, rejected: int, message: str, signal: str) -> Answer:
    """Export…ServiceResponse, whose partial_success has the same field numbers for every signal."""
    if encoding is Encoding.JSON:
        partial = {_REJECTED_NAMES[signal]: str(rejected), "errorMessage": message}
        return _answer(encoding, 200, orjson.dumps({"partialSuccess": partial}))
    count = b"\x08" + varint(rejected) if rejected else b""
    return _answer(encoding, 200, field(1, count + field(2, message.encode())))


def _status_answer(encoding: Encoding, http_status: int, message: str) -> Answer:
    """A google.rpc.Status (1 code, 2 message)."""
    code = _CODES.get(http_status, _INVALID_ARGUMENT)
    if encoding is Encoding.JSON:
        body = orjson.dumps({"code": code, "message": message})
    else:
        body = b"\x08" + varint(code) + field(2, message.encode(errors="replace"))
    return with_retry_after(_answer(encoding, http_status, body))


def _answer(encoding: Encoding, status: int, body: bytes) -> Answer:
    headers = {"Content-Type": encoding.value}
    return Answer(status, headers, body)
