"""What Keras and its backend are and what they are set to."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from archiver.records.framework import FrameworkPart, KerasPart
from archiver.training.jax_state import jax_state
from archiver.training.reading import known, known_setting, or_reason
from archiver.training.tensorflow_state import tensorflow_state
from archiver.training.torch_state import torch_state

_BACKENDS: dict[str, Callable[[], Any]] = {"tensorflow": tensorflow_state, "jax": jax_state, "torch": torch_state}


def framework_state() -> FrameworkPart:
    """The settings of Keras and of the backend in use; what cannot be read says why, each setting for itself."""
    backend = keras.backend.backend()
    states = {name: known(read) if name == backend else None for name, read in _BACKENDS.items()}
    return FrameworkPart(
        keras_version=keras.__version__, backend=backend, keras=keras_state(), loaded=_loaded(), **states
    )


def keras_state() -> KerasPart:
    """Keras' own settings. Those that an older Keras does not have say so."""
    config = keras.config
    return KerasPart(
        version=keras.__version__,
        backend=keras.backend.backend(),
        dtype_policy=known(lambda: str(config.dtype_policy().name)),
        floatx=known_setting(config, "floatx"),
        epsilon=known(lambda: float(config.epsilon())),
        image_data_format=known_setting(config, "image_data_format"),
        nnx=known_setting(config, "is_nnx_enabled"),
        flash_attention=known_setting(config, "is_flash_attention_enabled"),
        maximal_epochs=known_setting(config, "max_epochs"),
        maximal_steps_per_epoch=known_setting(config, "max_steps_per_epoch"),
        config_file=or_reason(_config_file),
    )


def _config_file() -> Any:
    home = os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser()
    path = Path(home) / "keras.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _loaded() -> dict[str, str]:
    modules = {name: sys.modules.get(name) for name in _BACKENDS}
    return {name: str(getattr(module, "__version__", "unknown")) for name, module in modules.items() if module}
