"""Going on with a `fit` that another process was cut off in, inside the `fit` that goes on.

Keras calls `on_train_begin` of all callbacks, which set themselves back; what happens here happens at the tail, behind
them. A snapshot between two epochs is restored there; one from within an epoch when the epoch has begun, since `fit`
sets the metrics back then.
"""

from __future__ import annotations

from typing import Any

from archiver.errors import RunStateError
from archiver.records.training import History, PhaseHistory, SnapshotState
from archiver.training import data_states, random_generators
from archiver.training.adopting import Plan
from archiver.training.capture import FitCall
from archiver.training.replaying import pass_over, replay, validation_iterator
from archiver.training.restoring import SavedState, build


class Resumption:
    """What is left to be done for one plan.

    Args:
        plan: what becomes of this call of `fit`.
        call: the call, with its data.
        callbacks: the other callbacks.
    """

    def __init__(self, plan: Plan, call: FitCall, callbacks: list[Any]) -> None:
        self.plan, self._call, self._callbacks = plan, call, callbacks

    @property
    def snapshot(self) -> SnapshotState | None:
        """What training goes on from; None where it begins again."""
        state = self.plan.saved.state if self.plan.saved is not None else None
        return state if isinstance(state, SnapshotState) else None

    def random_states(self, name: str) -> dict[str, Any] | None:
        """States of the generators that the snapshot holds under a field's name, decoded."""
        state, saved = self.snapshot, self.plan.saved
        encoded = getattr(state, name) if state is not None else None
        if encoded is None or saved is None:
            return None
        decoded: dict[str, Any] = saved.decoded(encoded)
        return decoded

    def begin(self) -> None:
        """Training is about to begin: be where the snapshot was, or shortly before, in front of its epoch.

        Raises:
            ArchiverError: the snapshot does not fit the model.
        """
        state, saved, model = self.snapshot, self.plan.saved, self._call.model
        if state is None or saved is None:
            return
        build(model, self._call.epoch_iterator)
        first = int(self._call.resolved.get("initial_epoch") or 0)
        self._replay(saved, range(first, state.epoch))
        model._initial_epoch = state.epoch  # noqa: SLF001 - what Keras' BackupAndRestore does
        if state.step is None:
            self._restore(saved, metrics=False)
            if state.stop_training:
                model.stop_training = True
                model._initial_epoch = self._call.resolved.get("epochs", state.epoch)  # noqa: SLF001

    def _replay(self, saved: SavedState, epochs: range) -> None:
        state = self.snapshot
        if state is None:
            return
        data_state = self.plan.data_state
        if not data_states.can_be_put(self._call, data_state):
            saved.put_random_states(state.begin_random_state)
            replay(self._call, epochs)
            return
        # Making the validation data ready may draw from them: it is done where the other process had done it.
        if state.has_validated:
            validation_iterator(self._call)
        data_states.put_states(self._call, data_state)

    def begin_epoch(self, epoch: int) -> None:
        """An epoch has begun: where the snapshot is from within it, be there."""
        state, saved, model = self.snapshot, self.plan.saved, self._call.model
        model._initial_epoch = None  # noqa: SLF001 - or the next call of fit would begin there
        if state is None or saved is None or state.step is None or epoch != state.epoch:
            return
        if state.epoch_random_state is not None:
            saved.put_random_states(state.epoch_random_state)
        self._restore(saved, metrics=True)
        if state.epoch_random_state is not None:
            saved.put_random_states(state.epoch_random_state)
        pass_over(self._call, state.step, self._put_random_states)
        _keep_logs(model)

    def _put_random_states(self) -> None:
        """The batches that were done are drawn again: generators that they were drawn from are where they were."""
        state, saved = self.snapshot, self.plan.saved
        if state is None or saved is None:
            return
        then = saved.decoded(state.epoch_random_state)
        saved.put_random_states(but=random_generators.drawn_since(then))

    def _restore(self, saved: SavedState, *, metrics: bool) -> None:
        saved.put_variables(self._call.model, metrics=metrics)
        saved.put_callbacks(self._callbacks)
        saved.put_random_states()

    def forget(self) -> None:
        """Training has ended: let the data go."""
        self._call.model._initial_epoch = None  # noqa: SLF001
        self._call = FitCall(self._call.method, model=self._call.model)


def _keep_logs(model: Any) -> None:
    """Where all steps of the epoch were done, `fit` has no logs of its last step: let it take the metrics' results."""
    ordinary = model._get_metrics_result_or_logs  # noqa: SLF001

    def results_or_logs(logs: Any) -> Any:
        vars(model).pop("_get_metrics_result_or_logs", None)
        return ordinary(logs or model.get_metrics_result())

    vars(model)["_get_metrics_result_or_logs"] = results_or_logs


def skip(call: FitCall) -> None:
    """Let this call of `fit` train nothing: its phase is complete."""
    epochs = call.resolved.get("epochs")
    if not isinstance(epochs, int):
        raise RunStateError("resume=True needs to see how many epochs fit is told to train; use archiver.fit(...).")
    build(call.model, call.epoch_iterator)
    call.model._initial_epoch = max(epochs, 1)  # noqa: SLF001


def end_skipped(plan: Plan, model: Any, callbacks: list[Any], history: History) -> None:
    """Leave behind what the phase left: weights, optimizer, generators, callbacks, `History`."""
    model._initial_epoch = None  # noqa: SLF001
    _tell_history(model, plan.phase, history)
    if plan.saved is not None:
        plan.saved.put_variables(model)
        plan.saved.put_callbacks([each for each in callbacks if each is not model.history])
        plan.saved.put_random_states()


def epoch_count(phase: int, history: History) -> int:
    """How many epochs the phase had."""
    part = _part_of(phase, history)
    return 0 if part is None else len(part.epochs)


def _part_of(phase: int, history: History) -> PhaseHistory | None:
    return next((each for each in history.phases if each.phase == phase), None)


def _tell_history(model: Any, phase: int, history: History) -> None:
    part = _part_of(phase, history)
    if part is not None and getattr(model, "history", None) is not None:
        model.history.epoch = list(part.epochs)
        model.history.history = {name: list(values) for name, values in part.metrics.items()}
