"""Sentences about a comparison, for the screen, the page and the dashboard: plain text, one line each."""

from __future__ import annotations

import math

from archiver.archive.summary import counted
from archiver.comparison.comparing import Comparison
from archiver.comparison.curves import EpochDifference, MetricDifference
from archiver.comparison.differences import Gap, value_texts
from archiver.comparison.evaluations import PredictionsDifference
from archiver.comparison.verdicts import LargestDifference, Verdict
from archiver.comparison.weights import LayerDistance, WeightsDifference

TITLES = {
    "seeds": "seeds",
    "data": "data",
    "configuration": "configuration",
    "code": "code",
    "origin": "origin",
    "packages": "packages",
    "settings": "settings",
    "hardware": "hardware",
    "platform": "platform",
}


def verdict_lines(verdict: Verdict) -> list[tuple[str, str]]:
    """`(what, text)`: the verdict, what it rests on, and where the runs first and most differ."""
    lines = [("verdict", f"{verdict.outcome}: {verdict.reason}")]
    if verdict.largest is not None:
        lines.append(("largest difference", largest_text(verdict.largest)))
    lines += _first(verdict)
    if verdict.initial_weights != "unknown":
        lines.append(("began with", f"{'the same' if verdict.initial_weights == 'same' else 'other'} weights"))
    tolerances = verdict.tolerances
    lines.append(("tolerance", f"{tolerances.relative:g} relative, {tolerances.absolute:g} absolute"))
    if verdict.compared:
        lines.append(("rests on", ", ".join(verdict.compared)))
    return lines


def _first(verdict: Verdict) -> list[tuple[str, str]]:
    found = []
    if verdict.first_epoch is not None:
        found.append(("first differs", epoch_text(verdict.first_epoch)))
    step = verdict.first_step
    if step is not None:
        exactly = "" if step.is_exact else " (the trace leaves steps out)"
        phase = f" of phase {step.phase + 1}" if step.phase else ""
        values = " against ".join(value_texts(step.before, step.after))
        where = f"after step {step.step + 1} of epoch {step.epoch + 1}{phase}"
        found.append(("first step", f"{where}{exactly}: running mean of the loss {values}"))
    return found


def epoch_text(point: EpochDifference) -> str:
    """Such as `epoch 3: loss 0.5 against 0.25`; epochs are counted from 1."""
    phase = f" of phase {point.phase + 1}" if point.phase else ""
    if point.before is None or point.after is None:
        return f"epoch {point.epoch + 1}{phase}: {point.metric} in {'B' if point.before is None else 'A'} only"
    values = " against ".join(value_texts(point.before, point.after))
    return f"epoch {point.epoch + 1}{phase}: {point.metric} {values}"


def largest_text(largest: LargestDifference) -> str:
    """Where it is, its size, and how it stands to the tolerance."""
    if not math.isfinite(largest.difference):
        return f"{largest.where}: one has a number, the other has none"
    share = f"{largest.excess:.3g} times the tolerance" if math.isfinite(largest.excess) else "no tolerance allows it"
    return f"{largest.where}: {largest.difference:.3g} (relative {largest.relative:.3g}), {share}"


def metric_row(metric: MetricDifference) -> tuple[str, ...]:
    """Metric, first epoch that differs, largest difference with its epoch, last values of both."""
    largest = metric.largest
    size = f"{largest.absolute:.3g}" if math.isfinite(largest.absolute) else "not in both"
    phase = f"{metric.first.phase + 1}." if any(key[0] for key in metric.epochs) else ""
    return (
        metric.metric,
        f"{phase}{metric.first.epoch + 1}",
        f"{size} in {phase}{largest.epoch + 1}",
        *value_texts(metric.last.before, metric.last.after),
    )


METRIC_HEAD = ("metric", "differs from epoch", "largest difference", "last in A", "last in B")


def layer_row(layer: LayerDistance) -> tuple[str, ...]:
    """Layer, relative distance, largest difference and where, cosine, share of elements that differ."""
    distance = layer.distance
    if distance is None:
        notes = dict.fromkeys(part.note for part in layer.variables if part.note)
        return (layer.layer, "unknown", "; ".join(notes), "", "")
    found = [part for part in layer.variables if part.distance is not None]
    farthest = max(found, key=lambda part: part.distance.maximal_absolute if part.distance else 0.0)
    at = f" {list(farthest.largest_at)}" if farthest.largest_at else ""
    cosine = "" if distance.cosine is None else f"{distance.cosine:.6f}"
    name = farthest.path.rpartition("/")[2]
    share = f"{distance.changed_count:,} of {distance.element_count:,}"
    return (layer.layer, f"{distance.relative:.3g}", f"{distance.maximal_absolute:.3g} at {name}{at}", cosine, share)


LAYER_HEAD = ("layer", "relative distance", "largest difference", "cosine", "elements that differ")


def weights_text(weights: WeightsDifference) -> str:
    """How many variables differ, and how far they are apart together."""
    count = weights.variable_count - weights.equal_count
    text = f"{count:,} of {counted(weights.variable_count, 'variable')} differ"
    if weights.distance is not None:
        text += f"; relative distance of these together {weights.distance.relative:.3g}"
    before, after = weights.only_before, weights.only_after
    for what, paths in (
        ("of another shape or type", [path for path in before if path in after]),
        ("in A only", [path for path in before if path not in after]),
        ("in B only", [path for path in after if path not in before]),
    ):
        text += f"; {what}: {', '.join(paths[:5])}{' and more' if len(paths) > 5 else ''}" if paths else ""  # noqa: PLR2004
    return text


def predictions_text(part: PredictionsDifference) -> str:
    """How far predictions are apart, and how many samples get another class."""
    if part.distance is None:
        return f"{part.output}: they differ ({part.note})"
    text = f"{part.output}: up to {part.distance.maximal_absolute:.3g}"
    text += f", at test sample {part.largest_sample}" if part.largest_sample is not None else ""
    if part.other_class_count is not None:
        text += f"; another class for {part.other_class_count:,} of {part.compared_count:,} samples"
    if part.compared_count < part.sample_count:
        text += f"; the first {part.compared_count:,} of {part.sample_count:,} samples are kept"
    return text


def gap_text(gap: Gap) -> str:
    """What could not be compared."""
    side = {"before": "A", "after": "B", "both": "A and B"}[gap.side]
    return f"{gap.what} ({side}): {gap.reason}"


def gaps_of(comparison: Comparison) -> list[str]:
    """All that could not be compared, each once."""
    return list(dict.fromkeys(map(gap_text, (*comparison.gaps, *comparison.verdict.not_compared))))
