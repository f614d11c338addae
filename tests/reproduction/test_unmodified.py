"""Scripts that know nothing of archiver: they run as they would without, and every `fit` is archived."""

import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.training.unmodified import run_name

PROGRAM = str(Path(sys.executable).parent / "archiver")


@pytest.mark.parametrize(
    ("stem", "model", "name"),
    [
        ("train", "sequential", "train_sequential"),
        ("my train!", "a/b", "my_train__a_b"),
        ("..", "x", "_x"),
        ("a..b", "c", "a.b_c"),
    ],
)
def test_a_run_is_named_by_the_script_and_the_model(stem, model, name):
    assert run_name(stem, model) == name


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, "run", *words], cwd=folder, capture_output=True, text=True, check=False)


def test_a_script_runs_as_it_would_without(tmp_path):
    """With its own arguments, its own folder first on the path, its own main module, its own exit code."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "beside.py").write_text("VALUE = 7\n")
    (tmp_path / "below" / "script.py").write_text(
        "import beside, sys, os, pickle\n"
        "class Mine: pass\n"
        "assert type(pickle.loads(pickle.dumps(Mine()))) is Mine\n"
        "print(sys.argv, os.path.basename(__file__), os.path.isabs(__file__), __name__, beside.VALUE)\n"
        "assert 'keras' not in sys.modules\n"
        "sys.exit(7)\n"
    )
    done = run(tmp_path, "below/script.py", "--root", "x y")
    assert (done.returncode, done.stdout) == (
        7, "['below/script.py', '--root', 'x y'] script.py True __main__ 7\n",
    ), done.stderr  # fmt: skip
    done = run(tmp_path, "-m", "below.script")
    assert done.returncode == 1
    assert "No module named 'beside'" in done.stderr
    (tmp_path / "mod.py").write_text("import sys\nprint(sys.argv[1:], __name__, __spec__.name)\n")
    done = run(tmp_path, "-m", "mod", "-x")
    assert (done.returncode, done.stdout) == (0, "['-x'] __main__ mod\n"), done.stderr
    assert run(tmp_path, "missing.py").returncode == 2


SCRIPT = """
import os
os.environ["KERAS_BACKEND"] = "tensorflow"
import keras, numpy as np
import archiver
x = np.zeros((8, 2), "float32")
def model(name):
    made = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)], name=name)
    made.compile("sgd", loss="mse")
    return made
small = dict(figures=False, sampling_hertz=None, formats=(), snapshot_every=None)
one, two = model("one"), model("two")
one.fit(x, x[:, :1], 4, 1, 0, [keras.callbacks.TerminateOnNaN()])      # by position
one.fit(x, x[:, :1], epochs=2, verbose=0, initial_epoch=1)             # the next phase
two.fit(x, x[:, :1], verbose=0, callbacks=[archiver.RunArchiver("own", name="own", **small)])
listed = keras.callbacks.CallbackList([], add_history=True, model=two, epochs=1, verbose=0, steps=1)
two.fit(x, x[:, :1], verbose=0, callbacks=listed)
model("three").fit(x, x[:, :1], verbose=0, callbacks=keras.callbacks.TerminateOnNaN())
try:
    one.fit(x, x[:, :1], no_such_argument=1)
except TypeError as error:
    print("refused:", error)
"""


def test_every_fit_is_archived_once(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(tmp_path, "--root", "archives", "script.py")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "refused: " in done.stdout
    assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == [
        "script_one_models",
        "script_three_models",
        "script_two_models",
    ]
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["own_models"]
    history = archiver.Run.open(tmp_path / "archives" / "script_one_models").read(layout.HISTORY)
    assert [phase.epochs for phase in history.phases] == [(0,), (1,)]
