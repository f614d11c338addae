"""A training on windows that is killed goes on bit for bit, without reading the epochs before."""

from pathlib import Path

import pytest

from archiver.storage.journal import events_named
from tests.training import scripts
from tests.training.test_resume import assert_continued, run, run_of

BODY = """
READ = []
class Counted(archiver.data.ArrayWindows):
    def read(self, numbers):
        READ.append(len(numbers))
        return super().read(numbers)

data = archiver.data.window_batches(Counted(x, y), batch_size=8, seed=9, shuffle="SHUFFLE", block_size=4, form="FORM")
checked = archiver.data.window_batches(Counted(x_val, y_val), batch_size=8, seed=4, form="FORM")

class Kill(keras.callbacks.Callback):
    epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if OPTIONS["kill_after_seconds"] and self.epoch == 3 and batch == 4:
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            os.kill(os.getpid(), signal.SIGKILL)

model = compiled(dense(layers.Dropout(0.3)))
history = model.fit(data, epochs=5, shuffle=False, validation_data=checked, verbose=0,
                    callbacks=[Kill(), Slow(), archived()])
tell("read", sum(READ))
told(model, [history])
"""


TWO_CALLS = """
DATA

class Kill(keras.callbacks.Callback):
    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        Kill.epochs += 1

    def on_train_batch_end(self, batch, logs=None):
        if OPTIONS["kill_after_seconds"] and self.epochs == 4 and batch == 4:
            for thread in threading.enumerate():
                if thread.name == "archiver-snapshot":
                    thread.join()
            os.kill(os.getpid(), signal.SIGKILL)

model = compiled(dense(layers.Dropout(0.3)))
archive = archived()
callbacks = [Kill(), Slow(), archive]
first = model.fit(data, epochs=2, shuffle=False, validation_data=(x_val, y_val), verbose=0, callbacks=callbacks)
second = model.fit(data, epochs=3, shuffle=False, VALIDATION, verbose=0, callbacks=callbacks)
archive.finalize()
told(model, [first, second])
"""
WINDOWS = "data = archiver.data.window_batches(archiver.data.ArrayWindows(x, y), batch_size=8, seed=9)"
PIPELINE = """
import tensorflow as tf
data = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(60, seed=3, reshuffle_each_iteration=True).batch(8)
"""
SAME, OTHER = "validation_data=(x_val, y_val)", "validation_data=(x_val[:8], y_val[:8])"


@pytest.mark.parametrize(("form", "shuffle", "every"), [("fastest", "windows", 3), ("pydataset", "blocks", "epoch")])
def test_killed_in_the_fourth_epoch(
    form: str, shuffle: str, every: object, server: scripts.Server, tmp_path: Path
) -> None:
    body = BODY.replace("FORM", form).replace("SHUFFLE", shuffle)
    whole = run(server, tmp_path / "whole", form, every=None, step_seconds=0.0, body=body)
    folder = tmp_path / "killed"
    assert run(server, folder, form, every=every, step_seconds=0.0, body=body, kill_after_seconds=600).exit_code == -9
    ended = run(server, folder, form, every=every, step_seconds=0.0, body=body)
    assert_continued(folder, whole.told("result")[-1], ended.told("result")[-1])
    (resumed,) = events_named(run_of(folder).journal.read(), "resumed")
    assert resumed.details["exact"] is True
    assert resumed.details["epoch"] == 3
    # Two epochs of five are left, and what is drawn to build the model; three would be 240 windows more.
    assert ended.told("read")[-1] < whole.told("read")[-1] - 180


@pytest.mark.parametrize(
    ("data", "every"), [(WINDOWS, "epoch"), (WINDOWS, None), (PIPELINE, 3)], ids=["windows", "no snapshot", "tf_data"]
)
def test_killed_in_the_second_of_two_calls(data: str, every: object, server: scripts.Server, tmp_path: Path) -> None:
    """The second call goes on with the passes behind those of the first, which is not done again."""
    body = TWO_CALLS.replace("DATA", data).replace("VALIDATION", SAME)
    whole = run(server, tmp_path / "whole", "two", every=None, step_seconds=0.0, body=body)
    folder = tmp_path / "killed"
    assert run(server, folder, "two", every=every, step_seconds=0.0, body=body, kill_after_seconds=600).exit_code == -9
    ended = run(server, folder, "two", every=every, step_seconds=0.0, body=body)
    assert_continued(folder, whole.told("result")[-1], ended.told("result")[-1])
    (resumed,) = events_named(run_of(folder).journal.read(), "resumed")
    assert (resumed.details["exact"], resumed.details["epoch"]) == (True, 0 if every is None else 2)


def test_data_that_cannot_be_drawn_as_an_earlier_call_did(server: scripts.Server, tmp_path: Path) -> None:
    body = TWO_CALLS.replace("DATA", PIPELINE).replace("VALIDATION", OTHER)
    killed = run(server, tmp_path, "two", every="epoch", step_seconds=0.0, body=body, kill_after_seconds=600)
    assert killed.exit_code == -9
    assert run(server, tmp_path, "two", every="epoch", step_seconds=0.0, body=body).exit_code == 0
    (resumed,) = events_named(run_of(tmp_path).journal.read(), "resumed")
    assert resumed.details["exact"] is False
    assert "an earlier call of fit" in resumed.details["inexact_reasons"][0]
