"""Notes of dead letters: what they say of any record, and that they never stand in the way."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import config
from chalicelib.consume.notes import forget_notes, write_notes
from chalicelib.queue.sqs import entry_of_dead_letter
from chalicelib.store.dead_letter import (
    TRACE_IDS_MAX,
    Note,
    carried_key,
    note_key,
    note_of,
    read_notes,
)
from tests.consume.records import message_of, message_of_payload, record_of
from tests.memory_store import MemoryStore
from tests.payloads import NOON_UNIX_SECONDS, Made, trace_id

TEXT = st.text(max_size=30)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["payload", "reason", "note", "other"]),
    st.fixed_dictionaries(
        {"dataType": st.just("String")},
        optional={"stringValue": TEXT, "binaryValue": st.one_of(TEXT, st.just("AAAA"))},
    ),
)


def buried(record: dict[str, Any], reason: str = "because") -> dict[str, Any]:
    """The record as it comes back from the dead-letter queue."""
    entry = entry_of_dead_letter(record, reason, note_key(record))
    back = {
        name: {"dataType": value["DataType"], "stringValue": value["StringValue"]}
        if "StringValue" in value
        else {
            "dataType": value["DataType"],
            "binaryValue": base64.b64encode(value["BinaryValue"]).decode(),
        }
        for name, value in entry["MessageAttributes"].items()
    }
    return {"body": entry["MessageBody"], "messageAttributes": back}


def test_of_a_good_message():
    """The note of a message that can be read has its spans' number, its size, and a sample of its traces."""
    made = [Made(trace, trace) for trace in range(1, 30)]
    record = record_of(message_of(made), receive_count=3)
    note = note_of(record, "because", NOON_UNIX_SECONDS)
    frame = record["messageAttributes"]["payload"]["binaryValue"]
    assert note.span_count == 29
    assert note.trace_ids == [trace_id(n) for n in range(1, TRACE_IDS_MAX + 1)]
    assert note.message_bytes == len(record["body"]) + len(base64.b64decode(frame))
    assert (note.reason, note.burials, note.receive_count) == ("because", 1, 3)


def test_of_what_is_no_protobuf():
    """A payload that cannot be parsed leaves the note without traces."""
    note = note_of(record_of(message_of_payload(b"\xff" * 9, 7)), "x", NOON_UNIX_SECONDS)
    assert (note.span_count, note.trace_ids) == (7, [])


@settings(deadline=None)
@given(TEXT, ATTRIBUTES, TEXT)
def test_of_anything(body, attributes, reason):
    """Of any record whatever there is a note that can be kept and read, and a key that it takes along."""
    record = {"body": body, "messageAttributes": attributes}
    store = MemoryStore()
    note = note_of(record, reason, NOON_UNIX_SECONDS)
    write_notes(store, [note])
    assert list(read_notes(store, NOON_UNIX_SECONDS)) == [note]


def test_comes_back_with_its_message():
    """A letter that was sent back has the key of its note; no other message has one."""
    record = record_of(message_of([Made(1, 1)]))
    assert carried_key(record) is None
    assert carried_key(buried(record)) == note_key(record)
    assert note_key(buried(buried(record))) == note_key(record)


@pytest.mark.parametrize("note", ["", "x", "000000000001|" + "g" * 32, "1|" + "0" * 32])
def test_a_key_that_is_none(note):
    """What is no key of ours names no item: not even who writes to the queue deletes anything by it."""
    record = record_of(message_of([Made(1, 1)]))
    record["messageAttributes"]["note"] = {"dataType": "String", "stringValue": note}
    assert carried_key(record) is None


def test_buried_again():
    """A second burial is counted; when the first was stays known."""
    store, record = MemoryStore(), record_of(message_of([Made(1, 1)]))
    write_notes(store, [note_of(record, "first", NOON_UNIX_SECONDS)])
    write_notes(store, [note_of(buried(record), "second", NOON_UNIX_SECONDS + 60)])
    (note,) = read_notes(store, NOON_UNIX_SECONDS)
    assert (note.first_unix_seconds, note.last_unix_seconds) == (
        NOON_UNIX_SECONDS,
        NOON_UNIX_SECONDS + 60,
    )
    assert (note.burials, note.reason) == (2, "second")


def test_a_note_is_shown_as_long_as_its_letter_is_kept():
    """A note is shown as long as the queue keeps its letter, and is deleted then."""
    store = MemoryStore()
    write_notes(store, [note_of(record_of(message_of([Made(1, 1)])), "x", NOON_UNIX_SECONDS)])
    end = NOON_UNIX_SECONDS + config.DEAD_LETTER_RETENTION_SECONDS
    assert len(list(read_notes(store, end - 1))) == 1
    assert list(read_notes(store, end)) == []
    assert [item["x"] for item in store.items.values()] == [end]


def test_order_and_forgetting():
    """Notes come by when their messages were sent, the latest first, from after a key on; forgotten ones are gone."""
    store = MemoryStore()
    notes: list[Note] = []
    for i in range(5):
        record = record_of(message_of([Made(i + 1, 1)]))
        record["attributes"]["SentTimestamp"] = str((NOON_UNIX_SECONDS + i) * 1_000)
        notes.append(note_of(record, "x", NOON_UNIX_SECONDS))
    write_notes(store, notes)
    notes.reverse()
    assert list(read_notes(store, NOON_UNIX_SECONDS)) == notes
    assert list(read_notes(store, NOON_UNIX_SECONDS, notes[1].key)) == notes[2:]
    forget_notes(store, [notes[0].key, notes[4].key])
    assert list(read_notes(store, NOON_UNIX_SECONDS)) == notes[1:4]
