"""Helpers for tests, yours and ours: complete archives in milliseconds, without Keras and without training.

    from archiver.testing import tiny_run

    def test_my_tool(tmp_path):
        run = tiny_run(tmp_path)
        archiver.verify(run.path, deep=True).raise_for_findings()

The files are what `RunArchiver` writes of a Sequential model of two dense layers with a dropout between them, by the
same functions in the same order; only the numbers are made up. The same arguments give the same weights and metrics.
"""

from __future__ import annotations

from pathlib import Path

from archiver import layout
from archiver.archive.claiming import claim
from archiver.archive.run import Run
from archiver.closing import close_unfinished, forget_test_results, write_history, write_results
from archiver.collect.identity import this_process
from archiver.errors import ArgumentError
from archiver.naming import run_name
from archiver.records.journal import ExceptionPart, ProcessIdentity, RunStatus
from archiver.report.report import ReportOptions
from archiver.sealing import changing, seal, unseal
from archiver.storage import files
from archiver.storage.journal import Journal, events_named
from archiver.storage.npz import write_npz
from archiver.testing.ensembles import tiny_ensemble
from archiver.testing.evaluation import made_up_results
from archiver.testing.models import TinyModel, save_models, write_weights
from archiver.testing.numbers import BATCH_SIZE, SAMPLES
from archiver.testing.records import NOTES, dataset_stats, write_configs, write_environment
from archiver.testing.telemetry import write_telemetry, write_traces
from archiver.training.steps import StepTrace

__all__ = ["add_phase", "add_test_results", "gone_process", "tiny_ensemble", "tiny_run"]


def tiny_run(
    root: Path,
    name: str = "tiny",
    *,
    epochs: int = 2,
    phases: int = 1,
    tested: bool = False,
    sealed: bool = True,
    status: RunStatus = "complete",
    figures: bool = False,
) -> Run:
    """An archive as the callback leaves it.

    Args:
        root: the folder of the runs; where the name is taken, the next version is claimed.
        name: the run's name.
        epochs: of each phase.
        phases: calls of `fit`, each of them sealed before the next.
        tested: also what `finalize(test_data=...)` adds: test results and predictions, and one more seal.
        sealed: False: as a process leaves it that was killed before the last seal.
        figures: whether the report has figures, which take most of the time.
        status: of the last phase. "failed" and "interrupted" leave no models of it; "running" is never sealed.

    Raises:
        ArgumentError: the arguments contradict each other.
    """
    if phases < 1 or (status == "running" and sealed) or (tested and not (sealed and status == "complete")):
        raise ArgumentError(
            f"Received phases={phases}, tested={tested}, sealed={sealed}, status={status!r}. Expected at least one "
            "phase, sealed=False for a running one, and a complete and sealed one for tested=True."
        )
    run, version = claim(root, run_name(name), "version")
    Journal(run.path).keep_reserve()
    for phase in range(phases):
        is_last = phase == phases - 1
        add_phase(
            run,
            epochs=epochs,
            version=version,
            sealed=sealed or not is_last,
            status=status if is_last else "complete",
            figures=figures,
        )
    if tested:
        add_test_results(run, figures=figures)
    return run


def add_phase(
    run: Run,
    *,
    epochs: int = 2,
    version: int = 1,
    sealed: bool = True,
    status: RunStatus = "complete",
    figures: bool = False,
) -> None:
    """One more call of `fit` on the model of a `tiny_run`, with other weights than those before.

    Args:
        run: the archive, sealed or not.
        epochs: of this phase.
        version: of the run's name; for the first phase.
        sealed: whether to seal at the end.
        status: what becomes of the phase; see `tiny_run`.
        figures: whether the report has figures.
    """
    journal = Journal(run.path)
    unseal(run, journal)
    journal.keep_reserve()
    phase = sum(1 for _ in events_named(journal.read(), "phase_started"))
    process = this_process() if status == "running" else gone_process()
    journal.append("phase_started", phase=phase, process=process.model_dump(), local_offset_seconds=3600)
    if phase == 0:
        write_environment(run, version, process)
        files.write_text(run.path / "files" / "notes.txt", NOTES)
        journal.append("file_added", file="files/notes.txt")
        journal.append("logged", name="answer", value=42)
    write_configs(run, phase, epochs)
    _train(run, journal, phase, epochs)
    write_traces(run, phase)
    if status == "complete":
        save_models(run, journal, phase, epochs)
        write_telemetry(run, phase)
        journal.append("status", phase=phase, status="complete", stop_reason="epochs")
    elif status == "failed":
        write_telemetry(run, phase)
        error = ExceptionPart(type="ValueError", message="made up by archiver.testing", location="train.py:3")
        journal.append("status", phase=phase, status="failed", exception=error.model_dump())
    if sealed and status == "interrupted":
        close_unfinished(run, report=ReportOptions(figures=figures))
    elif sealed:
        write_history(run)
        write_results(run)
        seal(run, journal, ReportOptions(figures=figures))


