"""A training on windows that is killed goes on bit for bit, without reading the epochs before."""

from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def server() -> Iterator[scripts.Server]:
    with scripts.serving() as server:
        yield server


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
