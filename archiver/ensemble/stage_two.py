"""The second stage: a Keras network over the members' probabilities, each of its trainings an archive.

When a member joins, the network is expanded by transfer: its weights are taken over, and the new member's inputs begin
with weights of zero, so that it first answers as it did before.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from archiver import layout
from archiver.archive.run import Run
from archiver.collect.program import Program, works_for
from archiver.data.lines import as_line
from archiver.ensemble.measuring import measured
from archiver.ensemble.processes import run_in_process
from archiver.ensemble.scores import Labels, Metric, Probabilities, score
from archiver.errors import ArchiverError, ArgumentError
from archiver.naming import folder_name
from archiver.records.ensemble import StageTwoPart
from archiver.storage.files import replacing, write_bytes
from archiver.storage.npz import read_npz_array, write_npz

if TYPE_CHECKING:
    import keras

Growth = Literal["transfer", "retrain"]
HIDDEN = "hidden"


@dataclass(frozen=True)
class StageTwo:
    """How the network is made and trained.

    Args:
        hidden_units: of its only hidden layer.
        growth: "transfer" goes on from the network before, expanded; "retrain" begins anew each time.
        epochs: at most.
        patience: epochs without a lower validation loss before training ends.
        batch_size: of the training.
        learning_rate: of Adam.
        validation_share: of the selection data, on which it is not trained, but scored.
    """

    hidden_units: int = 32
    growth: Growth = "transfer"
    epochs: int = 60
    patience: int = 8
    batch_size: int = 32
    learning_rate: float = 0.003
    validation_share: float = 0.3

    def __post_init__(self) -> None:
        whole = ("hidden_units", "epochs", "patience", "batch_size")
        wrong = [name for name in whole if not isinstance(getattr(self, name), int) or getattr(self, name) < 1]
        wrong += [] if self.learning_rate > 0 else ["learning_rate"]
        wrong += [] if 0 < self.validation_share < 1 else ["validation_share"]
        wrong += [] if self.growth in ("transfer", "retrain") else ["growth"]
        if wrong:
            raise ArgumentError(
                f"Received {wrong[0]}={getattr(self, wrong[0])!r}. Expected whole numbers from 1 on, a positive "
                "learning_rate, a validation_share between 0 and 1, and growth='transfer' or 'retrain'."
            )


@dataclass(frozen=True)
class StageTwoJob:
    """One training of it."""

    store: Path
    folder: Path
    """Of the ensemble."""
    ensemble: str
    number: int
    """Of the iteration."""
    members: tuple[str, ...]
    settings: StageTwo
    metric: Metric
    class_count: int
    seed: int
    previous: str | None
    """The run before, to go on from."""
    program: Program
    """What was started: that is run again, not the process of this training."""
    asked_store: str
    """The store as the program named it; the environment may send the runs elsewhere."""

    @property
    def config(self) -> str:
        """The last part of the run's name."""
        return f"{self.number:04}"

    @property
    def run(self) -> str:
        """The run's name."""
        return f"{self.ensemble}_stage2_{self.config}"

    def path(self, suffix: str) -> Path:
        """Of one of its results."""
        return self.folder / "stage2" / f"{self.config}{suffix}"


def train_stage_two(job: StageTwoJob, inputs: dict[str, tuple[Probabilities, Labels]]) -> StageTwoPart:
    """Train it in a process of its own, or go on with a training that was cut off.

    Args:
        job: what to train.
        inputs: by split (`train`, `validation`, maybe `test`): probabilities of the members side by side, and labels.

    Raises:
        ArchiverError: it failed; its log says why.
    """
    with replacing(job.path(".inputs.npz")) as temporary:
        arrays = (
            (f"{split}/{name}", each) for split, pair in inputs.items() for name, each in zip("xy", pair, strict=True)
        )
        write_npz(temporary, arrays)
    error = run_in_process(_train, job, job.path(".log"))
    if error is not None:
        raise ArchiverError(f"the second stage could not be trained: {error} ({job.path('.log')})")
    return StageTwoPart.model_validate_json(job.path(".json").read_bytes())


