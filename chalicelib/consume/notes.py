"""The notes of what the consumer buries: kept with the dead letter, and forgotten once its message is stored.

`store/dead_letter.py` says what a note is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib import config
from chalicelib.store.dead_letter import note_item, note_item_key, notes_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.store.dead_letter import Note
    from chalicelib.store.items import ItemStore


def write_notes(store: ItemStore, notes: Sequence[Note]) -> None:
    """Keep notes; one that is there already counts a burial more. Raises StoreThrottled or StoreError."""
    if not notes:
        return
    latest = {note.key: note for note in notes}
    known = {note.key: note for note in notes_with(store, list(latest))}
    merged = [_merged(known.get(key), note) for key, note in latest.items()]
    store.put_batch(config.STATISTICS_TABLE, [note_item(note) for note in merged])


def forget_notes(store: ItemStore, keys: Sequence[str]) -> None:
    """Delete these notes, of letters that are stored and counted now."""
    store.delete_batch(config.STATISTICS_TABLE, [note_item_key(key) for key in keys])


def _merged(known: Note | None, note: Note) -> Note:
    if known is None:
        return note
    return note._replace(first_unix_seconds=known.first_unix_seconds, burials=known.burials + 1)
