"""The steady thread: on time, never in the way, gone when it should be."""

from __future__ import annotations

import gc
import os
import threading
import time

import pytest

from archiver.errors import ArgumentError
from archiver.sampling.thread import SteadyThread, checked_rate


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


@pytest.mark.parametrize("rate", [0, -1, 1000, 50.1, float("nan"), float("inf"), True, "1", None])
def test_rates_that_cannot_be(rate):
    with pytest.raises(ArgumentError, match=r"Expected 0\.001 to 50 Hz"):
        checked_rate(rate)


def test_ticks_keep_to_the_times_counted_from_the_start():
    """The time that a tick takes does not add up: with 16 ms of work in each of 40 ms, the last is no later."""
    times = []

    def tick():
        times.append(time.monotonic())
        time.sleep(0.016)

    thread = SteadyThread(tick, 0.04, "test")
    thread.start()
    wait_until(lambda: thread.pulse.tick_count + thread.pulse.missed_count >= 25)
    assert thread.stop()
    places = [(moment - times[0]) / 0.04 for moment in times]
    # On a busy machine a tick may be late, but the next ones are on the grid again; drift would be 0.4 for each tick.
    off_grid = sorted(place - int(place + 0.05) for place in places)
    assert off_grid[len(off_grid) // 2] < 0.35
    assert len(times) + thread.pulse.missed_count == pytest.approx(places[-1] + 1, abs=1.5)


def test_ticks_that_take_too_long_are_left_out_not_made_up_for():
    thread = SteadyThread(lambda: time.sleep(0.035), 0.01, "test")
    begin = time.monotonic()
    thread.start()
    wait_until(lambda: thread.pulse.tick_count >= 4)
    thread.stop()
    assert time.monotonic() - begin > 0.1
    assert thread.pulse.missed_count >= 6


def test_what_a_tick_raises_is_noted_and_nothing_more():
    def tick():
        raise OSError("no more of this")

    thread = SteadyThread(tick, 0.005, "test")
    thread.start()
    wait_until(lambda: thread.pulse.failure_count >= 3)
    assert thread.is_running
    assert thread.stop()
    assert thread.pulse.last_failure == "OSError: no more of this"


def test_it_ends_with_the_object_that_it_serves():
    class Owner:
        def __init__(self):
            self.count = 0
            self.thread = SteadyThread(self.tick, 0.005, "archiver-orphan")
            self.thread.start()

        def tick(self):
            self.count += 1

    def names():
        return [thread.name for thread in threading.enumerate()]

    owners = [Owner()]
    wait_until(lambda: owners[0].count > 1)
    assert "archiver-orphan" in names()
    owners.clear()
    gc.collect()
    wait_until(lambda: "archiver-orphan" not in names())


def test_start_and_stop_are_harmless_twice_and_it_can_begin_again():
    thread = SteadyThread(lambda: None, 0.005, "test")
    assert thread.stop()
    for _ in range(2):
        thread.start()
        thread.start()
        assert thread.is_running
        assert thread.stop()
        assert thread.stop()
        assert not thread.is_running


def test_a_tick_may_stop_its_own_thread():
    thread = SteadyThread(lambda: thread.stop(), 0.001, "test")
    running = threading.active_count()
    thread.start()
    wait_until(lambda: threading.active_count() == running)
    assert thread.pulse.tick_count == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork():
    """The parent's thread goes on; the child has none, and stopping there neither hangs nor ends the parent's."""
    ticks = []
    thread = SteadyThread(lambda: ticks.append(os.getpid()), 0.002, "test")
    thread.start()
    wait_until(lambda: ticks)
    child = os.fork()
    if child == 0:
        before = len(ticks)
        time.sleep(0.02)
        good = not thread.is_running and thread.stop() and len(ticks) == before
        thread.start()
        wait_until(lambda: len(ticks) > before)
        os._exit(0 if good and thread.is_running and thread.stop() else 1)
    assert os.waitpid(child, 0)[1] == 0
    count = len(ticks)
    wait_until(lambda: len(ticks) > count + 3)
    assert set(ticks) == {os.getpid()}
    thread.stop()
