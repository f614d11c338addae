"""What is left that can make a repetition of a training differ, in sentences that say what to do."""

from __future__ import annotations

import keras

from archiver.records.base import Unavailable
from archiver.records.determinism import DeterminismPart
from archiver.training.capture import FitCall
from archiver.training.datasets import data_kind
from archiver.training.tf_data import order_of_tf_data


def sources_of_variation(part: DeterminismPart, call: FitCall) -> tuple[str, ...]:
    """One sentence per source that can be seen; what it cannot see (random numbers of the user's own) it does not
    name."""
    x = call.resolved.get("x", call.given.get("x"))
    found = [*_of_seeds(part), *_of_devices(part), *_of_data(x, part)]
    if part.seeds.python_hash == "random":
        found.append(
            "PYTHONHASHSEED is not set: sets of text have another order in each process. This matters where such an "
            "order reaches the data or the model. Start Python with PYTHONHASHSEED=0."
        )
    return tuple(found)


def _of_seeds(part: DeterminismPart) -> list[str]:
    seeds = part.seeds
    if isinstance(seeds.keras, int):
        return []
    if keras.backend.backend() == "tensorflow" and isinstance(seeds.tensorflow, int):
        return [
            "Only TensorFlow was seeded: Keras draws initial weights and the seeds of dropout and augmentation from "
            "Python's generator. Call archiver.seed(...) before the model is made."
        ]
    return [
        "Nothing was seeded: initial weights, the order of the samples, dropout and augmentation differ each time. "
        "Call archiver.seed(...) before the model is made."
    ]


def _of_devices(part: DeterminismPart) -> list[str]:
    devices = {} if isinstance(part.devices, Unavailable) else part.devices
    accelerators = sum(count for name, count in devices.items() if name != "CPU")
    found = []
    if part.op_determinism is False and accelerators:
        found.append(_GPU[keras.backend.backend()])
    elif part.op_determinism is False and keras.backend.backend() == "tensorflow" and _threads(part) > 1:
        found.append(
            f"Operations are not made deterministic and run on {_threads(part)} threads: on CPUs a few of them "
            "(sums into segments, scattered updates) may add in another order each time. Call archiver.seed(..., "
            "deterministic_ops=True)."
        )
    elif keras.backend.backend() == "jax" and accelerators:
        found.append(_GPU["jax"])
    if part.backend_flags.get("backends.cudnn.benchmark") is True:
        found.append(
            "cuDNN chooses its algorithms by timing them. Set torch.backends.cudnn.benchmark = False."
        )
    if accelerators > 1:
        found.append("Several devices add their gradients in an order that depends on how the devices are linked.")
    if part.threads.intra_op == 0 or keras.backend.backend() != "tensorflow":
        found.append(
            f"The number of threads follows the usable cores, here {part.threads.usable_cores}: on a machine with "
            "another number of cores, or another processor, sums may differ in their last bits."
        )
    return found


_GPU = {
    "tensorflow": "Operations are not made deterministic: on GPUs many add in another order each time. Call "
    "archiver.seed(..., deterministic_ops=True).",
    "torch": "Operations are not made deterministic: on GPUs some add in another order each time. Call "
    "torch.use_deterministic_algorithms(True) and set CUBLAS_WORKSPACE_CONFIG=:4096:8 before the start.",
    "jax": "On accelerators XLA may choose kernels that add in another order each time. Set "
    "XLA_FLAGS=--xla_gpu_deterministic_ops=true before the start.",
}


def _threads(part: DeterminismPart) -> int:
    threads = part.threads.intra_op_resolved
    return threads if isinstance(threads, int) else 1


def _of_data(x: object, part: DeterminismPart) -> list[str]:
    kind = data_kind(x)
    if kind == "tf_data":
        return order_of_tf_data(x, is_deterministic=part.op_determinism is True)
    workers = getattr(x, "workers", 1)
    if kind == "pydataset" and isinstance(workers, int) and workers > 1:
        return [
            f"The data set is read by {workers} workers: if it draws random numbers, who draws which is left to chance. "
            "Draw from a generator seeded by the index of the batch, or set workers=1."
        ]
    if kind in ("generator", "other") and x is not None:
        return ["The data come from an object that cannot be looked into: their order is as it makes it."]
    return []
