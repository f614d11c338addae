"""Lines of a file that another process appends to."""

import os

import pytest

from archiver.errors import UnsafeFileError
from archiver.storage import following
from archiver.storage.following import LineFollower


def test_every_line_comes_once_and_a_half_one_waits(tmp_path):
    follower = LineFollower(tmp_path, "lines")
    assert follower.read() == []
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\nth")
    assert follower.read() == [b"one", b"two"]
    assert follower.read() == []
    with path.open("ab") as file:
        file.write(b"ree\n")
    assert follower.read() == [b"three"]
    assert follower.restarts == 0


def test_wherever_the_writer_was_cut_nothing_is_lost(tmp_path):
    data = b"a\n\nbcd\nef\n"
    for cut in range(len(data) + 1):
        path = tmp_path / f"cut{cut}"
        path.write_bytes(data[:cut])
        follower = LineFollower(tmp_path, path.name)
        lines = follower.read()
        with path.open("ab") as file:
            file.write(data[cut:])
        assert lines + follower.read() == [b"a", b"", b"bcd", b"ef"]


def test_a_torn_line_that_is_cut_off_costs_nothing(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntor")
    follower = LineFollower(tmp_path, "lines")
    assert follower.read() == [b"one"]
    os.truncate(path, 4)
    with path.open("ab") as file:
        file.write(b"two\n")
    assert follower.read() == [b"two"]
    assert follower.restarts == 0


def test_a_replaced_or_shortened_file_is_read_anew(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntwo\n")
    follower = LineFollower(tmp_path, "lines")
    follower.read()
    (tmp_path / "new").write_bytes(b"three\nfour\nfive\n")
    os.replace(tmp_path / "new", path)
    assert follower.read() == [b"three", b"four", b"five"]
    assert follower.restarts == 1
    path.write_bytes(b"six\n")
    assert follower.read() == [b"six"]
    assert follower.restarts == 2


def test_a_line_without_end_is_left_out_and_memory_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "BLOCK_BYTES", 8)
    (tmp_path / "lines").write_bytes(b"one\n" + b"x" * 50 + b"\ntwo\nthree\n")
    follower = LineFollower(tmp_path, "lines")
    lines = []
    for _ in range(20):
        lines += follower.read()
    assert lines == [b"one", b"two", b"three"]
    assert not follower.has_more


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    (tmp_path / "target").write_text("secret\n")
    if kind == "link":
        (tmp_path / "lines").symlink_to("target")
    else:
        os.mkfifo(tmp_path / "lines")
    with pytest.raises(UnsafeFileError):
        LineFollower(tmp_path, "lines").read()
