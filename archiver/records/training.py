"""How a model was trained: configuration, optimizer, preprocessing, history, checkpoint."""

from typing import ClassVar, Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable, UtcTime
from archiver.records.determinism import DeterminismPart, SeedPart
from archiver.records.journal import ExceptionPart, RunStatus, StopReason
from archiver.records.model import VariablePart
from archiver.records.performance import Direction, EarlyStop

CaptureMethod = Literal["archiver.fit", "frames", "callback"]
"""How the arguments of `fit` became known: handed over, seen in the frames of the call, or as a callback is told."""


class CallbackPart(Part):
    """One of the other callbacks."""

    class_name: str
    position: Count | None
    """In Keras' list, where archiver's callback counts, too; null: it is not in it."""
    arguments: Json
    """The arguments of its constructor, as far as it keeps them under their names. Functions by qualified name, other
    objects by class; long values cut."""
    attributes: Json
    """Its other public attributes that are plain values or functions."""


class ValidationPart(Part):
    """How the model was validated while it trained."""

    source: Literal["none", "validation_data", "validation_split"]
    split: Real | None = None
    batch_size: Count | Unavailable | None = None
    """As resolved; null: no validation."""
    steps: Count | Unavailable | None = None
    """Of one validation, as resolved; null: no validation."""
    frequency: Json = 1
    """Every how many epochs, or in which epochs."""


class LossPart(Part):
    """The loss of one output, as Keras resolved it."""

    output: str
    class_name: str
    config: Json
    weight: Real | Unavailable | None
    """In the sum that is minimised; null: 1."""


class MetricPart(Part):
    """A metric, as Keras resolved it."""

    name: str
    class_name: str
    config: Json
    output: str | None
    """null: the only one."""
    weighted: bool
    """Whether sample and class weights count."""


class JitPart(Part):
    """Whether the training step is compiled by XLA (on torch: by `torch.compile`)."""

    resolved: bool | Unavailable
    given: Json
    """As given to `compile`: Keras keeps only what it made of it."""
    reason: str | None
    """Why it is off; null where it is on, or where it was asked to be off."""


class DtypePoliciesPart(Part):
    """In which precision the model computes and keeps its weights."""

    model: str | Unavailable
    keras_global: str | Unavailable
    mixed_precision: bool | Unavailable
    """Whether the model computes in one type and keeps its weights in another."""


class DistributionPart(Part):
    """Training on several devices at once."""

    class_name: str
    replicas: Count | Unavailable
    """Copies of the model that are kept in step."""
    details: Json


class PhaseConfig(Part):
    """The configuration of one call of `fit`."""

    phase: Count
    capture: CaptureMethod
    capture_note: str | None = None
    """Why less is known than usual."""
    fit_arguments: Json
    """As given: plain values as they are, data by shape and dtype."""
    resolved_arguments: Json
    """Every argument of Keras' `fit`, defaults included, as it is inside: after a validation split."""
    batch_size: Count | Unavailable
    """As resolved: of a data set, what it says of itself."""
    epochs: Count | Unavailable
    initial_epoch: Count | Unavailable
    steps_per_epoch: Count | Unavailable
    """Steps in an epoch, as far as Keras knows it when training begins."""
    shuffle: Json = None
    class_weight: Json = None
    sample_weight_given: bool | Unavailable
    validation: ValidationPart | Unavailable
    loss: Json
    """As given to `compile`: names as text, objects by class and config, functions by qualified name."""
    losses: tuple[LossPart, ...] | Unavailable
    """As resolved: known once the first epoch has ended."""
    loss_weights: Json = None
    metrics: Json
    """As given to `compile`."""
    weighted_metrics: Json = None
    resolved_metrics: tuple[MetricPart, ...] | Unavailable
    """As resolved: known once the first epoch has ended."""
    jit_compile: JitPart
    run_eagerly: bool | None = None
    steps_per_execution: int | None = None
    auto_scale_loss: bool | Unavailable
    dtype_policies: DtypePoliciesPart
    distribution: DistributionPart | Unavailable | None
    """null: one device."""
    callbacks: tuple[CallbackPart, ...]
    """In the order of Keras' list."""
    seed: SeedPart | Unavailable
    determinism: DeterminismPart | Unavailable
    hyperparameters: Json = None


class TrainConfig(Record):
    """`configs/<name>_train_config.json`: one entry per call of `fit`."""

    KIND: ClassVar[str] = "train_config"
    kind: Literal["train_config"] = "train_config"
    phases: tuple[PhaseConfig, ...]


class SchedulePart(Part):
    """A learning rate that depends on the step."""

    class_name: str
    """Of the schedule; of a function, its qualified name."""
    config: Json


class ClippingPart(Part):
    """How gradients are limited; null: not."""

    clipnorm: Real | None
    """Largest Euclidean norm of each variable's gradient."""
    clipvalue: Real | None
    """Largest absolute value of each element."""
    global_clipnorm: Real | None
    """Largest Euclidean norm of all gradients together."""


