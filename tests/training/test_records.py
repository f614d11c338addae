"""What the records say is what was there: values against the live objects, not only present."""

import argparse
import hashlib
import json
import random

import keras
import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.records.base import Unavailable
from archiver.storage.npz import read_npz_array
from archiver.storage.plain_state import decode
from archiver.training.checkpoints import variable_groups
from archiver.training.weights import weights_digest
from tests.training import small


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    archiver.seed(11)
    model = small.model()
    x, y = small.arrays()
    options = argparse.Namespace(rate=0.1, units=8, path="data")
    archive = archiver.RunArchiver(
        tmp_path_factory.mktemp("runs"), name="a", hyperparameters=options, notes="for tests", tags=["one", "two"],
        group="g", preprocessing={"scaling": 2}, dataset_source="made up", class_names=["no", "yes"],
    )  # fmt: skip
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=5)
    data = archiver.data.array_batches(x, y, batch_size=8, seed=2)
    validation = small.arrays(16, 1)
    history = model.fit(
        data, validation_data=validation, epochs=3, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 2.0},
        validation_freq=2, callbacks=[stopping, archive],
    )  # fmt: skip
    state = (random.getstate(), np.random.get_state())
    test_data = small.arrays(24, 2)
    run = archive.finalize(test_data=test_data)
    return archive, model, history, run, test_data, state


def test_history_is_keras_history(trained):
    _, _, history, run, _, _ = trained
    (phase,) = run.read(layout.HISTORY).phases
    assert phase.epochs == tuple(history.epoch)
    for name, values in history.history.items():
        column = [value for value in phase.metrics[name] if value is not None]
        assert column == values, name
    assert phase.metrics["val_loss"][0] is None, "validated every second epoch only"
    assert phase.learning_rates == (pytest.approx(0.001),) * 3


def test_train_config(trained):
    _, _, _, run, _, _ = trained
    (phase,) = run.read(layout.TRAIN_CONFIG).phases
    assert (phase.capture, phase.epochs, phase.steps_per_epoch) == ("frames", 3, 6)
    assert phase.class_weight == {"0": 1.0, "1": 2.0}
    assert (phase.validation.source, phase.validation.frequency) == ("validation_data", 2)
    assert phase.fit_arguments["validation_data"][0] == {"array": {"shape": [16, 4], "dtype": "float32"}}
    assert phase.hyperparameters == {"rate": 0.1, "units": 8, "path": "data"}
    assert phase.seed.seed == 11
    assert [part.class_name.rsplit(".", 1)[-1] for part in phase.callbacks] == ["EarlyStopping", "History"]
    assert phase.callbacks[0].arguments["patience"] == 5
    assert phase.loss == "sparse_categorical_crossentropy"
    assert phase.metrics == ["accuracy"]


def test_optimizer_config(trained):
    _, model, _, run, _, _ = trained
    (phase,) = run.read(layout.OPTIMIZER_CONFIG).phases
    assert phase.class_name.endswith(".Adam")
    assert phase.config["beta_1"] == model.optimizer.beta_1
    assert (phase.iterations, phase.learning_rate) == (0, pytest.approx(0.001))


def test_model_config(trained):
    _, model, _, run, _, _ = trained
    config = run.read(layout.MODEL_CONFIG)
    assert config.parameters.total == model.count_params()
    assert [layer.name for layer in config.layers] == [layer.name for layer in model.layers]
    assert config.layers[0].config["units"] == 8
    assert (config.input_shape, config.output_shape) == ([None, 4], [None, 2])
    assert "Trainable params: 58 " in config.summary
    assert config.needs_trust == ()


def test_weights_table(trained):
    _, model, _, run, _, _ = trained
    table = run.read(layout.WEIGHTS)
    assert table.weights_digest == weights_digest(model.weights)
    arrays = [np.asarray(variable.numpy()) for variable in model.weights]
    assert [part.sha256 for part in table.variables] == [hashlib.sha256(a.tobytes()).hexdigest() for a in arrays]
    assert [part.shape for part in table.variables] == [array.shape for array in arrays]
    assert all(set(part.locations) == {"keras", "h5", "weights.h5"} for part in table.variables)
    first, _, last = (layer.name for layer in model.layers)
    assert [part.layer for part in table.variables] == [first, first, last, last]
    assert len(table.seed_generators) == 1, "that of Dropout"
    assert len(table.optimizer_variables) == len(model.optimizer.variables)


