"""Helpers for tests, yours and ours: complete archives in milliseconds, without Keras and without training.

    from archiver.testing import tiny_run

    def test_my_tool(tmp_path):
        run = tiny_run(tmp_path)
        archiver.verify(run.path, deep=True).raise_for_findings()

The files are what `RunArchiver` writes of a Sequential model of two dense layers with a dropout between them, by the
same functions in the same order; only the numbers are made up. The same arguments give the same weights and metrics.
"""

from __future__ import annotations

import json
import math
import random
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archiver import layout
from archiver.archive.claiming import claim
from archiver.archive.run import Run
from archiver.closing import close_unfinished, forget_models, write_history, write_results
from archiver.collect.command import collect_command
from archiver.collect.data import class_counts, describe_array
from archiver.collect.identity import this_process
from archiver.collect.system import collect_system
from archiver.errors import ArgumentError
from archiver.naming import run_name
from archiver.records.base import Unavailable, local_offset_seconds, utc_now
from archiver.records.dataset import DatasetStats, SplitPart
from archiver.records.environment import GitRecord, PackagePart, PackagesRecord
from archiver.records.journal import ExceptionPart, ProcessIdentity, RunStatus
from archiver.records.model import FormatPart, LayerPart, ModelConfig, ParameterCounts, VariablePart, WeightsTable
from archiver.records.results import PredictionsPart, TestResults
from archiver.records.run import RunNamePart, RunRecord
from archiver.records.source import SourceFilePart, SourceRecord
from archiver.records.training import (
    CheckpointState,
    OptimizerConfig,
    PhaseConfig,
    PhaseOptimizer,
    Preprocessing,
    RandomState,
    TrainConfig,
    ValidationPart,
)
from archiver.sealing import changing, seal, unseal
from archiver.storage import files
from archiver.storage.digests import canonical_json, sha256_of
from archiver.storage.journal import Journal, events_named
from archiver.storage.jsonable import jsonable
from archiver.storage.npz import write_npz
from archiver.training.steps import StepTrace
from archiver.version import __version__

Array = NDArray[Any]

MODEL_NAME = "tiny"
KERAS_VERSION = "3.15.1"
FEATURES, CLASSES, SAMPLES, BATCH_SIZE = 8, 2, 32, 16
SHAPES = {
    "dense": {"kernel": (FEATURES, 160), "bias": (160,)},
    "dense_1": {"kernel": (160, CLASSES), "bias": (CLASSES,)},
}
"""The weights by layer; the largest one is larger than the blocks in which zip files are read."""

SOURCE_CODE = b"import keras\n\nprint('made up by archiver.testing')\n"
NOTES = "made up by archiver.testing\n"


def tiny_run(
    root: Path,
    name: str = "tiny",
    *,
    epochs: int = 2,
    phases: int = 1,
    tested: bool = False,
    sealed: bool = True,
    status: RunStatus = "complete",
) -> Run:
    """An archive as the callback leaves it.

    Args:
        root: the folder of the runs; where the name is taken, the next version is claimed.
        name: the run's name.
        epochs: of each phase.
        phases: calls of `fit`, each of them sealed before the next.
        tested: also what `finalize(test_data=...)` adds: test results and predictions, and one more seal.
        sealed: False: as a process leaves it that was killed before the last seal.
        status: of the last phase. "failed" and "interrupted" leave no models of it; "running" is never sealed.

    Raises:
        ArgumentError: the arguments contradict each other.
    """
    if phases < 1 or (status == "running" and sealed) or (tested and not (sealed and status == "complete")):
        raise ArgumentError(
            f"Received phases={phases}, tested={tested}, sealed={sealed}, status={status!r}. Expected at least one "
            "phase, sealed=False for a running one, and a complete and sealed one for tested=True."
        )
    run, version = claim(root, run_name(name), "version")
    Journal(run.path).keep_reserve()
    for phase in range(phases):
        is_last = phase == phases - 1
        add_phase(
            run, epochs=epochs, version=version, sealed=sealed or not is_last, status=status if is_last else "complete"
        )
    if tested:
        add_test_results(run)
    return run