class MovingAveragePart(Part):
    """The exponential moving average of the weights."""

    momentum: Real
    overwrite_frequency: Count | None
    """Every how many steps the weights are set to their average; null: at the end of `fit` only."""


class LossScalingPart(Part):
    """The loss is multiplied before gradients are taken, so that small ones survive half precision."""

    class_name: str
    initial_scale: Real | Unavailable
    current_scale: Real | Unavailable
    """When training began."""
    growth_steps: Count | Unavailable
    """Steps with finite gradients after which the scale is doubled."""


class OptimizerVariablesPart(Part):
    """What the optimizer keeps, beside the weights."""

    count: Count
    bytes: Count


class PhaseOptimizer(Part):
    """The optimizer of one call of `fit`, as it was when training began."""

    phase: Count
    class_name: str | None
    """None for a model without one: a training loop of the user's own."""
    name: str | None = None
    config: Json
    learning_rate: Real | Unavailable
    """The rate at the first step."""
    schedule: SchedulePart | Unavailable | None
    """null: the rate is a number, which callbacks may change; the history has that of each epoch."""
    iterations: Count | Unavailable
    """Steps the optimizer had made before."""
    weight_decay: Real | Unavailable | None
    gradient_clipping: ClippingPart | Unavailable
    moving_average: MovingAveragePart | Unavailable | None
    gradient_accumulation_steps: Count | Unavailable | None
    """Steps whose gradients are averaged before the weights change; null: each step changes them."""
    loss_scale_factor: Real | Unavailable | None
    """A fixed one; null: none."""
    loss_scaling: LossScalingPart | Unavailable | None
    """A wrapper that adapts the scale; the fields above are those of the optimizer inside. null: none."""
    variables: OptimizerVariablesPart | Unavailable
    """When training began, or, where Keras made them in the first step, after the first epoch."""


class OptimizerConfig(Record):
    """`configs/<name>_optimizer_config.json`."""

    KIND: ClassVar[str] = "optimizer_config"
    kind: Literal["optimizer_config"] = "optimizer_config"
    phases: tuple[PhaseOptimizer, ...]


class PreprocessingLayer(Part):
    """A preprocessing or augmentation layer found in the model."""

    name: str
    path: str
    """Names from the model's own layer down to this one, joined by `/`."""
    class_name: str
    kind: Literal["preprocessing", "augmentation"]
    """Augmentation draws random numbers in training."""
    config: Json
    """Long lists are cut: their length, their first items and the SHA-256 of their canonical JSON."""
    learned: Json = None
    """What `adapt` found in the data: mean and variance, a vocabulary, boundaries; cut likewise. null: nothing."""


class Preprocessing(Record):
    """`configs/<name>_preprocessing.json`."""

    KIND: ClassVar[str] = "preprocessing"
    kind: Literal["preprocessing"] = "preprocessing"
    description: Json
    """What the user said with `preprocessing=`."""
    layers: tuple[PreprocessingLayer, ...]
    """In the order of the data's way through the model. Layers mapped over a data set cannot be seen here."""
    data_sets: dict[str, Json] = Field(default_factory=dict)
    """By split, what data sets of `archiver.data.window_batches` say of themselves: their sources, how they were
    chosen, shuffled and augmented, batch size and seed."""


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
    random_state: Json
    """That of all generators; encoded, as `callbacks` is, as `archiver.storage.plain_state` says."""
    callbacks: Json
    """What the other callbacks keep, in their order."""
    data_state: Json = None
    """What the data keep from one call of `fit` to the next, by argument; null: that is not to be seen."""
    not_kept: tuple[str, ...] = ()
    """What belongs to the state and could not be had, with its reason."""


class SnapshotState(CheckpointState):
    """`models/<name>_checkpoint/snapshot-<number>/state.json`: what a training that is cut off goes on from.

    Beside it stand `variables.npz`, with the arrays, and `manifest-sha256.txt`, written last, with the digests of both.
    Values of callbacks and generators are encoded as `archiver.storage.plain_state` says.
    """

    KIND: ClassVar[str] = "snapshot"
    kind: Literal["snapshot"] = "snapshot"  # type: ignore[assignment]
    number: Count
    epoch: Count
    """The epoch that training goes on in, counted as Keras does."""
    step: Count | None
    """How many steps of it are done; None: it has not begun."""
    stop_training: bool
    """Whether `fit` was told to stop."""
    has_validated: bool
    """Whether this call of `fit` has made its validation data ready."""
    begin_random_state: Json
    """That of the generators when `fit` began."""
    epoch_random_state: Json
    """That of the generators when the epoch began; None before its beginning."""
    data_state: Json
    """What the data keep from epoch to epoch, by argument of `fit`, when the epoch begins; None: that is not to be
    seen, and the batches of the epochs before are drawn again."""
    exact: bool
    """Whether training goes on from here as if it had not been cut off, bit for bit."""
    inexact_reasons: tuple[str, ...]
