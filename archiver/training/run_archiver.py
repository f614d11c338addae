"""`RunArchiver`, the callback."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import Any

import keras

from archiver.archive.claiming import OnExisting, redirected
from archiver.archive.outcome import build_history
from archiver.archive.run import Run
from archiver.collect.data_paths import named_paths
from archiver.errors import ArgumentError, RunStateError, UnsafePathError
from archiver.naming import run_name
from archiver.remote.urls import is_url
from archiver.sampling.cooling_policy import CoolingPolicy
from archiver.storage.beneath import relative_parts
from archiver.training import exits
from archiver.training import options as checks
from archiver.training.adopting import Plan, Resume, adopt, is_wanted
from archiver.training.advice import repeated_shuffle
from archiver.training.capture import FitCall, capture, is_being_fitted
from archiver.training.collecting import collect_all
from archiver.training.data_states import can_be_put
from archiver.training.earlier_data import NOT_DRAWN, EarlierData, draw_again, leave
from archiver.training.evaluation_data import check_class_names
from archiver.training.exits import TerminationHandler
from archiver.training.finalizing import OnChangedWeights, Request, finalize
from archiver.training.models import FORMATS
from archiver.training.options import OnAlert, Options, TelemetryOptions
from archiver.training.restoring import build
from archiver.training.resuming import Resumption, end_skipped, epoch_count, skip
from archiver.training.safeguards import Safeguards
from archiver.training.same_training import identity_of
from archiver.training.session import Session
from archiver.training.snapshots import Every
from archiver.training.stopping import early_stopping, stop_reason
from archiver.training.tail import Tail, append_tail, remove_tails
from archiver.training.training_along import TrainingAlong, options_among_workers, require_own_predictions
from archiver.training.uploads import staging_folder
from archiver.training.watching import ExceptionWatch
from archiver.training.workers import Place, alone, find_place


class RunArchiver(keras.callbacks.Callback):  # type: ignore[misc]
    """Archives every training it is a callback of: `model.fit(..., callbacks=[RunArchiver("runs", name="a")])`.

    When `fit` returns, the archive is complete and sealed; `finalize` adds test results. The same model given to `fit`
    again is the next phase of the same run; another model begins the next version of the name. Training is never
    broken by archiving: once the name is claimed, whatever fails is recorded in the archive and warned about once.

    Args:
        root: the folder of the runs; made when `fit` begins. Or the URL of a store (`s3://bucket/runs`), to which the
            run is uploaded while it trains; see `staging`, and docs/remote.md. The environment variable
            `ARCHIVER_ROOT` goes before it.
        name: the run's name; or give the three parts of which `<condition>_<architecture>_<config>` is made.
        condition: what is trained on: the data set, the experimental condition.
        architecture: what is trained.
        config: how it is trained.
        data: what to describe instead of what `fit` is given (a generator hides the arrays behind it): `(x, y)`,
            `(x, y, sample_weight)`, a data set, or a dict of these by "train", "validation", "test".
        class_names: one name per class number.
        preprocessing: what was done to the data before `fit`, any JSON-like value.
        hyperparameters: a dict, an `argparse.Namespace`, a dataclass.
        dataset_source: where the data came from: a path, a URL, a list or a dict of both (such as one path per split).
            The files and folders it names are described beside the training: sizes, digests, images.
        notes: text, or a dict of texts (such as `intended_use`, `limitations`).
        tags: short words to find the run by.
        group: what binds several runs together, such as the folds of one cross-validation.
        parent: the run that this one goes on from: its archive, or its name in `root`. A run in `root` with whose
            final or best weights the model begins is found without it.
        on_existing: "version" begins `<name>-2` where the name is taken; "error" refuses.
        formats: which of "keras", "h5" and "weights.h5" to write.
        monitor: the metric that decides which epoch is the best; its weights are kept when they are not the final
            ones. "val_loss" becomes "loss" where there is no validation. None: none is kept.
        templates: a folder with templates of your own for the report; docs/report.md says what they get.
        figures: whether the report has figures.
        sampling_hertz: how often memory, processors, GPUs and temperatures are measured while `fit` runs, up to 50
            times a second; 0 or None: not at all.
        memory_limit: when memory runs short, training ends in good order, as with `stop_training`: a share of what the
            process can really have (in a container, of that), or a number of bytes. Garbage is collected before, at
            0.82 of the limit. None: there is no watch.
        on_alert: called with a `GuardEvent` when either happens, between two batches.
        cooling: pauses between batches while processor or GPU are too hot; `archiver.CoolingPolicy` says when.
        snapshot_every: when to take a snapshot, from which training can go on after a crash: "epoch", after each;
            an int, every so many steps; a float, every so many seconds; None, never.
        resume: go on with the run of this name that was cut off, as if it had not been; the script is run again as it
            was. A complete one is not trained again: `fit` returns with its history. "force" goes on although model,
            data or arguments differ, and says so in the archive.
        allow_secrets: seal the archive although something in it looks like a token or a password. By default it stays
            unsealed then, with a warning that says where.
        staging: where runs lie before and after their upload, when `root` is a URL; a folder of the user's cache folder
            by default.
        storage_options: when `root` is a URL: what fsspec's file system is given (keys, endpoint, ...). Never recorded.
        keep_staging: False: at the end of the process, what has been uploaded, verified and sealed is removed here.

    Raises:
        MissingExtraError: the library of a URL's scheme is not installed.
        ArgumentError: an argument cannot be used. Nothing has been written.
    """

    # The step hook only notes two numbers under a lock; Keras may call it from its own threads.
    async_safe = True

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        name: str | None = None,
        condition: str | None = None,
        architecture: str | None = None,
        config: str | None = None,
        data: Any = None,
        class_names: Iterable[Any] | None = None,
        preprocessing: Any = None,
        hyperparameters: Any = None,
        dataset_source: Any = None,
        notes: Any = None,
        tags: Iterable[str] = (),
        group: str | None = None,
        parent: str | os.PathLike[str] | Run | None = None,
        on_existing: OnExisting = "version",
        formats: Sequence[str] = FORMATS,
        monitor: str | None = "val_loss",
        templates: str | os.PathLike[str] | None = None,
        figures: bool = True,
        sampling_hertz: float | None = 1.0,
        memory_limit: float | None = 0.85,
        on_alert: OnAlert | None = None,
        cooling: CoolingPolicy | None = None,
        snapshot_every: Every = "epoch",
        resume: Resume = False,
        allow_secrets: bool = False,
        staging: str | os.PathLike[str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        keep_staging: bool = True,
    ) -> None:
        super().__init__()
        checks.require_url(
            root,
            staging=staging is not None,
            storage_options=storage_options is not None,
            keep_staging=not keep_staging,
        )
        remote = checks.checked_remote(redirected(root), storage_options, keep_staging=keep_staging)
        folder = redirected(root) if remote is None else staging or staging_folder(remote.url)
        self.options = Options(
            name=run_name(name, condition, architecture, config),
            root=checks.checked_root(folder),
            data=checks.checked_data(data),
            class_names=checks.checked_names(class_names),
            preprocessing=checks.plain(preprocessing),
            hyperparameters=checks.checked_hyperparameters(hyperparameters),
            dataset_source=checks.plain_source(dataset_source),
            data_paths=named_paths(dataset_source),
            notes=checks.plain(notes),
            tags=checks.checked_texts("tags", tags),
            group=checks.checked_text("group", group),
            parent=checks.checked_parent(parent, folder if is_url(root) else root),
            on_existing=checks.checked_choice("on_existing", on_existing, OnExisting),
            formats=checks.checked_formats(formats),
            monitor=checks.checked_text("monitor", monitor),
            report=checks.checked_report(templates, figures),
            telemetry=TelemetryOptions(
                sampling_hertz=checks.checked_hertz(sampling_hertz),
                memory_limit=checks.checked_memory_limit(memory_limit),
                on_alert=checks.checked_alert(on_alert),
                cooling=checks.checked_cooling(cooling),
            ),
            snapshot_every=checks.checked_snapshot_every(snapshot_every),
            resume=checks.checked_resume(resume),
            allow_secrets=checks.checked_flag("allow_secrets", allow_secrets),
            redirected_from=checks.redirection(root),
            remote=remote,
        )
        # A pause shall hold the training up, not a thread of Keras'; so shall a snapshot within an epoch.
        self.async_safe = cooling is None and (snapshot_every is None or snapshot_every == "epoch")
        self._session: Session | None = None
        self._safeguards: Safeguards | None = None
        """Those of the session."""
        self._call: FitCall | None = None
        self._given: dict[str, Any] | None = None
        self._given_at: float | None = None
        """When `archiver.fit` was called, until training begins."""
        self._before_claim: list[tuple[str, Any, Any]] = []
        self._watch = ExceptionWatch(self._note_exception)
        self._termination = TerminationHandler()
        self._record_step: Any = None
        self._tail: Tail | None = None
        self._resumption: Resumption | None = None
        """Where this `fit` goes on with one that was cut off."""
        self._first_epoch: int | None = None
        """Where a snapshot is needed before training."""
        self._skipped: tuple[Plan, FitCall] | None = None
        """Where this `fit` has nothing to do."""
        self._place: Place | None = None
        """Among several processes that train together."""
        self._along: TrainingAlong | None = None
        """Where another process writes the archive."""
        self._earlier_data: list[EarlierData] = []
        """Of those that had nothing to do."""
        self._used: set[str] = set()
        """Names of the runs that this callback has worked on."""

    # -- what Keras calls

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """`fit` begins: claim the name, write what identifies the run."""
        began = perf_counter()
        given_at, self._given_at = self._given_at, None
        self._place = place = find_place(self._model)
        if place is not None:
            self.options = options_among_workers(self.options, place)
        call = capture(self._model, self._given)
        self._check_use(call)
        self._watch.remove()
        model = call.model
        check_class_names(self.options.class_names, model, _labels(call))
        remove_tails(self, call.callback_list)
        if place is not None and not place.is_chief:
            self._train_along(call, place)
            return
        with alone(place):
            self._begin(call, place, began, given_at)

    def _begin(self, call: FitCall, place: Place | None, began: float, given_at: float | None) -> None:
        """Claim the name, or go on with the run; write what identifies it."""
        model = call.model
        # It costs as long as reading the data takes, and is needed only for going on.
        identity = identity_of(call) if self.options.snapshot_every is not None or self._is_resumed else None
        if self._session is None or self._session.model is not model:
            self._leave_session()
            self._session = self._begin_session(model, identity or {})
        session = self._session
        plan = session.plan(identity or {})
        # Only what the end needs: the data shall not live longer than `fit` because of us, however it ends.
        self._call = dataclasses.replace(call, given={}, resolved={}, epoch_iterator=None)
        self._tail = append_tail(self, call.callback_list, call.model, self.params)
        callbacks = self._others()
        if plan is not None and plan.kind == "skip":
            self._skipped = plan, call
            skip(call)
            return
        plan = self._with_data_of_earlier_calls(session, plan, call)
        self._resumption = Resumption(plan, call, callbacks) if plan is not None else None
        session.begin_phase(call, plan)
        if place is not None:
            session.begin_workers(place)
        collect_all(session, call, callbacks)
        self._add_waiting(session)
        session.attempt("advice", lambda: session.advise("repeated shuffle", repeated_shuffle(call)))
        session.attempt("batches", lambda: session.passing.watch("train", call.epoch_iterator))
        session.attempt("watch", lambda: self._watch.install(call.epoch_iterator, call.callback_list))
        self._termination.install()
        self._record_step = session.trace.ring.record
        self._safeguards = session.safeguards
        self._first_epoch = self._prepared_for_backups(call, callbacks)
        states = self._resumption.random_states("begin_random_state") if self._resumption is not None else None
        session.attempt("snapshot", lambda: session.snapshots.begin_phase(call, callbacks, states))
        if self._tail is not None:
            self._tail.sees_steps = session.snapshots.is_on
        session.begin_training(call, perf_counter() - began, None if given_at is None else began - given_at, identity)

    def _train_along(self, call: FitCall, place: Place) -> None:
        """Several processes train together, and another one writes the archive."""
        self._along = self._along or TrainingAlong(self.options, place)
        self._along.begin_phase()
        self._call = dataclasses.replace(call, given={}, resolved={}, epoch_iterator=None)
        self._tail = append_tail(self, call.callback_list, call.model, self.params)
        self._watch.install(call.epoch_iterator, call.callback_list)

    @property
    def _is_resumed(self) -> bool:
        return is_wanted(self.options.root, self.options.name, self.options.resume)

    def _begin_session(self, model: Any, identity: dict[str, Any]) -> Session:
        options, adopted = self.options, None
        if self._is_resumed:
            adopted = adopt(options.root, options.name, identity, self._used, force=options.resume == "force")
        session = Session.begin(options, model, adopted)
        self._used.add(session.run.name)
        return session

    def _with_data_of_earlier_calls(self, session: Session, plan: Plan | None, call: FitCall) -> Plan | None:
        """Bring the data to where calls of `fit` that were skipped had left them."""
        earlier, self._earlier_data = self._earlier_data, []
        if not earlier or (plan is not None and can_be_put(call, plan.data_state)):
            return plan
        if session.attempt("data state", lambda: draw_again(earlier, call)):
            return plan
        if plan is None:
            session.advise("data state", f"archiver: {NOT_DRAWN}.")
            return None
        return dataclasses.replace(plan, data_reason=NOT_DRAWN)

    def _prepared_for_backups(self, call: FitCall, callbacks: list[Any]) -> int | None:
        """The first epoch, where a snapshot is needed before it: Keras' BackupAndRestore stands beside us."""
        beside = any(isinstance(each, keras.callbacks.BackupAndRestore) for each in callbacks)
        if not beside or self.options.snapshot_every is None or self._resumption is not None:
            return None
        build(call.model, call.epoch_iterator)
        return int(call.resolved.get("initial_epoch") or 0)

    def _others(self) -> list[Any]:
        """The other callbacks of this `fit`, archives and tails left out."""
        call = self._call
        every = _callbacks(call) if call is not None else []
        return [each for each in every if not isinstance(each, RunArchiver | Tail)]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """An epoch begins."""
        if self._session is not None:
            self._session.begin_epoch(epoch)
        elif self._along is not None:
            self._along.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """A step has ended."""
        try:
            self._record_step(batch, logs["loss"] if logs and "loss" in logs else math.nan)
        except (TypeError, ValueError):
            self._record_step = self._record_without_loss
            self._record_without_loss(batch, None)
        if self._safeguards is not None and self._safeguards.act is not None:
            self._act()

    def _act(self) -> None:
        """Between two batches, do what safeguards want: hardly ever anything."""
        act = self._safeguards.act if self._safeguards is not None else None
        if act is not None:
            act()

    def _record_without_loss(self, batch: int, loss: Any) -> None:  # noqa: ARG002 - as the ring's
        """A training loop of the user's own reports no number as its loss."""
        if self._session is not None and isinstance(batch, int):
            self._session.trace.ring.record(batch, math.nan)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Validation begins; its iterator is made by now."""
        session = self._session
        if session is not None and session.is_training:
            session.snapshots.end_steps(self.model)
            exits.raise_waiting()
            session.clock.begin_validation()
            iterator = getattr(self._model, "_eval_epoch_iterator", None)
            self._watch.watch_iterator(iterator)
            session.attempt("batches", lambda: session.passing.watch("validation", iterator))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Validation has ended."""
        if self._session is not None and self._session.is_training:
            self._session.clock.end_validation()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """An epoch has ended; where there is no tail (a training loop of the user's own), this is what sees it."""
        if self._tail is None:
            self.end_epoch(self.model, epoch, logs or {})

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Training ends; see `on_epoch_end`."""
        if self._tail is None:
            self.end_training(self.model)

    # -- what the tail calls, after all other callbacks

    def begin_tail(self, model: Any) -> None:
        """Training begins, and all other callbacks have set themselves back."""
        session, resumption = self._session, self._resumption
        if resumption is not None:
            resumption.begin()
        elif session is not None and self._first_epoch is not None:
            # Keras' own callback will change the weights before we are called, if this process is killed.
            epoch = self._first_epoch
            session.attempt("snapshot", lambda: session.snapshots.take(model, epoch, None))

    def begin_tail_epoch(self, model: Any, epoch: int) -> None:  # noqa: ARG002
        """An epoch begins; see `begin_tail`."""
        session, resumption = self._session, self._resumption
        if session is None:
            return
        states, steps_done = None, 0
        if resumption is not None:
            resumption.begin_epoch(epoch)
            snapshot = resumption.snapshot
            if snapshot is not None and snapshot.step is not None:
                states, steps_done = resumption.random_states("epoch_random_state"), snapshot.step
            resumption.forget()
            self._resumption = None
        session.attempt("snapshot", lambda: session.snapshots.begin_epoch(epoch, states, steps_done))

    def end_tail_step(self, model: Any, step: int, *, in_background: bool) -> bool:
        """A step has ended; see `Tail`."""
        session = self._session
        if session is None or not session.is_training:
            return False
        if in_background:
            return session.snapshots.count_step(step)
        session.snapshots.end_step(model, step)
        exits.raise_waiting()
        return False

    def end_epoch(self, model: Any, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch has ended, all other callbacks included."""
        if self._session is not None:
            with alone(self._place):
                self._session.end_epoch(model, epoch, logs)
            self._act()
        elif self._along is not None:
            self._along.end_epoch(model, epoch, logs)

    def end_training(self, model: Any) -> None:
        """`fit` is about to return, and every other callback has done what it does then."""
        session, call = self._session, self._call
        if self._along is not None:
            self._along.end_training()
        skipped, self._skipped = self._skipped, None
        if self._resumption is not None:  # no epoch was left to begin
            self._resumption.forget()
            self._resumption = None
        if session is not None and call is not None and skipped is not None:
            history = build_history(session.run.journal.read())
            plan, skipped_call = skipped
            left = leave(plan, skipped_call, epoch_count(plan.phase, history))
            others = [each for each in self._earlier_data if not each.is_of(skipped_call)]
            self._earlier_data = others if left is None else [*self._earlier_data, left]
            end_skipped(plan, model, self._others(), history)
            session.end_skipped(plan)
        elif session is not None and call is not None:
            callbacks, others = _callbacks(call), self._others()
            reason = session.attempt("stop reason", lambda: stop_reason(model, callbacks)) or "user"
            if session.safeguards.has_stopped:
                reason = "memory_limit"
            stopping = session.attempt("early stopping", lambda: early_stopping(callbacks))
            with alone(self._place):
                session.complete_phase(model, others, reason, stopping)
        # Only now: Ctrl-C and SIGTERM wait while the model is saved.
        self._call = self._resumption = None
        self._watch.remove()
        self._termination.remove()

    # -- what the user calls

    @property
    def run(self) -> Run:
        """The archive. Where several processes train together it is the chief's, which alone may look at it: while
        the others ask, it is being written.

        Raises:
            RunStateError: `fit` has not begun.
        """
        if self._along is not None and self._along.run is not None:
            return self._along.run
        return self._begun("run").run

    def log(self, name: str, value: Any) -> None:
        """Record a value of your own: in the journal, and the last one of each name in the results.

        Before `fit` and after it, it is kept until the archive is written next (`fit`, `finalize`, end of the script).

        Raises:
            ArgumentError: the name is no text.
        """
        if not isinstance(name, str) or not name:
            raise ArgumentError(f"Received name={name!r}. Expected a text.")
        value = checks.plain(value)
        if self._session is None:
            self._before_claim.append(("log", name, value))
        else:
            self._session.log(name, value)

    def add_file(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Copy a file into the archive's `files/`, as `name` (its own name by default; sub-folders with `/`).

        Raises:
            ArgumentError: there is no such file, or the name leads outside.
        """
        source = Path(os.path.abspath(path))
        target = PurePosixPath(name if name is not None else source.name)
        if not source.is_file():
            raise ArgumentError(f"Received path={str(path)!r}, which is no file. Expected a file to copy.")
        try:
            relative_parts(str(target))
        except UnsafePathError as error:
            raise ArgumentError(f"Received name={name!r}. {error}") from error
        if not target.parts or any(part.startswith(".") for part in target.parts):
            raise ArgumentError(f"Received name={name!r}. Expected a relative path without hidden parts.")
        if self._session is None:
            self._before_claim.append(("add_file", source, f"files/{target}"))
        else:
            self._session.add_file(source, f"files/{target}")

    def finalize(
        self,
        *,
        test_data: Any = None,
        class_names: Iterable[Any] | None = None,
        on_changed_weights: OnChangedWeights = "error",
        batch_size: int | None = None,
        steps: int | None = None,
        task: str | Mapping[str, str] | None = None,
        threshold: float = 0.5,
    ) -> Run:
        """Add test results, and whatever `log` and `add_file` were given since; seal again. May be called again.

        A call that would change nothing leaves every byte as it is.

        Args:
            test_data: `(x, y)`, `(x, y, sample_weight)`, a tf.data.Dataset, a PyDataset, or a generator with `steps`.
            class_names: one name per class number, if they were not given to the constructor.
            on_changed_weights: what to do when the model has other weights than the archive: "error" refuses, "save"
                saves the model again.
            batch_size: for arrays; 32 by default, as with Keras.
            steps: how many batches to draw from a generator, or from a data set without end.
            task: what the outputs are scored as, where it shall not be detected: "binary", "multi_class", "multi_label"
                or "regression", or a dict of these by Keras' names of the outputs.
            threshold: the probability above which `binary` and `multi_label` outputs count as predicted.

        Returns:
            The archive, sealed.

        Raises:
            RunStateError: `fit` has not begun, or is still running; or test data are given where predictions need all
                of several processes.
            ChangedWeightsError: see `on_changed_weights`.
            DataError: the test data, the class names or the task do not fit the model.
            ArgumentError: no such task, or a threshold that is no probability.
        """
        if self._place is not None and test_data is not None:
            require_own_predictions(self._place)
        if self._along is not None:
            return self.run
        session = self._begun("finalize")
        request = Request(
            test_data=test_data,
            class_names=checks.checked_names(class_names),
            on_changed_weights=checks.checked_choice("on_changed_weights", on_changed_weights, OnChangedWeights),
            batch_size=checks.checked_count("batch_size", batch_size),
            steps=checks.checked_count("steps", steps),
            task=checks.checked_task(task),
            threshold=checks.checked_threshold(threshold),
        )
        with alone(self._place):
            return finalize(session, request)

    # -- inside

    @contextlib.contextmanager
    def given(self, arguments: dict[str, Any]) -> Iterator[None]:
        """For the body, the arguments of `fit` are known (`archiver.fit`) and need not be looked for."""
        self._given = {name: value for name, value in arguments.items() if name != "callbacks"}
        self._given_at = perf_counter()
        try:
            yield
        finally:
            self._given = self._given_at = None

    def _begun(self, what: str) -> Session:
        if self._session is None:
            raise RunStateError(f"{what} was called before fit. Give this callback to model.fit first.")
        return self._session

    def _check_use(self, call: FitCall) -> None:
        if _callbacks(call).count(self) > 1:
            raise ArgumentError("Received the same RunArchiver twice among the callbacks. Expected it once.")
        trained = self._session.model if self._session is not None and self._session.is_training else None
        if trained is not None and trained is not call.model and is_being_fitted(trained):
            raise RunStateError(
                "Received a RunArchiver that is archiving the training of another model just now. "
                "Give each training one of its own."
            )

    def _note_exception(self, error: BaseException) -> None:
        self._termination.remove()
        self._resumption = None
        if self._session is not None:
            self._session.note_exception(error)
        if self._along is not None:
            self._along.note_exception(error)

    def _leave_session(self) -> None:
        if self._session is not None:
            self._session.settle()
            if self._session.upload is not None:
                self._session.upload.close()
            self._session = None

    def _add_waiting(self, session: Session) -> None:
        waiting, self._before_claim = self._before_claim, []
        for method, *arguments in waiting:
            getattr(session, method)(*arguments)


def _labels(call: FitCall) -> Any:
    return call.resolved.get("y", call.given.get("y"))


def _callbacks(call: FitCall) -> list[Any]:
    return list(call.callback_list.callbacks) if call.callback_list is not None else []
