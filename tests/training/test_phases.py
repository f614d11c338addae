"""Several calls of `fit`, several models, several callbacks: phases, versions, and what may be done between them."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArchiverWarning, ArgumentError, ChangedWeightsError, DataError, RunStateError
from archiver.records.base import Unavailable
from archiver.storage.journal import events_named
from archiver.storage.manifests import PREVIOUS_SEAL
from archiver.training.tail import Tail
from archiver.training.weights import weights_digest
from tests.training import scripts, small

X, Y = small.arrays()
X_TEST, Y_TEST = small.arrays(20, seed=1)


@pytest.fixture
def model() -> keras.Model:
    keras.utils.set_random_seed(11)
    return small.model()


@pytest.fixture
def archive(tmp_path: Path) -> archiver.RunArchiver:
    return archiver.RunArchiver(tmp_path, name="run")


def fit(model: keras.Model, *callbacks: Any, **arguments: Any) -> dict[str, list[float]]:
    """Two epochs; returns Keras' own history."""
    given = {"x": X, "y": Y, "epochs": 2, "batch_size": 16, "verbose": 0} | arguments
    return model.fit(**given, callbacks=list(callbacks)).history


def assert_whole(run: Run) -> None:
    assert archiver.verify(run.path, algorithm="all", deep=True).findings == ()
    assert [event.details for event in events_named(run.journal.read(), "step_failed")] == []


def metrics(run: Run, phase: int = 0) -> dict[str, list[float]]:
    return {name: list(column) for name, column in run.read(layout.HISTORY).phases[phase].metrics.items()}


def details(run: Run, name: Any) -> list[dict[str, Any]]:
    return [event.details for event in events_named(run.journal.read(), name)]


def snapshot(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file below: its bytes, when it was changed, and which file it is."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in files
    }


def change(model: keras.Model, by: float = 1.0) -> None:
    model.set_weights([weights + by for weights in model.get_weights()])


