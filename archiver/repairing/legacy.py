"""The legacy `.h5` of a model, from the table of its weights, the checkpoint and the configuration in `.keras`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from archiver.errors import ArchiverError, DamagedFileError
from archiver.records.model import VariablePart
from archiver.repairing.hdf5_files import Damaged
from archiver.repairing.keras_writing import LegacyModel, write_legacy
from archiver.repairing.tensors import Pool
from archiver.repairing.workbench import Bench, Candidate
from archiver.storage.guards import TensorEntry, reading
from archiver.storage.hdf5_attributes import ROOT_ADDRESS, Attribute, read_attributes
from archiver.storage.hdf5_format import Source
from archiver.storage.zips import SafeZip

MAXIMAL_CONFIG_BYTES = 256 << 20
WEIGHTS_GROUP, TOP_LEVEL = "model_weights", "top_level_model_weights"
_NEWER = ("module", "registered_name", "build_config", "shared_object_id")
"""What the legacy form of a configuration does not have of an object."""
_TRAINING = (
    "loss", "loss_weights", "metrics", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile",
)  # fmt: skip

Attributes = tuple[Attribute, ...]


def proposals(bench: Bench, pool: Pool, damaged: Damaged) -> Iterator[Candidate]:
    """Written anew, with the attributes that can still be read, or with those that follow from `.keras`."""
    own = own_attributes(damaged)
    if own is not None:
        yield "written anew with its own configuration", _writer(bench, pool, damaged, own)
    for attributes in attributes_of_keras(bench, pool):
        yield "written anew with the configuration in the .keras file", _writer(bench, pool, damaged, attributes)


def _writer(bench: Bench, pool: Pool, damaged: Damaged, attributes: Attributes) -> Any:
    def write(target: Path) -> None:
        write_legacy(target, legacy_model(bench, pool, damaged, attributes))

    return write


def own_attributes(damaged: Damaged) -> Attributes | None:
    """Those of the damaged file, where they can be read; that they are as they were is not said."""
    if damaged.path is None:
        return None
    try:
        with damaged.path.open("rb") as file:
            return tuple(read_attributes(Source(file, damaged.name), ROOT_ADDRESS, "the root group"))
    except (ArchiverError, OSError):
        return None


def attributes_of_keras(bench: Bench, pool: Pool) -> Iterator[Attributes]:
    """As Keras makes them of the configuration that a sound `.keras` holds."""
    source = next((each for each in pool.sources if each.form == "keras" and each.is_sound), None)
    state = bench.records.checkpoint
    if source is None or state is None:
        return
    with source.path.open("rb") as file, reading(source.name, "its configuration"):
        archive = SafeZip(file, source.name)
        config = json.loads(archive.read("config.json", MAXIMAL_CONFIG_BYTES))
        metadata = json.loads(archive.read("metadata.json", MAXIMAL_CONFIG_BYTES))
        archive.close()
    model = {"class_name": config["class_name"], "config": _legacy_model(config["config"])}
    attributes = [
        Attribute("keras_version", "text", str(metadata["keras_version"]).encode()),
        Attribute("backend", "text", state.backend.encode()),
        Attribute("model_config", "ascii", json.dumps(model).encode()),
    ]
    compiled = config.get("compile_config")
    if isinstance(compiled, dict):
        yield (*attributes, Attribute("training_config", "ascii", json.dumps(_training(compiled)).encode()))
    yield tuple(attributes)


def _legacy_model(config: Any) -> Any:
    """The configuration of a model: its layers without what is newer, those of nested models too."""
    if isinstance(config, dict):
        config = _without(config, ("shared_object_id",))
        if isinstance(config.get("layers"), list):
            config["layers"] = [_legacy_layer(layer) for layer in config["layers"]]
    return config


def _legacy_layer(layer: Any) -> Any:
    if not isinstance(layer, dict):
        return layer
    kept = {key: value for key, value in layer.items() if key not in _NEWER}
    if "config" in kept:
        kept["config"] = _legacy_model(kept["config"])
    return kept


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value


def _training(compiled: dict[str, Any]) -> dict[str, Any]:
    found = {key: compiled[key] for key in _TRAINING if key in compiled}
    optimizer = compiled.get("optimizer")
    if isinstance(optimizer, dict):
        kept = {"class_name": optimizer.get("class_name"), "config": optimizer.get("config")}
        found["optimizer_config"] = _without(kept, ("shared_object_id",))
    return found


def legacy_model(bench: Bench, pool: Pool, damaged: Damaged, attributes: Attributes) -> LegacyModel:
    """Everything that the file holds.

    Raises:
        DamagedFileError: a tensor is in no file, or the records do not tell where the file keeps it.
    """
    table, state = bench.records.weights, bench.records.checkpoint
    if table is None or state is None:
        raise DamagedFileError("the table of the weights or the checkpoint is damaged too")
    layers: dict[str, list[VariablePart]] = {}
    for variable in table.variables:
        location = variable.locations.get("h5", "")
        ends = (f"{WEIGHTS_GROUP}/", f"/{variable.path}")
        if not location.startswith(ends[0]) or not location.endswith(ends[1]):
            raise DamagedFileError(f"no record tells where {variable.path} was")
        layers.setdefault(location[len(ends[0]) : -len(ends[1])], []).append(variable)
    for variables in layers.values():
        variables.sort(key=lambda variable: not variable.trainable)
    named = {attribute.name: attribute.value for attribute in attributes}
    with_training = "training_config" in named
    content = {layer: [_weight(pool, damaged, each) for each in found] for layer, found in layers.items()}
    with reading(damaged.name, "its configuration"):
        names = _layer_names(json.loads(bytes(named["model_config"])))  # type: ignore[arg-type]
    optimizer = [_weight(pool, damaged, each) for each in state.optimizer] if with_training else []
    return LegacyModel(attributes, names, content, content.get(TOP_LEVEL, []), optimizer)


def _layer_names(model: dict[str, Any]) -> list[str]:
    layers = model["config"]["layers"]
    is_sequential = model["class_name"] == "Sequential"
    return [
        str(layer["config"]["name"]) for layer in layers if not (is_sequential and layer["class_name"] == "InputLayer")
    ]


def _weight(pool: Pool, damaged: Damaged, variable: VariablePart) -> tuple[str, TensorEntry, bytes]:
    found = pool.content(variable.sha256, damaged.name)
    if found is None:
        raise DamagedFileError(f"no file holds {variable.path}")
    count = 1
    for length in variable.shape:
        count *= length
    item_bytes = len(found[1]) // count if count else 1
    entry = TensorEntry(stored_dtype(variable.dtype, item_bytes), variable.shape, item_bytes)
    return variable.path, entry, found[1]


def stored_dtype(name: str, item_bytes: int) -> str:
    """The type that HDF5 has a tensor in: bytes for what NumPy has no name for."""
    import numpy as np

    try:
        np.dtype(name)
    except TypeError:
        return f"void{8 * item_bytes}"
    return name


def is_as_in_keras(bench: Bench, pool: Pool, attributes: Attributes) -> bool:
    """Whether a configuration says what a sound `.keras` says."""
    received = {attribute.name: attribute.value for attribute in attributes}
    for expected in attributes_of_keras(bench, pool):
        wanted = {attribute.name: attribute.value for attribute in expected}
        if wanted.keys() == received.keys() and all(_same(received[key], wanted[key]) for key in wanted):
            return True
    return False


def _same(received: Any, wanted: Any) -> bool:
    try:
        return bool(json.loads(received) == json.loads(wanted))
    except (ValueError, TypeError, RecursionError):
        return bool(received == wanted)
