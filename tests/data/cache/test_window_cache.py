"""What is read from a cache is what was appended; what is refused is named; verifying finds every change."""

import contextlib
import json
import pickle
import threading

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archiver.data import WindowCache, Windows, verify_cache
from archiver.data.cache import held_file, journal, writer
from archiver.data.cache.codecs import CODECS
from archiver.data.cache.records import manifest_path
from archiver.errors import (
    ArgumentError,
    DamagedFileError,
    DataError,
    FormatVersionError,
    NotAnArchiveError,
    RunStateError,
    StorageError,
)
from archiver.storage import files
from tests.property.disk import STOPS, Disk, stop_points

SHAPE = (3, 20)
CHANCE = np.random.default_rng(0)
DATA = [(CHANCE.normal(size=(count, *SHAPE)) * 50).astype("float32") for count in (4, 1, 0, 7)]


def build(path, data=DATA, *, complete=True, **arguments):
    with WindowCache.create(path, SHAPE, **arguments) as cache:
        for number, windows in enumerate(data):
            name = f"recording-{number}"
            if name not in cache:
                append(cache, name, windows)
        if complete and cache.manifest.complete is None:
            cache.complete()
    return path


def append(cache, name, windows):
    with cache.item(name, source={"file": f"{name}.edf"}) as item:
        for part in np.array_split(windows, 2):
            item.append(
                part,
                labels=np.arange(len(part)),
                groups={"subject": f"sub-{name[-1]}é"},
                metadata={"begin": np.arange(len(part), dtype="int64"), "event": ["ü" * (len(name) + 20)] * len(part)},
            )


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("dtype", ["float32", "int16", "float64", "uint8", "bool"])
def test_what_is_read_is_what_was_appended(tmp_path, codec, dtype):
    data = [windows.astype(dtype) for windows in DATA]
    path = build(tmp_path / "a.h5", data, dtype=dtype, codec=codec)
    cache = WindowCache.open(path)
    expected = np.concatenate(data)
    assert isinstance(cache, Windows)
    assert (cache.shape, cache.dtype) == (expected.shape, expected.dtype)
    numbers = CHANCE.permutation(len(expected))
    assert np.array_equal(cache.read(numbers), expected[numbers])
    assert cache.read(np.arange(0)).shape == (0, *SHAPE)
    assert cache.labels.tolist() == [0, 1, 0, 1, 0, 0, 1, 2, 3, 0, 1, 2]
    assert cache.groups["subject"].tolist() == ["sub-0é"] * 4 + ["sub-1é"] + ["sub-3é"] * 7
    assert cache.metadata["begin"].tolist() == cache.labels.tolist()
    assert set(cache.metadata["event"]) == {"ü" * 31}
    assert [(item.item, item.begin, item.window_count) for item in cache.items] == [
        ("recording-0", 0, 4), ("recording-1", 4, 1), ("recording-2", 5, 0), ("recording-3", 5, 7),
    ]  # fmt: skip
    assert json.dumps(cache.described())
    with pytest.raises(IndexError):
        cache.read(np.array([len(expected)]))
    assert verify_cache(path).is_whole


def test_gzip_opens_without_anything_of_ours(tmp_path):
    path = build(tmp_path / "a.h5", codec="gzip")
    with h5py.File(path) as file:
        assert np.array_equal(file["windows"][:], np.concatenate(DATA))
        assert file["groups/subject/names"][:][file["groups/subject/codes"][-1]].decode() == "sub-3é"
        assert file["windows"].chunks == (1, *SHAPE)


@given(
    scale=st.floats(1e-3, 10),
    offset=st.floats(-10, 10),
    values=st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=60),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_quantised_values_differ_by_half_a_step_at_most(tmp_path_factory, scale, offset, values):
    path = tmp_path_factory.mktemp("cache") / "a.h5"
    data = np.resize(np.array(values, "float32"), (2, *SHAPE))
    with WindowCache.create(path, SHAPE, scale=scale, offset=offset, codec="none") as cache:
        if np.abs(data - offset).max() / scale > 32766:
            with pytest.raises(DataError, match="whole numbers"):
                cache.append(data * 1.001 - offset * 0.001)
            return
        cache.append(data)
        cache.complete()
    found = WindowCache.open(path)
    error = np.abs(found.read(np.arange(2)).astype("float64") - data).max()
    assert error == pytest.approx(found.items[0].maximal_error, abs=1e-12)
    assert error <= 0.5 * np.float32(scale) * (1 + 1e-6) + 4e-7 * (32768 * scale + abs(offset))


