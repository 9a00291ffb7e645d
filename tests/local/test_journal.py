"""The journal gives back what it was given, whatever the process was doing when it died."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.errors import StoreError
from chalicelib.queue.message import Message, message_from_payload
from local import journal
from local.journal import Journal, JournalError, JournalledSender, record_from_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


def message(number: int, received: int = 1_000) -> Message:
    return message_from_payload("tenant", b"payload %d" % number, number, received)


MESSAGES = [message(number) for number in range(3)]
RECORDS = [record_from_message(one) for one in MESSAGES]


def kept(folder: Path, oldest: int = 0) -> list[Message]:
    """What a process finds in the folder for which what was received before `oldest` is too old."""
    opened = Journal(folder, oldest, 0)
    try:
        return list(opened.messages())
    finally:
        opened.close()


def append(folder: Path, messages: Sequence[Message]) -> None:
    opened = Journal(folder, 0)
    opened.append(messages)
    opened.close()


def set_aside(folder: Path) -> list[bytes]:
    """What no record was found in, in the order in which it was put there."""
    names = sorted(folder.glob("journal.damaged-*"), key=lambda path: int(path.name[16:]))
    return [name.read_bytes() for name in names]


class Sender:
    """A MessageSender that remembers, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[Message] = []
        self._error = error

    def send(self, messages: Sequence[Message]) -> None:
        if self._error:
            raise self._error
        self.sent += messages


def test_round_trip(tmp_path):
    """What is appended is there, in order, for the next process; the folder is made if need be."""
    folder = tmp_path / "new" / "folder"
    append(folder, MESSAGES[:2])
    append(folder, MESSAGES[2:])
    assert kept(folder) == MESSAGES


def test_record_layout():
    """A record is what the module's drawing says, byte by byte."""
    record = record_from_message(Message(b"\x01" * 32, 2, 3, b"frame"))
    assert record[:4] == b"CLWJ"
    assert record[8:] == b"\x01" + b"\0\0\0\x05" + b"\0\0\0\x02" + bytes(7) + b"\x03" + (
        b"\x01" * 32 + b"frame"
    )


@pytest.mark.parametrize("length", range(len(RECORDS[2])))
def test_torn_end(tmp_path, caplog, length):
    """A last record that stops at any byte is set aside and said; what came before stays, what comes after follows."""
    whole = b"".join(RECORDS[:2])
    torn = RECORDS[2][:length]
    (tmp_path / "journal").write_bytes(whole + torn)
    append(tmp_path, [message(9)])
    assert ("set aside" in caplog.text) == (length > 0)
    assert set_aside(tmp_path) == ([torn] if torn else [])
    assert (tmp_path / "journal").read_bytes() == whole + record_from_message(message(9))


def test_damaged_byte(tmp_path):
    """One wrong byte anywhere costs the record that it is in, and no other."""
    content = b"".join(RECORDS)
    start, end = len(RECORDS[0]), len(RECORDS[0] + RECORDS[1])
    for place in range(start, end):
        damaged = bytearray(content)
        damaged[place] ^= 0x55
        found = journal.scan(bytes(damaged))
        assert [record.start for record in found.records] == [0, end]
        assert found.damaged == [(start, end)]


def test_damage_is_said(tmp_path, caplog):
    """Damage between two records is said and skipped."""
    (tmp_path / "journal").write_bytes(RECORDS[0] + b"CLWJ noise" + RECORDS[1])
    assert kept(tmp_path) == MESSAGES[:2]
    assert "damaged" in caplog.text


@pytest.mark.parametrize("content", [b"no journal at all", bytes(100_000), RECORDS[0][1:]])
def test_nothing_can_be_read(tmp_path, caplog, content):
    """A file in which no record is found is set aside as it is, each time anew, and said; a new one is begun."""
    for number, torn in enumerate([content, b"another"], 1):
        (tmp_path / "journal").write_bytes(torn)
        append(tmp_path, [message(9)])
        assert f"set aside as {tmp_path / f'journal.damaged-{number}'}" in caplog.text
        assert kept(tmp_path) == [message(9)]
    assert set_aside(tmp_path) == [content, b"another"]


