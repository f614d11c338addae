"""The first sentence of a report: what the model is, how good, and what became of its training."""

from __future__ import annotations

from typing import Any

from archiver.archive.status import Status
from archiver.archive.summary import counted
from archiver.records.results import Results
from archiver.records.scores import HeadlineScores, Interval
from archiver.report.markdown import Safe, format_score, format_seconds, markdown_text, short_name
from archiver.report.values import (
    is_finite,
    known,
    planned_epochs,
    shape_text,
    single_shapes,
    test_scores_of,
)

HEADLINE_SCORES = {
    "binary": ("accuracy", "roc_auc"),
    "multi_class": ("accuracy",),
    "multi_label": ("f1_macro", "subset_accuracy"),
    "regression": ("mean_absolute_error", "r2"),
}
"""By task: the scores a reader asks for first, the most important first."""

_NOUNS = {
    "binary": "Binary classifier",
    "multi_class": "Classifier",
    "multi_label": "Multi-label classifier",
    "regression": "Regression",
}
_MAXIMAL_OUTPUTS = 3


def headline(records: dict[str, Any], status: Status) -> Safe:
    """A paragraph: `**Classifier of ... into 10 classes. Test accuracy 0.987** (...), trained 14 of 20 epochs ...`."""
    what, score, details = _what(records), _score(records["results"]), _score_details(records["results"])
    ended = _ended(records, status)
    bold = f"**{' '.join(part for part in (what + '.', score) if part)}**"
    bold += f" ({details})" if details else ""
    if status.status == "complete":
        return Safe(f"{bold}, {ended}." if score else f"{bold} {ended[:1].upper()}{ended[1:]}.")
    return Safe(f"{bold}.\n\n**{ended}.**" if score else f"{bold}\n\n**{ended}.**")


def _what(records: dict[str, Any]) -> str:
    model = records["model_config"]
    shapes = single_shapes(model.input_shape) if model is not None else {}
    outputs = _outputs(records)
    if len(outputs) == 1:
        (task, classes), *_ = outputs.values()
        noun, of = _NOUNS[task], _inputs(shapes)
        into = {"multi_class": f" into {classes} classes", "multi_label": f" into {classes} labels"}.get(task, "")
        return f"{noun}{of}{into if classes else ''}"
    if outputs:
        parts = [f"{markdown_text(name, 40)} ({_output_text(*kind)})" for name, kind in outputs.items()]
        more = f" and {len(parts) - _MAXIMAL_OUTPUTS} more" if len(parts) > _MAXIMAL_OUTPUTS else ""
        return f"Model{_inputs(shapes)} with {len(parts)} outputs: {', '.join(parts[:_MAXIMAL_OUTPUTS])}{more}"
    return f"Model{_inputs(shapes)}"


def _output_text(task: str, classes: int | None) -> str:
    return "regression" if task == "regression" else f"{classes} classes" if classes else "classes"


def _inputs(shapes: dict[str, Any]) -> str:
    texts = {name: shape_text(shape) for name, shape in shapes.items()}
    if len(texts) == 1:
        (only,) = texts.values()
        count = only.isdecimal()
        return (
            "" if not only else f" of {only} {'input' if only == '1' else 'inputs'}" if count else f" of {only} inputs"
        )
    return f" of {len(texts)} inputs" if texts else ""


