"""`Ensemble`: what a search has found, on the disk."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from archiver import layout
from archiver.archive.run import Run
from archiver.ensemble.journal import JOURNAL_NAME, EnsembleContents, read_ensemble
from archiver.ensemble.scores import Probabilities
from archiver.ensemble.training import class_probabilities
from archiver.errors import ArgumentError, NotAnArchiveError, RecordError, RunStateError
from archiver.naming import folder_name
from archiver.records.ensemble import EnsembleIteration
from archiver.storage.files import explained


@dataclass(frozen=True)
class Ensemble:
    """An ensemble, as its journal tells it."""

    path: Path
    contents: EnsembleContents

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Ensemble:
        """The ensemble in a folder.

        Raises:
            NotAnArchiveError: there is none.
            RecordError: its journal cannot be read.
        """
        folder = Path(path)
        if not (folder / JOURNAL_NAME).is_file():
            raise NotAnArchiveError(
                f"Received {str(path)!r}, which has no {JOURNAL_NAME}. Expected an ensemble's folder."
            )
        contents = read_ensemble(folder)
        if contents.began is None:
            raise RecordError(f"{folder / JOURNAL_NAME}: has no whole line. Expected an ensemble that was begun.")
        return cls(folder, contents)

    @property
    def iterations(self) -> list[EnsembleIteration]:
        """A line for each candidate."""
        return self.contents.iterations

    @property
    def members(self) -> dict[str, int]:
        """How often each candidate is in it."""
        return dict(self.iterations[-1].members) if self.iterations else {}

    @property
    def score(self) -> float | None:
        """On the selection data."""
        return self.iterations[-1].ensemble_score if self.iterations else None

    @property
    def stage_two(self) -> Run | None:
        """The archive of the last network."""
        parts = [line.stage2 for line in self.iterations if line.stage2 is not None]
        return Run.open(self.path.parent / folder_name(parts[-1].run)) if parts else None

    def predict_proba(self, x: Any, *, stage: Literal["mean", "network"] = "mean") -> Probabilities:
        """The probabilities of the classes, shape (samples, classes).

        The members are unpickled from `candidates/`, which runs what stands in these files: only for ensembles that you
        made yourself.

        Args:
            x: features, as the candidates take them.
            stage: "mean": of the members, each as often as it was chosen; "network": of the second stage.

        Raises:
            RunStateError: nothing was chosen, or there is no second stage.
        """
        began = self.contents.began
        if began is None or not self.members:
            raise RunStateError(f"{self.path}: no candidate was chosen yet.")
        if stage == "network":
            return self._network(x, began.classes)
        if stage != "mean":
            raise ArgumentError(f"Received stage={stage!r}. Expected 'mean' or 'network'.")
        total = np.zeros(())
        for name, count in self.members.items():
            total = total + count * self._member(name, x, began.classes)
        return np.asarray(total / sum(self.members.values()))

    def _network(self, x: Any, classes: tuple[Any, ...]) -> Probabilities:
        parts = [line.stage2 for line in self.iterations if line.stage2 is not None]
        run = self.stage_two
        if run is None:
            raise RunStateError(f"{self.path}: there is no second stage. Expected stage='mean'.")
        import keras

        model = keras.models.load_model(run.path_of(layout.KERAS_MODEL), compile=False)
        inputs = np.concatenate([self._member(name, x, classes) for name in parts[-1].members], axis=1)
        return np.asarray(model.predict(inputs.astype(np.float32), verbose=0), np.float64)

    def _member(self, name: str, x: Any, classes: tuple[Any, ...]) -> Probabilities:
        path = self.path / "candidates" / f"{name}.pickle"
        with explained("read", path), path.open("rb") as file:
            estimator = pickle.load(file)  # noqa: S301 - asked for, see `predict_proba`
        return class_probabilities(estimator, x, classes, name)