def test_each_item_may_bring_its_own_scale_and_whole_numbers_are_kept(tmp_path):
    stored = CHANCE.integers(-30000, 30000, (5, *SHAPE)).astype("int16")
    scales = [np.array([[0.5], [0.1], [2.0]]), 0.25]
    with WindowCache.create(tmp_path / "a.h5", SHAPE, scale="item") as cache:
        for name, scale in zip("ab", scales, strict=True):
            with cache.item(name, scale=scale, offset=1.0) as item:
                item.append_stored(stored)
        with pytest.raises(ArgumentError, match="Received no scale="), cache.item("c"):
            pass
        cache.complete()
    found = WindowCache.open(tmp_path / "a.h5")
    numbers = np.array([9, 0, 4, 5])
    expected = [np.float32(scales[number // 5]) * stored[number % 5] + np.float32(1) for number in numbers]
    assert np.array_equal(found.read(numbers), np.array(expected, "float32"))
    assert np.array_equal(found.read(np.array([6, 7])), np.float32(0.25) * stored[1:3] + np.float32(1))
    assert np.array_equal(found.read_stored(numbers), stored[numbers % 5])


def test_several_threads_and_other_processes_read_the_same(tmp_path):
    cache = WindowCache.open(build(tmp_path / "a.h5"))
    again = pickle.loads(pickle.dumps(cache))
    expected, wrong = np.concatenate(DATA), []

    def read():
        for _ in range(20):
            numbers = np.random.default_rng().permutation(12)
            if not np.array_equal(again.read(numbers), expected[numbers]):
                wrong.append(numbers)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# -- going on, and what is refused


def test_an_item_that_fails_leaves_nothing_and_the_file_goes_on_byte_for_byte(tmp_path):
    whole = build(tmp_path / "whole.h5")
    with WindowCache.create(tmp_path / "a.h5", SHAPE) as cache:
        append(cache, "recording-0", DATA[0])
        with pytest.raises(DataError), cache.item("recording-1") as item:  # noqa: PT012 - it fails in the middle
            item.append(DATA[3], labels=np.arange(7))
            item.append(DATA[3], labels=np.arange(6))
        with pytest.raises(DataError, match=r"window 2 of the item.*not finite"):
            cache.append(np.where(np.arange(3)[:, None, None] == 2, np.nan, DATA[3][:3]), item="recording-1")
        with pytest.raises(DataError, match=r"Received windows of shape \(2, 20\)"):
            cache.append(DATA[3][:, :2], item="recording-1")
        with pytest.raises(DataError, match="Received the columns"):
            cache.append(DATA[3], item="recording-1")
        with pytest.raises(ArgumentError, match="'recording-0', which is in"):
            cache.append(DATA[3], item="recording-0")
    with pytest.raises(RunStateError, match="not complete: it has 1 items"):
        WindowCache.open(tmp_path / "a.h5")
    assert WindowCache.open(tmp_path / "a.h5", allow_incomplete=True).shape == (4, *SHAPE)
    report = verify_cache(tmp_path / "a.h5")
    assert (report.is_whole, report.findings) == (False, ())
    build(tmp_path / "a.h5")
    assert (tmp_path / "a.h5").read_bytes() == whole.read_bytes()
    assert manifest_path(tmp_path / "a.h5").read_bytes() == manifest_path(whole).read_bytes()


def test_what_cannot_be_gone_on_with_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    with WindowCache.create(path, SHAPE) as cache:
        cache.append(DATA[0])
        with pytest.raises(RunStateError, match="Another process is writing"):
            WindowCache.create(path, SHAPE)
    with pytest.raises(RunStateError, match=r"codec 'bitshuffle_lz4'. Received 'gzip'"):
        WindowCache.create(path, SHAPE, codec="gzip")
    with pytest.raises(RunStateError, match="is closed"):
        cache.append(DATA[0])
    build(path, [])
    with pytest.raises(RunStateError, match="complete"):
        WindowCache.create(path, SHAPE)
    (tmp_path / "other.h5").write_bytes(b"mine")
    with pytest.raises(NotAnArchiveError, match="no window cache"):
        WindowCache.create(tmp_path / "other.h5", SHAPE)
    assert (tmp_path / "other.h5").read_bytes() == b"mine"
    with pytest.raises(NotAnArchiveError, match="no window cache"):
        WindowCache.open(tmp_path / "none.h5")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"shape": (0, 3)}, "shape"),
        ({"shape": ()}, "shape"),
        ({"dtype": "U3"}, "dtype"),
        ({"codec": "zip"}, "codec"),
        ({"scale": -1}, "scale"),
        ({"scale": "mine"}, "scale"),
        ({"scale": 1, "dtype": "int16"}, "float32"),
        ({"scale": 1, "stored_dtype": "float32"}, "whole numbers"),
        ({"maximal_error": 1}, "scale="),
        ({"non_finite": "maybe"}, "non_finite"),
    ],
)
def test_arguments_that_cannot_be(tmp_path, arguments, expected):
    with pytest.raises(ArgumentError, match=expected):
        WindowCache.create(tmp_path / "a.h5", **{"shape": SHAPE} | arguments)
    assert not list(tmp_path.iterdir())


def test_values_that_cannot_be_kept_exactly_are_refused(tmp_path):
    with WindowCache.create(tmp_path / "a.h5", SHAPE, "int16") as cache:
        with pytest.raises(DataError, match="cannot hold exactly"):
            cache.append(DATA[0])
        cache.append(np.round(DATA[0]))
    exactly = r"difference of 0\.[0-9]+. Expected at most maximal_error=0.1"
    cache = WindowCache.create(tmp_path / "b.h5", SHAPE, scale=1.0, maximal_error=0.1)
    with cache, pytest.raises(DataError, match=exactly):
        cache.append(DATA[0])
    with WindowCache.create(tmp_path / "c.h5", SHAPE, non_finite="keep") as cache:
        cache.append(np.full((1, *SHAPE), np.nan, "float32"))
        cache.complete()
    assert np.isnan(WindowCache.open(tmp_path / "c.h5").read(np.arange(1))).all()


