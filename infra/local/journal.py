"""What the laptop stack accepted, in one append-only file, so that it survives a restart and `kill -9`.

    send ──▶ append (the operating system has it) ──▶ queue          at start: file ──▶ live records ──▶ queue

Replaying is harmless, for a message's identity is its digest. A record, big-endian:

    magic "CLWJ" | crc32 4 | version 1 | frame bytes 4 | span count 4 | received 8, unix seconds | digest 32 | frame

The checksum covers all after itself. A record is found again after damage by its magic and believed for its checksum.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import threading
import zlib
from typing import TYPE_CHECKING, NamedTuple

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
"""Far above what SQS takes (1 MiB); bounds what a damaged length can make us read."""
WASTE_SHARE_MAX = 0.25
"""The share of expired, repeated and damaged bytes above which the file is written anew."""
_HEAD = struct.Struct(">4sI")
_FIELDS = struct.Struct(">BIIQ32s")
_FRAME_AT = _HEAD.size + _FIELDS.size


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


class Record(NamedTuple):
    """Where a message is in the file, and what decides whether it is still wanted."""

    start: int
    end: int
    digest: bytes
    span_count: int
    received_unix_seconds: int


class Scan(NamedTuple):
    """What a file holds, in order."""

    records: list[Record]
    damaged: list[tuple[int, int]]
    """Start and end of what is no record, with a record after it."""
    end: int
    """Of the last record. What follows was being written when the writer was killed."""


def record_from_message(message: Message) -> bytes:
    """The bytes of one record."""
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
    """Find the records of a journal, whatever happened to it.

    Raises JournalError for an intact record of a version that is not known: cutting it off would lose it.
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
    """When the record with these first bytes was received, in Unix seconds."""
    received: int = _FIELDS.unpack_from(head, _HEAD.size)[3]
    return received


def live_records(records: Iterable[Record], oldest_unix_seconds: int) -> list[Record]:
    """The first record of each digest that was received then or later, in order."""
    live: dict[bytes, Record] = {}
    for record in records:
        if record.received_unix_seconds >= oldest_unix_seconds:
            live.setdefault(record.digest, record)
    return list(live.values())


class Journal:
    """The journal of one folder, which it holds alone until `close`."""

    def __init__(self, folder: Path, oldest_unix_seconds: int) -> None:
        """Open or create it, cut off a torn end, forget what was received before `oldest_unix_seconds`.

        Raises JournalError if the folder cannot be used, or is used by another process.
        """
        self.path = folder / "journal"
        self._lock = threading.Lock()
        self._alone = _lock_folder(folder)
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                self._records = self._recover(oldest_unix_seconds)
            except BaseException:
                os.close(self._file)
                raise
        except BaseException as error:
            os.close(self._alone)
            if isinstance(error, OSError | JournalError):
                raise JournalError(f"{self.path} cannot be used: {error}") from error
            raise

    def __len__(self) -> int:
        """How many messages `messages` gives."""
        return len(self._records)

    def messages(self) -> Iterator[Message]:
        """What the journal held when it was opened: each digest once, in the order of arrival."""
        for record in self._records:
            frame_bytes = record.end - record.start - _FRAME_AT
            frame = os.pread(self._file, frame_bytes, record.start + _FRAME_AT)
            yield Message(record.digest, record.span_count, record.received_unix_seconds, frame)

    def append(self, messages: Sequence[Message]) -> None:
        """Return when the operating system has them: they survive this process, not a loss of power.

        Raises StoreError if it does not take them, with the file as it was before.
        """
        written = b"".join(record_from_message(message) for message in messages)
        with self._lock:
            size = os.fstat(self._file).st_size
            try:
                if os.write(self._file, written) != len(written):
                    raise OSError("the disk is full")
            except OSError as error:
                os.ftruncate(self._file, size)
                raise StoreError(f"the journal cannot be written: {error}") from error

    def forget(self, oldest_unix_seconds: int) -> None:
        """Leave out what was received before, if that is much; `append` waits meanwhile, and `messages` is over."""
        with self._lock:
            self._records = []
            # Records come in the order of their arrival: while the first is wanted, nothing is expired.
            head = os.pread(self._file, _FRAME_AT, 0)
            if len(head) == _FRAME_AT and _received_in(head) < oldest_unix_seconds:
                size = os.fstat(self._file).st_size
                self._without_waste(self._scan(size), oldest_unix_seconds)

    def close(self) -> None:
        os.close(self._file)
        os.close(self._alone)

    def _recover(self, oldest_unix_seconds: int) -> list[Record]:
        size = os.fstat(self._file).st_size
        found = self._scan(size)
        for start, end in found.damaged:
            _logger.warning("%s: bytes %d to %d are damaged; skipped", self.path, start, end)
        if found.end < size:
            torn = size - found.end
            _logger.warning("%s: the last %d bytes are no whole record; cut off", self.path, torn)
            os.ftruncate(self._file, found.end)
        return self._without_waste(found, oldest_unix_seconds)

    def _without_waste(self, found: Scan, oldest_unix_seconds: int) -> list[Record]:
        """The live records, in a file that holds little else."""
        live = live_records(found.records, oldest_unix_seconds)
        live_bytes = sum(record.end - record.start for record in live)
        if found.end - live_bytes > found.end * WASTE_SHARE_MAX:
            live = self._write_anew(live)
        return live

    def _scan(self, size: int) -> Scan:
        if not size:  # mmap refuses an empty file
            return Scan([], [], 0)
        with mmap.mmap(self._file, size, access=mmap.ACCESS_READ) as content:
            return scan(content)

    def _write_anew(self, live: Sequence[Record]) -> list[Record]:
        """Replace the file by one with these records alone; killed anywhere, one of the two files is there."""
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


def _lock_folder(folder: Path) -> int:
    """A file that this process holds locked; the lock ends with the process, however that ends."""
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
