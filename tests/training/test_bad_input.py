"""Bad input gets an error before the first step that says what was received and expected; nothing is half-written."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.errors import ArchiverError, ArgumentError, DataError, RunNameError, RunStateError, StorageError
from tests.training import small


def fit(archive, x=None, y=None, model=None):
    if x is None:
        x, y = small.arrays()
    (model or small.model()).fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    return archive


def test_the_constructor_writes_nothing(tmp_path):
    archiver.RunArchiver(tmp_path / "new" / "runs", name="a")
    assert not list(tmp_path.iterdir())


def test_a_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ArgumentError, match=r"Received root=.* is a file\. Expected a folder"):
            archiver.RunArchiver(root, name="a")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_root_that_becomes_a_file_before_fit(tmp_path):
    archive = archiver.RunArchiver(tmp_path / "runs", name="a")
    (tmp_path / "runs").write_text("mine")
    with pytest.raises(StorageError, match="runs"):
        fit(archive)
    assert (tmp_path / "runs").read_text() == "mine"


@pytest.fixture
def as_another_user():
    """Root may write everywhere, so that user's rights are dropped for the time of the test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_root_that_cannot_be_written(tmp_path, as_another_user):
    if os.geteuid() != 65534:
        tmp_path.chmod(0o500)
    with pytest.raises(ArgumentError, match=r"cannot be written to"):
        archiver.RunArchiver(tmp_path / "runs", name="a")


@pytest.mark.parametrize("root", [None, 3, "", b"x"])
def test_a_root_that_is_no_path(root):
    with pytest.raises(ArgumentError, match="Expected the path of a folder"):
        archiver.RunArchiver(root, name="a")


@pytest.mark.parametrize("name", ["a/b", "..", "a\x07", "x" * 151])
def test_names_that_cannot_be_used(name, tmp_path):
    with pytest.raises(RunNameError, match="Expected"):
        archiver.RunArchiver(tmp_path, name=name)


def test_spaces_and_other_scripts_are_replaced_and_the_original_kept(tmp_path):
    archive = fit(archiver.RunArchiver(tmp_path, name="Größe 1"))
    assert archive.run.name == "Grosse_1".replace("ss", "_")
    assert archive.run.read(layout.RUN).name.original == "Größe 1"
    assert archiver.verify(archive.run.path).is_whole


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_existing": "overwrite"}, {"formats": ["onnx"]}, {"formats": "keras"}, {"monitor": 3}, {"tags": "one"},
        {"tags": [1]}, {"group": 5}, {"class_names": "abc"}, {"class_names": []}, {"class_names": ["a", "a"]},
    ],
)  # fmt: skip
def test_arguments_that_cannot_be_used(arguments, tmp_path):
    with pytest.raises(ArgumentError, match=r"Received .*Expected"):
        archiver.RunArchiver(tmp_path, name="a", **arguments)


def test_class_names_that_do_not_match_the_labels(tmp_path):
    x, _ = small.arrays()
    with pytest.raises(DataError, match=r"Received 3 class names .* Expected 2"):
        fit(archiver.RunArchiver(tmp_path, name="a", class_names=["a", "b", "c"]))
    with pytest.raises(DataError, match=r"Received 1 class names .* Expected 2"):
        fit(archiver.RunArchiver(tmp_path, name="a", class_names=["a"]))
    assert not list(tmp_path.iterdir())
    archive = fit(archiver.RunArchiver(tmp_path, name="a"))
    before = archive.run.seal_id
    with pytest.raises(DataError, match="class names"):
        archive.finalize(test_data=small.arrays(8), class_names=["a", "b", "c"])
    with pytest.raises(DataError, match="class names"):
        archive.finalize(test_data=(x, np.full(len(x), 4)), class_names=["a", "b"])
    assert archive.run.seal_id == before


