"""What is said of the other callbacks, and what must not be said."""

import functools
import json
from pathlib import Path

import keras
import numpy as np

import archiver
from archiver import layout
from archiver.training.callbacks_config import callback_parts
from archiver.training.capture import FitCall
from tests.training import small


def described(*callbacks):
    return callback_parts(callbacks, FitCall("callback"))


def test_the_callbacks_of_keras(tmp_path):
    patience = keras.callbacks.EarlyStopping(monitor="loss", patience=7, min_delta=0.5, restore_best_weights=True)
    checkpoint = keras.callbacks.ModelCheckpoint(str(tmp_path / "m.keras"), save_best_only=True, monitor="loss")
    plateau = keras.callbacks.ReduceLROnPlateau(factor=0.3, cooldown=2)
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"), separator=";", append=True)
    backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"), save_freq=10)
    parts = described(patience, checkpoint, plateau, log, backup, keras.callbacks.TerminateOnNaN())
    first = parts[0].arguments
    assert (first["monitor"], first["patience"], first["min_delta"]) == ("loss", 7, 0.5)
    assert first["restore_best_weights"] is True
    assert parts[1].arguments["filepath"] == str(tmp_path / "m.keras")
    assert parts[1].arguments["save_best_only"] is True
    assert (parts[2].arguments["factor"], parts[2].arguments["cooldown"]) == (0.3, 2)
    assert (parts[3].arguments["filename"], parts[3].arguments["append"]) == (str(tmp_path / "log.csv"), True)
    assert "unavailable" in parts[3].arguments["separator"], "Keras keeps it as `sep`"
    assert parts[3].attributes["sep"] == ";"
    assert parts[4].arguments["save_freq"] == 10
    assert parts[5].arguments == {"raise_error": False}


def test_tensorboard(tmp_path):
    part = described(keras.callbacks.TensorBoard(str(tmp_path), histogram_freq=3))[0]
    assert (part.arguments["log_dir"], part.arguments["histogram_freq"]) == (str(tmp_path), 3)


def halve(epoch, rate):
    return rate / 2


def test_functions_are_told_by_name():
    scheduler = keras.callbacks.LearningRateScheduler(halve)
    partial = keras.callbacks.LearningRateScheduler(functools.partial(halve, 1))
    unnamed = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None)
    parts = described(scheduler, partial, unnamed)
    assert parts[0].arguments["schedule"].endswith("test_callbacks_config.halve")
    assert parts[1].arguments["schedule"]["partial"].endswith("test_callbacks_config.halve")
    assert parts[2].arguments["on_epoch_end"].endswith("test_functions_are_told_by_name.<locals>.<lambda>")
    assert "0x" not in json.dumps([part.model_dump() for part in parts]), "no address of anything"


class Curious(keras.callbacks.Callback):
    """Holds whatever a callback of a user's may hold."""

    def __init__(self, api_key, table, *, tries=3, options=None, **kwargs):
        super().__init__(**kwargs)
        self._api_key = api_key
        self.table = table
        self.tries = tries
        self.options = options
        self.myself = self
        self.loop = [1, 2]
        self.loop.append(self.loop)
        self.path = Path("~").expanduser() / "data"
        self.note = "sent with hf_" + "A" * 30
        self.long = "x" * 100_000
        self.wide = {number: [number] * 40 for number in range(49)}

    def __repr__(self):
        raise AssertionError("nobody may call this")

    @property
    def costly(self):
        raise AssertionError("nor this")


def test_a_callback_of_the_user_s(tmp_path):
    options = {"password": "hunter2", "seed": np.int64(4), "model": small.model(), "deep": [[[[["bottom"]]]]]}
    curious = Curious("correct-horse-battery", np.zeros((1000, 1000)), options=options)
    (part,) = described(curious)
    text = part.model_dump_json()
    assert "correct-horse" not in text
    assert "hunter2" not in text
    assert "hf_A" not in text
    assert len(text) < 20_000
    arguments = part.arguments
    assert arguments["api_key"] == "[redacted]"
    assert arguments["table"] == {"array": {"shape": [1000, 1000], "dtype": "float64"}}
    assert (arguments["tries"], arguments["options"]["seed"]) == (3, 4)
    assert arguments["options"]["model"] == {"object": "keras.src.models.sequential.Sequential"}
    assert part.attributes["path"] == "~/data"
    assert "myself" not in part.attributes
    x, y = small.arrays()
    archive = archiver.RunArchiver(tmp_path, name="a")
    small.model().fit(x, y, epochs=1, verbose=0, callbacks=[curious, archive])
    recorded = archive.run.read(layout.TRAIN_CONFIG).phases[0].callbacks
    assert [(each.class_name.rsplit(".", 1)[-1], each.position) for each in recorded] == [
        ("Curious", 0),
        ("History", 2),
    ]


class Wide(keras.callbacks.Callback):
    def __init__(self, tables):
        super().__init__()
        self.tables = tables


def test_a_callback_without_end_is_cut():
    cycle = []
    cycle.extend([cycle] * 50)
    (part,) = described(Wide({"cycle": cycle, "rows": [list(range(40)) for _ in range(40)]}))
    assert len(part.model_dump_json()) < 60_000
    assert "more than 500 values" in part.model_dump_json()


class Hostile(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()

    @property
    def __dict__(self):
        raise RuntimeError("not yours")


def test_a_callback_that_cannot_be_looked_into_hides_no_other():
    parts = described(keras.callbacks.TerminateOnNaN(), object.__new__(Hostile))
    assert parts[1].arguments == {"unavailable": "it cannot be looked into (RuntimeError)"}
    assert parts[0].arguments == {"raise_error": False}