def test_no_room_to_set_aside(tmp_path, caplog, monkeypatch):
    """A torn end that cannot be copied stays where it is, and costs nothing that is written after it."""
    torn = RECORDS[1][:60]
    (tmp_path / "journal").write_bytes(RECORDS[0] + torn)
    with monkeypatch.context() as full:
        full.setattr(type(tmp_path), "open", lambda *_: (_ for _ in ()).throw(OSError("full")))
        append(tmp_path, [message(9)])
    assert "left there" in caplog.text
    assert (tmp_path / "journal").read_bytes() == RECORDS[0] + torn + record_from_message(
        message(9)
    )
    assert kept(tmp_path) == [MESSAGES[0], message(9)]


DAY = 86_400
NOW = 1_700_000_000


class TestClock:
    """Nothing is forgotten because of a clock alone."""

    @staticmethod
    def opened(folder: Path, now: int) -> list[int]:
        """The span counts that a start at that time finds."""
        journal = Journal(folder, now, 14 * DAY)
        numbers = [one.span_count for one in journal.messages()]
        journal.close()
        return numbers

    @settings(deadline=None, max_examples=200)
    @given(
        st.lists(st.integers(0, 13 * DAY), min_size=1, max_size=6),
        st.lists(st.integers(-(10**9), 10**10), max_size=5),
    )
    def test_wrong_at_starts(self, tmp_path_factory, ages, clocks):
        """Starts with the clock anywhere, without a span between them, forget none that is within the retention."""
        folder = tmp_path_factory.mktemp("journal")
        messages = [message(n, NOW - age) for n, age in enumerate(sorted(ages, reverse=True))]
        append(folder, messages)
        for clock in (*clocks, 0):
            assert self.opened(folder, NOW + clock) == list(range(len(messages)))
        assert (folder / "journal").read_bytes() == b"".join(map(record_from_message, messages))

    def test_ahead_with_spans(self, tmp_path, caplog):
        """A span of a start with the clock ahead makes the others old only at a start that has the same clock."""
        append(tmp_path, [message(1, NOW), message(2, NOW)])
        wrong = Journal(tmp_path, NOW + 15 * DAY, 14 * DAY)
        wrong.append([message(3, NOW + 15 * DAY)])
        wrong.close()
        assert self.opened(tmp_path, NOW + DAY) == [1, 2, 3]
        assert caplog.text == ""
        before = (tmp_path / "journal").read_bytes()
        assert self.opened(tmp_path, NOW + 15 * DAY) == [3]
        said = f"2 messages with 3 spans, received from 2023-11-14 22:13 UTC to {'2023-11-14 22:13 UTC'}"
        assert said in caplog.text
        assert str(tmp_path / "journal.old") in caplog.text
        assert (tmp_path / "journal.old").read_bytes() == before

    def test_the_old_file_is_kept_until_the_next_start(self, tmp_path):
        """Put back in its place it is the journal again; else the next start deletes it."""
        append(tmp_path, [message(1, NOW), message(2, NOW + 15 * DAY)])
        assert self.opened(tmp_path, NOW + 15 * DAY) == [2]
        (tmp_path / "journal.old").replace(tmp_path / "journal")
        assert self.opened(tmp_path, NOW) == [1, 2]
        assert self.opened(tmp_path, NOW + 15 * DAY) == [2]
        assert self.opened(tmp_path, NOW + 15 * DAY) == [2]
        assert not (tmp_path / "journal.old").exists()

    def test_a_clock_that_stood_in_1970_ages_no_span(self, tmp_path):
        """A span that came while the clock stood in 1970 is as old as the one before it, and is given back so."""
        append(tmp_path, [message(1, NOW), message(2, 60), message(3, NOW + DAY)])
        journal = Journal(tmp_path, NOW + DAY, 14 * DAY)
        assert [one.received_unix_seconds for one in journal.messages()] == [NOW, NOW, NOW + DAY]
        journal.close()

    def test_a_time_to_come_says_nothing_of_what_follows(self, tmp_path):
        """After a span with a time ten years ahead the others still expire."""
        append(
            tmp_path, [message(1, NOW + 3_650 * DAY), message(2, NOW), message(3, NOW + 20 * DAY)]
        )
        assert self.opened(tmp_path, NOW + 20 * DAY) == [1, 3]

    def test_killed_between_the_files(self, tmp_path):
        """Where only the old file is there, it is the journal."""
        append(tmp_path, MESSAGES)
        (tmp_path / "journal").replace(tmp_path / "journal.old")
        assert kept(tmp_path) == MESSAGES


def test_damage_survives_compaction(tmp_path):
    """Bytes between records that cannot be read are set aside before the file is written anew without them."""
    old = b"".join(record_from_message(message(number, 10)) for number in range(5))
    (tmp_path / "journal").write_bytes(old + b"noise" + RECORDS[0])
    assert kept(tmp_path, oldest=1_000) == [MESSAGES[0]]
    assert set_aside(tmp_path) == [b"noise"]