def add_phase(
    run: Run, *, epochs: int = 2, version: int = 1, sealed: bool = True, status: RunStatus = "complete"
) -> None:
    """One more call of `fit` on the model of a `tiny_run`, with other weights than those before.

    Args:
        run: the archive, sealed or not.
        epochs: of this phase.
        version: of the run's name; for the first phase.
        sealed: whether to seal at the end.
        status: what becomes of the phase; see `tiny_run`.
    """
    journal = Journal(run.path)
    unseal(run, journal)
    journal.keep_reserve()
    phase = sum(1 for _ in events_named(journal.read(), "phase_started"))
    process = this_process() if status == "running" else gone_process()
    journal.append("phase_started", phase=phase, process=process.model_dump())
    if phase == 0:
        _write_environment(run, version, process)
        files.write_text(run.path / "files" / "notes.txt", NOTES)
        journal.append("file_added", file="files/notes.txt")
        journal.append("logged", name="answer", value=42)
    _write_configs(run, phase, epochs)
    _train(run, journal, phase, epochs)
    if status == "complete":
        _save_models(run, journal, phase, epochs)
        journal.append("status", phase=phase, status="complete", stop_reason="epochs")
    elif status == "failed":
        error = ExceptionPart(type="ValueError", message="made up by archiver.testing", location="train.py:3")
        journal.append("status", phase=phase, status="failed", exception=error.model_dump())
    if sealed and status == "interrupted":
        close_unfinished(run)
    elif sealed:
        write_history(run)
        write_results(run)
        seal(run, journal)


def add_test_results(run: Run) -> None:
    """What `finalize(test_data=...)` adds to a complete run."""
    digest = run.read(layout.WEIGHTS).weights_digest
    predictions = _numbers("predictions").random((SAMPLES, CLASSES), dtype=np.float32)
    part = PredictionsPart(
        output="output",
        shape=predictions.shape,
        dtype=predictions.dtype.name,
        sha256=sha256_of(predictions.tobytes()),
        stored_count=SAMPLES,
    )
    results = TestResults(
        evaluated=utc_now(),
        weights_digest=digest,
        sample_count=SAMPLES,
        metrics={"accuracy": 0.75, "loss": 0.5},
        predictions=(part,),
        predictions_file=layout.PREDICTIONS.path(run.name),
    )
    with changing(run):
        with files.replacing(run.path_of(layout.PREDICTIONS)) as temporary:
            write_npz(temporary, [("output", predictions)])
        run.journal.append("evaluated", metrics=results.metrics, weights_digest=digest)
        run.write(layout.DATASET_STATS, _dataset_stats("train", "validation", "test"))
        write_history(run)
        write_results(run, results)


def gone_process() -> ProcessIdentity:
    """The identity of a process of this machine that is no longer there."""
    return this_process().model_copy(update={"start_time_seconds": 0.0})


def _numbers(*seed: object) -> np.random.Generator:
    return np.random.default_rng(list(sha256(repr(seed).encode()).digest()))


# -- what is known when training begins


def _write_environment(run: Run, version: int, process: ProcessIdentity) -> None:
    now = utc_now()
    run.write(
        layout.RUN,
        RunRecord(
            name=RunNamePart(name=run.name, original=run.name, version=version),
            created=now,
            local_offset_seconds=local_offset_seconds(),
            archiver_version=__version__,
            process=process,
            command=collect_command(),
            tags=("tiny",),
            notes=NOTES.strip(),
            formats=tuple(layout.MODEL_FORMATS),
            monitor="val_loss",
        ),
    )
    run.write(layout.SYSTEM, collect_system(run.path, {"keras_version": KERAS_VERSION, "backend": "tensorflow"}))
    package = PackagePart(
        name="keras",
        version=KERAS_VERSION,
        location="~/site-packages",
        installer="pip",
        requested=True,
        editable=False,
        direct_url=None,
        tags=("py3-none-any",),
        record_sha256=sha256_of(b"keras"),
        file_count=1,
    )
    run.write(layout.PACKAGES, PackagesRecord(collected=now, packages={"keras": package}))
    no_repository = Unavailable(unavailable="made up by archiver.testing")
    run.write(layout.GIT, GitRecord(collected=now, git_version=no_repository, repository=no_repository))
    entry = layout.SOURCE_FILES.pattern.replace("*", "train.py")
    files.write_bytes(run.path / entry, SOURCE_CODE)
    source = SourceFilePart(
        path=entry,
        original_path="train.py",
        role="entry",
        size_bytes=len(SOURCE_CODE),
        sha256=sha256_of(SOURCE_CODE),
    )
    record = SourceRecord(
        collected=now,
        root="~",
        entry=entry,
        files=(source,),
        total_bytes=len(SOURCE_CODE),
        left_out=(),
        left_out_count=0,
    )
    run.write(layout.SOURCE, record)


