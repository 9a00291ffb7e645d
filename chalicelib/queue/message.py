"""A payload on its way through SQS: one format, versioned, described byte by byte in docs/message-format.md.

    payload (OTLP TracesData bytes) ──encode──▶ body: {"version":1,"span_count":…,"digest":…,"received_…":…}
                                                attribute "payload" (Binary): one zstd frame

The body is for people; the payload travels as raw bytes in a binary attribute, for base64 in the body would cost
a third more. The identity of a message is the digest of its *uncompressed* payload as it came: a client that sends the
same bytes again makes the same digest, whatever happened to the first copy, and whatever was taken out of it since. A
payload that is not what came (redaction) has a proof after it that it belongs to the digest.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from chalicelib.errors import InvalidPayload
from chalicelib.model import zstd

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = 1
DIGEST_BYTES = 32
PAYLOAD_ATTRIBUTE = "payload"
REASON_ATTRIBUTE = "reason"
"""Why a message is a dead letter."""
NOTE_ATTRIBUTE = "note"
"""The key of what the table says of a dead letter; it comes back with the message."""
REASON_CHARACTERS_MAX = 1_000
"""Not more than anyone reads."""
_PROOF_HEAD = b"\x7a\x20"
"""Tag and length of field 15 of TracesData, 32 bytes, which OTLP does not have: a reader that knows it not skips it."""
PROOF_BYTES = len(_PROOF_HEAD) + DIGEST_BYTES
MESSAGE_SPANS_MAX = 1_000_000
_UNIX_SECONDS_END = 2**34
"""The year 2514: far beyond any clock, and an expiry made of it is still a number that DynamoDB takes."""


class Message(NamedTuple):
    """What `receive` hands to the queue and `store` takes from it."""

    digest: bytes
    """SHA-256, 32 bytes: see `digest_of`."""
    span_count: int
    received_unix_seconds: int
    """When the request arrived: the start of the retention, kept over any delay in the queue. Not in the digest."""
    frame: bytes
    """The payload, as one zstd frame."""


def digest_of(tenant: str, payload: bytes) -> bytes:
    """SHA-256 over tenant, format version and the uncompressed normalised payload, before redaction."""
    return hashlib.sha256(b"clew\0%d\0%b\0" % (FORMAT_VERSION, tenant.encode()) + payload).digest()


def _proof_of(digest: bytes, redacted: bytes) -> bytes:
    """What follows a redacted payload: that it was made of what the digest was made of."""
    return _PROOF_HEAD + hashlib.sha256(b"clew redacted\0%b" % digest + redacted).digest()


def message_from_payload(
    tenant: str,
    payload: bytes,
    span_count: int,
    received_unix_seconds: int,
    redacted: bytes | None = None,
) -> Message:
    """The message whose identity is of `payload` (TracesData bytes, at most `MESSAGE_PAYLOAD_BYTES_MAX`).

    It carries `redacted` instead, which is as long at most, if that is given and another.
    """
    digest = digest_of(tenant, payload)
    carried = payload
    if redacted is not None and redacted != payload:
        carried = redacted + _proof_of(digest, redacted)
    return Message(digest, span_count, received_unix_seconds, zstd.compress(carried))


def body_of(message: Message) -> str:
    """The readable SQS message body: ASCII JSON."""
    return orjson.dumps(
        {
            "version": FORMAT_VERSION,
            "span_count": message.span_count,
            "digest": message.digest.hex(),
            "received_unix_seconds": message.received_unix_seconds,
        }
    ).decode()


def message_from_parts(body: str, frame: bytes | None) -> Message:
    """The message of an SQS body and its binary attribute.

    Raises InvalidPayload for anything that `body_of` did not write: an unknown version, a missing attribute.
    """
    try:
        fields: Mapping[str, Any] = orjson.loads(body)
        version = fields["version"]
        if version != FORMAT_VERSION:
            raise InvalidPayload(f"message format version {version!r} is not known")
        digest = bytes.fromhex(fields["digest"])
        span_count, received = int(fields["span_count"]), int(fields["received_unix_seconds"])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidPayload(f"not a message of this format: {error!r}") from error
    if len(digest) != DIGEST_BYTES:
        raise InvalidPayload(f"a digest has {DIGEST_BYTES} bytes, this one {len(digest)}")
    if not (0 <= span_count <= MESSAGE_SPANS_MAX and 0 <= received < _UNIX_SECONDS_END):
        raise InvalidPayload(
            f"span_count {span_count} or received_unix_seconds {received} is out of range"
        )
    if not frame:
        raise InvalidPayload(f"the binary attribute {PAYLOAD_ATTRIBUTE!r} is missing")
    return Message(digest, span_count, received, frame)


def payload_of(tenant: str, message: Message, bytes_max: int) -> bytes:
    """The uncompressed payload, checked against the digest, or against the proof after it if it was redacted.

    Raises InvalidPayload if the frame is damaged, too large, or not what the digest was made of.
    """
    try:
        payload = zstd.decompress(message.frame, bytes_max + PROOF_BYTES)
    except zstd.ZstdError as error:
        raise InvalidPayload(f"the payload is not one zstd frame: {error}") from error
    if len(payload) <= bytes_max and digest_of(tenant, payload) == message.digest:
        return payload
    redacted, proof = payload[:-PROOF_BYTES], payload[-PROOF_BYTES:]
    if proof != _proof_of(message.digest, redacted):
        raise InvalidPayload("the payload is not what its digest was made of")
    return redacted


def content_bytes_of(message: Message) -> int:
    """How long the uncompressed payload claims to be; 0 if the frame claims nothing, or is none.

    It is no promise: it only says which messages are taken together.
    """
    return zstd.content_bytes_of(message.frame)


def printable(reason: str) -> str:
    """What SQS accepts as text: no control characters; and not more than anyone reads."""
    kept = reason[:REASON_CHARACTERS_MAX]
    return "".join(c if c.isprintable() else " " for c in kept) or "unknown"