# -- damage


CHANGED = st.sampled_from(["a.h5", "a.h5.manifest.jsonl", "a.h5 of a cache that is not complete"])


@given(changed=CHANGED, share=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_changed_bit_is_found(tmp_path_factory, built, changed, share, bit):
    built, built_places = built.files, built.places
    folder = tmp_path_factory.mktemp("cache")
    files_there, name = dict(built), changed.split()[0]
    # In a cache that is not complete, what stands between windows and columns belongs to none of them.
    places = range(len(built[name])) if changed == name else built_places
    if changed != name:
        lines = built["a.h5.manifest.jsonl"].splitlines(keepends=True)
        files_there["a.h5.manifest.jsonl"] = b"".join(lines[:-1])
    content = bytearray(files_there[name])
    content[places[int(share * len(places))]] ^= 1 << bit
    files_there[name] = bytes(content)
    for each, data in files_there.items():
        (folder / each).write_bytes(data)
    with contextlib.suppress(DamagedFileError, NotAnArchiveError, FormatVersionError):
        report = verify_cache(folder / "a.h5")
        assert not report.is_whole
        assert report.findings or name != "a.h5"


class Built:
    """The files of a cache, and where its windows are."""

    def __init__(self, path):
        self.files = {each.name: each.read_bytes() for each in (path, manifest_path(path))}
        self.places = places_of_windows(path)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return Built(build(tmp_path_factory.mktemp("built") / "a.h5"))


def places_of_windows(path):
    with h5py.File(path) as file:
        windows = file["windows"].id
        infos = [windows.get_chunk_info(number) for number in range(windows.get_num_chunks())]
    return [info.byte_offset + shift for info in infos for shift in (0, info.size // 2, info.size - 1)]


def test_a_damaged_window_is_named(tmp_path):
    path = build(tmp_path / "a.h5", codec="gzip")
    at = places_of_windows(path)[3 * 6 + 1]
    content = bytearray(path.read_bytes())
    content[at] ^= 255
    path.write_bytes(content)
    findings = verify_cache(path).findings
    assert len(findings) == 2
    assert "item 'recording-3': its windows, windows 5 to 11, are not those that were written" in findings[1]
    with pytest.raises(DamagedFileError, match=r"windows 6 to 6 cannot be read"):
        WindowCache.open(path).read(np.array([6]))


def test_other_files_are_named(tmp_path):
    path = build(tmp_path / "a.h5")
    whole = path.read_bytes()
    path.write_bytes(whole[:-500])
    with pytest.raises(DamagedFileError, match="cut short"):
        WindowCache.open(path)
    assert "cut short" in verify_cache(path).findings[0]
    path.unlink()
    assert verify_cache(path).findings == ("the HDF5 file is missing",)
    with pytest.raises(StorageError):
        WindowCache.open(path)
    path.write_bytes(whole)
    lines = manifest_path(path).read_text().splitlines()
    manifest_path(path).write_text(
        "\n".join([lines[0].replace('"format_version":1', '"format_version":2'), *lines[1:]]) + "\n"
    )
    with pytest.raises(FormatVersionError, match="Install a newer"):
        WindowCache.open(path)
    manifest_path(path).write_text("\n".join([*lines[:3], *lines[4:]]) + "\n")
    with pytest.raises(DamagedFileError, match="a line is missing or was changed"):
        verify_cache(path)
    manifest_path(path).write_text("{}\n{}\n")
    with pytest.raises(NotAnArchiveError, match="no manifest"):
        verify_cache(path)


# -- every change of a file may be the last


MODULES = (files, held_file, journal, writer)


@pytest.mark.parametrize("stop", STOPS)
def test_stopped_at_any_change_of_a_file_the_cache_is_that_of_an_undisturbed_build(tmp_path, stop):
    data = DATA[:2]
    whole = build(tmp_path / "whole.h5", data, codec="none").read_bytes()
    with Disk(modules=MODULES) as counting:
        build(tmp_path / "counted.h5", data, codec="none")
    for at in stop_points(counting.changes, stop):
        path = tmp_path / f"{at}.h5"
        try:
            with Disk(stop, at, MODULES) as disk:
                build(path, data, codec="none")
        except StorageError:
            assert stop not in ("kill", "torn"), at
        else:
            assert disk.was_killed or stop in ("full_once", "broken_once", "full"), at
        if manifest_path(path).exists():
            try:
                report = verify_cache(path)
                assert not report.findings or "commit was cut off" in report.findings[0], (at, report)
            except NotAnArchiveError:
                pass
        build(path, data, codec="none")
        assert path.read_bytes() == whole, (stop, at)
        assert manifest_path(path).read_bytes() == manifest_path(tmp_path / "whole.h5").read_bytes()
