"""What the documentation says is true: its Python runs, its commands exist, its tables match the code."""

import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import archiver
from archiver import errors, layout
from archiver.archive.agreement import MAXIMAL_RECORDS_BYTES
from archiver.archive.documents import MAXIMAL_DOCUMENT_BYTES, MAXIMAL_DOCUMENT_VALUES
from archiver.archive.findings import CAUSES
from archiver.archive.inspection import MAXIMAL_FINDINGS
from archiver.cli.main import COMMANDS, LazyGroup
from archiver.collect.token_formats import TOKEN_FORMATS
from archiver.data.cache.plan_file import PlanFile, read_plan
from archiver.export.leaving_out import CHOICES, DEFAULT
from archiver.storage.beneath import MAXIMAL_DEPTH, MAXIMAL_ENTRIES
from archiver.storage.journal import MAXIMAL_JOURNAL_BYTES, MAXIMAL_JOURNAL_VALUES
from archiver.storage.keras_config import MAXIMAL_CONFIG_BYTES, MAXIMAL_CONFIG_DEPTH, MAXIMAL_CONFIG_VALUES
from archiver.storage.manifests import MAXIMAL_MANIFEST_BYTES
from archiver.testing import tiny_run
from tests.hostile.archives import ARCHIVES
from tests.training.scripts import Ended, Server

ROOT = Path(__file__).parent.parent


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def run_python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = folder / "from_the_docs.py"
    script.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True, check=False)


def run_training(server: Server, code: str, folder: Path) -> Ended:
    """The same in a process that has TensorFlow loaded already, but for the README's snippet."""
    script = folder / "from_the_docs.py"
    script.write_text(code, encoding="utf-8")
    ended = server.run_file(folder, script)
    assert ended.exit_code == 0, ended.errors[-3000:]
    return ended


def test_use_md_runs_from_top_to_bottom(server, tmp_path):
    code = blocks(ROOT / "docs" / "use.md", "python")
    assert len(code) >= 6
    run_training(server, "\n".join(code), tmp_path)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "first_models", "folds-2_models", "folds_models", "ordered_models", "sourced_models",
    ]  # fmt: skip


def test_compare_md_runs_and_prints_what_it_says(server, tmp_path):
    (code,) = blocks(ROOT / "docs" / "compare.md", "python")
    ended = run_training(server, code, tmp_path)
    printed = ended.output.splitlines()
    assert printed[:4] == ["diverged", "optimizer.learning_rate: 0.1, now 0.2", "0", "1"]
    assert printed[-1] == "identical False"


def test_data_md_runs_from_top_to_bottom(server, tmp_path):
    code = blocks(ROOT / "docs" / "data.md", "python")
    assert len(code) >= 7
    ended = run_training(server, "\n".join(code), tmp_path)
    assert "COMPLETE: 6 recordings, 174 windows in windows.h5" in ended.output
    told = archiver.Run.open(tmp_path / "runs" / "on_disk_models").read(layout.PREPROCESSING).data_sets
    assert told["train"]["split"]["by"] == "subject"


def test_ensembles_md_runs(tmp_path):
    (code,) = blocks(ROOT / "docs" / "ensembles.md", "python")
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "COMPLETE: " in result.stdout
    assert (tmp_path / "runs" / "iris_ensemble" / "ensemble.jsonl").exists()


def test_handing_over_md_runs(tmp_path):
    (code,) = blocks(ROOT / "docs" / "handing-over.md", "python")
    result = run_python(code, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "handed_over_bag" / "bagit.txt").exists()


def test_trust_md_runs(tmp_path):
    if importlib.util.find_spec("model_signing") is None:
        assert not os.environ.get("CI"), 'the extra "signing" must be installed'
        pytest.skip('needs pip install "keras-archiver[signing]"')
    tiny_run(tmp_path / "runs", "digits")
    for name, module in {"archiver": "archiver.cli.main", "model_signing": "model_signing._cli"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}\nfrom {module} import main\nmain()\n")
        program.chmod(0o755)
    commands = blocks(ROOT / "docs" / "trust.md", "sh")
    assert len(commands) >= 5
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("signed with the key") == 2
    assert ", as expected" in result.stdout


def test_trust_md_has_every_cause():
    page = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == ["cause", *CAUSES]


def test_repair_md_runs_from_top_to_bottom(tmp_path):
    code = blocks(ROOT / "docs" / "repair.md", "python")
    assert len(code) >= 2
    result = run_python("\n".join(code), tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "is not the recorded one; models/a.keras, models/a.h5 and the checkpoint still hold it" in result.stdout
    assert "restored: models/a.weights.h5: 1 tensor (layers/dense/vars/0) copied back from" in result.stdout


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


def test_the_commands_of_privacy_md_run(tmp_path):
    tiny_run(tmp_path / "runs", "digits_cnn_base", tested=True)
    (commands,) = blocks(ROOT / "docs" / "privacy.md", "sh")
    for line in commands.splitlines():
        program, *arguments = shlex.split(line)
        command = [str(Path(sys.executable).parent / program), *arguments]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (line, result.stderr)
    assert sorted(path.name for path in (tmp_path / "public").iterdir()) == ["digits_cnn_base_models", "short"]


def test_privacy_md_names_every_choice():
    page = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
    for choice in set(CHOICES) - set(DEFAULT):
        assert f"`{choice}`" in page
    kinds = {form.kind.split()[0] for form in TOKEN_FORMATS} - {
        "AGE",
        "age",
        "W&B",
        "netrc",
        "secret",
        "private",
        "bearer",
    }
    for kind in kinds - {"JSON", "token", "password"}:
        assert kind in page, kind


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


def test_the_numbers_in_faults_md_are_those_of_the_code():
    page = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    assert f"makes {len(ARCHIVES)} archives" in page
    limits = {
        f"| the journal | {MAXIMAL_JOURNAL_BYTES >> 20} MiB, {MAXIMAL_JOURNAL_VALUES:,} values |",
        (
            f"| a record; all records | {MAXIMAL_DOCUMENT_BYTES >> 20} MiB, {MAXIMAL_DOCUMENT_VALUES:,} values; "
            f"{MAXIMAL_RECORDS_BYTES >> 20} MiB |"
        ),
        f"| a manifest | {MAXIMAL_MANIFEST_BYTES >> 20} MiB |",
        (
            f"| `config.json`, or the same in `.h5` | {MAXIMAL_CONFIG_BYTES >> 20} MiB, "
            f"{MAXIMAL_CONFIG_VALUES:,} values, {MAXIMAL_CONFIG_DEPTH} levels |"
        ),
        f"| files and folders; levels of folders | {MAXIMAL_ENTRIES:,}; {MAXIMAL_DEPTH} |",
        f"| findings of one kind | {MAXIMAL_FINDINGS:,}; the rest is counted |",
    }
    assert {line for line in limits if line not in page} == set()
    codes = set(re.findall(r"`([a-z_]+)`", page.partition("## What is due")[2].partition("## Limits")[0]))
    assert {code for case in ARCHIVES for code in case.due | case.told} <= codes


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
