"""Windows on disk: the same as arrays, in the order that (seed, epoch) says, and refused where they cannot be."""

import hashlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import archiver
from archiver import data
from archiver.data.feeding.window_file import extras_path, header_path
from archiver.data.orders import block_order, epoch_order
from archiver.errors import (
    ArchiverError,
    ArgumentError,
    DamagedFileError,
    DataError,
    FormatVersionError,
    NotAnArchiveError,
)

SCALE = np.float32(0.25)


def windows(count=50, seed=0):
    generator = np.random.default_rng(seed)
    array = generator.integers(-1000, 1000, (count, 3, 4)).astype(np.float32) * SCALE
    subjects = np.array([f"s{number // 5}" for number in range(count)])
    return data.ArrayWindows(array, generator.integers(0, 2, count), {"subject": subjects})


@pytest.fixture
def file(tmp_path):
    return data.write_window_file(windows(), tmp_path / "w", scale=SCALE)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**31), st.integers(0, 99))
def test_a_block_order_is_a_permutation_whose_pools_are_blocks(count, size, pool, seed, epoch):
    order = block_order(count, size, pool, seed, epoch)
    assert sorted(order) == list(range(count))
    assert np.array_equal(order, block_order(count, size, pool, seed, epoch))
    blocks = epoch_order(-(-count // size), seed, epoch)[:pool]
    first = np.concatenate([np.arange(block * size, min(count, (block + 1) * size)) for block in blocks])
    assert sorted(order[: len(first)]) == sorted(first)


def test_a_window_file_is_what_was_written(file):
    expected = windows()
    assert isinstance(file, data.Windows)
    assert file.path.stat().st_size == 50 * 12 * 2
    numbers = np.array([49, 3, 4, 5, 3, 0])
    assert np.array_equal(file.read(numbers), expected.read(numbers))
    assert np.array_equal(file.labels, expected.labels)
    assert np.array_equal(file.groups["subject"], expected.groups["subject"])
    assert file.described()["maximal_error"] == 0
    file.verify()
    with pytest.raises(IndexError, match="there are 50"):
        file.read(np.array([50]))


def test_joined_and_npy(tmp_path, file):
    np.save(tmp_path / "a.npy", windows().read(np.arange(50)))
    plain = data.npy_windows(tmp_path / "a.npy", file.labels, file.groups)
    joined = data.JoinedWindows([file, plain])
    numbers = np.array([99, 0, 50, 49])
    assert np.array_equal(joined.read(numbers), windows().read(numbers % 50))
    with pytest.raises(DataError, match="labels"):
        data.JoinedWindows([file, data.npy_windows(tmp_path / "a.npy", None, file.groups)])


@pytest.mark.parametrize("form", ["fastest", "pydataset"])
@pytest.mark.parametrize("shuffle", ["windows", "blocks", False])
@pytest.mark.parametrize("drop", [True, False])
def test_every_pass_is_the_order_of_its_epoch(file, form, shuffle, drop):
    weights = np.arange(50, dtype=np.float32)
    numbers = np.arange(1, 44, 2)
    given = {"batch_size": 4, "seed": 3, "shuffle": shuffle, "block_size": 2, "drop_remainder": drop}
    batches = data.window_batches(file, sample_weight=weights, numbers=numbers, form=form, **given)
    assert isinstance(batches, tf.data.Dataset) == (form == "fastest")
    for epoch in range(2):
        order = {"windows": epoch_order(22, 3, epoch), "blocks": block_order(22, 2, 16, 3, epoch)}
        chosen = numbers[order.get(shuffle, np.arange(22))][: 20 if drop else 22]
        seen = [tuple(map(np.asarray, batch)) for batch in batches]
        assert [len(batch[1]) for batch in seen] == [4] * 5 + [2] * (not drop)
        for position, of in enumerate((windows().read(chosen), windows().labels[chosen], weights[chosen])):
            assert np.array_equal(np.concatenate([batch[position] for batch in seen]), of)
        if form == "pydataset":
            batches.on_epoch_end()


class Shift:
    def apply(self, given, numbers, epoch):
        return given + (numbers[:, None] + np.float32(1000 * epoch)).astype(given.dtype)

    def described(self):
        return {"kind": "shift"}


@pytest.mark.parametrize("form", ["fastest", "pydataset"])
def test_several_inputs_and_augmentation(file, form):
    features = data.ArrayWindows(np.zeros((50, 2), np.float32))
    both = {"raw": file, "features": features}
    batches = data.window_batches(both, shuffle=False, augment={"features": Shift()}, form=form)
    for epoch in range(2):
        first = next(iter(batches))
        assert np.array_equal(np.asarray(first[0]["raw"]), windows().read(np.arange(32)))
        assert np.array_equal(np.asarray(first[0]["features"])[:, 0], np.arange(32) + 1000 * epoch)
        if form == "pydataset":
            batches.on_epoch_end()


BAD = {
    "batch size": ({"batch_size": 0}, ArgumentError, "batch_size=0"),
    "no seed": ({"seed": None}, ArgumentError, "seed=None"),
    "shuffle": ({"shuffle": True}, ArgumentError, "shuffle=True"),
    "NaN weight": ({"sample_weight": np.full(50, np.nan)}, DataError, r"sample_weight\[0\]=nan"),
    "weights": ({"sample_weight": np.ones(49)}, DataError, r"\(50,\)"),
    "labels": ({"labels": np.ones(49)}, DataError, "50 rows"),
    "numbers": ({"numbers": [50]}, DataError, "there are 50"),
    "no numbers": ({"numbers": np.arange(0)}, DataError, "at least one"),
    "augment": ({"augment": 3}, ArgumentError, "apply"),
    "form": ({"form": "x"}, ArgumentError, "form='x'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(file, name):
    given, error, match = BAD[name]
    with pytest.raises(error, match=match):
        data.window_batches(file, **({"seed": 1} | given))


def test_bad_files(tmp_path, file):
    with pytest.raises(ArgumentError, match="is there"):
        data.write_window_file(windows(), file.path)
    with pytest.raises(DataError, match="window 0, in which a value is not finite"):
        data.write_window_file(np.full((3, 2), np.nan, np.float32), tmp_path / "n", scale=1)
    with pytest.raises(DataError, match=r"window 1.*difference of 0\.3"):
        data.write_window_file(np.array([[1.0], [1.3]]), tmp_path / "d", scale=1)
    whole = header_path(file.path).read_text()
    header_path(file.path).write_text(whole.replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(FormatVersionError, match="newer"):
        data.WindowFile(file.path)
    header_path(file.path).write_text(whole[:50])
    with pytest.raises(DamagedFileError, match="no JSON"):
        data.WindowFile(file.path)
    header_path(file.path).write_text(whole)
    content = file.path.read_bytes()
    file.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamagedFileError, match="BLAKE3"):
        data.WindowFile(file.path).verify()
    file.path.write_bytes(content[:-1])
    with pytest.raises(DamagedFileError, match="1,199 bytes"):
        data.WindowFile(file.path)
    header_path(file.path).unlink()
    with pytest.raises(NotAnArchiveError, match="header"):
        data.WindowFile(file.path)
    assert extras_path(file.path).exists()


class Failing(data.ArrayWindows):
    def read(self, numbers):
        if numbers[-1] >= 30:
            raise OSError(28, "full")
        return super().read(numbers)


def test_writing_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    from archiver.data.feeding import writing

    array = np.arange(600, dtype=np.float32).reshape(50, 12)
    monkeypatch.setattr(writing, "BATCH_BYTES", 480)
    monkeypatch.setattr(writing, "NOTE_BYTES", 1)
    with pytest.raises(ArchiverError, match="full"):
        data.write_window_file(Failing(array), tmp_path / "w")
    asked = []

    class Asked(data.ArrayWindows):
        def read(self, numbers):
            asked.append(len(numbers))
            return super().read(numbers)

    file = data.write_window_file(Asked(array), tmp_path / "w")
    assert np.array_equal(file.read(np.arange(50)), array)
    assert sum(each for each in asked if each > 1) == 20
    file.verify()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["w", "w.json", "w.npz"]


@given(st.lists(st.integers(1, 30), min_size=3, max_size=25), st.integers(0, 2**31), st.booleans())
def test_no_group_is_in_two_splits(sizes, seed, stratify):
    names = np.repeat([f"g{number}" for number in range(len(sizes))], sizes)
    labels = np.arange(len(names)) % 2
    source = data.ArrayWindows(np.zeros((len(names), 1)), labels, {"subject": names})
    fractions = {"train": 0.7, "validation": 0.15, "test": 0.15}
    split = data.split_by_group(source, fractions=fractions, seed=seed, stratify=stratify)
    assert sorted(np.concatenate([each.numbers for each in split.values()])) == list(range(len(names)))
    groups = [set(names[each.numbers]) for each in split.values()]
    assert sum(map(len, groups)) == len(sizes)
    assert all(groups)
    again = data.split_by_group(source, fractions=fractions, seed=seed, stratify=stratify)
    assert all(np.array_equal(split[name], again[name]) for name in split)


@given(st.integers(20, 60), st.integers(0, 2**31))
def test_equal_groups_are_dealt_as_the_fractions_say(count, seed):
    source = data.ArrayWindows(np.zeros((count, 1)), None, {"subject": np.arange(count).astype(str)})
    split = data.split_by_group(source, fractions={"a": 0.5, "b": 0.3, "c": 0.2}, seed=seed)
    for name, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert abs(len(split[name]) - share * count) <= 1


def test_groups_that_cannot_be_dealt():
    source = windows(8)
    for arguments, error, match in (
        ({"fractions": {"a": 0.5, "b": 0.25, "c": 0.25}}, DataError, "2 groups"),
        ({"fractions": {"a": 0.5, "b": 0.6}}, ArgumentError, "1 together"),
        ({"fractions": {"a": 1.0}, "by": "release"}, DataError, "by='release'"),
        ({"fractions": {"a": 1.0}, "seed": -1}, ArgumentError, "seed=-1"),
    ):
        with pytest.raises(error, match=match):
            data.split_by_group(source, **({"seed": 1} | arguments))


@pytest.mark.parametrize("form", ["fastest", "pydataset"])
def test_the_archive_says_what_was_fed(tmp_path, file, form, recwarn):
    model = keras.Sequential([keras.Input((3, 4)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    split = data.split_by_group(file, fractions={"train": 0.8, "validation": 0.2}, seed=1)
    train = data.window_batches(file, numbers=split["train"], seed=7, batch_size=8, augment=Shift2(), form=form)
    leaking = np.concatenate([split["validation"].numbers, split["train"].numbers[:1]])
    validation = data.window_batches(file, numbers=leaking, shuffle=False, form=form)
    archive = archiver.RunArchiver(tmp_path / "runs", name="a", figures=False, sampling_hertz=None)
    with pytest.warns(archiver.errors.ArchiverWarning, match="groups of the kind subject"):
        model.fit(train, validation_data=validation, epochs=2, shuffle=False, verbose=0, callbacks=[archive])
    archiver.verify(archive.run.path).raise_for_findings()
    stats = archive.run.read(archiver.layout.DATASET_STATS)
    part = stats.splits["train"]
    assert (part.kind, part.sample_count, part.batch_size, part.batch_count) == ("windows", 40, 8, 5)
    labels = file.labels[split["train"].numbers]
    assert part.class_counts == {str(label): int((labels == label).sum()) for label in (0, 1)}
    assert part.groups["subject"].group_count == 8
    assert stats.shared_groups["train"]["validation"]["subject"].count == 1
    fed = file.read(split["train"].numbers).astype("float64")
    assert part.arrays[0].sha256 == hashlib.sha256(file.read(split["train"].numbers)).hexdigest()
    assert part.arrays[0].mean == pytest.approx(fed.mean(), rel=1e-12)
    assert part.arrays[0].channels.standard_deviation == pytest.approx(fed.std(axis=(0, 2)), rel=1e-9)
    assert part.arrays[0].quantiles.values["0.5"] == pytest.approx(np.median(fed), rel=0.2)
    assert stats.duplicates.between["train"]["validation"].count == 1
    told = archive.run.read(archiver.layout.PREPROCESSING).data_sets
    assert told["train"]["split"]["by"] == "subject"
    assert told["train"]["augmentation"] == {"x": {"kind": "nothing"}}
    assert (told["train"]["seed"], told["train"]["shuffle"]) == (7, "windows")
    assert told["train"]["inputs"]["x"]["blake3"] == file.header.blake3
    assert told["validation"]["shuffle"] is False


class Shift2:
    def apply(self, given, numbers, epoch):
        return given

    def described(self):
        return {"kind": "nothing"}