def test_newer_version(tmp_path, monkeypatch):
    """A journal of a newer Clew is refused, not cut off."""
    with monkeypatch.context() as newer:
        newer.setattr(journal, "VERSION", 2)
        append(tmp_path, MESSAGES)
    before = (tmp_path / "journal").read_bytes()
    with pytest.raises(JournalError, match="newer"):
        Journal(tmp_path, 0)
    assert (tmp_path / "journal").read_bytes() == before


def test_what_was_accepted_twice_is_replayed_once(tmp_path):
    """What was accepted twice is replayed once."""
    append(tmp_path, [MESSAGES[0], MESSAGES[1], MESSAGES[0]])
    assert kept(tmp_path) == MESSAGES[:2]


def test_expired_payloads_are_not_replayed(tmp_path):
    """What is older than the retention is not replayed."""
    append(tmp_path, [message(1, received=10), message(2, received=20)])
    assert kept(tmp_path, oldest=20) == [message(2, received=20)]


def test_a_mostly_expired_journal_is_written_anew(tmp_path):
    """When a good part is expired, the file is written anew without it, and goes on as before."""
    old = [message(number, received=10) for number in range(50)]
    new = [message(number, received=20) for number in range(50, 60)]
    append(tmp_path, old + new)
    assert kept(tmp_path, oldest=20) == new
    expected = b"".join(record_from_message(one) for one in new)
    assert (tmp_path / "journal").read_bytes() == expected
    append(tmp_path, [message(99)])
    assert kept(tmp_path) == [*new, message(99)]


def test_no_needless_compaction(tmp_path):
    """A little waste is left alone: a start does not write the whole file anew."""
    append(tmp_path, [message(1, received=10), *(message(number, 20) for number in range(2, 30))])
    before = (tmp_path / "journal").read_bytes()
    assert len(kept(tmp_path, oldest=20)) == 28
    assert (tmp_path / "journal").read_bytes() == before


def test_left_over_temporary_file(tmp_path):
    """A process that was killed while it wrote the file anew leaves nothing that disturbs."""
    (tmp_path / "journal.new").write_bytes(b"half of a")
    append(tmp_path, [message(1, received=10), message(2, received=20)])
    assert kept(tmp_path, oldest=20) == [message(2, received=20)]


def test_forgetting_while_it_runs(tmp_path):
    """What expires while the process runs is left out of the file, and what is appended afterwards follows."""
    opened = Journal(tmp_path, 0, 0)
    opened.append([message(number, received=10) for number in range(20)])
    opened.append([message(number, received=20) for number in range(20, 30)])
    opened.forget(20)
    opened.append([message(99, received=30)])
    opened.close()
    expected = [*(message(number, received=20) for number in range(20, 30)), message(99, 30)]
    assert (tmp_path / "journal").read_bytes() == b"".join(map(record_from_message, expected))
    assert kept(tmp_path, oldest=20) == expected


class Killed(BaseException):
    """Nothing is done any more."""


