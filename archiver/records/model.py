"""What a model is: its architecture, and the table of its weights."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from archiver.records.base import Count, Json, Part, Record, Sha256, Unavailable

ModelFormat = Literal["keras", "h5", "weights.h5"]
"""Keras' export formats, by suffix."""


class ParameterCounts(Part):
    """How many numbers a model or layer holds."""

    total: Count
    trainable: Count
    non_trainable: Count


class LayerPart(Part):
    """One layer."""

    name: str
    class_name: str
    depth: Count
    """0 for a layer of the model itself, 1 for a layer of a nested model, ..."""
    config: Json
    """What `get_config()` returned, or an `unavailable` object with the reason."""
    input_shape: Json
    output_shape: Json
    dtype_policy: str | None
    trainable: bool
    parameters: ParameterCounts


class ModelConfig(Record):
    """`configs/<name>_model_config.json`."""

    KIND: ClassVar[str] = "model_config"
    kind: Literal["model_config"] = "model_config"
    name: str
    class_name: str
    built: bool
    """False before the first step of a model that Keras builds from the first batch."""
    config: Json
    """Keras' serialised form, or an `unavailable` object with the reason."""
    input_shape: Json
    output_shape: Json
    dtype_policy: str | None
    parameters: ParameterCounts | Unavailable
    layers: tuple[LayerPart, ...]
    summary: str | Unavailable
    needs_trust: tuple[str, ...] = ()
    """What in the config holds code or names code outside Keras: loading such a model runs it."""


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


class FormatPart(Part):
    """One export format: the file, or why there is none."""

    file: str | None = None
    unavailable: str | None = None
    """Why Keras could not write it, or why it was not asked for."""
    not_comparable: dict[str, str] = Field(default_factory=dict)
    """By index of the variable: why the file cannot be compared with it."""


class WeightsTable(Record):
    """`models/<name>_weights.json`: written while the model is alive; what `verify --deep` compares with."""

    KIND: ClassVar[str] = "weights"
    kind: Literal["weights"] = "weights"
    weights_digest: Sha256
    """SHA-256 over `model.weights` in order: for each the length of a canonical JSON header of index, dtype and shape
    (8 bytes, little-endian), the header, and the variable's bytes (little-endian, C order)."""
    variables: tuple[VariablePart, ...]
    optimizer_variables: tuple[VariablePart, ...] = ()
    seed_generators: tuple[VariablePart, ...] = ()
    """State that none of Keras' formats keeps; the checkpoint does."""
    formats: dict[str, FormatPart]
