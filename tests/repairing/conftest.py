"""Archives to damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver import sealing
from archiver.archive.run import Run
from archiver.testing import tiny_run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two phases, test results, three seals; made up."""
    return tiny_run(tmp_path_factory.mktemp("tiny"), phases=2, tested=True)


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A convolutional network that Keras trained with Adam and saved."""
    import keras
    import numpy as np

    import archiver

    numbers = np.random.default_rng(0)
    x, y = numbers.normal(size=(64, 8, 8, 1)).astype("float32"), numbers.integers(0, 2, 64)
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(8, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    archive = archiver.RunArchiver(tmp_path_factory.mktemp("real"), name="cnn")
    worse = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_loss=epoch + 1.0))
    with pytest.MonkeyPatch.context() as patch:
        draw = sealing.draw_figures
        patch.setattr(sealing, "draw_figures", lambda *given, wanted: draw(*given, wanted=False))
        model.fit(
            x[:32], y[:32], validation_data=(x[32:48], y[32:48]), epochs=2, batch_size=16, verbose=0,
            callbacks=[worse, archive],
        )  # fmt: skip
        return archive.finalize(test_data=(x[48:], y[48:]))


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[[Run], Run]:
    """A copy to damage."""

    def copy(run: Run) -> Run:
        return Run.open(shutil.copytree(run.path, tmp_path / run.path.name))

    return copy
