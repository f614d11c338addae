"""`finalize(test_data=...)` with real models: every task and every kind of data, scores against scikit-learn."""

import hashlib
import itertools
import random
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.closing import close_unfinished
from archiver.errors import ArgumentError, DataError
from archiver.records.base import Unavailable
from archiver.sealing import changing
from archiver.storage.npz import read_npz_array, write_npz
from archiver.training import evaluation, finalizing, predicting
from archiver.training.outputs import outputs_of

SAMPLES, FEATURES, BATCH = 40, 4, 8
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(SAMPLES, FEATURES)).astype("float32")
TARGETS = {
    "binary": (X[:, 0] > 0).astype("int64"),
    "multi_class": RANDOM.integers(0, 3, SAMPLES),
    "multi_label": (RANDOM.random((SAMPLES, 3)) < 0.4).astype("float32"),
    "regression": RANDOM.normal(size=(SAMPLES, 2)).astype("float32"),
}
HEADS = {
    "binary": (1, "sigmoid", "binary_crossentropy"),
    "multi_class": (3, "softmax", "sparse_categorical_crossentropy"),
    "multi_label": (3, "sigmoid", keras.losses.BinaryCrossentropy()),
    "regression": (2, None, "mse"),
}
SCORES = {
    "binary": ("roc_auc", metrics.roc_auc_score),
    "multi_class": ("log_loss", metrics.log_loss),
    "multi_label": ("f1_macro", lambda y, p: metrics.f1_score(y, p > 0.5, average="macro", zero_division=0)),
    "regression": ("r2", metrics.r2_score),
}


def build(task):
    units, activation, loss = HEADS[task]
    keras.utils.set_random_seed(5)
    head = keras.layers.Dense(units, activation=activation, name="head")
    model = keras.Sequential([keras.layers.Input((FEATURES,)), head])
    model.compile("sgd", loss=loss, weighted_metrics=[])
    return model


def archived(tmp_path, model, y, **options):
    archive = archiver.RunArchiver(tmp_path / "runs", name="a", monitor=None, formats=["weights.h5"], **options)
    model.fit(X, y, epochs=1, verbose=0, shuffle=False, callbacks=[archive])
    return archive


class Shuffled(keras.utils.PyDataset):
    """Batches in another order after every epoch."""

    def __init__(self, y):
        super().__init__()
        self.y, self.order, self.epoch = y, np.arange(SAMPLES), 0

    def __len__(self):
        return SAMPLES // BATCH

    def __getitem__(self, index):
        chosen = self.order[index * BATCH : (index + 1) * BATCH]
        return X[chosen], self.y[chosen]

    def on_epoch_end(self):
        self.epoch += 1
        self.order = np.random.default_rng(self.epoch).permutation(SAMPLES)


def generated(y):
    batches = Shuffled(y)
    while True:
        yield from (batches[index] for index in range(len(batches)))


