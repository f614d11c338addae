"""Keras and its backend: versions, builds, devices, settings."""

from archiver.records.base import Count, Json, Part, Real, Unavailable
from archiver.records.determinism import OnednnPart, ThreadsPart, XlaPart

Flag = bool | Unavailable


class KerasPart(Part):
    """Keras' own settings, as in force."""

    version: str
    backend: str
    dtype_policy: str | Unavailable
    """The global one; `mixed_float16` and `mixed_bfloat16` are mixed precision."""
    floatx: str | Unavailable
    epsilon: Real | Unavailable
    image_data_format: str | Unavailable
    nnx: Flag
    """Whether Keras' variables are those of Flax NNX (JAX)."""
    flash_attention: bool | Unavailable | None
    """null: left to the backend."""
    maximal_epochs: Count | Unavailable | None
    """`keras.config.set_max_epochs`: `fit` stops there; null: no limit."""
    maximal_steps_per_epoch: Count | Unavailable | None
    config_file: Json
    """Content of `keras.json` in Keras' home; null: there is none. Environment variables go before it."""


class FrameworkDevicePart(Part):
    """A device as the backend sees it."""

    name: str
    type: str
    visible: bool
    """Whether the backend may use it."""
    details: Json
    """What the backend tells of it, such as its compute capability."""
    memory_growth: Flag
    """Whether memory is taken as it is needed, rather than all at once."""
    logical_devices: Json
    """Where it was split; null: it was not."""


class TensorflowPart(Part):
    """TensorFlow."""

    version: str
    git_version: str | Unavailable
    compiler: str | Unavailable
    """It was built with."""
    build: Json
    """`tf.sysconfig.get_build_info()`: CUDA and cuDNN versions, compute capabilities, ..."""
    compile_flags: Json
    """For code to be linked with this build."""
    devices: tuple[FrameworkDevicePart, ...] | Unavailable
    executing_eagerly: Flag
    functions_run_eagerly: Flag
    soft_device_placement: Flag
    """Whether operations without a kernel for their device run on another one."""
    synchronous_execution: Flag
    device_policy: str | Unavailable
    optimizer_options: Json
    """Of the graph optimizer, as set; `auto_mixed_precision` is one of them."""
    op_determinism: Flag
    tensor_float_32: Flag
    threads: ThreadsPart
    xla: XlaPart
    onednn: OnednnPart


class JaxPart(Part):
    """JAX."""

    version: str
    jaxlib_version: str | Unavailable
    platform: str | Unavailable
    platform_version: str | Unavailable
    """Of the runtime, with CUDA's where it is one."""
    devices: tuple[FrameworkDevicePart, ...] | Unavailable
    process_count: Count | Unavailable
    configuration: dict[str, Json]
    """The settings that decide bits or speed, by JAX's names."""


class TorchPart(Part):
    """torch."""

    version: str
    cuda_version: str | Unavailable | None
    """It was built with; null: without CUDA."""
    hip_version: str | Unavailable | None
    cudnn_version: Count | Unavailable | None
    devices: tuple[FrameworkDevicePart, ...] | Unavailable
    build: str | Unavailable
    """`torch.__config__.show()`."""
    cpu_capability: str | Unavailable
    """The instruction set its kernels use."""
    threads: ThreadsPart
    flags: dict[str, Json]
    """The settings that decide bits, by name."""


class FrameworkPart(Part):
    """Keras, its backend, and what else of the kind is loaded."""

    keras_version: str
    backend: str
    keras: KerasPart
    tensorflow: TensorflowPart | Unavailable | None
    """null: not the backend in use."""
    jax: JaxPart | Unavailable | None
    torch: TorchPart | Unavailable | None
    loaded: dict[str, str]
    """Versions of the backends that are loaded in this process: TensorFlow serves data on the others, too."""