def add_test_results(run: Run, *, figures: bool = False) -> None:
    """What `finalize(test_data=...)` adds to a complete run."""
    results, scores, arrays = made_up_results(run.name, run.read(layout.WEIGHTS).weights_digest)
    with changing(run, report=ReportOptions(figures=figures)):
        forget_test_results(run)
        with files.replacing(run.path_of(layout.PREDICTIONS)) as temporary:
            write_npz(temporary, arrays.items())
        if scores is not None:
            run.write(layout.TEST_SCORES, scores)
        run.journal.append("evaluated", metrics=results.metrics, weights_digest=results.weights_digest, seconds=0.5)
        run.write(layout.DATASET_STATS, dataset_stats("train", "validation", "test"))
        write_history(run)
        write_results(run, results)


def gone_process() -> ProcessIdentity:
    """The identity of a process of this machine that is no longer there."""
    return this_process().model_copy(update={"start_time_seconds": 0.0})


def _train(run: Run, journal: Journal, phase: int, epochs: int) -> None:
    """The first epoch of a phase is its best one; its weights are kept."""
    batches = {"batch_size": BATCH_SIZE, "batch_count": SAMPLES // BATCH_SIZE, "last_batch_size": None}
    limits = {"memory_soft_bytes": 3 << 30, "memory_hard_bytes": 4 << 30}
    seconds = {"collecting_seconds": 0.25, "preparation_seconds": None}
    training = {"model": {"class": "keras.src.models.sequential.Sequential"}, "fit": {"epochs": epochs}, "seed": None}
    journal.append("training_began", phase=phase, **seconds, limits=limits, training=training, **batches)
    trace = StepTrace(run.path_of(layout.STEPS), part=0)
    for epoch in range(epochs):
        trace.begin_epoch(phase, epoch)
        loss = 1 / (phase + 1) + 0.125 * epoch
        for step in range(SAMPLES // BATCH_SIZE):
            trace.ring.record(step, loss)
        metrics = {"accuracy": 0.5, "loss": loss, "val_accuracy": 0.5, "val_loss": loss}
        directions = {"directions": {name: "max" if "acc" in name else "min" for name in metrics}} if not epoch else {}
        rest = {"learning_rate": 0.01, **_seconds(epoch), **directions}
        journal.append("epoch_ended", phase=phase, epoch=epoch, metrics=metrics, **rest)
        trace.end_epoch(phase, epoch)
        if epoch == 0:
            model = TinyModel.after(phase, epoch)
            with files.replacing(run.path_of(layout.BEST_WEIGHTS)) as temporary:
                write_weights(temporary, model)
            best = {"monitor": "val_loss", "mode": "min", "value": loss, "weights_digest": model.digest()}
            journal.append("best_epoch", phase=phase, epoch=epoch, **best)


def _seconds(epoch: int) -> dict[str, float]:
    """A first step takes longer, and that of the first epoch much longer."""
    first = 0.75 if epoch == 0 else 0.03125
    count = SAMPLES // BATCH_SIZE
    train = first + (count - 1) * 0.015625
    return {
        "seconds": train + 0.1875,
        "train_seconds": train,
        "step_count": count,
        "first_step_seconds": first,
        "median_step_seconds": 0.015625,
        "validation_seconds": 0.125,
    }
