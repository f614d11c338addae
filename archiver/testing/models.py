"""The model of a tiny run in every format, as Keras writes it, and the tables that say what is in it."""

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
from archiver.archive.run import Run
from archiver.closing import forget_models
from archiver.collect.values import Squares, change_squares, scan
from archiver.records.base import utc_now
from archiver.records.model import (
    ChangePart,
    FormatPart,
    LayerChange,
    MeasuredVariable,
    OptimizerVariable,
    PhaseWeights,
    VariablePart,
    WeightsTable,
)
from archiver.records.training import CheckpointState
from archiver.storage import files
from archiver.storage.digests import canonical_json, sha256_of
from archiver.storage.journal import Journal
from archiver.storage.npz import write_npz
from archiver.storage.plain_state import encode
from archiver.testing.numbers import BATCH_SIZE, KERAS_VERSION, MODEL_NAME, SAMPLES, SHAPES, numbers_from
from archiver.testing.records import keras_config

Array = NDArray[Any]


@dataclass(frozen=True)
class TinyModel:
    """The values of a model's variables; weights by layer and name."""

    weights: dict[str, dict[str, Array]]
    iterations: int

    @classmethod
    def after(cls, phase: int, epoch: int) -> TinyModel:
        """What an epoch of a phase has made of them."""
        numbers = numbers_from(phase, epoch)
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
        """The variables of the optimizer by name."""
        return {"iteration": np.asarray(self.iterations, np.int64), "learning_rate": np.asarray(0.01, np.float32)}

    def digest(self) -> str:
        """As `archiver.records.model.WeightsTable.weights_digest` defines it."""
        digest = sha256()
        for index, (_, _, _, array) in enumerate(self.variables()):
            header = canonical_json({"index": index, "dtype": array.dtype.name, "shape": list(array.shape)})
            digest.update(struct.pack("<Q", len(header)) + header + array.tobytes())
        return digest.hexdigest()


def save_models(run: Run, journal: Journal, phase: int, epochs: int) -> None:
    """Write all formats, the checkpoint and the table of the weights, as the end of `fit` does."""
    model = TinyModel.after(phase, epochs - 1)
    old = run.read_if_there(layout.WEIGHTS)
    phases = (*(old.phases if old else ()), _phase_weights(phase, TinyModel.after(phase, -1), model))
    forget_models(run)
    writers = {"keras": _write_keras, "h5": _write_h5, "weights.h5": write_weights}
    for kind, write in writers.items():
        with files.replacing(run.path_of(layout.MODEL_FORMATS[kind])) as temporary:
            write(temporary, model)
    formats = {kind: FormatPart(file=file.path(run.name)) for kind, file in layout.MODEL_FORMATS.items()}
    run.write(layout.WEIGHTS, _weights_table(model, formats, phases))
    _save_checkpoint(run, model, phase)
    if epochs == 1:
        files.remove(run.path_of(layout.BEST_WEIGHTS))
    saved = {kind: part.file for kind, part in formats.items()}
    journal.append("models_saved", phase=phase, weights_digest=model.digest(), formats=saved, seconds=0.01)


def write_weights(path: Path, model: TinyModel) -> None:
    """Write a `.weights.h5`."""
    import h5py

    with h5py.File(path, "w") as file:
        _fill_weights(file, model)


def _fill_weights(file: Any, model: TinyModel) -> None:
    for layer, _, position, array in model.variables():
        file[f"layers/{layer}/vars/{position}"] = array
    file.create_group("layers/dropout/vars")
    for position, array in enumerate(model.optimizer().values()):
        file[f"optimizer/vars/{position}"] = array


def _write_h5(path: Path, model: TinyModel) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        config = {key: value for key, value in keras_config().items() if key in ("class_name", "config")}
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


def _write_keras(path: Path, model: TinyModel) -> None:
    import io

    import h5py

    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        _fill_weights(file, model)
    members: dict[str, bytes] = {
        "metadata.json": json.dumps({"keras_version": KERAS_VERSION, "date_saved": "2026-11-21@00:00:00"}).encode(),
        "config.json": json.dumps(keras_config()).encode(),
        "model.weights.h5": weights.getvalue(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member), data)


def _phase_weights(phase: int, initial: TinyModel, final: TinyModel) -> PhaseWeights:
    total, layers = Squares(), []
    for layer, arrays in final.weights.items():
        squares = Squares()
        for name, array in arrays.items():
            squares += change_squares(initial.weights[layer][name], array)
        total += squares
        layers.append(LayerChange(layer=layer, path=f"{MODEL_NAME}/{layer}", **dict(_change(squares))))
    return PhaseWeights(
        phase=phase,
        initial_weights_digest=initial.digest(),
        final_weights_digest=final.digest(),
        change=_change(total),
        layers=tuple(layers),
    )


def _change(squares: Squares) -> ChangePart:
    initial, final, change = (math.sqrt(each) for each in (squares.initial, squares.final, squares.change))
    return ChangePart(initial_norm=initial, final_norm=final, change_norm=change, relative_change=change / initial)


def _weights_table(
    model: TinyModel, formats: Mapping[str, FormatPart], phases: tuple[PhaseWeights, ...]
) -> WeightsTable:
    variables = tuple(
        _measured(
            _part(index, f"{MODEL_NAME}/{layer}/{name}", array, layer=layer, trainable=True).model_copy(
                update={
                    "locations": {
                        "keras": f"layers/{layer}/vars/{position}",
                        "h5": f"model_weights/{layer}/{MODEL_NAME}/{layer}/{name}",
                        "weights.h5": f"layers/{layer}/vars/{position}",
                    }
                }
            ),
            array,
        )
        for index, (layer, name, position, array) in enumerate(model.variables())
    )
    optimizer = {f"sgd/{name}": array for name, array in model.optimizer().items()}
    generators = _seed_generators()
    return WeightsTable(
        weights_digest=model.digest(),
        formats=dict(formats),
        phases=phases,
        variables=variables,
        optimizer_variables=tuple(
            OptimizerVariable(**dict(_measured(part, array)), slot=None, slot_of=None)
            for part, array in zip(_parts(optimizer), optimizer.values(), strict=True)
        ),
        seed_generators=tuple(
            _measured(part, array) for part, array in zip(_parts(generators), generators.values(), strict=True)
        ),
    )


def _measured(part: VariablePart, array: Array) -> MeasuredVariable:
    return MeasuredVariable(**dict(part), statistics=scan(array))


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


def _save_checkpoint(run: Run, model: TinyModel, phase: int) -> None:
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
    kept: dict[str, Array] = {}
    generator = np.random.RandomState(phase)
    states = {"python": random.Random(phase).getstate(), "numpy": generator.get_state(), "keras": None}
    random_state = encode(states, kept, "random")
    with files.replacing(run.path_of(layout.CHECKPOINT_VARIABLES)) as temporary:
        write_npz(temporary, [*arrays, *kept.items()])
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
        random_state=random_state,
        callbacks=[{"class": "keras.src.callbacks.lambda_callback.LambdaCallback", "state": {}}],
        data_state={},
    )
    run.write(layout.CHECKPOINT_STATE, state)
