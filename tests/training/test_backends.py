"""The same archive on Keras' other backends, each in a process of its own: a process has one backend."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.scripts import Server

SCRIPT = '''\
"""Archive a dense and a recurrent model on the backend that the environment names."""

import os
import sys

import keras
import numpy as np
from keras import layers

from archiver import RunArchiver, verify
from archiver.data import array_batches

MODELS = {
    "dense": ((4,), [layers.Dense(8, activation="relu"), layers.Dropout(0.2)]),
    "lstm": ((5, 4), [layers.LSTM(3)]),
}

assert keras.backend.backend() == os.environ["KERAS_BACKEND"]
for name, (shape, hidden) in MODELS.items():
    keras.utils.set_random_seed(7)
    x = np.random.default_rng(7).normal(size=(12, *shape)).astype("float32")
    y = np.arange(12) % 3
    model = keras.Sequential([keras.Input(shape), *hidden, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = RunArchiver(sys.argv[1], name=name)
    lists = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: lists.append(archive._call.callback_list))
    model.fit(x, y, batch_size=4, epochs=2, verbose=0, validation_split=0.25, callbacks=[archive, spy])
    # a step hook that were not `async_safe` would end Keras' asynchronous dispatch for all callbacks
    assert lists[0]._async_train == keras.src.backend.IS_THREAD_SAFE
    run = archive.finalize(test_data=(x[:6] + 9, y[:6]))
    assert run.status.status == "complete", run.status
    steps = (run.path / "traces" / "steps.csv").read_text().splitlines()[1:]
    assert len(steps) == 6, steps
    data = array_batches(x, y, batch_size=4, seed=1)
    model.fit(data, epochs=2, verbose=0, callbacks=[archive])
    report = verify(run.path, deep=True)
    assert report.findings == (), report.findings
print("WHOLE")
'''


@pytest.mark.backend
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_backend(backend: str, server_of: Callable[[str], Server], tmp_path: Path) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = server_of(backend).run_file(tmp_path, script, str(tmp_path / "runs"))
    assert done.exit_code == 0, done.errors
    assert done.output.splitlines()[-1] == "WHOLE"