def _write_configs(run: Run, phase: int, epochs: int) -> None:
    train = run.read_if_there(layout.TRAIN_CONFIG)
    optimizer = run.read_if_there(layout.OPTIMIZER_CONFIG)
    run.write(layout.MODEL_CONFIG, _model_config())
    run.write(
        layout.TRAIN_CONFIG,
        TrainConfig(phases=(*(train.phases if train else ()), _phase_config(phase, epochs))),
    )
    run.write(
        layout.OPTIMIZER_CONFIG,
        OptimizerConfig(phases=(*(optimizer.phases if optimizer else ()), _phase_optimizer(phase))),
    )
    run.write(layout.PREPROCESSING, Preprocessing(description="none", layers=()))
    run.write(layout.DATASET_STATS, _dataset_stats("train", "validation"))


def _phase_config(phase: int, epochs: int) -> PhaseConfig:
    return PhaseConfig(
        phase=phase,
        capture="frames",
        fit_arguments={"epochs": epochs, "batch_size": BATCH_SIZE},
        batch_size=BATCH_SIZE,
        epochs=epochs,
        initial_epoch=0,
        steps_per_epoch=SAMPLES // BATCH_SIZE,
        shuffle=True,
        validation=ValidationPart(source="validation_data"),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
        run_eagerly=False,
        steps_per_execution=1,
        callbacks=(),
        seed=Unavailable(unavailable="archiver.seed was not called"),
    )


def _phase_optimizer(phase: int) -> PhaseOptimizer:
    return PhaseOptimizer(
        phase=phase,
        class_name="keras.src.optimizers.sgd.SGD",
        config={"name": "SGD", "learning_rate": 0.01},
        learning_rate=0.01,
        iterations=0,
    )


def _model_config() -> ModelConfig:
    layers = (_layer("dense"), _layer("dropout"), _layer("dense_1"))
    total = sum(layer.parameters.total for layer in layers)
    return ModelConfig(
        name=MODEL_NAME,
        class_name="keras.src.models.sequential.Sequential",
        built=True,
        config=_keras_config(),
        input_shape=[None, FEATURES],
        output_shape=[None, CLASSES],
        dtype_policy="float32",
        parameters=ParameterCounts(total=total, trainable=total, non_trainable=0),
        layers=layers,
        summary=f"{MODEL_NAME}: {total} parameters",
    )


def _layer(name: str) -> LayerPart:
    shapes = SHAPES.get(name, {})
    count = sum(math.prod(shape) for shape in shapes.values())
    inputs, outputs = shapes["kernel"] if shapes else SHAPES["dense"]["bias"] * 2
    return LayerPart(
        name=name,
        class_name="keras.src.layers.core.dense.Dense" if shapes else "keras.src.layers.regularization.dropout.Dropout",
        depth=0,
        config={"name": name, "units": outputs} if shapes else {"name": name, "rate": 0.5},
        input_shape=[None, inputs],
        output_shape=[None, outputs],
        dtype_policy="float32",
        trainable=True,
        parameters=ParameterCounts(total=count, trainable=count, non_trainable=0),
    )


def _keras_config() -> dict[str, Any]:
    """What Keras needs to build the model."""

    def layer(class_name: str, **config: Any) -> dict[str, Any]:
        return {"module": "keras.layers", "class_name": class_name, "config": config, "registered_name": None}

    return {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {
            "name": MODEL_NAME,
            "layers": [
                layer("InputLayer", batch_shape=[None, FEATURES], dtype="float32", name="input"),
                layer("Dense", name="dense", units=SHAPES["dense"]["bias"][0], activation="relu"),
                layer("Dropout", name="dropout", rate=0.5),
                layer("Dense", name="dense_1", units=CLASSES, activation="softmax"),
            ],
        },
    }


def _dataset_stats(*names: str) -> DatasetStats:
    return DatasetStats(
        splits={name: _split(name) for name in names},
        ratios={name: 1 / len(names) for name in names},
        class_names=("even", "odd"),
    )


