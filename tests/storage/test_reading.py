"""Reading a whole file: what it costs, and where it ends."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from archiver.errors import UnsafeFileError
from archiver.storage.reading import PIECE_BYTES, read_below


def test_memory_is_taken_for_what_is_there_not_for_what_may_be(tmp_path):
    """A run that has hit its limit reads its journal, of which there may be a gigabyte."""
    (tmp_path / "file").write_bytes(b"x" * 1000)
    tracemalloc.start()
    assert read_below(tmp_path, "file", 1 << 40) == b"x" * 1000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * PIECE_BYTES


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES + 1])
def test_all_of_a_file_up_to_the_limit(size, tmp_path):
    (tmp_path / "file").write_bytes(b"y" * size)
    assert read_below(tmp_path, "file", size) == b"y" * size
    if size:
        with pytest.raises(UnsafeFileError, match=f"Received {size} bytes. Expected at most {size - 1}"):
            read_below(tmp_path, "file", size - 1)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_file_without_a_size(tmp_path):
    """The kernel's own say that they are empty, and are not."""
    assert read_below("/proc/self", "status", 1 << 20).startswith(b"Name:")
    with pytest.raises(UnsafeFileError, match="Expected at most 10"):
        read_below("/proc/self", "status", 10)
