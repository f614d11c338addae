"""Where each export format keeps each variable, told by Keras' own saving code while it runs over the model.

A store that records instead of writing is handed to the code that `save` uses; what it is given for a path is the
variable itself, so no guess by name or content is needed.
"""

from __future__ import annotations

from typing import Any

MODEL_WEIGHTS_GROUP = "model_weights"


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