def _split(name: str) -> SplitPart:
    numbers = _numbers(name)
    x, y = numbers.random((SAMPLES, FEATURES), dtype=np.float32), numbers.integers(0, CLASSES, SAMPLES)
    return SplitPart(
        kind="arrays",
        type="numpy.ndarray",
        sample_count=SAMPLES,
        arrays=(describe_array("x", x), describe_array("y", y)),
        class_counts=class_counts(y),
    )


# -- training


def _train(run: Run, journal: Journal, phase: int, epochs: int) -> None:
    """The first epoch of a phase is its best one; its weights are kept."""
    trace = StepTrace(run.path_of(layout.STEPS), part=0)
    for epoch in range(epochs):
        trace.begin_epoch()
        loss = 1 / (phase + 1) + 0.125 * epoch
        for step in range(SAMPLES // BATCH_SIZE):
            trace.ring.record(step, loss)
        metrics = {"accuracy": 0.5, "loss": loss, "val_accuracy": 0.5, "val_loss": loss}
        journal.append("epoch_ended", phase=phase, epoch=epoch, metrics=metrics, learning_rate=0.01, seconds=0.01)
        trace.end_epoch(phase, epoch)
        if epoch == 0:
            model = _Model.after(phase, epoch)
            with files.replacing(run.path_of(layout.BEST_WEIGHTS)) as temporary:
                _write_weights(temporary, model)
            best = {"monitor": "val_loss", "mode": "min", "value": loss, "weights_digest": model.digest()}
            journal.append("best_epoch", phase=phase, epoch=epoch, **best)


@dataclass(frozen=True)
class _Model:
    """The values of a model's variables; weights by layer and name."""

    weights: dict[str, dict[str, Array]]
    iterations: int

    @classmethod
    def after(cls, phase: int, epoch: int) -> _Model:
        numbers = _numbers(phase, epoch)
        weights: dict[str, dict[str, Array]] = {
            layer: {name: numbers.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
            for layer, shapes in SHAPES.items()
        }
        return cls(weights, iterations=(epoch + 1) * SAMPLES // BATCH_SIZE)

    def variables(self) -> Iterator[tuple[str, str, int, Array]]:
        """Layer, name, position in the layer, value."""
        for layer, arrays in self.weights.items():
            for position, (name, array) in enumerate(arrays.items()):
                yield layer, name, position, array

    def optimizer(self) -> dict[str, Array]:
        return {"iteration": np.asarray(self.iterations, np.int64), "learning_rate": np.asarray(0.01, np.float32)}

    def digest(self) -> str:
        """As `archiver.records.model.WeightsTable.weights_digest` defines it."""
        digest = sha256()
        for index, (_, _, _, array) in enumerate(self.variables()):
            header = canonical_json({"index": index, "dtype": array.dtype.name, "shape": list(array.shape)})
            digest.update(struct.pack("<Q", len(header)) + header + array.tobytes())
        return digest.hexdigest()


# -- models


def _save_models(run: Run, journal: Journal, phase: int, epochs: int) -> None:
    model = _Model.after(phase, epochs - 1)
    forget_models(run)
    writers = {"keras": _write_keras, "h5": _write_h5, "weights.h5": _write_weights}
    for kind, write in writers.items():
        with files.replacing(run.path_of(layout.MODEL_FORMATS[kind])) as temporary:
            write(temporary, model)
    formats = {kind: FormatPart(file=file.path(run.name)) for kind, file in layout.MODEL_FORMATS.items()}
    run.write(layout.WEIGHTS, _weights_table(model, formats))
    _save_checkpoint(run, model, phase)
    if epochs == 1:
        files.remove(run.path_of(layout.BEST_WEIGHTS))
    saved = {kind: part.file for kind, part in formats.items()}
    journal.append("models_saved", phase=phase, weights_digest=model.digest(), formats=saved, seconds=0.01)


def _write_weights(path: Path, model: _Model) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        _fill_weights(file, model)


def _fill_weights(file: Any, model: _Model) -> None:
    for layer, _, position, array in model.variables():
        file[f"layers/{layer}/vars/{position}"] = array
    file.create_group("layers/dropout/vars")
    for position, array in enumerate(model.optimizer().values()):
        file[f"optimizer/vars/{position}"] = array


def _write_h5(path: Path, model: _Model) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        config = {key: value for key, value in _keras_config().items() if key in ("class_name", "config")}
        file.attrs.update(model_config=json.dumps(config), keras_version=KERAS_VERSION, backend="tensorflow")
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in ("dense", "dropout", "dense_1")]
        group.create_group("dropout").attrs["weight_names"] = np.zeros(0)
        group.create_group("top_level_model_weights").attrs["weight_names"] = np.zeros(0)
        for layer, name, _, array in model.variables():
            group[f"{layer}/{MODEL_NAME}/{layer}/{name}"] = array
        for layer, arrays in model.weights.items():
            group[layer].attrs["weight_names"] = [f"{MODEL_NAME}/{layer}/{name}".encode() for name in arrays]
        for name, array in model.optimizer().items():
            file[f"optimizer_weights/sgd/{name}"] = array


def _write_keras(path: Path, model: _Model) -> None:
    import io

    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _fill_weights(file, model)
    members: dict[str, bytes] = {
        "metadata.json": json.dumps({"keras_version": KERAS_VERSION, "date_saved": "2026-11-21@00:00:00"}).encode(),
        "config.json": json.dumps(_keras_config()).encode(),
        "model.weights.h5": weights.getvalue(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data)


def _weights_table(model: _Model, formats: Mapping[str, FormatPart]) -> WeightsTable:
    variables = tuple(
        _part(index, f"{MODEL_NAME}/{layer}/{name}", array, layer=layer, trainable=True).model_copy(
            update={
                "locations": {
                    "keras": f"layers/{layer}/vars/{position}",
                    "h5": f"model_weights/{layer}/{MODEL_NAME}/{layer}/{name}",
                    "weights.h5": f"layers/{layer}/vars/{position}",
                }
            }
        )
        for index, (layer, name, position, array) in enumerate(model.variables())
    )
    return WeightsTable(
        weights_digest=model.digest(),
        variables=variables,
        optimizer_variables=_parts({f"sgd/{name}": array for name, array in model.optimizer().items()}),
        seed_generators=_parts(_seed_generators()),
        formats=dict(formats),
    )


def _seed_generators() -> dict[str, Array]:
    return {f"{MODEL_NAME}/dropout/seed_generator_state": np.asarray([7, 1], np.uint32)}


def _parts(arrays: Mapping[str, Array]) -> tuple[VariablePart, ...]:
    return tuple(_part(index, path, array) for index, (path, array) in enumerate(arrays.items()))


def _part(index: int, path: str, array: Array, *, layer: str | None = None, trainable: bool = False) -> VariablePart:
    return VariablePart(
        index=index,
        path=path,
        layer=layer,
        dtype=array.dtype.name,
        shape=array.shape,
        trainable=trainable,
        sha256=sha256_of(array.tobytes()),
    )


def _save_checkpoint(run: Run, model: _Model, phase: int) -> None:
    weights = {f"{MODEL_NAME}/{layer}/{name}": array for layer, name, _, array in model.variables()}
    groups: dict[str, dict[str, Array]] = {
        "optimizer": {f"sgd/{name}": array for name, array in model.optimizer().items()},
        "metrics": {"loss/total": np.asarray(1, np.float32), "loss/count": np.asarray(2, np.float32)},
        "model": weights,
        "seed_generators": _seed_generators(),
    }
    arrays = [
        (f"{group}/{index}", array) for group, named in groups.items() for index, array in enumerate(named.values())
    ]
    key = _numbers("key").integers(0, 1 << 32, 624, dtype=np.uint32)
    with files.replacing(run.path_of(layout.CHECKPOINT_VARIABLES)) as temporary:
        write_npz(temporary, [*arrays, ("random/numpy_key", key)])
    layers = tuple(layer for layer, _, _, _ in model.variables())
    parts = {group: _parts(named) for group, named in groups.items()}
    state = CheckpointState(
        created=utc_now(),
        phase=phase,
        epochs_done=model.iterations * BATCH_SIZE // SAMPLES,
        keras_version=KERAS_VERSION,
        backend="tensorflow",
        weights_digest=model.digest(),
        model=tuple(
            part.model_copy(update={"layer": layer, "trainable": True})
            for part, layer in zip(parts["model"], layers, strict=True)
        ),
        optimizer=parts["optimizer"],
        metrics=parts["metrics"],
        seed_generators=parts["seed_generators"],
        random_state=RandomState(
            python=jsonable(random.Random(phase).getstate()),
            numpy={"algorithm": "MT19937", "position": 624, "has_gauss": 0, "cached": 0.0},
            backend=None,
        ),
    )
    run.write(layout.CHECKPOINT_STATE, state)
