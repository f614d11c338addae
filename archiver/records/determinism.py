"""What decides the bits of a training: seeds, random states, threads, numerical settings."""

from typing import Literal

from archiver.records.base import Count, Json, Part, Real, Sha256, Unavailable


class SeedPart(Part):
    """What `archiver.seed` did."""

    seed: int
    deterministic_ops: bool
    generators: tuple[str, ...]
    """The random number generators that were seeded."""


class SeedsPart(Part):
    """The seeds in force, whoever set them. null: none was set."""

    keras: int | Unavailable | None
    """Of `keras.utils.set_random_seed`, which `archiver.seed` calls."""
    tensorflow: int | Unavailable | None
    """Of `tf.random.set_seed`."""
    torch: int | Unavailable
    """`torch.initial_seed()`: random where none was set."""
    python_hash: Count | Literal["random"]
    """`PYTHONHASHSEED`: with `random`, each process orders sets of text anew."""


class SeedGeneratorPart(Part):
    """A `keras.random.SeedGenerator` in the model, as it was when training began."""

    owner: str
    """Keras' path of the innermost layer that holds it; it may differ between processes."""
    owner_class: str
    attribute: str
    """Under which the layer holds it."""
    seed: int | None
    """As configured; null: drawn from Python's generator when the layer was made."""
    state: tuple[Count, ...] | Unavailable
    """The seed in use and the number of draws made."""


class ThreadsPart(Part):
    """Threads of the backend. Sums split over another number of threads may differ in their last bits."""

    inter_op: Count | Unavailable
    """For operations side by side, as set; 0: the backend chooses."""
    intra_op: Count | Unavailable
    """For the parts of one operation, as set; 0: the backend chooses."""
    inter_op_resolved: Count | Unavailable
    """What 0 comes to here."""
    intra_op_resolved: Count | Unavailable
    usable_cores: Count
    """Logical cores this process may run on: what the backend chooses by."""


class OnednnPart(Part):
    """oneDNN, Intel's library of CPU kernels: with it, sums are made in another order."""

    enabled: bool | Unavailable
    """As resolved by the build of the backend, the processor and the environment."""
    variable: str | None
    """`TF_ENABLE_ONEDNN_OPTS` as set; null: not set."""


class XlaPart(Part):
    """XLA, the compiler. Whether the model itself is compiled by it stands in `jit_compile` of the train config."""

    built_with: bool | Unavailable
    auto_clustering: str | Unavailable
    """`tf.config.optimizer.get_jit()`: empty where it is off."""
    flags: str | None
    """`XLA_FLAGS` as set; null: not set."""


class DeterminismPart(Part):
    """All that decides bits, when training began; each call of `fit` has its own."""

    sources_of_variation: tuple[str, ...]
    """What is left that can make a repetition differ, and what to do about it; as far as it can be seen."""
    seeds: SeedsPart
    random_states: dict[str, Sha256 | Unavailable | None]
    """By generator: SHA-256 of the canonical JSON of its state. `python`: `random.getstate()`; `numpy`: the list of
    `numpy.random.get_state()`; `keras`: the state of the global seed generator; `tensorflow_operations`: the state of
    the generator that numbers operations; `tensorflow`: that of the global `tf.random.Generator`; `torch`, and
    `torch_cuda` (a list): the bytes in hexadecimal. null: not made yet, so its first state is decided by the seed."""
    seed_generators: tuple[SeedGeneratorPart, ...]
    """Of the model's layers, in the order of its layers; the first ones."""
    seed_generator_count: Count
    op_determinism: bool | Unavailable
    threads: ThreadsPart
    onednn: OnednnPart | Unavailable
    xla: XlaPart | Unavailable
    tensor_float_32: bool | Unavailable
    """Whether GPUs may round the inputs of float32 products to 10 bits of mantissa."""
    matmul_precision: str | Unavailable
    """Of float32 products, as the backend names it."""
    dtype_policy: str | Unavailable
    """Keras' global one."""
    floatx: str
    epsilon: Real
    denormals: Literal["kept", "flushed to zero"]
    """Numbers nearer to zero than the smallest normal one, in the main thread: tried out. Threads of the backend may
    do otherwise."""
    instruction_sets: dict[str, Json]
    """By library: the extensions of the processor that it was built to use, or uses."""
    backend_flags: dict[str, Json]
    """Further settings of the backend that decide bits, by name (torch: those of cuDNN)."""
    devices: dict[str, Count] | Unavailable
    """Visible devices by type."""
    environment: dict[str, str | None]
    """The environment variables that decide bits; null: not set."""
