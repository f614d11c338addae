"""The data of calls of `fit` that are skipped: left as the other process had left them, for the calls that follow.

Where what they keep was not to be seen, their batches are drawn again, once a later call has the same data.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from archiver.training import data_states, random_generators
from archiver.training.adopting import Plan
from archiver.training.capture import FitCall
from archiver.training.replaying import replay

_STEPS = ("steps_per_epoch", "validation_steps")
NOT_DRAWN = "the data are not where an earlier call of fit, which is not done again, had left them"


@dataclass(frozen=True)
class EarlierData:
    """Data that a skipped call of `fit` had drawn from, and that could not be put where they stood."""

    data: Callable[[], Any]
    validation_data: Callable[[], Any]
    validation_freq: Any
    epochs: range
    are_whole_passes: bool

    def is_of(self, call: FitCall) -> bool:
        """Whether this call trains on the same object."""
        data = self.data()
        return data is not None and data is call.resolved.get("x")

    def draw(self, call: FitCall) -> bool:
        """Draw the same batches through this call. Returns whether these are all that the earlier one had drawn."""
        same = call.resolved.get("val_x") is self.validation_data()
        same = same and call.resolved.get("validation_freq") == self.validation_freq
        if not self.are_whole_passes or not same or any(call.resolved.get(each) is not None for each in _STEPS):
            return False
        replay(call, self.epochs)
        return True


def leave(plan: Plan, call: FitCall, epoch_count: int) -> EarlierData | None:
    """Leave the data of a skipped call where its epochs had left them; otherwise, what is to be drawn again.

    Args:
        plan: of the call, with the state that its end left.
        call: the call.
        epoch_count: epochs that the other process had done in it.
    """
    states = plan.data_state
    if data_states.can_be_put(call, states):
        data_states.put_states(call, states)
        return None
    if not data_states.has_data_sets(call):
        return None
    first = int(call.resolved.get("initial_epoch") or 0)
    return EarlierData(
        _reference(call.resolved.get("x")),
        _reference(call.resolved.get("val_x")),
        call.resolved.get("validation_freq"),
        range(first, first + epoch_count),
        all(call.resolved.get(each) is None for each in _STEPS),
    )


def _reference(data: Any) -> Callable[[], Any]:
    """Data shall not live longer than `fit` because of us; of a few kinds Python has no weak references."""
    try:
        return weakref.ref(data)
    except TypeError:  # None, and lists or dicts of arrays
        return lambda: data


def draw_again(earlier: Sequence[EarlierData], call: FitCall) -> bool:
    """Bring the data of a call to where the skipped ones had left them. Returns whether that is where they are."""
    wanted = [each for each in earlier if each.is_of(call)]
    if not wanted:
        return True
    states = random_generators.take_states()
    are_drawn = [each.draw(call) for each in wanted]
    random_generators.put_states(states)
    return all(are_drawn)