class Failing(keras.callbacks.Callback):
    """Fails in the second epoch of the first fit it is given to."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1 and self.left:
            self.left -= 1
            raise LookupError("planted")


# Phases


def test_the_same_model_again_is_the_next_phase(
    model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path
) -> None:
    histories = [fit(model, archive)]
    first_seal, first_manifest = archive.run.seal_id, archive.run.path_of(layout.MANIFEST_BLAKE3).read_bytes()
    steps = int(model.optimizer.iterations)
    histories.append(fit(model, archive, epochs=5, initial_epoch=2, batch_size=8))
    run = archive.run

    assert os.listdir(tmp_path) == ["run_models"]
    phases = run.read(layout.HISTORY).phases
    assert [phase.epochs for phase in phases] == [(0, 1), (2, 3, 4)]
    assert [metrics(run, number) for number in (0, 1)] == histories
    configs = run.read(layout.TRAIN_CONFIG).phases
    assert [(each.phase, each.epochs, each.initial_epoch, each.batch_size) for each in configs] == [
        (0, 2, 0, 16),
        (1, 5, 2, 8),
    ]
    assert [each.iterations for each in run.read(layout.OPTIMIZER_CONFIG).phases] == [0, steps]
    results = run.read(layout.RESULTS)
    assert (results.phase_count, results.epoch_count) == (2, 5)
    assert results.weights_digest == weights_digest(model.weights)
    assert [event["phase"] for event in details(run, "epoch_ended")] == [0, 0, 1, 1, 1]
    assert [event["status"] for event in details(run, "status")] == ["complete", "complete"]

    assert [event["seal_id"] for event in details(run, "unsealed")] == [first_seal]
    assert [event["previous_seal_id"] for event in details(run, "sealed")] == [None, first_seal]
    assert (run.path / PREVIOUS_SEAL).read_bytes() == first_manifest
    assert hashlib.sha256(first_manifest).hexdigest() == first_seal
    assert run.seal_id != first_seal
    assert run.read(layout.METADATA).previous_seal_id == first_seal
    assert_whole(run)


def test_every_seal_names_the_one_before(model: keras.Model, archive: archiver.RunArchiver) -> None:
    seals = []
    for _ in range(3):
        fit(model, archive, epochs=1)
        seals.append(archive.run.seal_id)
    assert len(set(seals)) == 3
    assert [event["seal_id"] for event in details(archive.run, "unsealed")] == seals[:-1]
    assert [event["previous_seal_id"] for event in details(archive.run, "sealed")] == [None, *seals[:-1]]
    assert_whole(archive.run)


def test_freeze_then_fine_tune(model: keras.Model, archive: archiver.RunArchiver) -> None:
    model.layers[0].trainable = False
    model.compile("adam", loss="sparse_categorical_crossentropy")
    frozen = [weights.copy() for weights in model.layers[0].get_weights()]
    first = fit(model, archive)
    assert [layer.trainable for layer in archive.run.read(layout.MODEL_CONFIG).layers] == [False, True, True]
    assert archive.run.read(layout.MODEL_CONFIG).parameters.trainable == 8 * 2 + 2  # type: ignore[union-attr]
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], frozen[0])

    model.layers[0].trainable = True
    model.compile(keras.optimizers.SGD(0.25), loss="sparse_categorical_crossentropy")
    second = fit(model, archive)
    run = archive.run
    assert [each.class_name.rpartition(".")[2] for each in run.read(layout.OPTIMIZER_CONFIG).phases] == ["Adam", "SGD"]
    assert run.read(layout.OPTIMIZER_CONFIG).phases[1].learning_rate == 0.25
    assert [metrics(run, 0), metrics(run, 1)] == [first, second]
    assert run.read(layout.MODEL_CONFIG).parameters.trainable == 4 * 8 + 8 + 8 * 2 + 2  # type: ignore[union-attr]
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert_whole(run)


@pytest.mark.parametrize("within_except", [False, True])
def test_after_a_failure_the_same_model_goes_on(
    within_except: bool, model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path
) -> None:
    failing = Failing()
    try:
        fit(model, archive, failing)
    except LookupError:
        assert archive.run.seal_id is None, "it is not known yet whether the script goes on"
        history = fit(model, archive, failing) if within_except else None
    history = history or fit(model, archive, failing)
    run = archive.run
    assert os.listdir(tmp_path) == ["run_models"]
    first, second = run.read(layout.HISTORY).phases
    assert (first.status, first.epochs, second.status, second.stop_reason) == ("failed", (0,), "complete", "epochs")
    assert first.exception is not None
    assert (first.exception.type, first.exception.message) == ("LookupError", "planted")
    assert str(first.exception.location).startswith(f"{Path(__file__).name}:")
    assert metrics(run, 1) == history
    assert [event.event for event in run.journal.read().events if event.event in ("status", "sealed", "unsealed")] == [
        "status", "sealed", "unsealed", "status", "sealed",
    ]  # fmt: skip
    assert run.status.status == "complete"
    assert_whole(run)


def test_a_failed_run_is_finalized(model: keras.Model, archive: archiver.RunArchiver) -> None:
    with pytest.raises(LookupError):
        fit(model, archive, Failing())
    with pytest.raises(ChangedWeightsError, match="none were saved"):
        archive.finalize(test_data=(X_TEST, Y_TEST))
    run = archive.finalize()
    assert (run.status.status, run.status.sealed) == ("failed", True)
    assert not run.has(layout.KERAS_MODEL)
    assert_whole(run)

    archive.finalize(test_data=(X_TEST, Y_TEST), on_changed_weights="save")
    assert run.status.status == "failed"
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert run.read(layout.RESULTS).test.metrics == evaluated(model)  # type: ignore[union-attr]
    assert_whole(run)


# Versions


def test_k_folds(tmp_path: Path) -> None:
    archive = archiver.RunArchiver(tmp_path, name="folds", group="5-fold", tags=["cv"])
    models, histories, paths = [], [], []
    for fold in range(3):
        models.append(small.model())
        histories.append(fit(models[-1], archive, epochs=1 + fold))
        archive.finalize(test_data=(X_TEST, Y_TEST))
        paths.append(archive.run.path)
    assert [path.name for path in paths] == ["folds_models", "folds-2_models", "folds-3_models"]
    for number, (path, trained, history) in enumerate(zip(paths, models, histories, strict=True), start=1):
        run = Run.open(path)
        record = run.read(layout.RUN)
        assert (record.name.name, record.name.version, record.group) == (
            path.name.removesuffix("_models"),
            number,
            "5-fold",
        )
        assert metrics(run) == history
        assert run.read(layout.RESULTS).weights_digest == weights_digest(trained.weights)
        assert run.read(layout.RESULTS).test.metrics == evaluated(trained)  # type: ignore[union-attr]
        assert len(run.read(layout.TRAIN_CONFIG).phases) == 1
        assert_whole(run)


def test_the_fold_before_is_sealed_when_the_next_begins(model: keras.Model, archive: archiver.RunArchiver) -> None:
    with pytest.raises(LookupError):
        fit(model, archive, Failing())
    first = archive.run
    assert not first.status.sealed
    fit(small.model(), archive)
    assert (first.status.status, first.status.sealed) == ("failed", True)
    assert archive.run.name == "run-2"
    for run in (first, archive.run):
        assert_whole(run)


def test_on_existing_error(model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path) -> None:
    fit(model, archive)
    before, weights = snapshot(tmp_path), weights_digest(model.weights)
    strict = archiver.RunArchiver(tmp_path, name="run", on_existing="error")
    with pytest.raises(RunStateError, match="'run', which exists"):
        fit(model, strict)
    assert snapshot(tmp_path) == before
    assert weights_digest(model.weights) == weights, "no step was made"
    with pytest.raises(RunStateError, match="before fit"):
        strict.finalize()

    fit(model, archive)
    assert len(archive.run.read(layout.HISTORY).phases) == 2, "the same object goes on all the same"


def test_an_unfinished_run_of_the_same_name_is_pointed_out(model: keras.Model, tmp_path: Path) -> None:
    assert scripts.run_code(tmp_path, scripts.CLAIM_AND_DIE).exit_code == 9
    archive = archiver.RunArchiver(tmp_path, name="run")
    with pytest.warns(ArchiverWarning, match="run_models is an unfinished run of the same name") as caught:
        fit(model, archive)
    assert len(caught) == 1
    fit(model, archive)
    assert archive.run.name == "run-2"
    assert archive.run.read(layout.RUN).unfinished_runs == ("run",)
    assert "archiver finalize" in details(archive.run, "warning")[0]["message"]
    assert_whole(archive.run)


def test_a_finished_run_of_the_same_name_is_not_worth_a_word(model: keras.Model, tmp_path: Path) -> None:
    for _ in range(2):
        archive = archiver.RunArchiver(tmp_path, name="run")
        fit(model, archive)
    assert archive.run.name == "run-2"
    assert archive.run.read(layout.RUN).unfinished_runs == ()
    assert details(archive.run, "warning") == []


def test_eight_processes_claim_one_name_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, names = context.Barrier(8), context.Queue()
    root = str(tmp_path / "runs")
    processes = [context.Process(target=scripts.claim_one, args=(root, barrier, names)) for _ in range(8)]
    for process in processes:
        process.start()
    claimed = sorted(names.get(timeout=60) for _ in processes)
    for process in processes:
        process.join()
    expected = ["run_models", *(f"run-{version}_models" for version in range(2, 9))]
    assert [(version, name) for version, name, _ in claimed] == list(enumerate(expected, start=1))
    for _, name, process_id in claimed:
        (created,) = details(Run.open(tmp_path / "runs" / name), "created")
        assert created["process"]["process_id"] == process_id


# Callbacks beside ours


class Recorder(keras.callbacks.Callback):
    """Writes down every call."""

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        super().__init__()
        for hook in dir(keras.callbacks.Callback):
            if hook.startswith("on_"):
                setattr(self, hook, self.note(name, hook, calls))

    @staticmethod
    def note(name: str, hook: str, calls: list[tuple[str, str]]) -> Callable[..., None]:
        return lambda *args, **kwargs: calls.append((name, hook))


def recorded(position: int | None, archive: archiver.RunArchiver) -> list[tuple[str, str]]:
    """The calls of two callbacks, with ours at this position of the list."""
    calls: list[tuple[str, str]] = []
    callbacks: list[Any] = [Recorder("a", calls), Recorder("b", calls)]
    if position is not None:
        callbacks.insert(position, archive)
    given = list(callbacks)
    model = small.model()
    for _ in range(2):
        model.fit(X, Y, validation_data=(X, Y), batch_size=16, verbose=0, callbacks=callbacks)
        assert callbacks == given, "the user's list is the user's"
    return calls


@pytest.fixture(scope="module")
def expected_calls() -> list[tuple[str, str]]:
    return recorded(None, archiver.RunArchiver("unused", name="unused"))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_all_callbacks_are_called(
    position: int, expected_calls: list[tuple[str, str]], archive: archiver.RunArchiver
) -> None:
    assert recorded(position, archive) == expected_calls
    assert {hook for _, hook in expected_calls} >= {"on_train_end", "on_test_batch_end", "on_epoch_begin"}
    assert len(archive.run.read(layout.HISTORY).phases) == 2
    assert_whole(archive.run)


def test_a_callback_list_is_left_as_it_was(model: keras.Model, tmp_path: Path) -> None:
    """Two archives in one list of the user's own, over a failure and two successes."""
    calls: list[tuple[str, str]] = []
    archives = [archiver.RunArchiver(tmp_path, name=name) for name in ("a", "b")]
    failing = Failing()
    callbacks = keras.callbacks.CallbackList(
        [archives[0], Recorder("x", calls), archives[1], failing], add_history=True, model=model
    )
    given = list(callbacks.callbacks)
    with pytest.raises(LookupError):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
    for _ in range(2):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=callbacks)
        assert callbacks.callbacks == given
        assert not [name for name in vars(callbacks) if name.startswith("on_")], "no hook stays wrapped"
    assert not any(isinstance(each, Tail) for each in callbacks.callbacks)
    assert [hook for _, hook in calls].count("on_train_end") == 2
    for archive in archives:
        assert [phase.status for phase in archive.run.read(layout.HISTORY).phases] == ["failed", "complete", "complete"]
        assert [phase.epochs for phase in archive.run.read(layout.HISTORY).phases] == [(0,), (0, 1), (0, 1)]
        assert_whole(archive.run)


