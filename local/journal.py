"""An append-only file with every accepted message, so that they survive a restart and `kill -9`.

    send ──▶ append (the operating system has it) ──▶ queue          at start: file ──▶ live records ──▶ queue

Replaying is idempotent, for a message's identity is its digest. A record, big-endian:

    magic "CLWJ" | crc32 4 | version 1 | frame bytes 4 | span count 4 | received 8, unix seconds | digest 32 | frame

The checksum covers all bytes after itself. After damage the next record is found by its magic, and its checksum proves
it.

Nothing is deleted because of a clock alone, or because it cannot be read:

    journal            accepted messages that have not expired
    journal.old        the file as it was before this start forgot something; the next start deletes it
    journal.damaged-1  bytes in which no record was found; Clew never deletes it
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import threading
import zlib
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import config
from chalicelib.errors import StoreError
from chalicelib.queue.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from chalicelib.queue.sqs import MessageSender

_logger = logging.getLogger(__name__)

MAGIC = b"CLWJ"
VERSION = 1
FRAME_BYTES_MAX = 4 * 1024 * 1024
"""The largest frame that is read, far above SQS's limit (1 MiB). It bounds what a damaged length makes us read."""
WASTE_SHARE_MAX = 0.25
"""The share of expired, repeated and damaged bytes above which the file is written anew."""
_COPY_BYTES = 1_000_000
_HEAD = struct.Struct(">4sI")
_FIELDS = struct.Struct(">BIIQ32s")
_FRAME_AT = _HEAD.size + _FIELDS.size


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


class Record(NamedTuple):
    """The place of a message in the file, and the fields that decide whether it is kept."""

    start: int
    end: int
    digest: bytes
    span_count: int
    received_unix_seconds: int


class Scan(NamedTuple):
    """The records of a file in order, and the bytes between them."""

    records: list[Record]
    damaged: list[tuple[int, int]]
    """Start and end of each range of bytes that is no record but has a record after it."""
    end: int
    """The end of the last record. The bytes after it were being written when the writer was killed."""


def record_from_message(message: Message) -> bytes:
    """Return the bytes of a record."""
    fields = _FIELDS.pack(
        VERSION,
        len(message.frame),
        message.span_count,
        message.received_unix_seconds,
        message.digest,
    )
    checksum = zlib.crc32(message.frame, zlib.crc32(fields))
    return _HEAD.pack(MAGIC, checksum) + fields + message.frame


def scan(content: bytes | mmap.mmap) -> Scan:
    """Find the records of a journal, even of a damaged one.

    Raises JournalError for an intact record of an unknown version: cutting it off would lose it.
    """
    records: list[Record] = []
    damaged: list[tuple[int, int]] = []
    end = start = 0
    while (start := content.find(MAGIC, start)) >= 0:
        record = _record_at(content, start)
        if record is None:
            start += 1
            continue
        if record.start > end:
            damaged.append((end, record.start))
        records.append(record)
        start = end = record.end
    return Scan(records, damaged, end)


def _record_at(content: bytes | mmap.mmap, start: int) -> Record | None:
    frame_at = start + _FRAME_AT
    if frame_at > len(content):
        return None
    checksum = _HEAD.unpack_from(content, start)[1]
    fields = _FIELDS.unpack_from(content, start + _HEAD.size)
    version, frame_bytes, span_count, received, digest = fields
    end = frame_at + frame_bytes
    if frame_bytes > FRAME_BYTES_MAX or end > len(content):
        return None
    with memoryview(content) as view:
        if zlib.crc32(view[start + _HEAD.size : end]) != checksum:
            return None
    if version != VERSION:
        raise JournalError(f"it holds records of version {version}: a newer Clew wrote them")
    return Record(start, end, digest, span_count, received)


def _received_in(head: bytes) -> int:
    """Return the Unix seconds at which a record was received, from its first bytes."""
    received: int = _FIELDS.unpack_from(head, _HEAD.size)[3]
    return received


def dated_records(records: Iterable[Record], now_unix_seconds: int) -> list[Record]:
    """Return the records with times that never decrease: a clock that was set back makes no record older.

    A time in the future comes from a clock that was ahead, and does not change the records after it.
    """
    dated: list[Record] = []
    latest = 0
    for record in records:
        if record.received_unix_seconds <= now_unix_seconds:
            latest = max(latest, record.received_unix_seconds)
        received = max(latest, record.received_unix_seconds)
        dated.append(record._replace(received_unix_seconds=received))
    return dated


def has_waste(found: Scan, live: Sequence[Record]) -> bool:
    """Return whether the share of useless bytes is above WASTE_SHARE_MAX, so that the file is written anew."""
    live_bytes = sum(record.end - record.start for record in live)
    return found.end - live_bytes > found.end * WASTE_SHARE_MAX


