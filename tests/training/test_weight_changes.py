"""Weights before and after each phase, against copies that the test made itself."""

import hashlib
import json

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.closing import close_unfinished
from archiver.errors import ArchiverWarning
from archiver.records.base import Unavailable
from archiver.storage import files
from archiver.storage.journal import events_named
from archiver.training import weight_changes
from archiver.training.weights import weights_digest
from tests.training import small


def values(model):
    return [np.array(variable.numpy()) for variable in model.weights]


def norm(arrays):
    return float(np.sqrt(sum(np.sum(array.astype(np.float64) ** 2) for array in arrays)))


def fit(model, archive, **kwargs):
    x, y = small.arrays()
    return model.fit(x, y, epochs=1, verbose=0, callbacks=[archive], **kwargs)


def test_every_phase_tells_how_far_each_layer_moved(tmp_path):
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    states = [values(model)]
    digests = [weights_digest(model.weights)]
    for phase in range(2):
        model.layers[0].trainable = phase == 1
        model.compile("adam", loss="sparse_categorical_crossentropy")
        fit(model, archive)
        states.append(values(model))
        digests.append(weights_digest(model.weights))
    table = archive.run.read(layout.WEIGHTS)
    assert [part.phase for part in table.phases] == [0, 1]
    for phase, part in enumerate(table.phases):
        before, after = states[phase], states[phase + 1]
        assert (part.initial_weights_digest, part.final_weights_digest) == (digests[phase], digests[phase + 1])
        assert [change.layer for change in part.layers] == [model.layers[0].name, model.layers[2].name]
        for position, change in enumerate(part.layers):
            own = slice(2 * position, 2 * position + 2)
            moved = [two.astype(np.float64) - one for one, two in zip(before[own], after[own], strict=True)]
            assert change.initial_norm == pytest.approx(norm(before[own]), rel=1e-12)
            assert change.final_norm == pytest.approx(norm(after[own]), rel=1e-12)
            assert change.change_norm == pytest.approx(norm(moved), rel=1e-12)
            assert change.relative_change == pytest.approx(norm(moved) / norm(before[own]), rel=1e-12)
            assert change.path == f"small/{change.layer}"
        assert part.change.change_norm == pytest.approx(
            np.sqrt(sum(change.change_norm**2 for change in part.layers)), rel=1e-12
        )
    assert table.phases[0].layers[0].change_norm == 0, "it was frozen"
    assert table.phases[1].layers[0].change_norm > 0
    assert not list(tmp_path.rglob(f"{files.TEMPORARY_PREFIX}*"))
    assert archiver.verify(archive.run.path, deep=True).findings == ()


def test_statistics_and_slots(tmp_path):
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    fit(model, archive)
    table = archive.run.read(layout.WEIGHTS)
    for part, variable in zip(table.variables, model.weights, strict=True):
        array = variable.numpy().astype(np.float64)
        assert part.statistics.mean == pytest.approx(array.mean(), rel=1e-9)
        assert part.statistics.standard_deviation == pytest.approx(array.std(), rel=1e-9)
        assert (part.statistics.minimum, part.statistics.maximum) == (array.min(), array.max())
    slots = {(part.slot_of, part.slot) for part in table.optimizer_variables if part.slot}
    trainable = [variable.path for variable in model.trainable_weights]
    assert slots == {(path, slot) for path in trainable for slot in ("momentum", "velocity")}
    others = {part.path.rpartition("/")[2] for part in table.optimizer_variables if part.slot is None}
    assert others == {"iteration", "learning_rate"}
    for part, variable in zip(table.optimizer_variables, model.optimizer.variables, strict=True):
        assert part.sha256 == hashlib.sha256(np.asarray(variable.numpy()).tobytes()).hexdigest()
        assert part.statistics.mean == pytest.approx(np.mean(variable.numpy(), dtype=np.float64), rel=1e-9)


