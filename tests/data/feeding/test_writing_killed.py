"""A window file whose writing was killed is gone on with, and ends as that of an undisturbed write; kills are real."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest

from archiver.data import ArrayWindows, WindowFile, write_window_file

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
        while not (folder / "w").exists():
            process = start(folder / "w")
            try:
                process.wait(chance.uniform(0, 0.25) if kills < KILLS else None)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            process.communicate()
        try:
            found = WindowFile(folder / "w")
        except Exception:
            (folder / "w").unlink()
            found = write_window_file(source, folder / "w")
        assert np.array_equal(found.read(np.arange(300)), x)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
