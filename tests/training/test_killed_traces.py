"""kill -9 in the middle of a training: what was measured until then is there, and the archive can be closed."""

from __future__ import annotations

import csv
import random
import signal
import time
from pathlib import Path

import pytest

from archiver import layout
from archiver.archive.run import Run
from archiver.testing import tiny_run
from archiver.training.steps import HEADER
from tests.property.campaigns import campaign
from tests.training import scripts
from tests.training.scripts import Ended

KILLS = campaign(3, 50)
BEGUN = "runs/run_models/journal.jsonl"
TRACES = (layout.MEMORY_TRACE, layout.UTILISATION_TRACE, layout.TEMPERATURE_TRACE)

TELLS_WHAT_IT_HAS_MEASURED = """
class Tell(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.recorder = archive._session.telemetry._recorder
        tell("headers", {trace.path.name: list(trace.header) for trace, _ in self.recorder._traces})

    def on_train_batch_end(self, batch, logs=None):
        recorder = self.recorder
        with recorder._lock:  # no sample is half taken
            tell("samples", [recorder._sample_count, recorder._last_sample - recorder._zero])


archive = archiver.RunArchiver("runs", name="run", sampling_hertz=50)
fit(archive, Tell(), epochs=1_000_000)
"""


def rows(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the cells of the lines that were written to their end."""
    text = path.read_text()
    header, *lines = csv.reader(text[: text.rfind("\n") + 1].splitlines())
    return header, lines


@pytest.mark.stress
@pytest.mark.parametrize("seed", range(KILLS))
def test_kill_9_at_a_random_moment(seed: int, server: scripts.Server, tmp_path: Path) -> None:
    script = server.start(tmp_path, TELLS_WHAT_IT_HAS_MEASURED)
    script.wait_for("samples" if seed % 4 else BEGUN)
    time.sleep(random.Random(seed).uniform(0, 1.5))
    script.send(signal.SIGKILL)
    ended = script.wait()
    assert ended.exit_code == -signal.SIGKILL
    run = Run.open(tmp_path / "runs" / "run_models")
    journal = run.journal.read()
    assert (journal.faults, journal.torn_bytes) == ((), 0)
    assert_measured_until_then(run, ended)
    assert_steps_of_all_epochs(run, ended)
    for command in (("finalize", run.path), ("verify", "--deep", run.path)):
        done = scripts.command(*command)
        assert done.returncode == 0, (done.stdout, done.stderr)
    assert run.status.status == "interrupted"
    assert_measured_until_then(run, ended)


def assert_measured_until_then(run: Run, ended: Ended) -> None:
    """Every sample that was taken is there: what is missing is what came after the last one, a period at most."""
    headers = ended.told("headers")
    count, last_seconds = (ended.told("samples") or [(0, 0.0)])[-1]
    for file in TRACES:
        path = run.path_of(file)
        if not path.exists():
            assert not headers or path.name not in headers[0], "no column of this trace can be measured here"
            continue
        header, lines = rows(path)
        assert header[:2] == ["elapsed_seconds", "part"]
        assert not headers or header == headers[0][path.name]
        assert [len(cells) for cells in lines] == [len(header)] * len(lines)
        for cells in lines:
            assert [float(cell) for cell in cells if cell]
        assert len(lines) >= count
        assert not count or float(lines[-1][0]) >= last_seconds - 0.001


def assert_steps_of_all_epochs(run: Run, ended: Ended) -> None:
    path = run.path_of(layout.STEPS)
    if not ended.epochs_over:
        return
    header, lines = rows(path)
    assert ",".join(header) + "\n" == HEADER.decode()
    found = [(int(cells[3]), int(cells[4])) for cells in lines]
    assert {(epoch, step) for epoch in ended.epochs_over for step in range(4)} <= set(found)
    assert found == sorted(set(found))


STOPS_IN_AN_EPOCH = """
class Wait(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        recorder = archive._session.telemetry._recorder
        seen = recorder._sample_count
        while recorder._sample_count < seen + 2:  # one that began after this step
            time.sleep(0.001)
        if batch == 2:
            tell("waits", batch)
            time.sleep(600)


archive = archiver.RunArchiver("runs", name="run", sampling_hertz=50)
fit(archive, Wait(), epochs=1)
"""


def test_kill_9_in_an_epoch_loses_no_steps_but_those_since_the_last_sample(
    server: scripts.Server, tmp_path: Path
) -> None:
    script = server.start(tmp_path, STOPS_IN_AN_EPOCH)
    script.wait_for("waits")
    script.send(signal.SIGKILL)
    script.wait()
    run = Run.open(tmp_path / "runs" / "run_models")
    _, lines = rows(run.path_of(layout.STEPS))
    assert [(int(cells[3]), int(cells[4])) for cells in lines] == [(0, 0), (0, 1), (0, 2)]
    for command in (("finalize", run.path), ("verify", "--deep", run.path)):
        done = scripts.command(*command)
        assert done.returncode == 0, (done.stdout, done.stderr)


def test_a_last_line_that_was_cut_short_is_no_harm(tmp_path: Path) -> None:
    """A kill hardly ever does that, a power failure does."""
    run = tiny_run(tmp_path, sealed=False, status="interrupted")
    paths = [run.path_of(file) for file in (*TRACES, layout.STEPS) if run.path_of(file).exists()]
    assert len(paths) >= 3
    for path in paths:
        path.write_bytes(path.read_bytes()[:-4])
    for command in (("finalize", run.path), ("verify", "--deep", run.path), ("show", run.path)):
        done = scripts.command(*command)
        assert done.returncode == 0, (done.stdout, done.stderr)
