"""How a model was trained: configuration, optimizer, preprocessing, history, checkpoint."""

from __future__ import annotations

from typing import ClassVar, Literal

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable, UtcTime
from archiver.records.journal import ExceptionPart, RunStatus, StopReason
from archiver.records.model import VariablePart
from archiver.records.performance import Direction, EarlyStop

CaptureMethod = Literal["archiver.fit", "frames", "callback"]
"""How the arguments of `fit` became known: handed over, seen in the frames of the call, or as a callback is told."""


class SeedPart(Part):
    """What `archiver.seed` did."""

    seed: int
    deterministic_ops: bool
    generators: tuple[str, ...]
    """The random number generators that were seeded."""


class CallbackPart(Part):
    """One of the other callbacks."""

    class_name: str
    config: Json
    """Its plain attributes."""


class ValidationPart(Part):
    """How the model was validated while it trained."""

    source: Literal["none", "validation_data", "validation_split"]
    split: Real | None = None
    batch_size: int | None = None
    steps: int | None = None
    frequency: Json = 1


class PhaseConfig(Part):
    """The configuration of one call of `fit`."""

    phase: Count
    capture: CaptureMethod
    capture_note: str | None = None
    """Why less is known than usual."""
    fit_arguments: Json
    """As given: plain values as they are, data by shape and dtype."""
    batch_size: int | None
    epochs: int | None
    initial_epoch: int | None
    steps_per_epoch: int | None
    """Steps in an epoch, as far as Keras knows it when training begins."""
    shuffle: Json = None
    class_weight: Json = None
    validation: ValidationPart | Unavailable
    loss: Json
    loss_weights: Json = None
    metrics: Json
    jit_compile: Json = None
    run_eagerly: bool | None = None
    steps_per_execution: int | None = None
    callbacks: tuple[CallbackPart, ...]
    seed: SeedPart | Unavailable
    hyperparameters: Json = None


class TrainConfig(Record):
    """`configs/<name>_train_config.json`: one entry per call of `fit`."""

    KIND: ClassVar[str] = "train_config"
    kind: Literal["train_config"] = "train_config"
    phases: tuple[PhaseConfig, ...]


class PhaseOptimizer(Part):
    """The optimizer of one call of `fit`, as it was when training began."""

    phase: Count
    class_name: str | None
    """None for a model without one: a training loop of the user's own."""
    config: Json
    learning_rate: Real | Unavailable
    """The rate at the first step."""
    iterations: Count | Unavailable
    """Steps the optimizer had made before."""


class OptimizerConfig(Record):
    """`configs/<name>_optimizer_config.json`."""

    KIND: ClassVar[str] = "optimizer_config"
    kind: Literal["optimizer_config"] = "optimizer_config"
    phases: tuple[PhaseOptimizer, ...]


class PreprocessingLayer(Part):
    """A preprocessing or augmentation layer found in the model."""

    name: str
    class_name: str
    config: Json


class Preprocessing(Record):
    """`configs/<name>_preprocessing.json`."""

    KIND: ClassVar[str] = "preprocessing"
    kind: Literal["preprocessing"] = "preprocessing"
    description: Json
    """What the user said with `preprocessing=`."""
    layers: tuple[PreprocessingLayer, ...]


class PhaseHistory(Part):
    """What one call of `fit` went through. The columns have one entry per epoch."""

    phase: Count
    status: RunStatus
    stop_reason: StopReason | None = None
    exception: ExceptionPart | None = None
    started: UtcTime
    ended: UtcTime | None = None
    early_stopping: EarlyStop | None = None
    """What an EarlyStopping callback did; null where there is none, or it did nothing."""
    epochs: tuple[Count, ...]
    """Epoch numbers as Keras counts them, from 0."""
    epoch_seconds: tuple[Real, ...]
    """Duration of each epoch, validation included."""
    train_seconds: tuple[Real | None, ...]
    """From the beginning of each epoch to the end of its last step; null where steps are not reported."""
    validation_seconds: tuple[Real | None, ...]
    """Null in epochs without validation."""
    step_counts: tuple[Count | None, ...]
    first_step_seconds: tuple[Real | None, ...]
    """From the beginning of each epoch to the end of its first step."""
    median_step_seconds: tuple[Real | None, ...]
    """The step as it usually is, from the second of the epoch on."""
    learning_rates: tuple[Real | None, ...]
    """The rate at the end of each epoch; null where the optimizer does not tell."""
    metrics: dict[str, tuple[Real | None, ...]]
    """By metric, validation metrics as `val_...`; null where an epoch has no value."""
    directions: dict[str, Direction]
    """By metric, whether less or more of it is better."""


class History(Record):
    """`results/<name>_history.json`."""

    KIND: ClassVar[str] = "history"
    kind: Literal["history"] = "history"
    phases: tuple[PhaseHistory, ...]


class RandomState(Part):
    """The state of the random number generators."""

    python: Json
    """`random.getstate()`."""
    numpy: Json
    """`numpy.random.get_state()`: the algorithm, its position and its cached normal value; the key is an array."""
    backend: Json


class CheckpointState(Record):
    """`models/<name>_checkpoint/state.json`: the plain values beside the arrays in `variables.npz`."""

    KIND: ClassVar[str] = "checkpoint"
    kind: Literal["checkpoint"] = "checkpoint"
    created: UtcTime
    phase: Count
    epochs_done: Count
    keras_version: str
    backend: str
    weights_digest: Sha256
    model: tuple[VariablePart, ...]
    optimizer: tuple[VariablePart, ...]
    metrics: tuple[VariablePart, ...]
    seed_generators: tuple[VariablePart, ...]
    random_state: RandomState
    not_kept: tuple[str, ...] = ()
    """What belongs to the state and could not be had, with its reason."""
