"""The files behind the data, from `fit` to the archive."""

import hashlib
import os
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import archiver
from archiver import layout
from archiver.collect import data_sources
from archiver.collect.listed_files import ListedFiles, common_folder, listed_files, names_classes
from archiver.records.base import Unavailable
from archiver.training import sources
from tests.training import small

CLASSES = {"cat": 6, "dog": 4, "hen": 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    generator = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("pictures")
    for name, count in CLASSES.items():
        (root / name).mkdir()
        for number in range(count):
            array = generator.integers(0, 256, (10, 8, 3), dtype=np.uint8)
            Image.fromarray(array).save(root / name / f"{number}.png")
    return root


def data_set(folder: Path, **options):
    given = {"image_size": (10, 8), "batch_size": 4, "verbose": False, "seed": 1} | options
    return keras.utils.image_dataset_from_directory(folder, **given)


def picture_model(outputs: int = 3) -> keras.Model:
    model = keras.Sequential([keras.layers.Input((10, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(outputs)])
    model.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def stats_of(root: Path, model, *args, archive_options=None, **kwargs):
    archive = archiver.RunArchiver(root, name="a", **(archive_options or {}))
    model.fit(*args, epochs=1, verbose=0, shuffle=False, callbacks=[archive], **kwargs)
    assert archiver.verify(archive.run.path).is_whole
    return archive, archive.run.read(layout.DATASET_STATS)


def by_kind(stats) -> dict[str, list]:
    found: dict[str, list] = {}
    for part in stats.source_files:
        found.setdefault(part.kind, []).append(part)
    return found


def test_a_data_set_from_a_directory_tells_its_classes_and_its_folder(pictures, tmp_path):
    train = data_set(pictures, validation_split=0.25, subset="training")
    validation = data_set(pictures, validation_split=0.25, subset="validation")
    archive, stats = stats_of(tmp_path, picture_model(), train, validation_data=validation)
    assert stats.class_names == ("cat", "dog", "hen")
    parts = by_kind(stats)
    (folder,) = parts["folder"]
    assert (folder.name, folder.path) == ("train.file_paths", str(pictures))
    assert folder.images.class_counts == CLASSES
    assert (folder.images.formats, folder.images.modes) == ({"PNG": 12}, {"RGB": 12})
    assert (folder.images.width.mean, folder.images.height.mean) == (8, 10)
    first, second = parts["data_set"]
    assert (first.name, second.name) == ("train", "validation")
    assert (first.names_the_classes, second.names_the_classes) == (True, False)
    for part, given in ((first, train), (second, validation)):
        relative = sorted(os.path.relpath(path, pictures).encode() + b"\n" for path in given.file_paths)
        assert part.listing_sha256 == hashlib.sha256(b"".join(relative)).hexdigest()
        assert (part.file_count, part.folder) == (len(given.file_paths), str(pictures))
    assert {name: first.class_counts[name] + second.class_counts[name] for name in CLASSES} == CLASSES
    report = archive.run.path_of(layout.README).read_text()
    assert f"| {pictures} | 12 files, 12 images: 12 PNG; cat 6, dog 4, hen 2 |" in report.replace("&#95;", "_")
    archive.finalize(class_names=["x", "y", "z"])
    stats = archive.run.read(layout.DATASET_STATS)
    assert stats.class_names == ("x", "y", "z")
    assert not any(part.names_the_classes for part in by_kind(stats)["data_set"])
    assert by_kind(stats)["folder"] == [folder], "what was described is kept"


def test_what_the_user_says_comes_first(pictures, tmp_path):
    options = {
        "class_names": ["a", "b", "c"],
        "dataset_source": {"train": pictures / "cat", "from": "https://h.example"},
    }
    _, stats = stats_of(tmp_path, picture_model(), data_set(pictures), archive_options=options)
    assert stats.class_names == ("a", "b", "c")
    parts = by_kind(stats)
    assert [(part.name, part.path) for part in parts["folder"]] == [("/train", str(pictures / "cat"))]
    assert parts["data_set"][0].class_names == ("cat", "dog", "hen")
    assert not parts["data_set"][0].names_the_classes


def test_after_map_nothing_is_known_and_data_tells_it_all_the_same(pictures, tmp_path):
    whole = data_set(pictures)
    mapped = whole.map(lambda x, y: (x / 255, y))
    _, stats = stats_of(tmp_path / "1", picture_model(), mapped)
    assert (stats.class_names, stats.source_files) == (None, Unavailable(unavailable="no file or folder was named"))
    _, stats = stats_of(tmp_path / "2", picture_model(), mapped, archive_options={"data": {"train": whole}})
    assert stats.class_names == ("cat", "dog", "hen")


def test_names_that_do_not_fit_the_model_or_are_only_labels_are_not_taken(pictures, tmp_path):
    _, stats = stats_of(tmp_path / "1", picture_model(5), data_set(pictures))
    assert stats.class_names is None
    assert by_kind(stats)["data_set"][0].class_names == ("cat", "dog", "hen")
    labelled = data_set(pictures, labels=[1, 2] * 6)
    _, stats = stats_of(tmp_path / "2", picture_model(3), labelled)
    assert stats.class_names is None


@pytest.mark.parametrize(
    ("names", "paths", "width", "expected"),
    [
        (("cat", "dog"), ["/d/cat/1", "/d/dog/1"], 2, True), (("cat", "dog"), ["/d/cat/1", "/d/dog/1"], 1, True),
        (("cat", "dog"), None, None, True), (("cat", "dog"), ["/d/1", "/d/2"], 2, False),
        (("cat", "dog", "hen"), None, 1, False), (("3", "7"), None, 2, False), (("0", "1"), None, 2, True),
        (("0", "1"), ["/d/1.png", "/d/2.png"], 2, True), (("10", "11"), ["/d/10/a", "/d/11/a"], 2, True),
        (("cat", "cat"), None, 2, False), (None, ["/d/1"], 1, False),
    ],
)  # fmt: skip
def test_when_names_are_those_of_the_class_numbers(names, paths, width, expected):
    assert names_classes(ListedFiles("train", names, paths), width) is expected


def test_the_common_folder_is_above_the_classes():
    def folder(*paths, names=("cat", "dog")):
        return common_folder(ListedFiles("train", names, list(paths)))

    assert folder("/d/cat/1", "/d/dog/2") == "/d"
    assert folder("/d/cat/1", "/d/cat/2") == "/d"
    assert folder("/d/cat/1") == "/d"
    assert folder("/d/a/1", "/d/a/2") == "/d/a"
    assert folder("gs://bucket/cat/1") is None


def test_only_plain_attributes_are_looked_at():
    class Odd:
        @property
        def class_names(self):
            raise AssertionError("was run")

    assert listed_files("train", Odd()) is None
    assert listed_files("train", np.zeros(3)) is None
    odd = Odd()
    odd.__dict__["class_names"] = [1, 2]
    assert listed_files("train", odd) is None


def test_each_split_may_have_a_path(tmp_path):
    x, y = small.arrays()
    for name in ("train", "test"):
        np.save(tmp_path / f"{name}.npy", x)
    source = {"train": str(tmp_path / "train.npy"), "test": tmp_path / "test.npy", "gone": tmp_path / "gone"}
    archive, stats = stats_of(tmp_path / "runs", small.model(), x, y, archive_options={"dataset_source": source})
    digest = hashlib.sha256((tmp_path / "train.npy").read_bytes()).hexdigest()
    assert [(part.kind, part.name) for part in stats.source_files] == [
        ("file", "/train"),
        ("file", "/test"),
        ("not_described", "/gone"),
    ]
    assert (stats.source_files[0].sha256, stats.source_files[0].format) == (digest, "npy")
    seal = archive.run.seal_id
    archive.finalize()
    assert archive.run.seal_id == seal, "nothing has changed"


def test_a_later_phase_keeps_what_is_known(tmp_path, monkeypatch):
    (tmp_path / "data.csv").write_text("a")
    x, y = small.arrays()
    model = small.model()
    archive, first = stats_of(tmp_path, model, x, y, archive_options={"dataset_source": tmp_path / "data.csv"})
    (tmp_path / "data.csv").unlink()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    second = archive.run.read(layout.DATASET_STATS)
    assert set(second.splits) == {"train", "train_phase_1"}
    assert second.source_files == first.source_files


def test_a_folder_too_large_for_a_short_training(tmp_path, monkeypatch):
    """The end of the training waits a little; the seal then holds what is known, and the next phase reads on."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "first.bin").write_bytes(b"small")
    with (folder / "large.bin").open("wb") as file:
        file.truncate(40 << 30)
    monkeypatch.setattr(sources, "PATIENCE_SECONDS", 0.2)
    x, y = small.arrays()
    model = small.model()
    options = {"dataset_source": folder}
    archive, stats = stats_of(tmp_path, model, x, y, archive_options=options)
    (part,) = stats.source_files
    assert (part.file_count, part.total_bytes, part.listing) == (2, (40 << 30) + 5, "complete")
    assert len(part.listing_sha256) == 64
    assert part.manifest_sha256.unavailable == "the training ended before everything was read (1 of 2 files were)"
    (folder / "large.bin").write_bytes(b"small")
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    (part,) = archive.run.read(layout.DATASET_STATS).source_files
    assert len(part.manifest_sha256) == 64


def test_reading_that_hangs_is_given_up_and_never_touches_the_seal(tmp_path, monkeypatch):
    """A network file system may hang in the middle of a read: here a function that waits stands for it."""
    release = threading.Event()
    real = data_sources.sha256_of_rest
    monkeypatch.setattr(data_sources, "sha256_of_rest", lambda *a: release.wait(60) and real(*a))
    monkeypatch.setattr(sources, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(sources, "GRACE_SECONDS", 0.05)
    x, y = small.arrays()
    before = set(threading.enumerate())
    archive, stats = stats_of(tmp_path, small.model(), x, y, archive_options={"dataset_source": Path(__file__)})
    assert stats.source_files == Unavailable(unavailable="the training ended before it was known")
    assert [thread for thread in threading.enumerate() if thread not in before and "background" in thread.name]
    release.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any("background" in thread.name for thread in threading.enumerate()):
        time.sleep(0.01)
    assert archiver.verify(archive.run.path).is_whole
    assert archive.run.read(layout.DATASET_STATS) == stats


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_only_the_reading_thread_stands_back():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    seen = []
    thread = threading.Thread(
        target=lambda: (sources._stand_back(), seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
    )
    thread.start()
    thread.join()
    assert seen == [min(19, before + sources.NICENESS)]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_a_failure_is_recorded_and_breaks_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("planted")

    monkeypatch.setattr(sources, "describe_paths", broken)
    x, y = small.arrays()
    archive = archiver.RunArchiver(tmp_path, name="a", dataset_source=Path(__file__))
    with pytest.warns(
        archiver.errors.ArchiverWarning, match="data sources could not be archived: RuntimeError: planted"
    ):
        small.model().fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    report = archiver.verify(archive.run.path)
    assert report.is_whole
    assert any("data sources failed" in finding.message for finding in report.information)


def test_names_that_are_no_text_and_the_home_folder_in_what_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / os.fsdecode(b"not\xfftext.csv")
    path.write_text("a")
    x, y = small.arrays()
    _, stats = stats_of(tmp_path / "runs", small.model(), x, y, archive_options={"dataset_source": path})
    (part,) = stats.source_files
    assert part.path == stats.source == "~/not\\udcfftext.csv"
    assert part.size_bytes == 1
