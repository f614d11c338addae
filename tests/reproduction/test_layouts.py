"""Programs laid out in every way reproduce, with real repositories and real trainings, from their archives alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import layout
from archiver.archive.run import Run
from tests.reproduction.trainings import TRAIN, Order, again, commit_all, git, quiet, run_all, source_digests

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

CELLS = [
    "import helper\nimport archiver",
    "%load_ext autoreload\nrate = helper.RATE",
    "1 / 0",
    "%env SOME_SETTING=a b\nimport os\nassert os.environ['SOME_SETTING'] == 'a b'",
    "!echo hello",
    TRAIN + "\n%time train(epochs=rate)",
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
    run_all(
        [
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
