"""How long everything took."""

from archiver.records.base import Count, Part, Real, Unavailable, UtcTime


class Durations(Part):
    """Seconds by the clock that never jumps, and the speed that follows."""

    total_seconds: Real
    """From the beginning of the phase to its end, the models saved; of phases without an end, and of those that
    another process went on with, their epochs alone."""
    preparation_seconds: Real | Unavailable
    """Before the first callback: Keras takes the data over and, on some backends, builds the model."""
    collecting_seconds: Real | Unavailable
    """archiver itself, before the first epoch."""
    train_seconds: Real | Unavailable
    """Sum over the epochs: from an epoch's beginning to the end of its last step. Keras fetches the batches in the
    steps, so that waiting for data is in here."""
    validation_seconds: Real | Unavailable
    """Sum over the epochs, between Keras' hooks for the beginning and the end of an evaluation."""
    other_epoch_seconds: Real | Unavailable
    """What is left of the epochs: other callbacks, metrics, and the data of the first validation."""
    saving_seconds: Real | Unavailable
    """archiver, after the last epoch: the models in all formats and the checkpoint."""
    step_count: Count | Unavailable
    """Steps of the epochs that ended. With `steps_per_execution` and data of unknown length, the last execution of an
    epoch counts in full."""
    sample_count: Count | Unavailable
    """Samples in these steps."""
    steps_per_second: Real | Unavailable
    """step_count / train_seconds; the first step, in which the model is compiled, included."""
    samples_per_second: Real | Unavailable
    """sample_count / train_seconds."""


class PhaseTiming(Durations):
    """The time of one call of `fit`. The journal has the end of every operation in UTC, with its seconds."""

    phase: Count
    started: UtcTime
    """When archiver was called first."""
    training_began: UtcTime | Unavailable
    """When the first epoch was about to begin."""
    ended: UtcTime | Unavailable
    local_offset_seconds: int | Unavailable
    """How far local time was ahead of UTC."""
    first_step_seconds: Real | Unavailable
    """From the beginning of the first epoch to the end of its first step (its first `steps_per_execution` steps)."""
    median_step_seconds: Real | Unavailable
    """The step as it usually is: median over the epochs of the median over an epoch's steps from the second on. Of an
    epoch with more than 256 steps, over 256 stretches of as many steps each. On backends that dispatch asynchronously
    (JAX) a step ends when Keras says so."""
    compile_seconds: Real | Unavailable
    """first_step_seconds - median_step_seconds: mostly the tracing and compiling of the step."""
    median_epoch_seconds: Real | Unavailable


class Timing(Part):
    """How long the run took, in all and by phase.

    What sealing took stands in the metadata; of seals that were replaced, in the journal's `unsealed` events.
    """

    whole_run: Durations
    """Sums over the phases in which the duration is known; speeds are of these phases."""
    testing_seconds: Real | Unavailable
    """Sum over the evaluations of test data."""
    phases: tuple[PhaseTiming, ...]
