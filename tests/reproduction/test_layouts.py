"""Programs laid out in every way reproduce, with real repositories and real trainings, from their archives alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from archiver.errors import ArgumentError, CannotReproduceError
from tests.reproduction.trainings import OPTIONS, TRAIN, Order, again, commit_all, git, quiet, run_all, source_digests

pytestmark = pytest.mark.timeout(600)

THREADS = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

UNMODIFIED = """
import sys
import keras, numpy as np
keras.utils.set_random_seed(3)
x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(1)], name="line")
model.compile("sgd", loss="mse")
model.fit(x, x[:, :1], epochs=int(sys.argv[1]), verbose=0)
assert __name__ == "__main__" and sys.argv[0].endswith("plain.py")
"""

DATA = """
import os
import sys
import numpy as np
x = np.load(sys.argv[1]) + np.load("more/offset.npy")
assert os.environ.get("ARCHIVER_DATA_SAMPLES", sys.argv[1]) == sys.argv[1]
"""
WITH_DATA = f"""
from .data import x
import sys
import keras
import archiver
archiver.seed(1)
model = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(1)])
model.compile("sgd", loss="mse")
archive = archiver.RunArchiver("runs", name="a", dataset_source={{"samples": sys.argv[1]}}, {OPTIONS})
model.fit(x, x[:, :1], epochs=1, verbose=0, callbacks=[archive])
"""

CELLS = [
    "import helper\nimport archiver",
    "%load_ext autoreload\nrate = helper.RATE",
    "1 / 0",
    "%env SOME_SETTING=a b\nimport os\nassert os.environ['SOME_SETTING'] == 'a b'",
    "!echo hello",
    TRAIN.replace("    if tested", "    return archive, x, y\n    if tested")
    + "\n%time archive, x, y = train(epochs=rate)",
    "test = x[64:], y[64:]",
    "run = archive.finalize(test_data=test)",
    "print('never recorded')",
]

TYPE = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in {CELLS!r}:
    shell.run_cell(cell, store_history=True)
"""


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """All the original runs; then, what they were made from is changed or gone."""
    home = tmp_path_factory.mktemp("home")
    dirty = write(home / "dirty", train=TRAIN, other="VALUE = 1\n")
    commit_all(dirty)
    (dirty / "train.py").write_text(TRAIN + "import extra\ntrain(seed=extra.SEED)\nprint(sys.argv)\n")
    write(dirty, extra="SEED = 5\n")
    laid, elsewhere = home / "laid", write(home / "elsewhere")
    write(laid / "src" / "package", __init__="", model=TRAIN, numbers="SEED = 6\n")
    write(laid, train="import package.numbers\nimport beside\nfrom package.model import train\ntrain(6)\n", beside="")
    module = write(home / "module" / "inner", __init__="", train=WITH_DATA, data=DATA)
    commit_all(module.parent)
    folder = write(module.parent / "cwd")
    (folder / "more").mkdir()
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(64, 6)).astype("float32"))
    np.save(folder / "more" / "offset.npy", np.float32(0.5))
    notebook = write(home / "notebook", helper="RATE = 2\n")
    run_all(
        [
            Order(str(dirty), ["train.py", "--note", "two words", '$HOME `x` "y"', ""], variables=THREADS),
            Order(str(elsewhere), [str(laid / "train.py")], path=[str(laid / "src")]),
            Order(str(folder), ["-m", "inner.train", "x.npy"], path=[str(module.parent)]),
            Order(str(notebook), ["-c", TYPE], path=[str(notebook)]),
        ]
    )
    git(dirty, "commit", "--all", "--quiet", "--message", "second")
    (dirty / "extra.py").unlink()
    (dirty / "train.py").write_text("raise SystemExit('the repository went on')\n")
    shutil.rmtree(laid)
    (folder / "x.npy").rename(home / "moved.npy")
    (folder / "more").rename(home / "more")
    (notebook / "helper.py").unlink()
    return home


def repeated(home: Path, run: Path, **options):
    original = Run.open(home / run)
    done, lines = again(original, home / "again" / run.parts[0], **options)
    archiver.verify(done.repetition.path, deep=True).raise_for_findings()
    assert done.record.verdict.judgement == "identical", lines
    assert source_digests(done.repetition) == source_digests(original)
    return done, lines


