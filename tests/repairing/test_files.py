"""Restoring and rebuilding the files of real archives, each by what it is made from."""

import random
import shutil
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.archive.verifying import verify
from archiver.report.screen import verdict_rows
from archiver.sealing import changing
from archiver.storage.journal import events_named
from archiver.storage.tensors import open_tensors
from tests.repairing.campaigning import flip, is_as_it_was, overwrite, repaired, tensors_of

FORMATS = {"keras": layout.KERAS_MODEL, "h5": layout.H5_MODEL, "weights.h5": layout.WEIGHTS_H5}


def place_of(run: Run, form: str, location: str) -> tuple[Path, int]:
    """Where a tensor lies in its file."""
    path = run.path_of(FORMATS.get(form, layout.CHECKPOINT_VARIABLES))
    with open_tensors(path, form) as tensors:
        data = tensors.content(location)
    return path, path.read_bytes().find(data)


def restored(original: Run, copy: Run, *names: str) -> None:
    report, target = repaired(copy)
    assert report.is_whole, [outcome.describe() for outcome in report.outcomes]
    assert report.paths("restored") == sorted(names)
    assert {outcome.what for outcome in report.outcomes} == {"restored"}
    assert report.seal_id == report.original_seal_id == original.seal_id
    assert is_as_it_was(original, target)


@pytest.mark.parametrize("form", [*FORMATS, "npz"])
def test_tensors_that_became_noise_are_copied_back(form, real, damaged):
    copy = damaged(real)
    variable = max(real.read(layout.WEIGHTS).variables, key=lambda each: int(np.prod(each.shape)))
    location = f"model/{variable.index}" if form == "npz" else variable.locations[form]
    path, start = place_of(copy, form, location)
    overwrite(path, start, b"\xa5" * 200)
    findings = verify(copy.path).findings
    assert [finding.code for finding in findings] == ["changed", "tensor"]
    assert f"variable {variable.path} of layer {variable.layer}) is not the recorded one; " in findings[1].message
    assert "`archiver repair` can rebuild it" in findings[1].message
    restored(real, copy, str(path.relative_to(copy.path)))


@pytest.mark.parametrize("form", FORMATS)
def test_the_optimizer_is_copied_back(form, real, damaged):
    copy = damaged(real)
    state = real.read(layout.CHECKPOINT_STATE)
    variable = max(state.optimizer, key=lambda each: int(np.prod(each.shape)))
    location = f"optimizer_weights/{variable.path}" if form == "h5" else f"optimizer/vars/{variable.index}"
    path, start = place_of(copy, form, location)
    overwrite(path, start, bytes(100))
    (finding,) = (each for each in verify(copy.path).findings if each.code == "tensor")
    assert f"variable {variable.path})" in finding.message
    restored(real, copy, str(path.relative_to(copy.path)))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("start", [0, 900])
def test_the_structure_is_written_anew(form, start, real, damaged):
    copy = damaged(real)
    overwrite(copy.path_of(FORMATS[form]), start, random.Random(start).randbytes(64))
    restored(real, copy, FORMATS[form].path(copy.name))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_file_that_was_cut_off(form, share, real, damaged):
    copy = damaged(real)
    path = copy.path_of(FORMATS[form])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert any(finding.code == "tensor" for finding in verify(copy.path).findings)
    restored(real, copy, FORMATS[form].path(copy.name))


@pytest.mark.parametrize("form", ["h5", "weights.h5"])
def test_a_file_that_is_gone(form, real, damaged):
    copy = damaged(real)
    copy.path_of(FORMATS[form]).unlink()
    restored(real, copy, FORMATS[form].path(copy.name))


def test_a_configuration_that_is_gone_is_not_made_up(real, damaged):
    copy = damaged(real)
    copy.path_of(layout.KERAS_MODEL).unlink()
    report, target = repaired(copy)
    assert (report.output, report.is_whole) == (None, False)
    assert not target.exists()
    (outcome,) = report.outcomes
    assert outcome.what == "not_repaired"
    assert "its configuration is lost with it" in outcome.how


def test_damage_in_every_model_file_at_once(real, damaged):
    """Each has another tensor hit: each takes it from one where that one is sound."""
    copy = damaged(real)
    variables = real.read(layout.WEIGHTS).variables
    names = []
    for variable, (form, file) in zip(variables, FORMATS.items(), strict=False):
        path, start = place_of(copy, form, variable.locations[form])
        overwrite(path, start, bytes(8))
        names.append(file.path(copy.name))
    restored(real, copy, *names)