def dying_at(step: int, calls: Iterator[int], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, during whose call of this number the process dies: of what it was to write, half is there."""

    def call(*arguments: Any) -> Any:
        if next(calls) != step:
            return function(*arguments)
        if function is os.write:
            function(arguments[0], arguments[1][: len(arguments[1]) // 2])
        raise Killed

    return call


def test_killed_while_it_is_written_anew(tmp_path, monkeypatch):
    """Killed at any step of a compaction, the journal holds all that is not expired."""
    old = [message(number, received=10) for number in range(5)]
    new = [message(number, received=20) for number in range(5, 8)]
    steps = 0
    for step in count():
        folder = tmp_path / str(step)
        append(folder, old + new)
        calls = count()
        functions = {name: getattr(os, name) for name in ("write", "pread", "fsync", "replace")}
        with monkeypatch.context() as dying:
            for name, function in functions.items():
                dying.setattr(os, name, dying_at(step, calls, function))
            try:
                Journal(folder, 20, 0).close()
                break
            except Killed:
                steps += 1
        assert kept(folder, oldest=20) == new
    assert steps > 2 * len(new)


def test_forgetting_loses_no_append(tmp_path):
    """Appends from other threads while the file is written anew are in it."""
    opened = Journal(tmp_path, 0, 0)
    opened.append([message(number, received=10) for number in range(200)])
    numbers = range(1_000, 1_200)
    with ThreadPoolExecutor(2) as threads:
        appended = threads.map(lambda number: opened.append([message(number, 20)]), numbers)
        for _ in range(20):
            opened.forget(20)
        list(appended)
    opened.close()
    assert {one.span_count for one in kept(tmp_path, oldest=20)} == set(numbers)


class TestAnyDamage:
    """Whatever a machine leaves of the file, what lies before the damage is there, and it is said."""

    MESSAGES = st.lists(
        st.builds(
            message_from_payload,
            st.just("tenant"),
            st.binary(max_size=60),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**63),
        ),
        unique_by=lambda one: one.digest,
        max_size=5,
    )

    @settings(deadline=None)
    @given(MESSAGES)
    def test_cut_at_every_byte(self, messages):
        """A file that ends at any byte holds every message that was whole, and nothing else; the rest is named."""
        records = [record_from_message(one) for one in messages]
        content = b"".join(records)
        ends = [sum(map(len, records[:count])) for count in range(len(records) + 1)]
        for length in range(len(content) + 1):
            found = journal.scan(content[:length])
            whole = sum(end <= length for end in ends) - 1
            assert [record.digest for record in found.records] == [
                one.digest for one in messages[:whole]
            ]
            assert (found.damaged, found.end) == ([], ends[whole])

    @settings(deadline=None)
    @given(MESSAGES, st.integers(1, 255))
    def test_wrong_at_every_byte(self, messages, difference):
        """One wrong byte costs the record that it is in, which is named, and no other before or after it."""
        records = [record_from_message(one) for one in messages]
        content = bytearray(b"".join(records))
        for place in range(len(content)):
            content[place] ^= difference
            found = journal.scan(bytes(content))
            content[place] ^= difference
            hit, start = 0, 0
            while start + len(records[hit]) <= place:
                start += len(records[hit])
                hit += 1
            others = [*messages[:hit], *messages[hit + 1 :]]
            assert [record.digest for record in found.records] == [one.digest for one in others]
            if hit == len(records) - 1:
                assert (found.damaged, found.end) == ([], start)
            else:
                assert found.damaged == [(start, start + len(records[hit]))]

    @settings(deadline=None)
    @given(MESSAGES, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), max_size=8))
    def test_wrong_at_many_bytes(self, messages, wrong):
        """However much is wrong, what is found is what was written, in order, and every record that was not hit."""
        records = [record_from_message(one) for one in messages]
        content = bytearray(b"".join(records))
        original = bytes(content)
        for place, value in wrong if content else ():
            content[place % len(content)] = value
        found = journal.scan(bytes(content))
        digests = [record.digest for record in found.records]
        start, intact = 0, []
        for one, record in zip(messages, records, strict=True):
            end = start + len(record)
            if content[start:end] == original[start:end]:
                intact.append(one.digest)
            start = end
        assert digests == intact


def test_a_folder_serves_one_process_at_a_time(tmp_path):
    """A folder serves one process at a time, and the second is told what to do."""
    first = Journal(tmp_path, 0)
    with pytest.raises(JournalError, match=r"in use by another Clew .* DATA_DIR"):
        Journal(tmp_path, 0)
    first.close()
    Journal(tmp_path, 0).close()


def test_unusable_folder(tmp_path):
    """A folder that cannot be made is refused with its name."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(JournalError, match="file"):
        Journal(tmp_path / "file", 0)


def test_sender_order(tmp_path):
    """A message is in the journal before it is in the queue: the queue may fail, the journal has it."""
    opened = Journal(tmp_path, 0)
    failing = JournalledSender(opened, Sender(StoreError("no queue")))
    with pytest.raises(StoreError):
        failing.send(MESSAGES)
    opened.close()
    assert kept(tmp_path) == MESSAGES


def test_sender_without_journal(tmp_path, monkeypatch):
    """What the journal does not take is not accepted, and leaves no half record behind."""
    inner = Sender()
    opened = Journal(tmp_path, 0)
    sender = JournalledSender(opened, inner)
    sender.send(MESSAGES[:1])
    write = os.write
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, content: write(file, content[:20]))
        with pytest.raises(StoreError, match="disk is full"):
            sender.send(MESSAGES[1:2])
    sender.send(MESSAGES[2:])
    opened.close()
    assert inner.sent == [MESSAGES[0], MESSAGES[2]]
    assert kept(tmp_path) == [MESSAGES[0], MESSAGES[2]]
