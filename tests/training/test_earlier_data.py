"""Data of a `fit` that is skipped: which later call goes on with them."""

import numpy as np
import tensorflow as tf

from archiver.training.adopting import Plan
from archiver.training.capture import FitCall
from archiver.training.earlier_data import draw_again, leave


def call_of(x, val_x, **more):
    return FitCall("frames", resolved={"x": x, "val_x": val_x, "validation_freq": 1, **more})


def test_what_can_be_told_of_it():
    data, checked = tf.data.Dataset.range(4), [np.ones(3), np.ones(3)]
    left = leave(Plan("skip", 0, None), call_of(data, checked), 2)
    assert left is not None
    assert left.is_of(call_of(data, None))
    assert not left.is_of(call_of(tf.data.Dataset.range(4), checked))
    assert not draw_again([left], call_of(data, list(checked)))
    assert not draw_again([left], call_of(data, checked, steps_per_epoch=2))
    assert draw_again([left], call_of(tf.data.Dataset.range(4), checked))
    del data
    assert not left.is_of(FitCall("callback"))


def test_arrays_are_begun_anew_by_each_call():
    assert leave(Plan("skip", 0, None), call_of(np.ones(3), None), 2) is None