def test_the_best_weights(real, damaged):
    copy = damaged(real)
    path = copy.path_of(layout.BEST_WEIGHTS)
    overwrite(path, 100, bytes(500))  # the structure, which is that of the final weights
    (note,) = verify(copy.path).findings[1:]
    assert "its tensors cannot be read" in note.message
    restored(real, copy, layout.BEST_WEIGHTS.path(copy.name))


def test_best_weights_of_which_there_is_no_copy(real, damaged):
    copy = damaged(real)
    variable = max(real.read(layout.WEIGHTS).variables, key=lambda each: int(np.prod(each.shape)))
    path = copy.path_of(layout.BEST_WEIGHTS)
    with open_tensors(path, "weights.h5") as tensors:
        start = path.read_bytes().find(tensors.content(variable.locations["weights.h5"]))
    overwrite(path, start, bytes(300))
    assert "only their common digest is recorded" in verify(copy.path).findings[-1].message
    report, _ = repaired(copy)
    assert [outcome.how for outcome in report.outcomes] == ["no other file holds the weights of the best epoch"]


@pytest.mark.parametrize("where", ["local", "central", "end"])
def test_the_descriptions_in_a_zip(where, real, damaged):
    for file in (layout.KERAS_MODEL, layout.CHECKPOINT_VARIABLES):
        copy = damaged(real)
        path = copy.path_of(file)
        with zipfile.ZipFile(path) as archive:
            starts = {"local": archive.infolist()[1].header_offset, "central": archive.start_dir,
                      "end": path.stat().st_size - 20}  # fmt: skip
        overwrite(path, starts[where], b"\xff" * 20)
        restored(real, copy, file.path(copy.name))
        shutil.rmtree(copy.path)
        shutil.rmtree(copy.path.parent / "new")


def test_one_byte_of_what_nothing_else_holds(real, damaged):
    """Predictions and the random state are nowhere else: the CRC of the member says which byte it was."""
    copy = damaged(real)
    for file in (layout.PREDICTIONS, layout.CHECKPOINT_VARIABLES):
        path = copy.path_of(file)
        with zipfile.ZipFile(path) as archive:
            member = archive.infolist()[-1]
        data = bytearray(path.read_bytes())
        data[member.header_offset + 30 + len(member.filename) + member.file_size - 1] ^= 0xFF
        path.write_bytes(data)
    restored(real, copy, layout.PREDICTIONS.path(copy.name), layout.CHECKPOINT_VARIABLES.path(copy.name))


# -- where the bytes cannot be had again


def otherwise_written(original: Run, folder: Path) -> Run:
    """The archive as if another HDF5 library had written it: the same objects, in another order and arrangement."""
    run = Run.open(shutil.copytree(original.path, folder / "otherwise"))

    def rewrite(path: Path, padding: int) -> None:
        other = path.with_name("other")
        with h5py.File(path) as old, h5py.File(other, "w") as new:
            new.create_group("padding" * padding)
            del new["padding" * padding]
            new.attrs.update(old.attrs)
            for name in reversed(list(old)):
                old.copy(name, new)
        other.rename(path)

    with changing(run):
        rewrite(run.path_of(layout.WEIGHTS_H5), 9)
        rewrite(run.path_of(layout.H5_MODEL), 9)
        keras_file = run.path_of(layout.KERAS_MODEL)
        with zipfile.ZipFile(keras_file) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        inner = keras_file.with_name("inner.h5")
        inner.write_bytes(members["model.weights.h5"])
        rewrite(inner, 99)
        with zipfile.ZipFile(keras_file, "w") as archive:
            for name, data in (members | {"model.weights.h5": inner.read_bytes()}).items():
                archive.writestr(name, data)
        inner.unlink()
        run.path_of(layout.BEST_WEIGHTS).unlink()
        results = run.read(layout.RESULTS)
        best = results.best_epoch.model_copy(update={"file": None})
        run.write(layout.RESULTS, results.model_copy(update={"best_epoch": best}))
    assert verify(run.path, deep=True).is_whole
    return run


@pytest.fixture(scope="session")
def other(real, tmp_path_factory):
    return otherwise_written(real, tmp_path_factory.mktemp("other"))


