"""The verdict on a repetition, as `archiver.compare` gives it, in the form of a record."""

from __future__ import annotations

from archiver.archive.run import Run
from archiver.comparison.comparing import Comparison, compare
from archiver.comparison.verdicts import LargestDifference
from archiver.records.reproduction import CausePart, LargestDifferencePart, TolerancesPart, VerdictPart

MAXIMAL_CAUSES = 50


def verdict(original: Run, repetition: Run) -> VerdictPart:
    """Compare a run with its repetition."""
    comparison = compare(original, repetition)
    found = comparison.verdict
    return VerdictPart(
        judgement=found.outcome,
        summary=found.reason,
        compared=found.compared,
        not_compared=tuple(f"{gap.what} ({gap.reason})" for gap in found.not_compared),
        tolerances=TolerancesPart(absolute=found.tolerances.absolute, relative=found.tolerances.relative),
        largest_difference=_largest(found.largest),
        first_divergence=_first(comparison),
        causes=tuple(
            CausePart(kind=cause.kind, text=cause.text, why=cause.why) for cause in comparison.causes[:MAXIMAL_CAUSES]
        ),
    )


def _largest(found: LargestDifference | None) -> LargestDifferencePart | None:
    if found is None:
        return None
    return LargestDifferencePart(
        what=found.what,
        where=found.where,
        difference=found.difference,
        magnitude=found.magnitude,
        excess=found.excess,
    )


def _first(comparison: Comparison) -> str | None:
    """Phases, epochs and steps counted from 1, as readers do."""
    step, epoch = comparison.verdict.first_step, comparison.verdict.first_epoch
    if step is not None:
        about = "" if step.is_exact else ", or an earlier one that the traces left out"
        return f"step {step.step + 1} of epoch {step.epoch + 1}{_of_phase(step.phase)}{about}"
    if epoch is not None:
        return f"epoch {epoch.epoch + 1}{_of_phase(epoch.phase)}: {epoch.metric}"
    if comparison.verdict.initial_weights == "other":
        return "the initial weights"
    return None


def _of_phase(phase: int) -> str:
    return f" of phase {phase + 1}" if phase else ""