def test_two_archives_of_one_fit(model: keras.Model, tmp_path: Path) -> None:
    archives = [archiver.RunArchiver(tmp_path, name=name) for name in ("one", "other", "one")]
    history = fit(model, *archives, keras.callbacks.EarlyStopping("loss", restore_best_weights=True))
    assert [archive.run.name for archive in archives] == ["one", "other", "one-2"]
    for archive in archives:
        assert metrics(archive.run) == history
        assert archive.run.status.stop_reason == "epochs"
        assert archive.run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
        assert_whole(archive.run)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end", "on_test_batch_end"])
def test_two_archives_of_one_fit_that_fails(hook: str, model: keras.Model, tmp_path: Path) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise LookupError("planted")

    archives = [archiver.RunArchiver(tmp_path, name=name) for name in ("one", "other")]
    failing = keras.callbacks.Callback()
    setattr(failing, hook, fail)
    with pytest.raises(LookupError):
        fit(model, *archives, failing, validation_data=(X, Y))
    for archive in archives:
        status = archive.run.status
        assert status.status == "failed"
        assert status.exception is not None
        assert status.exception.message == "planted"
        assert_whole(archive.finalize())


def test_one_archive_twice_in_a_list(model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="twice"):
        fit(model, archive, archive)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_one_archive_for_two_trainings_at_once(
    in_a_thread: bool, model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path
) -> None:
    refused: list[str] = []

    def train_another(epoch: int, logs: Any) -> None:
        with pytest.raises(RunStateError, match="another model just now"):
            fit(small.model("other"), archive)
        refused.append(archive.run.status.status)

    def train_beside(epoch: int, logs: Any) -> None:
        thread = threading.Thread(target=train_another, args=(epoch, logs))
        thread.start()
        thread.join()

    hook = keras.callbacks.LambdaCallback(on_epoch_end=train_beside if in_a_thread else train_another)
    history = fit(model, archive, hook)
    assert refused == ["running", "running"]
    assert os.listdir(tmp_path) == ["run_models"]
    assert metrics(archive.run) == history
    assert_whole(archive.run)