def loaded_digest(path: Path, original: Run) -> str:
    """The weights digest of what real Keras loads."""
    import keras

    from archiver.training.weights import weights_digest

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if path.name.endswith(".weights.h5"):
            model = keras.saving.load_model(original.path_of(layout.KERAS_MODEL))
            for variable in model.weights:
                variable.assign(keras.ops.zeros_like(variable))
            model.load_weights(path)
        else:
            model = keras.saving.load_model(path)
            same = keras.saving.load_model(original.path / path.relative_to(path.parent.parent))
            for received, expected in zip(model.optimizer.variables, same.optimizer.variables, strict=True):
                np.testing.assert_array_equal(np.asarray(received), np.asarray(expected))
        x = np.random.default_rng(5).normal(size=(4, 8, 8, 1)).astype("float32")
        whole = keras.saving.load_model(original.path_of(layout.KERAS_MODEL))
        np.testing.assert_array_equal(model.predict(x, verbose=0), whole.predict(x, verbose=0))
    return weights_digest(model.weights)


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_rebuilt_from_its_tensors_and_keras_loads_it(form, other, damaged):
    copy = damaged(other)
    file = FORMATS[form]
    name = file.path(copy.name)
    path = copy.path_of(file)
    if form == "h5":
        start = path.read_bytes().find(b"TREE", 2000)
    else:
        start = path.read_bytes().find(b"\x89HDF") if form == "keras" else 0
    overwrite(path, start, bytes(64))
    report, target = repaired(copy)
    assert report.is_whole, [outcome.describe() for outcome in report.outcomes]
    assert report.paths("rebuilt") == [name]
    new = Run.open(target)
    assert verify(target, algorithm="all", deep=True).is_whole
    assert tensors_of(new) == tensors_of(other)
    assert loaded_digest(target / name, other) == other.read(layout.WEIGHTS).weights_digest
    assert report.seal_id == new.seal_id != other.seal_id == report.original_seal_id
    (event,) = events_named(new.journal.read(), "repaired")
    (part,) = event.details["files"]
    assert (part["file"], part["what"]) == (name, "rebuilt")
    assert len({part["sha256_sealed"], part["sha256_before"], part["sha256_after"]}) == 3
    assert next(reversed(list(events_named(new.journal.read(), "unsealed")))).details["seal_id"] == other.seal_id
    assert f"{name} written anew" in (target / "README.md").read_text().replace("\\", "")
    assert "this archive was damaged and repaired on" in dict(verdict_rows(new))["watch out"]


def test_what_is_rebuilt_without_a_file_that_is_like_it(other, damaged):
    """Both newer formats have a broken structure; the tensors are in `.h5` and in the checkpoint."""
    copy = damaged(other)
    overwrite(copy.path_of(layout.WEIGHTS_H5), 0, bytes(64))
    path = copy.path_of(layout.KERAS_MODEL)
    overwrite(path, path.read_bytes().find(b"\x89HDF"), bytes(64))
    report, target = repaired(copy)
    assert report.is_whole, [outcome.describe() for outcome in report.outcomes]
    assert sorted(report.paths("rebuilt")) == sorted(
        file.path(copy.name) for file in (layout.KERAS_MODEL, layout.WEIGHTS_H5)
    )
    for file in (layout.KERAS_MODEL, layout.WEIGHTS_H5):
        digest = loaded_digest(Run.open(target).path_of(file), other)
        assert digest == other.read(layout.WEIGHTS).weights_digest


def test_a_configuration_that_was_changed_is_not_taken(other, damaged):
    """`.h5` is rebuilt with its own configuration only where that says what `.keras` says."""
    copy = damaged(other)
    path = copy.path_of(layout.H5_MODEL)
    data = path.read_bytes()
    data = data.replace(b'"filters": 8', b'"filters": 9')
    path.write_bytes(data)
    overwrite(path, data.find(b"TREE", 2000), bytes(64))
    report, _ = repaired(copy)
    (outcome,) = report.outcomes
    assert "is not what a sound .keras file says" in outcome.how


def test_nothing_is_sealed_anew_over_damage_that_stays(other, damaged):
    copy = damaged(other)
    overwrite(copy.path_of(layout.WEIGHTS_H5), 0, bytes(64))
    trace = copy.path / "traces" / "memory.csv"
    trace.write_bytes(b"x" * 100)
    report, target = repaired(copy)
    assert not report.is_whole
    assert report.paths("not_repaired") == ["traces/memory.csv"]
    assert report.paths("rebuilt") == [layout.WEIGHTS_H5.path(copy.name)]
    assert report.seal_id == other.seal_id
    changed = {finding.path for finding in report.findings if finding.code == "changed"}
    assert changed == {"traces/memory.csv", layout.WEIGHTS_H5.path(copy.name)}
    assert not list(events_named(Run.open(target).journal.read(), "repaired"))


def test_a_bit_in_the_journal(real, damaged):
    copy = damaged(real)
    flip(copy.path / "journal.jsonl", 8 * 700 + 3)
    restored(real, copy, "journal.jsonl")