def test_a_slot_of_a_wrapped_optimizer_with_names_that_contain_each_other(tmp_path):
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, name="a"), keras.layers.Dense(2, name="a_kernel")]
    )
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(momentum=0.9)), loss="mse")
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, _ = small.arrays()
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[archive])
    found = [(part.slot_of, part.slot) for part in archive.run.read(layout.WEIGHTS).optimizer_variables if part.slot]
    assert sorted(found) == sorted((variable.path, "momentum") for variable in model.trainable_weights)


class Look(keras.callbacks.Callback):
    """What lies in the archive while training goes on."""

    def __init__(self, root):
        super().__init__()
        self.root = root
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen += list(self.root.rglob("*initial_weights*"))


def test_too_many_weights_leave_the_digest_only(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_changes, "MAXIMAL_KEPT_BYTES", 100)
    model = small.model()
    digest = weights_digest(model.weights)
    archive, look = archiver.RunArchiver(tmp_path, name="a"), Look(tmp_path)
    x, y = small.arrays()
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive, look])
    (part,) = archive.run.read(layout.WEIGHTS).phases
    assert part.initial_weights_digest == digest
    assert part.final_weights_digest == weights_digest(model.weights)
    assert "232 bytes" in part.change.unavailable
    assert look.seen == []


def test_a_full_disk_is_left_to_the_models(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_changes, "MINIMAL_FREE_SHARE", 1 << 60)
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    fit(model, archive)
    (part,) = archive.run.read(layout.WEIGHTS).phases
    assert "free" in part.layers.unavailable
    assert isinstance(part.initial_weights_digest, str)


def test_the_file_is_there_while_it_trains_and_goes_when_training_fails(tmp_path):
    class Fail(Look):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            raise RuntimeError("planted")

    model, look = small.model(), Fail(tmp_path)
    digest = weights_digest(model.weights)
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays()
    with pytest.raises(RuntimeError, match="planted"):
        model.fit(x, y, epochs=1, verbose=0, callbacks=[archive, look])
    assert [path.name.partition("-")[0] for path in look.seen] == [".tmp"]
    middle = weights_digest(model.weights)
    fit(model, archive)
    failed, done = archive.run.read(layout.WEIGHTS).phases
    assert failed.initial_weights_digest == digest
    assert isinstance(failed.final_weights_digest, Unavailable)
    assert isinstance(failed.change, Unavailable)
    assert (done.initial_weights_digest, done.phase) == (middle, 1)
    assert not list(tmp_path.rglob(f"{files.TEMPORARY_PREFIX}*"))
    assert archiver.verify(archive.run.path).findings == ()


def test_what_a_killed_run_left_is_removed(tmp_path):
    from archiver.testing import tiny_run

    run = tiny_run(tmp_path, status="interrupted", sealed=False)
    leftover = files.temporary_name(run.path / "models" / "initial_weights")
    leftover.parent.mkdir(exist_ok=True)
    leftover.write_bytes(bytes(100))
    close_unfinished(run)
    assert not leftover.exists()
    assert archiver.verify(run.path).findings == ()


def test_a_file_that_cannot_be_written_costs_the_changes_alone(tmp_path, monkeypatch):
    original = files.write_all

    def refuse(descriptor, data):
        if isinstance(data, memoryview):
            raise OSError(28, "No space left on device")
        original(descriptor, data)

    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    monkeypatch.setattr(files, "write_all", refuse)
    with pytest.warns(ArchiverWarning, match="weight changes could not be archived"):
        fit(model, archive)
    run = archive.run
    (part,) = run.read(layout.WEIGHTS).phases
    assert isinstance(part.initial_weights_digest, Unavailable)
    assert part.final_weights_digest == weights_digest(model.weights)
    assert {event.details["step"] for event in events_named(run.journal.read(), "step_failed")} == {"weight changes"}
    assert archiver.verify(run.path, deep=True).findings == ()


