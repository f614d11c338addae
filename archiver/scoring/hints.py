"""What is known of an output besides its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from archiver.records.scores import Task

CATEGORICAL_LOSSES = frozenset(
    {"categorical_crossentropy", "categorical_focal_crossentropy", "categorical_hinge", "kl_divergence"}
)
SPARSE_LOSSES = frozenset({"sparse_categorical_crossentropy"})
HINGE_LOSSES = frozenset({"hinge", "squared_hinge"})
BINARY_LOSSES = frozenset({"binary_crossentropy", "binary_focal_crossentropy"}) | HINGE_LOSSES
CLASS_LOSSES = CATEGORICAL_LOSSES | SPARSE_LOSSES | BINARY_LOSSES
REGRESSION_LOSSES = frozenset(
    {
        "mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error", "huber", "log_cosh", "poisson", "cosine_similarity",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Hints:
    """What the compiled model, and the user, say of an output."""

    loss: str | None = None
    """Keras' function name, such as `binary_crossentropy`; a name of the user's own says nothing."""
    from_logits: bool | None = None
    """As the loss was given; None where the loss is not one of Keras' cross-entropies."""
    ignore_class: int | None = None
    """The class that `SparseCategoricalCrossentropy` leaves out."""
    activation: str | None = None
    """Of the layer that makes the output."""
    task: Task | None = None
    """What the user says that it is."""
    threshold: float = 0.5
    """Above it, a probability counts as predicted."""
    class_names: tuple[str, ...] | None = None

    @property
    def is_loss_known(self) -> bool:
        """Whether the loss tells classes from numbers."""
        return self.loss in CLASS_LOSSES or self.loss in REGRESSION_LOSSES
