"""What the documentation says is true: its Python runs, its commands exist, its tables match the code."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import errors, layout
from archiver.cli.main import COMMANDS, LazyGroup
from archiver.data.cache.plan_file import PlanFile, read_plan

ROOT = Path(__file__).parent.parent


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "from_the_docs.py"
    script.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False)


def test_use_md_runs_from_top_to_bottom(tmp_path):
    code = blocks(ROOT / "docs" / "use.md", "python")
    assert len(code) >= 6
    result = run_python("\n".join(code), tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "first_models", "folds-2_models", "folds_models", "ordered_models", "sourced_models",
    ]  # fmt: skip


def test_compare_md_runs_and_prints_what_it_says(tmp_path):
    (code,) = blocks(ROOT / "docs" / "compare.md", "python")
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    printed = result.stdout.splitlines()
    assert printed[:4] == ["diverged", "optimizer.learning_rate: 0.1, now 0.2", "0", "1"]
    assert printed[-1] == "identical False"


def test_data_md_runs_from_top_to_bottom(tmp_path):
    code = blocks(ROOT / "docs" / "data.md", "python")
    assert len(code) >= 7
    result = run_python("\n".join(code), tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "COMPLETE: 6 recordings, 174 windows in windows.h5" in result.stdout
    told = archiver.Run.open(tmp_path / "runs" / "on_disk_models").read(layout.PREPROCESSING).data_sets
    assert told["train"]["split"]["by"] == "subject"


def test_ensembles_md_runs(tmp_path):
    (code,) = blocks(ROOT / "docs" / "ensembles.md", "python")
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "COMPLETE: " in result.stdout
    assert (tmp_path / "runs" / "iris_ensemble" / "ensemble.jsonl").exists()


def test_the_plan_in_data_md_is_one(tmp_path):
    (plan,) = blocks(ROOT / "docs" / "data.md", "toml")
    (tmp_path / "R1").mkdir()
    (tmp_path / "R1" / "sub-1.edf").touch()
    (tmp_path / "plain.toml").write_text(plan)
    assert read_plan(tmp_path / "plain.toml").caches().keys() == {tmp_path / "caches" / "R1.h5"}
    # With all that stands there as a comment, and without what that replaces.
    text = re.sub(r"^(stride_seconds|values) =.*$", "", plan, flags=re.MULTILINE)
    text = re.sub(r"^# (?=\w+ =)", "", text, flags=re.MULTILINE).replace("[storage]", '[storage]\nvalues = "float32"')
    (tmp_path / "participants.tsv").write_text("subject\tdiagnosis\nsub-1\t1\nsub-2\t0\n")
    (tmp_path / "all.toml").write_text(text)
    found = read_plan(tmp_path / "all.toml")
    assert (found.windowing.events, found.storage.scale) == ({"open": 0, "closed": 1}, 0.1)
    assert found.recordings[0].open.label == 1
    for table, model in PlanFile.model_fields.items():
        for key in getattr(model.annotation, "model_fields", {}):
            assert re.search(rf"^{key} =", text + plan, re.MULTILINE), f"{table}.{key} is not in the documentation"


def test_the_readme_snippet_runs(tmp_path):
    (snippet,) = blocks(ROOT / "README.md", "python")
    prelude = """
import keras, numpy as np
x = np.random.default_rng(0).normal(size=(40, 4)).astype("float32"); y = (x.sum(axis=1) > 0).astype("int64")
x_val, y_val, x_test, y_test = x, y, x, y
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, "softmax")])
model.compile("sgd", loss="sparse_categorical_crossentropy")
"""
    result = run_python(prelude + snippet, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "runs" / "digits_cnn_base_models" / "manifest-blake3.txt").exists()


PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_every_command_has_help_an_example_and_a_section():
    documentation = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    group = LazyGroup()
    for name, line in COMMANDS.items():
        command = group.get_command(None, name)
        assert command is not None
        assert command.help, name
        assert f"Example:\n  archiver {name}" in inspect.cleandoc(command.help), name
        assert line.endswith(".")
        assert f"\n## archiver {name}\n" in documentation
    assert documentation.count("\n## archiver ") == len(COMMANDS)


def test_the_options_that_reproduce_md_speaks_of_exist():
    page = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
    group = LazyGroup()
    commands = [group.get_command(None, name) for name in ("reproduce", "run")]
    options = {text for command in commands if command for each in command.params for text in each.opts}
    spoken_of = set(re.findall(r"`?(?<![\w-])(--[a-z]+)", page)) - {"--epochs", "--note"}
    assert {"--environment", "--output", "--trust", "--data", "--repository", "--fetch"} <= spoken_of <= options


def test_exit_codes_are_documented_and_different():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    classes = [
        item for item in vars(errors).values() if isinstance(item, type) and issubclass(item, errors.ArchiverError)
    ]
    codes = {error.__name__: error.exit_code for error in classes if "exit_code" in vars(error)}
    assert len(set(codes.values())) == len(codes)
    assert set(codes.values()) <= documented