def live_records(records: Iterable[Record], oldest_unix_seconds: int) -> list[Record]:
    """Return the first record of each digest that was received at `oldest_unix_seconds` or later, in order."""
    live: dict[bytes, Record] = {}
    for record in records:
        if record.received_unix_seconds >= oldest_unix_seconds:
            live.setdefault(record.digest, record)
    return list(live.values())


class Journal:
    """The journal in a folder; it holds the folder's lock until `close`."""

    def __init__(
        self,
        folder: Path,
        now_unix_seconds: int,
        retention_seconds: int = config.RETENTION_SECONDS,
    ) -> None:
        """Open or create the journal, set damaged bytes aside, and forget records older than the retention.

        Ages are counted to `now_unix_seconds`, or to the newest record if that is earlier: a clock that is ahead makes
        no record old. Raises JournalError if the folder cannot be used, or is used by another process.
        """
        self.path = folder / "journal"
        self.newest_unix_seconds: int | None = None
        """The time of the newest record that the journal held when it was opened; None if it held none."""
        self._old = folder / "journal.old"
        self._retention_seconds = retention_seconds
        self._lock = threading.Lock()
        self._alone = _lock_folder(folder)
        try:
            if self._old.exists() and not self.path.exists():
                # Killed between the two renames of a start that forgot something.
                self._old.replace(self.path)
            self._file = self._opened()
            try:
                self._records = self._recover(now_unix_seconds)
            except BaseException:
                os.close(self._file)
                raise
        except BaseException as error:
            os.close(self._alone)
            if isinstance(error, OSError | JournalError):
                raise JournalError(f"{self.path} cannot be used: {error}") from error
            raise

    def __len__(self) -> int:
        """Return how many messages `messages` yields."""
        return len(self._records)

    def messages(self) -> Iterator[Message]:
        """Yield the messages that the journal held when it was opened: each digest once, in the order of arrival."""
        for record in self._records:
            frame_bytes = record.end - record.start - _FRAME_AT
            frame = os.pread(self._file, frame_bytes, record.start + _FRAME_AT)
            yield Message(record.digest, record.span_count, record.received_unix_seconds, frame)

    def append(self, messages: Sequence[Message]) -> None:
        """Write the messages. They then survive the end of this process, but not a loss of power.

        Raises StoreError if they cannot be written; the file is then as it was before.
        """
        written = b"".join(record_from_message(message) for message in messages)
        with self._lock:
            try:
                size = os.fstat(self._file).st_size
                self._append(written, size)
            except OSError as error:
                raise StoreError(f"the journal cannot be written: {error}") from error

    def _append(self, written: bytes, size: int) -> None:
        try:
            if os.write(self._file, written) != len(written):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._file, size)
            raise

    def forget(self, now_unix_seconds: int) -> None:
        """Delete messages older than the retention, if they are a large part of the file, and log how many.

        The caller must be sure of `now_unix_seconds`: no copy is kept. `append` waits meanwhile, and `messages` yields
        nothing afterwards.
        """
        oldest = now_unix_seconds - self._retention_seconds
        with self._lock:
            self._records = []
            # Records come in the order of their arrival: while the first is wanted, nothing is expired.
            head = os.pread(self._file, _FRAME_AT, 0)
            if len(head) == _FRAME_AT and _received_in(head) < oldest:
                found = self._scan(os.fstat(self._file).st_size)
                records = dated_records(found.records, now_unix_seconds)
                if has_waste(found, live := live_records(records, oldest)):
                    self._say_forgotten(records, oldest)
                    self._set_aside(found.damaged)
                    self._write_anew(live, keep_old=False)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._alone)

    def _opened(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def _recover(self, now_unix_seconds: int) -> list[Record]:
        size = os.fstat(self._file).st_size
        found = self._scan(size)
        if size and not found.records:
            self._begin_anew(size)
            return []
        for start, end in found.damaged:
            _logger.warning("%s: bytes %d to %d are damaged; skipped", self.path, start, end)
        if found.end < size:
            self._cut_end(found.end, size)
        records = dated_records(found.records, now_unix_seconds)
        newest = max((record.received_unix_seconds for record in records), default=None)
        self.newest_unix_seconds = newest
        # The copy that the last start kept is not needed: this start has read the journal that it wrote.
        self._old.unlink(missing_ok=True)
        if newest is None:
            return []
        oldest = min(now_unix_seconds, newest) - self._retention_seconds
        return self._without_waste(found, records, oldest)

    def _begin_anew(self, size: int) -> None:
        aside = self._free_name()
        self.path.replace(aside)
        os.close(self._file)
        self._file = self._opened()
        _logger.warning(
            "%s: in its %d bytes is no record that can be read; set aside as %s",
            *(self.path, size, aside),
        )

    def _cut_end(self, end: int, size: int) -> None:
        """Cut off the bytes after the last record once they are copied; if they cannot be copied, they stay."""
        text = "%s: the last %d bytes are no whole record; %s"
        if aside := self._set_aside([(end, size)]):
            os.ftruncate(self._file, end)
            _logger.warning(text, self.path, size - end, f"set aside as {aside}")
        else:
            _logger.warning(text, self.path, size - end, "left there")

    def _set_aside(self, ranges: Sequence[tuple[int, int]]) -> Path | None:
        """Copy these ranges into a new file and return it; None if there are none, or the disk is full."""
        if not ranges:
            return None
        aside = self._free_name()
        try:
            with aside.open("xb") as file:
                for start, end in ranges:
                    for place in range(start, end, _COPY_BYTES):
                        length = min(_COPY_BYTES, end - place)
                        file.write(os.pread(self._file, length, place))
        except OSError as error:
            aside.unlink(missing_ok=True)
            _logger.warning("%s: nothing can be set aside: %s", self.path, error)
            return None
        return aside

    def _free_name(self) -> Path:
        names = (self.path.with_name(f"journal.damaged-{number}") for number in count(1))
        return next(name for name in names if not name.exists())

    def _without_waste(
        self, found: Scan, records: Sequence[Record], oldest_unix_seconds: int
    ) -> list[Record]:
        """Return the live records; write the file anew if the rest is a large part of it."""
        live = live_records(records, oldest_unix_seconds)
        forgets = self._say_forgotten(records, oldest_unix_seconds)
        if has_waste(found, live):
            aside = self._set_aside(found.damaged)
            live = self._write_anew(
                live, keep_old=forgets or (aside is None and bool(found.damaged))
            )
            if self._old.exists():
                _logger.warning(
                    "%s is the journal as it was before; the next start deletes it", self._old
                )
        return live

    def _say_forgotten(self, records: Sequence[Record], oldest_unix_seconds: int) -> bool:
        """Log how many messages have expired, and of which time; return whether there are any."""
        old = [each for each in records if each.received_unix_seconds < oldest_unix_seconds]
        if old:
            times = [each.received_unix_seconds for each in old]
            _logger.warning(
                "%s: %d messages with %d spans, received from %s to %s, are forgotten: the retention is %s days",
                *(self.path, len(old), sum(each.span_count for each in old)),
                *(_time_text(min(times)), _time_text(max(times))),
                f"{self._retention_seconds / 86_400:g}",
            )
        return bool(old)

    def _scan(self, size: int) -> Scan:
        if not size:  # mmap refuses an empty file
            return Scan([], [], 0)
        with mmap.mmap(self._file, size, access=mmap.ACCESS_READ) as content:
            return scan(content)

    def _write_anew(self, live: Sequence[Record], *, keep_old: bool) -> list[Record]:
        """Replace the file by one with these records alone. A killed process leaves one of the two files."""
        temporary = self.path.with_suffix(".new")
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        other = os.open(temporary, flags, 0o600)
        moved: list[Record] = []
        try:
            for record in live:
                start = moved[-1].end if moved else 0
                length = record.end - record.start
                if os.write(other, os.pread(self._file, length, record.start)) != length:
                    raise OSError("the disk is full")
                moved.append(record._replace(start=start, end=start + length))
            os.fsync(other)
            if keep_old:
                self.path.replace(self._old)
            temporary.replace(self.path)
        except BaseException:
            os.close(other)
            raise
        os.close(self._file)
        self._file = other
        return moved


class JournalledSender:
    """A MessageSender that writes every message to a journal before the sender behind it gets it."""

    def __init__(self, journal: Journal, inner: MessageSender) -> None:
        self._journal = journal
        self._inner = inner

    def send(self, messages: Sequence[Message]) -> None:
        # In this order: a message that is in the journal alone is sent at the next start, and counted once.
        if messages:
            self._journal.append(messages)
        self._inner.send(messages)


def _time_text(unix_seconds: int) -> str:
    """Return a time in UTC as text; a number that is no possible time is returned in digits."""
    try:
        return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return str(unix_seconds)


def _lock_folder(folder: Path) -> int:
    """Lock the folder and return the lock file's descriptor. The lock ends with the process, however that ends.

    Raises JournalError if another process holds it, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise JournalError(f"{folder} cannot be used: {error}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise JournalError(
            f"{folder} is in use by another Clew (process {owner}); "
            "end it, or set DATA_DIR to another folder"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
