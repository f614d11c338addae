"""What each figure shows, in words with numbers: for those who cannot see it, or do not want to look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from archiver.archive.run import Run
from archiver.archive.summary import counted
from archiver.records.scores import ClassScores, RegressionScores
from archiver.report.figures.choice import MAXIMAL_OUTPUTS_DRAWN, drawn_splits
from archiver.report.markdown import Safe, format_number, markdown_text
from archiver.report.tables import ordered
from archiver.report.values import class_name, is_finite, known, numbered, outputs_of_kind, split_title, test_scores_of

MAXIMAL_METRICS = 3


@dataclass(frozen=True)
class Figure:
    """A figure of the archive."""

    path: str
    alternative: Safe
    """The text that says what it shows."""

    @property
    def text(self) -> Safe:
        """The image in Markdown."""
        return Safe(f"![{self.alternative}]({self.path})")


def figures(run: Run, records: dict[str, Any]) -> dict[str, Figure]:
    """The figures that are in the archive, by name."""
    found = {}
    for name, describe in _DESCRIPTIONS.items():
        path = f"figures/{name}.svg"
        if (run.path / path).is_file():
            found[name] = Figure(path, Safe(describe(records)))
    return found


def _learning_curves(records: dict[str, Any]) -> str:
    results = records["results"]
    parts = []
    for name, part in ordered(results.performance) if results is not None else ():
        if is_finite(part.first.value) and is_finite(part.last.value):
            values = f"from {format_number(part.first.value)} to {format_number(part.last.value)}"
            parts.append(f"{markdown_text(name, 60)} {values}")
    epochs = f" over {counted(results.epoch_count, 'epoch')}" if results is not None else ""
    best = known(results.best_epoch) if results is not None else None
    phase = f" of phase {best.phase + 1}" if best is not None and results.phase_count > 1 else ""
    marked = f"; the best epoch, {best.epoch + 1}{phase}, is marked" if best is not None else ""
    return f"Learning curves{epochs}: {', '.join(parts[: 2 * MAXIMAL_METRICS]) or 'no finite values'}{marked}"


def _classifier(records: dict[str, Any], place: int) -> ClassScores | None:
    found = outputs_of_kind(records, ClassScores)
    return found[place][1] if place < len(found) else None


def _confusion_matrix(place: int, records: dict[str, Any]) -> str:
    scores = _classifier(records, place)
    confusion = known(scores.confusion) if scores is not None else None
    if scores is None or confusion is None:
        return "Confusion matrix"
    total, right = sum(part.support for part in scores.classes), sum(part.correct for part in scores.classes)
    text = f"Confusion matrix of {counted(scores.class_count, 'class').replace('classs', 'classes')}"
    text += f": {right:,} of {total:,} predictions are right"
    worst = next(iter(confusion.largest), None)
    if worst is None or not worst.count:
        return text
    names = [part.name for part in scores.classes]
    true, predicted = (markdown_text(class_name(index, names), 60) for index in (worst.true, worst.predicted))
    return f"{text}; the most frequent confusion is {true} taken for {predicted}, {counted(worst.count, 'time')}"


def _calibration(place: int, records: dict[str, Any]) -> str:
    scores = _classifier(records, place)
    calibration = known(scores.calibration) if scores is not None else None
    error = (
        f": expected calibration error {calibration.expected_calibration_error:.3f}" if calibration is not None else ""
    )
    return f"Reliability diagram of the confidences{error}"


def _predictions(place: int, records: dict[str, Any]) -> str:
    found = outputs_of_kind(records, RegressionScores)
    score = test_scores_of(records["results"]).get(found[place][0]) if place < len(found) else None
    values = score.values if score is not None else {}
    parts = [
        f"{title} {format_number(values[name])}"
        for name, title in (("r2", "R\N{SUPERSCRIPT TWO}"), ("mean_error", "mean error"))
        if is_finite(values.get(name))
    ]
    return (
        "Predicted against true values, and the distribution of the errors" + (": " if parts else "") + ", ".join(parts)
    )


def _class_distribution(records: dict[str, Any]) -> str:
    stats = records["dataset_stats"]
    parts = []
    for name, counts in drawn_splits(stats).items() if stats is not None else ():
        parts.append(f"{markdown_text(split_title(name), 40)} {min(counts.values()):,} to {max(counts.values()):,}")
    return f"Samples per class: {', '.join(parts)}"


def _weight_change(records: dict[str, Any]) -> str:
    table = records["weights"]
    phase = table.phases[-1] if table is not None and table.phases else None
    shares = [
        (layer.layer, known(layer.relative_change)) for layer in (known(phase.layers, ()) if phase is not None else ())
    ]
    moved = sorted(((share, name) for name, share in shares if is_finite(share)), reverse=True)
    if not moved:
        return "Change of the weights per layer"
    share, name = moved[0]
    percent = f"{format_number(100 * share)} %"
    return f"Change of the weights in {counted(len(moved), 'layer')}: most in {markdown_text(name, 60)}, by {percent}"


_PLACES = range(MAXIMAL_OUTPUTS_DRAWN)

_DESCRIPTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "learning_curves": _learning_curves,
    **{numbered("confusion_matrix", place): partial(_confusion_matrix, place) for place in _PLACES},
    **{numbered("calibration", place): partial(_calibration, place) for place in _PLACES},
    **{numbered("predictions", place): partial(_predictions, place) for place in _PLACES},
    "class_distribution": _class_distribution,
    "weight_change": _weight_change,
}
