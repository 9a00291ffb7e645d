"""Dead letters for people: the notes in the table, newest first, beside what the queue itself tells."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from chalicelib.errors import StoreError, StoreThrottled
from chalicelib.store.dead_letter import known_keys, note_key, note_without_burial, read_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.queue.sqs_redrive import Redrive
    from chalicelib.store.dead_letter import Note
    from chalicelib.store.items import ItemStore


class Queue(Protocol):
    def message_count(self) -> int:
        """About how many dead letters there are."""

    def peek(self) -> list[dict[str, Any]]:
        """A few of them, as Lambda's SQS records."""

    def latest_redrive(self) -> Redrive | None:
        """The latest move back into the span queue."""


class DeadLetters(NamedTuple):
    """A page of dead letters."""

    queued: int
    notes: list[Note]
    next_cursor: str | None
    redrive: Redrive | None
    warnings: list[str]


def dead_letters(
    store: ItemStore, queue: Queue, now_unix_seconds: int, limit: int, cursor: str | None
) -> DeadLetters:
    """A page of at most `limit` notes, and on the first page up to ten letters of which there is no note.

    Raises StoreThrottled or StoreError if the table or the queue cannot be asked.
    """
    queued = queue.message_count()
    notes = list(islice(read_notes(store, now_unix_seconds, cursor), limit + 1))
    page = notes[:limit]
    next_cursor = page[-1].key if len(notes) > limit else None
    redrive, warnings = _latest_redrive(queue)
    if cursor is None:
        unknown = _without_notes(store, queue.peek()) if queued else []
        warnings += _warnings(queued, len(page), len(unknown))
        page += unknown
    return DeadLetters(queued, page, next_cursor, redrive, warnings)


def _latest_redrive(queue: Queue) -> tuple[Redrive | None, list[str]]:
    try:
        return queue.latest_redrive(), []
    except StoreThrottled:
        raise
    except StoreError as error:
        # Some emulators know no moves; what is in the queue can be told all the same.
        return None, [f"whether letters are being sent back is not known: {error}"]


def _without_notes(store: ItemStore, records: Sequence[dict[str, Any]]) -> list[Note]:
    by_key = {note_key(record): record for record in records}
    known = known_keys(store, list(by_key)) if by_key else set()
    return [note_without_burial(record) for key, record in by_key.items() if key not in known]


def _warnings(queued: int, noted: int, unknown: int) -> list[str]:
    if unknown:
        return [
            f"{unknown} of a few that were looked at have no note; there may be more like them, "
            "for a queue cannot be listed"
        ]
    if noted and not queued:
        return [
            "the dead-letter queue is empty: what is listed was sent back and is not stored yet, "
            "or was deleted from the queue"
        ]
    return []
