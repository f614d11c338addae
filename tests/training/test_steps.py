import csv
import threading

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import archiver
from archiver import layout
from archiver.training.steps import (
    LATE_ROWS_PER_EPOCH,
    MAXIMAL_ROWS,
    MINIMAL_ROWS_PER_EPOCH,
    StepRing,
    StepSummary,
    StepTrace,
)
from tests.training import small


def test_a_ring_keeps_what_it_has_room_for():
    ring = StepRing(64)
    for step in range(64):
        ring.record(step, step / 2)
    assert [(step, loss) for _, step, loss in ring.take()] == [(step, step / 2) for step in range(64)]


@pytest.mark.parametrize("count", [65, 100, 1000, 12345])
def test_a_full_ring_keeps_every_second_fourth_and_so_on(count):
    ring = StepRing(64)
    for step in range(count):
        ring.record(step, 0.0)
    steps = [step for _, step, _ in ring.take()]
    stride = steps[1] - steps[0]
    assert steps == list(range(0, count, stride))
    assert 32 <= len(steps) <= 64


def test_many_threads_lose_nothing():
    ring = StepRing(1 << 16)
    threads = [
        threading.Thread(target=lambda start=start: [ring.record(step, 0.0) for step in range(start, 40_000, 4)])
        for start in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = ring.take()
    assert sorted(step for _, step, _ in rows) == list(range(40_000))
    assert [time for time, _, _ in rows] == sorted(time for time, _, _ in rows)


def test_a_loss_that_is_no_number_is_refused_without_a_row():
    ring = StepRing(8)
    with pytest.raises(TypeError):
        ring.record(0, None)
    assert ring.take() == []


def test_a_thinned_ring_still_counts_all_steps_and_times_them(monkeypatch):
    now = iter(range(1_000_000, 10**12, 2_000_000))
    monkeypatch.setattr("archiver.training.steps.perf_counter_ns", lambda: next(now))
    ring = StepRing(64)
    assert ring.summary() is None
    for step in range(1000):
        ring.record(step, 0.0)
    assert ring.summary() == StepSummary(1000, 0.001, 1.999, pytest.approx(0.002))
    ring.start(64)
    assert ring.summary() is None
    ring.record(0, 0.0)
    assert (ring.summary().count, ring.summary().median_seconds) == (1, None)


def test_the_usual_step_is_not_moved_by_slow_ones(monkeypatch):
    """The first one compiles, every tenth waits; executions of four steps are reported by their last."""
    times = np.cumsum([5e9] + [4e9 if each % 10 == 0 else 4e6 for each in range(1, 200)]).astype(int).tolist()
    monkeypatch.setattr("archiver.training.steps.perf_counter_ns", iter(times).__next__)
    ring = StepRing(512)
    for execution in range(200):
        ring.record(4 * execution + 3, 0.0)
    found = ring.summary()
    assert (found.count, found.first_end_seconds, found.median_seconds) == (800, 5.0, 0.001)


def test_steps_out_of_order_count_as_many():
    ring = StepRing(64)
    for step in (1, 0, 3, 2):
        ring.record(step, 0.0)
    assert ring.summary().count == 4


def test_five_million_steps_leave_a_bounded_trace(tmp_path):
    """In 50,000 epochs of 100 steps they take the most room; these are the last thousand epochs."""
    trace = StepTrace(tmp_path / "steps.csv", part=0)
    trace._written_rows = MAXIMAL_ROWS
    for epoch in range(1000):
        trace.begin_epoch(0, epoch)
        for step in range(100):
            trace.ring.record(step, 0.5)
        assert trace.ring.summary().count == 100
        trace.end_epoch(0, epoch)
    rows = (tmp_path / "steps.csv").read_bytes().count(b"\n") - 1
    assert 1000 * LATE_ROWS_PER_EPOCH / 2 <= rows <= 1000 * LATE_ROWS_PER_EPOCH


def test_the_trace_never_outgrows_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("archiver.training.steps.MAXIMAL_ROWS", 4000)
    trace = StepTrace(tmp_path / "steps.csv", part=0)
    for epoch in range(60):
        trace.begin_epoch(0, epoch)
        for step in range(500):
            trace.ring.record(step, 0.5)
        trace.end_epoch(0, epoch)
    rows = list(csv.DictReader((tmp_path / "steps.csv").read_text().splitlines()))
    assert len({row["epoch"] for row in rows}) == 60
    assert len(rows) <= 4000 + 60 * MINIMAL_ROWS_PER_EPOCH
    assert MAXIMAL_ROWS == 1_000_000


@given(st.lists(st.integers(1, 300) | st.none(), max_size=40))
def test_whenever_rows_are_taken_none_is_missed_and_none_comes_twice(acts):
    """None: what is new is taken; a number: so many steps end."""
    ring, undisturbed, taken, step = StepRing(64), StepRing(64), [], 0
    for act in acts:
        if act is None:
            taken += ring.take()
            continue
        for _ in range(act):
            for each in (ring, undisturbed):
                each.record(step, step / 2)
            step += 1
    taken += ring.take()
    steps = [step for _, step, _ in taken]
    assert steps == sorted(set(steps))
    assert {step for _, step, _ in undisturbed.take()} <= set(steps)
    assert [loss for *_, loss in taken] == [step / 2 for step in steps]


def steps_in(path):
    return [(int(row["epoch"]), int(row["step"])) for row in csv.DictReader(path.read_text().splitlines())]


def test_what_is_new_is_flushed_and_the_rest_comes_when_the_epoch_ends(tmp_path):
    trace = StepTrace(tmp_path / "steps.csv", part=0)
    trace.flush()
    assert not trace.path.exists()
    for epoch in range(2):
        trace.begin_epoch(0, epoch)
        for step in range(5):
            trace.ring.record(step, 0.5)
            if step in (1, 2):
                trace.flush()
                assert steps_in(trace.path)[-1] == (epoch, step)
        trace.end_epoch(0, epoch)
        trace.flush()
    assert steps_in(trace.path) == [(epoch, step) for epoch in range(2) for step in range(5)]


def test_an_epoch_that_is_broken_off_leaves_its_steps(tmp_path):
    def stop(batch, logs):
        if batch == 2:
            raise RuntimeError("enough")

    spy = keras.callbacks.LambdaCallback(on_train_batch_end=stop)
    archive = archiver.RunArchiver(tmp_path, name="a", sampling_hertz=None)
    with pytest.raises(RuntimeError, match="enough"):
        small.model().fit(*small.arrays(), batch_size=8, epochs=2, verbose=0, callbacks=[archive, spy])
    archive.finalize()
    assert steps_in(archive.run.path_of(layout.STEPS)) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("steps_per_execution", [1, 2])
def test_the_steps_of_a_training(tmp_path, steps_per_execution):
    losses = []
    spy = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: losses.append((batch, logs["loss"])))
    model = small.model()
    model.compile("sgd", loss="sparse_categorical_crossentropy", steps_per_execution=steps_per_execution)
    archive = archiver.RunArchiver(tmp_path, name="a")
    model.fit(*small.arrays(), batch_size=8, epochs=2, verbose=0, callbacks=[archive, spy])
    rows = list(csv.DictReader(archive.run.path_of(layout.STEPS).read_text().splitlines()))
    assert list(rows[0]) == ["elapsed_seconds", "part", "phase", "epoch", "step", "running_mean_loss"]
    assert [(int(row["step"]), float(row["running_mean_loss"])) for row in rows] == losses
    elapsed = np.array([float(row["elapsed_seconds"]) for row in rows])
    assert (np.diff(elapsed) > 0).all()
    assert elapsed[0] > 0
