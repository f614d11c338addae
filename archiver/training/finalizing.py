"""`finalize`: test results and whatever else the callback could not see. Nothing is touched unless it changes."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from archiver import layout
from archiver.archive.documents import document_bytes
from archiver.archive.run import Run
from archiver.closing import forget_test_results, outcome, write_history, write_results
from archiver.errors import ArchiverError, ChangedWeightsError, RunStateError
from archiver.records.dataset import DatasetStats
from archiver.records.results import Results, TestResults
from archiver.sealing import changing
from archiver.training.capture import is_being_fitted
from archiver.training.collecting import add_later_cells
from archiver.training.data_stats import current_stats, tell_leaks, write_dataset_stats
from archiver.training.evaluation import Evaluation, Scoring, evaluate, write_predictions, write_scores
from archiver.training.evaluation_data import check_class_names, check_shapes, unpack
from archiver.training.outputs import Tasks
from archiver.training.session import Session
from archiver.training.weights import weights_digest

OnChangedWeights = Literal["error", "save"]


@dataclass(frozen=True)
class Request:
    """The arguments of `RunArchiver.finalize`, validated."""

    test_data: Any = None
    class_names: tuple[str, ...] | None = None
    on_changed_weights: OnChangedWeights = "error"
    batch_size: int | None = None
    steps: int | None = None
    task: Tasks = None
    threshold: float = 0.5


def finalize(session: Session, request: Request) -> Run:
    """Evaluate, compare with what the archive holds, and change the archive only where it differs.

    Raises:
        RunStateError: `fit` is still running.
        ChangedWeightsError: the model's weights are not those of the archive.
        DataError: the test data or the class names do not fit.
    """
    if session.is_training and is_being_fitted(session.model):
        raise RunStateError("finalize was called while fit is running. Call it after fit has returned.")
    check_class_names(request.class_names, session.model, None)
    evaluation, save_again = None, False
    if request.test_data is not None:
        digest, save_again = _digest_to_evaluate(session, request.on_changed_weights)
        evaluation = _evaluate(session, request, digest)
    session.class_names = request.class_names or session.class_names
    session.settle()
    if evaluation is not None:
        session.splits["test"] = evaluation.split
    if save_again or session.pending or _differs(session, evaluation):
        _change(session, evaluation, save_again=save_again)
    session.let_go()
    session.wait_for_upload()
    return session.run


def _digest_to_evaluate(session: Session, on_changed_weights: OnChangedWeights) -> tuple[str, bool]:
    digest = weights_digest(session.model.weights)
    if digest == session.weights_digest:
        return digest, False
    if on_changed_weights == "error":
        raise ChangedWeightsError(
            f"The model's weights (digest {digest[:12]}) are not those of the archive "
            f"({session.weights_digest[:12] if session.weights_digest else 'none were saved'}). Results must describe "
            "the archived weights: finalize before changing the model, or pass "
            'on_changed_weights="save" to save it again.'
        )
    return digest, True


def _evaluate(session: Session, request: Request, digest: str) -> Evaluation:
    data = unpack(request.test_data, request.steps)
    class_names = request.class_names or session.class_names
    check_shapes(session.model, data.given[0], data.given[1])
    check_class_names(class_names, session.model, data.given[1])
    scoring = Scoring(request.task, request.threshold, class_names)
    began = perf_counter()
    try:
        return evaluate(
            session.model, data, scoring, weights_digest=digest, batch_size=request.batch_size, run=session.run
        )
    finally:
        session.evaluation_seconds = perf_counter() - began


def _differs(session: Session, evaluation: Evaluation | None) -> bool:
    run = session.run
    try:
        results, stats = run.read(layout.RESULTS), run.read(layout.DATASET_STATS)
        if evaluation is not None and not _same_scores(run, evaluation):
            return True
    except ArchiverError:
        return True
    wanted = outcome(run, evaluation.results if evaluation else None)[1]
    return _timeless(results) != _timeless(wanted) or not _same_stats(session, stats)


def _same_scores(run: Run, evaluation: Evaluation) -> bool:
    scores = run.read_if_there(layout.TEST_SCORES)
    if scores is None or evaluation.scores is None:
        return scores is None and evaluation.scores is None
    return document_bytes(scores.model_copy(update={"schema_reference": ""})) == document_bytes(evaluation.scores)


def _timeless(results: Results) -> bytes:
    # Documents are compared, not records: NaN equals nothing, not even itself.
    update: dict[str, Any] = {"schema_reference": ""}
    if isinstance(results.test, TestResults):
        update["test"] = results.test.model_copy(update={"evaluated": results.started})
    return document_bytes(results.model_copy(update=update))


def _same_stats(session: Session, stats: DatasetStats) -> bool:
    return document_bytes(stats.model_copy(update={"schema_reference": ""})) == document_bytes(current_stats(session))


def _change(session: Session, evaluation: Evaluation | None, *, save_again: bool) -> None:
    run = session.run
    results = evaluation.results if evaluation else None
    options = session.options
    with (
        session.warned_of_secrets(),
        changing(run, session.journal, options.report, allow_secrets=options.allow_secrets),
    ):
        session.write_pending()
        session.attempt("source", lambda: add_later_cells(run), layout.SOURCE)
        if save_again:
            session.save(session.model)
        if evaluation is not None and results is not None:
            session.attempt("earlier test results", lambda: forget_test_results(run))
            session.attempt("predictions", lambda: write_predictions(run, evaluation), layout.PREDICTIONS)
            session.attempt("test scores", lambda: write_scores(run, evaluation), layout.TEST_SCORES)
            session.say(
                "evaluated",
                metrics=results.metrics,
                weights_digest=results.weights_digest,
                seconds=session.evaluation_seconds,
            )
        stats = session.attempt("dataset stats", lambda: write_dataset_stats(session), layout.DATASET_STATS)
        if stats is not None:
            tell_leaks(session, stats)
        session.attempt("history", lambda: write_history(run), layout.HISTORY)
        session.attempt("results", lambda: write_results(run, results), layout.RESULTS)
    session.note_seal()
    session.ask_for_upload()
