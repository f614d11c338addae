"""The weights of the best epoch, kept on the disk while training goes on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from archiver import layout
from archiver.archive.directions import Mode, direction_by_name, is_better, is_loss
from archiver.archive.run import Run
from archiver.errors import ArgumentError
from archiver.records.results import BestEpoch
from archiver.storage import files
from archiver.storage.journal import Journal
from archiver.training import weights
from archiver.training.models import save_weights, without_warnings
from archiver.training.secrets import check_names


class BestWeights:
    """Follows one metric over all phases and saves the weights whenever it is better than ever before."""

    def __init__(self, run: Run, journal: Journal, monitor: str | None) -> None:
        self.run = run
        self.journal = journal
        self.digest: str | None = None
        self._wish = monitor
        self._monitor = monitor
        self._is_decided = False
        self._mode: Mode | None = None
        self._value: float | None = None

    def take_over(self, best: BestEpoch) -> None:
        """An earlier process saw this best epoch."""
        self._monitor, self._mode, self._value = best.monitor, best.mode, best.value
        self.digest = best.weights_digest if isinstance(best.weights_digest, str) else None

    def begin_phase(self, model: Any, *, has_validation: bool | None) -> None:
        """Decide what to monitor; `has_validation` None: not known, the first epoch's logs tell."""
        self._is_decided = has_validation is not None
        if has_validation is not None:
            self._follow(has_validation=has_validation)
        has_copy = self.run.has(layout.BEST_WEIGHTS)
        if self.digest and not has_copy and weights.weights_digest(model.weights) == self.digest:
            self._save(model)

    def _follow(self, *, has_validation: bool) -> None:
        monitor = "loss" if self._wish == "val_loss" and not has_validation else self._wish
        if monitor != self._monitor:
            self._monitor, self._mode, self._value = monitor, None, None

    def end_epoch(self, model: Any, logs: dict[str, Any], phase: int, epoch: int) -> None:
        """Save the weights if this epoch is the best so far, and say so in the journal.

        Raises:
            ArgumentError: it cannot be told whether less or more of the metric is better.
            SecretError: a secret stands in the name of a layer.
        """
        if not self._is_decided:
            self._is_decided = True
            self._follow(has_validation=any(name.startswith("val_") for name in logs))
        self._check_name(logs)
        value = logs.get(self._monitor) if self._monitor else None
        if value is None:
            return
        self._mode = self._mode or infer_mode(model, str(self._monitor))
        if not is_better(float(value), self._value, self._mode):
            return
        self._value = float(value)
        self.digest = weights.weights_digest(model.weights)
        saved = False
        try:
            self._save(model)
            saved = True
        finally:
            self.journal.append(
                "best_epoch",
                phase=phase,
                epoch=epoch,
                monitor=self._monitor,
                mode=self._mode,
                value=self._value,
                weights_digest=self.digest if saved else None,
            )

    def _check_name(self, logs: dict[str, Any]) -> None:
        # A validation metric may be missing in an epoch that is not validated; the training metric tells the name.
        if self._monitor is not None and self._monitor.removeprefix("val_") not in logs and self._monitor not in logs:
            names = ", ".join(sorted(logs))
            raise ArgumentError(f"Received monitor={self._monitor!r}. Expected one of the metrics: {names}.")

    def _save(self, model: Any) -> None:
        check_names(model)
        with files.replacing(self.run.path_of(layout.BEST_WEIGHTS)) as temporary, without_warnings():
            save_weights(model, temporary)

    def keep(self, saved_digest: str | None) -> None:
        """The models are about to be written anew: keep what they hold, if it is the best and kept nowhere else."""
        best, saved = self.run.path_of(layout.BEST_WEIGHTS), self.run.path_of(layout.WEIGHTS_H5)
        if self.digest is not None and self.digest == saved_digest and saved.exists() and not best.exists():
            files.copy_file(saved, best)

    def end_phase(self, final_digest: str | None) -> None:
        """Drop the copy when the final weights are the best ones."""
        if self.digest is not None and self.digest == final_digest:
            files.remove(self.run.path_of(layout.BEST_WEIGHTS))


def infer_mode(model: Any, monitor: str) -> Mode:
    """Whether less or more of a metric is better, as Keras' callbacks infer it.

    Raises:
        ArgumentError: neither the name nor the compiled metrics tell.
    """
    name = monitor.removeprefix("val_")
    if is_loss(name):
        return "min"
    for metric in model.metrics:
        inner = getattr(metric, "metrics", None) or [metric]
        for each in inner:
            direction = getattr(each, "_direction", None)
            if direction is not None and each.name in (name, name.rsplit("/", 1)[-1]):
                return "min" if direction == "down" else "max"
    by_name = direction_by_name(name)
    if by_name is not None:
        return by_name
    raise ArgumentError(
        f"Received monitor={monitor!r}. Expected a loss, an accuracy, or a compiled metric whose direction Keras knows."
    )


def directions_of(model: Any, names: Iterable[str]) -> dict[str, Mode | None]:
    """By metric, whether less or more of it is better; None where nobody knows."""
    found: dict[str, Mode | None] = {}
    for name in names:
        try:
            found[name] = infer_mode(model, name)
        except Exception:  # noqa: BLE001 - a metric, or a model, of the user's own
            found[name] = direction_by_name(name)
    return found
