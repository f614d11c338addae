"""Bringing a run to its end: history and results from its journal, then the seal.

Serves the live run as well as `archiver finalize`, which closes what a killed process left.
"""

from __future__ import annotations

from archiver import layout
from archiver.archive.outcome import build_history, build_results
from archiver.archive.run import Run
from archiver.errors import ArchiverError, RunStateError
from archiver.records.base import Unavailable
from archiver.records.results import Results, TestResults
from archiver.records.training import History
from archiver.sealing import seal, unseal
from archiver.storage import files
from archiver.storage.journal import Journal


def outcome(run: Run, test: TestResults | Unavailable | None = None) -> tuple[History, Results]:
    """History and results as the journal tells them now.

    Args:
        run: the run.
        test: results on test data; None keeps those the archive holds, if they are of the weights it holds.
    """
    contents = run.journal.read()
    history = build_history(contents)
    results = build_results(run, contents, history, test or Unavailable(unavailable="not evaluated"))
    if test is None:
        results = results.model_copy(update={"test": _kept_test_results(run, results)})
    return history, results


def _kept_test_results(run: Run, results: Results) -> TestResults | Unavailable:
    try:
        old = run.read_if_there(layout.RESULTS)
    except ArchiverError:
        old = None
    if old is None or isinstance(old.test, Unavailable):
        return Unavailable(unavailable="finalize(test_data=...) was not called")
    if old.test.weights_digest != results.weights_digest:
        return Unavailable(unavailable="the weights have changed since the model was evaluated; finalize it again")
    return old.test


def write_history(run: Run) -> None:
    """Write the metrics of every epoch."""
    run.write(layout.HISTORY, outcome(run)[0])


def write_results(run: Run, test: TestResults | Unavailable | None = None) -> None:
    """Write the results; `test` as for `outcome`. Predictions of weights that are no longer there go with theirs."""
    results = outcome(run, test)[1]
    run.write(layout.RESULTS, results)
    if isinstance(results.test, Unavailable):
        files.remove(run.path_of(layout.PREDICTIONS))


def close_unfinished(run: Run, *, force: bool = False) -> str:
    """Seal what a run left behind whose process is gone, or whose seal was interrupted.

    Args:
        run: the run.
        force: also where the process cannot be looked at because it belongs to another machine.

    Returns:
        The seal id; that of a sealed archive, which is left alone, too.

    Raises:
        RunStateError: its process is still there.
        StorageError: the file system refused.
    """
    sealed = run.seal_id
    if sealed is not None:
        return sealed
    status = run.status
    if status.status == "running" and not (force and status.note):
        reason = status.note or "its process is alive"
        remedy = "--force seals it all the same" if status.note else "wait for it, or stop it first"
        raise RunStateError(f"{run.path}: the training is still running ({reason}); {remedy}.")
    journal = Journal(run.path, part=_next_part(run))
    unseal(run, journal)
    if status.note is not None:
        journal.append("status", status="interrupted", note=status.note)
    write_history(run)
    write_results(run)
    return seal(run, journal)


def _next_part(run: Run) -> int:
    return max((event.part for event in run.journal.read().events), default=0) + 1


def forget_models(run: Run) -> None:
    """Remove what describes the files in `models/`, before they are replaced by those of other weights.

    They cannot all be replaced at once: what a kill in between leaves is not described at all, instead of wrongly.
    """
    files.remove(run.path_of(layout.CHECKPOINT_STATE))
    files.remove(run.path_of(layout.WEIGHTS))
