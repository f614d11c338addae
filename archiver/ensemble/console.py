"""What a search says on standard output: a line for each candidate."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from archiver.ensemble.candidates import Candidate
from archiver.ensemble.journal import EnsembleContents
from archiver.ensemble.prediction import memory_time_correlation
from archiver.records.ensemble import MEBIBYTE, EnsembleIteration, StageTwoPart


class Console:
    """Prints, from several threads too.

    Args:
        total: number of all candidates.
        metric: name of the score.
        verbose: False: print nothing.
    """

    def __init__(self, total: int, metric: str, *, verbose: bool) -> None:
        self._total, self._metric, self._verbose = total, metric, verbose
        self._lock = threading.Lock()

    def _say(self, line: str) -> None:
        if self._verbose:
            with self._lock:
                sys.stdout.write(line + "\n")
                sys.stdout.flush()

    def begin(self, folder: Path, done: int) -> None:
        """The search begins, or goes on."""
        self._say(f"{folder}: {self._total} candidates" + (f", {done} of them done before" if done else ""))

    def warn(self, candidate: Candidate, text: str) -> None:
        """Before a candidate is started."""
        self._say(f"WARNING {candidate.name}: {text}")

    def iteration(self, line: EnsembleIteration) -> None:
        """After each candidate."""
        width = len(str(self._total))
        head = f"[{line.iteration + 1:{width}}/{self._total}]"
        if line.error is not None:
            self._say(f"{head} failed    {line.candidate} ({line.classifier_type}): {line.error}")
            return
        verdict = "accepted" if line.accepted else "rejected"
        gain = f" {line.score_gain:+.5f}" if line.accepted and line.score_gain is not None else ""
        ensemble = f"{line.ensemble_score:.5f}" if line.ensemble_score is not None else "empty"
        parts = [
            f"{head} {verdict}  {line.candidate} ({line.classifier_type})",
            f"{self._metric} {line.score:.5f}",
            f"ensemble {ensemble}{gain}",
            _memory(line),
            f"{line.training_seconds:.1f} s" if line.training_seconds is not None else "",
            _stage_two(line.stage2, line.stage2_memory_mb),
        ]
        self._say("  ".join(part for part in parts if part))
        for alert in line.alerts:
            self._say(f"{'':{len(head)}} ALERT {alert}")

    def end(self, contents: EnsembleContents, stage_two: StageTwoPart | None) -> None:
        """The search is complete."""
        done, lines = contents.completed, contents.iterations
        members = lines[-1].members if lines else {}
        if done is None or done.score is None:
            self._say("COMPLETE: no candidate could be trained")
            return
        test = f", on test data {done.test_score:.5f}" if done.test_score is not None else ""
        self._say(f"COMPLETE: {len(members)} of {len(lines)} candidates, {self._metric} {done.score:.5f}{test}")
        if stage_two is not None:
            test = f", on test data {stage_two.test_score:.5f}" if stage_two.test_score is not None else ""
            self._say(f"stage 2: {stage_two.run}, {self._metric} {stage_two.score:.5f}{test}")
        used = [line.training_memory_mb for line in lines]
        known = [value for value in used if value is not None]
        if known:
            related = memory_time_correlation(used, [line.training_seconds for line in lines])
            text = f"; rank correlation with time {related:.2f}" if related is not None else ""
            self._say(f"memory of training: mean {sum(known) / len(known):,.0f} MB, peak {max(known):,.0f} MB{text}")


def _memory(line: EnsembleIteration) -> str:
    use = line.memory
    if use is None:
        return "memory not measured"
    expected = f", expected {line.prediction.memory_mb:,.0f}" if line.prediction is not None else ""
    gpu = f", GPU {use.gpu_peak_bytes / MEBIBYTE:,.0f} MB" if use.gpu_peak_bytes is not None else ""
    before, after, peak = (value / MEBIBYTE for value in (use.before_bytes, use.after_bytes, use.peak_bytes))
    return f"memory {use.added_mb:,.0f} MB (before {before:,.0f}, peak {peak:,.0f}, after {after:,.0f}{expected}{gpu})"


def _stage_two(part: StageTwoPart | None, memory_mb: float | None) -> str:
    if part is None:
        return ""
    return f"stage 2 {part.score:.5f}, {memory_mb:,.0f} MB, {part.seconds:.1f} s"
