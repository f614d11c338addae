"""A window file whose writing was killed is gone on with, and ends as that of an undisturbed write; kills are real."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from archiver.data import ArrayWindows, WindowFile, write_window_file
from archiver.data.feeding.window_header import WindowHeader
from archiver.errors import ArgumentError

KILLS = 100 if os.environ.get("ARCHIVER_STRESS") else 3
SCRIPT = """
import sys, time
import numpy as np
from archiver.data.feeding import writing
from archiver.data.windows import ArrayWindows
writing.BATCH_BYTES, writing.NOTE_BYTES = 2000, 8000
class Slow(ArrayWindows):
    def read(self, numbers):
        time.sleep(0.002)
        return super().read(numbers)
x = np.arange(300 * 200).reshape(300, 2, 100).astype("int16")
source = Slow(x, labels=np.arange(300), groups={"subject": [f"s{n % 7}" for n in range(300)]})
print("began", flush=True)
writing.write_window_file(source, sys.argv[1]).verify()
"""


def start(path):
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "began\n"
    return process


@pytest.mark.stress
def test_killed_at_random_moments_the_file_is_that_of_an_undisturbed_write(tmp_path):
    x = np.arange(300 * 200).reshape(300, 2, 100).astype("int16")
    source = ArrayWindows(x, labels=np.arange(300), groups={"subject": [f"s{n % 7}" for n in range(300)]})
    (tmp_path / "whole").mkdir()
    write_window_file(source, tmp_path / "whole" / "w")
    whole = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    chance, kills, rounds = random.Random(3), 0, 0
    while kills < KILLS:
        folder = tmp_path / str(rounds)
        folder.mkdir()
        rounds += 1
        while not (folder / "w.json").exists():
            process = start(folder / "w")
            try:
                process.wait(chance.uniform(0, 0.25) if kills < KILLS else None)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            process.communicate()
        assert np.array_equal(WindowFile(folder / "w").read(np.arange(300)), x)
        for left in folder.glob("*.partial*"):  # killed behind the header
            left.unlink()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole


def test_killed_between_the_file_and_its_header_it_goes_on(tmp_path, monkeypatch):
    source = ArrayWindows(np.arange(60).reshape(10, 2, 3))
    monkeypatch.setattr(WindowHeader, "write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_window_file(source, tmp_path / "w")
    monkeypatch.undo()
    assert (tmp_path / "w").exists()
    assert np.array_equal(write_window_file(source, tmp_path / "w").read(np.arange(10)), source.read(np.arange(10)))
    with pytest.raises(ArgumentError, match="which is there"):
        write_window_file(source, tmp_path / "w")
