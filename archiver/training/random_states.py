"""The states of the random number generators, looked at without drawing from any of them or making one."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from archiver.records.base import Sha256, Unavailable
from archiver.records.determinism import SeedsPart
from archiver.storage.digests import canonical_json, sha256_of
from archiver.storage.jsonable import jsonable
from archiver.training.reading import known, whole
from archiver.training.weights import to_array


def seeds() -> SeedsPart:
    """The seeds in force, whoever set them."""
    hash_seed = 0 if sys.flags.hash_randomization == 0 else _hash_seed()
    return SeedsPart(
        keras=known(_keras_seed),
        tensorflow=known(_tensorflow_seed),
        torch=known(_torch_seed),
        python_hash=hash_seed,
    )


def _hash_seed() -> Any:
    value = os.environ.get("PYTHONHASHSEED", "random")
    return int(value) if value.isdecimal() and not sys.flags.ignore_environment else "random"


def _keras_seed() -> int | None:
    from keras.src.utils.rng_utils import get_random_seed

    return whole(get_random_seed())


def _tensorflow_seed() -> int | Unavailable | None:
    if "tensorflow" not in sys.modules:
        return Unavailable(unavailable="TensorFlow is not loaded")
    from tensorflow.python.eager import context

    value = context.global_seed()
    return None if value is None else int(value)


def _torch_seed() -> int | Unavailable:
    if "torch" not in sys.modules:
        return Unavailable(unavailable="torch is not loaded")
    import torch

    return int(torch.initial_seed())


def random_states() -> dict[str, Sha256 | Unavailable | None]:
    """By generator: the digest that `DeterminismPart.random_states` defines; None where it is not made yet."""
    states: dict[str, Any] = {"python": random.getstate, "numpy": _numpy_state, "keras": _keras_state}
    if "tensorflow" in sys.modules:
        states |= {"tensorflow_operations": _tensorflow_operations, "tensorflow": _tensorflow_generator}
    if "torch" in sys.modules:
        states |= {"torch": _torch_state, "torch_cuda": _torch_cuda_states}
    return {name: known(partial(_digest_of, read)) for name, read in states.items()}


def _digest_of(read: Callable[[], Any]) -> str | None:
    state = read()
    return None if state is None else sha256_of(canonical_json(jsonable(state)))


def _numpy_state() -> list[Any]:
    algorithm, key, position, has_gauss, cached = np.random.get_state()
    return [algorithm, [int(word) for word in key], position, has_gauss, cached]


def _keras_state() -> Any:
    from keras.src.backend.common import global_state
    from keras.src.random import seed_generator

    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    return None if generator is None else to_array(generator.state).tolist()


def _tensorflow_operations() -> Any:
    from tensorflow.python.eager import context

    numbers = getattr(context.context(), "_rng", None)
    return None if numbers is None else numbers.getstate()


def _tensorflow_generator() -> Any:
    from tensorflow.python.ops import stateful_random_ops

    generator = stateful_random_ops.global_generator
    return None if generator is None else generator.state.numpy().tolist()


def _torch_state() -> Any:
    import torch

    return torch.get_rng_state().numpy().tobytes().hex()


def _torch_cuda_states() -> Any:
    import torch

    if not torch.cuda.is_initialized():
        return None
    return [state.numpy().tobytes().hex() for state in torch.cuda.get_rng_state_all()]
