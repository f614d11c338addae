"""Which of several processes is this, that train one model together; and a word from the chief to the others.

The chief is the process that writes the archive: the first one, as each backend numbers them. All three backends have a
store of keys and values behind their rendezvous; through it the chief names its archive, and no collective operation is
added to the training.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import keras

from archiver.errors import RunStateError

PREFIX = "archiver/"
FAILS_UP_TO = (3, 15)
"""The last version of Keras that was seen to."""
FIT_FAILS = (
    "Keras' fit cannot train under MultiWorkerMirroredStrategy (keras#20585): it fails before the first step. Write a "
    "loop of your own and give the archive to a keras.callbacks.CallbackList (docs/workers.md), or train on JAX."
)


@dataclass(frozen=True)
class Place:
    """Where this process stands."""

    backend: str
    index: int
    count: int
    strategy: str | None
    devices: tuple[str, ...]
    """Of this process."""

    @property
    def is_chief(self) -> bool:
        """Whether it writes the archive."""
        return self.index == 0

    def describe(self) -> str:
        """For messages."""
        return f"process {self.index} of {self.count} ({self.backend})"

    def put(self, key: str, value: dict[str, Any]) -> None:
        """Leave a word for the others.

        Raises:
            Exception: as the backend has it.
        """
        _STORES[self.backend][0](PREFIX + key, json.dumps(value))

    def get(self, key: str, patience_seconds: float) -> dict[str, Any]:
        """Wait for a word of the chief.

        Raises:
            Exception: there is none in time, or as the backend has it.
        """
        found: dict[str, Any] = json.loads(_STORES[self.backend][1](PREFIX + key, patience_seconds))
        return found


def find_place(model: Any) -> Place | None:
    """The place of this process, as the running backend tells it; None: it trains alone. Never raises."""
    try:
        place = _FINDERS[keras.backend.backend()](model)
    except Exception:  # noqa: BLE001 - a backend without such a thing, or of another version
        return None
    return place if place is not None and place.count > 1 else None


def require_fit_works(model: Any) -> None:
    """Refuse a call of `fit` that Keras cannot bring to an end.

    Raises:
        RunStateError: it is one.
    """
    strategy = getattr(model, "_distribute_strategy", None)
    is_known_to_fail = tuple(map(int, keras.version().split(".")[:2])) <= FAILS_UP_TO
    if is_known_to_fail and strategy is not None and _is_multi_worker(strategy):
        raise RunStateError(FIT_FAILS)


@contextlib.contextmanager
def alone(place: Place | None) -> Iterator[None]:
    """For the body, this process computes for itself: on JAX, Keras would spread what the chief makes over the devices
    of all processes, and the others know nothing of it."""
    if place is None or place.backend != "jax":
        yield
        return
    hidden = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    _hidden.append(hidden)
    try:
        yield
    finally:
        _hidden.pop()
        keras.distribution.set_distribution(hidden)


_hidden: list[Any] = []


def distribution_in_force() -> Any:
    """Keras' distribution, also where `alone` hides it."""
    everywhere = getattr(keras, "distribution", None)
    chosen = everywhere.distribution() if everywhere is not None else None
    return _hidden[-1] if chosen is None and _hidden else chosen


# -- JAX


def _on_jax(model: Any) -> Place | None:  # noqa: ARG001 - as the others
    import jax

    if jax.process_count() == 1:
        return None
    chosen = distribution_in_force()
    return Place(
        "jax",
        jax.process_index(),
        jax.process_count(),
        None if chosen is None else type(chosen).__name__,
        tuple(map(str, jax.local_devices())),
    )


def _jax_client() -> Any:
    from jax._src.distributed import global_state  # JAX has no public way to it

    return global_state.client


def _put_on_jax(key: str, value: str) -> None:
    _jax_client().key_value_set(key, value)


def _get_on_jax(key: str, patience_seconds: float) -> str:
    return str(_jax_client().blocking_key_value_get(key, int(1000 * patience_seconds)))


# -- torch


def _on_torch(model: Any) -> Place | None:  # noqa: ARG001 - as the others
    import torch

    group = torch.distributed
    if not group.is_available() or not group.is_initialized():
        return None
    device = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
    strategy = f"torch.distributed ({group.get_backend()})"
    return Place("torch", group.get_rank(), group.get_world_size(), strategy, (device,))


def _torch_store() -> Any:
    from torch.distributed.distributed_c10d import _get_default_store  # torch has no public way to it

    return _get_default_store()


def _put_on_torch(key: str, value: str) -> None:
    _torch_store().set(key, value)


def _get_on_torch(key: str, patience_seconds: float) -> str:
    store = _torch_store()
    store.wait([key], timedelta(seconds=patience_seconds))
    return str(store.get(key).decode())


# -- TensorFlow


def _on_tensorflow(model: Any) -> Place | None:
    import tensorflow as tf

    strategy = getattr(model, "_distribute_strategy", None)
    if strategy is None:
        strategy = tf.distribute.get_strategy()
    if not _is_multi_worker(strategy) or strategy.cluster_resolver.task_type not in ("chief", "worker"):
        return None
    resolver = strategy.cluster_resolver
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", ()))
    workers = len(resolver.cluster_spec().as_dict().get("worker", ()))
    index = resolver.task_id if resolver.task_type == "chief" else chiefs + resolver.task_id
    devices = tuple(strategy.extended.worker_devices)
    return Place("tensorflow", index, chiefs + workers, type(strategy).__name__, devices)


def _is_multi_worker(strategy: Any) -> bool:
    return type(strategy).__name__ in ("CollectiveAllReduceStrategy", "MultiWorkerMirroredStrategy") and bool(
        getattr(strategy.extended, "_in_multi_worker_mode", lambda: False)()
    )


def _tensorflow_context() -> Any:
    from tensorflow.python.eager import context  # TensorFlow has no public way to it

    return context.context()


def _put_on_tensorflow(key: str, value: str) -> None:
    _tensorflow_context().set_config_key_value(key, value)


def _get_on_tensorflow(key: str, patience_seconds: float) -> str:
    return str(_tensorflow_context().get_config_key_value(key, int(1000 * patience_seconds)))


_FINDERS: dict[str, Callable[[Any], Place | None]] = {
    "jax": _on_jax,
    "torch": _on_torch,
    "tensorflow": _on_tensorflow,
}
_STORES: dict[str, tuple[Callable[[str, str], None], Callable[[str, float], str]]] = {
    "jax": (_put_on_jax, _get_on_jax),
    "torch": (_put_on_torch, _get_on_torch),
    "tensorflow": (_put_on_tensorflow, _get_on_tensorflow),
}
