"""A run while it is alive: what the callback knows between the claim of a name and the seal."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from archiver import layout
from archiver.archive.claiming import claim, unfinished_runs
from archiver.archive.failures import exception_part, record_failure
from archiver.archive.ownership import note_own
from archiver.archive.phases import CUT_OFF
from archiver.archive.run import Run
from archiver.closing import write_history, write_results
from archiver.collect.identity import this_process
from archiver.collect.splits import DescribedSplit
from archiver.errors import ArchiverWarning, RemoteError, SecretsFoundError, StorageError
from archiver.records.base import local_offset_seconds
from archiver.records.dataset import DatasetStats
from archiver.records.journal import EventName, StopReason
from archiver.sealing import seal, unseal
from archiver.storage import files
from archiver.storage.journal import Journal
from archiver.storage.manifests import check_names
from archiver.training import exits
from archiver.training.adopting import Adopted, Plan
from archiver.training.architecture import model_config
from archiver.training.background import Job
from archiver.training.best import BestWeights, directions_of
from archiver.training.capture import FitCall, is_being_fitted
from archiver.training.checkpoints import NO_DATA, DataState, save_checkpoint
from archiver.training.clock import Clock
from archiver.training.gathering import Workers
from archiver.training.models import save_models
from archiver.training.options import Options
from archiver.training.passing import PassingBatches
from archiver.training.safeguards import Safeguards
from archiver.training.snapshots import Snapshots
from archiver.training.sources import Sources
from archiver.training.steps import StepTrace
from archiver.training.taking_over import begin_again_from, take_over
from archiver.training.telemetry import RunTelemetry
from archiver.training.uploads import Upload
from archiver.training.weight_changes import WeightChanges
from archiver.training.workers import Place

T = TypeVar("T")


class Session:
    """One run, from its claim on. Steps that fail are recorded and warned about once; none of them raises."""

    upload: Upload | None = None
    """To a store, where the root is one."""
    workers: Workers | None = None
    """The other processes, where several train together."""

    def __init__(self, run: Run, version: int, options: Options, model: Any, adopted: Adopted | None = None) -> None:
        part = adopted.part if adopted is not None else 0
        self.run = run
        self.version = version
        self.options = options
        self.adopted = adopted
        """Where an earlier process began the run."""
        self._model = weakref.ref(model)
        self.journal = Journal(run.path, part)
        self.phase = -1
        self.fit_count = 0
        """Calls of `fit` in this process, where an earlier one began the run."""
        self.epochs_done = 0
        """Over all phases."""
        self.is_training = False
        self.weights_digest: str | None = None
        """Of the weights in `models/`."""
        self.phase_records: dict[str, list[Any]] = {"train config": [], "optimizer config": []}
        self.splits: dict[str, DescribedSplit] = {}
        self.data_sets: dict[str, Any] = {}
        """By split, what data sets of windows say of themselves."""
        self.earlier_stats: DatasetStats | None = None
        """What an earlier process of the run said of the data."""
        self.passing = PassingBatches()
        """Of the running `fit`."""
        self.class_names = options.class_names
        self.sources = Sources()
        self.trace = StepTrace(run.path_of(layout.STEPS), part)
        self.clock = Clock(self.trace.ring)
        self.safeguards = Safeguards(options.telemetry, self)
        self.telemetry = RunTelemetry(run, options.telemetry, self.safeguards, self.trace, part)
        self.best = BestWeights(run, self.journal, options.monitor)
        self.changes = WeightChanges(run)
        self.snapshots = Snapshots(run, options.snapshot_every, self)
        self.unfinished: list[Run] = []
        """Earlier runs of the same name that had not ended when this one began."""
        self.jobs: list[Job] = []
        self.after_first_epoch: Callable[[Any], None] | None = None
        """Called once with the model when the first epoch of a phase has ended: Keras resolves much in its steps."""
        self.pending: list[Callable[[], None]] = []
        """What `log` and `add_file` were given after the seal; written by the next change."""
        self._warned: set[str] = set()
        self.evaluation_seconds: float | None = None
        """Of the last evaluation of test data."""
        self._known_metrics: set[str] = set()
        """Of this phase, the metrics whose directions are in the journal."""
        self._process_id = os.getpid()
        self.thread_id = threading.get_ident()
        self._is_closed = False
        self._lock = threading.RLock()
        """Held while an epoch or the training ends: the process may end at the same time, in another thread."""

    @property
    def model(self) -> Any:
        """The model; the callback holds it, and a run that waits for its seal shall not."""
        return self._model()

    @classmethod
    def begin(cls, options: Options, model: Any, adopted: Adopted | None = None) -> Session:
        """Claim the name, or go on with a run that an earlier process began.

        Raises:
            ArchiverError: it cannot be claimed; nothing is left behind.
        """
        upload = Upload(options.remote) if options.remote is not None else None
        taken = upload.taken_names() if upload is not None else ()
        if adopted is not None:
            session = cls(adopted.run, adopted.version, options, model, adopted)
            session.attempt("earlier records", lambda: take_over(session))
        else:
            run, version = claim(options.root, options.name, options.on_existing, taken=taken)
            session = cls(run, version, options, model)
            session.journal.keep_reserve()
        if upload is not None:
            session.upload = upload
            upload.begin(session.run.path)
        return session

    # -- steps that may fail

    def attempt(self, step: str, function: Callable[[], T], file: layout.ArchiveFile | None = None) -> T | None:
        """Run a step of archiving; a failure is recorded, warned about once, and None is returned."""
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - training never fails because of archiving
            self.note_failure(step, error, file)
            return None

    def note_failure(self, step: str, error: BaseException, file: layout.ArchiveFile | None = None) -> None:
        """Record that a step failed, and warn the first time."""
        record_failure(self.journal, step, error, file.path(self.run.name) if file else None)
        self.warn(step, f"archiver: {step} could not be archived: {type(error).__name__}: {error}")

    def warn(self, key: str, message: str) -> None:
        """Warn once per key; where warnings are errors, print instead: training goes on."""
        if key in self._warned:
            return
        self._warned.add(key)
        try:
            warnings.warn(message, ArchiverWarning, stacklevel=users_level())
        except ArchiverWarning:
            print(message, file=sys.stderr)  # noqa: T201 - the user made warnings errors, and must still be told

    def advise(self, key: str, message: str | None) -> None:
        """Tell the user, and the journal, once per key, what the archive cannot mend."""
        if message is not None and key not in self._warned:
            self.say("warning", message=message)
            self.warn(key, message)

    def say(self, event: EventName, **details: Any) -> None:
        """Append to the journal; a full disk is warned about once, the line waits."""
        try:
            self.journal.append(event, **details)
        except StorageError as error:
            self.warn("journal", f"archiver: the journal could not be written: {error}")

    # -- phases

    def plan(self, identity: dict[str, Any]) -> Plan | None:
        """What becomes of the next call of `fit`, where an earlier process began the run; None: it is a new one.

        Raises:
            RunStateError: the run cannot be gone on with by it.
        """
        if self.adopted is None:
            return None
        plan = self.adopted.plan(self.fit_count, identity, force=self.options.resume == "force")
        self.fit_count += 1
        return plan

    def begin_phase(self, call: FitCall, plan: Plan | None = None) -> None:
        """A call of `fit` begins; `plan`: where an earlier process had begun it."""
        self.settle()
        if self.adopted is not None:
            self.attempt("hold", self.adopted.hold)
            self.attempt("earlier records", lambda: self._take_up(plan))
        self.attempt("unseal", lambda: unseal(self.run, self.journal))
        self.journal.keep_reserve()
        self.phase += 1
        self.passing = PassingBatches()
        self.is_training = True
        self.thread_id = threading.get_ident()
        exits.register(self)
        self.say(
            "phase_started" if plan is None else "resumed",
            phase=self.phase,
            process=this_process().model_dump(),
            local_offset_seconds=local_offset_seconds(),
            **(plan.details if plan is not None else {}),
        )
        self.attempt("telemetry", lambda: self.telemetry.begin(self.phase), layout.TELEMETRY)
        self._known_metrics.clear()
        self._point_out_unfinished()
        has_validation = call.resolved.get("validation_data") is not None if call.resolved else None
        self.attempt("best weights", lambda: self.best.begin_phase(self.model, has_validation=has_validation))
        self.attempt("initial weights", lambda: self.changes.begin_phase(self.model, self.phase))

    def begin_workers(self, place: Place) -> None:
        """Several processes train together, and this one is their chief."""
        self.workers = self.workers or Workers(self, place)
        self.workers.begin_phase()

    def end_skipped(self, plan: Plan) -> None:
        """A call of `fit` had nothing to do. Where the process before was killed while it sealed, do that."""
        self.phase = plan.phase
        is_last = self.adopted is not None and plan.phase == len(self.adopted.phases) - 1
        if is_last and self.run.seal_id is None:
            self.attempt("unseal", lambda: unseal(self.run, self.journal))
            self.attempt("snapshot", self.snapshots.remove)
            self.finish()
        self.let_go()

    def _take_up(self, plan: Plan | None) -> None:
        """Let the records be as they were before the phase that begins, or goes on, now."""
        adopted = self.adopted
        if adopted is None:
            return
        phase = plan.phase if plan is not None else self.phase + 1 if self.phase >= 0 else len(adopted.phases)
        if self.phase < phase - 1 or plan is not None:
            goes_on_in = plan.epoch if plan is not None else 0
            begin_again_from(self, phase, adopted.epochs_done(phase, goes_on_in))

    def _point_out_unfinished(self) -> None:
        if self.phase > 0 or self.version == 1 or self.adopted is not None:
            return
        self.unfinished = unfinished_runs(self.options.root, self.options.name, self.version)
        for run in self.unfinished:
            message = (
                f"archiver: {run.path} is an unfinished run of the same name. "
                f"resume=True goes on with it, `archiver finalize {run.path}` seals what it left; this run is "
                f"{self.run.name!r}."
            )
            self.advise(f"unfinished {run.name}", message)

    def begin_training(
        self,
        call: FitCall,
        collecting_seconds: float,
        preparation_seconds: float | None,
        identity: dict[str, Any] | None = None,
    ) -> None:
        """Everything is collected; the first epoch is about to begin. `identity`: what makes out this training."""
        self.attempt("telemetry", lambda: self.telemetry.begin_stage("training"), layout.TELEMETRY)
        batches = self.attempt("timing", lambda: self.clock.begin_training(call)) or {}
        self.say(
            "training_began",
            phase=self.phase,
            collecting_seconds=collecting_seconds,
            preparation_seconds=preparation_seconds,
            limits=self.safeguards.limits(),
            **({} if identity is None else {"training": identity}),
            **batches,
        )

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins."""
        self.trace.begin_epoch(self.phase, epoch)
        self.clock.begin_epoch()

    def end_epoch(self, model: Any, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch has ended, all other callbacks included."""
        with exits.undisturbed(), self._lock:
            if not self._is_closed:
                self._end_epoch(model, epoch, logs)

    def _end_epoch(self, model: Any, epoch: int, logs: dict[str, Any]) -> None:
        timing = self.clock.end_epoch()
        self._go_on()
        self.epochs_done += 1
        metrics = {name: float(value) for name, value in logs.items() if is_number(value)}
        rate = _learning_rate(model)
        directions = self._new_directions(model, metrics)
        self.say(
            "epoch_ended", phase=self.phase, epoch=epoch, metrics=metrics, learning_rate=rate, **timing, **directions
        )
        if self.workers is not None:
            self.workers.end_epoch(model, epoch, float(timing.get("seconds") or 0.0), metrics)
        self.attempt("step trace", lambda: self.trace.end_epoch(self.phase, epoch), layout.STEPS)
        self.attempt(
            "best weights", lambda: self.best.end_epoch(model, metrics, self.phase, epoch), layout.BEST_WEIGHTS
        )
        then, self.after_first_epoch = self.after_first_epoch, None
        if then is not None:
            then(model)
        self.snapshots.end_epoch(model, epoch)
        self.ask_for_upload()

    def _new_directions(self, model: Any, metrics: dict[str, float]) -> dict[str, Any]:
        """What a metric's first epoch says of it."""
        if self._known_metrics.issuperset(metrics):
            return {}
        new = [name for name in metrics if name not in self._known_metrics]
        self._known_metrics.update(new)
        return {"directions": directions_of(model, new)}

    def _go_on(self) -> None:
        """A loop of the user's own trains on, although the run was finalized or an exception was seen."""
        if self.is_training:
            return
        self.attempt("unseal", lambda: unseal(self.run, self.journal))
        self.journal.keep_reserve()
        self.is_training = True
        exits.register(self)
        self._say_status(status="running")
        self.attempt("telemetry", lambda: self.telemetry.begin(self.phase, "training"), layout.TELEMETRY)

    def complete_phase(
        self, model: Any, callbacks: list[Any], stop_reason: StopReason, early_stopping: dict[str, Any] | None
    ) -> None:
        """`fit` is about to return: save what it leaves, write the results, seal."""
        with exits.undisturbed(), self._lock:
            if self._is_closed:
                return
            self._go_on()
            self.attempt("telemetry", lambda: self.telemetry.begin_stage("saving"), layout.TELEMETRY)
            data = self.attempt("data state", self.snapshots.data_state) or NO_DATA
            self.attempt("snapshot", self.snapshots.end_phase)
            self.attempt("weight changes", lambda: self.changes.end_phase(model))
            self.save(model, callbacks, data, ends_phase=True)
            self._write_telemetry()  # before the journal says that the phase is complete: it must be there then
            self.is_training = False
            stopping = {"early_stopping": early_stopping} if early_stopping else {}
            self._say_status(status="complete", stop_reason=stop_reason, **stopping)
            if self.workers is not None:
                self.workers.end_phase()
            if stop_reason not in CUT_OFF:
                self.attempt("snapshot", self.snapshots.remove)
            self.finish()

    def save(
        self, model: Any, callbacks: list[Any] | None = None, data: DataState = NO_DATA, *, ends_phase: bool = False
    ) -> None:
        """Write the model in all formats, the checkpoint, and the table of the weights.

        `callbacks`: the others of this `fit`, whose states are kept.
        `data`: what its data keep.
        `ends_phase`: these are the weights that a call of `fit` leaves, not what became of them later.
        """
        started = time.perf_counter()
        self.attempt("best weights", lambda: self.best.keep(self.weights_digest), layout.BEST_WEIGHTS)
        table = self.attempt("models", lambda: save_models(self.run, model, self.options.formats), layout.WEIGHTS)
        digest = self.weights_digest = table.weights_digest if table else None
        if table:
            phases = self.changes.finished(table.weights_digest) if ends_phase else self.changes.phases
            table = table.model_copy(update={"phases": phases})
            self.attempt("weights table", lambda: self.run.write(layout.WEIGHTS, table), layout.WEIGHTS)
        self.attempt(
            "checkpoint",
            lambda: save_checkpoint(
                self.run,
                model,
                callbacks or (),
                phase=self.phase,
                epochs_done=self.epochs_done,
                data=data,
                weights_digest=digest,
            ),
            layout.CHECKPOINT_STATE,
        )
        self.attempt("best weights", lambda: self.best.end_phase(self.weights_digest))
        self.attempt(
            "model config", lambda: self.run.write(layout.MODEL_CONFIG, model_config(model)), layout.MODEL_CONFIG
        )
        self.say(
            "models_saved",
            phase=self.phase,
            weights_digest=self.weights_digest,
            formats={name: part.file or part.unavailable for name, part in table.formats.items()} if table else {},
            seconds=time.perf_counter() - started,
        )

    def _say_status(self, **details: Any) -> None:
        self.say("status", phase=self.phase, **details)

    def finish(self) -> None:
        """Wait for the background, write history and results, seal."""
        self.attempt("snapshot", self.snapshots.end_phase)
        self.attempt("batches", self.passing.remove)
        self.wait_for_background()
        self.attempt("weight changes", self.changes.close)
        self.write_pending()
        self._write_telemetry()
        self.attempt("step trace", self.trace.flush, layout.STEPS)
        if self.workers is not None:
            self.attempt("workers", self.workers.gather, layout.WORKERS)
        self.attempt("history", lambda: write_history(self.run), layout.HISTORY)
        self.attempt("results", lambda: write_results(self.run), layout.RESULTS)
        self.attempt("seal", self._seal)
        self.ask_for_upload()
        self.let_go()

    def _seal(self) -> None:
        with self.warned_of_secrets():
            seal(self.run, self.journal, self.options.report, allow_secrets=self.options.allow_secrets)
        self.note_seal()

    @contextlib.contextmanager
    def warned_of_secrets(self) -> Iterator[None]:
        """Where the body refuses to seal an archive for its secrets, warn: it stays unsealed, and nothing else ends."""
        try:
            yield
        except SecretsFoundError as error:
            self.warn(f"secrets {error}", f"archiver: {error}")  # the journal has it

    def note_seal(self) -> None:
        """Remember the seal as one of this user's own; a run that was gone on with may have come from a stranger."""
        seal_id = self.run.seal_id
        if self.adopted is None and seal_id is not None:
            note_own(seal_id)

    def _write_telemetry(self) -> None:
        self.attempt("telemetry", self.telemetry.write, layout.TELEMETRY)

    # -- the upload, where the root is a store

    def ask_for_upload(self) -> None:
        """Bring the run in the store up to date, beside whatever comes next."""
        if self.upload is None:
            return
        failure = self.upload.failure()
        if failure is not None and self.is_training and "upload" not in self._warned:
            self.warn("upload", failure)
            record_failure(self.journal, "upload", RemoteError(self.upload.error or ""))
        self.upload.request()

    def snapshot_written(self) -> None:
        """A snapshot is whole on the disk; called on any thread."""
        if self.upload is not None:
            self.upload.request()

    def wait_for_upload(self) -> None:
        """Until the run is in the store as it is here; where it cannot be brought there, say so."""
        if self.upload is None:
            return
        self.upload.wait()
        failure = self.upload.failure()
        if failure is not None:
            self.warn(f"upload at the end {self.run.seal_id}", failure)

    def _end_upload(self) -> None:
        """The process ends."""
        if self.upload is None:
            return
        self.wait_for_upload()
        self.upload.close()
        if not self.upload.root.keeps_staging and self.upload.is_there(self.run.seal_id):
            files.remove(self.run.path)

    def let_go(self) -> None:
        """Nothing is to be done when the process ends, once the archive is sealed and nothing waits."""
        if self.run.seal_id is not None and not self.pending:
            if self.upload is None:
                exits.release(self)
            if self.adopted is not None:
                self.adopted.let_go()

    def wait_for_background(self) -> None:
        """Wait for what runs beside the training, and record what failed; the next change of the archive waits again
        for what was not to be waited for."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            if job.task.is_done(job.patience_seconds):
                self.attempt(job.step, job.finish, job.file)
            else:
                job.task.withhold()
                self.jobs.append(job)

    def write_pending(self) -> None:
        """Write what `log` and `add_file` were given while the archive was sealed."""
        pending, self.pending = self.pending, []
        for write in pending:
            self.attempt("added by the user", write)

    # -- ends that are no return of fit

    def request_snapshot(self) -> bool:
        """Training is about to end before its time: take a snapshot when the step has ended, if any are taken."""
        return self.is_training and self.snapshots.request()

    def note_exception(self, error: BaseException) -> None:
        """An exception leaves `fit`; sealing waits until it is known whether the script goes on."""
        if not self.is_training or os.getpid() != self._process_id:
            return
        self.is_training = False
        self.attempt("snapshot", self.snapshots.end_phase)
        self.attempt("telemetry", self.telemetry.stop, layout.TELEMETRY)
        part = exception_part(error, on_its_way=True)
        if isinstance(error, exits.Terminated):
            part = part.model_copy(update={"type": "SystemExit", "message": "terminated by SIGTERM"})
        reason = {"stop_reason": "signal"} if isinstance(error, exits.Terminated | KeyboardInterrupt) else {}
        self._say_status(status="failed", exception=part.model_dump(), **reason)
        if self.workers is not None:
            self.workers.end_phase(f"{part.type}: {part.message}"[:1000])

    def settle(self) -> None:
        """See to it that the last phase has an end in the journal, and that the archive is sealed."""
        if self.phase < 0:
            return
        if self.is_training:
            error = sys.exc_info()[1]
            if error is not None:
                self.note_exception(error)
            else:
                self.is_training = False
                self._say_status(status="failed", note=self._how_it_ended())
        if self.run.seal_id is None:
            self.finish()

    def _how_it_ended(self) -> str:
        if is_being_fitted(self.model):
            return "the process ended while fit was running in another thread"
        return "fit ended without returning; its exception was not seen"

    def close_at_exit(self) -> None:
        """The process ends."""
        with self._lock, contextlib.suppress(StorageError):
            self._is_closed = True
            self.settle()
            if self.pending:
                unseal(self.run, self.journal)
                self.finish()
        with contextlib.suppress(StorageError):
            self._end_upload()

    # -- what the user adds

    def add(self, write: Callable[[], None]) -> None:
        """Write now while training goes on, else with the next change of the archive."""
        if self.is_training:
            self.attempt("added by the user", write)
        else:
            self.pending.append(write)
            exits.register(self)

    def log(self, name: str, value: Any) -> None:
        """Record a value of the user's."""
        self.add(lambda: self.say("logged", name=name, value=value))

    def add_file(self, source: Path, target: str) -> None:
        """Copy a file of the user's into `files/`."""

        def write() -> None:
            added = (path for path in (self.run.path / "files").rglob("*") if path.is_file())
            check_names([target, *(path.relative_to(self.run.path).as_posix() for path in added)])
            files.copy_file(source, self.run.path / target)
            self.say("file_added", file=target)

        self.add(write)


def users_level() -> int:
    """The `stacklevel` of `warnings.warn` that shows the user's own line: the first outside archiver and Keras."""
    frame, level = sys._getframe(1), 1  # noqa: SLF001 - documented; there is no other way before Python 3.12
    while frame.f_back is not None and not _is_users(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    return level


def _is_users(module: str) -> bool:
    return module.partition(".")[0] not in ("archiver", "keras", "contextlib")


def is_number(value: Any) -> bool:
    """Whether a value of Keras' logs can be kept as a number."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _learning_rate(model: Any) -> float | None:
    try:
        return float(model.optimizer.learning_rate)
    except Exception:  # noqa: BLE001 - an optimizer of the user's own
        return None
