"""How much memory a training will take, told before it begins.

    weights         all variables of the model, in their own dtype
    gradients       trainable variables, in their own dtype
    slots           what the optimizer makes for them (`archiver.training.optimizer_slots`)
    activations     batch size x what the layers keep for the backward pass (`archiver.training.activations`)
    workspace       batch size x the gradients of the largest call
    batch           3 x batch size x a sample: the one that is used, and two that the backend prepares
    casts           where layers compute in another dtype than they keep: the trainable weights once more in that dtype
    data, copies    arrays as given, and what `fit` makes of them (`archiver.training.memory_data`)
    framework       what the backend takes to trace and compile the step: a constant, and some for each call of a layer

The total is the sum, above what the process has with Keras imported. It is compared with the memory that the machine or
its container has left, and, without data, copies and framework, with the memory of each GPU.
Not modelled: what layers of the user's own keep inside, fusion by a compiler, the scratch of a convolution's
algorithm, fragmentation, several replicas, what callbacks hold, validation data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from archiver.errors import ArgumentError
from archiver.sampling.gpus import GpuSampler
from archiver.sampling.memory_sources import ContainerMemory, SystemMemoryReader
from archiver.storage.dtypes import dtype_bytes
from archiver.training.activations import activations_per_sample
from archiver.training.flops import calls, functional_graph
from archiver.training.memory_data import data_size
from archiver.training.optimizer_slots import optimizer_slots_bytes
from archiver.training.optimizers import variable_bytes

PREPARED_BATCHES = 3
FRAMEWORK_BYTES = 60 * 2**20
FRAMEWORK_BYTES_PER_CALL = 2**20
_MEBI = 2**20


@dataclass(frozen=True)
class MemoryChoice:
    """One line of the table."""

    precision: str
    batch_size: int
    total_bytes: int
    gpu_bytes: int
    fits_ram: bool
    fits_gpu: bool | None
    """None: there is no GPU whose memory is known."""


@dataclass(frozen=True)
class MemoryEstimate:
    """Parts and total of a training's memory; `str` is a table of choices. None: not known, `notes` say why."""

    batch_size: int
    precision: str
    weights_bytes: int
    gradients_bytes: int
    optimizer_slots_bytes: int
    activations_bytes: int
    activations_by_layer_bytes: dict[str, int]
    workspace_bytes: int
    batch_bytes: int
    casts_bytes: int
    data_bytes: int | None
    copies_bytes: int | None
    framework_bytes: int
    total_bytes: int
    ram_available_bytes: int
    """Left on the machine, or in its container where that is less."""
    gpu_total_bytes: tuple[int | None, ...]
    largest_batch_size: int | None
    """That fits the RAM at the model's own precision; None: not even one sample does."""
    choices: tuple[MemoryChoice, ...]
    notes: tuple[str, ...]

    def parts(self) -> dict[str, int | None]:
        """The summands of the total, by name."""
        return {f"{name}_bytes": getattr(self, f"{name}_bytes") for name in _PARTS}

    def __str__(self) -> str:
        lines = [f"Memory of training with batches of {self.batch_size}, {self.precision}:"]
        lines += [f"  {name:<18}{_mebi(getattr(self, f'{name}_bytes')):>14}" for name in (*_PARTS, "total")]
        lines += [f"  {'RAM available':<18}{_mebi(self.ram_available_bytes):>14}"]
        lines += [f"  GPU {index:<14}{_mebi(size):>14}" for index, size in enumerate(self.gpu_total_bytes)]
        lines += ["", f"  {'precision':<18}{'batch':>8}{'total':>14}{'on a GPU':>14}  fits RAM  fits GPU"]
        lines += [_line(choice) for choice in self.choices]
        largest = "none: not even one sample fits" if self.largest_batch_size is None else self.largest_batch_size
        lines += ["", f"  largest batch that fits the RAM: {largest}", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)


_PARTS = (
    "weights", "gradients", "optimizer_slots", "activations", "workspace", "batch", "casts", "data", "copies",
    "framework",
)  # fmt: skip


def _mebi(size: int | None) -> str:
    return "not known" if size is None else f"{size / _MEBI:,.1f} MiB"


def _line(choice: MemoryChoice) -> str:
    gpu = {None: "no GPU", True: "yes", False: "no"}[choice.fits_gpu]
    return (
        f"  {choice.precision:<18}{choice.batch_size:>8}{_mebi(choice.total_bytes):>14}"
        f"{_mebi(choice.gpu_bytes):>14}  {'yes' if choice.fits_ram else 'no':<8}  {gpu}"
    )


@dataclass(frozen=True)
class _Plan:
    """A total as a line: so much whatever the batch, so much for each sample."""

    precision: str
    fixed_bytes: int
    casts_bytes: int
    host_only_bytes: int
    per_sample_bytes: int

    def device_bytes(self, batch_size: int) -> int:
        return self.fixed_bytes + self.casts_bytes + batch_size * self.per_sample_bytes

    def total_bytes(self, batch_size: int) -> int:
        return self.device_bytes(batch_size) + self.host_only_bytes

    def largest(self, limit_bytes: int) -> int | None:
        room = limit_bytes - self.total_bytes(0)
        return room // self.per_sample_bytes or None if room >= 0 else None


