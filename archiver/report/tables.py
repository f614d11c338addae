"""The rows of the report's tables, made of the records; cells are Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from archiver.records.scores import ClassScores, Interval, RegressionScores
from archiver.report.headline import score_title
from archiver.report.markdown import Safe, format_bytes, format_number, format_score, markdown_text, short_name
from archiver.report.values import (
    class_name,
    is_finite,
    known,
    numbered,
    outputs_of_kind,
    shape_text,
    single_shapes,
    split_title,
    test_scores_of,
)

MAXIMAL_ROWS = 200
"""In a folded table; the records hold all."""
NARROW_ROWS = 20
"""Up to here a table is not folded."""
WORST_ROWS = 10
_GIVEN_BY_KERAS = re.compile(r"(sequential|functional|model)(_\d+)?")


@dataclass(frozen=True)
class Table:
    """A Markdown table."""

    head: tuple[str, ...]
    aligned: str
    """A letter per column: `l` or `r`."""
    rows: tuple[tuple[Safe, ...], ...]
    left_out: int = 0
    """Rows beyond those."""

    def __bool__(self) -> bool:
        return bool(self.rows)

    @property
    def text(self) -> Safe:
        """The lines, without a line feed at the end."""
        rule = ["---" if side == "l" else "--:" for side in self.aligned]
        return Safe("\n".join(_line(cells) for cells in (self.head, rule, *self.rows)))

    def first(self, count: int) -> Table:
        """The table's first rows."""
        return Table(self.head, self.aligned, self.rows[:count], self.left_out + max(0, len(self.rows) - count))


def made(head: Sequence[str], aligned: str, rows: Iterable[Sequence[object]], limit: int = MAXIMAL_ROWS) -> Table:
    """A table whose cells are escaped; at most `limit` rows."""
    cells = [tuple(_cell(cell) for cell in row) for row in rows]
    return Table(tuple(head), aligned, tuple(cells[:limit]), max(0, len(cells) - limit))


def _cell(value: object) -> Safe:
    if value is None:
        return Safe("")
    return (
        format_number(value)
        if isinstance(value, int | float) and not isinstance(value, bool)
        else markdown_text(value, 120)
    )


