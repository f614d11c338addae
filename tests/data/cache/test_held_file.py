"""What is committed does not change before the commit; what is read is what was written."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.data.cache import journal
from archiver.data.cache.held_file import PAGE_BYTES, HeldFile

SIZE = 3 * PAGE_BYTES + 100
WRITES = st.lists(
    st.tuples(st.integers(0, SIZE + 2 * PAGE_BYTES), st.binary(min_size=1, max_size=2 * PAGE_BYTES)), max_size=8
)


@given(writes=WRITES, committed=st.integers(0, SIZE))
def test_reads_are_those_of_a_plain_file_and_the_committed_part_stays(tmp_path_factory, writes, committed):
    path = tmp_path_factory.mktemp("held") / "file"
    before = os.urandom(committed)
    path.write_bytes(before)
    path.with_name("manifest").write_bytes(b"")
    plain = bytearray(before)
    held = HeldFile(path, committed)
    for offset, data in writes:
        held.seek(offset)
        assert held.write(data) == len(data)
        plain.extend(bytes(max(0, offset + len(data) - len(plain))))
        plain[offset : offset + len(data)] = data
        held.seek(0)
        found = bytearray(len(plain))
        assert held.readinto(found) == len(plain)
        assert found == plain
        assert path.read_bytes()[:committed] == before
    assert held.size_bytes == len(plain)
    journal.commit(held, path.with_name("manifest"), b"{}\n")
    held.close()
    assert path.read_bytes() == plain
    assert path.with_name("manifest").read_bytes() == b"{}\n"
    assert not journal.journal_path(path).exists()


PAGES = st.dictionaries(st.integers(0, 50), st.binary(min_size=1, max_size=64), max_size=5)


@given(pages=PAGES, size=st.integers(0, 9999), data=st.data())
def test_a_torn_journal_is_no_commit(pages, size, data):
    packed = journal.Commit(pages, size, '{"item":"a"}\n').packed()
    assert journal.unpacked(packed) == journal.Commit(pages, size, '{"item":"a"}\n')
    assert journal.unpacked(packed[: data.draw(st.integers(0, len(packed) - 1))]) is None
    at = data.draw(st.integers(0, len(packed) - 1))
    assert journal.unpacked(packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]) is None


def test_a_full_disk_is_told_by_the_commit_and_nothing_is_changed(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"committed")
    held = HeldFile(path, 9)
    monkeypatch.setattr(os, "pwrite", _full)
    held.seek(100)
    assert held.write(b"lost") == 4
    monkeypatch.undo()
    with pytest.raises(OSError, match="No space left"):
        held.to_disk()
    assert path.read_bytes()[:9] == b"committed"
    held.close()


def _full(*_):
    raise OSError(28, "No space left on device")