DATA = {
    "arrays": lambda y: ((X, y), None),
    "tf_data": lambda y: (tf.data.Dataset.from_tensor_slices((X, y)).shuffle(SAMPLES).batch(BATCH - 1), None),
    "endless_tf_data": lambda y: (tf.data.Dataset.from_tensor_slices((X, y)).batch(BATCH).repeat(), SAMPLES // BATCH),
    "pydataset": lambda y: (Shuffled(y), None),
    "generator": lambda y: (generated(y), SAMPLES // BATCH),
    "array_batches": lambda y: (archiver.data.array_batches(X, y, batch_size=BATCH, seed=1), None),
}


@pytest.mark.parametrize(
    ("task", "kind"),
    [(task, kind) for task in HEADS for kind in DATA if task == "multi_class" or kind in ("arrays", "tf_data")],
)
def test_every_task_with_every_kind_of_data(task, kind, tmp_path):
    y, model = TARGETS[task], build(task)
    archive = archived(tmp_path, model, y)
    data, steps = DATA[kind](y)
    states = random.getstate(), np.random.get_state()[1].tolist()
    run = archive.finalize(test_data=data, steps=steps)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    test = run.read(layout.RESULTS).test
    scores = test.scores["head"]
    assert (scores.decision.task, scores.sample_count, test.sample_count) == (task, SAMPLES, SAMPLES)
    name, score = SCORES[task]
    assert scores.values[name] == pytest.approx(score(y, model.predict(X, verbose=0)), rel=1e-5)
    assert scores.intervals
    stored = [read_npz_array(run.path_of(layout.PREDICTIONS), each) for each in ("output", "target")]
    assert score(stored[1], stored[0]) == pytest.approx(scores.values[name]), "a reviewer can compute it again"
    assert run.read(layout.TEST_SCORES).outputs["head"].kind == ("columns" if task == "regression" else "classes")
    assert archiver.verify(run.path, deep=True).findings == ()
    if kind not in ("tf_data", "generator", "pydataset"):
        before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
        archive.finalize(test_data=DATA[kind](y)[0], steps=steps)
        assert before == {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def outputs_model(as_dict):
    inputs = keras.Input((FEATURES,))
    size = keras.layers.Dense(1, name="size")(inputs)
    logits = keras.layers.Dense(3, name="kind")(inputs)
    outputs = {"size": size, "kind": logits} if as_dict else [size, logits]
    model = keras.Model(inputs, outputs)
    losses = {"size": "mae", "kind": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    model.compile("sgd", loss=losses if as_dict else list(losses.values()))
    return model


@pytest.mark.parametrize("as_dict", [True, False])
def test_several_outputs(as_dict, tmp_path):
    model = outputs_model(as_dict)
    size, kind = TARGETS["regression"][:, :1], TARGETS["multi_class"]
    y = {"size": size, "kind": kind} if as_dict else [size, kind]
    weights = np.linspace(0.5, 1, SAMPLES)
    run = archived(tmp_path, model, y).finalize(
        test_data=(X, y, {"size": weights, "kind": weights} if as_dict else None)
    )
    test = run.read(layout.RESULTS).test
    predicted = model.predict(X, verbose=0)
    predicted = predicted if as_dict else dict(zip(("size", "kind"), predicted, strict=True))
    weight = weights if as_dict else None
    assert set(test.scores) == {"size", "kind"}
    expected = metrics.mean_absolute_error(size, predicted["size"], sample_weight=weight)
    assert test.scores["size"].values["mean_absolute_error"] == pytest.approx(expected)
    rows = np.exp(predicted["kind"].astype("float64"))
    expected = metrics.log_loss(kind, rows / rows.sum(axis=1, keepdims=True), sample_weight=weight)
    assert test.scores["kind"].values["log_loss"] == pytest.approx(expected)
    assert test.scores["kind"].decision.outputs_are == "logits"
    assert test.scores["kind"].is_weighted == as_dict
    assert {(part.output, part.name) for part in test.predictions} == (
        {("output/size", "size"), ("output/kind", "kind")} if as_dict else {("output/0", "size"), ("output/1", "kind")}
    )
    assert archiver.verify(run.path, deep=True).findings == ()


def test_weights_class_names_and_compiled_metrics(tmp_path):
    y, model = TARGETS["multi_class"], build("multi_class")
    weights = RANDOM.random(SAMPLES).astype("float32")
    model.compile("sgd", loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    archive = archived(tmp_path, model, y)
    data = tf.data.Dataset.from_tensor_slices((X, y, weights)).batch(BATCH)
    for given in ((X, y, weights), data, archiver.data.array_batches(X, y, weights, batch_size=BATCH, seed=1)):
        run = archive.finalize(test_data=given, class_names=["a", "b", "c"])
        test = run.read(layout.RESULTS).test
        guess = model.predict(X, verbose=0).argmax(axis=1)
        expected = metrics.accuracy_score(y, guess, sample_weight=weights)
        assert test.metrics["accuracy"] == pytest.approx(expected, rel=1e-5), "Keras weighs them too"
        assert test.scores["head"].values["accuracy"] == pytest.approx(expected)
        assert test.predictions[0].sample_weight.array == "sample_weight"
    assert [row.name for row in run.read(layout.TEST_SCORES).outputs["head"].classes] == ["a", "b", "c"]


def test_the_task_and_the_threshold_can_be_given(tmp_path):
    model = build("binary")
    archive = archived(tmp_path, model, TARGETS["binary"])
    data = (X, TARGETS["binary"])
    scores = {}
    for task in ("regression", {"head": "binary"}):
        run = archive.finalize(test_data=data, task=task, threshold=0.3)
        scores[str(task)] = run.read(layout.RESULTS).test.scores["head"]
    regression, binary = scores.values()
    assert (regression.decision.task, regression.decision.decided_by) == ("regression", "given")
    guess = model.predict(X, verbose=0)[:, 0] > 0.3
    assert binary.values["accuracy"] == metrics.accuracy_score(TARGETS["binary"], guess)
    before = run.seal_id
    with pytest.raises(DataError, match=r"Received task='multi_class'.*Expected"):
        archive.finalize(test_data=data, task="multi_class")
    with pytest.raises(DataError, match=r"Received task= for the outputs \['tail'\]. Expected some of \['head'\]"):
        archive.finalize(test_data=data, task={"tail": "binary"})
    for wrong in ({"task": "ranking"}, {"task": 3}, {"task": {"head": None}}, {"threshold": 1.5}, {"threshold": True}):
        with pytest.raises(ArgumentError, match=r"Received (task|threshold)=.*Expected"):
            archive.finalize(test_data=data, **wrong)
    assert run.seal_id == before


def test_data_without_end_needs_steps(tmp_path):
    archive = archived(tmp_path, build("binary"), TARGETS["binary"])
    endless, _ = DATA["endless_tf_data"](TARGETS["binary"])
    with pytest.raises(DataError, match="without end"):
        archive.finalize(test_data=endless)


def test_data_without_targets_have_predictions_and_no_scores(tmp_path):
    head = keras.layers.Dense(2, activity_regularizer="l2", name="head")
    model = keras.Sequential([keras.layers.Input((FEATURES,)), head])
    model.compile("sgd")
    archive = archiver.RunArchiver(tmp_path, name="a")
    data = tf.data.Dataset.from_tensor_slices(X).batch(BATCH)
    model.fit(X, epochs=1, verbose=0, callbacks=[archive])
    run = archive.finalize(test_data=data)
    test = run.read(layout.RESULTS).test
    assert "no targets" in test.scores["head"].unavailable
    assert "no targets" in test.predictions[0].target.unavailable
    assert (test.scores_file, run.has(layout.TEST_SCORES)) == (None, False)
    stored = read_npz_array(run.path_of(layout.PREDICTIONS), "output")
    np.testing.assert_allclose(stored, model.predict(X, verbose=0), rtol=1e-5)


def test_what_is_too_large_is_neither_scored_nor_stored_whole(tmp_path, monkeypatch):
    """A row takes 12 bytes of predictions and 8 of a target: 5 rows in 100 bytes."""
    monkeypatch.setattr(predicting, "MAXIMAL_GATHERED_BYTES", 300)
    monkeypatch.setattr(evaluation, "MAXIMAL_STORED_BYTES", 100)
    model, y = build("multi_class"), TARGETS["multi_class"]
    archive = archived(tmp_path, model, y)
    run = archive.finalize(test_data=tf.data.Dataset.from_tensor_slices((X, y)).batch(BATCH))
    test = run.read(layout.RESULTS).test
    assert "not scored: together they are larger" in test.scores["head"].unavailable
    (part,) = test.predictions
    predicted = model.predict(X, batch_size=BATCH, verbose=0)
    assert (part.shape, part.stored_count) == ((SAMPLES, 3), 5)
    assert part.sha256 == hashlib.sha256(predicted.tobytes()).hexdigest(), "of all of them"
    assert part.target.sha256 == hashlib.sha256(y.tobytes()).hexdigest()
    for name, whole in (("output", predicted), ("target", y)):
        np.testing.assert_array_equal(read_npz_array(run.path_of(layout.PREDICTIONS), name), whole[:5])
    assert archiver.verify(run.path, deep=True).findings == ()


def test_large_arrays_are_predicted_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(predicting, "CHUNK_SAMPLES", 16)
    model = build("multi_class")
    run = archived(tmp_path, model, TARGETS["multi_class"]).finalize(
        test_data=(X, TARGETS["multi_class"]), batch_size=8
    )
    stored = read_npz_array(run.path_of(layout.PREDICTIONS), "output")
    np.testing.assert_array_equal(stored, model.predict(X, batch_size=8, verbose=0))
    assert archiver.verify(run.path, deep=True).findings == ()


def test_scores_of_other_weights_are_removed(tmp_path):
    model, y = build("multi_class"), TARGETS["multi_class"]
    archive = archived(tmp_path, model, y)
    run = archive.finalize(test_data=(X, y))
    assert run.has(layout.TEST_SCORES)
    model.fit(X, y, epochs=1, verbose=0, shuffle=False, callbacks=[archive])
    assert not run.has(layout.TEST_SCORES)
    assert isinstance(run.read(layout.RESULTS).test, Unavailable)
    assert archiver.verify(run.path, deep=True).findings == ()


def test_another_task_leaves_nothing_of_the_one_before(tmp_path):
    model, y = build("binary"), TARGETS["binary"]
    archive = archived(tmp_path, model, y)
    archive.finalize(test_data=(X, y))
    broken = np.full_like(X, np.nan)
    run = archive.finalize(test_data=(broken, y))
    test = run.read(layout.RESULTS).test
    assert test.scores["head"].unavailable == f"{SAMPLES} of {SAMPLES} predictions are NaN or infinite"
    assert not run.has(layout.TEST_SCORES)
    assert archiver.verify(run.path, deep=True).findings == ()


@pytest.mark.parametrize("array", ["output", "target"])
def test_exchanged_predictions_are_found(array, tmp_path):
    model, y = build("multi_class"), TARGETS["multi_class"]
    run: Run = archived(tmp_path, model, y).finalize(test_data=(X, y))
    path = run.path_of(layout.PREDICTIONS)
    arrays = {name: read_npz_array(path, name) for name in ("output", "target")}
    arrays[array] = arrays[array][::-1].copy()
    with changing(run):
        write_npz(path, arrays.items())
    assert archiver.verify(run.path).findings == ()
    (finding,) = archiver.verify(run.path, deep=True).findings
    assert (finding.code, finding.message) == ("tensor", f"array {array} is not the recorded one")
    with changing(run):
        path.unlink()
    assert [finding.code for finding in archiver.verify(run.path, deep=True).findings] == ["missing"]


def test_scores_of_other_weights_are_a_disagreement(tmp_path):
    model, y = build("multi_class"), TARGETS["multi_class"]
    run = archived(tmp_path, model, y).finalize(test_data=(X, y))
    with changing(run):
        run.write(layout.TEST_SCORES, run.read(layout.TEST_SCORES).model_copy(update={"weights_digest": "0" * 64}))
    (finding,) = archiver.verify(run.path).findings
    assert (finding.code, finding.path) == ("disagreement", f"{layout.TEST_SCORES.path(run.name)}#/weights_digest")


LOGITS = keras.losses.CategoricalFocalCrossentropy(from_logits=True)


@pytest.mark.parametrize(
    ("loss", "activation", "expected"),
    [
        ("bce", "sigmoid", ("binary_crossentropy", False, "sigmoid")),
        (keras.losses.BinaryCrossentropy(from_logits=True), None, ("binary_crossentropy", True, "linear")),
        (LOGITS, "softmax", ("categorical_focal_crossentropy", True, "softmax")),
        (keras.losses.MeanAbsoluteError(), "relu", ("mean_absolute_error", None, "relu")),
        (keras.losses.Huber, "tanh", None),
    ],
)
def test_what_a_model_says_of_its_outputs(loss, activation, expected):
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1, activation=activation)], name="inner")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, inner(inputs))
    model.compile("sgd", loss=loss() if expected is None else loss)
    (output,) = outputs_of(model, np.zeros((2, 1)), None, 0.5, None)
    found = output.hints.loss, output.hints.from_logits, output.hints.activation
    assert found == (expected or ("huber", None, "tanh"))
    assert output.name == "inner"


def test_layers_that_are_activations_and_wrappers():
    inputs = keras.Input((5, 4))
    outputs = [
        keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax"), name="one")(inputs),
        keras.layers.Softmax(name="two")(inputs),
        keras.layers.Activation("sigmoid", name="three")(inputs),
        keras.layers.Flatten(name="four")(inputs),
    ]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=["mse", None, lambda y, p: keras.ops.mean(y - p), "hinge"])
    found = outputs_of(model, [np.zeros((2, 5, 3))] * 4, {"two": "regression"}, 0.5, None)
    assert [output.hints.activation for output in found] == ["softmax", "softmax", "sigmoid", None]
    assert [output.hints.loss for output in found] == ["mean_squared_error", None, "<lambda>", "hinge"]
    assert [output.hints.task for output in found] == [None, "regression", None, None]
    assert [output.name for output in found] == ["one", "two", "three", "four"]


