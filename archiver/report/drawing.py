"""Which figures a run gets, and from which records."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from archiver import layout
from archiver.archive.failures import record_failure
from archiver.archive.run import Run
from archiver.records.base import Unavailable
from archiver.records.scores import ClassScores, RegressionScores
from archiver.report.context import Records
from archiver.report.figures.choice import MAXIMAL_OUTPUTS_DRAWN, drawn_splits
from archiver.report.stored_predictions import target_and_prediction
from archiver.report.trace_rows import read_trace
from archiver.report.values import known, numbered, outputs_of_kind, split_title
from archiver.storage import files
from archiver.storage.journal import Journal

MAXIMAL_CLASSES_DRAWN = 200
"""A confusion matrix of more classes would be a grey square of megabytes."""


def draw_figures(run: Run, records: Records, journal: Journal, *, wanted: bool) -> None:
    """Draw every figure that the records have the data for, and remove those of an earlier seal that they have not.

    A figure that fails is recorded in the journal, and is missing.
    """
    drawings = {name: partial(draw, records) for name, draw in FIGURES.items()}
    drawings |= {name: partial(draw, run, records) for name, draw in FIGURES_OF_FILES.items()}
    for name, drawing in drawings.items():
        path = f"figures/{name}.svg"
        try:
            data = drawing() if wanted else None
            if data is not None:
                files.write_bytes(run.path / path, data)
                continue
        except Exception as error:  # noqa: BLE001 - a figure must not cost the seal
            record_failure(journal, f"figure {name}", error, path)
        files.remove(run.path / path)


def _learning_curves(records: Records) -> bytes | None:
    from archiver.report.figures.learning_curves import learning_curves

    history, results = records["history"], records["results"]
    if history is None:
        return None
    best = results.best_epoch if results is not None else None
    return learning_curves(history, None if isinstance(best, Unavailable) else best)


def _class_distribution(records: Records) -> bytes | None:
    from archiver.report.figures.bars import class_distribution

    stats = records["dataset_stats"]
    if stats is None:
        return None
    names = {str(index): name for index, name in enumerate(stats.class_names or ())}
    return class_distribution({split_title(name): counts for name, counts in drawn_splits(stats).items()}, names)


def _confusion_matrix(place: int, records: Records) -> bytes | None:
    from archiver.report.figures.confusion import confusion_matrix

    found = outputs_of_kind(records, ClassScores)[place : place + 1]
    confusion = known(found[0][1].confusion) if found else None
    matrix = known(confusion.matrix) if confusion is not None else None
    if matrix is None or not matrix or len(matrix) > MAXIMAL_CLASSES_DRAWN:
        return None
    names = [part.name for part in found[0][1].classes[: len(matrix)]]
    return confusion_matrix(matrix, names)


def _calibration(place: int, records: Records) -> bytes | None:
    from archiver.report.figures.calibration import calibration_curve

    found = outputs_of_kind(records, ClassScores)[place : place + 1]
    calibration = known(found[0][1].calibration) if found else None
    return calibration_curve(calibration) if calibration is not None else None


def _weight_change(records: Records) -> bytes | None:
    from archiver.report.figures.bars import weight_change

    table = records["weights"]
    phases = [phase for phase in (table.phases if table is not None else ()) if known(phase.layers)]
    if not phases:
        return None
    shares = [(layer.layer, known(layer.relative_change)) for layer in phases[-1].layers]
    return weight_change([(name, share) for name, share in shares if share is not None])


def _predictions(place: int, run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.predictions import predictions_figure

    found = outputs_of_kind(records, RegressionScores)[place : place + 1]
    arrays = target_and_prediction(run, records["results"], found[0][0]) if found and records["results"] else None
    return predictions_figure(*arrays) if arrays is not None else None


def _memory(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import memory_figure

    return memory_figure(read_trace(run, layout.MEMORY_TRACE), records["telemetry"])


def _utilisation(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import utilisation_figure

    return utilisation_figure(read_trace(run, layout.UTILISATION_TRACE), records["telemetry"])


def _temperature(run: Run, records: Records) -> bytes | None:
    from archiver.report.figures.telemetry import temperature_figure

    return temperature_figure(read_trace(run, layout.TEMPERATURE_TRACE), records["telemetry"])


_PLACES = range(MAXIMAL_OUTPUTS_DRAWN)

FIGURES: dict[str, Callable[[Records], bytes | None]] = {
    "learning_curves": _learning_curves,
    **{numbered("confusion_matrix", place): partial(_confusion_matrix, place) for place in _PLACES},
    **{numbered("calibration", place): partial(_calibration, place) for place in _PLACES},
    "class_distribution": _class_distribution,
    "weight_change": _weight_change,
}
"""By file name: the function that draws it, or finds that there is nothing to draw. The numbered ones are those of a
model's further outputs."""

FIGURES_OF_FILES: dict[str, Callable[[Run, Records], bytes | None]] = {
    **{numbered("predictions", place): partial(_predictions, place) for place in _PLACES},
    "memory": _memory,
    "utilisation": _utilisation,
    "temperature": _temperature,
}
"""The same, for those that also need the stored predictions, or a trace."""