# The best weights


def best_of(run: Run) -> tuple[int, int, str | Unavailable, str | None]:
    best = run.read(layout.RESULTS).best_epoch
    assert not isinstance(best, Unavailable)
    return best.phase, best.epoch, best.weights_digest, best.file


def assert_kept(run: Run, model: keras.Model, digest: str) -> None:
    """The file of the best weights holds those with this digest."""
    model.set_weights([np.zeros_like(weights) for weights in model.get_weights()])
    model.load_weights(run.path_of(layout.BEST_WEIGHTS))
    assert weights_digest(model.weights) == digest


class Spoiling(keras.callbacks.Callback):
    """Makes every epoch worse than all before it."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        change(self.model, by=3.0 * (1 + epoch))


@pytest.mark.parametrize("formats", [tuple(layout.MODEL_FORMATS), ("keras",)], ids=["all_formats", "no_weights_h5"])
@pytest.mark.parametrize("changed_between", [False, True])
def test_the_best_weights_of_an_earlier_phase(
    changed_between: bool, formats: tuple[str, ...], model: keras.Model, tmp_path: Path
) -> None:
    archive = archiver.RunArchiver(tmp_path, name="run", formats=formats)
    losses = fit(model, archive)["loss"]
    assert losses[1] < losses[0]
    best = weights_digest(model.weights)
    assert best_of(archive.run) == (0, 1, best, None), "the final weights are the best: no copy is kept"
    assert not archive.run.has(layout.BEST_WEIGHTS)

    if changed_between:
        change(model)
    worse = fit(model, archive, Spoiling())["loss"]
    run = archive.run
    assert min(worse) > losses[1]
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights) != best
    if changed_between and formats == ("keras",):
        phase, epoch, digest, file = best_of(run)
        assert (phase, epoch, file) == (0, 1, None)
        assert isinstance(digest, Unavailable), "nobody kept them, and the archive says so"
    else:
        assert best_of(run) == (0, 1, best, layout.BEST_WEIGHTS.path("run"))
        assert_kept(run, model, best)
    assert_whole(run)


def test_the_best_weights_when_the_model_is_saved_again(model: keras.Model, archive: archiver.RunArchiver) -> None:
    fit(model, archive)
    best = weights_digest(model.weights)
    change(model)
    run = archive.finalize(test_data=(X_TEST, Y_TEST), on_changed_weights="save")
    assert best_of(run) == (0, 1, best, layout.BEST_WEIGHTS.path("run"))
    assert_kept(run, model, best)
    assert_whole(run)


def test_a_better_later_phase(model: keras.Model, archive: archiver.RunArchiver) -> None:
    fit(model, archive, Spoiling())
    assert archive.run.has(layout.BEST_WEIGHTS)
    history = fit(model, archive, epochs=6)
    run = archive.run
    results = run.read(layout.RESULTS)
    every = [(value, 0, epoch) for epoch, value in enumerate(metrics(run, 0)["loss"])]
    every += [(value, 1, epoch) for epoch, value in enumerate(history["loss"])]
    assert best_of(run)[:2] == min(every)[1:]
    assert results.best_epoch.value == min(every)[0]  # type: ignore[union-attr]
    assert_whole(run)


# finalize


def evaluated(model: keras.Model, *data: Any) -> dict[str, float]:
    return model.evaluate(*(data or (X_TEST, Y_TEST)), batch_size=32, verbose=0, return_dict=True)


class TestBatches(keras.utils.PyDataset):
    __test__ = False

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(index * 10, index * 10 + 10)
        return X_TEST[part], Y_TEST[part]


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index in range(2):
        yield TestBatches()[index]


WEIGHTS = np.linspace(0.0, 2.0, len(X_TEST)).astype("float32")


@pytest.mark.parametrize(
    ("data", "steps"),
    [
        pytest.param(lambda: (X_TEST, Y_TEST), None, id="tuple"),
        pytest.param(lambda: [X_TEST, Y_TEST], None, id="list"),
        pytest.param(lambda: (X_TEST, Y_TEST, WEIGHTS), None, id="sample_weights"),
        pytest.param(lambda: tf.data.Dataset.from_tensor_slices((X_TEST, Y_TEST)).batch(10), None, id="tf_data"),
        pytest.param(TestBatches, None, id="pydataset"),
        pytest.param(batches, 2, id="generator"),
        pytest.param(
            lambda: archiver.data.array_batches(X_TEST, Y_TEST, batch_size=7, shuffle=False), None, id="array_batches"
        ),
    ],
)
def test_test_data(
    data: Callable[[], Any], steps: int | None, model: keras.Model, archive: archiver.RunArchiver
) -> None:
    fit(model, archive)
    run = archive.finalize(test_data=data(), steps=steps)
    test = run.read(layout.RESULTS).test
    assert not isinstance(test, Unavailable)
    given = data()
    weights = {"sample_weight": given[2]} if isinstance(given, tuple) and len(given) == 3 else {}
    truth = model.evaluate(X_TEST, Y_TEST, verbose=0, return_dict=True, **weights)
    assert test.metrics == pytest.approx(truth, rel=1e-5)
    assert (test.sample_count, test.weights_digest) == (20, weights_digest(model.weights))
    with np.load(run.path / str(test.predictions_file)) as stored:
        assert set(stored.files) == {"output", "target", *weights}
        np.testing.assert_array_equal(stored["target"], Y_TEST)
        np.testing.assert_allclose(stored["output"], model.predict(X_TEST, verbose=0), rtol=1e-5)
    (evaluated,) = details(run, "evaluated")
    assert evaluated.pop("seconds") == run.read(layout.RESULTS).timing.testing_seconds > 0
    assert evaluated == {"metrics": test.metrics, "weights_digest": test.weights_digest}
    assert_whole(run)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"test_data": batches()}, "without steps="),
    ({"test_data": batches(), "steps": 3}, "2 batches"),
    ({"test_data": X_TEST}, "Expected"),
    ({"test_data": (X_TEST[:, :3], Y_TEST)}, r"shape \(3,\)"),
    ({"test_data": (X_TEST[:7], Y_TEST)}, "different lengths"),
    ({"class_names": ["a", "b", "c"]}, "3 class names"),
]


def test_what_finalize_refuses_changes_nothing(model: keras.Model, archive: archiver.RunArchiver) -> None:
    fit(model, archive, epochs=1)
    before = snapshot(archive.run.path)
    for arguments, text in REFUSED:
        with pytest.raises(DataError, match=text):
            archive.finalize(**arguments)
        assert snapshot(archive.run.path) == before, text


def test_finalize_again_leaves_every_byte(model: keras.Model, archive: archiver.RunArchiver) -> None:
    fit(model, archive)
    sealed_by_fit = snapshot(archive.run.path)
    archive.finalize()
    assert snapshot(archive.run.path) == sealed_by_fit

    archive.finalize(test_data=(X_TEST, Y_TEST), class_names=["no", "yes"])
    evaluated_once = snapshot(archive.run.path)
    assert evaluated_once != sealed_by_fit
    for arguments in (
        {"test_data": (X_TEST, Y_TEST), "class_names": ["no", "yes"]},
        {},
        {"class_names": ["no", "yes"]},
    ):
        archive.finalize(**arguments)
        assert snapshot(archive.run.path) == evaluated_once

    archive.finalize(test_data=(X_TEST[:10], Y_TEST[:10]))
    assert archive.run.read(layout.RESULTS).test.sample_count == 10  # type: ignore[union-attr]
    assert archive.run.read(layout.DATASET_STATS).class_names == ("no", "yes")
    assert_whole(archive.run)


def test_changed_weights(model: keras.Model, archive: archiver.RunArchiver) -> None:
    history = fit(model, archive)
    before, digest = snapshot(archive.run.path), weights_digest(model.weights)
    change(model)
    with pytest.raises(ChangedWeightsError, match=f"{weights_digest(model.weights)[:12]}.*{digest[:12]}"):
        archive.finalize(test_data=(X_TEST, Y_TEST))
    assert snapshot(archive.run.path) == before

    run = archive.finalize(test_data=(X_TEST, Y_TEST), on_changed_weights="save")
    results = run.read(layout.RESULTS)
    assert results.weights_digest == run.read(layout.WEIGHTS).weights_digest == weights_digest(model.weights) != digest
    assert results.test.metrics == evaluated(model)  # type: ignore[union-attr]
    assert metrics(run) == history
    assert run.status.status == "complete"
    assert_whole(run)


def test_results_of_other_weights_are_dropped(model: keras.Model, archive: archiver.RunArchiver) -> None:
    fit(model, archive)
    run = archive.finalize(test_data=(X_TEST, Y_TEST))
    tested = run.read(layout.RESULTS).test

    fit(model, archive, epochs=0)
    assert run.read(layout.RESULTS).test == tested, "the weights are the same"
    assert run.has(layout.PREDICTIONS)
    assert_whole(run)

    fit(model, archive)
    dropped = run.read(layout.RESULTS).test
    assert isinstance(dropped, Unavailable)
    assert "weights have changed" in dropped.unavailable
    assert not run.has(layout.PREDICTIONS)
    assert_whole(run)

    archive.finalize(test_data=(X_TEST, Y_TEST))
    assert run.read(layout.RESULTS).test.metrics == evaluated(model)  # type: ignore[union-attr]
    assert run.has(layout.PREDICTIONS)
    assert_whole(run)


def test_finalize_at_the_wrong_time(model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path) -> None:
    for early in (archive.finalize, lambda: archive.run):
        with pytest.raises(RunStateError, match="before fit"):
            early()
    refused: list[str] = []

    def call() -> None:
        with pytest.raises(RunStateError, match="while fit is running"):
            archive.finalize()
        refused.append(archive.run.status.status)

    def call_in_a_thread(batch: int, logs: Any) -> None:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()

    hooks = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: call(), on_epoch_end=lambda epoch, logs: call(), on_train_batch_end=call_in_a_thread
    )
    history = fit(model, archive, hooks)
    assert refused == ["running"] * (1 + 2 + 2 * 3)
    assert archive.run.status.stop_reason == "epochs"
    assert metrics(archive.run) == history
    assert_whole(archive.run)


def test_finalize_in_the_middle_of_a_loop_of_the_users(model: keras.Model, archive: archiver.RunArchiver) -> None:
    """Nobody can tell that it goes on; when it does, so does the archive."""

    def finalize_too_early(epoch: int, logs: Any) -> None:
        if epoch == 1:
            archive.finalize()
            assert archive.run.status.sealed

    early = keras.callbacks.LambdaCallback(on_epoch_end=finalize_too_early)
    losses = train_by_hand(model, keras.callbacks.CallbackList([early, archive], model=model), epochs=4)
    run = archive.run
    assert metrics(run) == {"loss": losses}
    assert [event["status"] for event in details(run, "status")] == ["failed", "running", "complete"]
    assert run.status.stop_reason == "epochs"
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert_whole(run)


def test_finalize_when_nobody_else_holds_the_model(archive: archiver.RunArchiver) -> None:
    model = small.model()
    fit(model, archive)
    expected = evaluated(model)
    del model
    gc.collect()
    run = archive.finalize(test_data=(X_TEST, Y_TEST))
    assert run.read(layout.RESULTS).test.metrics == expected  # type: ignore[union-attr]


def test_log_and_add_file(model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path) -> None:
    """Before fit, while it runs, and after it."""
    texts = {when: tmp_path / f"{when}.txt" for when in ("before", "during", "after")}
    for when, path in texts.items():
        path.write_text(when)

    def add(when: str) -> None:
        archive.log("stage", when)
        archive.log(when, {"value": np.float32(0.5), "list": [1, None]})
        archive.add_file(texts[when])
        archive.add_file(texts[when], name=f"sub/{when}")

    def during(epoch: int, logs: Any) -> None:
        if epoch == 1:
            add("during")
            assert (archive.run.path / "files" / "during.txt").read_text() == "during"

    def assert_added(*expected: str) -> None:
        run = archive.run
        logged = run.read(layout.RESULTS).logged
        assert logged == {"stage": expected[-1]} | {when: {"value": 0.5, "list": [1, None]} for when in expected}
        kept = {
            str(path.relative_to(run.path)): path.read_text() for path in run.path.glob("files/**/*") if path.is_file()
        }
        assert kept == {f"files/{when}.txt": when for when in expected} | {
            f"files/sub/{when}": when for when in expected
        }
        assert [event["value"] for event in details(run, "logged") if event["name"] == "stage"] == list(expected)
        assert len(details(run, "file_added")) == 2 * len(expected)
        assert_whole(run)

    add("before")
    assert os.listdir(tmp_path) == [] or not (tmp_path / "run_models").exists()
    fit(model, archive, keras.callbacks.LambdaCallback(on_epoch_end=during))
    assert_added("before", "during")

    sealed = snapshot(archive.run.path)
    add("after")
    assert snapshot(archive.run.path) == sealed, "a sealed archive waits for finalize"
    archive.finalize()
    assert_added("before", "during", "after")


def test_a_file_that_some_system_cannot_tell_from_another_is_left_out(
    model: keras.Model, archive: archiver.RunArchiver, tmp_path: Path
) -> None:
    for name in ("Labels.csv", "labels.csv"):
        (tmp_path / name).write_text(name)
        archive.add_file(tmp_path / name)
    with pytest.warns(ArchiverWarning, match="differ in case or Unicode form only"):
        fit(model, archive)
    assert os.listdir(archive.run.path / "files") == ["Labels.csv"]
    archiver.verify(archive.run.path).raise_for_findings()


@pytest.mark.parametrize("name", ["../up", "/abs", "a/../b", ".hidden", "a/.b", ""])
def test_files_stay_inside(name: str, archive: archiver.RunArchiver, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArgumentError, match="name="):
        archive.add_file(tmp_path / "file", name=name)
    with pytest.raises(ArgumentError, match="no file"):
        archive.add_file(tmp_path)


# Other ways to train


def test_archiver_fit_is_fit(tmp_path: Path) -> None:
    def train(run: Callable[[keras.Model], Any]) -> tuple[Any, str]:
        keras.utils.set_random_seed(23)
        model = small.model()
        return run(model).history, weights_digest(model.weights)

    arguments: dict[str, Any] = {"epochs": 2, "verbose": 0, "validation_split": 0.25}
    archive = archiver.RunArchiver(tmp_path, name="run")
    other = keras.callbacks.History()
    expected = train(lambda model: model.fit(X, Y, 16, **arguments))
    assert train(lambda model: archiver.fit(archive, model, X, Y, 16, callbacks=[other], **arguments)) == expected
    assert other.history == expected[0]
    assert metrics(archive.run) == expected[0]
    (config,) = archive.run.read(layout.TRAIN_CONFIG).phases
    assert (config.capture, config.batch_size, config.epochs) == ("archiver.fit", 16, 2)
    assert config.fit_arguments["validation_split"] == 0.25  # type: ignore[index,call-overload]
    assert_whole(archive.run)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda archive: archiver.fit(archive, keras.Sequential([keras.layers.Dense(1)]), X, Y), "not compiled"),
        (lambda archive: archiver.fit(archive, small.model(), X, Y, epoch=3), "does not take"),
        (lambda archive: archiver.fit(archive, "model", X, Y), "Expected a keras.Model"),
        (lambda archive: archiver.fit(small.model(), archive, X, Y), "Expected a RunArchiver"),
        (
            lambda archive: archiver.fit(archive, small.model(), X, Y, callbacks=keras.callbacks.CallbackList([])),
            "without the archive",
        ),
    ],
)
def test_what_archiver_fit_refuses(
    call: Callable[[archiver.RunArchiver], Any], text: str, archive: archiver.RunArchiver, tmp_path: Path
) -> None:
    with pytest.raises(ArgumentError, match=text):
        call(archive)
    assert os.listdir(tmp_path) == []


def train_by_hand(model: keras.Model, callbacks: Any, epochs: int) -> list[float]:
    losses = []
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for step in range(3):
            callbacks.on_train_batch_begin(step)
            loss = float(model.train_on_batch(X[step * 16 :][:16], Y[step * 16 :][:16])[0])
            callbacks.on_train_batch_end(step, {"loss": loss})
        losses.append(loss)
        callbacks.on_epoch_end(epoch, {"loss": loss})
    callbacks.on_train_end({"loss": loss})
    return losses


@pytest.mark.parametrize("driven", ["callback_list", "callback"])
def test_a_training_loop_of_the_users(driven: str, model: keras.Model, archive: archiver.RunArchiver) -> None:
    callbacks: Any = archive
    if driven == "callback_list":
        callbacks = keras.callbacks.CallbackList([archive], model=model)
    else:
        archive.set_model(model)
    losses = [train_by_hand(model, callbacks, epochs) for epochs in (2, 3)]
    run = archive.run
    assert [metrics(run, phase) for phase in (0, 1)] == [{"loss": each} for each in losses]
    assert [config.capture for config in run.read(layout.TRAIN_CONFIG).phases] == ["callback", "callback"]
    assert run.status.stop_reason == "epochs"
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert run.path_of(layout.STEPS).read_text().count("\n") == 1 + 3 * (2 + 3)
    archive.finalize(test_data=(X_TEST, Y_TEST))
    assert run.read(layout.RESULTS).test.metrics == evaluated(model)  # type: ignore[union-attr]
    assert_whole(run)


def test_a_training_loop_without_keras_own_training(tmp_path: Path) -> None:
    """A model that was never compiled, trained with a GradientTape."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    archive = archiver.RunArchiver(tmp_path, name="run")
    callbacks = keras.callbacks.CallbackList([archive], model=model)
    optimizer, loss_of = keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    callbacks.on_train_begin()
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        with tf.GradientTape() as tape:
            loss = loss_of(Y, model(X))
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        losses.append(float(loss))
        callbacks.on_epoch_end(epoch, {"loss": float(loss)})
    callbacks.on_train_end()
    assert metrics(archive.run) == {"loss": losses}
    assert archive.run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert_whole(archive.run)


class Overriding(keras.Model):
    """A model whose `fit` does something of its own around Keras' one."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(2, activation="softmax")

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def fit(self, data: Any, rounds: int, callbacks: Any = None) -> list[Any]:
        return [super(Overriding, self).fit(*data, epochs=2, verbose=0, callbacks=callbacks) for _ in range(rounds)]


def test_an_overridden_fit(archive: archiver.RunArchiver) -> None:
    model = Overriding()
    model.compile("adam", loss="sparse_categorical_crossentropy")
    histories = model.fit((X, Y), rounds=2, callbacks=[archive])
    run = archive.run
    assert [metrics(run, phase) for phase in (0, 1)] == [history.history for history in histories]
    configs = run.read(layout.TRAIN_CONFIG).phases
    assert [(config.capture, config.epochs) for config in configs] == [("frames", 2)] * 2
    assert run.read(layout.DATASET_STATS).splits["train"].sample_count == len(X)
    assert run.read(layout.RESULTS).weights_digest == weights_digest(model.weights)
    assert archiver.verify(run.path, deep=True).findings == ()
