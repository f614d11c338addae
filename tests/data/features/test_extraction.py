"""Features on disk: complete or gone on with, never wrong; kills are real."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from archiver.data import ArrayWindows, FeatureFile, Windows, WindowStatistics, extract_features
from archiver.data.features.records import progress_path
from archiver.errors import (
    ArgumentError,
    DamagedFileError,
    DataError,
    FormatVersionError,
    NotAnArchiveError,
    RunStateError,
)

KILLS = 50 if os.environ.get("ARCHIVER_STRESS") else 2
DATA = np.random.default_rng(0).normal(size=(50, 3, 20)).astype("float32")


def source() -> ArrayWindows:
    return ArrayWindows(DATA, labels=np.arange(50) % 2, groups={"subject": [f"s{n % 5}" for n in range(50)]})


def test_features_are_windows_with_labels_and_groups(tmp_path):
    features = extract_features(source(), WindowStatistics(), 8, tmp_path / "a.npy")
    assert isinstance(features, Windows)
    assert features.shape == (50, 30)
    assert np.array_equal(np.load(tmp_path / "a.npy"), WindowStatistics()(DATA))
    assert np.array_equal(features.read(np.array([49, 0])), WindowStatistics()(DATA[[49, 0]]))
    assert np.array_equal(features.labels, source().labels)
    assert np.array_equal(features.groups["subject"], source().groups["subject"])
    assert features.columns[0] == "channel_0_mean"
    assert json.dumps(features.described())
    features.verify()


def test_complete_features_are_not_computed_again(tmp_path):
    calls = []

    def mean(batch):
        calls.append(len(batch))
        return batch.mean(axis=(1, 2), keepdims=False)

    extract_features(source(), mean, 20, tmp_path / "a.npy")
    assert calls == [20, 20, 10]
    extract_features(source(), mean, 20, tmp_path / "a.npy")
    assert calls == [20, 20, 10]
    with pytest.raises(RunStateError, match=r"batch_size is 20 there\. Received 10"):
        extract_features(source(), mean, 10, tmp_path / "a.npy")
    with pytest.raises(RunStateError, match="source_first_batch_blake3"):
        extract_features(DATA + 1, mean, 20, tmp_path / "a.npy")


def test_a_function_that_fails_leaves_what_is_done(tmp_path):
    done = []

    def fails(batch):
        done.append(len(batch))
        if len(done) == 4:
            raise OSError("the disk of the recordings is gone")
        return batch.max(axis=2)

    with pytest.raises(OSError, match="gone"):
        extract_features(source(), fails, 10, tmp_path / "a.npy")
    with pytest.raises(RunStateError, match="3 of 5 batches are done"):
        FeatureFile(tmp_path / "a.npy")
    extract_features(source(), fails, 10, tmp_path / "a.npy").verify()
    assert len(done) == 6, "the first three are not computed again"
    assert np.array_equal(np.load(tmp_path / "a.npy"), DATA.max(axis=2))


SCRIPT = """
import sys, time
import numpy as np
from archiver.data import extract_features
data = np.random.default_rng(0).normal(size=(200, 3, 20)).astype("float32")
def slow(batch):
    time.sleep(0.01)
    return np.concatenate([batch.mean(axis=2), batch.std(axis=2)], axis=1)
print("began", flush=True)
extract_features(data, slow, 4, sys.argv[1]).verify()
print("complete", flush=True)
"""


def start(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "began\n"
    return process


@pytest.mark.stress
def test_killed_at_random_moments_the_file_is_that_of_an_undisturbed_run(tmp_path):
    whole = start(tmp_path / "whole.npy")
    assert whole.communicate()[0] == "complete\n"
    chance = random.Random(5)
    kills = round_number = 0
    while kills < KILLS:
        path = tmp_path / f"killed-{round_number}.npy"
        round_number += 1
        while True:
            process = start(path)
            time.sleep(chance.uniform(0, 0.6))
            if kills >= KILLS or process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        assert process.communicate()[0] == "complete\n"
        assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize("lost", ["torn line", "rows that never reached the disk", "a file cut short"])
def test_what_a_power_failure_leaves(tmp_path, lost):
    path = tmp_path / "a.npy"
    extract_features(source(), WindowStatistics(), 8, path)
    expected, lines = path.read_bytes(), progress_path(path).read_bytes().splitlines(keepends=True)
    progress_path(path).write_bytes(b"".join(lines[:5]) + (lines[5][:20] if lost == "torn line" else b""))
    if lost == "rows that never reached the disk":
        path.write_bytes(expected[:400] + bytes(len(expected) - 400))
    elif lost == "a file cut short":
        path.write_bytes(expected[:500])
    extract_features(source(), WindowStatistics(), 8, path).verify()
    assert path.read_bytes() == expected


def test_every_changed_byte_is_found(tmp_path):
    path = tmp_path / "a.npy"
    extract_features(source(), WindowStatistics(), 8, path)
    data = path.read_bytes()
    for place in random.Random(1).sample(range(len(data)), 40):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DamagedFileError) as caught:
            FeatureFile(path).verify()
        where = (place - 256) // 120
        assert (
            "head of the file" in str(caught.value) if place < 256 else f" {where - where % 8} to" in str(caught.value)
        )


def test_what_is_not_ours_stays(tmp_path):
    path = tmp_path / "mine.npy"
    np.save(path, DATA)
    before = path.read_bytes()
    with pytest.raises(RunStateError, match="not from extract_features"):
        extract_features(source(), WindowStatistics(), 8, path)
    assert path.read_bytes() == before
    with pytest.raises(NotAnArchiveError, match="There are no features"):
        FeatureFile(path)


def test_a_newer_version_and_damage_are_named(tmp_path):
    path = tmp_path / "a.npy"
    extract_features(source(), WindowStatistics(), 8, path)
    lines = progress_path(path)
    text = lines.read_text()
    lines.write_text(text.replace('"format_version":1', '"format_version":2'))
    with pytest.raises(FormatVersionError, match="format version 2"):
        FeatureFile(path)
    lines.write_text("nonsense\n" + text)
    with pytest.raises(DamagedFileError, match="first line"):
        FeatureFile(path)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda batch: batch.mean(), "Expected numbers, one row per window"),
        (lambda batch: np.array(["a"] * len(batch)), "Expected numbers"),
        (lambda batch: batch.reshape(len(batch), -1)[:, : len(batch)], "as for the first windows"),
    ],
)
def test_functions_that_do_not_fit(tmp_path, function, message):
    with pytest.raises(DataError, match=message):
        extract_features(source(), function, 20, tmp_path / "a.npy")


def test_arguments_that_cannot_be(tmp_path):
    with pytest.raises(ArgumentError, match="Received batch_size=0"):
        extract_features(source(), WindowStatistics(), 0, tmp_path / "a.npy")
    with pytest.raises(DataError, match="at least one window"):
        extract_features(DATA[:0], WindowStatistics(), 2, tmp_path / "a.npy")


def test_two_at_once_do_not_meet(tmp_path):
    path = tmp_path / "a.npy"
    first = start(path)
    time.sleep(0.1)
    with pytest.raises(RunStateError, match="Another process is writing"):
        extract_features(source(), WindowStatistics(), 8, path)
    assert first.communicate()[0] == "complete\n"
