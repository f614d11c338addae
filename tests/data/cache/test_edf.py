"""EDF files as a newcomer has them: from a TOML plan to caches, some of them damaged."""

import subprocess

import numpy as np
import pytest

from archiver.data import WindowCache, edf_recording
from archiver.data.cache.plan_file import read_plan
from archiver.errors import ArgumentError, DamagedFileError
from tests.cli.terminals import PROGRAM

RATE_HZ, STEP = 100, 0.125
PLAN = """
output = "caches/{release}.h5"

[windows]
length_seconds = 2
sampling_rate_hz = 100
events = { "eyes open" = 0, "eyes closed" = 1 }

[recordings]
files = ["*/*.edf"]
groups = '(?P<release>R\\d)/(?P<subject>\\w+)'
"""


def write_edf(path, seed, channels=3, seconds=10):
    highlevel = pytest.importorskip("pyedflib").highlevel
    stored = np.random.default_rng(seed).integers(-3000, 3000, (channels, seconds * RATE_HZ), np.int32)
    limits = {"physical_min": -32768 * STEP, "physical_max": 32767 * STEP}
    headers = highlevel.make_signal_headers([f"E{n}" for n in range(channels)], sample_frequency=RATE_HZ, **limits)
    annotations = [[0, 2, "eyes open"], [4, 2, "eyes closed"]]
    path.parent.mkdir(exist_ok=True)
    highlevel.write_edf(str(path), stored, headers, {"annotations": annotations}, digital=True)
    return stored


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        write_edf(tmp_path / f"R{number // 2}" / f"s{number}.edf", number)
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    return tmp_path


def build(folder, *options):
    command = [PROGRAM, "cache", "build", *options, "plan.toml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_windows_are_those_of_the_files(folder):
    done = build(folder)
    assert (done.returncode, done.stderr) == (0, "")
    with WindowCache(folder / "caches" / "R1.h5") as cache:
        stored = write_edf(folder / "again" / "s2.edf", 2)
        assert np.array_equal(cache.read_stored(np.arange(2)), [stored[:, :200], stored[:, 400:600]])
        assert np.array_equal(cache.read(np.array([0])), [stored[:, :200] * np.float32(STEP)])
        assert cache.labels.tolist() == [0, 1, 0, 1]
        assert cache.groups["subject"].tolist() == ["s2", "s2", "s3", "s3"]


def test_some_groups_leave_a_cache_that_the_others_complete(folder):
    done = build(folder, "--groups", "s0,R1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "PART: 1 recording, 2 windows in caches/R0.h5; 1 more belong to it; build them too to complete it",
        "COMPLETE: 2 recordings, 4 windows in caches/R1.h5",
    ]
    assert "COMPLETE: 2 recordings, 4 windows in caches/R0.h5" in build(folder, "--groups", "s1").stdout
    assert build(folder).returncode == 0


def test_files_that_were_cut_short_are_named_and_taken_once_they_are_whole(folder):
    path = folder / "R0" / "s0.edf"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    (folder / "R1" / "s2.edf").write_bytes(b"0")
    done = build(folder)
    assert done.returncode == 1
    assert f"has {len(whole) - 1000:,} bytes. Expected {len(whole):,}" in done.stderr
    assert "s2.edf cannot be read as EDF or BDF: it has 1 bytes" in done.stderr
    assert "/caches/logs/cache-build" in done.stderr
    assert all(line.startswith("NOT COMPLETE: 1 recording, 2 windows") for line in done.stdout.splitlines())
    path.write_bytes(whole)
    (folder / "R1" / "s2.edf").unlink()
    done = build(folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("size", [0, 100, 256, 700, 1500])
def test_any_beginning_of_a_file_is_named_as_damaged(tmp_path, capfd, size):
    path = tmp_path / "a.edf"
    write_edf(path, 0)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DamagedFileError, match=r"a\.edf"):
        edf_recording(path)
    assert not capfd.readouterr().out


def test_a_plan_with_an_unknown_codec_is_named(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'output = "a.h5"\n[windows]\nlength_seconds = 1\nsampling_rate_hz = 100\n[storage]\ncodec = "zip"\n'
        '[recordings]\nfiles = ["*.edf"]\n'
    )
    with pytest.raises(ArgumentError, match=r"plan\.toml#/storage/codec: received 'zip'.*bitshuffle_lz4"):
        read_plan(plan)
