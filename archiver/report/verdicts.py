"""What stands in the table below the headline: each question of a reader with its answer."""

from __future__ import annotations

from typing import Any

from archiver.archive.status import Status
from archiver.archive.summary import counted
from archiver.records.performance import Convergence, Overfitting
from archiver.records.results import BestEpoch, Results
from archiver.report.markdown import Safe, format_number, format_score, markdown_text
from archiver.report.values import is_finite, known, value_at
from archiver.report.versions import parents_text

Verdict = tuple[str, Safe]
"""The question, and its answer as Markdown of one line."""

_REASONS = {
    "epochs": "all epochs done",
    "early_stopping": "EarlyStopping ended it",
    "nan": "ended by a loss that was not finite",
    "guard": "ended by a guard of archiver",
    "signal": "ended by a signal",
    "user": "ended by `model.stop_training`",
}


def verdicts(records: dict[str, Any], status: Status) -> list[Verdict]:
    """The rows, those that have something to say."""
    results = records["results"]
    rows = [("Status", _status(status))]
    rows.append(
        (
            "Seal",
            Safe("`archiver verify .` checks every file; its seal id, noted elsewhere, proves that none was exchanged"),
        )
    )
    if results is not None:
        rows += _best(results, records["history"])
        rows += _generalisation(results, records["history"])
        rows += _convergence(results)
    rows += _repeatable(records["train_config"])
    if results is not None and results.parents:
        rows.append(("Went on from", parents_text(results.parents)))
    return rows + _labels(records["run"])


def _status(status: Status) -> Safe:
    if status.exception is not None:
        error = status.exception
        where = f", at {markdown_text(error.location)}" if error.location else ""
        text = f": {markdown_text(error.message)}" if error.message else ""
        return Safe(f"{status.status}: {markdown_text(error.type)}{text}{where}")
    if status.stop_reason is not None:
        return Safe(f"{status.status}: {_REASONS[status.stop_reason]}")
    return Safe(f"{status.status}" + (f": {markdown_text(status.note)}" if status.note else ""))


def _best(results: Results, history: Any) -> list[Verdict]:
    best: BestEpoch | None = known(results.best_epoch)
    if best is None:
        return []
    phase = f" of phase {best.phase + 1}" if results.phase_count > 1 else ""
    text = f"{best.epoch + 1}{phase} ({markdown_text(best.monitor, 60)} {format_number(best.value)})"
    if best.file is not None:
        rest = "no model was saved whole" if known(results.weights_digest) is None else "the model has the last epoch's"
        where = f"`{best.file}` holds its weights; {rest}"
    elif known(results.weights_digest) is None:
        where = "no model was saved"
    else:
        stop = history.phases[best.phase].early_stopping if history and len(history.phases) > best.phase else None
        is_last = history is not None and history.phases[-1].epochs[-1:] == (best.epoch,)
        restored = stop is not None and stop.restored_epoch == best.epoch and not is_last
        where = "`models/` holds its weights" + (", which EarlyStopping restored" if restored else "")
    return [("Best epoch", Safe(f"{text}; {where}"))]


def _generalisation(results: Results, history: Any) -> list[Verdict]:
    """The same metric on all splits, at the epoch whose weights are in `models/`."""
    metric = _compared_metric(results)
    best: BestEpoch | None = known(results.best_epoch)
    if metric is None or history is None or not history.phases or not history.phases[-1].epochs:
        return []
    at = (history.phases[-1].phase, history.phases[-1].epochs[-1])
    if best is not None and best.file is None and known(results.weights_digest) is not None:
        at = (best.phase, best.epoch)
    test = known(results.test)
    parts = [
        ("train", value_at(history, metric, *at)),
        ("validation", value_at(history, f"val_{metric}", *at)),
        ("test", test.metrics.get(metric) if test is not None else None),
    ]
    shown = [f"{split} {format_score(value)}" for split, value in parts if is_finite(value)]
    if len(shown) < 2:  # noqa: PLR2004 - one number alone says nothing of generalisation
        return []
    verdict = _overfitting(results.convergence) + _below_validation(results, metric, parts[1][1], parts[2][1])
    return [("Generalisation", Safe(f"{markdown_text(metric, 60)}: {', '.join(shown)}{verdict}"))]


WORSE_SHARE = 0.1
"""By how much a test value is worse than the validation value, as a share of it, for a remark."""


def _below_validation(results: Results, metric: str, validation: float | None, test: float | None) -> str:
    performance = results.performance.get(f"val_{metric}")
    if performance is None or performance.direction == "unknown" or not is_finite(validation) or not is_finite(test):
        return ""
    worse = (validation - test) * (1 if performance.direction == "max" else -1)  # type: ignore[operator]
    return "; **the test value is much worse**" if worse > WORSE_SHARE * abs(validation) else ""  # type: ignore[arg-type]


def _compared_metric(results: Results) -> str | None:
    """The first metric that is no loss and was validated or tested; else the loss."""
    test = known(results.test)
    compared = {name.removeprefix("val_") for name in results.final_metrics if name.startswith("val_")}
    compared |= set(test.metrics) if test is not None else set()
    names = [name for name in results.final_metrics if name in compared]
    names.sort(key=lambda name: name.endswith("loss"))
    return names[0] if names else None


def _overfitting(convergence: Any) -> str:
    if not isinstance(convergence, Convergence) or not isinstance(convergence.overfitting, Overfitting):
        return ""
    found = convergence.overfitting
    if found.is_overfitting is True:
        since = f"since epoch {found.best.epoch + 1} it got worse in validation while it got better in training"
        return f"; **over-fitting** of {markdown_text(found.metric, 60)}: {since}"
    return "; no sign of over-fitting" if found.is_overfitting is False else ""


_STATES = {
    "improving": "still improving at the end: more epochs may help",
    "plateau": "came to rest",
    "worsening": "getting worse at the end",
    "diverged": "**diverged**: its last value is not finite",
}


def _convergence(results: Results) -> list[Verdict]:
    convergence = known(results.convergence)
    if convergence is None:
        return []
    curve = convergence.whole_run
    state = known(curve.state)
    if state is None:
        return []
    plateau, after = known(curve.plateau), known(curve.epochs_after_plateau)
    text = f"{markdown_text(convergence.monitor, 60)} {_STATES[state]}"
    if state == "plateau" and plateau is not None and after:
        text += f": epoch {plateau.epoch + 1}, {counted(after, 'epoch')} before the end, had 99 % of the gain"
    return [("Convergence", Safe(text))]


def _repeatable(train_config: Any) -> list[Verdict]:
    if train_config is None or not train_config.phases:
        return []
    phase = train_config.phases[-1]
    seed, found = known(phase.seed), known(phase.determinism)
    seeded = f"seed {seed.seed}" if seed is not None else "not seeded"
    if found is None:
        return [("Run again", Safe(seeded))]
    count = len(found.sources_of_variation)
    rest = f"{counted(count, 'thing')} can make it differ, see below" if count else "the same bits are expected"
    return [("Run again", Safe(f"{seeded}; {rest}"))]


def _labels(run: Any) -> list[Verdict]:
    rows: list[Verdict] = []
    if run is not None and run.group:
        rows.append(("Group", markdown_text(run.group)))
    if run is not None and run.tags:
        rows.append(("Tags", Safe(", ".join(markdown_text(tag, 60) for tag in run.tags[:20]))))
    return rows
