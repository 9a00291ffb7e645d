"""Notes: what is kept of each dead letter in the table, since SQS cannot list a queue.

    consumer buries a message ──▶ note ──▶ GET /v1/dead-letters        sent back, stored, counted ──▶ no note

The message carries the key of its note, and so takes it along when it is sent back. A note is for people: the letter
itself, with its reason, is in the queue whether or not its note could be written.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from chalicelib import config
from chalicelib.errors import InvalidPayload
from chalicelib.model.batch import spans_of
from chalicelib.model.span import Scopes
from chalicelib.queue.message import (
    NOTE_ATTRIBUTE,
    PAYLOAD_ATTRIBUTE,
    REASON_ATTRIBUTE,
    message_from_parts,
    payload_of,
    printable,
)
from chalicelib.store.items import EXPIRY, SORT_KEY, VALUE, expiry_of, item_key, value_of
from chalicelib.store.layout import NOTES_PARTITION, note_sort_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chalicelib.store.items import Item, ItemStore

Record = dict[str, Any]
"""One of a Lambda SQS event's `Records`."""

VERSION = 1
TRACE_IDS_MAX = 10
"""A sample: whoever looks into a fault needs one or two of them."""
_KEY = re.compile(r"\d{12}\|[0-9a-f]{32}")
_MOVED_BY_SQS = "the consumer failed at every delivery, and SQS moved it here"


class Note(NamedTuple):
    """What is known of a dead letter."""

    key: str
    reason: str
    first_unix_seconds: int
    """When it was buried for the first time."""
    last_unix_seconds: int
    burials: int
    """How often: more than once if it was sent back and failed again."""
    receive_count: int
    """How often SQS had delivered it, when it was buried last."""
    message_bytes: int
    """The bytes of its body and payload as they are in the queue."""
    span_count: int | None
    """None if the message cannot be read so far."""
    trace_ids: list[bytes]
    """Some of its traces; none if its spans cannot be read."""


def note_of(record: Record, reason: str, now_unix_seconds: int) -> Note:
    """The note of a record that is buried now, as if for the first time."""
    frame = _frame(record)
    span_count, trace_ids = _content(record["body"], frame)
    return Note(
        note_key(record),
        printable(reason),
        now_unix_seconds,
        now_unix_seconds,
        1,
        int(record.get("attributes", {}).get("ApproximateReceiveCount", 1)),
        len(record["body"].encode()) + len(frame),
        span_count,
        trace_ids,
    )


def note_without_burial(record: Record) -> Note:
    """The note of a letter in the queue that the table does not know: SQS moved it there, or its note was not
    written."""
    reason = _text(record, REASON_ATTRIBUTE) or _MOVED_BY_SQS
    return note_of(record, reason, _sent_unix_seconds(record))._replace(burials=0)


def note_key(record: Record) -> str:
    """The sort key of a record's note: the one that it carries, or one made of when and what was sent."""
    return carried_key(record) or note_sort_key(
        _sent_unix_seconds(record),
        hashlib.sha256(record["body"].encode() + b"\0" + _frame(record)).digest(),
    )


def carried_key(record: Record) -> str | None:
    """The key of a record that was buried before and sent back; None of any other."""
    carried = _text(record, NOTE_ATTRIBUTE)
    return carried if _KEY.fullmatch(carried) else None


def read_notes(
    store: ItemStore, now_unix_seconds: int, before_key: str | None = None
) -> Iterator[Note]:
    """Notes, what was sent last first; with a key only those after it in this order. Not those that have expired."""
    for item in store.query(
        config.STATISTICS_TABLE, NOTES_PARTITION, high=before_key, descending=True
    ):
        if item[SORT_KEY] != before_key and expiry_of(item) > now_unix_seconds:
            yield _note(item)


def known_keys(store: ItemStore, keys: Sequence[str]) -> set[str]:
    """The keys among these that have a note."""
    return {note.key for note in notes_with(store, keys)}


def notes_with(store: ItemStore, keys: Sequence[str]) -> list[Note]:
    found = store.get_batch(config.STATISTICS_TABLE, [note_item_key(key) for key in keys])
    return [_note(item) for item in found]


def note_item_key(key: str) -> Item:
    return item_key(NOTES_PARTITION, key)


def note_item(note: Note) -> Item:
    told = note._asdict() | {"trace_ids": [trace_id.hex() for trace_id in note.trace_ids]}
    del told["key"]
    value = orjson.dumps({"version": VERSION, **told})
    expiry = note.last_unix_seconds + config.DEAD_LETTER_RETENTION_SECONDS
    return {**note_item_key(note.key), VALUE: value, EXPIRY: expiry}


def _note(item: Item) -> Note:
    told = orjson.loads(value_of(item))
    # A newer Clew may tell more: what is known here is taken.
    known = {name: told[name] for name in Note._fields if name != "key"}
    known["trace_ids"] = [bytes.fromhex(each) for each in told["trace_ids"]]
    return Note(str(item[SORT_KEY]), **known)


def _frame(record: Record) -> bytes:
    binary = record.get("messageAttributes", {}).get(PAYLOAD_ATTRIBUTE, {}).get("binaryValue")
    try:
        return base64.b64decode(binary or "", validate=True)
    except ValueError:
        return b""


def _content(body: str, frame: bytes) -> tuple[int | None, list[bytes]]:
    """How many spans a message says that it has, and some of the trace ids that can be read."""
    try:
        message = message_from_parts(body, frame)
    except InvalidPayload:
        return None, []
    try:
        payload = payload_of(config.TENANT, message, config.MESSAGE_PAYLOAD_BYTES_MAX)
        return message.span_count, _sample(payload)
    except Exception:
        # Whatever keeps its spans from being stored may keep them from being read: the note does without.
        return message.span_count, []


def _sample(payload: bytes) -> list[bytes]:
    found: dict[bytes, None] = {}
    for span in spans_of(payload, Scopes()):
        found[span.trace_id] = None
        if len(found) == TRACE_IDS_MAX:
            break
    return list(found)


def _sent_unix_seconds(record: Record) -> int:
    return int(record.get("attributes", {}).get("SentTimestamp", 0)) // 1_000


def _text(record: Mapping[str, Any], name: str) -> str:
    text: str = record.get("messageAttributes", {}).get(name, {}).get("stringValue") or ""
    return text
