import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.errors import RecordError, StorageError, UnsafeFileError
from archiver.storage.journal import JOURNAL_NAME, RESERVE_BYTES, Journal, parse_journal


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path)
    made.append("created", name="a")
    return made


def test_events_come_back_in_order_with_their_details(journal):
    journal.append("logged", name="loss", value=float("nan"))
    events = journal.read().events
    assert [event.event for event in events] == ["created", "logged"]
    assert events[1].details == {"name": "loss", "value": "NaN"}
    assert events[0].monotonic_seconds <= events[1].monotonic_seconds


def test_a_torn_line_is_told_and_mended(journal):
    with journal.path.open("ab") as file:
        file.write(b'{"event":"epoch_en')
    assert journal.read().torn_bytes == 18
    journal.mend()
    contents = journal.read()
    assert [event.event for event in contents.events] == ["created", "journal_mended"]
    assert contents.events[1].details == {"removed_bytes": 18}
    before = journal.path.read_bytes()
    journal.mend()
    assert journal.path.read_bytes() == before


@given(st.binary(max_size=200))
def test_any_bytes_are_read(data):
    contents = parse_journal(data)
    assert len(contents.events) + len(contents.faults) == data.count(b"\n")


def test_a_line_that_finds_the_disk_full_waits(journal, monkeypatch):
    full = os.write
    allowed = []

    def write(descriptor, data):
        if not allowed:
            raise OSError(28, "No space left on device")
        return full(descriptor, data)

    monkeypatch.setattr("archiver.storage.files.os.write", write)
    with pytest.raises(StorageError, match="No space left"):
        journal.append("logged", name="a", value=1)
    allowed.append(True)
    journal.append("logged", name="b", value=2)
    assert [event.details.get("name") for event in journal.read().events] == ["a", "a", "b"]


def test_the_reserve_makes_room_for_the_last_words(journal, monkeypatch):
    journal.keep_reserve()
    reserve = journal.path.parent / ".tmp-reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    write = os.write

    def full_while_reserved(descriptor, data):
        if reserve.exists():
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr("archiver.storage.files.os.write", full_while_reserved)
    journal.append("logged", name="last", value="words")
    assert journal.read().events[-1].details["name"] == "last"
    assert not reserve.exists()


def test_what_is_no_journal(tmp_path):
    with pytest.raises(RecordError, match="expected the journal"):
        Journal(tmp_path).read()
    (tmp_path / "secret").write_text("{}\n")
    (tmp_path / JOURNAL_NAME).symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafeFileError):
        Journal(tmp_path).read()


def test_a_line_is_plain_json(journal):
    for line in journal.path.read_text(encoding="utf-8").splitlines():
        assert set(json.loads(line)) == {"event", "utc", "monotonic_seconds", "part", "details"}
