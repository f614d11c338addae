"""Recordings for tests, and a plan: `archiver cache build recordings.py`, with OUTPUT, SECONDS a piece and COUNT in the
environment."""

import functools
import os
import time

import numpy as np

from archiver.data import CachePlan, CacheStorage, Event, Recording, RecordingSource, Windowing

RATE_HZ = 100.0


class SlowSignal:
    """Takes its time."""

    def __init__(self, samples, seconds):
        self.samples, self.seconds = samples, seconds
        self.shape, self.dtype = samples.shape, samples.dtype

    def __getitem__(self, key):
        time.sleep(self.seconds)
        return self.samples[key]


def recording(number, *, channels=4, samples=1000, seconds=0.0, **changes):
    chance = np.random.default_rng(number)
    signal = chance.integers(-3000, 3000, (channels, samples)).astype("int16")
    fields = {
        "name": f"recording-{number}",
        "signal": SlowSignal(signal, seconds) if seconds else signal,
        "sampling_rate_hz": RATE_HZ,
        "channel_names": tuple(f"E{channel}" for channel in range(channels)),
        "events": tuple(Event(onset, "go" if onset % 2 else "stop") for onset in (0.1, 3.0, 5.0, 6.0, 99.0)),
        "groups": {"subject": f"s{number % 3}"},
        "scale": 0.25 + number,
    }
    return Recording(**fields | changes)


class Slow:
    def __init__(self, number, seconds):
        self.number, self.seconds = number, seconds

    def __call__(self):
        time.sleep(self.seconds)
        return recording(self.number, seconds=self.seconds)


def plan_of(output, count, seconds=0.0, **storage):
    sources = [
        RecordingSource(f"recording-{number}", Slow(number, seconds), {"release": f"R{number % 2}"})
        for number in range(count)
    ]
    return CachePlan(str(output), sources, Windowing(200, 50), CacheStorage(scale="item", **storage))


def good():
    return recording(1)


def seven():
    return 7


def fails():
    raise OSError("the disk of the recordings is gone")


BAD = {
    "empty": (functools.partial(recording, 1, samples=0), r"signal of shape \(4, 0\)"),
    "short": (functools.partial(recording, 1, samples=100), "recording of 100 samples. Expected at least 200"),
    "channels": (functools.partial(recording, 1, channels=3), "recording of 3 channels. Expected 4, as all"),
    "rate": (functools.partial(recording, 1, sampling_rate_hz=50.0), "recording at 50 Hz. Expected 100 Hz"),
    "names": (functools.partial(recording, 1, channel_names=("a",)), "1 channel names for 4 channels"),
    "scale": (functools.partial(recording, 1, scale=None), "a recording without a scale"),
    "no recording": (seven, "Received int. Expected a Recording"),
    "user's error": (fails, "OSError: the disk of the recordings is gone"),
}


if "OUTPUT" in os.environ:
    plan = plan_of(os.environ["OUTPUT"], int(os.environ["COUNT"]), float(os.environ["SECONDS"]))
