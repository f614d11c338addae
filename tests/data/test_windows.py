import subprocess
import sys

import numpy as np
import pytest

from archiver.data import ArrayWindows, Windows
from archiver.data.windows import as_windows
from archiver.errors import ArgumentError, DataError


def test_windows_are_read_by_number(tmp_path):
    array = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", np.int16, (5, 2, 3))
    array[:] = np.arange(30).reshape(5, 2, 3)
    windows = ArrayWindows(array, labels=[0, 1, 0, 1, 1], groups={"subject": ["a", "a", "b", "c", "c"]})
    assert isinstance(windows, Windows)
    assert np.array_equal(windows.read(np.array([4, 0, 4])), array[[4, 0, 4]])
    assert windows.described()["kind"] == "memory_map"
    assert as_windows(windows) is windows
    for wrong in ([5], [-1]):
        with pytest.raises(IndexError, match="there are 5"):
            windows.read(np.array(wrong))


def test_what_does_not_fit():
    with pytest.raises(DataError, match=r"'labels': 1"):
        ArrayWindows(np.zeros((2, 3)), labels=[1])
    with pytest.raises(ArgumentError, match="Received list"):
        as_windows([1, 2])


def test_no_keras_is_needed():
    code = "import sys; from archiver.data import ArrayWindows; assert 'keras' not in sys.modules, 'keras'"
    subprocess.run([sys.executable, "-c", code], check=True)
