"""`python -m infra dead-letters …`, over moto: what it prints, and that letters go back."""

from __future__ import annotations

import pytest

from chalicelib import config, wiring
from chalicelib.consume.notes import write_notes
from chalicelib.store.dead_letter import note_of
from infra.__main__ import main
from local.fake_aws import Moto
from tests.consume.records import message_of, record_of
from tests.faults.injector import refused
from tests.payloads import NOON_UNIX_SECONDS, Made, trace_id

pytestmark = pytest.mark.slow


@pytest.fixture
def infra(capsys):
    """Runs the command; returns its exit code and what it printed, on standard output and standard error."""
    moto = Moto()
    moto.start(config.PREFIX, {})

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--prefix", config.PREFIX, "dead-letters", *words])
        return code, *capsys.readouterr()

    yield run
    moto.stop()


def bury(number: int) -> None:
    record = record_of(message_of([Made(number, 1), Made(number, 2)]))
    note = note_of(record, "no room on the shelf", NOON_UNIX_SECONDS)
    wiring.dead_letters().bury(record, note.reason, note.key)
    write_notes(wiring.store(), [note])


def test_list_and_redrive(infra, monkeypatch):
    """The list shows why, how many spans and which traces; a redrive empties the queue, and is said."""
    monkeypatch.setattr("infra.dead_letters.time.time", lambda: NOON_UNIX_SECONDS + 60)
    bury(1)
    bury(2)
    code, printed, errors = infra("list")
    assert (code, errors) == (0, "")
    assert printed.count("no room on the shelf") == 2
    assert printed.count("2 spans  buried 1x, delivered 1x") == 2
    assert trace_id(1).hex() in printed
    assert "2 in the dead-letter queue" in printed
    code, printed, errors = infra("redrive")
    assert (code, printed) == (0, "redrive completed, 2 of 2 sent back\n")
    printed = infra("list")[1]
    assert "0 in the dead-letter queue" in printed
    assert "redrive completed" in printed
    assert "not stored yet" in printed


def test_a_cut_list_says_so_and_a_bad_limit_is_refused(infra, monkeypatch):
    """A list that is cut says so; a limit that is none is refused."""
    monkeypatch.setattr("infra.dead_letters.time.time", lambda: NOON_UNIX_SECONDS + 60)
    bury(1)
    bury(2)
    assert "there are more" in infra("list", "--limit", "1")[1]
    code, _, errors = infra("list", "--limit", "0")
    assert code == 1
    assert "--limit" in errors


def test_an_empty_list_says_that_it_is_empty(infra):
    """Where there is nothing, that is what is said."""
    assert infra("list") == (0, "0 in the dead-letter queue\n", "")


def test_a_refusing_queue_is_one_line_on_standard_error(infra):
    """A queue that refuses is one line on standard error and exit code 1."""
    sqs = wiring.client("sqs")
    sqs.meta.events.register_first("before-call.sqs", lambda **_: refused("AccessDenied")())
    code, printed, errors = infra("redrive")
    assert (code, printed, errors.count("\n")) == (1, "", 1)
    assert "AccessDenied" in errors
