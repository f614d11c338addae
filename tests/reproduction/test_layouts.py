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

WITH_DATA = f"""
import sys
import keras, numpy as np
import archiver
archiver.seed(1)
x = np.load(sys.argv[1]) + np.load("more/offset.npy")
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
    plain = write(home / "plain" / "below", train=TRAIN + "import helper\ntrain(helper.SEED)\n", helper="SEED = 4\n")
    source = write(home / "laid" / "src" / "package", __init__="", model=TRAIN, numbers="SEED = 6\n")
    write(home / "laid" / "scripts", train="import package.numbers\nfrom package.model import train\ntrain(6)\n")
    module = write(home / "module" / "inner", __init__="", train="from .model import train\ntrain(7)\n", model=TRAIN)
    commit_all(module.parent)
    (module.parent / "cwd").mkdir()
    notebook = write(home / "notebook", helper="RATE = 2\n")
    elsewhere = write(home / "elsewhere", never="")
    with_data = write(home / "with_data", train=WITH_DATA)
    (with_data / "more").mkdir()
    np.save(with_data / "x.npy", np.random.default_rng(0).normal(size=(64, 6)).astype("float32"))
    np.save(with_data / "more" / "offset.npy", np.float32(0.5))
    run_all(
        [
            Order(str(with_data), ["train.py", "x.npy"]),
            Order(str(dirty), ["train.py", "--note", "two words", '$HOME `x` "y"', ""]),
            Order(str(elsewhere), [str(plain / "train.py")]),
            Order(str(home / "laid"), ["scripts/train.py"], path=[str(source.parent)]),
            Order(str(module.parent / "cwd"), ["-m", "inner.train"], path=[str(module.parent)]),
            Order(str(notebook), ["-c", TYPE]),
        ]
    )
    git(dirty, "commit", "--all", "--quiet", "--message", "second")
    (dirty / "extra.py").unlink()
    (dirty / "train.py").write_text("raise SystemExit('the repository went on')\n")
    (with_data / "x.npy").rename(home / "moved.npy")
    (with_data / "more").rename(home / "elsewhere" / "more")
    shutil.rmtree(plain)
    shutil.rmtree(home / "laid" / "src")
    shutil.rmtree(home / "laid" / "scripts")
    (notebook / "helper.py").unlink()
    return home


def repeated(home: Path, run: Path, **options):
    original = Run.open(home / run)
    done, lines = again(original, home / "again" / run.parts[0], **options)
    archiver.verify(done.repetition.path, deep=True).raise_for_findings()
    assert done.record.verdict.judgement == "identical", lines
    assert source_digests(done.repetition) == source_digests(original)
    return done, lines


def test_a_dirty_tree_with_an_untracked_module_and_arguments_with_spaces(home):
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
    git_record = done.repetition.read(layout.GIT).repository
    assert git_record.commit == Run.open(home / "dirty/runs/a_models").read(layout.GIT).repository.commit
    assert done.repetition.read(layout.RUN).redirected_from == "runs"


def test_a_script_outside_of_any_repository_started_from_elsewhere(home):
    done, _ = repeated(home, Path("elsewhere/runs/a_models"))
    assert done.record.source.origin == "copies"
    assert Path(done.record.command[1]).name == "train.py"


def test_a_package_in_src_layout(home):
    repeated(home, Path("laid/runs/a_models"))


def test_a_module_started_by_its_name(home):
    done, _ = repeated(home, Path("module/cwd/runs/a_models"))
    assert done.record.command[1:] == ("-m", "inner.train")
    assert done.record.source.origin == "repository"


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


def test_data_that_has_moved_is_found_where_it_is_said_to_be(home):
    data = {"samples": home / "moved.npy", "more/offset.npy": home / "elsewhere" / "more" / "offset.npy"}
    done, _ = repeated(home, Path("with_data/runs/a_models"), data=data)
    assert done.record.command[1:] == ("train.py", str(home / "moved.npy"))
    assert done.record.data_paths == {"x.npy": str(home / "moved.npy"), "more/offset.npy": str(data["more/offset.npy"])}


def test_other_data_diverge_and_are_the_first_cause(home):
    changed = np.load(home / "moved.npy")
    changed[3, 3] += 1
    np.save(home / "changed.npy", changed)
    words = ["--data", f"samples={home / 'changed.npy'}", "--data", f"more={home / 'elsewhere' / 'more'}"]
    command = [str(Path(sys.executable).parent / "archiver"), "reproduce", "with_data/runs/a_models", "--trust", *words]
    result = subprocess.run(command, cwd=home, env=quiet(), capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr[-2000:]
    assert "\nDIVERGED: " in result.stdout
    assert "\n  1. data: train data: " in result.stdout
    repetition = Run.open(home / "reproductions" / "a_models" / "a_models")
    assert repetition.read(layout.REPRODUCTION).verdict.judgement == "diverged"
    assert "**Diverged**" in repetition.path_of(layout.README).read_text()


def test_missing_data_are_named(home):
    with pytest.raises(CannotReproduceError, match=r"the program ended with 1 .*--data NAME=PATH"):
        again(home / "with_data/runs/a_models", home / "again" / "missing")
    with pytest.raises(ArgumentError, match="where there is nothing"):
        again(home / "with_data/runs/a_models", home / "again" / "nothing", data={"samples": home / "nothing.npy"})