def _outputs(records: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    """By output: its task and the number of its classes; from the test data, else from the loss."""
    scores = test_scores_of(records["results"])
    tables = records["test_scores"].outputs if records["test_scores"] is not None else {}
    if scores:
        return {
            name: (score.decision.task, getattr(tables.get(name), "class_count", None))
            for name, score in scores.items()
        }
    train = records["train_config"]
    losses = known(train.phases[-1].losses, ()) if train is not None and train.phases else ()
    found = {loss.output: _task_of_loss(loss, records) for loss in losses}
    return {name: task for name, task in found.items() if task is not None}


def _task_of_loss(loss: Any, records: dict[str, Any]) -> tuple[str, int | None] | None:
    name = str(loss.config.get("name", "")) if isinstance(loss.config, dict) else ""
    text = f"{name} {short_name(loss.class_name)}".lower().replace("_", "")
    if "binarycrossentropy" in text:
        return "binary", None
    if "crossentropy" in text:
        shapes = list(single_shapes(records["model_config"].output_shape).values()) if records["model_config"] else []
        last = shapes[0][-1] if len(shapes) == 1 and isinstance(shapes[0], list | tuple) and shapes[0] else None
        return "multi_class", last if isinstance(last, int) else None
    errors = ("meansquared", "meanabsolute", "mse", "mae", "huber", "logcosh", "poisson")
    return ("regression", None) if any(error in text for error in errors) else None


def _score(results: Results | None) -> str:
    if results is None:
        return ""
    scores = test_scores_of(results)
    if len(scores) == 1:
        ((_, score),) = scores.items()
        return ", ".join(_named(name, index) for index, name in enumerate(_first_scores(score)))
    if scores:
        firsts = [(output, next(iter(_first_scores(score)), None)) for output, score in scores.items()]
        return "Test: " + ", ".join(
            f"{markdown_text(output, 40)} {text}" for output, text in firsts[:_MAXIMAL_OUTPUTS] if text
        )
    test = known(results.test)
    if test is not None:
        return "Test " + ", ".join(_metric(item) for item in list(test.metrics.items())[:3])
    return _without_test(results)


def _named(text: str, index: int) -> str:
    return f"Test {text}" if index == 0 else text


def _first_scores(score: HeadlineScores) -> list[str]:
    names = HEADLINE_SCORES[score.decision.task]
    return [
        f"{score_title(name)} {format_score(score.values[name])}" for name in names if is_finite(score.values.get(name))
    ]


def score_title(name: str) -> str:
    """A score's name for a reader: `mean absolute error`, `R2`, `ROC AUC`."""
    special = {"r2": "R\N{SUPERSCRIPT TWO}", "roc_auc": "ROC AUC", "roc_auc_macro": "ROC AUC (macro)", "f1": "F1"}
    return special.get(name) or name.replace("f1_", "F1_").replace("_", " ")


def _without_test(results: Results) -> str:
    for prefix, title in (("val_", "Validation "), ("", "Training ")):
        names = [name for name in results.final_metrics if name.startswith("val_") == bool(prefix)]
        names.sort(key=lambda name: name.removeprefix("val_").endswith("loss"))
        for name in names:
            if is_finite(results.final_metrics[name]):
                return title + _metric((name.removeprefix("val_"), results.final_metrics[name])) + " in the last epoch"
    return ""


def _metric(item: tuple[str, float]) -> str:
    return f"{markdown_text(item[0], 60)} {format_score(item[1])}"


def _score_details(results: Results | None) -> str:
    test = known(results.test) if results is not None else None
    if test is None:
        return "not tested" if results is not None and _without_test(results) else ""
    parts = []
    scores = list(test_scores_of(results).values())
    if len(scores) == 1:
        first = HEADLINE_SCORES[scores[0].decision.task][0]
        interval = scores[0].intervals.get(first)
        several = len(_first_scores(scores[0])) > 1
        of = f"{score_title(first)}: " if several else ""
        parts += [of + interval_text(interval, scores[0])] if isinstance(interval, Interval) else []
    count = known(test.sample_count)
    parts += [counted(count, "sample")] if count is not None else []
    return ", ".join(parts)


def interval_text(interval: Interval, score: HeadlineScores) -> str:
    """`95 % interval 0.978 to 0.994`."""
    level = known(score.bootstrap)
    percent = f"{100 * level.confidence_level:g} % " if level is not None else ""
    return f"{percent}interval {format_score(interval.low)} to {format_score(interval.high)}"


def _ended(records: dict[str, Any], status: Status) -> str:
    results: Results | None = records["results"]
    if results is None:
        return "nothing is known of its training"
    planned = planned_epochs(records["train_config"])
    done = results.epoch_count
    epochs = f"{done} of {counted(planned, 'epoch')}" if planned is not None else counted(done, "epoch")
    on = f"on {results.ended:%Y-%m-%d}"
    if status.status == "complete":
        return f"trained {epochs} in {format_seconds(results.training_seconds)} {on}"
    why = {"failed": "The training failed", "interrupted": "The training was interrupted"}.get(status.status, "")
    if status.exception is not None and status.exception.type.endswith("KeyboardInterrupt"):
        why = "The training was interrupted by hand"
    return f"{why or 'The training has not ended'} after {epochs} {on}"