def test_weights_of_several_types(tmp_path):
    class Odd(keras.layers.Layer):
        def build(self, shape):
            self.half = self.add_weight(shape=(3,), dtype="bfloat16", initializer="ones", name="half")
            self.count = self.add_weight(shape=(), dtype="int32", initializer="zeros", trainable=False, name="count")
            self.flag = self.add_weight(shape=(2,), dtype="bool", initializer="zeros", trainable=False, name="flag")
            self.nothing = self.add_weight(shape=(0, 2), initializer="zeros", trainable=False, name="nothing")

        def call(self, inputs):
            self.count.assign_add(1)
            return inputs * keras.ops.cast(keras.ops.sum(self.half), "float32")

    model = keras.Sequential([keras.layers.Input((4,)), Odd(name="odd"), keras.layers.Dense(2)])
    model.compile("sgd", loss="mse")
    before = values(model)
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, _ = small.arrays()
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[archive])
    table = archive.run.read(layout.WEIGHTS)
    (part,) = table.phases
    odd = next(change for change in part.layers if change.layer == "odd")
    after = dict(zip([variable.name for variable in model.weights], values(model), strict=True))
    moved = after["half"].astype(np.float64) - before[0].astype(np.float64)
    assert odd.change_norm == pytest.approx(np.linalg.norm(moved), rel=1e-12)
    by_name = {part.path.rpartition("/")[2]: part for part in table.variables}
    assert by_name["count"].statistics.mean > 0
    assert by_name["flag"].statistics.zero_share == 1
    assert by_name["nothing"].statistics.unavailable == "it has no elements"
    assert archiver.verify(archive.run.path, deep=True).findings == ()


def test_many_phases_stay_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(weight_changes, "MAXIMAL_LAYER_ENTRIES", 5)
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    for _ in range(4):
        fit(model, archive)
    phases = archive.run.read(layout.WEIGHTS).phases
    assert [isinstance(part.layers, tuple) for part in phases] == [False, False, True, True]
    assert all(not isinstance(part.change, Unavailable) for part in phases)


def test_weights_that_change_after_fit_are_no_phase(tmp_path):
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    fit(model, archive)
    left = weights_digest(model.weights)
    model.layers[0].bias.assign(np.ones(8))
    run = archive.finalize(test_data=small.arrays(), on_changed_weights="save")
    table = run.read(layout.WEIGHTS)
    assert table.weights_digest == weights_digest(model.weights) != left
    assert table.phases[0].final_weights_digest == left
    assert archiver.verify(run.path, deep=True).findings == ()


def test_saving_leaves_what_the_model_was_compiled_with(tmp_path):
    """Keras' writer of `.h5` takes the optimizer out of it."""
    model = small.model()
    archive = archiver.RunArchiver(tmp_path, name="a")
    before = model.get_compile_config()
    for _ in range(2):
        fit(model, archive)
        assert model.get_compile_config().keys() == before.keys()
        loaded = keras.saving.load_model(archive.run.path_of(layout.KERAS_MODEL))
        assert type(loaded.optimizer) is type(model.optimizer)


def test_a_contradiction_is_found(tmp_path):
    from archiver.testing import tiny_run
    from tests.archive.resealing import edit_and_seal

    def edits():
        yield layout.WEIGHTS, lambda d: d["phases"][0].update(final_weights_digest="0" * 64), "final_weights_digest"
        yield layout.MODEL_CONFIG, lambda d: d.update(weights_bytes=1), "weights_bytes"
        yield layout.MODEL_CONFIG, lambda d: d.update(layer_count=7), "layer_count"
        yield layout.MODEL_CONFIG, lambda d: d["flops"].update(per_sample=7), "flops/per_sample"

        def same(document):
            document["phases"][0]["initial_weights_digest"] = document["phases"][0]["final_weights_digest"]

        yield layout.WEIGHTS, same, "change_norm"

    for position, (file, edit, where) in enumerate(edits()):
        run: Run = tiny_run(tmp_path, f"r{position}")
        assert archiver.verify(run.path).findings == ()
        edit_and_seal(run, file.path(run.name), edit)
        found = archiver.verify(run.path).findings
        assert {finding.code for finding in found} == {"disagreement"}
        others = [finding.path for finding in found if not finding.path.endswith(where)]
        assert len(others) == len(found) - 1
        assert all(path.endswith("results.json#/initial_weights_digest") for path in others), json.dumps(others)