def test_a_dirty_tree_with_an_untracked_module_and_arguments_with_spaces(home, monkeypatch):
    """What was set is set again, whatever is set here."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    original = Run.open(home / "dirty/runs/a_models")
    done, lines = repeated(home, Path("dirty/runs/a_models"))
    source = done.record.source
    assert (source.origin, source.patch_applied, source.copied_count, source.replaced_count) == (
        "repository",
        True,
        1,
        0,
    )
    assert done.record.command[1:] == ("train.py", "--note", "two words", '$HOME `x` "y"', "")
    assert lines[lines.index(f"command, in {done.record.working_directory}:") + 1].endswith(
        "train.py --note 'two words' '$HOME `x` \"y\"' ''"
    )
    commits = [run.read(layout.GIT).repository.commit for run in (original, done.repetition)]
    assert commits[0] == commits[1]
    assert done.repetition.read(layout.RUN).redirected_from == "runs"
    assert {f"set: {name}={value}" for name, value in THREADS.items()} <= set(lines)
    assert done.record.pinned["TF_ENABLE_ONEDNN_OPTS"] is None
    set_then, set_now = (
        run.read(layout.TRAIN_CONFIG).phases[0].determinism.environment for run in (original, done.repetition)
    )
    assert set_then == set_now
    assert done.record.verdict.causes == ()


def test_a_script_and_a_package_in_src_layout_outside_of_any_repository_started_from_elsewhere(home):
    done, _ = repeated(home, Path("elsewhere/runs/a_models"))
    assert done.record.source.origin == "copies"
    assert Path(done.record.command[1]).name == "train.py"


def test_a_module_started_by_its_name_finds_data_that_has_moved(home):
    data = {"samples": home / "moved.npy", "more/offset.npy": home / "more" / "offset.npy"}
    done, _ = repeated(home, Path("module/cwd/runs/a_models"), data=data)
    assert done.record.command[1:] == ("-m", "inner.train", str(home / "moved.npy"))
    assert done.record.source.origin == "repository"
    assert done.record.data_paths == {"x.npy": str(home / "moved.npy"), "more/offset.npy": str(data["more/offset.npy"])}


def test_a_notebook(home):
    done, lines = repeated(home, Path("notebook/runs/a_models"))
    assert done.record.command[1:3] == ("-m", "archiver.reproduction.cells")
    assert any("!echo hello" in line for line in lines)
    assert "predictions on the test data" in done.record.verdict.compared
    text = (done.repetition.path / "environment/source/notebook_cells.py").read_text()
    assert text.endswith("run = archive.finalize(test_data=test)\n")
    assert not any("autoreload" in line for line in lines)


def test_an_unmodified_script_is_archived_and_reproduces(home):
    folder = write(home / "unmodified", plain=UNMODIFIED)
    command = [str(Path(sys.executable).parent / "archiver"), "run", "--root", "store", "plain.py", "2"]
    result = subprocess.run(command, cwd=folder, env=quiet(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]
    assert "archiver: fit of TensorFlowTrainer is wrapped in this process" in result.stderr
    done, _ = repeated(home, Path("unmodified/store/plain_line_models"))
    assert done.record.command[1:] == ("-m", "archiver.training.unmodified", "--root", "store", "--", "plain.py", "2")
    assert done.repetition.name == "plain_line"


def test_other_data_diverge_and_are_the_first_cause(home):
    changed = np.load(home / "moved.npy")
    changed[3, 3] += 1
    np.save(home / "changed.npy", changed)
    words = ["--data", f"samples={home / 'changed.npy'}", "--data", f"more={home / 'more'}"]
    command = [
        str(Path(sys.executable).parent / "archiver"),
        "reproduce",
        "module/cwd/runs/a_models",
        "--trust",
        *words,
    ]
    result = subprocess.run(command, cwd=home, env=quiet(), capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr[-2000:]
    assert "\nDIVERGED: " in result.stdout
    assert "\n  1. data: train data: " in result.stdout
    repetition = Run.open(home / "reproductions" / "a_models" / "a_models")
    assert repetition.read(layout.REPRODUCTION).verdict.judgement == "diverged"
    assert "**Diverged**" in repetition.path_of(layout.README).read_text()


def test_missing_data_are_named(home):
    with pytest.raises(CannotReproduceError, match=r"the program ended with 1 .*--data NAME=PATH"):
        again(home / "module/cwd/runs/a_models", home / "again" / "missing")
    with pytest.raises(ArgumentError, match="where there is nothing"):
        again(home / "module/cwd/runs/a_models", home / "again" / "nothing", data={"samples": home / "nothing.npy"})