def _line(cells: Sequence[str]) -> str:
    """A cell that is empty is one blank: two would be told as untidy by linters."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


@dataclass(frozen=True)
class OutputResults:
    """What the test data says of one output."""

    name: Safe
    """Empty where the model has one output only."""
    task: Safe
    evidence: Safe
    scores: Table
    classes: Table
    """The class with the lowest F1 first."""
    columns: Table
    """Of a regression with several."""
    confusions: Safe
    """The most frequent ones, in words."""
    figures: tuple[str, ...]
    """Names of the figures that show it, where they were drawn."""


def test_tables(records: dict[str, Any]) -> list[OutputResults]:
    """By output that was scored."""
    scores = test_scores_of(records["results"])
    tables = records["test_scores"].outputs if records["test_scores"] is not None else {}
    found = []
    for name, score in scores.items():
        details = known(tables.get(name))
        classes = details if isinstance(details, ClassScores) else None
        found.append(
            OutputResults(
                name=markdown_text(name if len(scores) > 1 else "", 60),
                task=Safe(score.decision.task.replace("_", "-")),
                evidence=Safe("; ".join(markdown_text(text) for text in score.decision.evidence)),
                scores=_scores(score),
                classes=_classes(classes),
                columns=_columns(details) if classes is None else made((), "", ()),
                confusions=_confusions(classes),
                figures=_figures(records, name),
            )
        )
    return found


test_tables.__test__ = False  # type: ignore[attr-defined]  # pytest shall not take it for a test


def _figures(records: dict[str, Any], output: str) -> tuple[str, ...]:
    classifiers = [name for name, _ in outputs_of_kind(records, ClassScores)]
    regressions = [name for name, _ in outputs_of_kind(records, RegressionScores)]
    if output in classifiers:
        place = classifiers.index(output)
        return numbered("confusion_matrix", place), numbered("calibration", place)
    return (numbered("predictions", regressions.index(output)),) if output in regressions else ()


def _scores(score: Any) -> Table:
    rows = []
    for name, value in score.values.items():
        if not is_finite(value):
            continue
        interval = score.intervals.get(name)
        between = (
            Safe(f"{format_score(interval.low)} to {format_score(interval.high)}")
            if isinstance(interval, Interval)
            else None
        )
        rows.append((score_title(name), format_score(value), between))
    level = known(score.bootstrap)
    head = f"{100 * level.confidence_level:g} % interval" if level is not None else "interval"
    return made(("score", "value", head), "lrr", rows)


def _classes(scores: ClassScores | None) -> Table:
    if scores is None:
        return made((), "", ())
    parts = sorted(scores.classes, key=lambda part: (part.support == 0, part.f1))
    rows = [(part.name, part.support, *map(format_score, (part.precision, part.recall, part.f1))) for part in parts]
    return made(("class", "samples", "precision", "recall", "F1"), "lrrrr", rows)


def _columns(scores: Any) -> Table:
    columns = scores.columns if scores is not None else ()
    rows = [
        (part.index, part.mean_absolute_error, part.root_mean_squared_error, known(part.r2), part.mean_error)
        for part in columns
    ]
    head = ("column", "mean absolute error", "root mean squared error", "R\N{SUPERSCRIPT TWO}", "bias")
    return made(head, "rrrrr", rows if len(rows) > 1 else ())


def _confusions(scores: ClassScores | None) -> Safe:
    confusion = known(scores.confusion) if scores is not None else None
    if scores is None or confusion is None:
        return Safe("")
    names = [part.name for part in scores.classes]
    texts = [
        f"{markdown_text(class_name(pair.true, names), 60)} as {markdown_text(class_name(pair.predicted, names), 60)} "
        f"({pair.count:,})"
        for pair in confusion.largest[:5]
        if pair.count
    ]
    return Safe(", ".join(texts))


def metric_table(records: dict[str, Any]) -> Table:
    """Every metric: first, best and last value."""
    results = records["results"]
    rows: list[tuple[object, ...]] = []
    for name, part in ordered(results.performance) if results is not None else ():
        best = known(part.best)
        phase = f"{best.phase + 1}." if best is not None and results.phase_count > 1 else ""
        at = Safe(f"{phase}{best.epoch + 1}") if best is not None else None
        best_value = best.value if best is not None and part.direction != "unknown" else None
        best_score = format_score(best_value) if best_value is not None else None
        first, last = format_score(part.first.value), format_score(part.last.value)
        rows.append((name, first, best_score, at if best_value is not None else None, last))
    if results is not None and results.epoch_count == 1:
        return made(("metric", "value"), "lr", [(row[0], row[-1]) for row in rows])
    at_head = "in phase.epoch" if results is not None and results.phase_count > 1 else "in epoch"
    return made(("metric", "first", "best", at_head, "last"), "lrrrr", rows)


def ordered(performance: dict[str, Any]) -> list[tuple[str, Any]]:
    """The metrics with the loss first, each before its validation."""
    return sorted(
        performance.items(),
        key=lambda item: (item[0].removeprefix("val_") != "loss", item[0].removeprefix("val_"), item[0][:4] == "val_"),
    )


def data_table(stats: Any) -> Table:
    """The splits."""
    rows: list[tuple[object, ...]] = []
    for name, split in stats.splits.items() if stats is not None else ():
        arrays = known(split.arrays, ())
        texts = [
            Safe(", ".join(filter(None, (_array(array) for array in arrays if array.name.split("/")[0] == which))))
            for which in ("x", "y")
        ]
        fingerprint = known(split.samples_fingerprint)
        mark = Safe(f"`{fingerprint[:12]}`") if fingerprint else None
        title = split_title(name)
        what = (
            title
            if split.same_as is None
            else Safe(f"{markdown_text(title)} (the same as {markdown_text(split_title(split.same_as))})")
        )
        rows.append((what, known(split.sample_count, "unknown"), *texts, mark))
    return made(("split", "samples", "inputs", "targets", "fingerprint"), "lrlll", rows)


def _array(array: Any) -> str:
    shape = shape_text(array.shape) or "1"
    name = f"{markdown_text(array.name.partition('/')[2], 40)} " if "/" in array.name else ""
    return f"{name}{shape} {markdown_text(array.dtype, 20)}"


def value_table(stats: Any) -> Table:
    """What the values of each array are like."""
    rows = []
    for name, split in stats.splits.items() if stats is not None else ():
        for array in known(split.arrays, ()) if split.same_as is None else ():
            numbers = [known(value) for value in (array.minimum, array.maximum, array.mean, array.standard_deviation)]
            if any(number is not None for number in numbers):
                rows.append((split_title(name), array.name, *numbers))
    return made(("split", "array", "least", "greatest", "mean", "standard deviation"), "llrrrr", rows)


def layer_table(records: dict[str, Any]) -> Table:
    """The layers, those inside of layers indented."""
    model = records["model_config"]
    rows = []
    for layer in model.layers if model is not None else ():
        inset = "\N{NO-BREAK SPACE}" * 4 * layer.depth
        frozen = "" if layer.trainable or not layer.parameters.total else " (frozen)"
        shape = ", ".join(text for text in map(shape_text, single_shapes(layer.output_shape).values()) if text)
        name = Safe(f"{inset}{markdown_text(layer.name, 60)}{frozen}")
        rows.append((name, short_name(layer.class_name), shape, layer.parameters.total))
    return made(("layer", "type", "output", "parameters"), "lllr", rows)


def variable_table(weights: Any) -> Table:
    """The weights with statistics of their values."""
    rows = []
    for part in weights.variables if weights is not None else ():
        numbers = known(part.statistics)
        shape = f" {chr(0xD7)} ".join(map(str, part.shape)) or "1"
        values: list[object] = [None] * 4
        if numbers is not None:
            values = [known(n) for n in (numbers.mean, numbers.standard_deviation, numbers.minimum, numbers.maximum)]
        rows.append((part.path, shape, *values))
    return made(("variable", "shape", "mean", "standard deviation", "least", "greatest"), "llrrrr", rows)


def model_facts(records: dict[str, Any]) -> Safe:
    """One sentence: `Sequential model digits_cnn: 5 layers, 38,122 parameters, ...`."""
    model = records["model_config"]
    if model is None:
        return Safe("")
    parts = [f"{model.layer_count:,} layers" if model.layer_count != 1 else "1 layer"]
    parameters = known(model.parameters)
    if parameters is not None:
        rest = "all trainable" if not parameters.non_trainable else f"{parameters.trainable:,} trainable"
        parts.append(f"{parameters.total:,} parameters ({rest})" if parameters.total else "no parameters")
        if known(model.weights_bytes):
            parts.append(f"{format_bytes(model.weights_bytes)} of weights")
    flops = known(model.flops)
    if flops is not None and flops.per_sample:
        least = "at least " if flops.not_counted else ""
        parts.append(f"{least}{format_number(flops.per_sample)} floating-point operations per sample")
    parts.append(markdown_text(model.dtype_policy)) if model.dtype_policy else None
    kind, name = short_name(model.class_name), "" if _GIVEN_BY_KERAS.fullmatch(model.name) else f" {model.name}"
    return Safe(f"{markdown_text(kind)} model{markdown_text(name, 80)}: {', '.join(parts)}.")


def missing_formats(weights: Any) -> list[Safe]:
    """Model formats that were asked for and could not be written, with the reason."""
    formats = weights.formats.items() if weights is not None else ()
    return [
        Safe(f"{markdown_text(kind)}: {markdown_text(part.unavailable)}") for kind, part in formats if part.unavailable
    ]


def preprocessing_table(preprocessing: Any) -> Table:
    """Layers of the model that prepare or augment the data."""
    rows = [
        (part.path, short_name(part.class_name), part.kind) for part in (preprocessing.layers if preprocessing else ())
    ]
    return made(("layer", "type", "what it is"), "lll", rows)