WITHOUT = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "sklearn":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Nothing())
import keras, numpy as np, archiver
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])
model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.ones((8, 4), "float32"), np.arange(8) % 2
archive = archiver.RunArchiver(sys.argv[1], name="a")
model.fit(x, y, epochs=1, verbose=0, callbacks=[archive])
run = archive.finalize(test_data=(x, y))
test = run.read(archiver.layout.RESULTS).test
(scores,) = test.scores.values()
assert set(test.metrics) == {"loss", "accuracy"} and test.predictions[0].stored_count == 8
assert archiver.verify(run.path, deep=True).findings == ()
print(scores.unavailable)
"""


def test_without_scikit_learn_everything_else_is_recorded(tmp_path):
    command = [sys.executable, "-c", WITHOUT, str(tmp_path / "runs")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "scores need scikit-learn" in result.stdout
    assert 'pip install "keras-archiver[metrics]"' in result.stdout


def test_what_a_kill_in_between_leaves_is_not_described_wrongly(tmp_path, monkeypatch):
    """The results go before the files they describe are replaced, and come back after them."""
    model, y = build("multi_class"), TARGETS["multi_class"]
    archive = archived(tmp_path, model, y)
    run = archive.finalize(test_data=(X, y))

    def kill(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(finalizing, "write_scores", kill)
    with pytest.raises(KeyboardInterrupt):
        archive.finalize(test_data=(X[:20], y[:20]))
    assert not run.has(layout.RESULTS)
    monkeypatch.undo()
    close_unfinished(run)
    assert archiver.verify(run.path, deep=True).findings == ()
    assert isinstance(run.read(layout.RESULTS).test, Unavailable)
    assert not run.has(layout.PREDICTIONS)


def test_generators_that_end_early(tmp_path):
    archive = archived(tmp_path, build("binary"), TARGETS["binary"])
    short = itertools.islice(generated(TARGETS["binary"]), 2)
    with pytest.raises(DataError, match="ended after 2 batches"):
        archive.finalize(test_data=short, steps=3)


def test_batches_that_differ_in_shape_cost_the_predictions_only(tmp_path):
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, keras.layers.Dense(1, name="head")(inputs))
    model.compile("sgd", "mse")
    archive = archiver.RunArchiver(tmp_path, name="a")
    batches = [(np.ones((4, length, 2), "float32"), np.ones((4, length, 1), "float32")) for length in (3, 5)]
    model.fit(*batches[0], epochs=1, verbose=0, callbacks=[archive])
    run = archive.finalize(test_data=iter(batches), steps=2)
    test = run.read(layout.RESULTS).test
    assert set(test.metrics) == {"loss"}
    assert "batches differ" in test.predictions.unavailable
    assert test.scores == test.sample_count == test.predictions
    assert not run.has(layout.PREDICTIONS)
    assert archiver.verify(run.path, deep=True).findings == ()


def test_a_data_set_on_several_replicas(tmp_path):
    """`predict_on_batch` would return every batch once for each replica."""
    script = """
import sys
import numpy as np, tensorflow as tf
devices = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(devices[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, archiver
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3, "softmax", name="head")])
    model.compile("sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.random.default_rng(0).normal(size=(24, 4)).astype("float32"), np.arange(24) % 3
archive = archiver.RunArchiver(sys.argv[1], name="a")
model.fit(x, y, batch_size=8, epochs=1, verbose=0, callbacks=[archive])
run = archive.finalize(test_data=tf.data.Dataset.from_tensor_slices((x, y)).batch(8))
test = run.read(archiver.layout.RESULTS).test
assert test.sample_count == 24, test.sample_count
assert abs(test.scores["head"].values["accuracy"] - test.metrics["accuracy"]) < 1e-6
"""
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "runs")],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
