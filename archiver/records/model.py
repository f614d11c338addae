"""What a model is: its architecture, and the table of its weights."""

from typing import ClassVar, Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Real, Record, Sha256, Unavailable

ModelFormat = Literal["keras", "h5", "weights.h5"]
"""Keras' export formats, by suffix."""


class ParameterCounts(Part):
    """How many numbers a model or layer holds."""

    total: Count
    trainable: Count
    non_trainable: Count


class StatisticsPart(Part):
    """Of the finite elements x_1 ... x_n of a variable, as float64: truth values count as 0 and 1, and whole numbers
    beyond 2**53 are rounded."""

    mean: Real | Unavailable
    """(x_1 + ... + x_n) / n."""
    standard_deviation: Real | Unavailable
    """sqrt(((x_1 - mean)**2 + ... + (x_n - mean)**2) / n): of these numbers, not an estimate from a sample."""
    minimum: Real | Unavailable
    maximum: Real | Unavailable
    zero_share: Real | Unavailable
    """How many of them are zero, divided by n."""
    non_finite_count: Count
    """Elements that are NaN or infinite; all of the above leaves them out."""


class FlopsPart(Part):
    """Floating-point operations, counted by formula."""

    per_sample: Count
    """Of one forward pass for one sample as `predict` makes it; a multiplication and an addition count as two."""
    method: str
    """Where the number comes from."""
    not_counted: dict[str, Count] = Field(default_factory=dict)
    """Classes of layers and operations there is no formula for, with how often they are called: they are missing in
    the number."""


class LayerPart(Part):
    """One layer."""

    name: str
    class_name: str
    depth: Count
    """0 for a layer of the model itself, 1 for a layer inside such a layer or nested model, ..."""
    input_shape: Json
    """Lengths of the axes, null where any is accepted; a list or object of shapes for several inputs; an object `calls`
    with the shapes of each call for a layer that is called with different ones; or an `unavailable` object."""
    output_shape: Json
    """As `input_shape`."""
    parameters: ParameterCounts
    flops_per_sample: Count | Unavailable
    """In all its calls in one forward pass together; see `FlopsPart`."""
    trainable: bool
    dtype_policy: str | None
    config: Json
    """What `get_config()` returned, or an `unavailable` object with the reason."""


class ModelConfig(Record):
    """`configs/<name>_model_config.json`."""

    KIND: ClassVar[str] = "model_config"
    kind: Literal["model_config"] = "model_config"
    name: str
    class_name: str
    parameters: ParameterCounts | Unavailable
    weights_bytes: Count | Unavailable
    """Memory of the parameters: their number times the size of their type. Optimizer and activations come on top."""
    input_shape: Json
    """As in the layers."""
    output_shape: Json
    flops: FlopsPart | Unavailable
    layer_count: Count
    """Layers of the model itself, those at depth 0."""
    dtype_policy: str | None
    built: bool
    """False before the first step of a model that Keras builds from the first batch."""
    needs_trust: tuple[str, ...] = ()
    """What in the config holds code or names code outside Keras: loading such a model runs it."""
    summary: str | Unavailable
    layers: tuple[LayerPart, ...]
    """In the order of the model; the layers inside a layer follow it."""
    layers_left_out: Count = 0
    """How many more there are: the list is bounded."""
    config: Json
    """Keras' serialised form, or an `unavailable` object with the reason."""


class VariablePart(Part):
    """One variable: what it is, its digest, and where each format keeps it."""

    index: Count
    path: str
    """Keras' path, for a reader; it may differ between processes."""
    layer: str | None = None
    """The innermost layer that owns it."""
    dtype: str
    shape: tuple[Count, ...]
    trainable: bool | None = None
    sha256: Sha256
    """Of its bytes, little-endian, C order."""
    locations: dict[str, str] = Field(default_factory=dict)
    """By format: the tensor inside the file. A format that is missing does not hold this variable as it is."""


class MeasuredVariable(VariablePart):
    """One variable, with statistics of its values."""

    statistics: StatisticsPart | Unavailable


class OptimizerVariable(MeasuredVariable):
    """One variable of the optimizer."""

    slot: str | None
    """What it keeps of a variable of the model, such as `momentum`; null where Keras' naming does not tell."""
    slot_of: str | None
    """The path of that variable; null for what belongs to none, such as the number of steps."""


class FormatPart(Part):
    """One export format: the file, or why there is none."""

    file: str | None = None
    unavailable: str | None = None
    """Why Keras could not write it, or why it was not asked for."""
    redacted: bool = False
    """Whether its configuration held secrets, which are now `[redacted]`: give them anew to what needs them."""
    not_comparable: dict[str, str] = Field(default_factory=dict)
    """By index of the variable: why the file cannot be compared with it."""


class ChangePart(Part):
    """How far weights moved. Norms are Euclidean, over all elements of all variables of floating-point types, trainable
    or not, as float64."""

    initial_norm: Real
    final_norm: Real
    change_norm: Real
    """Of the difference, element by element."""
    relative_change: Real | Unavailable
    """`change_norm` / `initial_norm`."""


class LayerChange(ChangePart):
    """How far one layer's own weights moved; those of layers inside it stand there."""

    layer: str
    path: str
    """What the paths of its variables begin with."""


class PhaseWeights(Part):
    """The weights before and after one call of `fit`."""

    phase: Count
    initial_weights_digest: Sha256 | Unavailable
    """Before the first step, as `weights_digest` is defined."""
    final_weights_digest: Sha256 | Unavailable
    """Of what `fit` left."""
    change: ChangePart | Unavailable
    """Of all layers together."""
    layers: tuple[LayerChange, ...] | Unavailable
    """Layers with floating-point variables, in the order of the model's weights."""


class WeightsTable(Record):
    """`models/<name>_weights.json`: written while the model is alive; what `verify --deep` compares with."""

    KIND: ClassVar[str] = "weights"
    kind: Literal["weights"] = "weights"
    weights_digest: Sha256
    """SHA-256 over `model.weights` in order: for each the length of a canonical JSON header of index, dtype and shape
    (8 bytes, little-endian), the header, and the variable's bytes (little-endian, C order)."""
    formats: dict[str, FormatPart]
    phases: tuple[PhaseWeights, ...] = ()
    """One entry per call of `fit` so far. The list of layers of an old phase may be left out to bound the record."""
    variables: tuple[MeasuredVariable, ...]
    optimizer_variables: tuple[OptimizerVariable, ...] = ()
    seed_generators: tuple[MeasuredVariable, ...] = ()
    """State that none of Keras' formats keeps; the checkpoint does."""