def make_network(input_count: int, class_count: int, settings: StageTwo) -> keras.Model:
    """The network for so many inputs, compiled."""
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((input_count,)),
            keras.layers.Dense(settings.hidden_units, activation="relu", name=HIDDEN),
            keras.layers.Dense(class_count, activation="softmax", name="probabilities"),
        ],
        name="stage2",
    )
    model.compile(
        keras.optimizers.Adam(settings.learning_rate), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def expand(model: keras.Model, old: keras.Model) -> None:
    """Give a network the weights of one with fewer inputs; the weights of the inputs that are new are zero.

    Args:
        model: of `make_network`; its first inputs are those of the old one.
        old: the one before.
    """
    kernel, bias = old.get_layer(HIDDEN).get_weights()
    shape = model.get_layer(HIDDEN).kernel.shape
    widened = np.zeros(tuple(shape), kernel.dtype)
    widened[: len(kernel)] = kernel
    model.get_layer(HIDDEN).set_weights([widened, bias])
    model.get_layer("probabilities").set_weights(old.get_layer("probabilities").get_weights())


def _train(job: StageTwoJob) -> None:
    """In the process of its own."""
    import keras

    from archiver.training.seeding import seed

    works_for(job.program)
    seed(job.seed)
    inputs = _read_inputs(job.path(".inputs.npz"))
    with measured() as use:
        model, archive = _fit(job, inputs, keras)
        run = archive.finalize(test_data=inputs.get("test", inputs["validation"]))
    scores = {name: _score(job, model, *pair) for name, pair in inputs.items() if name != "train"}
    part = StageTwoPart(
        run=run.name,
        seal_id=run.seal_id,
        members=job.members,
        is_expanded=job.previous is not None,
        score=scores["validation"],
        test_score=scores.get("test"),
        memory=use.memory,
        seconds=use.seconds,
    )
    write_bytes(job.path(".json"), as_line(part))


def _fit(job: StageTwoJob, inputs: dict[str, tuple[Any, Any]], keras: Any) -> tuple[Any, Any]:
    from archiver.training.run_archiver import RunArchiver

    model = make_network(inputs["train"][0].shape[1], job.class_count, job.settings)
    previous = Run.open(job.store / folder_name(job.previous)) if job.previous is not None else None
    if previous is not None:
        expand(model, keras.models.load_model(previous.path_of(layout.KERAS_MODEL), compile=False))
    archive = RunArchiver(
        job.asked_store,
        condition=job.ensemble,
        architecture="stage2",
        config=job.config,
        group=job.ensemble,
        parent=previous,
        hyperparameters=asdict(job.settings) | {"members": list(job.members)},
        preprocessing="probabilities of the ensemble's members, side by side",
        tags=("ensemble",),
        figures=False,
        resume=True,
    )
    stopping = keras.callbacks.EarlyStopping(patience=job.settings.patience, restore_best_weights=True)
    model.fit(
        *inputs["train"],
        validation_data=inputs["validation"],
        epochs=job.settings.epochs,
        batch_size=job.settings.batch_size,
        verbose=0,
        callbacks=[stopping, archive],
    )
    return model, archive


def _read_inputs(path: Path) -> dict[str, tuple[Any, Any]]:
    splits = ("train", "validation", "test")
    with np.load(path, allow_pickle=False) as stored:
        found = [split for split in splits if f"{split}/x" in stored.files]
    return {
        split: (read_npz_array(path, f"{split}/x").astype(np.float32), read_npz_array(path, f"{split}/y"))
        for split in found
    }


def _score(job: StageTwoJob, model: Any, x: Any, y: Any) -> float:
    return score(job.metric, y, np.asarray(model.predict(x, verbose=0), np.float64))