def test_the_weights_digest_is_what_the_format_says(trained):
    """Computed again from the specification alone."""
    _, model, _, run, _, _ = trained
    digest = hashlib.sha256()
    for index, variable in enumerate(model.weights):
        array = variable.numpy()
        header = json.dumps(
            {"dtype": array.dtype.name, "index": index, "shape": list(array.shape)},
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
        digest.update(len(header).to_bytes(8, "little") + header + array.astype("<f4").tobytes())
    assert run.read(layout.WEIGHTS).weights_digest == digest.hexdigest()


def test_the_checkpoint_holds_everything_training_goes_on_from(trained):
    _, model, _, run, _, state = trained
    record = run.read(layout.CHECKPOINT_STATE)
    file = run.path_of(layout.CHECKPOINT_VARIABLES)
    for group, variables in variable_groups(model).items():
        parts = getattr(record, group)
        assert len(parts) == len(variables)
        if group == "metrics":
            continue  # finalize evaluated the model since
        for part, variable in zip(parts, variables, strict=True):
            stored = read_npz_array(file, f"{group}/{part.index}", part.dtype)
            assert np.array_equal(stored, variable.numpy()), (group, part.path)
    assert len(record.seed_generators) == 1
    assert record.epochs_done == 3
    assert record.not_kept == ()
    states = decode(record.random_state, lambda name, dtype: read_npz_array(file, name, dtype))
    assert states["python"] == state[0]
    assert np.array_equal(states["numpy"][1], state[1][1])
    assert states["numpy"][2:] == state[1][2:]


def test_dataset_stats(trained):
    _, _, _, run, (_, y_test), _ = trained
    stats = run.read(layout.DATASET_STATS)
    x, y = small.arrays()
    assert {name: split.sample_count for name, split in stats.splits.items()} == {
        "train": 48,
        "validation": 16,
        "test": 24,
    }
    assert stats.ratios["train"] == pytest.approx(48 / 88)
    train = stats.splits["train"]
    assert [(part.name, part.shape, part.dtype) for part in train.arrays] == [
        ("x", (48, 4), "float32"),
        ("y", (48,), "int64"),
    ]
    assert train.arrays[0].sha256 == hashlib.sha256(x.tobytes()).hexdigest()
    assert (train.arrays[0].minimum, train.arrays[0].maximum) == (float(x.min()), float(x.max()))
    assert train.class_counts == {"0": int((y == 0).sum()), "1": int((y == 1).sum())}
    assert stats.splits["test"].class_counts["1"] == int(y_test.sum())
    assert (stats.class_names, stats.source) == (("no", "yes"), "made up")


def test_results(trained):
    _, model, history, run, (x_test, y_test), _ = trained
    results = run.read(layout.RESULTS)
    expected = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    assert results.test.metrics == expected
    predictions = model.predict(x_test, verbose=0)
    assert results.test.predictions[0].sha256 == hashlib.sha256(predictions.tobytes()).hexdigest()
    stored = read_npz_array(run.path_of(layout.PREDICTIONS), "output", "float32")
    assert np.array_equal(stored, predictions)
    assert results.final_metrics == {name: values[-1] for name, values in history.history.items()}
    assert (results.epoch_count, results.phase_count, results.stop_reason) == (3, 1, "epochs")
    assert results.best_epoch.value == min(history.history["val_loss"])


def test_run_record(trained):
    _, _, _, run, _, _ = trained
    record = run.read(layout.RUN)
    assert (record.notes, record.tags, record.group, record.monitor) == ("for tests", ("one", "two"), "g", "val_loss")
    assert run.read(layout.PREPROCESSING).description == {"scaling": 2}


def test_data_behind_a_generator_can_be_given(tmp_path):
    x, y = small.arrays()

    def generator():
        while True:
            yield x[:8], y[:8]

    archive = archiver.RunArchiver(tmp_path, name="a", data={"train": (x, y)})
    small.model().fit(generator(), steps_per_epoch=2, epochs=1, verbose=0, shuffle=False, callbacks=[archive])
    stats = archive.run.read(layout.DATASET_STATS)
    assert stats.splits["train"].sample_count == 48
    plain = archiver.RunArchiver(tmp_path, name="b")
    small.model().fit(generator(), steps_per_epoch=2, epochs=1, verbose=0, shuffle=False, callbacks=[plain])
    split = plain.run.read(layout.DATASET_STATS).splits["train"]
    assert split.kind == "generator"
    assert isinstance(split.sample_count, Unavailable)


def test_the_arguments_handed_over_are_the_ones_recorded(tmp_path):
    x, y = small.arrays()
    archive = archiver.RunArchiver(tmp_path, name="a")
    archiver.fit(archive, small.model(), x, y, batch_size=12, epochs=1, verbose=0)
    (phase,) = archive.run.read(layout.TRAIN_CONFIG).phases
    assert (phase.capture, phase.batch_size, phase.steps_per_epoch) == ("archiver.fit", 12, 4)


def test_a_fit_of_the_user_s_own_that_hands_its_arguments_on(tmp_path):
    class Own(keras.Sequential):
        def fit(self, *args, **kwargs):
            return super().fit(*args, **kwargs)

    model = Own([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    archive = archiver.RunArchiver(tmp_path, name="a")
    x, y = small.arrays()
    history = archiver.fit(archive, model, x, y, epochs=2, verbose=0)
    assert archive.run.read(layout.HISTORY).phases[0].metrics["loss"] == tuple(history.history["loss"])


def test_preprocessing_layers_are_found(tmp_path):
    x, y = small.arrays()
    normalization = keras.layers.Normalization()
    normalization.adapt(x)
    model = keras.Sequential([keras.layers.Input((4,)), normalization, keras.layers.Dense(2, "softmax")])
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    archive = archiver.RunArchiver(tmp_path, name="a")
    model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
    (layer,) = archive.run.read(layout.PREPROCESSING).layers
    assert layer.class_name.endswith(".Normalization")


def test_a_lambda_is_reported_as_needing_trust(tmp_path):
    x, _ = small.arrays()
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda t: t * 2), keras.layers.Dense(2)])
    model.compile("sgd", loss="mse")
    archive = archiver.RunArchiver(tmp_path, name="a")
    model.fit(x, x[:, :2], epochs=1, verbose=0, callbacks=[archive])
    assert "Lambda" in " ".join(archive.run.read(layout.MODEL_CONFIG).needs_trust)
    assert any(finding.code == "needs_trust" for finding in archiver.verify(archive.run.path).information)
