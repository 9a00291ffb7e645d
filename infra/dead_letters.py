"""`python -m infra dead-letters list | redrive`: lists messages that could not be stored, and sends them back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from infra.stages import Refused

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from chalicelib.queue.sqs_redrive import Redrive
    from chalicelib.store.dead_letter import Note
    from chalicelib.store.items import ItemStore


def add_commands(commands: Any) -> None:
    """Add `dead-letters` to the subparsers of `python -m infra`; each command's `run` takes store and arguments."""
    letters = commands.add_parser("dead-letters", help="list what could not be stored, or redrive")
    actions = letters.add_subparsers(dest="action", required=True)
    listed = actions.add_parser("list", help="each with its reason, what was sent last first")
    listed.add_argument("--limit", type=int, default=100, help="how many at most (default: 100)")
    listed.set_defaults(run=_list)
    actions.add_parser("redrive", help="send all of them back to be stored").set_defaults(
        run=_redrive
    )


def _list(store: ItemStore, arguments: argparse.Namespace) -> None:
    from chalicelib import wiring
    from chalicelib.query.dead_letters import dead_letters

    if arguments.limit < 1:
        raise Refused(f"--limit must be 1 or more, not {arguments.limit}")
    queue = wiring.dead_letter_queue()
    found = dead_letters(store, queue, int(time.time()), arguments.limit, None)
    for note in found.notes:
        print("\n".join(_lines(note)))
    print(f"{found.queued} in the dead-letter queue")
    if found.next_cursor:
        print("there are more: ask with a larger --limit")
    if found.redrive:
        print(_redrive_line(found.redrive))
    for warning in found.warnings:
        print(f"note: {warning}")


def _lines(note: Note) -> Iterator[str]:
    last = time.strftime("%Y-%m-%d %H:%M", time.gmtime(note.last_unix_seconds))
    spans = "? spans" if note.span_count is None else f"{note.span_count} spans"
    times = f"buried {note.burials}x, delivered {note.receive_count}x"
    yield f"{last} UTC  {note.message_bytes} bytes  {spans}  {times}"
    yield f"    {note.reason}"
    if note.trace_ids:
        yield f"    traces: {' '.join(trace_id.hex() for trace_id in note.trace_ids)}"


def _redrive(store: ItemStore, arguments: argparse.Namespace) -> None:
    from chalicelib import wiring

    print(_redrive_line(wiring.dead_letter_queue().redrive()))


def _redrive_line(redrive: Redrive) -> str:
    of = "" if redrive.to_move is None else f" of {redrive.to_move}"
    why = f": {redrive.failure_reason}" if redrive.failure_reason else ""
    return f"redrive {redrive.status}, {redrive.moved}{of} sent back{why}"