@pytest.mark.parametrize(
    ("test_data", "message"),
    [
        ((np.zeros((5, 3), "float32"), np.zeros(5, int)), r"shape \(3,\)\. Expected \(4,\)"),
        ((np.zeros((5, 4), "float32"), np.zeros(6, int)), "different lengths"),
        ((np.zeros((5, 4), "float32"),), "Expected"),
        (([np.zeros((5, 4)), np.zeros((5, 4))], np.zeros(5, int)), "2 inputs. Expected 1"),
        ("data.csv", "Expected"),
        ((batch for batch in ()), "steps="),
        ((np.zeros((5, 4), "float32"), np.full(5, 7)), "could not be evaluated"),
    ],
)
def test_test_data_that_does_not_fit(test_data, message, tmp_path):
    archive = fit(archiver.RunArchiver(tmp_path, name="a"))
    before = {path: path.read_bytes() for path in archive.run.path.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match=message):
        archive.finalize(test_data=test_data)
    assert before == {path: path.read_bytes() for path in archive.run.path.rglob("*") if path.is_file()}


def test_an_uncompiled_model_in_archiver_fit(tmp_path):
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    x, y = small.arrays()
    archive = archiver.RunArchiver(tmp_path, name="a")
    with pytest.raises(ArgumentError, match=r"not compiled\. Call model\.compile"):
        archiver.fit(archive, model, x, y)
    with pytest.raises(ArgumentError, match="does not take"):
        archiver.fit(archive, small.model(), x, y, epoch=3)
    with pytest.raises(ArgumentError, match=r"Expected a keras\.Model"):
        archiver.fit(archive, "model", x, y)
    with pytest.raises(ArgumentError, match="Expected a RunArchiver"):
        archiver.fit(None, small.model(), x, y)
    assert not list(tmp_path.iterdir())


def test_finalize_and_run_before_fit(tmp_path):
    archive = archiver.RunArchiver(tmp_path, name="a")
    with pytest.raises(RunStateError, match="before fit"):
        archive.finalize()
    with pytest.raises(RunStateError, match="before fit"):
        _ = archive.run


def test_on_existing_error(tmp_path):
    fit(archiver.RunArchiver(tmp_path, name="a"))
    with pytest.raises(RunStateError, match=r"exists.*Choose another"):
        fit(archiver.RunArchiver(tmp_path, name="a", on_existing="error"))
    assert [path.name for path in tmp_path.iterdir()] == ["a_models"]


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, "1", None, True])
def test_seeds_out_of_range(value):
    with pytest.raises(ArgumentError, match="Expected a whole number"):
        archiver.seed(value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0}, {"batch_size": 2.5}, {"seed": None}, {"seed": -1}, {"y": None, "sample_weight": np.ones(48)},
        {"y": np.zeros(3)},
    ],
)  # fmt: skip
def test_array_batches_refuses(arguments):
    x, y = small.arrays()
    with pytest.raises(ArchiverError, match=r"Received .*Expected"):
        archiver.data.array_batches(**({"x": x, "y": y, "seed": 1} | arguments))


def test_without_keras_the_message_names_the_command(tmp_path):
    """In a process where Keras cannot be imported."""
    code = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nothing())
import archiver
from archiver import layout
assert archiver.verify
try:
    archiver.RunArchiver
except archiver.errors.MissingExtraError as error:
    print(error)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert 'pip install "keras-archiver[tensorflow]"' in result.stdout


@pytest.mark.parametrize("name", ["../a", "/a", "a/../b", ".hidden", "a/.b", "a\\b", "a\nb", "", "c:a"])
def test_files_are_added_inside_files_only(name, tmp_path):
    (tmp_path / "source.txt").write_text("x")
    archive = archiver.RunArchiver(tmp_path / "runs", name="a")
    with pytest.raises(ArgumentError, match="Received name="):
        archive.add_file(tmp_path / "source.txt", name)
    with pytest.raises(ArgumentError, match="is no file"):
        archive.add_file(tmp_path / "nothing.txt")
