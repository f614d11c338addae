"""The random number generators that a training draws from: taking their states, and putting them back.

Looking draws from none of them and makes none. TensorFlow and Keras have no public way to either.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np

from archiver.training.weights import to_array


def take_states() -> dict[str, Any]:
    """The states of all generators of the process, as plain values; None where one is not made yet."""
    states: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state(), "keras": _keras_state()}
    if "tensorflow" in sys.modules:
        states |= _tensorflow_states()
    if "torch" in sys.modules:
        states |= _torch_states()
    return states


def put_states(states: dict[str, Any]) -> None:
    """Let every generator go on from where `take_states` saw it."""
    if states.get("keras") is not None:
        from keras.src.random.seed_generator import global_seed_generator

        global_seed_generator().state.assign(states["keras"])
    if "tensorflow" in sys.modules:
        _put_tensorflow_states(states)
    if "torch" in sys.modules:
        _put_torch_states(states)
    # Last: making a generator above may have drawn from these.
    if "python" in states:
        random.setstate(states["python"])
    if "numpy" in states:
        np.random.set_state(states["numpy"])


def drawn_since(states: dict[str, Any]) -> set[str]:
    """Which of Python's and NumPy's generators were drawn from since.

    Data that draw from them do so in a thread that prefetches: where it is by now is for nobody else to say.
    """
    found = set()
    if random.getstate() != states["python"]:
        found.add("python")
    now: Any = np.random.get_state()
    then = states["numpy"]
    if (now[0], *now[2:]) != (then[0], *then[2:]) or not np.array_equal(now[1], then[1]):
        found.add("numpy")
    return found


def _keras_state() -> Any:
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator

    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    return None if generator is None else np.array(to_array(generator.state))


def _tensorflow_states() -> dict[str, Any]:
    from tensorflow.python.eager import context
    from tensorflow.python.ops import stateful_random_ops

    operations = getattr(context.context(), "_rng", None)
    generator = stateful_random_ops.global_generator
    return {
        "tensorflow_operations": None if operations is None else operations.getstate(),
        "tensorflow_generator": None if generator is None else np.array(generator.state.numpy()),
    }


def _put_tensorflow_states(states: dict[str, Any]) -> None:
    import tensorflow as tf
    from tensorflow.python.eager import context

    operations = getattr(context.context(), "_rng", None)
    if states.get("tensorflow_operations") is not None and operations is not None:
        operations.setstate(states["tensorflow_operations"])
    if states.get("tensorflow_generator") is not None:
        tf.random.get_global_generator().state.assign(states["tensorflow_generator"])


def _torch_states() -> dict[str, Any]:
    import torch

    states = {"torch": torch.get_rng_state().numpy().copy()}
    if torch.cuda.is_initialized():
        states["torch_cuda"] = [state.numpy().copy() for state in torch.cuda.get_rng_state_all()]
    return states


def _put_torch_states(states: dict[str, Any]) -> None:
    import torch

    if states.get("torch") is not None:
        torch.set_rng_state(torch.from_numpy(states["torch"].copy()))
    if states.get("torch_cuda") and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([torch.from_numpy(state.copy()) for state in states["torch_cuda"]])