def estimate_memory(model: Any, batch_size: int, *, optimizer: Any = None, data: Any = None) -> MemoryEstimate:
    """Estimate the memory of `fit` before it begins. The model is neither run nor changed, data is not read.

    Args:
        model: a functional or Sequential model that is built; it need not be compiled.
        batch_size: samples per step, at least 1.
        optimizer: a name, an instance, or None: the one that the model was compiled with.
        data: what `fit` will be given: arrays, `(x, y)`, a tf.data.Dataset, a PyDataset, or None.

    Raises:
        ArgumentError: a batch size that is no positive whole number, a model that is not built or whose graph Keras
            does not know, an unknown optimizer.
    """
    _check(model, batch_size)
    own = activations_per_sample(model)
    size = data_size(model, data)
    gradients = sum(variable_bytes(each) for each in model.trainable_variables)
    weights = sum(variable_bytes(each) for each in model.variables)
    slots = optimizer_slots_bytes(model, optimizer)
    framework = FRAMEWORK_BYTES + FRAMEWORK_BYTES_PER_CALL * _calls(model)
    host_only = framework + (size.data_bytes or 0) + (size.copies_bytes or 0)
    fixed = weights + gradients + slots
    prepared = PREPARED_BATCHES * size.sample_bytes

    def plan(precision: str, float_bytes: int | None, casts_bytes: int) -> _Plan:
        kept = own if float_bytes is None else activations_per_sample(model, float_bytes)
        return _Plan(precision, fixed, casts_bytes, host_only, kept.total_bytes + kept.workspace_bytes + prepared)

    precision = str(getattr(model.dtype_policy, "name", model.compute_dtype))
    casts = _casts_bytes(model)
    plans = [plan(precision, None, casts)]
    plans += [plan(name, width, gradients * cast // 4) for name, width, cast in _OTHERS if name != precision]
    ram = _ram_available_bytes()
    gpus, gpu_note = _gpus()
    notes = [note for note in (size.note, gpu_note) if note]
    notes += [f"layer {name}: of the user's own; what it keeps inside is not counted" for name in own.not_modelled]
    return MemoryEstimate(
        batch_size=batch_size,
        precision=precision,
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_slots_bytes=slots,
        activations_bytes=batch_size * own.total_bytes,
        activations_by_layer_bytes={name: batch_size * kept for name, kept in own.by_layer_bytes.items()},
        workspace_bytes=batch_size * own.workspace_bytes,
        batch_bytes=batch_size * prepared,
        casts_bytes=casts,
        data_bytes=size.data_bytes,
        copies_bytes=size.copies_bytes,
        framework_bytes=framework,
        total_bytes=plans[0].total_bytes(batch_size),
        ram_available_bytes=ram,
        gpu_total_bytes=gpus,
        largest_batch_size=plans[0].largest(ram),
        choices=_choices(plans, batch_size, ram, gpus),
        notes=tuple(notes),
    )


_OTHERS = (("float32", 4, 0), ("mixed_float16", 2, 2))
"""Precision, bytes of what is computed, bytes of the cast of a float32 weight."""


def _check(model: Any, batch_size: Any) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError(f"Received batch_size={batch_size!r}. Expected a whole number of samples, at least 1.")
    if not isinstance(model, keras.Model):
        raise ArgumentError(f"Received a model of class {type(model).__name__}. Expected a keras.Model.")
    if not model.built:
        raise ArgumentError(
            f"Received model {model.name!r}, which is not built. Expected one whose weights have shapes: begin it with "
            "keras.Input, or call model.build(input_shape)."
        )


def _casts_bytes(model: Any) -> int:
    layers = [each for each in model._flatten_layers(include_self=False) if not each._layers]  # noqa: SLF001
    return sum(
        variable_bytes(each) * dtype_bytes(layer.compute_dtype) // dtype_bytes(layer.variable_dtype)
        for layer in layers
        if layer.compute_dtype != layer.variable_dtype
        for each in layer.trainable_variables
    )


def _calls(graph: Any) -> int:
    inner = functional_graph(graph)
    return 1 if inner is None else sum(_calls(operation) for operation, _, _ in calls(inner))


def _ram_available_bytes() -> int:
    reader, container = SystemMemoryReader(), ContainerMemory()
    try:
        available = reader.read().available_bytes
        used = container.working_set_bytes()
        if container.limit_bytes is None or used is None:
            return available
        return max(0, min(available, container.limit_bytes - used))
    finally:
        reader.close()
        container.close()


def _gpus() -> tuple[tuple[int | None, ...], str | None]:
    sampler = GpuSampler()
    try:
        if sampler.indices:
            return sampler.total_bytes, None
        return (), f"GPU: none to compare with: {sampler.unavailable.get('gpu_...', 'the driver knows no GPU')}"
    finally:
        sampler.close()


def _choices(
    plans: list[_Plan], batch_size: int, ram_bytes: int, gpus_bytes: tuple[int | None, ...]
) -> tuple[MemoryChoice, ...]:
    gpu_bytes = max((size for size in gpus_bytes if size is not None), default=None)
    sizes = sorted({max(1, batch_size // 4), max(1, batch_size // 2), batch_size, batch_size * 2, batch_size * 4})
    return tuple(
        MemoryChoice(
            plan.precision,
            size,
            plan.total_bytes(size),
            plan.device_bytes(size),
            plan.total_bytes(size) <= ram_bytes,
            None if gpu_bytes is None else plan.device_bytes(size) <= gpu_bytes,
        )
        for plan in plans
        for size in sizes
    )
