"""Where each export format keeps each variable, told by Keras' own saving code while it runs over the model.

A store that records instead of writing is handed to the code that `save` uses; what it is given for a path is the
variable itself, so no guess by name or content is needed. Then the file is read back: only what is there byte for byte
counts as located.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from archiver.errors import ArchiverError
from archiver.records.model import VariablePart
from archiver.storage.tensors import Tensors, open_tensors

MODEL_WEIGHTS_GROUP = "model_weights"


def locate(
    path: Path, name: str, model: Any, variables: Sequence[VariablePart]
) -> tuple[dict[int, str], dict[str, str]]:
    """Where the file keeps each of the model's weights, and why it cannot be compared with the others.

    Args:
        path: the file, just written from `model`.
        name: its format.
        model: the live model.
        variables: the table of `model.weights`, in order.

    Returns:
        `{index: location}` and `{index: reason}`; each variable is in one of the two.
    """
    try:
        known = legacy_locations(model) if name == "h5" else keras_locations(model)
    except Exception as error:  # noqa: BLE001 - private parts of Keras; without them nothing can be compared
        reason = f"this version of Keras does not tell where it keeps it ({type(error).__name__})"
        return {}, {str(variable.index): reason for variable in variables}
    wanted = {variable.index: known.get(id(live)) for variable, live in zip(variables, model.weights, strict=True)}
    try:
        with open_tensors(path, name) as tensors:
            reasons = {variable.index: _why_not(tensors, wanted[variable.index], variable) for variable in variables}
    except ArchiverError as error:
        reasons = {variable.index: f"the file cannot be read back: {error}" for variable in variables}
    where = {index: location for index, location in wanted.items() if location and reasons[index] is None}
    return where, {str(index): reason for index, reason in reasons.items() if reason is not None}


def _why_not(tensors: Tensors, location: str | None, variable: VariablePart) -> str | None:
    if location is None:
        return "the file does not hold this variable as it is"
    try:
        same = tensors.digest(location) == variable.sha256
    except ArchiverError as error:
        return str(error)
    return None if same else "the file holds other bytes (another dtype, or a layer's own form)"


def keras_locations(model: Any) -> dict[int, str]:
    """By `id` of the variable: its tensor in `.weights.h5`, and in the `model.weights.h5` inside `.keras`."""
    from keras.src.saving import saving_lib

    class Recorder(saving_lib.H5IOStore):  # type: ignore[misc]
        """Notes which object would have been written where."""

        def __init__(self) -> None:
            self.found: dict[int, str] = {}
            self.folder = ""

        def __bool__(self) -> bool:
            return True

        def make(self, path: str, metadata: Any = None) -> Recorder:  # noqa: ARG002 - Keras' signature
            self.folder = f"{path}/vars" if path else "vars"
            return self

        def __setitem__(self, key: str, value: Any) -> None:
            self.found.setdefault(id(value), f"{self.folder}/{key}")

        def __contains__(self, item: object) -> bool:
            return False

        def __len__(self) -> int:
            return 0

    recorder = Recorder()
    saving_lib._save_state(  # noqa: SLF001 - the one place that knows the paths
        model, weights_store=recorder, assets_store=None, inner_path="", visited_saveables=set()
    )
    return recorder.found


def legacy_locations(model: Any) -> dict[int, str]:
    """By `id` of the variable: its tensor in the legacy `.h5`, as `keras.src.legacy.saving` names it."""
    found: dict[int, str] = {}
    for layer in sorted(model.layers, key=lambda each: str(each.name)):
        for variable in (*layer.trainable_weights, *layer.non_trainable_weights):
            found.setdefault(id(variable), f"{MODEL_WEIGHTS_GROUP}/{layer.name}/{variable.path}")
    for variable in (*model._trainable_variables, *model._non_trainable_variables):  # noqa: SLF001
        found.setdefault(id(variable), f"{MODEL_WEIGHTS_GROUP}/top_level_model_weights/{variable.path}")
    return found
